"""Days on which Telegram does not answer as one would like, and its limits."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from backend.telegram_stand_in.table import Refused

ALL_PER_SECOND = 30
CHAT_BURST = 3
_DESCRIPTIONS = {
    400: "Bad Request: injected",
    401: "Unauthorized",
    403: "Forbidden: bot was blocked by the user",
    409: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
    429: "Too Many Requests: retry after {retry_after}",
    500: "Internal Server Error",
}


@dataclass
class Fault:
    """Happens to the next calls it fits. Without a status and without `drops` it only takes its time."""

    method: str | None
    chat: int | None
    times: int | None
    after: bool
    """The call is done all the same; what goes wrong is the answer."""
    status: int | None = None
    retry_after: int | None = None
    description: str | None = None
    drops: bool = False
    seconds: float = 0.0

    def fits(self, method: str, chat: int | None) -> bool:
        """Waiting for updates is spared unless it is named."""
        wanted = self.method == method or (self.method is None and method != "getUpdates")
        return wanted and self.times != 0 and self.chat in (None, chat)

    @property
    def refusal(self) -> Refused:
        assert self.status is not None
        text = self.description or _DESCRIPTIONS.get(self.status, "Bad Gateway")
        more = {} if self.retry_after is None else {"retry_after": self.retry_after}
        refused = Refused("", self.status, **more)
        refused.description = text.format(retry_after=self.retry_after)
        return refused


def find_fault(faults: Iterable[Fault], method: str, chat: int | None) -> Fault | None:
    """The first that fits, once less."""
    for fault in faults:
        if fault.fits(method, chat):
            if fault.times is not None:
                fault.times -= 1
            return fault
    return None


class Limits:
    """30 messages a second over all chats, and one a second in a chat, with short bursts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._all: deque[float] = deque()
        self._chats: dict[int, tuple[float, float]] = {}

    def check(self, chat: int, messages: int = 1) -> None:
        """Counts them. Raises Refused."""
        now = self._clock()
        while self._all and now - self._all[0] >= 1:
            self._all.popleft()
        if len(self._all) + messages > ALL_PER_SECOND:
            raise _too_many(1)
        left, since = self._chats.get(chat, (float(CHAT_BURST), now))
        left = min(float(CHAT_BURST), left + now - since)
        if left < min(messages, CHAT_BURST):
            self._chats[chat] = (left, now)
            raise _too_many(max(1, round(messages - left)))
        self._chats[chat] = (left - messages, now)
        self._all.extend([now] * messages)


def _too_many(seconds: int) -> Refused:
    refused = Refused("", 429, retry_after=seconds)
    refused.description = f"Too Many Requests: retry after {seconds}"
    return refused
