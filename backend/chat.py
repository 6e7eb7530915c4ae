"""One turn of a conversation: a message is stored, understood, answered, in three beats (design section 2.6).

The statements here run for every message, so each beat is as few of them as it can be; everything else about
conversations is in `conversations.py`.
"""

import re
import unicodedata
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.sql.selectable import TextualSelect

from backend import handover
from backend.conversations import Access, StoredMessage, erase_messages, reply_payload, token_hash
from backend.db import NEW_MESSAGE, retried
from backend.encryption import EncryptedJSON, EncryptedText
from backend.erasure import HELD
from backend.errors import EmptyMessage, NotFound, TooLong
from backend.people import tell
from bot import handover_flow
from bot.dialogue import Actions, respond, respond_held
from bot.turn import DialogueState, Incoming, Keeping, Reply, Turn
from bot.understand import Understander

LONGEST_MESSAGE = 4000
"""Characters; a letter pasted whole fits, a book does not."""
_LONGEST_CHOICE = 200
_UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Sent:
    """One thing a person sent: words or a pressed button, under an id of the sender's own making."""

    external_id: str
    text: str = ""
    choice: str | None = None


@dataclass
class Chat:
    """What receiving a message needs; opened once for each process."""

    engine: AsyncEngine
    understander: Understander
    actions: Actions
    keeping: Keeping = field(default_factory=Keeping)


class ErasedMeanwhile(NotFound):
    """The conversation was there when the message came, and was erased before the answer."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A person's message in the database, answered or not."""

    access: Access
    message: StoredMessage
    answered: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """A turn as stored: the person's message, the reply, and the state the conversation is in."""

    messages: list[StoredMessage]
    state: str


def clean_text(raw: str) -> str:
    """Without control characters, half surrogates and what PostgreSQL or a page could not hold; line ends kept."""
    return unicodedata.normalize("NFC", _UNWANTED.sub("", raw.replace("\r\n", "\n").replace("\r", "\n"))).strip()


def check_sent(sent: Sent) -> Sent:
    """Raises EmptyMessage or TooLong."""
    if sent.choice is not None:
        return Sent(sent.external_id, choice=clean_text(sent.choice)[:_LONGEST_CHOICE])
    words = clean_text(sent.text)
    if not words:
        raise EmptyMessage
    if len(words) > LONGEST_MESSAGE:
        raise TooLong(limit=LONGEST_MESSAGE)
    return Sent(sent.external_id, words)


async def receive(chat: Chat, conversation_id: UUID, token: str, sent: Sent) -> Answered:
    """Stores, understands, answers. The same external id again gives the same answer once, also when both arrive at
    the same moment. Raises EmptyMessage, TooLong, Unauthorized, NotFound, Unavailable."""
    sent, key = check_sent(sent), token_hash(token)
    stored = await retried(lambda: store(chat.engine, conversation_id, key, sent))
    if stored.answered:
        return await retried(lambda: _read_turn(chat.engine, stored))
    return await finish_turn(chat, stored)


_SEALED = {
    "text": EncryptedText(),
    "original": EncryptedText(),
    "payload": EncryptedJSON(),
    "dialogue": EncryptedJSON(),
}


def _writes(statement: str, *names: str) -> TextClause:
    """A statement whose named values are encrypted on their way in."""
    return text(statement).bindparams(*(bindparam(name, type_=_SEALED[name]) for name in names))


def _reads(statement: str, *names: str) -> TextualSelect:
    """A statement whose named columns are opened on their way out."""
    return text(statement).columns(**{name: _SEALED[name] for name in names})


# The row of the conversation is locked first, so that ids of messages grow in the order of commits: a reader who asks
# for what came after message 12 misses nothing.
_STORE = _writes(
    f"""
    WITH conversation AS (
        SELECT id, language, place, state FROM conversations WHERE id = :conversation AND token_hash = :key
        FOR NO KEY UPDATE
    ), message AS (
        INSERT INTO messages (conversation_id, author, external_id, language, text, payload)
        SELECT id, 'person', :external_id, language, :text, :payload FROM conversation
        ON CONFLICT (conversation_id, external_id) DO NOTHING
        RETURNING id, created_at, pg_notify('{NEW_MESSAGE}', CAST(conversation_id AS text))
    )
    SELECT c.language, c.place, c.state, m.id, m.created_at FROM conversation c LEFT JOIN message m ON true
    """,
    "text",
    "payload",
)
_KNOWN = _reads(
    """
    SELECT id, author, language, text, original, payload, created_at, answered_at IS NOT NULL AS answered
    FROM messages WHERE conversation_id = :conversation AND external_id = :external_id
    """,
    "text",
    "original",
    "payload",
)


