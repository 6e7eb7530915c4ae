"""What Telegram sends is in the database before anything else happens, and leads to a conversation in one step.

An update is handled by the transaction that makes a message of it: it empties the one and writes the other, so that a
process may die at any moment and nothing is lost or taken twice.
"""

import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ARRAY, BigInteger, Text, Uuid, bindparam, select, text, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from backend import handover
from backend.chat import Sent, Stored
from backend.conversations import Access, StoredMessage, reply_payload
from backend.db import NEW_MESSAGE, TELEGRAM_UPDATE, Sessions, Writer, notify, retried, run_single, single_statements
from backend.encryption import EncryptedJSON, EncryptedText
from backend.models import Conversation, Message, TelegramChat, TelegramState
from backend.tokens import new_token, secret_hash
from bot.turn import Reply

CHANNEL = "telegram"
GROUP = "elp_group"
"""Instead of an update: of a group nothing is kept but where one sentence is to go."""
LARGEST_UPDATE = 2**63 - 1


# ---- what the channel remembers of itself ----


@dataclass(frozen=True, slots=True)
class State:
    chat_key: bytes
    username: str | None
    profile: str | None

    def external_id(self, chat: int) -> str:
        """Under which the conversation of a chat is found. It leads back to no chat without the key."""
        return hmac.digest(self.chat_key, str(chat).encode(), "sha256").hex()


async def load_state(sessions: Sessions) -> State:
    """Makes it when there is none yet. Raises Unavailable."""
    columns = (TelegramState.chat_key, TelegramState.username, TelegramState.profile)

    async def work() -> State:
        async with sessions.begin() as session:
            fresh = insert_or_skip(TelegramState).values(id=1, chat_key=secrets.token_bytes(32))
            await session.execute(fresh.on_conflict_do_nothing())
            return State(*(await session.execute(select(*columns))).one())

    return await retried(work)


async def remember(sessions: Sessions, **values: str | None) -> None:
    """`username`, `profile`. Raises Unavailable."""

    async def work() -> None:
        async with sessions.begin() as session:
            await session.execute(update(TelegramState).values(**values))

    await retried(work)


# ---- updates ----


# However many: the words of the statement stay the same, and need to be read once.
_STORE_UPDATES = text(
    f"""
    INSERT INTO telegram_updates (update_id, body) SELECT * FROM unnest(:numbers, :bodies) ON CONFLICT DO NOTHING
    RETURNING body IS NOT NULL AS to_do, CASE WHEN body IS NOT NULL THEN pg_notify('{TELEGRAM_UPDATE}', '') END
    """  # noqa: S608 - the only thing put into it is the name of a NOTIFY channel
).bindparams(bindparam("numbers", type_=ARRAY(BigInteger)), bindparam("bodies", type_=ARRAY(EncryptedJSON)))


async def store_updates(engine: AsyncEngine, updates: Mapping[int, Mapping[str, Any] | None]) -> int:
    """By `update_id`, which is unique: what came before is passed over. None: only that it came. Returns how many are
    to be handled; whoever handles them hears of it. Raises Unavailable."""
    numbers = sorted(updates)
    if not numbers:
        return 0
    bodies = [updates[number] for number in numbers]
    return sum(row.to_do for row in await run_single(engine, _STORE_UPDATES, numbers=numbers, bodies=bodies))


@dataclass(frozen=True, slots=True)
class Waiting:
    """An update that nobody has handled."""

    update_id: int
    body: Mapping[str, Any]
    attempts: int
    age_s: float


_WAITING = (
    text(
        """
        SELECT update_id, body, attempts, extract(epoch FROM clock_timestamp() - received_at) AS age
        FROM telegram_updates WHERE body IS NOT NULL AND update_id <> ALL(:but) ORDER BY update_id LIMIT 1000
        """
    )
    .bindparams(bindparam("but", type_=ARRAY(BigInteger)))
    .columns(body=EncryptedJSON)
)


async def list_waiting(engine: AsyncEngine, *, but: Iterable[int] = ()) -> list[Waiting]:
    """In their order; the first thousand. Raises Unavailable."""
    rows = await run_single(engine, _WAITING, but=list(but))
    return [Waiting(row.update_id, row.body, row.attempts, float(row.age)) for row in rows]


_HANDLED = text("UPDATE telegram_updates SET body = NULL WHERE update_id = ANY(:updates)").bindparams(
    bindparam("updates", type_=ARRAY(BigInteger))
)
_ATTEMPTED = text("UPDATE telegram_updates SET attempts = attempts + 1 WHERE update_id = :update")


