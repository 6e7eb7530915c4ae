"""What a person is told of their appointment without having asked: a message of the service in their conversation."""

from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select

from backend.db import Writer, notify
from backend.models import AppointmentKind, Conversation, Desk, EntryRow, Message, TextRow
from backend.visit_facts import FindEntry, load_facts
from backend.visits import Visit
from bot.visit_card import visit_card, visit_payload
from bot.visit_news import News, What, news, waiting_over
from knowledge_base.entry import Entry, parse_entry

INTENT = "my_bookings"
"""What such a message is about, in the words of the API."""


async def tell(
    db: Writer,
    visit: Visit,
    what: What,
    *,
    find_entry: FindEntry,
    now: datetime,
    place: UUID | None = None,
    until: datetime | None = None,
) -> bool:
    """Whatever state the conversation is in. False, and nothing written, without a conversation, or when the visit is
    over. `place` and `until`: of an offer, which waiting place it is for, and until when it holds."""
    if visit.conversation_id is None or visit.ends <= now:
        return False
    # Locked, so that ids of messages grow in the order of commits.
    own = select(Conversation.language).where(Conversation.id == visit.conversation_id)
    language = (await db.execute(own.with_for_update(key_share=True))).scalar_one_or_none()
    if language is None:
        return False
    facts = await load_facts(db, visit, language, find_entry)
    more: dict[str, Any] = {"comes": visit.comes is True, "entry": visit.entry_id}
    told = news(language, what, facts, place=str(place or ""), until=until, **more)
    await _write(db, visit.conversation_id, language, told, visit=visit_payload(visit_card(language, facts)))
    return True


async def tell_waiting_is_over(db: Writer, conversation_id: UUID, desk_id: int) -> None:
    """The desk does not offer any more what they wait for."""
    own = select(Conversation.language).where(Conversation.id == conversation_id)
    language = (await db.execute(own.with_for_update(key_share=True))).scalar_one_or_none()
    if language is None:
        return  # erased this moment
    desk = (await db.execute(select(Desk.name).where(Desk.id == desk_id))).scalar_one()
    await _write(db, conversation_id, language, waiting_over(language, desk))


async def _write(db: Writer, conversation_id: UUID, language: str, told: News, **more: Any) -> None:
    payload = {"intent": INTENT, "choices": [asdict(choice) for choice in told.choices], **more}
    values = {"conversation_id": conversation_id, "author": "system", "language": language, "text": told.text}
    await db.execute(insert(Message).values(**values, payload=payload))
    await notify(db, conversation_id)


async def load_entries(db: Writer, visit: Visit) -> FindEntry:
    """The entries its card speaks of, read from the database: for processes that keep no library."""
    desk = select(Desk.entry_id).where(Desk.id == visit.desk_id)
    kind = select(AppointmentKind.entry_id).where(AppointmentKind.id == visit.kind_id)
    ids = {*(await db.execute(desk.union(kind))).scalars(), visit.entry_id} - {None}
    texts: dict[str, dict[str, Any]] = {}
    columns = (TextRow.entry_id, TextRow.language, TextRow.data)
    for row in await db.execute(select(*columns).where(TextRow.entry_id.in_(ids))):
        texts.setdefault(row.entry_id, {})[row.language] = row.data
    rows = await db.execute(select(EntryRow.id, EntryRow.data).where(EntryRow.id.in_(ids)))
    found: dict[str, Entry] = {row.id: parse_entry({**row.data, "texts": texts.get(row.id, {})}) for row in rows}
    return found.get
