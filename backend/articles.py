"""Entries in the database: the starter content goes in, the library that answers comes out of `services.Shelf`."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.db import ENTRIES_CHANGED, Sessions
from backend.models import EntryRow, OutsideQuestion, Revision, TextRow
from knowledge_base.entry import Entry, parse_entry
from knowledge_base.files import Content

SEED = "seed"


@dataclass(frozen=True, slots=True)
class Seeded:
    added: int
    updated: int
    kept: int
    """Entries left alone because somebody edited them since."""


def _data(entry: Entry) -> dict[str, Any]:
    return entry.model_dump(mode="json")


def _digest(data: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:32]


async def seed(sessions: Sessions, content: Content) -> Seeded:
    """Loads the starter content; an entry that an editor has changed is never overwritten."""
    async with sessions.begin() as session:
        latest = await _latest_revisions(session)
        added = updated = kept = 0
        for position, entry in enumerate(content.entries):
            author, digest = latest.get(entry.id, (None, None))
            data = _data(entry)
            if author is None:
                added += 1
            elif author != SEED:
                kept += 1
                continue
            elif digest == _digest(data):
                continue
            else:
                updated += 1
            await save_entry(session, entry, author=SEED, reason="starter content", position=position)
        new_outside = await _save_outside(session, content)
        if added or updated or new_outside:
            await session.execute(text(f"NOTIFY {ENTRIES_CHANGED}"))
    return Seeded(added, updated, kept)


async def _latest_revisions(session: AsyncSession) -> dict[str, tuple[str, str]]:
    newest = select(func.max(Revision.id)).group_by(Revision.entry_id)
    rows = await session.execute(
        select(Revision.entry_id, Revision.author, Revision.digest).where(Revision.id.in_(newest))
    )
    return {row.entry_id: (row.author, row.digest) for row in rows}


async def save_entry(session: AsyncSession, entry: Entry, *, author: str, reason: str, position: int) -> None:
    """Writes the entry, its texts and a revision; the caller notifies and commits."""
    data = _data(entry)
    texts: dict[str, Any] = data["texts"]
    facts = {key: value for key, value in data.items() if key != "texts"}
    statement = insert(EntryRow).values(id=entry.id, status=entry.status.value, position=position, data=facts)
    changes = {"status": entry.status.value, "data": facts, "position": position, "updated_at": func.now()}
    await session.execute(statement.on_conflict_do_update(index_elements=[EntryRow.id], set_=changes))
    for language, text_data in texts.items():
        row = insert(TextRow).values(entry_id=entry.id, language=language, data=text_data)
        await session.execute(
            row.on_conflict_do_update(index_elements=[TextRow.entry_id, TextRow.language], set_={"data": text_data})
        )
    revision = insert(Revision).values(entry_id=entry.id, author=author, reason=reason, data=data, digest=_digest(data))
    await session.execute(revision)


async def _save_outside(session: AsyncSession, content: Content) -> int:
    rows = [
        {"language": code, "text": line} for code, lines in content.outside.items() for line in dict.fromkeys(lines)
    ]
    if not rows:
        return 0
    statement = insert(OutsideQuestion).on_conflict_do_nothing().returning(OutsideQuestion.language)
    return len((await session.execute(statement, rows)).all())


async def content_version(sessions: Sessions) -> tuple[int, int]:
    """Changes with every saved entry and every outside question; tells whether a library is still the newest."""
    async with sessions.begin() as session:
        newest = await session.scalar(select(func.max(Revision.id)))
        outside = await session.scalar(select(func.count()).select_from(OutsideQuestion))
        return newest or 0, outside or 0


async def load_outside(session: AsyncSession) -> dict[str, list[str]]:
    """Per language, in an order that does not change from one load to the next."""
    outside: dict[str, list[str]] = {}
    query = select(OutsideQuestion.language, OutsideQuestion.text).order_by(
        OutsideQuestion.language, OutsideQuestion.text
    )
    for row in await session.execute(query):
        outside.setdefault(row.language, []).append(row.text)
    return outside


async def load_entries(session: AsyncSession) -> list[Entry]:
    texts: dict[str, dict[str, Any]] = {}
    for row in await session.execute(select(TextRow.entry_id, TextRow.language, TextRow.data)):
        texts.setdefault(row.entry_id, {})[row.language] = row.data
    rows = await session.execute(select(EntryRow.data).order_by(EntryRow.position, EntryRow.id))
    return [parse_entry({**data, "texts": texts.get(data["id"], {})}) for (data,) in rows]
