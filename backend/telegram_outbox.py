"""What is to be sent to a Telegram chat, and how far it has gone. Messages are the outbox (decision 4); a chat
remembers the last one that went, and of the next one how many of its calls were made."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, bindparam, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from backend import handover
from backend.conversations import StoredMessage
from backend.db import NEW_MESSAGE, Sessions, notify, retried, run_single
from backend.encryption import EncryptedJSON, EncryptedText
from backend.erasure import erase
from backend.models import Conversation, Message, TelegramChat
from backend.telegram_store import State, follow_within


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The next message of a chat."""

    conversation_id: UUID
    chat: int
    message: StoredMessage
    answers: bool
    """A message of the person."""
    external_id: str | None
    """Of the conversation; None when all of it was erased and only this is left to say."""
    calls_made: int
    attempts: int
    wait_s: float
    """Before it may be tried again."""
    age_s: float
    last: bool
    """Nothing else waits in its conversation."""


_NEXT = text(
    """
    SELECT c.id AS conversation, t.chat, m.id, m.author, m.language, m.text, m.original, m.payload, m.created_at,
        m.reply_to IS NOT NULL AS answers, c.external_id, t.calls_made, t.attempts,
        extract(epoch FROM t.not_before - clock_timestamp()) AS wait, extract(epoch FROM now() - m.created_at) AS age,
        NOT EXISTS (SELECT FROM messages o WHERE o.conversation_id = c.id AND o.id > m.id AND o.author <> 'person')
            AS last
    FROM telegram_chats t JOIN conversations c ON c.id = t.conversation_id
    JOIN messages m ON m.conversation_id = t.conversation_id AND m.id > t.done_upto AND m.author <> 'person'
    WHERE t.conversation_id = ANY(:conversations) ORDER BY m.id LIMIT 1
    """
)
_WAITING = text(
    """
    SELECT t.conversation_id, t.chat FROM telegram_chats t WHERE EXISTS (
        SELECT FROM messages m
        WHERE m.conversation_id = t.conversation_id AND m.id > t.done_upto AND m.author <> 'person'
    )
    """
).columns(conversation_id=Uuid, chat=EncryptedText)
_CHATS = (
    text("SELECT conversation_id, chat FROM telegram_chats WHERE conversation_id = ANY(:conversations)")
    .bindparams(bindparam("conversations", type_=ARRAY(Uuid)))
    .columns(conversation_id=Uuid, chat=EncryptedText)
)
_WANTED = text(
    """
    SELECT m.id FROM messages m JOIN telegram_chats t ON t.conversation_id = m.conversation_id
    WHERE m.id = :message AND t.done_upto < m.id
    """
)
_SENT = text(
    f"""
    WITH sent AS (
        UPDATE messages SET delivered_at = now() WHERE id = :message RETURNING author, conversation_id
    ), chat AS (
        UPDATE telegram_chats SET done_upto = :message, calls_made = 0, attempts = 0, not_before = NULL
        WHERE conversation_id = :conversation
    )
    SELECT pg_notify('{NEW_MESSAGE}', CAST(conversation_id AS text)) FROM sent WHERE author IN ('operator', 'system')
    """  # noqa: S608 - the only thing put into it is the name of a NOTIFY channel
)


_CALL_MADE = text(
    """
    UPDATE telegram_chats SET calls_made = :count, attempts = 0, not_before = NULL
    WHERE conversation_id = :conversation
    """
)


def _numbers(rows: Iterable[Any]) -> dict[UUID, int]:
    """One chat that is no number, though nobody writes such, must not keep the messages of all others."""
    return {row[0]: int(row[1]) for row in rows if row[1].removeprefix("-").isdecimal()}


async def list_waiting_chats(engine: AsyncEngine) -> dict[UUID, int]:
    """Conversations with something to send → their chat. Raises Unavailable."""
    return _numbers(await run_single(engine, _WAITING))


async def find_chats(engine: AsyncEngine, conversations: list[UUID]) -> dict[UUID, int]:
    """Of those that are chats of Telegram. Raises Unavailable."""
    return _numbers(await run_single(engine, _CHATS, conversations=conversations))


_NEXT_OF = _NEXT.bindparams(bindparam("conversations", type_=ARRAY(Uuid))).columns(
    chat=EncryptedText, text=EncryptedText, original=EncryptedText, payload=EncryptedJSON
)


