"""The line to Telegram: whether anybody answers at its other end, and how fast may be spoken into it."""

import asyncio
import contextlib
import heapq
import itertools
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Literal

from backend.delivery import happens

log = logging.getLogger(__name__)

Broken = Literal["away", "token"]
_PAUSES_S: dict[Broken, tuple[float, ...]] = {"away": (1, 2, 5, 10, 20, 30, 60), "token": (60, 300, 600)}
SENTENCES = {
    "away": "Telegram cannot be reached. It is tried again and again; what is to be sent is kept meanwhile.",
    "token": "Telegram does not know the token in ELP_TELEGRAM_TOKEN: it is wrong or was revoked. @BotFather gives a "
    "new one (/token). Everything else goes on; Telegram is tried again every ten minutes.",
    "conflict": "Another program asks Telegram for the messages to the same bot. Only one can: stop the other, or give "
    "each a bot of its own (@BotFather). It is tried again every half minute.",
}


class Line:
    """Closed for a while after a failure that is nobody's own; who wants to call waits until it opens. The pauses grow,
    and the first call that works ends them for all."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, pauses_s: float | None = None) -> None:
        """`pauses_s`: all pauses are as long; for tests."""
        self._clock, self._fixed = clock, pauses_s
        self.conflict_s = 30.0 if pauses_s is None else pauses_s
        """After somebody else has asked for the updates."""
        self._closed_until = 0.0
        self._failures = 0
        self._said: set[str] = set()
        self._opened = asyncio.Event()

    async def open(self) -> None:
        """Waits as long as it is closed."""
        while (wait := self._closed_until - self._clock()) > 0:
            self._opened.clear()
            await happens(self._opened, wait)

    def failed(self, what: Broken) -> None:
        """Says what is wrong, once."""
        self.explain(what)
        if self._closed_until > self._clock():
            return
        pauses = _PAUSES_S[what]
        pause = pauses[min(self._failures, len(pauses) - 1)] if self._fixed is None else self._fixed
        self._closed_until = self._clock() + pause
        self._failures += 1

    def explain(self, what: str) -> None:
        if what not in self._said:
            log.warning(SENTENCES[what])
            self._said.add(what)

    def works(self, *also: str) -> None:
        """`also`: what else is over, of what was explained."""
        self._failures, self._closed_until = 0, 0.0
        self._opened.set()
        over = self._said & {"away", "token", *also}
        if over:
            log.info("Telegram answers again")
            self._said -= over


class Pace:
    """How fast Telegram lets a bot send: 30 messages a second to all together, one a second to each chat with small
    bursts (core.telegram.org/bots/faq). A little less is sent: messages arrive less evenly than they leave.

    A process that has just taken over does not know what another sent a moment ago: it begins as if it had sent all.
    """

    ALL, ALL_S = 30, 1.05
    """So many in so many seconds."""
    BURST, CHAT_S = 3, 1.05
    """To one chat: so many at once, then one in so many seconds."""
    APART_S = 0.5
    """Between the beginnings of two calls of which the first has not ended. So one call at a time is under way as long
    as Telegram answers faster than that, and a process that is killed repeats one; a slow one keeps nobody waiting."""

    def __init__(
        self,
        *,
        enabled: bool = True,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.enabled, self._clock, self._sleep = enabled, clock, sleep
        self._sent = deque([clock()] * self.ALL, maxlen=self.ALL)
        self._due: dict[int, float] = {}
        self._before = clock() + self.BURST * self.CHAT_S
        """What is assumed of a chat that nothing was sent to yet: that its burst was used a moment before we began."""
        self._busy = False
        self._queue: list[tuple[bool, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    async def chat(self, chat: int) -> None:
        """Waits until this chat may get another message. There is one sender for each chat."""
        if self.enabled:
            early = (self.BURST - 1) * self.CHAT_S
            await self._sleep(max(0.0, self._due.get(chat, self._before) - early - self._clock()))

    @contextlib.asynccontextmanager
    async def everybody(self, chat: int, *, asked: bool = True) -> AsyncIterator[None]:
        """One after the other, when there is room for one more: first what people wait for, then what nobody has
        asked for, each in the order of coming here. Leaving it lets the next one begin: see `APART_S`."""
        await self._come_in(asked)
        try:
            if self.enabled:
                await self._sleep(max(0.0, self._sent[0] + self.ALL_S - self._clock()))
                self._sent.append(self._clock())
                self._due[chat] = max(self._due.get(chat, self._before), self._clock()) + self.CHAT_S
                if len(self._due) > 10_000:
                    self._forget()
            yield
        finally:
            self._let_in()

    async def _come_in(self, asked: bool) -> None:
        if not self._busy:
            self._busy = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (not asked, next(self._numbers), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._let_in()
            raise

    def _let_in(self) -> None:
        while self._queue:
            turn = heapq.heappop(self._queue)[2]
            if not turn.done():
                turn.set_result(None)
                return
        self._busy = False

    def _forget(self) -> None:
        now = self._clock()
        self._due = {chat: due for chat, due in self._due.items() if due > now}
