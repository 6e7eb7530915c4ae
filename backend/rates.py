"""How often something may be done, so that one sender cannot keep the service from everybody else.

Counts live in the memory of the process and hold hashes under a salt of its own: no address is ever stored. Limits by
address are wide, because a whole desk, a school or a shelter may stand behind one; narrow are those by conversation,
by account and by link.
"""

import hashlib
import secrets
import time
from collections.abc import Mapping

from limits import RateLimitItem, parse_many
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from backend.errors import TooManyRequests

RULES: Mapping[str, Mapping[str, str]] = {
    "message": {"conversation": "30/minute; 600/day", "address": "300/minute"},
    "conversation": {"address": "60/minute; 1000/day"},
    "attachment": {"conversation": "10 per 10 minute; 40/day", "address": "60/minute"},
    "sign_in": {"pair": "8 per 5 minute", "email": "40/hour", "address": "100 per 5 minute"},
    "code": {"account": "6 per 10 minute"},
    "link": {"email": "3/hour", "address": "30/hour"},
    "booking": {"conversation": "6/hour; 12/day", "address": "60/hour"},
}
"""Kind of act → who is counted → how often. `pair` is one account tried from one address."""


class Limits:
    """`check` counts one try and raises when it was one too many."""

    def __init__(self, *, enabled: bool = True) -> None:
        self.enabled = enabled
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._salt = secrets.token_bytes(16)
        self._rules: dict[tuple[str, str], list[RateLimitItem]] = {
            (kind, who): parse_many(rule) for kind, rules in RULES.items() for who, rule in rules.items()
        }

    async def check(self, kind: str, **who: str) -> None:
        """`check("message", conversation=…, address=…)`. Raises TooManyRequests with the seconds to wait, and KeyError
        for a kind or counter without a rule."""
        if not self.enabled:
            return
        for counter, value in who.items():
            for rule in self._rules[kind, counter]:
                key = self._key(value)
                if not await self._limiter.hit(rule, kind, counter, key):
                    window = await self._limiter.get_window_stats(rule, kind, counter, key)
                    raise TooManyRequests(seconds=max(1, round(window.reset_time - time.time())))

    def _key(self, value: str) -> str:
        return hashlib.blake2b(value.encode("utf-8", "replace"), key=self._salt, digest_size=16).hexdigest()
