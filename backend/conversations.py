"""A person's conversation: opened, read, taken along, erased. `chat.py` is what happens in it."""

import base64
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend import audit
from backend.db import NEW_MESSAGE, Sessions, Writer, notify, retried
from backend.erasure import EXPECTED, FORGET_AFTER, HELD, empty, empty_but_visits, erase, write_receipt
from backend.errors import NotFound, Unauthorized, Unavailable, UnknownLanguage
from backend.models import Attachment, Conversation, Feedback, Message, TelegramChat
from backend.tokens import new_token, secret_hash, token_of
from backend.visit_export import export_visits
from bot.dialogue import welcome
from bot.phrases import SPOKEN, isolate, say
from bot.turn import Keeping, Reply

_USUAL = Keeping()
_COLUMNS = (
    Message.id,
    Message.author,
    Message.language,
    Message.text,
    Message.original,
    Message.payload,
    Message.created_at,
)
_GIVEN_BY_PEOPLE = ("operator", "system")
"""Authors of messages whose delivery is told to the desk."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A row of `messages` as everybody outside reads it."""

    id: int
    author: str
    language: str
    text: str
    original: str | None
    payload: dict[str, Any]
    created_at: datetime
    delivered: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    id: UUID
    token: str
    """Shown once; only its hash is kept."""
    language: str


@dataclass(frozen=True, slots=True)
class Access:
    """Proof that a caller may act on a conversation."""

    id: UUID
    language: str
    place: str | None
    state: str
    forgets: bool = False
    """It is erased soon after its page is closed."""


def check_language(code: str) -> str:
    """Raises UnknownLanguage."""
    if code not in SPOKEN:
        raise UnknownLanguage
    return code


def token_hash(token: str) -> bytes:
    """Raises Unauthorized without a token."""
    if not token:
        raise Unauthorized
    return secret_hash(token)


def read_messages(rows: Sequence[Row[Any]]) -> list[StoredMessage]:
    return [StoredMessage(*values) for values in map(tuple, rows)]


def reply_payload(reply: Reply) -> dict[str, Any]:
    """What of a reply is kept beside its text; the entry is kept by id and shown as it is true when read."""
    payload: dict[str, Any] = {"intent": reply.intent}
    if reply.choices:
        payload["choices"] = [{"id": choice.id, "label": choice.label} for choice in reply.choices]
    if reply.entry:
        payload["entry"] = reply.entry
    if reply.variant != "full":
        payload["variant"] = reply.variant
    if reply.emergency:
        payload["emergency"] = [{"number": line.number, "label": line.label} for line in reply.emergency]
    return payload


async def open_conversation(
    sessions: Sessions,
    *,
    channel: str,
    language: str,
    place: str | None = None,
    keeping: Keeping = _USUAL,
    opening: str | None = None,
) -> Opened:
    """A new conversation with the bot's greeting and notice in it. `opening`: 256 random bits of the sender's own, who
    says them again when the answer was lost, and finds the same conversation. Raises UnknownLanguage, Unavailable."""
    check_language(language)
    token = token_of(opening) if opening else new_token()
    external_id = secret_hash(f"opening {opening}").hex() if opening else None

    async def work() -> Opened:
        async with sessions.begin() as session:
            values = {"channel": channel, "token_hash": token_hash(token), "language": language, "place": place}
            new = insert(Conversation).values(**values, external_id=external_id).on_conflict_do_nothing()
            made = (await session.execute(new.returning(Conversation.id))).scalar_one_or_none()
            if made is None:
                known = select(Conversation.id).where(Conversation.channel == channel)
                known = known.where(Conversation.external_id == external_id)
                made = (await session.execute(known)).scalar_one_or_none()
                if made is None:  # erased in between
                    raise Unavailable
                return Opened(made, token, language)
            await _say(session, made, welcome(language, keeping))
            return Opened(made, token, language)

    return await retried(work)