async def find_next(engine: AsyncEngine, conversations: list[UUID]) -> Outgoing | None:
    """Of the conversations of one chat. Raises Unavailable."""
    for row in await run_single(engine, _NEXT_OF, conversations=conversations):
        message = StoredMessage(row.id, row.author, row.language, row.text, row.original, row.payload, row.created_at)
        wait = max(0.0, float(row.wait or 0))
        rest: tuple[Any, ...] = (row.external_id, row.calls_made, row.attempts, wait, float(row.age), row.last)
        return Outgoing(row.conversation, int(row.chat), message, row.answers, *rest)
    return None


async def is_wanted(engine: AsyncEngine, one: Outgoing) -> bool:
    """It is still there, and still the next: it may have been erased while it waited. Raises Unavailable."""
    return bool(await run_single(engine, _WANTED, message=one.message.id))


def _of(one: Outgoing) -> Any:
    return update(TelegramChat).where(TelegramChat.conversation_id == one.conversation_id)


async def call_made(engine: AsyncEngine, one: Outgoing, count: int) -> None:
    """So many of its calls were made, and more are to come. Raises Unavailable."""
    await run_single(engine, _CALL_MADE, conversation=one.conversation_id, count=count)


async def sent(engine: AsyncEngine, one: Outgoing) -> None:
    """All of it. When the person had everything erased, this was the last word: nothing is left of the conversation
    (decision 21). Raises Unavailable."""
    values = {"message": one.message.id, "conversation": one.conversation_id}
    if not _is_the_end(one):
        await run_single(engine, _SENT, **values)
        return

    async def work() -> None:
        async with engine.begin() as connection:
            await connection.execute(_SENT, values)
            await erase(connection, [one.conversation_id])

    await retried(work)


def _is_the_end(one: Outgoing) -> bool:
    return one.external_id is None and one.last


async def wait(sessions: Sessions, one: Outgoing, seconds: float, *, failed: bool) -> None:
    """Not before so many seconds have passed. `failed`: the pauses grow. Raises Unavailable."""
    due = func.clock_timestamp() + timedelta(seconds=seconds)
    attempts = TelegramChat.attempts + 1 if failed else TelegramChat.attempts

    async def work() -> None:
        async with sessions.begin() as session:
            await session.execute(_of(one).values(not_before=due, attempts=attempts))

    await retried(work)


async def given_up(sessions: Sessions, one: Outgoing, failure: str) -> None:
    """This one will never arrive; the next ones may. Raises Unavailable."""

    async def work() -> None:
        async with sessions.begin() as session:
            await session.execute(update(Message).where(Message.id == one.message.id).values(**_failed(failure)))
            done = {"done_upto": one.message.id, "calls_made": 0, "attempts": 0, "not_before": None}
            await session.execute(_of(one).values(**done))
            await notify(session, one.conversation_id)
            if _is_the_end(one):
                await erase(session, [one.conversation_id])

    await retried(work)


async def unreachable(sessions: Sessions, one: Outgoing, failure: str) -> None:
    """Nothing arrives there any more: whoever is at the desk sees it. Raises Unavailable."""
    own = (Message.conversation_id == one.conversation_id, Message.id >= one.message.id, Message.author != "person")

    async def work() -> None:
        async with sessions.begin() as session:
            lock = select(Conversation.id).where(Conversation.id == one.conversation_id)
            if (await session.execute(lock.with_for_update(key_share=True))).one_or_none() is None:
                return
            if one.external_id is None:  # erased, and nobody there to be told
                await erase(session, [one.conversation_id])
                return
            failed = update(Message).where(*own).values(**_failed(failure)).returning(Message.id)
            upto = max((await session.execute(failed)).scalars())
            done = {"done_upto": upto, "calls_made": 0, "attempts": 0, "not_before": None}
            await session.execute(_of(one).values(**done))
            await handover.unreachable(session, one.conversation_id)
            await notify(session, one.conversation_id)

    await retried(work)


def _failed(failure: str) -> dict[str, Any]:
    return {"failed_at": func.now(), "failure": failure}


async def moved(sessions: Sessions, state: State, one: Outgoing, chat: int) -> None:
    """The chat has another number now. Raises Unavailable."""

    async def work() -> None:
        async with sessions.begin() as session:
            await follow_within(session, state.external_id(one.chat), state.external_id(chat), chat)
            # Also one whose conversation was erased meanwhile.
            await session.execute(_of(one).values(chat=str(chat), not_before=None))

    await retried(work)
