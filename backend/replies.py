"""What operators write: replies that are shown before they go, notes that never go, hints for the editors."""

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend import audit
from backend.access import Staff, access_conversation
from backend.attachments import SafeFile, UnknownFileType, attach, described, keep
from backend.db import TYPING, notify
from backend.errors import AppError, EmptyMessage, NotFound, TooLong
from backend.handover import check_holder
from backend.models import Conversation, Desk, Gap, Handover, Message, Note
from bot.actions import Actions
from bot.phrases import SOURCE
from bot.translation import Translator

LONGEST_REPLY = 4000
"""Characters."""


REPLY_KEY = "reply/"
"""Before the key of a reply: no message of a person can have an id with this sign in it."""


class UnknownEntry(AppError):
    status = 422
    code = "unknown_entry"


@dataclass(frozen=True, slots=True)
class Preview:
    """What the person will read."""

    words: str
    """As the operator wrote them."""
    text: str
    language: str
    """Of `text`."""
    how: Literal["same", "machine", "no_model", "failed", "suspicious"]
    """`same`: written in the person's language. `machine`: translated. Else the original goes: there is no model for
    this language, translating failed, or what came out does not look right."""


def clean_words(raw: str) -> str:
    """Without control characters; line ends kept. Raises EmptyMessage, TooLong."""
    kept = "".join(
        character
        for character in raw.replace("\r\n", "\n").replace("\r", "\n")
        if character == "\n" or unicodedata.category(character) not in ("Cc", "Cs", "Cn")
    )
    words = unicodedata.normalize("NFC", kept).strip()
    if not words:
        raise EmptyMessage
    if len(words) > LONGEST_REPLY:
        raise TooLong(limit=LONGEST_REPLY)
    return words


async def preview(translator: Translator, words: str, language: str, *, source: str = SOURCE) -> Preview:
    """Never fails: without a translation the original goes, and the preview says so. No transaction may be open.

    Raises EmptyMessage, TooLong."""
    words = clean_words(words)
    if language == source:
        return Preview(words, words, language, "same")
    if not translator.can(source, language):
        return Preview(words, words, source, "no_model")
    translated = await translator.translate(words, source, language)
    if translated is None:
        return Preview(words, words, source, "failed")
    if translated.problems:
        return Preview(words, words, source, "suspicious")
    return Preview(words, translated.text, language, "machine")


@dataclass(frozen=True, slots=True)
class Written:
    """A reply as it goes: `text` in `language`; `words` are the operator's own where they differ."""

    key: str
    """Drawn by the page: the same reply sent twice is one."""
    text: str
    language: str
    words: str | None = None
    machine: bool = False
    entry: str | None = None


async def reply(session: AsyncSession, staff: Staff, conversation_id: UUID, written: Written, actions: Actions) -> int:
    """Stores it for delivery; returns the message's id. Whoever does not hold the conversation sends nothing.

    Raises Forbidden, NotFound, Taken, StateChanged, EmptyMessage, TooLong, UnknownEntry."""
    conversation, sent_before = await _access(session, staff, conversation_id, written.key)
    if sent_before is not None:
        return sent_before
    payload: dict[str, Any] = {}
    if written.entry is not None:
        entry = actions.find_entry(written.entry)
        if entry is None or not entry.shown:
            raise UnknownEntry
        payload |= {"entry": entry.id, "intent": "operator", "card_language": conversation.language}
    words = written.text if written.entry and not written.text.strip() else clean_words(written.text)
    if written.machine:
        payload["machine"] = True
    original = clean_words(written.words) if written.words and written.words.strip() else None
    values = {"language": written.language, "text": words, "original": original if original != words else None}
    return await _send(session, staff, conversation, written.key, payload, **values)


