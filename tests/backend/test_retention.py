"""What has reached its age goes by itself; what has not, and what somebody waits for, stays."""

import logging
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.dialects.postgresql import Range

from backend import people
from backend.conversations import erase_conversation, open_conversation
from backend.models import (
    AccountLink,
    Appointment,
    AuditEvent,
    Ceremony,
    Conversation,
    DailyCount,
    Message,
    Receipt,
    StaffSession,
    WaitingPlace,
)
from backend.people import enforce_retention
from backend.services import Services
from backend.worker import create_jobs
from tests.appointments import make_place, rome
from tests.handovers import put_at_desk
from tests.staff import make_account


def ago(**age: float) -> datetime:
    return datetime.now(UTC) - timedelta(**age)


async def talk(services: Services, when: datetime, *, written: bool = True, state: str = "BOT", **more: Any) -> UUID:
    """A conversation whose last sign of life was then."""
    opened = await open_conversation(services.sessions, channel=more.pop("channel", "web"), language="it")
    async with services.sessions.begin() as session:
        if written:
            await session.execute(
                insert(Message).values(conversation_id=opened.id, author="person", language="it", text="ciao")
            )
        await session.execute(update(Message).where(Message.conversation_id == opened.id).values(created_at=when))
        own = update(Conversation).where(Conversation.id == opened.id)
        await session.execute(own.values(active_at=when, created_at=when, **more))
    if state != "BOT":
        await put_at_desk(services, opened.id, state=state)
    return opened.id


async def is_there(services: Services, conversation_id: UUID) -> bool:
    async with services.sessions() as session:
        return await session.get(Conversation, conversation_id) is not None


async def enforce(services: Services) -> dict[str, int]:
    return await enforce_retention(services.sessions, services.settings, now=services.now())


async def test_conversations_go_when_nobody_used_them_for_the_set_time(services: Services) -> None:
    days = services.settings.keep_conversations_days
    old, closed = await talk(services, ago(days=days, hours=1)), await talk(services, ago(days=400), state="CLOSED")
    young = await talk(services, ago(days=days - 1))
    waiting, active = [await talk(services, ago(days=400), state=state) for state in ("WAITING", "ACTIVE")]
    counted = await enforce(services)
    assert counted["conversations"] >= 2
    here = [await is_there(services, one) for one in (old, closed, young, waiting, active)]
    assert here == [False, False, True, True, True]


async def test_a_conversation_with_a_new_message_is_not_unused(services: Services) -> None:
    answered = await talk(services, ago(days=200))
    async with services.sessions.begin() as session:
        values = {"conversation_id": answered, "author": "operator", "language": "it", "text": "eccomi"}
        await session.execute(insert(Message).values(**values))
    await enforce(services)
    assert await is_there(services, answered)


async def test_conversations_in_which_nobody_wrote_go_after_two_days(services: Services) -> None:
    old, young = await talk(services, ago(days=3), written=False), await talk(services, ago(days=1), written=False)
    used = await talk(services, ago(days=3))
    await enforce(services)
    assert [await is_there(services, one) for one in (old, young, used)] == [False, True, True]


async def test_whoever_has_a_visit_to_come_is_not_forgotten_before_it(services: Services) -> None:
    place, start = await make_place(services.sessions), rome(2, 10)
    coming, silent = await talk(services, ago(days=300)), await talk(services, ago(days=3), written=False)
    over, cancelled = await talk(services, ago(days=300)), await talk(services, ago(days=300))
    await place.book(start, conversation_id=coming)
    await place.book(rome(2, 11), conversation_id=silent)
    for one, values in ((over, {"starts": ago(days=2), "ends": ago(days=2, minutes=-30)}), (cancelled, {})):
        made = (await place.book(rome(3, 10 + bool(values)), conversation_id=one)).visit
        async with services.sessions.begin() as session:
            own = update(Appointment).where(Appointment.id == made.id)
            blocked = {"blocked": Range(values["starts"], values["ends"])} if values else {"status": "cancelled"}
            await session.execute(own.values(**values, **blocked))
    await enforce(services)
    assert [await is_there(services, one) for one in (coming, silent, over, cancelled)] == [True, True, False, False]


async def test_whoever_waits_for_a_day_that_is_past_does_not_wait_any_more(services: Services) -> None:
    place, waits = await make_place(services.sessions), await talk(services, ago(days=1))
    today = datetime.now(UTC).date()
    for days, kind in ((-3, place.kind), (0, await place.add_kind()), (None, await place.add_kind())):
        last = None if days is None else today + timedelta(days=days)
        wish = {"conversation_id": waits, "kind_id": kind, "language": "it", "interpreter": False, "last_day": last}
        await place.add(WaitingPlace(**wish))
    assert (await enforce(services))["waiting_places"] == 1
    async with services.sessions() as session:
        left = select(WaitingPlace.last_day).where(WaitingPlace.conversation_id == waits)
        assert set((await session.execute(left)).scalars()) == {today, None}


