"""What is kept of a chat: sealed, as long as it is needed, and gone with its conversation."""

from datetime import timedelta
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import text

from backend.conversations import erase_for_person
from backend.db import plain_url
from backend.people import enforce_retention
from backend.services import Services
from backend.telegram_stand_in import StandIn, User
from backend.telegram_store import load_state, store_updates
from tests.telegram.tools import answer, conversation_of, external_id, id_of, met, rows_left, until

SECRET = "una parola segreta"


def whole_database(services: Services) -> bytes:
    """Every row of every table, as PostgreSQL holds it."""
    with psycopg.connect(plain_url(str(services.settings.database_url))) as connection:
        query = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        tables = [row[0] for row in connection.execute(query)]
        rows: list[Any] = []
        for table in tables:
            rows += connection.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table))).fetchall()
    return "\n".join(row[0] for row in rows).encode()


def traces(user: User) -> list[bytes]:
    return [
        str(user.id).encode(),
        str(user.id).encode().hex().encode(),
        SECRET.encode(),
        SECRET.encode().hex().encode(),
    ]


async def test_nothing_in_the_database_says_whose_chat_it_is(
    telegram: object, standin: StandIn, nobody: Services
) -> None:
    somebody = standin.user(4_815_162_342, language_code="it", name="Zaynab Unmistakable", username="zaynab_here")
    await met(somebody)
    await answer(somebody, SECRET)
    found = whole_database(nobody)
    for trace in [*traces(somebody), b"Unmistakable", b"zaynab_here"]:
        assert trace not in found
    assert (await external_id(nobody, somebody)).encode() in found


async def test_after_an_erasure_on_the_server_nothing_of_the_chat_is_left(
    telegram: object, standin: StandIn, nobody: Services
) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    await answer(somebody, SECRET)
    key = await external_id(nobody, somebody)
    await erase_for_person(nobody.sessions, await id_of(nobody, somebody))
    assert await rows_left(nobody) == 0
    assert key.encode() not in whole_database(nobody)


async def test_whoever_blocks_the_bot_after_erasing_everything_leaves_nothing(
    telegram: object, standin: StandIn, nobody: Services
) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    standin.fault(method="sendMessage", status=403, chat=somebody.id)
    somebody.presses_data("forget-now")

    async def all_gone() -> bool:
        return await rows_left(nobody) == 0

    await until(all_gone)
    assert await conversation_of(nobody, somebody) is None


async def test_numbers_of_updates_are_forgotten_after_two_days_and_bodies_never_before_they_are_handled(
    nobody: Services,
) -> None:
    await store_updates(nobody.engine, {1: None, 2: None, 3: {"update_id": 3}})
    async with nobody.sessions.begin() as session:
        old = nobody.now() - timedelta(days=3)
        await session.execute(text("UPDATE telegram_updates SET received_at = :old WHERE update_id <> 2"), {"old": old})
    counted = await enforce_retention(nobody.sessions, nobody.settings, now=nobody.now())
    assert counted["telegram_updates"] == 1
    async with nobody.sessions.begin() as session:
        left = await session.execute(text("SELECT update_id FROM telegram_updates ORDER BY update_id"))
        assert list(left.scalars()) == [2, 3]


async def test_an_update_is_stored_once_and_only_new_ones_wake_anybody(nobody: Services) -> None:
    assert await store_updates(nobody.engine, {1: {"update_id": 1}, 2: None}) == 1
    assert await store_updates(nobody.engine, {1: {"update_id": 1}, 2: None, 3: {"update_id": 3}}) == 1
    assert await store_updates(nobody.engine, {}) == 0


async def test_a_chat_leads_to_one_conversation_and_not_back(nobody: Services) -> None:
    state = await load_state(nobody.sessions)
    assert state == await load_state(nobody.sessions)
    assert len({state.external_id(number) for number in range(100)}) == 100
    assert len(state.chat_key) == 32
    assert "7" * 9 not in state.external_id(777777777)
