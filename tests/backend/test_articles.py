"""Starter content goes in once, edits are kept, and every process hears of a change."""

import asyncio
import contextlib

import pytest
from sqlalchemy import func, select, text

from backend.articles import load_entries, save_entry, seed
from backend.db import ENTRIES_CHANGED
from backend.models import EntryRow, Revision
from backend.services import Services
from knowledge_base.entry import Entry
from knowledge_base.files import Content


@pytest.fixture
def isee(content: Content) -> Entry:
    return next(entry for entry in content.entries if entry.id == "isee")


def renamed(entry: Entry, title: str) -> Entry:
    texts = {**entry.texts, "it": entry.texts["it"].model_copy(update={"title": title})}
    return entry.model_copy(update={"texts": texts})


async def test_loading_twice_changes_nothing(services: Services, content: Content) -> None:
    again = await seed(services.sessions, content)
    assert (again.added, again.updated) == (0, 0)
    async with services.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(EntryRow)) == 124


async def test_a_change_in_the_files_is_loaded_and_an_editors_change_is_never_overwritten(
    services: Services, content: Content, isee: Entry
) -> None:
    changed = Content(tuple(renamed(e, "Nuovo titolo") if e.id == "isee" else e for e in content.entries), {})
    assert (await seed(services.sessions, changed)).updated == 1
    async with services.sessions.begin() as session:
        await save_entry(session, renamed(isee, "Di un redattore"), author="editor", reason="test", position=1)
    seeded = await seed(services.sessions, content)
    assert (seeded.updated, seeded.kept) == (0, 1)
    async with services.sessions() as session:
        entries = {entry.id: entry for entry in await load_entries(session)}
    assert entries["isee"].texts["it"].title == "Di un redattore"
    async with services.sessions.begin() as session:  # leave the shared database as the others expect it
        await session.execute(text("DELETE FROM entry_revisions WHERE entry_id = 'isee' AND author = 'editor'"))
    assert (await seed(services.sessions, content)).updated == 1


async def test_every_save_is_a_revision(services: Services) -> None:
    async with services.sessions() as session:
        count = await session.scalar(select(func.count()).where(Revision.entry_id == "isee"))
    assert count is not None
    assert count >= 1


async def test_a_change_reaches_the_library_of_a_running_process(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = asyncio.Event()

    async def load() -> None:
        loaded.set()

    monkeypatch.setattr(services.shelf, "load", load)
    async with asyncio.timeout(30):
        while not loaded.is_set():  # it may not be listening yet
            async with services.sessions.begin() as session:
                await session.execute(text(f"NOTIFY {ENTRIES_CHANGED}"))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(loaded.wait(), 1)
