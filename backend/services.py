"""Opens the clients once, for the web and the worker alike."""

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from backend import articles, masking
from backend.chat import Chat
from backend.config import Settings
from backend.db import Sessions, create_engine, create_sessions, plain_url
from backend.delivery import Hub
from backend.keys import unlock
from backend.queue_counts import QueueCounts
from backend.rates import Limits
from bot.nlu import RasaClient
from bot.translation import Translator
from bot.turn import Keeping
from bot.understand import Understander
from knowledge_base.entry import Entry
from knowledge_base.library import Library

log = logging.getLogger(__name__)


async def load_library(sessions: Sessions, cache: Path) -> Library:
    """All entries with their texts and the index over them, built in a thread because it may take seconds."""
    async with sessions.begin() as session:
        entries, outside = await articles.load_entries(session), await articles.load_outside(session)
    return await asyncio.to_thread(Library.build, entries, outside, cache=cache)


@dataclass
class Shelf:
    """Holds the library of this process; the whole library is replaced at once when an entry changes."""

    sessions: Sessions
    cache: Path
    library: Library = field(default_factory=lambda: Library.build([], {}))
    version: tuple[int, int] | None = None
    """Of the content the library was built from; None until there is one."""
    _stale: asyncio.Event = field(default_factory=asyncio.Event)
    _loaded: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ready(self) -> bool:
        return self.version is not None

    async def until_ready(self) -> None:
        await self._loaded.wait()

    async def load(self) -> None:
        """Does nothing when the content is what it was: a notice may come twice, or after a lost connection."""
        version = await articles.content_version(self.sessions)
        if version != self.version:
            self.library = await load_library(self.sessions, self.cache)
            self.version = version
            self._loaded.set()
            # The library lives as long as the process: the garbage collector need not walk through it again and again.
            # The one it replaces is let go first, or each edit would leave its cycles behind.
            gc.unfreeze()
            gc.collect()
            gc.freeze()

    def changed(self) -> None:
        self._stale.set()

    async def keep_fresh(self) -> None:
        """Loads again after each change; the old library answers meanwhile."""
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                await self.load()
            except Exception as error:
                log.warning("entries could not be loaded (%s), trying again", type(error).__name__)
                await asyncio.sleep(1)
                self._stale.set()

    # What a dialogue may do (`bot.actions.Actions`).

    def find_entry(self, entry_id: str) -> Entry | None:
        return self.library.find_entry(entry_id)

    def entries_about(self, category: str) -> tuple[Entry, ...]:
        return self.library.entries_about(category)

    def desks(self) -> tuple[Entry, ...]:
        return self.library.desks()


@dataclass(frozen=True)
class Services:
    settings: Settings
    engine: AsyncEngine
    sessions: Sessions
    shelf: Shelf
    parser: RasaClient | None
    chat: Chat
    hub: Hub
    queue_counts: QueueCounts
    limits: Limits
    translator: Translator

    def now(self) -> datetime:
        """The one clock."""
        return datetime.now(UTC)


@contextlib.asynccontextmanager
async def open_services(settings: Settings, *, with_library: bool = True) -> AsyncIterator[Services]:
    """Raises ValueError without a database address: the embedded server is started by `elp run`, not here.

    Without the library nothing is indexed until `shelf.load()` is called: a process that seldom answers saves seconds
    and memory.
    """
    if settings.database_url is None:
        raise ValueError("ELP_DATABASE_URL is not set")
    unlock(settings)
    engine = create_engine(settings.database_url, pool_size=settings.database_pool)
    sessions = create_sessions(engine)
    shelf = Shelf(sessions, settings.data_dir / "index")
    parser = RasaClient(settings.nlu_url, timeout_s=settings.nlu_timeout_ms / 1000) if settings.nlu_url else None
    hub = Hub(plain_url(settings.database_url), on_entries=shelf.changed)
    translator = Translator(settings.data_dir / "translation")
    services = Services(
        settings=settings,
        engine=engine,
        sessions=sessions,
        shelf=shelf,
        parser=parser,
        chat=Chat(
            engine,
            Understander(lambda: shelf.library, parser, translator),
            shelf,
            Keeping(settings.keep_conversations_days, settings.controller),
        ),
        hub=hub,
        queue_counts=QueueCounts(sessions, hub),
        limits=Limits(enabled=settings.rate_limits == "on"),
        translator=translator,
    )
    tasks = [asyncio.create_task(hub.listen())]
    if with_library:
        await asyncio.to_thread(services.chat.understander.warm_up, shelf.cache)
        await asyncio.to_thread(masking.warm_up)
        tasks.append(asyncio.create_task(shelf.keep_fresh()))
        shelf.changed()
    try:
        yield services
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if parser:
            await parser.close()
        services.translator.close()
        await engine.dispose()
