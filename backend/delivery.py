"""Live delivery: PostgreSQL says that something is new, whoever waits for it looks."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from uuid import UUID

import psycopg

from backend.db import ENTRIES_CHANGED, NEW_MESSAGE

log = logging.getLogger(__name__)

_RECONNECT_S = (0.1, 0.5, 1.0, 2.0, 5.0)


class Hub:
    """One listening connection for each process; wakes the streams of a conversation."""

    def __init__(self, url: str, *, on_entries: Callable[[], None]) -> None:
        self._url = url
        self._on_entries = on_entries
        self._waiting: dict[str, set[asyncio.Event]] = {}

    @contextlib.contextmanager
    def subscribe(self, conversation_id: UUID) -> Iterator[asyncio.Event]:
        """An event that is set whenever the conversation may have something new."""
        event, key = asyncio.Event(), str(conversation_id)
        self._waiting.setdefault(key, set()).add(event)
        try:
            yield event
        finally:
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]

    async def listen(self) -> None:
        """Runs for the life of the process. What was said while the connection was away is caught up by waking all."""
        failures = 0
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {NEW_MESSAGE}")
                    await connection.execute(f"LISTEN {ENTRIES_CHANGED}")
                    if failures:
                        log.info("live updates are back")
                        self._wake_all()
                    failures = 0
                    async for notice in connection.notifies():
                        self._received(notice.channel, notice.payload)
            except (psycopg.Error, OSError) as error:
                if not failures:
                    log.warning("live updates stopped (%s), connecting again", type(error).__name__)
            await asyncio.sleep(_RECONNECT_S[min(failures, len(_RECONNECT_S) - 1)])
            failures += 1

    def _received(self, channel: str, payload: str) -> None:
        if channel == ENTRIES_CHANGED:
            self._on_entries()
            return
        for event in self._waiting.get(payload, ()):
            event.set()

    def _wake_all(self) -> None:
        self._on_entries()
        for events in self._waiting.values():
            for event in events:
                event.set()
