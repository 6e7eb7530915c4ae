"""Messages for a program that asks on and on, in order."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.models import Account, Message
from backend.operators import ReadMessage, as_read
from bot.actions import Actions

PAGE = 100


async def read_after(
    session: AsyncSession, conversation_id: UUID, *, language: str, actions: Actions, after: int = 0
) -> tuple[ReadMessage, ...]:
    """The oldest first, so that whoever asks on with the last id misses nothing; at most `PAGE`. Of a conversation that
    was let into. Ids grow in the order of commits: whoever writes a message has locked the conversation."""
    query = (
        select(Message, Account.name)
        .outerjoin(Account, Account.id == Message.written_by)
        .where(Message.conversation_id == conversation_id, Message.id > after)
        .order_by(Message.id)
        .limit(PAGE)
    )
    return tuple(as_read(message, name, language, actions) for message, name in (await session.execute(query)).all())
