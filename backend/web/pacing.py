"""When the stream of an open console looks again: at once for its own conversation, once a second for the queue."""

import time

from backend.delivery import Subscription

HEARTBEAT_S = 20.0
_QUEUE_EVERY_S = 1.0
_ASK_EVERY_S = 5.0


class Pace:
    """Twenty operators and as many people who write are hundreds of notices a second; most of them are one look."""

    def __init__(self, news: Subscription) -> None:
        self._news = news
        self._queue_due = True
        self._queue_seen = -_QUEUE_EVERY_S
        self._asked = -_ASK_EVERY_S

    async def next(self) -> set[str] | None:
        """Keys that something happened to, `queue` among them when it is time to look at it; None: a quiet while."""
        while True:
            fired = self._news.take()
            urgent = {key for key in fired if not key.startswith("queue:")}
            self._queue_due = self._queue_due or len(urgent) < len(fired)
            wait = max(0.0, self._queue_seen + _QUEUE_EVERY_S - time.monotonic()) if self._queue_due else HEARTBEAT_S
            if self._queue_due and wait == 0.0:
                self._queue_due, self._queue_seen = False, time.monotonic()
                return urgent | {"queue"}
            if urgent:
                return urgent
            if not await self._news.wait(wait) and not self._queue_due:
                return None

    def ask_again(self) -> bool:
        """Whether it is time to ask again who is signed in: an ended session ends the stream within seconds."""
        if time.monotonic() - self._asked < _ASK_EVERY_S:
            return False
        self._asked = time.monotonic()
        return True
