"""What is known of a person, and for how long: the answer to «what do you know about me?», and the end of keeping."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, delete, exists, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend import audit
from backend.config import Settings
from backend.db import Sessions, Writer, retried
from backend.erasure import EXPECTED, FORGET_AFTER, HELD, erase
from backend.models import (
    AccountLink,
    Appointment,
    Attachment,
    AuditEvent,
    Base,
    Ceremony,
    Conversation,
    Feedback,
    Message,
    Receipt,
    StaffSession,
    TelegramUpdate,
    WaitingPlace,
)
from bot.phrases import say
from bot.privacy import forgetting_text, known_text
from bot.turn import Keeping, Known, Reply

BATCH = 500
UPDATE_DAYS = 2
"""Telegram brings an update again for a day at most."""
EMPTY_DAYS = 2
"""A page opened and left without a word keeps nothing worth keeping."""
_ROME = ZoneInfo("Europe/Rome")
_FORGET_AFTER_CLOSING = text("interval '60 seconds'")
"""Long enough for a page that is only loaded again to say that it is still there."""

# ---- what is known ----


async def find_known(session: Writer, conversation_id: UUID, keeping: Keeping) -> Known:
    """Today's numbers of a conversation that exists."""
    own = (Message.conversation_id == conversation_id, Message.author == "person")
    # Times that were looked at and left again have no name.
    booked = (Appointment.conversation_id == conversation_id, Appointment.name.is_not(None))
    visits = select(func.count()).where(*booked)
    columns = (
        select(func.count()).where(*own).scalar_subquery().label("messages"),
        select(func.min(Message.created_at)).where(*own).scalar_subquery().label("since"),
        select(func.count()).where(Feedback.conversation_id == conversation_id).scalar_subquery().label("opinions"),
        select(func.count())
        .select_from(Attachment)
        .join(Message, Message.id == Attachment.message_id)
        .where(Message.conversation_id == conversation_id)
        .scalar_subquery()
        .label("attachments"),
        visits.scalar_subquery().label("visits"),
        select(func.count()).where(WaitingPlace.conversation_id == conversation_id).scalar_subquery().label("waiting"),
        Conversation.language,
        Conversation.place,
        Conversation.active_at,
        Conversation.forget_on_close,
    )
    row = (await session.execute(select(*columns).where(Conversation.id == conversation_id))).one()
    return Known(
        messages=row.messages,
        since=row.since.astimezone(_ROME).date() if row.since else None,
        language=row.language,
        place=row.place,
        opinions=row.opinions,
        attachments=row.attachments,
        until=(row.active_at.astimezone(_ROME) + timedelta(days=keeping.days)).date(),
        forgets=row.forget_on_close,
        visits=row.visits,
        waiting=row.waiting,
    )


async def tell(session: Writer, conversation_id: UUID, reply: Reply, keeping: Keeping) -> str:
    """The text of a reply that speaks of what is stored (`Reply.tells`); does what it says."""
    if reply.tells == "forget_on_close":
        forgets = await turn_forgetting(session, conversation_id)
        return forgetting_text(reply.language, forgets, keeping)
    if reply.tells == "forget":
        expected = await session.scalar(select(Conversation.id).where(Conversation.id == conversation_id, EXPECTED))
        return f"{reply.text} {say(reply.language, 'forget.ask_visits')}" if expected else reply.text
    # The turn that asks is a use of the conversation, which is kept from now on.
    await session.execute(update(Conversation).where(Conversation.id == conversation_id).values(active_at=func.now()))
    return known_text(reply.language, await find_known(session, conversation_id, keeping))


# ---- forgotten when the page is closed ----


async def turn_forgetting(session: Writer, conversation_id: UUID, *, on: bool | None = None) -> bool:
    """Sets it, or without `on` the other way round; returns what holds now."""
    wanted: Any = Conversation.forget_on_close.is_(False) if on is None else on
    changed = await session.execute(
        update(Conversation)
        .where(Conversation.id == conversation_id)
        .values(forget_on_close=wanted)
        .returning(Conversation.forget_on_close)
    )
    forgets = bool(changed.scalar_one())
    await session.execute(
        update(Conversation)
        .where(Conversation.id == conversation_id)
        .values(forget_at=func.now() + FORGET_AFTER if forgets else None)
    )
    return forgets


