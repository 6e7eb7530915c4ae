"""After an erasure nothing of the person is left: not in any table, not in the logs.

Every table is named below. A new one fails the first test until somebody has said whether it can hold something of a
person, and if it can, `seed` puts something there.
"""

import asyncio
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from sqlalchemy import LargeBinary, insert, select, text, update
from sqlalchemy.dialects.postgresql import Range

from backend.conversations import token_hash
from backend.db import plain_url
from backend.encryption import KeysError, cipher
from backend.logs import set_up_logging
from backend.models import (
    Appointment,
    AppointmentKind,
    Attachment,
    Base,
    Conversation,
    DailyCount,
    Feedback,
    Gap,
    Message,
    Note,
    Receipt,
    Resource,
    TelegramChat,
    WaitingPlace,
)
from backend.progress import StartError
from backend.services import Services
from backend.start import erase as erase_on_server
from backend.worker import create_jobs
from bot.turn import Intent
from tests.backend.test_api import Talk, open_talk
from tests.fakes import FakeParser
from tests.handovers import put_at_desk
from tests.staff import make_desk, make_organisation

HOLDS_SOMETHING_OF_A_PERSON = {
    "conversations",
    "messages",
    "gaps",
    "feedback",
    "attachments",
    "handovers",
    "notes",
    "appointments",
    "waiting_places",
    "telegram_updates",  # as they came, until they are handled
    "telegram_chats",
    "procrastinate_jobs",  # ids, as arguments
}
HOLDS_NOTHING_OF_A_PERSON = {
    "daily_counts",  # numbers
    "erasure_receipts",  # a number drawn by lot
    "entries",
    "entry_texts",
    "entry_revisions",
    "outside_questions",
    "organisations",
    "desks",
    "accounts",  # this and the following are about staff
    "memberships",
    "account_links",
    "recovery_codes",
    "passkeys",
    "ceremonies",
    "staff_sessions",
    "opening_periods",
    "desk_days",
    "presence",
    "saved_replies",
    "console_keys",
    "desk_operators",  # a view
    "appointment_kinds",
    "resources",
    "resource_blocks",
    "audit_events",  # ids of staff and of records; of a person's erasure the receipt
    "key_checks",
    "telegram_state",  # a key drawn by lot, and the bot's own name
    "alembic_version",
    "procrastinate_events",  # states of jobs
    "procrastinate_periodic_defers",
    "procrastinate_workers",
}


@dataclass(frozen=True)
class Traces:
    """What must not be found anywhere."""

    marker: str
    conversation: UUID
    token: str

    def spellings(self, *, conversation: bool) -> list[bytes]:
        """The token never; the id only where the conversation itself was erased."""
        hashed = token_hash(self.token)
        found = [self.marker.encode(), self.token.encode()]
        if conversation:
            found += [hashed, hashed.hex().encode(), str(self.conversation).encode(), self.conversation.bytes]
            found.append(self.conversation.hex.encode())
        return found


def all_tables(services: Services) -> set[str]:
    with psycopg.connect(plain_url(str(services.settings.database_url))) as connection:
        rows = connection.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        return {row[0] for row in rows}


def whole_database(services: Services) -> Iterator[tuple[str, bytes]]:
    """Every value of every column of every table as it is stored, and opened where it is sealed."""
    with psycopg.connect(plain_url(str(services.settings.database_url))) as connection:
        for table in sorted(all_tables(services)):
            cursor = connection.execute(f'SELECT * FROM "{table}"')
            names = [column.name for column in cursor.description or ()]
            for row in cursor:
                for name, value in zip(names, row, strict=True):
                    yield from ((f"{table}.{name}", spelling) for spelling in spellings_of(value))


def spellings_of(value: object) -> Iterator[bytes]:
    if isinstance(value, bytes | memoryview):
        yield bytes(value)
        try:
            yield cipher().open(bytes(value))
        except KeysError:
            return  # a hash or a key, not a sealed value
    else:
        yield json.dumps(value, default=str, ensure_ascii=False).encode()