async def mark_handled(engine: AsyncEngine, *update_ids: int) -> None:
    """Nothing is left to do, and nothing of them is kept. Raises Unavailable."""
    await run_single(engine, _HANDLED, updates=list(update_ids))


async def count_attempt(engine: AsyncEngine, update_id: int) -> None:
    """Raises Unavailable."""
    await run_single(engine, _ATTEMPTED, update=update_id)


# ---- conversations ----


@dataclass(frozen=True, slots=True)
class Known:
    """The conversation of a chat."""

    id: UUID
    language: str
    state: str


_KNOWN = text(
    f"SELECT id, language, state FROM conversations WHERE channel = '{CHANNEL}' AND external_id = :chat"  # noqa: S608
)
_OPEN = text(
    f"""
    WITH conversation AS (
        INSERT INTO conversations (id, channel, external_id, token_hash, language)
        VALUES (:id, '{CHANNEL}', :external_id, :token_hash, :language) ON CONFLICT DO NOTHING RETURNING id
    ), chat AS (
        INSERT INTO telegram_chats (conversation_id, chat) SELECT id, :chat FROM conversation
    ), greeting AS (
        INSERT INTO messages (conversation_id, author, language, text, payload)
        SELECT c.id, 'bot', g.language, g.text, g.payload FROM conversation c,
            unnest(:languages, :texts, :payloads) WITH ORDINALITY AS g (language, text, payload, place)
        ORDER BY g.place
    )
    SELECT pg_notify('{NEW_MESSAGE}', CAST(id AS text)) FROM conversation
    """  # noqa: S608 - the only things put into it are names of ours
).bindparams(
    bindparam("id", type_=Uuid),
    bindparam("chat", type_=EncryptedText),
    bindparam("languages", type_=ARRAY(Text)),
    bindparam("texts", type_=ARRAY(EncryptedText)),
    bindparam("payloads", type_=ARRAY(EncryptedJSON)),
)


async def find_conversation(engine: AsyncEngine, external_id: str) -> Known | None:
    """Raises Unavailable."""
    return next(
        (Known(row.id, row.language, row.state) for row in await run_single(engine, _KNOWN, chat=external_id)), None
    )


async def open_chat(engine: AsyncEngine, external_id: str, chat: int, greeting: Sequence[Reply]) -> None:
    """A conversation with the bot's first messages in it. The same again changes nothing. Raises Unavailable."""
    # Nobody holds a token for it: the chat itself is the way in.
    values: dict[str, Any] = {"id": uuid4(), "external_id": external_id, "token_hash": secret_hash(new_token())}
    values |= {"language": greeting[-1].language, "chat": str(chat)}
    values |= {"languages": [reply.language for reply in greeting], "texts": [reply.text for reply in greeting]}
    await run_single(engine, _OPEN, payloads=[reply_payload(reply) for reply in greeting], **values)


async def follow(sessions: Sessions, state: State, old: int, new: int) -> None:
    """The chat has another number now. Raises Unavailable."""
    before, after = state.external_id(old), state.external_id(new)

    async def work() -> None:
        async with sessions.begin() as session:
            await follow_within(session, before, after, new)

    await retried(work)


async def follow_within(session: AsyncSession, before: str, after: str, new: int) -> None:
    own = (Conversation.channel == CHANNEL, Conversation.external_id == before)
    found = (await session.execute(select(Conversation.id).where(*own).with_for_update())).scalar_one_or_none()
    if found is None:
        return
    taken = select(Conversation.id).where(Conversation.channel == CHANNEL, Conversation.external_id == after)
    if (await session.execute(taken)).scalar_one_or_none() is None:
        await session.execute(update(Conversation).where(Conversation.id == found).values(external_id=after))
    chat = update(TelegramChat).where(TelegramChat.conversation_id == found)
    await session.execute(chat.values(chat=str(new), not_before=None))


async def lost(sessions: Sessions, external_id: str, update_id: int) -> None:
    """The person has blocked the bot: what was under way to them stops. Raises Unavailable."""

    async def work() -> None:
        async with sessions.begin() as session:
            own = (Conversation.channel == CHANNEL, Conversation.external_id == external_id)
            query = select(Conversation.id).where(*own).with_for_update(key_share=True)
            found = (await session.execute(query)).scalar_one_or_none()
            if found is not None:
                await handover.unreachable(session, found)
                await notify(session, found)
            await session.execute(_HANDLED, {"updates": [update_id]})

    await retried(work)