async def page_closed(sessions: Sessions, conversation_id: UUID, key: bytes) -> None:
    """A minute from now it is erased, if that was wished for and nothing of it is asked for any more.

    Raises Unavailable."""
    own = (Conversation.id == conversation_id, Conversation.token_hash == key, Conversation.forget_on_close)

    async def work() -> None:
        async with sessions.begin() as session:
            await session.execute(update(Conversation).where(*own).values(forget_at=func.now() + _FORGET_AFTER_CLOSING))

    await retried(work)


async def erase_forgotten(sessions: Sessions) -> int:
    """Conversations whose time came after their page was closed."""
    return await _erase_where(sessions, Conversation.forget_at < func.now())


# ---- retention ----


async def enforce_retention(sessions: Sessions, settings: Settings, *, now: datetime) -> dict[str, int]:
    """Erases whatever has reached its age, in batches; returns how much of each. Writes one line into the audit log.

    Raises Unavailable."""
    unused = now - timedelta(days=settings.keep_conversations_days)
    erased = {
        "conversations": await _erase_where(sessions, *_unused_since(unused)),
        "empty_conversations": await _erase_where(sessions, *_never_used_since(now - timedelta(days=EMPTY_DAYS))),
    }
    for name, table, too_old in _rows_of_age(settings, now):
        erased[name] = await _delete_where(sessions, table, too_old)
    async with sessions.begin() as session:
        await audit.record(session, "retention.ran", "service", account_id=None, **erased)
    return erased


def _unused_since(moment: datetime) -> tuple[ColumnElement[bool], ...]:
    newer = exists().where(Message.conversation_id == Conversation.id, Message.created_at >= moment)
    return (Conversation.active_at < moment, ~newer, ~EXPECTED)


def _never_used_since(moment: datetime) -> tuple[ColumnElement[bool], ...]:
    written = exists().where(Message.conversation_id == Conversation.id, Message.author == "person")
    return (Conversation.active_at < moment, ~written, ~EXPECTED)


def _rows_of_age(settings: Settings, now: datetime) -> tuple[tuple[str, type[Base], ColumnElement[bool]], ...]:
    audited, receipted = timedelta(days=settings.keep_audit_days), timedelta(days=settings.keep_receipts_days)
    return (
        ("audit_events", AuditEvent, AuditEvent.at < now - audited),
        ("receipts", Receipt, Receipt.erased_at < now - receipted),
        ("staff_sessions", StaffSession, StaffSession.expires_at < now),
        ("account_links", AccountLink, AccountLink.expires_at < now),
        ("ceremonies", Ceremony, Ceremony.expires_at < now),
        (
            "telegram_updates",
            TelegramUpdate,
            and_(TelegramUpdate.body.is_(None), TelegramUpdate.received_at < now - timedelta(days=UPDATE_DAYS)),
        ),
        ("waiting_places", WaitingPlace, WaitingPlace.last_day < (now - timedelta(days=1)).date()),
        ("appointments", Appointment, Appointment.ends < now - timedelta(days=settings.keep_conversations_days)),
    )


async def _erase_where(sessions: Sessions, *conditions: ColumnElement[bool]) -> int:
    """A conversation somebody is writing in at this moment is passed over until the next time."""
    query = (
        select(Conversation.id)
        .where(Conversation.state.not_in(HELD), *conditions)
        .order_by(Conversation.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )

    async def batch(session: AsyncSession) -> int:
        ids = (await session.execute(query)).scalars().all()
        if ids:
            await erase(session, ids)
        return len(ids)

    return await _in_batches(sessions, batch)


async def _delete_where(sessions: Sessions, table: type[Base], too_old: ColumnElement[bool]) -> int:
    key = table.__mapper__.primary_key[0]
    chosen = select(key).where(too_old).order_by(key).limit(BATCH).with_for_update(skip_locked=True)

    async def batch(session: AsyncSession) -> int:
        gone = await session.execute(delete(table).where(key.in_(chosen)))
        return int(gone.rowcount)  # type: ignore[attr-defined]

    return await _in_batches(sessions, batch)


async def _in_batches(sessions: Sessions, batch: Callable[[AsyncSession], Awaitable[int]]) -> int:
    """Each in a short transaction of its own, so that nobody who writes has to wait. Raises Unavailable."""

    async def work() -> int:
        async with sessions.begin() as session:
            return await batch(session)

    done = 0
    while True:
        count = await retried(work)
        done += count
        if count < BATCH:
            return done
