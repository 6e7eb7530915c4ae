"""Asking for updates: one process however many run, whatever Telegram answers, and nothing lost in between."""

import asyncio
from collections.abc import Callable

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from backend.config import Settings
from backend.services import Services
from backend.telegram_line import SENTENCES, Line
from backend.telegram_poll import readable
from backend.telegram_stand_in import StandIn
from backend.telegram_store import store_updates
from tests.telegram.conftest import leading
from tests.telegram.tools import answer, met, rows_of, until, updates_left

QUESTION = "sportello elp"
WHO_LEADS = text("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 7305021 AND granted")


def said(caplog: pytest.LogCaptureFixture, what: str) -> int:
    return sum(record.message == SENTENCES[what] for record in caplog.records)


async def test_another_program_with_the_same_token_is_explained_once(
    telegram: object, standin: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    standin.fault(method="getUpdates", status=409, times=5)
    await answer(somebody, "grazie")  # ends the question that waits
    await standin.wait_for(lambda: sum(call.status == 409 for call in standin.calls) == 5, 15)
    assert "Sportello ELP" in (await answer(somebody, QUESTION)).text
    assert said(caplog, "conflict") == 1


async def test_a_token_that_was_revoked_is_said_in_one_sentence_and_comes_back(
    telegram: object, standin: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    good, _ = standin.token, standin.revoke_token()
    somebody.sends(QUESTION)
    async with asyncio.timeout(40):
        while not said(caplog, "token"):
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    assert said(caplog, "token") == 1
    standin.token = good
    assert "Sportello ELP" in (await somebody.next_message(15)).text


async def test_a_wrong_token_at_the_start_stops_nothing_else(
    nobody: Services, standin: StandIn, caplog: pytest.LogCaptureFixture, configure: Callable[..., None], app: object
) -> None:
    configure(telegram_token=SecretStr("123456:AAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
    async with leading(app.state.services):  # type: ignore[attr-defined]
        async with asyncio.timeout(15):
            while not said(caplog, "token"):
                await asyncio.sleep(0.05)
    assert said(caplog, "token") == 1


@pytest.mark.parametrize(
    "token", ["", "x", "123", "123456:short", "1:" + "a" * 200, "12 3:" + "a" * 30, "1:../" + "a" * 30]
)
def test_what_cannot_be_a_token_is_refused_with_the_settings(token: str) -> None:
    with pytest.raises(ValueError, match="BotFather"):
        Settings(telegram_token=SecretStr(token))


async def test_telegram_that_is_away_at_the_start_is_found_later(
    nobody: Services, standin: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    somebody = standin.user(language_code="it")
    somebody.sends(QUESTION)
    await standin.stop_answering()
    async with leading(nobody):
        await asyncio.sleep(1)
        await standin.answer_again()
        _, answered = await somebody.next_messages(2, 15)
    assert "Sportello ELP" in answered.text
    assert said(caplog, "away") == 1


async def test_the_pauses_grow_while_it_is_away_and_end_with_the_first_answer() -> None:
    now = 0.0
    line = Line(clock=lambda: now)
    waits = []
    for _ in range(9):
        line.failed("away")
        waits.append(line._closed_until - now)
        now += waits[-1]
    assert waits == [1, 2, 5, 10, 20, 30, 60, 60, 60]
    line.works()
    await line.open()
    line.failed("away")
    assert line._closed_until - now == 1


async def test_two_workers_ask_as_one_and_the_second_takes_over(nobody: Services, standin: StandIn) -> None:
    somebody = standin.user(language_code="it")
    async with leading(nobody):
        await met(somebody)
        second = asyncio.create_task(_lead_and_answer(nobody, standin))
        await answer(somebody, QUESTION)
        assert not second.done()
    try:
        assert "Sportello ELP" in (await answer(somebody, QUESTION)).text
        assert not [call for call in standin.calls if call.status == 409]
    finally:
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)


async def _lead_and_answer(services: Services, standin: StandIn) -> None:
    async with leading(services):
        await asyncio.sleep(3600)


async def test_a_leader_that_loses_its_connection_stops_and_begins_again(
    telegram: object, nobody: Services, standin: StandIn
) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)

    async def leader() -> int | None:
        async with nobody.sessions.begin() as session:
            found: int | None = await session.scalar(WHO_LEADS)
            return found

    before = await leader()
    async with nobody.sessions.begin() as session:
        await session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": before})

    async def another() -> bool:
        return await leader() not in (None, before)

    await until(another)
    assert "Sportello ELP" in (await answer(somebody, QUESTION)).text
    assert await rows_of(nobody, somebody)


@pytest.mark.parametrize("mode", ["webhook"])
async def test_the_mode_can_be_changed_back_and_forth_without_losing_a_word(
    nobody: Services, standin: StandIn, configure: Callable[..., None], app: object
) -> None:
    somebody = standin.user(language_code="it")
    for number, mode in enumerate(["polling", "webhook", "polling", "webhook"]):
        configure(telegram_mode=mode)
        somebody.sends(f"prima {number}")  # while nobody listens
        async with leading(app.state.services):  # type: ignore[attr-defined]
            await somebody.next_messages(2 if number == 0 else 1, 15)
            await answer(somebody, f"durante {number}")
    words = [row.text for row in await rows_of(nobody, somebody) if row.author == "person"]
    assert words == [f"{when} {number}" for number in range(4) for when in ("prima", "durante")]


async def test_what_was_stored_and_not_handled_is_taken_up(nobody: Services, standin: StandIn) -> None:
    """As if the process had died in between."""
    somebody = standin.user(language_code="it")
    async with leading(nobody):
        await met(somebody)
    message = {"message_id": 5, "date": 1, "chat": {"id": somebody.id, "type": "private"}, "text": QUESTION}
    message["from"] = {"id": somebody.id, "is_bot": False, "first_name": "A", "language_code": "it"}
    await store_updates(nobody.engine, {11: {"update_id": 11, "message": message}})
    async with leading(nobody):
        assert "Sportello ELP" in (await somebody.next_message(15)).text
    assert await updates_left(nobody) == 0


def test_only_what_can_be_stored_is_taken_from_a_batch() -> None:
    chat = {"id": 7, "type": "private"}
    good = {
        "update_id": 3,
        "message": {"message_id": 1, "date": 1, "chat": chat, "from": {"id": 7, "is_bot": False}, "text": "a"},
    }
    group = {
        "update_id": 4,
        "message": {"message_id": 1, "date": 1, "chat": {"id": -7, "type": "group"}, "text": "secret"},
    }
    found = readable([good, group, {"update_id": 2**70}, {"update_id": -1}, {"update_id": True}, 7, None, [], {"a": 1}])
    assert found == {3: good, 4: None}
    broken = {"update_id": 5, "message": {**good["message"], "text": "a\ud800b"}}  # type: ignore[dict-item]
    assert readable([broken])[5]["message"]["text"] == "a?b"  # type: ignore[index]
