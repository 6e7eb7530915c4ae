"""How often something may be done, so that one sender cannot keep the service from everybody else.

Counts live in the memory of the process and hold hashes under a salt of its own: no address is ever stored. Limits by
address are wide, because a whole desk, a school or a shelter may stand behind one; narrow are those by conversation,
by account and by link.
"""

import hashlib
import math
import secrets
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping

from limits import RateLimitItem, parse_many
from limits.storage import MovingWindowSupport, Storage
from limits.strategies import MovingWindowRateLimiter

from backend.errors import TooManyRequests

RULES: Mapping[str, Mapping[str, str]] = {
    "message": {"conversation": "30/minute; 600/day", "address": "300/minute"},
    "conversation": {"address": "60/minute; 1000/day"},
    "attachment": {"conversation": "10 per 10 minute; 40/day", "address": "60/minute"},
    "typing": {"conversation": "60/minute", "address": "900/minute"},
    "sign_in": {"pair": "8 per 5 minute", "email": "40/hour", "address": "100 per 5 minute"},
    "code": {"account": "6 per 10 minute"},
    "link": {"email": "3/hour", "address": "30/hour"},
    "booking": {"conversation": "6/hour; 12/day", "address": "60/hour"},
    "refusal": {"conversation": "1/minute"},
    "visit_code": {"account": "40 per 10 minute"},
    "feed": {"address": "60/minute"},
}
"""Kind of act → who is counted → how often. `pair` is one account tried from one address. `refusal`: somebody is
told of having sent too much, where each refusal is a message."""

_SHORTEST_WAIT_S = 2
_SWEEP_S = 60


class Limits:
    """`check` counts one try and raises when it was one too many.

    A refused try is not counted, for nobody: who keeps on pressing does not wait longer, and a conversation that floods
    does not use up what the others behind the same address may do. Nothing is awaited between looking and counting, so
    that tries at the same moment cannot slip through together.
    """

    def __init__(self, *, enabled: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self.enabled = enabled
        self._clock = clock
        self._salt = secrets.token_bytes(16)
        self._windows = Windows(clock)
        self._limiter = MovingWindowRateLimiter(self._windows)
        self._rules: dict[tuple[str, str], list[RateLimitItem]] = {
            (kind, counter): parse_many(rule) for kind, rules in RULES.items() for counter, rule in rules.items()
        }

    async def check(self, kind: str, **who: str) -> None:
        """`check("message", conversation=…, address=…)`. Raises TooManyRequests with the seconds to wait, and KeyError
        for a kind or counter without a rule."""
        if not self.enabled:
            return
        self._windows.sweep()
        asked = [
            (rule, self._key(kind, counter, value))
            for counter, value in who.items()
            for rule in self._rules[kind, counter]
        ]
        full = [one for one in asked if not self._limiter.test(*one)]
        if full:
            until = max(self._limiter.get_window_stats(*one).reset_time for one in full)
            raise TooManyRequests(seconds=max(_SHORTEST_WAIT_S, math.ceil(until - self._clock())))
        for one in asked:
            self._limiter.hit(*one)

    def reset(self) -> None:
        self._windows.reset()

    def _key(self, *parts: str) -> str:
        text = "\0".join(parts).encode("utf-8", "replace")
        return hashlib.blake2b(text, key=self._salt, digest_size=16).hexdigest()


class Windows(Storage, MovingWindowSupport):
    """Times of the tries that were let through, for the moving windows of `limits`.

    Its own memory storage starts a timer thread after every try and then walks through all keys: with 5,000
    conversations that took a third of a core while nobody wrote.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._tries: dict[str, list[float]] = {}
        self._forget_at: dict[str, float] = {}
        self._swept = clock()

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        now, tries = self._clock(), self._tries.setdefault(key, [])
        del tries[: bisect_right(tries, now - expiry)]
        if len(tries) + amount > limit:
            return False
        tries.extend([now] * amount)
        self._forget_at[key] = now + expiry
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        now, tries = self._clock(), self._tries.get(key, [])
        first = bisect_right(tries, now - expiry)
        return (tries[first], len(tries) - first) if first < len(tries) else (now, 0)

    def sweep(self) -> None:
        """Forgets, once a minute, whoever has not come for as long as a rule looks back."""
        now = self._clock()
        if now < self._swept + _SWEEP_S:
            return
        self._swept = now
        for key in [key for key, until in self._forget_at.items() if until <= now]:
            del self._forget_at[key]
            self._tries.pop(key, None)

    def __len__(self) -> int:
        return len(self._tries)

    def reset(self) -> int:
        held = len(self._tries)
        self._tries.clear()
        self._forget_at.clear()
        return held

    def clear(self, key: str) -> None:
        self._tries.pop(key, None)
        self._forget_at.pop(key, None)

    def check(self) -> bool:
        return True

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    # Counters of the other strategies, which are not used here.

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        raise NotImplementedError

    def get(self, key: str) -> int:
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        raise NotImplementedError
