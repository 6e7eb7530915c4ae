"""What people at a desk read: the queue, and conversations that are with them, with what identifies somebody hidden."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only

from backend import audit
from backend.access import Staff, access_console, access_conversation, answers_at
from backend.attachments import get_attachment
from backend.erasure import HELD
from backend.errors import NotFound
from backend.masking import mask
from backend.models import Account, Attachment, Conversation, Desk, Handover, Message, Note
from bot.buttons import label_of
from bot.dialogue import Actions
from bot.phrases import SOURCE

PAGE = 50
MOST_MESSAGES = 500
"""The end of a longer conversation."""
_LAST_WORDS = 140
_STANDS = (Conversation.id, Conversation.state, Conversation.language, Conversation.holder_id)
_WORDS = load_only(
    Message.conversation_id, Message.text, Message.italian, Message.language, Message.payload, raiseload=True
)
"""What a line of the queue needs, and not what would be decrypted for nothing."""
_WRITTEN_BY_THE_SERVICE = frozenset({"bot", "system"})


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


@dataclass(frozen=True, slots=True)
class ReadMessage:
    id: int
    author: str
    language: str
    text: str
    original: str | None
    """Of an operator's message that was translated: what was written."""
    italian: str | None
    """Of a person's message: machine translation, masked like the text."""
    entry: str | None
    """Title of the entry that was shown with it."""
    hidden: bool
    """Whether something in the text is hidden, and can be asked for."""
    attachments: tuple[dict[str, Any], ...]
    """`id`, `kind`, `media_type`, `size`."""
    created_at: datetime
    written_by: str | None
    """Name of the colleague who wrote it."""
    delivered_at: datetime | None
    failure: str | None


@dataclass(frozen=True, slots=True)
class ReadNote:
    id: int
    name: str | None
    text: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ReadConversation:
    id: UUID
    channel: str
    language: str
    since: datetime
    state: str
    desk: str
    desk_id: int
    holder_id: UUID | None
    holder: str | None
    mine: bool
    promised_for: datetime | None
    broken: int
    reason: str | None
    urgent: bool
    topic: str | None
    helped: bool | None
    messages: tuple[ReadMessage, ...]
    notes: tuple[ReadNote, ...]


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
    joined = select(func.count()).select_from(Handover).join(Conversation, Conversation.id == Handover.conversation_id)
    total = (await session.execute(joined.where(where))).scalar_one()
    query = (
        select(Handover, Desk.name, Account.name, *_STANDS)
        .join(Conversation, Conversation.id == Handover.conversation_id)
        .join(Desk, Desk.id == Handover.desk_id)
        .outerjoin(Account, Account.id == Conversation.holder_id)
        .where(where)
        .order_by(Handover.urgent.desc(), Handover.promised_for.asc().nulls_last(), Handover.asked_at, Handover.id)
        .limit(PAGE)
        .offset((page - 1) * PAGE)
    )
    rows = (await session.execute(query)).all()
    ids = [row.id for row in rows]
    last, said = await _last_messages(session, ids, "person"), await _last_messages(session, ids, "bot")
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
            *_last_words(last.get(conversation_id), language, actions),
            _bot_said(said.get(conversation_id), actions),
        )
        for handover, desk, holder, conversation_id, state, written, holder_id in rows
    ], total


async def count_waiting(session: AsyncSession, staff: Staff) -> tuple[int, int | None]:
    """How many wait for this person's desks, and the newest handover among them; what a tab shows in its title."""
    access_console(staff)
    query = (
        select(func.count(), func.max(Handover.id))
        .select_from(Handover)
        .join(Conversation, Conversation.id == Handover.conversation_id)
        .where(_queue(staff, Filter()), Conversation.state == "WAITING")
    )
    count, newest = (await session.execute(query)).one()
    return count, newest


async def _last_messages(session: AsyncSession, ids: list[UUID], author: str) -> dict[UUID, Message]:
    """The newest of this author in each conversation; of the bot what it said before a person was asked for."""
    newest = (
        select(Message.id)
        .where(Message.conversation_id == Conversation.id, Message.author == author)
        .order_by(Message.id.desc())
        .limit(1)
        .offset(1 if author == "bot" else 0)
        .correlate(Conversation)
        .lateral()
    )
    chosen = select(newest.c.id).select_from(Conversation).join(newest, Conversation.id.in_(ids))
    query = select(Message).where(Message.id.in_(chosen)).options(_WORDS)
    return {message.conversation_id: message for message in (await session.execute(query)).scalars()}


def _last_words(message: Message | None, language: str, actions: Actions) -> tuple[str, str]:
    """The words, and their language."""
    if message is None:
        return "", language
    text, written = message.italian or _words(message, actions), message.language
    if message.italian or _pressed(message):
        written = SOURCE
    return _cut(mask(text, language).text), written


