"""The queue as people at a desk read it: who waits or is being answered, with what identifies somebody hidden."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, func, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only

from backend.access import Staff, access_console, answers_at
from backend.erasure import HELD
from backend.masking import mask
from backend.models import Account, Conversation, Desk, Handover, Message
from backend.operators import entry_title, is_pressed, words_of
from bot.actions import Actions
from bot.phrases import SOURCE

PAGE = 50
_LAST_WORDS = 140
_IN_QUEUE = Conversation.id == Handover.conversation_id
_STANDS = (Conversation.id, Conversation.state, Conversation.language, Conversation.holder_id)
_WORDS = load_only(
    Message.conversation_id,
    Message.author,
    Message.text,
    Message.italian,
    Message.language,
    Message.payload,
    raiseload=True,
)
"""What a line of the queue needs, and not what would be decrypted for nothing."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What of the queue is wanted; None: all that one may see."""

    desk_id: int | None = None
    language: str | None = None
    mine: bool = False
    """Held by me, or passed on to me."""
    ids: tuple[UUID, ...] | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the queue."""

    id: UUID
    state: str
    language: str
    desk: str
    since: datetime
    promised_for: datetime | None
    broken: int
    urgent: bool
    reason: str
    topic: str | None
    wrote_at: datetime | None
    """When the person wrote what nobody has answered yet."""
    holder: str | None
    mine: bool
    for_me: bool
    """A colleague has passed it on to me."""
    last_words: str
    """Of the person, masked and cut, in Italian where there is a translation; empty when nothing was written."""
    last_language: str
    bot_said: str
    """The bot's last answer: title of the entry, or its first words."""


def _queue(staff: Staff, wanted: Filter) -> Any:
    # By the desk of the handover: its index finds the few that are open, also before there are statistics.
    conditions = [
        Handover.closed_at.is_(None),
        answers_at(staff, Handover.desk_id.expression),
        Conversation.state.in_(HELD),
    ]
    if wanted.desk_id is not None:
        conditions.append(Handover.desk_id == wanted.desk_id)
    if wanted.language is not None:
        conditions.append(Conversation.language == wanted.language)
    if wanted.mine:
        conditions.append(or_(Conversation.holder_id == staff.account_id, Handover.offered_to == staff.account_id))
    if wanted.ids is not None:
        conditions.append(Conversation.id.in_(wanted.ids))
    return and_(*conditions)


async def list_queue(
    session: AsyncSession, staff: Staff, wanted: Filter, *, language: str, actions: Actions, page: int = 1
) -> tuple[list[Listed], int]:
    """Who waits or is being answered: the urgent first, then by promise; and how many there are in all.

    Raises Forbidden."""
    access_console(staff)
    where = _queue(staff, wanted)
    query = (
        select(func.count().over(), Handover, Desk.name, Account.name, *_STANDS)
        .join(Conversation, _IN_QUEUE)
        .join(Desk, Desk.id == Handover.desk_id)
        .outerjoin(Account, Account.id == Conversation.holder_id)
        .where(where)
        .order_by(Handover.urgent.desc(), Handover.promised_for.asc().nulls_last(), Handover.asked_at, Handover.id)
        .limit(PAGE)
        .offset((page - 1) * PAGE)
    )
    rows = (await session.execute(query)).all()
    if not rows and page > 1:  # it has become shorter
        counted = select(func.count()).select_from(Handover).join(Conversation, _IN_QUEUE).where(where)
        return [], (await session.execute(counted)).scalar_one()
    ids = [row.id for row in rows]
    last = await _last_messages(session, ids)
    return [
        Listed(
            conversation_id,
            state,
            written,
            desk,
            handover.asked_at,
            handover.promised_for,
            handover.broken,
            handover.urgent,
            handover.reason,
            handover.topic,
            handover.wrote_at,
            holder,
            holder_id == staff.account_id,
            handover.offered_to == staff.account_id,
            *_last_words(last.get((conversation_id, "person")), language, actions),
            _bot_said(last.get((conversation_id, "bot")), actions),
        )
        for _, handover, desk, holder, conversation_id, state, written, holder_id in rows
    ], rows[0][0] if rows else 0


async def count_waiting(session: AsyncSession, staff: Staff) -> tuple[int, int | None]:
    """How many wait for this person's desks, and the newest handover among them; what a tab shows in its title."""
    access_console(staff)
    query = (
        select(func.count(), func.max(Handover.id))
        .select_from(Handover)
        .join(Conversation, _IN_QUEUE)
        .where(_queue(staff, Filter()), Conversation.state == "WAITING")
    )
    count, newest = (await session.execute(query)).one()
    return count, newest


async def _last_messages(session: AsyncSession, ids: list[UUID]) -> dict[tuple[UUID, str], Message]:
    """By conversation and author: the person's last words; of the bot what it said before a person was asked for."""
    if not ids:
        return {}
    chosen = union_all(*(_newest(ids, author, skipped) for author, skipped in (("person", 0), ("bot", 1))))
    query = select(Message).where(Message.id.in_(chosen)).options(_WORDS)
    return {(one.conversation_id, one.author): one for one in (await session.execute(query)).scalars()}


def _newest(ids: list[UUID], author: str, skipped: int) -> Select[int]:
    """Of this author in each conversation, after as many newer ones."""
    newest = (
        select(Message.id)
        .where(Message.conversation_id == Conversation.id, Message.author == author)
        .order_by(Message.id.desc())
        .limit(1)
        .offset(skipped)
        .correlate(Conversation)
        .lateral()
    )
    return select(newest.c.id).select_from(Conversation).join(newest, Conversation.id.in_(ids))


def _last_words(message: Message | None, language: str, actions: Actions) -> tuple[str, str]:
    """The words, and their language."""
    if message is None:
        return "", language
    text, written = message.italian or words_of(message, actions), message.language
    if message.italian or is_pressed(message):
        written = SOURCE
    return _cut(mask(text, language).text), written


def _cut(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _LAST_WORDS else words[:_LAST_WORDS].rstrip() + "…"


def _bot_said(message: Message | None, actions: Actions) -> str:
    if message is None:
        return ""
    return entry_title(message, actions) or _cut(message.text)