# ---- messages ----

# Nobody at a desk looks on while the bot has the word: nobody needs to hear of it before the answer is there.
_STORE = text(
    f"""
    WITH conversation AS (
        SELECT id, language, place, state FROM conversations
        WHERE channel = '{CHANNEL}' AND external_id = :chat
        FOR NO KEY UPDATE
    ), handled AS (
        UPDATE telegram_updates SET body = NULL WHERE update_id = ANY(:updates) AND EXISTS (SELECT FROM conversation)
    ), message AS (
        INSERT INTO messages (conversation_id, author, external_id, language, text, payload)
        SELECT id, 'person', :external_id, language, :text, :payload FROM conversation
        ON CONFLICT (conversation_id, external_id) DO NOTHING
        RETURNING id, created_at
    )
    SELECT c.id AS conversation, c.language, c.place, c.state, m.id, m.created_at,
        CASE WHEN c.state IN ('WAITING', 'ACTIVE') THEN pg_notify('{NEW_MESSAGE}', CAST(c.id AS text)) END
    FROM conversation c LEFT JOIN message m ON true
    """  # noqa: S608 - the only things put into it are names of ours
).bindparams(
    bindparam("text", type_=EncryptedText()),
    bindparam("payload", type_=EncryptedJSON()),
    bindparam("updates", type_=ARRAY(BigInteger)),
)


async def store_sent(engine: AsyncEngine, external_id: str, sent: Sent, updates: Sequence[int]) -> Stored | None:
    """First beat of a turn (`backend.chat`), and the end of the updates it came with. None: there is no such
    conversation, and nothing was done. Raises Unavailable."""
    said = {"choice": sent.choice, "label": sent.label}
    payload = {name: value for name, value in said.items() if value is not None}
    values: dict[str, Any] = {"chat": external_id, "external_id": sent.external_id, "updates": list(updates)}
    values |= {"text": sent.text, "payload": payload}

    async def work() -> Stored | None:
        async with single_statements(engine) as connection:
            row = (await connection.execute(_STORE, values)).one_or_none()
            if row is None:
                return None
            access = Access(row.conversation, row.language, row.place, row.state)
            if row.id is None:
                return await _known(connection, access, sent.external_id)
            message = StoredMessage(row.id, "person", row.language, sent.text, None, payload, row.created_at)
            return Stored(access, message, answered=False)

    return await retried(work)


async def _known(db: Writer, access: Access, external_id: str) -> Stored:
    own = (Message.conversation_id == access.id, Message.external_id == external_id)
    columns = (Message.id, Message.author, Message.language, Message.text, Message.original, Message.payload)
    row = (await db.execute(select(*columns, Message.created_at, Message.answered_at).where(*own))).one()
    return Stored(access, StoredMessage(*row[:7]), answered=row[7] is not None)


async def mark_within(session: AsyncSession, updates: Sequence[int]) -> None:
    """In the transaction that makes a message of them."""
    await session.execute(_HANDLED, {"updates": list(updates)})


_PAYLOAD = text(
    f"""
    SELECT m.payload FROM messages m JOIN conversations c ON c.id = m.conversation_id
    WHERE m.id = :message AND c.channel = '{CHANNEL}' AND c.external_id = :chat
    """  # noqa: S608 - the only thing put into it is a name of ours
).columns(payload=EncryptedJSON)


async def find_choice(engine: AsyncEngine, external_id: str, message_id: int, position: int) -> str | None:
    """What a button of an earlier message of this conversation means. Raises Unavailable."""
    for row in await run_single(engine, _PAYLOAD, message=message_id, chat=external_id):
        choices = row.payload.get("choices", ())
        return str(choices[position]["id"]) if 0 <= position < len(choices) else None
    return None


_UNANSWERED = text(
    f"""
    SELECT m.id, t.chat FROM messages m JOIN conversations c ON c.id = m.conversation_id
    JOIN telegram_chats t ON t.conversation_id = c.id
    WHERE m.author = 'person' AND m.answered_at IS NULL AND c.channel = '{CHANNEL}' ORDER BY m.id
    """  # noqa: S608 - the only thing put into it is a name of ours
).columns(id=BigInteger, chat=EncryptedText)


async def list_unanswered(engine: AsyncEngine) -> dict[int, int]:
    """Messages whose process died before it answered → their chat. Raises Unavailable."""

    return {row.id: int(row.chat) for row in await run_single(engine, _UNANSWERED)}