def _cut(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _LAST_WORDS else words[:_LAST_WORDS].rstrip() + "…"


def _bot_said(message: Message | None, actions: Actions) -> str:
    if message is None:
        return ""
    return _entry_title(message, actions) or _cut(message.text)


def _entry_title(message: Message, actions: Actions) -> str | None:
    entry = actions.find_entry(message.payload["entry"]) if "entry" in message.payload else None
    found = entry.text_for(SOURCE) if entry else None
    return found[1].title if found else None


def _words(message: Message, actions: Actions) -> str:
    """What was written; of a pressed button what stands on it in Italian."""
    if not _pressed(message):
        return message.text
    return label_of(message.payload["choice"], SOURCE, actions.find_entry)


def _pressed(message: Message) -> bool:
    return not message.text and "choice" in message.payload


async def read_conversation(
    session: AsyncSession,
    staff: Staff,
    conversation_id: UUID,
    *,
    language: str,
    actions: Actions,
    with_messages: bool = True,
) -> ReadConversation:
    """With everything hidden that identifies somebody. Raises Forbidden, NotFound."""
    conversation = await access_conversation(session, staff, conversation_id)
    desk = await _desk(session, conversation)
    latest = select(Handover).where(Handover.conversation_id == conversation.id).order_by(Handover.id.desc()).limit(1)
    handover = (await session.execute(latest)).scalar_one_or_none()
    notes = (
        select(Note, Account.name)
        .outerjoin(Account, Account.id == Note.account_id)
        .where(Note.conversation_id == conversation.id)
        .order_by(Note.id)
    )
    return ReadConversation(
        conversation.id,
        conversation.channel,
        conversation.language,
        handover.asked_at if handover else conversation.created_at,
        conversation.state,
        desk.name,
        desk.id,
        conversation.holder_id,
        await session.scalar(select(Account.name).where(Account.id == conversation.holder_id)),
        conversation.holder_id == staff.account_id,
        handover.promised_for if handover else None,
        handover.broken if handover else 0,
        handover.reason if handover else None,
        handover.urgent if handover else False,
        handover.topic if handover else None,
        handover.helped if handover else None,
        await read_messages(session, conversation.id, language=language, actions=actions) if with_messages else (),
        tuple(ReadNote(note.id, name, note.text, note.created_at) for note, name in await session.execute(notes)),
    )


async def list_versions(session: AsyncSession, conversation_id: UUID, *, most: int) -> dict[int, tuple[Any, ...]]:
    """Of the last messages of a conversation that was let into: what may still change on a screen, not the words."""
    query = (
        select(Message.id, Message.italian.is_not(None), Message.delivered_at, Message.failure)
        .where(Message.conversation_id == conversation_id)
        .order_by(Message.id.desc())
        .limit(most)
    )
    rows = (await session.execute(query)).all()
    return {row[0]: tuple(row[1:]) for row in reversed(rows)}


async def read_messages(
    session: AsyncSession, conversation_id: UUID, *, language: str, actions: Actions, ids: Sequence[int] | None = None
) -> tuple[ReadMessage, ...]:
    """Of a conversation that was let into, in order; the last ones of a long one, or those that are named."""
    wanted = [Message.conversation_id == conversation_id] + ([] if ids is None else [Message.id.in_(ids)])
    newest = (
        select(Message, Account.name)
        .outerjoin(Account, Account.id == Message.written_by)
        .where(*wanted)
        .order_by(Message.id.desc())
        .limit(MOST_MESSAGES)
    )
    rows = reversed((await session.execute(newest)).all())
    return tuple(as_read(message, name, language, actions) for message, name in rows)


def as_read(message: Message, written_by: str | None, language: str, actions: Actions) -> ReadMessage:
    """What the service itself wrote names offices, not people: their numbers stay."""
    text, italian, hidden = _words(message, actions), message.italian, False
    if message.author not in _WRITTEN_BY_THE_SERVICE:
        masked = mask(text, language)
        text, hidden = masked.text, masked.hidden
        if italian is not None:
            italian = mask(italian, language).text
    return ReadMessage(
        message.id,
        message.author,
        SOURCE if _pressed(message) else message.language,
        text,
        mask(message.original, language).text if message.original is not None else None,
        italian,
        _entry_title(message, actions),
        hidden,
        tuple(message.payload.get("attachments", ())),
        message.created_at,
        written_by,
        message.delivered_at,
        message.failure,
    )


async def show_message(
    session: AsyncSession, staff: Staff, conversation_id: UUID, message_id: int, *, actions: Actions
) -> str:
    """One message as it was written; who read it is recorded. Raises Forbidden, NotFound."""
    conversation = await access_conversation(session, staff, conversation_id)
    query = select(Message).where(Message.id == message_id, Message.conversation_id == conversation.id)
    message = (await session.execute(query)).scalar_one_or_none()
    if message is None:
        raise NotFound
    await _record(session, staff, conversation, "message.shown", f"message:{message.id}")
    return _words(message, actions)


async def show_attachment(
    session: AsyncSession, staff: Staff, conversation_id: UUID, attachment_id: UUID
) -> Attachment:
    """A file of a conversation; who opened it is recorded. Raises Forbidden, NotFound."""
    conversation = await access_conversation(session, staff, conversation_id)
    attachment = await get_attachment(session, conversation.id, attachment_id)
    await _record(session, staff, conversation, "attachment.shown", f"attachment:{attachment.id}")
    return attachment


async def _record(session: AsyncSession, staff: Staff, conversation: Conversation, action: str, subject: str) -> None:
    desk = await _desk(session, conversation)
    await audit.record(
        session, action, subject, account_id=staff.account_id, organisation_id=desk.organisation_id, desk=desk.id
    )


async def _desk(session: AsyncSession, conversation: Conversation) -> Desk:
    """Where it was handed to. Raises NotFound when the desk is gone meanwhile."""
    desk = await session.get(Desk, conversation.desk_id) if conversation.desk_id is not None else None
    if desk is None:
        raise NotFound
    return desk