async def access_conversation(session: AsyncSession, conversation_id: UUID, token: str) -> Access:
    """Raises Unauthorized without a token, NotFound with a wrong one: nobody learns whether a conversation exists."""
    columns = (
        Conversation.id,
        Conversation.language,
        Conversation.place,
        Conversation.state,
        Conversation.forget_on_close,
    )
    query = select(*columns).where(Conversation.id == conversation_id, Conversation.token_hash == token_hash(token))
    row = (await session.execute(query)).one_or_none()
    if row is None:
        raise NotFound
    access = Access(*row)
    if access.forgets:  # whoever asks for it has not closed it
        later = (
            update(Conversation).where(Conversation.id == conversation_id).values(forget_at=func.now() + FORGET_AFTER)
        )
        await session.execute(later)
    return access


async def check_access(sessions: Sessions, conversation_id: UUID, token: str) -> Access:
    """Before anything else is done for somebody. Raises Unauthorized, NotFound, Unavailable."""

    async def work() -> Access:
        async with sessions.begin() as session:
            return await access_conversation(session, conversation_id, token)

    return await retried(work)


async def find_state(session: AsyncSession, conversation_id: UUID) -> str:
    """Raises NotFound."""
    state = await session.scalar(select(Conversation.state).where(Conversation.id == conversation_id))
    if state is None:
        raise NotFound
    return state


async def list_messages(
    sessions: Sessions, conversation_id: UUID, token: str, *, after: int = 0, limit: int = 200
) -> tuple[Access, list[StoredMessage]]:
    """Messages with a greater id, oldest first. Raises Unauthorized, NotFound, Unavailable."""

    async def work() -> tuple[Access, list[StoredMessage]]:
        async with sessions.begin() as session:
            access = await access_conversation(session, conversation_id, token)
            newer = select(Message.id).where(Message.conversation_id == conversation_id, Message.id > after)
            # The page of somebody who comes back shows the end of a long conversation.
            ids = newer.order_by(Message.id if after else Message.id.desc()).limit(limit)
            columns = (*_COLUMNS, Message.delivered_at.is_not(None))
            rows = await session.execute(select(*columns).where(Message.id.in_(ids)).order_by(Message.id))
            return access, read_messages(rows.all())

    return await retried(work)


_DELIVERED = text(
    f"""
    WITH given AS (
        UPDATE messages SET delivered_at = now()
        WHERE conversation_id = :conversation AND id = ANY(:ids) AND author IN ('operator', 'system')
          AND delivered_at IS NULL
        RETURNING id
    )
    SELECT pg_notify('{NEW_MESSAGE}', CAST(:conversation AS text)) WHERE EXISTS (SELECT FROM given)
    """  # noqa: S608 - the only thing put into it is the name of a NOTIFY channel
)


async def mark_delivered(sessions: Sessions, conversation_id: UUID, messages: Sequence[StoredMessage]) -> None:
    """They were written to whoever reads for the person: the desk sees it. Without a statement when nothing of a desk
    is among them. A database that is away is no reason to fail: they are given, and marked the next time.
    """
    given = [message.id for message in messages if message.author in _GIVEN_BY_PEOPLE and not message.delivered]
    if not given:
        return

    async def work() -> None:
        async with sessions.begin() as session:
            await session.execute(_DELIVERED, {"conversation": conversation_id, "ids": given})

    with contextlib.suppress(Unavailable):
        await retried(work)


async def export_conversation(sessions: Sessions, conversation_id: UUID, token: str) -> dict[str, Any]:
    """All that is known of the person, as plain data. Raises Unauthorized, NotFound."""
    async with sessions.begin() as session:
        await access_conversation(session, conversation_id, token)
        return await export_known(session, conversation_id)


