"""What a turn of a conversation leaves: a question for the editors, an opinion, whether a person could help."""

from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from backend import handover
from bot.turn import Reply

# Only a message of this very conversation can become a gap, whatever the dialogue remembered.
_GAP = text(
    """
    INSERT INTO gaps (message_id, language) SELECT id, :language FROM messages
    WHERE id = :message AND conversation_id = :conversation AND author = 'person' ON CONFLICT DO NOTHING
    """
)
_OPINION = text(
    """
    INSERT INTO feedback (conversation_id, entry_id, useful, language) SELECT :conversation, id, :useful, :language
    FROM entries WHERE id = :entry
    ON CONFLICT (conversation_id, entry_id) DO UPDATE SET useful = excluded.useful, created_at = now()
    """
)


async def keep_what_was_learnt(connection: AsyncConnection, conversation_id: UUID, reply: Reply) -> None:
    values: dict[str, Any] = {"conversation": conversation_id, "language": reply.language}
    if reply.unanswered is not None:
        await connection.execute(_GAP, values | {"message": reply.unanswered})
    if reply.useful is not None:
        entry_id, useful = reply.useful
        await connection.execute(_OPINION, values | {"entry": entry_id, "useful": useful})
    if reply.helped is not None:
        await handover.helped(connection, conversation_id, reply.helped)
