"""One turn of a conversation: a message is stored, understood, answered, in three beats (design section 2.6).

The statements here run for every message, so each beat is as few of them as it can be; everything else about
conversations is in `conversations.py`.
"""

import asyncio
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.sql.selectable import TextualSelect

from backend import handover
from backend.chat_booking import ChatVisits, find_label, needs_label, whole_transaction
from backend.conversations import Access, StoredMessage, erase_messages, reply_payload, token_hash
from backend.db import NEW_MESSAGE, retried, single_statements
from backend.encryption import EncryptedJSON, EncryptedText
from backend.erasure import HELD
from backend.errors import EmptyMessage, NotFound, TooLong
from backend.learnt import keep_what_was_learnt
from backend.people import tell
from bot import booking_flow, handover_flow, wishes
from bot.actions import Actions
from bot.booking_steps import needs_a_wish
from bot.dialogue import respond, respond_held
from bot.turn import DialogueState, Incoming, Keeping, Reply, Turn, Understanding
from bot.understand import Understander
from bot.visit_card import visit_payload

LONGEST_MESSAGE = 4096
"""Characters; a letter pasted whole fits, a book does not. The longest that Telegram takes (decision 21)."""
_LONGEST_CHOICE = 200
_UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Sent:
    """One thing a person sent: words or a pressed button, under an id of the sender's own making."""

    external_id: str
    text: str = ""
    choice: str | None = None
    label: str | None = None
    """What stood on the button, where its id does not say it."""


def _clock() -> datetime:
    return datetime.now(UTC)


@dataclass
class Chat:
    """What receiving a message needs; opened once for each process."""

    engine: AsyncEngine
    understander: Understander
    actions: Actions
    keeping: Keeping = field(default_factory=Keeping)
    now: Callable[[], datetime] = _clock


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
    if sent.choice is not None and needs_label(sent.choice):
        pressed = sent.choice
        sent = replace(sent, label=await retried(lambda: find_label(chat.engine, conversation_id, key, pressed)))
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
    said = {"choice": sent.choice, "label": sent.label}
    payload = {name: value for name, value in said.items() if value is not None}
    ids = {"conversation": conversation_id, "external_id": sent.external_id}
    values = {**ids, "key": key, "text": sent.text, "payload": payload}
    async with single_statements(engine) as connection:
        row = (await connection.execute(_STORE, values)).one_or_none()
        if row is None:
            raise NotFound
        access = Access(conversation_id, row.language, row.place, row.state)
        if row.id is not None:
            message = StoredMessage(row.id, "person", row.language, sent.text, None, payload, row.created_at)
            return Stored(access, message, answered=False)
        known = (await connection.execute(_KNOWN, ids)).one()
        return Stored(access, StoredMessage(*known[:7]), known.answered)


@dataclass(frozen=True, slots=True)
class _Lacks:
    """What has to be found out, outside any transaction, before a turn can be decided."""

    what: Literal["words", "wish"]
    zone: str = "Europe/Rome"
    """Of a wish: on whose clock a day is meant."""


async def finish_turn(
    chat: Chat, stored: Stored, *, location: tuple[float, float] | None = None, unread: str | None = None
) -> Answered:
    """Second and third beat: understands outside any transaction, then decides in one. `location` and `unread` came
    with the message and are not stored (`Incoming`).

    Raises ErasedMeanwhile, Unavailable.
    """
    access, message = stored.access, stored.message
    held = access.state in HELD
    choice = message.payload.get("choice")
    incoming = Incoming(access.language, message.text, choice, access.place, message.id, location, unread)
    understanding = await chat.understander.understand(incoming, held=held)
    wished = False
    while True:
        thought = _Thought(incoming, understanding, held=held, wished=wished)
        outcome = await retried(lambda thought=thought: _decide(chat, stored, thought))  # type: ignore[misc]
        if isinstance(outcome, Answered):
            return outcome
        if outcome.what == "words":
            held, understanding = False, await chat.understander.understand(incoming)
        else:
            today = chat.now().astimezone(ZoneInfo(outcome.zone)).date()
            wish = await asyncio.to_thread(wishes.understand, incoming.text, incoming.language, today)
            wished, understanding = True, replace(understanding, wish=wish)


@dataclass(frozen=True, slots=True)
class _Thought:
    """A message with what was understood of it."""

    incoming: Incoming
    understanding: Understanding
    held: bool
    """Only looked through for an emergency."""
    wished: bool
    """Also for a day."""


async def _decide(chat: Chat, stored: Stored, thought: _Thought) -> Answered | _Lacks:
    async with whole_transaction(), chat.engine.begin() as connection:
        now = (await connection.execute(_LOCK, {"message": stored.message.id})).one_or_none()
        if now is None:
            raise ErasedMeanwhile
        # Re-read after thinking: a person may have taken over, or a second request may have answered already.
        if now.answered_at is not None:
            return Answered(await _messages_of_turn(connection, stored.message.id), now.state)
        incoming = replace(thought.incoming, language=now.language)
        state = DialogueState.from_json(now.dialogue)
        turn = Turn(incoming, thought.understanding, state, chat.keeping)
        if now.state in HELD:
            reply = respond_held(turn, chat.actions)
            if reply is not None and reply.books:
                reply = await _book(connection, chat, stored, turn, reply)
            return await _held(connection, stored, reply, chat.keeping, now.state)
        if thought.held:  # the bot has to answer the words after all
            return _Lacks("words")
        if needs_a_wish(turn) and not thought.wished:
            return _Lacks("wish", state.booking.get("zone", "Europe/Rome"))
        if now.state != "BOT":
            await handover.wake(connection, stored.access.id)
        reply = respond(turn, chat.actions)
        if reply.books:
            reply = await _book(connection, chat, stored, turn, reply)
        return await _answer(connection, stored, reply, chat.keeping)


async def _book(connection: AsyncConnection, chat: Chat, stored: Stored, turn: Turn, reply: Reply) -> Reply:
    find_entry = chat.actions.find_entry
    visits = ChatVisits(connection, stored.access.id, turn.incoming.language, find_entry, chat.now())
    return await booking_flow.answer(reply, turn, visits, chat.actions)


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
    await keep_what_was_learnt(connection, conversation_id, reply)
    return Answered(told, "WAITING" if reply.hands_over else "BOT")


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
    return Answered(told, "BOT" if reply.leaves else state)


async def _say(
    connection: AsyncConnection, stored: Stored, reply: Reply, keeping: Keeping, *, author: str
) -> list[StoredMessage]:
    """The turn as it is stored: what was asked, and the reply."""
    conversation_id = stored.access.id
    if reply.tells == "waiting":
        held = await handover.find_held(connection, conversation_id, datetime.now(UTC))
        reply = replace(reply, text=handover_flow.status(reply.language, held) if held else reply.text)
    elif reply.tells:
        reply = replace(reply, text=await tell(connection, conversation_id, reply, keeping))
    payload = reply_payload(reply)
    if reply.visit:
        payload["visit"] = visit_payload(reply.visit)
    values = {"conversation": conversation_id, "message": stored.message.id, "author": author, "payload": payload}
    values |= {"language": reply.language, "text": reply.text, "dialogue": reply.state.to_json()}
    row = (await connection.execute(_ANSWER, values)).one()
    told = StoredMessage(row.id, author, reply.language, reply.text, None, payload, row.created_at)
    return [stored.message, told]


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