async def export_known(session: AsyncSession, conversation_id: UUID) -> dict[str, Any]:
    """The same for whoever was let into the conversation before."""
    row = (await session.execute(select(Conversation).where(Conversation.id == conversation_id))).scalar_one()
    messages = await session.execute(
        select(*_COLUMNS).where(Message.conversation_id == conversation_id).order_by(Message.id)
    )
    attachments = await session.execute(
        select(Attachment.message_id, Attachment.kind, Attachment.media_type, Attachment.size, Attachment.data)
        .join(Message, Message.id == Attachment.message_id)
        .where(Message.conversation_id == conversation_id)
        .order_by(Attachment.message_id)
    )
    opinions = await session.execute(
        select(Feedback.entry_id, Feedback.useful).where(Feedback.conversation_id == conversation_id)
    )
    chat = select(TelegramChat.chat).where(TelegramChat.conversation_id == conversation_id)
    return {
        "conversation": {
            "id": str(row.id),
            "channel": row.channel,
            "telegram_chat": await session.scalar(chat),
            "language": row.language,
            "place": row.place,
            "state": row.state,
            "forget_on_close": row.forget_on_close,
            "created_at": row.created_at.isoformat(),
            "active_at": row.active_at.isoformat(),
        },
        "messages": [
            {"author": m.author, "text": m.text, "choice": m.payload.get("choice"), "at": m.created_at.isoformat()}
            for m in messages
        ],
        "attachments": [
            {"kind": a.kind, "media_type": a.media_type, "size": a.size, "data": _base64(a.data)} for a in attachments
        ],
        "opinions": [{"entry": opinion.entry_id, "useful": opinion.useful} for opinion in opinions],
        **await export_visits(session, conversation_id, row.language),
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def erase_conversation(sessions: Sessions, conversation_id: UUID, token: str) -> str:
    """Erases the conversation with everything that hangs on it; returns the receipt's number.

    Raises Unauthorized, NotFound, Unavailable.
    """

    async def work() -> str:
        async with sessions.begin() as session:
            await access_conversation(session, conversation_id, token)
            await erase(session, [conversation_id])
            await notify(session, conversation_id)
            return await write_receipt(session)

    return await retried(work)


async def erase_for_person(sessions: Sessions, conversation_id: UUID) -> str:
    """The same for an administrator whom somebody asked for it; the audit log holds the receipt and not the id.

    Raises NotFound, Unavailable.
    """

    async def work() -> str:
        async with sessions.begin() as session:
            if await session.get(Conversation, conversation_id) is None:
                raise NotFound
            await erase(session, [conversation_id])
            await notify(session, conversation_id)
            receipt = await write_receipt(session)
            await audit.record(session, "conversation.erased", f"receipt:{receipt}", account_id=None)
            return receipt

    return await retried(work)


async def leave_conversation(sessions: Sessions, conversation_id: UUID, token: str) -> None:
    """This browser will never find it again: what nobody at a desk is answering is erased at once. Whoever has an
    appointment is still expected at it.

    Raises Unauthorized, NotFound, Unavailable.
    """

    async def work() -> None:
        async with sessions.begin() as session:
            access = await access_conversation(session, conversation_id, token)
            if access.state not in HELD:
                expected = await session.scalar(select(Conversation.id).where(Conversation.id == access.id, EXPECTED))
                await (empty_but_visits(session, access.id) if expected else erase(session, [access.id]))
            await notify(session, conversation_id)

    await retried(work)


async def erase_messages(session: Writer, conversation_id: UUID, language: str) -> None:
    """The person goes on talking in an empty conversation, with the receipt as its first message."""
    await empty(session, conversation_id)
    fresh: dict[str, Any] = {
        "language": language,
        "dialogue": {},
        "state": "BOT",
        "holder_id": None,
        **dict.fromkeys(("place", "external_id", "desk_id", "forget_at")),
        "forget_on_close": False,
        "created_at": func.now(),
        "active_at": func.now(),
    }
    await session.execute(update(Conversation).where(Conversation.id == conversation_id).values(**fresh))
    receipt = await write_receipt(session)
    await _say(
        session,
        conversation_id,
        Reply(language, say(language, "forget.done", receipt=isolate(language, receipt)), "forget"),
    )


async def _say(session: Writer, conversation_id: UUID, reply: Reply) -> None:
    """A bot message that answers no message of the person."""
    values = {"conversation_id": conversation_id, "author": "bot", "language": reply.language, "text": reply.text}
    await session.execute(insert(Message).values(**values, payload=reply_payload(reply)))
    await notify(session, conversation_id)
