"""What people at a desk read: conversations that were handed to them, with what identifies somebody hidden."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend import audit
from backend.access import Staff, access_console, access_conversation, conversations_within
from backend.attachments import get_attachment
from backend.errors import NotFound
from backend.masking import mask
from backend.models import Attachment, Conversation, Desk, Message
from bot.buttons import label_of
from bot.dialogue import Actions

OPEN_STATES = ("WAITING", "ACTIVE")
MOST_CONVERSATIONS = 200
MOST_MESSAGES = 500
"""The end of a longer conversation."""
_LAST_WORDS = 140
_WRITTEN_BY_THE_SERVICE = frozenset({"bot", "system"})


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the list."""

    id: UUID
    language: str
    since: datetime
    state: str
    desk: str
    messages: int
    last_words: str
    """Of the person, masked and cut; empty when nothing was written."""


@dataclass(frozen=True, slots=True)
class ReadMessage:
    id: int
    author: str
    language: str
    text: str
    hidden: bool
    """Whether something in the text is hidden, and can be asked for."""
    attachments: tuple[dict[str, Any], ...]
    """`id`, `kind`, `media_type`, `size`."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ReadConversation:
    id: UUID
    language: str
    since: datetime
    state: str
    desk: str
    messages: tuple[ReadMessage, ...]


async def list_conversations(session: AsyncSession, staff: Staff, *, language: str, actions: Actions) -> list[Listed]:
    """Those that wait for this person or are being answered, the newest last. Raises Forbidden."""
    access_console(staff)
    count = select(func.count()).where(Message.conversation_id == Conversation.id).scalar_subquery()
    query = (
        select(Conversation, Desk.name, count)
        .join(Desk, Desk.id == Conversation.desk_id)
        .where(conversations_within(staff), Conversation.state.in_(OPEN_STATES))
        .order_by(Conversation.created_at, Conversation.id)
        .limit(MOST_CONVERSATIONS)
    )
    rows = (await session.execute(query)).all()
    last = await _last_messages(session, [one.id for one, _, _ in rows])
    return [
        Listed(
            one.id,
            one.language,
            one.created_at,
            one.state,
            desk,
            messages,
            _last_words(last.get(one.id), language, actions),
        )
        for one, desk, messages in rows
    ]


async def _last_messages(session: AsyncSession, ids: list[UUID]) -> dict[UUID, Message]:
    newest = (
        select(func.max(Message.id))
        .where(Message.conversation_id.in_(ids), Message.author == "person")
        .group_by(Message.conversation_id)
    )
    query = select(Message).where(Message.id.in_(newest))
    return {message.conversation_id: message for message in (await session.execute(query)).scalars()}


def _last_words(message: Message | None, language: str, actions: Actions) -> str:
    if message is None:
        return ""
    words = " ".join(mask(_words(message, actions), language).text.split())
    return words if len(words) <= _LAST_WORDS else words[:_LAST_WORDS].rstrip() + "…"


def _words(message: Message, actions: Actions) -> str:
    """What was written; of a pressed button what stood on it."""
    if message.text or "choice" not in message.payload:
        return message.text
    return label_of(message.payload["choice"], message.language, actions.find_entry)


async def read_conversation(
    session: AsyncSession, staff: Staff, conversation_id: UUID, *, language: str, actions: Actions
) -> ReadConversation:
    """With everything hidden that identifies somebody. Raises Forbidden, NotFound."""
    conversation = await access_conversation(session, staff, conversation_id)
    desk = await _desk(session, conversation)
    newest = (
        select(Message)
        .where(Message.conversation_id == conversation.id)
        .order_by(Message.id.desc())
        .limit(MOST_MESSAGES)
    )
    messages = reversed((await session.execute(newest)).scalars().all())
    return ReadConversation(
        conversation.id,
        conversation.language,
        conversation.created_at,
        conversation.state,
        desk.name,
        tuple(_read(message, language, actions) for message in messages),
    )


def _read(message: Message, language: str, actions: Actions) -> ReadMessage:
    """What the service itself wrote names offices, not people: their numbers stay."""
    text, hidden = _words(message, actions), False
    if message.author not in _WRITTEN_BY_THE_SERVICE:
        masked = mask(text, language)
        text, hidden = masked.text, masked.hidden
    files = tuple(message.payload.get("attachments", ()))
    return ReadMessage(message.id, message.author, message.language, text, hidden, files, message.created_at)


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
