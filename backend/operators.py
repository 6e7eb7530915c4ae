"""What people at a desk read: the queue, and conversations that are with them, with what identifies somebody hidden."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend import audit
from backend.access import Staff, access_conversation
from backend.attachments import get_attachment
from backend.errors import NotFound
from backend.masking import mask
from backend.models import Account, Attachment, Conversation, Desk, Handover, Message, Note
from bot.actions import Actions
from bot.buttons import label_of
from bot.phrases import SOURCE

MOST_MESSAGES = 500
"""The end of a longer conversation."""
_WRITTEN_BY_THE_SERVICE = frozenset({"bot", "system"})


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


def entry_title(message: Message, actions: Actions) -> str | None:
    """Of the entry that was shown with it."""
    entry = actions.find_entry(message.payload["entry"]) if "entry" in message.payload else None
    found = entry.text_for(SOURCE) if entry else None
    return found[1].title if found else None


def words_of(message: Message, actions: Actions) -> str:
    """What was written; of a pressed button what stands on it in Italian."""
    if not is_pressed(message):
        return message.text
    return label_of(message.payload["choice"], SOURCE, actions.find_entry)


def is_pressed(message: Message) -> bool:
    """A button, and nothing was written."""
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
    query = (
        select(Desk.name, Account.name, Handover)
        .select_from(Desk)
        .outerjoin(Account, Account.id == conversation.holder_id)
        .outerjoin(Handover, Handover.conversation_id == conversation.id)
        .where(Desk.id == conversation.desk_id)
        .order_by(Handover.id.desc().nulls_last())
        .limit(1)
    )
    row = (await session.execute(query)).one_or_none()
    if row is None or conversation.desk_id is None:  # the desk is gone meanwhile
        raise NotFound
    desk, holder, handover = row
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
        desk,
        conversation.desk_id,
        conversation.holder_id,
        holder,
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


async def list_versions(
    session: AsyncSession, conversation_id: UUID, *, most: int, upto: int = 2**62
) -> dict[int, tuple[Any, ...]]:
    """Of the last messages, up to this id, of a conversation that was let into: what may still change on a screen."""
    query = (
        select(Message.id, Message.italian.is_not(None), Message.delivered_at, Message.failure)
        .where(Message.conversation_id == conversation_id, Message.id <= upto)
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
    text, italian, hidden = words_of(message, actions), message.italian, False
    if message.author not in _WRITTEN_BY_THE_SERVICE:
        masked = mask(text, language)
        text, hidden = masked.text, masked.hidden
        if italian is not None:
            italian = mask(italian, language).text
    return ReadMessage(
        message.id,
        message.author,
        SOURCE if is_pressed(message) else message.language,
        text,
        mask(message.original, language).text if message.original is not None else None,
        italian,
        entry_title(message, actions),
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
    return words_of(message, actions)


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