async def send_file(session: AsyncSession, staff: Staff, conversation_id: UUID, key: str, file: SafeFile) -> int:
    """A picture or a PDF as a message of its own; returns the message's id.

    Raises Forbidden, NotFound, Taken, StateChanged, UnknownFileType."""
    if file.kind == "voice":
        raise UnknownFileType
    conversation, sent_before = await _access(session, staff, conversation_id, key)
    if sent_before is not None:
        return sent_before
    kept = keep(conversation.id, [file])
    values = {"language": conversation.language, "text": ""}
    stored = await _send(session, staff, conversation, key, {"attachments": described(kept)}, **values)
    await attach(session, stored, kept)
    return stored


async def _access(
    session: AsyncSession, staff: Staff, conversation_id: UUID, key: str
) -> tuple[Conversation, int | None]:
    """The conversation, locked, and the message that was sent under this key before: also when the conversation was
    closed since. Raises Forbidden, NotFound, Taken, StateChanged."""
    conversation = await access_conversation(session, staff, conversation_id, lock=True)
    known = (Message.conversation_id == conversation.id, Message.external_id == f"{REPLY_KEY}{key}")
    sent_before = await session.scalar(select(Message.id).where(*known))
    if sent_before is None:
        await check_holder(session, staff, conversation_id)
    return conversation, sent_before


async def _send(
    session: AsyncSession, staff: Staff, conversation: Conversation, key: str, payload: dict[str, Any], **values: Any
) -> int:
    desk = await session.scalar(select(Desk.name).where(Desk.id == conversation.desk_id))
    values |= {"conversation_id": conversation.id, "author": "operator", "external_id": f"{REPLY_KEY}{key}"}
    values |= {"payload": {"desk": desk} | payload, "written_by": staff.account_id}
    stored = (await session.execute(insert(Message).values(**values).returning(Message.id))).scalar_one()
    now = datetime.now(UTC)
    open_one = (Handover.conversation_id == conversation.id, Handover.closed_at.is_(None))
    await session.execute(update(Handover).where(*open_one).values(wrote_at=None))
    first = update(Handover).where(*open_one, Handover.first_reply_at.is_(None))
    await session.execute(first.values(first_reply_at=now))
    await notify(session, conversation.id)
    return stored


# ---- beside the conversation ----


async def add_note(session: AsyncSession, staff: Staff, conversation_id: UUID, raw: str) -> None:
    """Raises Forbidden, NotFound, EmptyMessage, TooLong."""
    words = clean_words(raw)
    conversation = await access_conversation(session, staff, conversation_id)
    session.add(Note(conversation_id=conversation.id, account_id=staff.account_id, text=words))
    await session.flush()
    await notify(session, conversation.id)


async def delete_note(session: AsyncSession, staff: Staff, conversation_id: UUID, note_id: int) -> None:
    """One's own. Raises Forbidden, NotFound."""
    conversation = await access_conversation(session, staff, conversation_id)
    own = (Note.id == note_id, Note.conversation_id == conversation.id, Note.account_id == staff.account_id)
    gone = await session.execute(delete(Note).where(*own).returning(Note.id))
    if gone.scalar_one_or_none() is None:
        raise NotFound
    await notify(session, conversation.id)


async def mark_for_editors(session: AsyncSession, staff: Staff, conversation_id: UUID, message_id: int) -> None:
    """A question the knowledge base should answer. Marking it twice is no error. Raises Forbidden, NotFound."""
    conversation = await access_conversation(session, staff, conversation_id)
    query = select(Message.language).where(
        Message.id == message_id, Message.conversation_id == conversation.id, Message.author == "person"
    )
    language = await session.scalar(query)
    if language is None:
        raise NotFound
    marked = insert(Gap).values(message_id=message_id, language=language).on_conflict_do_nothing()
    await session.execute(marked)
    await audit.record(session, "message.marked", f"message:{message_id}", account_id=staff.account_id)


_SAY_TYPING = text(f"SELECT pg_notify('{TYPING}', :who)")


async def say_typing(session: AsyncSession, conversation_id: UUID, side: Literal["person", "operator"]) -> None:
    """Nothing is stored: whoever looks at the conversation now sees it for a few seconds."""
    await session.execute(_SAY_TYPING, {"who": f"{conversation_id}:{side}"})