async def store(engine: AsyncEngine, conversation_id: UUID, key: bytes, sent: Sent) -> Stored:
    """First beat. Raises NotFound when the key is not this conversation's."""
    payload = {} if sent.choice is None else {"choice": sent.choice}
    ids = {"conversation": conversation_id, "external_id": sent.external_id}
    values = {**ids, "key": key, "text": sent.text, "payload": payload}
    # One statement is a transaction by itself: it saves saying so, twice, for every message.
    async with engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        row = (await connection.execute(_STORE, values)).one_or_none()
        if row is None:
            raise NotFound
        access = Access(conversation_id, row.language, row.place, row.state)
        if row.id is not None:
            message = StoredMessage(row.id, "person", row.language, sent.text, None, payload, row.created_at)
            return Stored(access, message, answered=False)
        known = (await connection.execute(_KNOWN, ids)).one()
        return Stored(access, StoredMessage(*known[:7]), known.answered)


async def finish_turn(chat: Chat, stored: Stored) -> Answered:
    """Second and third beat: understands outside any transaction, then decides in one.

    Raises ErasedMeanwhile, Unavailable.
    """
    access, message = stored.access, stored.message
    held = access.state in HELD
    incoming = Incoming(access.language, message.text, message.payload.get("choice"), access.place, message.id)
    understanding = await chat.understander.understand(incoming, held=held)

    async def decide() -> Answered | None:
        async with chat.engine.begin() as connection:
            now = (await connection.execute(_LOCK, {"message": message.id})).one_or_none()
            if now is None:
                raise ErasedMeanwhile
            # Re-read after thinking: a person may have taken over, or a second request may have answered already.
            if now.answered_at is not None:
                return Answered(await _messages_of_turn(connection, message.id), now.state)
            turn = Turn(_in(incoming, now.language), understanding, DialogueState.from_json(now.dialogue), chat.keeping)
            if now.state in HELD:
                return await _held(connection, stored, respond_held(turn, chat.actions), chat.keeping, now.state)
            if held:  # the words were only looked through for an emergency, and now the bot has to answer them
                return None
            if now.state != "BOT":
                await handover.wake(connection, access.id)
            return await _answer(connection, stored, respond(turn, chat.actions), chat.keeping)

    answered = await retried(decide)
    if answered is None:
        return await finish_turn(chat, replace(stored, access=replace(access, state="BOT")))
    return answered


def _in(incoming: Incoming, language: str) -> Incoming:
    return Incoming(language, incoming.text, incoming.choice, incoming.place, incoming.message_id)


# Both rows are locked: PostgreSQL then reads both again when it had to wait for another request.
_LOCK = _reads(
    """
    SELECT c.state, c.dialogue, c.language, m.answered_at
    FROM messages m JOIN conversations c ON c.id = m.conversation_id WHERE m.id = :message
    FOR NO KEY UPDATE OF c, m
    """,
    "dialogue",
)
_ANSWER = _writes(
    f"""
    WITH answered AS (
        UPDATE messages SET answered_at = now() WHERE id = :message
    ), conversation AS (
        UPDATE conversations SET dialogue = :dialogue, language = :language, active_at = now(),
            forget_at = CASE WHEN forget_on_close THEN now() + interval '30 minutes' END
        WHERE id = :conversation
    )
    INSERT INTO messages (conversation_id, author, reply_to, language, text, payload)
    VALUES (:conversation, :author, :message, :language, :text, :payload)
    RETURNING id, created_at, pg_notify('{NEW_MESSAGE}', CAST(conversation_id AS text))
    """,
    "text",
    "payload",
    "dialogue",
)

# Nothing to say: it is for whoever answers at the desk.
_FOR_A_PERSON = text(
    """
    WITH answered AS (
        UPDATE messages SET answered_at = now() WHERE id = :message
    )
    UPDATE conversations SET active_at = now(),
        forget_at = CASE WHEN forget_on_close THEN now() + interval '30 minutes' END
    WHERE id = :conversation
    """
)


async def _answer(connection: AsyncConnection, stored: Stored, reply: Reply, keeping: Keeping) -> Answered:
    conversation_id = stored.access.id
    if reply.erase:
        await erase_messages(connection, conversation_id, reply.language)
        return Answered(await _all_messages(connection, conversation_id), "BOT")
    if reply.hands_over:
        reply = await handover.hand_over(connection, conversation_id, reply, datetime.now(UTC))
    told = await _say(connection, stored, reply, keeping, author="bot")
    await _keep_what_was_learnt(connection, conversation_id, reply)
    return Answered([stored.message, told], "WAITING" if reply.hands_over else "BOT")


