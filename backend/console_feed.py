"""What a program that stands for an operator reads again and again: messages in order, how a conversation stands."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.access import Staff, access_conversation
from backend.models import Account, Desk, Handover, Message
from backend.operators import ReadMessage, as_read
from bot.dialogue import Actions

PAGE = 100


@dataclass(frozen=True, slots=True)
class Standing:
    """How a conversation stands."""

    id: UUID
    state: str
    language: str
    desk_id: int | None
    desk: str | None
    holder: str | None
    mine: bool
    since: datetime
    promised_for: datetime | None
    broken: int
    urgent: bool
    reason: str | None
    topic: str | None
    helped: bool | None


async def read_after(
    session: AsyncSession, conversation_id: UUID, *, language: str, actions: Actions, after: int = 0
) -> tuple[ReadMessage, ...]:
    """The oldest first, so that whoever asks on with the last id misses nothing; at most `PAGE`. Of a conversation that
    was let into. Ids grow in the order of commits: whoever writes a message has locked the conversation."""
    query = _messages(conversation_id).where(Message.id > after).order_by(Message.id).limit(PAGE)
    return tuple(as_read(message, name, language, actions) for message, name in (await session.execute(query)).all())


async def read_before(
    session: AsyncSession, conversation_id: UUID, *, language: str, actions: Actions, upto: int, most: int
) -> tuple[ReadMessage, ...]:
    """The last ones up to this id and with it, in order: their translation or delivery may have come since."""
    query = _messages(conversation_id).where(Message.id <= upto).order_by(Message.id.desc()).limit(most)
    rows = reversed((await session.execute(query)).all())
    return tuple(as_read(message, name, language, actions) for message, name in rows)


def _messages(conversation_id: UUID) -> Select[Message, str]:
    return (
        select(Message, Account.name)
        .outerjoin(Account, Account.id == Message.written_by)
        .where(Message.conversation_id == conversation_id)
    )


async def read_standing(session: AsyncSession, staff: Staff, conversation_id: UUID) -> Standing:
    """Raises Forbidden, NotFound."""
    conversation = await access_conversation(session, staff, conversation_id)
    query = (
        select(Handover, Desk.name, Account.name)
        .select_from(Handover)
        .outerjoin(Desk, Desk.id == conversation.desk_id)
        .outerjoin(Account, Account.id == conversation.holder_id)
        .where(Handover.conversation_id == conversation.id)
        .order_by(Handover.id.desc())
        .limit(1)
    )
    row = (await session.execute(query)).one_or_none()
    handover, desk, holder = row if row else (None, None, None)
    return Standing(
        conversation.id,
        conversation.state,
        conversation.language,
        conversation.desk_id,
        desk,
        holder,
        conversation.holder_id == staff.account_id,
        handover.asked_at if handover else conversation.created_at,
        handover.promised_for if handover else None,
        handover.broken if handover else 0,
        handover.urgent if handover else False,
        handover.reason if handover else None,
        handover.topic if handover else None,
        handover.helped if handover else None,
    )