async def test_records_go_when_their_time_is_over(services: Services) -> None:
    settings = services.settings
    old_audit, old_receipt = ago(days=settings.keep_audit_days + 1), ago(days=settings.keep_receipts_days + 1)
    marks = {"old": uuid4().hex, "young": uuid4().hex}
    account = await make_account(services)
    async with services.sessions.begin() as session:
        for mark, audited, erased, expires in (
            (marks["old"], old_audit, old_receipt, ago(minutes=1)),
            (marks["young"], ago(days=29), ago(days=29), ago(hours=-1)),
        ):
            key = mark.encode()
            subject = {"account_id": account, "expires_at": expires}
            await session.execute(insert(AuditEvent).values(at=audited, action="test.made", subject=mark))
            await session.execute(insert(Receipt).values(id=mark, erased_at=erased))
            await session.execute(insert(AccountLink).values(token_hash=key, **subject))
            await session.execute(insert(Ceremony).values(token_hash=key, kind="test", data={"a": 1}, **subject))
            session.add(StaffSession(token_hash=key, complete=True, browser="Test", **subject))
    counted = await enforce(services)
    async with services.sessions() as session:
        for column in (AuditEvent.subject, Receipt.id):
            left = (await session.execute(select(column).where(column.in_(marks.values())))).scalars().all()
            assert left == [marks["young"]]
        for table in (AccountLink, Ceremony, StaffSession):
            keys = [mark.encode() for mark in marks.values()]
            left = await session.execute(select(table.token_hash).where(table.token_hash.in_(keys)))
            assert left.scalars().all() == [marks["young"].encode()]
    assert all(
        counted[what] >= 1 for what in ("audit_events", "receipts", "staff_sessions", "account_links", "ceremonies")
    )


async def test_many_are_erased_in_batches_and_all_of_them(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "BATCH", 3)
    many = [await talk(services, ago(days=300)) for _ in range(7)]
    receipts = [uuid4().hex for _ in range(7)]
    async with services.sessions.begin() as session:
        await session.execute(insert(Receipt), [{"id": one, "erased_at": ago(days=900)} for one in receipts])
    counted = await enforce(services)
    assert not any([await is_there(services, one) for one in many])
    assert counted["conversations"] >= 7
    assert counted["receipts"] >= 7


async def test_a_conversation_somebody_is_writing_in_waits_until_the_next_time(services: Services) -> None:
    busy = await talk(services, ago(days=300))
    async with services.sessions.begin() as session:
        await session.execute(text("SELECT FROM conversations WHERE id = :id FOR NO KEY UPDATE"), {"id": busy})
        await enforce(services)
    assert await is_there(services, busy)
    await enforce(services)
    assert not await is_there(services, busy)


async def count_of(services: Services, day: date, channel: str) -> dict[str, int]:
    async with services.sessions() as session:
        rows = await session.execute(
            select(DailyCount.what, func.sum(DailyCount.count))
            .where(DailyCount.day == day, DailyCount.channel == channel, DailyCount.language == "it")
            .group_by(DailyCount.what)
        )
        return {what: int(count) for what, count in rows}


async def test_numbers_outlive_what_was_erased_on_the_day_it_was_in_rome(services: Services) -> None:
    channel = f"test-{uuid4().hex[:8]}"
    late = datetime(2024, 7, 1, 22, 30, tzinfo=UTC)  # half past midnight in Rome
    await talk(services, late, channel=channel)
    await talk(services, late, channel=channel)
    await talk(services, late, channel=channel, written=False)
    await enforce(services)
    # The greetings count as messages of the bot; a conversation counts when a person wrote in it.
    assert await count_of(services, date(2024, 7, 2), channel) == {"conversation": 2, "person": 2, "bot": 3}


async def test_numbers_outlive_what_a_person_erased(services: Services) -> None:
    channel = f"test-{uuid4().hex[:8]}"
    opened = await open_conversation(services.sessions, channel=channel, language="it")
    async with services.sessions.begin() as session:
        values = {"conversation_id": opened.id, "author": "person", "language": "it", "text": "ciao"}
        await session.execute(insert(Message).values(**values, created_at=datetime(2024, 1, 5, 12, tzinfo=UTC)))
        own = update(Conversation).where(Conversation.id == opened.id)
        await session.execute(own.values(created_at=datetime(2024, 1, 5, 12, tzinfo=UTC)))
    await erase_conversation(services.sessions, opened.id, opened.token)
    assert await count_of(services, date(2024, 1, 5), channel) == {"conversation": 1, "person": 1}


async def test_the_daily_job_says_how_many_in_the_log_and_in_the_audit_log(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    await talk(services, ago(days=300))
    jobs = create_jobs(services)
    async with jobs.open_async():
        with caplog.at_level(logging.INFO, "backend.worker"):
            await jobs.tasks["retention"](timestamp=0)
    assert "1 conversations" in caplog.text
    async with services.sessions() as session:
        query = select(AuditEvent).where(AuditEvent.action == "retention.ran").order_by(AuditEvent.id.desc()).limit(1)
        event = (await session.execute(query)).scalar_one()
    assert event.account_id is None
    assert event.details["conversations"] == 1