async def _held(
    connection: AsyncConnection, stored: Stored, reply: Reply | None, keeping: Keeping, state: str
) -> Answered:
    """A turn while a person is waited for or talked with: only what `respond_held` has to say, or nothing."""
    conversation_id = stored.access.id
    if reply is not None and reply.erase:
        await erase_messages(connection, conversation_id, reply.language)
        return Answered(await _all_messages(connection, conversation_id), "BOT")
    if reply is None or reply.hands_over:
        await handover.wrote(connection, conversation_id, urgent=reply is not None)
    if reply is None:
        await connection.execute(_FOR_A_PERSON, {"message": stored.message.id, "conversation": conversation_id})
        return Answered([stored.message], state)
    if reply.leaves:
        await handover.leave(connection, conversation_id)
    told = await _say(connection, stored, reply, keeping, author="bot" if reply.leaves else "system")
    return Answered([stored.message, told], "BOT" if reply.leaves else state)


async def _say(
    connection: AsyncConnection, stored: Stored, reply: Reply, keeping: Keeping, *, author: str
) -> StoredMessage:
    conversation_id = stored.access.id
    if reply.tells == "waiting":
        held = await handover.find_held(connection, conversation_id, datetime.now(UTC))
        reply = replace(reply, text=handover_flow.status(reply.language, held) if held else reply.text)
    elif reply.tells:
        reply = replace(reply, text=await tell(connection, conversation_id, reply, keeping))
    payload = reply_payload(reply)
    values = {"conversation": conversation_id, "message": stored.message.id, "author": author, "payload": payload}
    values |= {"language": reply.language, "text": reply.text, "dialogue": reply.state.to_json()}
    row = (await connection.execute(_ANSWER, values)).one()
    return StoredMessage(row.id, author, reply.language, reply.text, None, payload, row.created_at)


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


async def _keep_what_was_learnt(connection: AsyncConnection, conversation_id: UUID, reply: Reply) -> None:
    values: dict[str, Any] = {"conversation": conversation_id, "language": reply.language}
    if reply.unanswered is not None:
        await connection.execute(_GAP, values | {"message": reply.unanswered})
    if reply.useful is not None:
        entry_id, useful = reply.useful
        await connection.execute(_OPINION, values | {"entry": entry_id, "useful": useful})
    if reply.helped is not None:
        await handover.helped(connection, conversation_id, reply.helped)


_TURN = _reads(
    """
    SELECT id, author, language, text, original, payload, created_at FROM messages
    WHERE id = :message OR reply_to = :message ORDER BY id
    """,
    "text",
    "original",
    "payload",
)
_ALL = _reads(
    """
    SELECT id, author, language, text, original, payload, created_at FROM messages
    WHERE conversation_id = :conversation ORDER BY id
    """,
    "text",
    "original",
    "payload",
)


async def _messages_of_turn(connection: AsyncConnection, message_id: int) -> list[StoredMessage]:
    return [StoredMessage(*row) for row in await connection.execute(_TURN, {"message": message_id})]


async def _all_messages(connection: AsyncConnection, conversation_id: UUID) -> list[StoredMessage]:
    return [StoredMessage(*row) for row in await connection.execute(_ALL, {"conversation": conversation_id})]


async def _read_turn(engine: AsyncEngine, stored: Stored) -> Answered:
    async with engine.begin() as connection:
        return Answered(await _messages_of_turn(connection, stored.message.id), stored.access.state)


_UNANSWERED = _reads(
    """
    SELECT c.id AS conversation, c.language AS speaks, c.place, c.state,
           m.id, m.author, m.language, m.text, m.original, m.payload, m.created_at
    FROM messages m JOIN conversations c ON c.id = m.conversation_id
    WHERE m.author = 'person' AND m.answered_at IS NULL AND m.created_at < now() - make_interval(secs => :age)
    ORDER BY m.id LIMIT :limit
    """,
    "text",
    "original",
    "payload",
)


async def find_unanswered(engine: AsyncEngine, *, older_than_s: float, limit: int = 50) -> list[Stored]:
    """Messages of people the bot still owes an answer, because a process died between two beats."""
    async with engine.begin() as connection:
        rows = await connection.execute(_UNANSWERED, {"age": older_than_s, "limit": limit})
        return [
            Stored(Access(row.conversation, row.speaks, row.place, row.state), StoredMessage(*row[4:]), answered=False)
            for row in rows
        ]