def found_in_database(services: Services, traces: Traces, *, conversation: bool) -> set[str]:
    wanted = traces.spellings(conversation=conversation)
    return {place for place, value in whole_database(services) if any(one in value for one in wanted)}


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Everything the program would print at its most talkative, and the statements of the database on top of it."""
    root = logging.getLogger()
    kept, levels = list(root.handlers), {}
    before = root.level
    for name in ("httpx", "httpcore", "sqlalchemy", "uvicorn.access", "alembic", "procrastinate"):
        levels[name] = logging.getLogger(name).level
    set_up_logging("debug")
    root.handlers[:] = kept
    caplog.handler.setLevel(logging.DEBUG)
    logging.getLogger("sqlalchemy.engine").setLevel(logging.INFO)
    yield caplog
    logging.getLogger("sqlalchemy.engine").setLevel(logging.NOTSET)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    root.setLevel(before)


def in_logs(logs: pytest.LogCaptureFixture, traces: Traces, *, conversation: bool) -> list[str]:
    lines = [logging.Formatter().format(record) + repr(record.args) for record in logs.records]
    wanted = [one.decode("latin-1") for one in traces.spellings(conversation=conversation)]
    return [line for line in lines if any(one in line for one in wanted)]


async def seed(services: Services, talk: Talk, parser: FakeParser) -> Traces:
    """Something of the person in every place that can hold it."""
    conversation, marker = UUID(talk.id), f"Melograno{uuid4().hex[:12]}"
    answer = await talk.say(f"sportello elp {marker}")
    await talk.say(f"qwertz {marker}")
    parser.learn(f"niente {marker}", Intent.NO)
    await talk.press("useful:sportello-elp:yes")
    desk = await make_desk(services, await make_organisation(services))
    async with services.sessions.begin() as session:
        made = {"conversation_id": conversation, "language": "it", "text": f"a {marker}", "original": f"o {marker}"}
        made["italian"] = f"i {marker}"
        ids = []
        for author in ("person", "bot", "operator", "system"):
            values = {**made, "author": author, "external_id": f"{author} {marker}", "payload": {"choice": marker}}
            ids.append(await session.scalar(insert(Message).values(**values).returning(Message.id)))
        await session.execute(insert(Gap).values(message_id=ids[0], language="it"))
        file = {"kind": "image", "media_type": "image/png", "size": 3, "data": marker.encode()}
        await session.execute(insert(Attachment).values(message_id=ids[0], **file))
        own = update(Conversation).where(Conversation.id == conversation)
        values = {"place": marker, "external_id": marker, "dialogue": {"last_entry": marker}, "desk_id": desk}
        await session.execute(own.values(**values, forget_on_close=True))
    await put_at_desk(services, conversation, desk, topic=marker)
    async with services.sessions.begin() as session:
        await session.execute(insert(Note).values(conversation_id=conversation, text=f"n {marker}"))
        await session.execute(insert(TelegramChat).values(conversation_id=conversation, chat=marker))
    await put_in_diary(services, conversation, desk, marker)
    await defer_job(services, conversation)
    assert answer["author"] == "bot"
    return Traces(marker, conversation, talk.headers["authorization"].split()[1])


async def put_in_diary(services: Services, conversation: UUID, desk: int, marker: str) -> None:
    """A visit tomorrow, one that is over, and the wish for another."""
    now = datetime.now(UTC)
    async with services.sessions.begin() as session:
        kind = AppointmentKind(desk_id=desk, names={"it": "Colloquio"}, minutes=30)
        resource = Resource(desk_id=desk, kind="staff", name="A")
        session.add_all([kind, resource])
        await session.flush()
        for day, status in ((1, "confirmed"), (-1, "done")):
            starts, ends = now + timedelta(days=day), now + timedelta(days=day, minutes=30)
            whose = {"conversation_id": conversation, "name": f"m {marker}", "token_hash": uuid4().bytes}
            where = {"desk_id": desk, "kind_id": kind.id, "resource_id": resource.id, "code": uuid4().hex[:8]}
            values = {"starts": starts, "ends": ends, "blocked": Range(starts, ends), "status": status}
            session.add(Appointment(**whose, **where, **values, language="it", uid=uuid4().hex))
        place = {"conversation_id": conversation, "kind_id": kind.id, "language": "it", "interpreter": False}
        session.add(WaitingPlace(**place))


async def defer_job(services: Services, conversation: UUID) -> None:
    jobs = create_jobs(services)
    async with jobs.open_async():
        about = {"conversation_id": str(conversation), "timestamp": 0}
        await jobs.configure_task("tell_somebody", allow_unknown=True).defer_async(**about)


def test_of_every_table_somebody_said_whether_it_holds_something_of_a_person(services: Services) -> None:
    named = HOLDS_SOMETHING_OF_A_PERSON | HOLDS_NOTHING_OF_A_PERSON
    assert set(Base.metadata.tables) | all_tables(services) == named
    assert not HOLDS_SOMETHING_OF_A_PERSON & HOLDS_NOTHING_OF_A_PERSON


async def test_the_search_finds_what_is_there(
    services: Services, client: httpx.AsyncClient, parser: FakeParser
) -> None:
    """Else the other tests would prove nothing."""
    traces = await seed(services, talk := await open_talk(client), parser)
    found = found_in_database(services, traces, conversation=True)
    tables = {place.partition(".")[0] for place in found}
    # A gap names a message, which is there, and goes with it; an update is emptied by what makes a message of it.
    assert tables | {"gaps", "telegram_updates"} == HOLDS_SOMETHING_OF_A_PERSON
    sealed = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if table.name in HOLDS_SOMETHING_OF_A_PERSON and isinstance(column.type, LargeBinary)
    }
    elsewhere = {"conversations.token_hash", "appointments.token_hash", "telegram_updates.body"}
    assert sealed <= found | elsewhere
    await client.delete(talk.path, headers=talk.headers)


async def test_erased_by_the_api_nothing_is_left(
    services: Services, client: httpx.AsyncClient, parser: FakeParser, logs: pytest.LogCaptureFixture
) -> None:
    talk = await open_talk(client)
    traces = await seed(services, talk, parser)
    response = await client.delete(talk.path, headers=talk.headers)
    assert found_in_database(services, traces, conversation=True) == set()
    assert in_logs(logs, traces, conversation=True) == []
    async with services.sessions() as session:
        assert await session.get(Receipt, response.headers["erasure-receipt"]) is not None


@pytest.mark.parametrize("state", ["BOT", "WAITING"])
async def test_erased_in_the_chat_nothing_is_left_but_an_empty_conversation(
    services: Services, client: httpx.AsyncClient, parser: FakeParser, logs: pytest.LogCaptureFixture, state: str
) -> None:
    talk = await open_talk(client)
    traces = await seed(services, talk, parser)
    before = await _conversation(services, traces.conversation)
    if state == "WAITING":
        await talk.press("forget")
        done = await talk.press("forget-now")
    else:
        await put_at_desk(services, traces.conversation, state="BOT")
        parser.learn("cancella tutto", Intent.FORGET)
        parser.learn("sì", Intent.YES)
        await talk.say("cancella tutto")
        done = await talk.say("sì")
    # Where the receipt is to be sent; it goes when that is done (tests/telegram/test_turns.py).
    assert found_in_database(services, traces, conversation=False) == {"telegram_chats.chat"}
    assert in_logs(logs, traces, conversation=False) == []
    now = await _conversation(services, traces.conversation)
    assert (now.place, now.external_id, now.desk_id, now.dialogue) == (None, None, None, {})
    assert (now.forget_on_close, now.forget_at, now.state) == (False, None, "BOT")
    assert now.created_at > before.created_at
    async with services.sessions() as session:
        messages = select(Message.text).where(Message.conversation_id == traces.conversation)
        assert (await session.execute(messages)).scalars().all() == [done["text"]]
        opinions = select(Feedback).where(Feedback.conversation_id == traces.conversation)
        assert (await session.execute(opinions)).first() is None
        jobs = text("SELECT count(*) FROM procrastinate_jobs WHERE args ->> 'conversation_id' = :id")
        assert await session.scalar(jobs, {"id": talk.id}) == 0
        receipt = done["text"].rstrip(".").rsplit(" ", 1)[1]
        assert await session.get(Receipt, receipt) is not None


async def _conversation(services: Services, conversation_id: UUID) -> Conversation:
    async with services.sessions() as session:
        return await session.get_one(Conversation, conversation_id)


@pytest.mark.parametrize(
    "language, words, yes",
    [
        ("it", "cancella i miei dati", "sì"),
        ("en", "delete all my data", "yes"),
        ("fr", "supprimez mes données", "oui"),
        ("ar", "احذف بياناتي", "نعم"),
    ],
)
async def test_words_and_a_yes_erase_in_every_language(
    client: httpx.AsyncClient, parser: FakeParser, language: str, words: str, yes: str
) -> None:
    parser.learn(words, Intent.FORGET)
    parser.learn(yes, Intent.YES)
    talk = await open_talk(client, language)
    await talk.say(words)
    done = await talk.say(yes)
    assert [message["id"] for message in await talk.messages()] == [done["id"]]


async def test_an_administrator_erases_on_the_server_and_gets_the_receipt(
    services: Services, client: httpx.AsyncClient, parser: FakeParser
) -> None:
    talk = await open_talk(client)
    traces = await seed(services, talk, parser)
    said = await asyncio.to_thread(erase_on_server, services.settings, traces.conversation)
    receipt = said.rsplit(" ", 1)[1]
    assert found_in_database(services, traces, conversation=True) == set()
    async with services.sessions() as session:
        assert await session.get(Receipt, receipt) is not None
        noted = text("SELECT count(*) FROM audit_events WHERE action = 'conversation.erased' AND subject = :subject")
        assert await session.scalar(noted, {"subject": f"receipt:{receipt}"}) == 1
    with pytest.raises(StartError, match="no conversation"):
        await asyncio.to_thread(erase_on_server, services.settings, traces.conversation)


async def test_a_visit_to_come_is_cancelled_and_its_time_free_again(
    services: Services, client: httpx.AsyncClient, parser: FakeParser
) -> None:
    talk = await open_talk(client)
    await seed(services, talk, parser)
    mine = text("SELECT id FROM appointments WHERE conversation_id = :id")
    async with services.sessions.begin() as session:
        ids = list((await session.execute(mine, {"id": UUID(talk.id)})).scalars())
    assert len(ids) == 2
    await client.delete(talk.path, headers=talk.headers)
    async with services.sessions.begin() as session:
        left = select(Appointment).where(Appointment.id.in_(ids)).order_by(Appointment.starts)
        rows = (await session.execute(left)).scalars().all()
    assert [row.status for row in rows] == ["done", "cancelled"]
    assert {(row.name, row.token_hash, row.code, row.conversation_id) for row in rows} == {(None,) * 4}


async def test_numbers_stay(services: Services, client: httpx.AsyncClient) -> None:
    async def people() -> int:
        async with services.sessions() as session:
            counts = select(DailyCount.count).where(
                DailyCount.channel == "api", DailyCount.language == "fr", DailyCount.what == "person"
            )
            return sum((await session.execute(counts)).scalars())

    before = await people()
    talk = await open_talk(client, "fr")
    await talk.press("topics")
    await talk.press("help")
    await client.delete(talk.path, headers=talk.headers)
    assert await people() == before + 2
