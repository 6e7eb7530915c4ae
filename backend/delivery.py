"""Live delivery: PostgreSQL says that something is new, whoever waits for it looks."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from uuid import UUID

import psycopg

from backend.db import ENTRIES_CHANGED, NEW_MESSAGE, QUEUE_CHANGED, TYPING

log = logging.getLogger(__name__)

_RECONNECT_S = (0.1, 0.5, 1.0, 2.0, 5.0)
_QUEUE_EVERY_S = 1.0
"""Twenty operators and as many people who write are hundreds of notices a second; all of one second are one look."""


def queue_key(desk_id: int) -> str:
    return f"queue:{desk_id}"


def typing_key(conversation_id: UUID, side: str) -> str:
    """`side` is who writes: `person` or `operator`."""
    return f"typing:{conversation_id}:{side}"


async def happens(event: asyncio.Event, seconds: float) -> bool:
    """Within so long. (`asyncio.wait_for` of Python 3.11 may swallow that the waiting task was cancelled.)"""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


Watcher = Callable[[str, str], None]


class Subscription:
    """What one stream waits for. What happens while it is busy is not lost: it is there at the next look."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._fired: set[str] = set()

    def fire(self, key: str) -> None:
        self._fired.add(key)
        self._event.set()

    def take(self) -> set[str]:
        """What has happened since the last time: the keys that were subscribed to."""
        fired, self._fired = self._fired, set()
        self._event.clear()
        return fired

    async def wait(self, seconds: float) -> bool:
        """Until something happens; False when nothing has for so long."""
        return await happens(self._event, seconds)


class Hub:
    """One listening connection for each process; wakes the streams of a conversation, of a desk's queue."""

    def __init__(self, url: str, *, on_entries: Callable[[], None]) -> None:
        self._url = url
        self._on_entries = on_entries
        self._waiting: dict[str, set[Subscription]] = {}
        self._watchers: list[Watcher] = []
        self._queue_told: dict[str, float] = {}
        self._queue_due: set[str] = set()
        self.queue_news = 0
        """Grows whenever a queue's streams are woken: what was read before may be old."""

    @contextlib.contextmanager
    def subscribe(self, *keys: str) -> Iterator[Subscription]:
        """`str(conversation id)`, `queue_key(…)`, `typing_key(…)`, or `queue:*` for all desks."""
        subscription = Subscription()
        for key in keys:
            self._waiting.setdefault(key, set()).add(subscription)
        try:
            yield subscription
        finally:
            for key in keys:
                self._waiting[key].discard(subscription)
                if not self._waiting[key]:
                    del self._waiting[key]

    @contextlib.contextmanager
    def watch(self, watcher: Watcher) -> Iterator[None]:
        """For whoever wants every notice, as it comes. `watcher(channel, payload)` must not wait; whenever a connection
        was made it is called with two empty words, because there may have been notices before."""
        self._watchers.append(watcher)
        try:
            yield
        finally:
            self._watchers.remove(watcher)

    async def listen(self) -> None:
        """Runs for the life of the process. What was said while the connection was away is caught up by waking all."""
        failures = 0
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
                    for channel in (NEW_MESSAGE, ENTRIES_CHANGED, QUEUE_CHANGED, TYPING):
                        await connection.execute(f"LISTEN {channel}")
                    for watcher in self._watchers:
                        watcher("", "")
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
        for watcher in self._watchers:
            watcher(channel, payload)
        if channel == ENTRIES_CHANGED:
            self._on_entries()
        elif channel == QUEUE_CHANGED:
            self._fire_queue(f"queue:{payload}")
            self._fire("queue:*")
        else:
            self._fire(f"typing:{payload}" if channel == TYPING else payload)

    def _fire(self, key: str) -> None:
        for subscription in self._waiting.get(key, ()):
            subscription.fire(key)

    def _fire_queue(self, key: str) -> None:
        """At once, or when a second has passed since the last time: nothing is lost, and the last one is told too."""
        loop = asyncio.get_running_loop()
        if key in self._queue_due:
            return
        wait = self._queue_told.get(key, -_QUEUE_EVERY_S) + _QUEUE_EVERY_S - loop.time()
        self._queue_due.add(key)
        if wait > 0:
            loop.call_later(wait, self._fire_queue_now, key)
        else:
            self._fire_queue_now(key)

    def _fire_queue_now(self, key: str) -> None:
        self._queue_due.discard(key)
        self._queue_told[key] = asyncio.get_running_loop().time()
        self.queue_news += 1
        self._fire(key)

    def _wake_all(self) -> None:
        self._on_entries()
        self.queue_news += 1
        for key in self._waiting:
            if not key.startswith("typing:"):
                self._fire(key)
