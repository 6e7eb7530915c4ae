"""How many wait, for all open consoles: those that may see the same share one look at the database."""

import asyncio

from backend.access import Role, Staff
from backend.db import Sessions
from backend.delivery import Hub
from backend.queue_list import count_waiting

_OLD_S = 5.0
"""A value is not shared for longer, should the notices have stopped."""
_MOST_KEPT = 100
Count = tuple[int, int | None]
"""How many wait, and the newest handover among them."""


class QueueCounts:
    def __init__(self, sessions: Sessions, hub: Hub) -> None:
        self._sessions, self._hub = sessions, hub
        self._looks: dict[tuple[Role, ...], tuple[int, float, asyncio.Task[Count]]] = {}

    async def read(self, staff: Staff) -> Count:
        """As it was after the last notice about any queue. Raises Forbidden, Unavailable."""
        now, news = asyncio.get_running_loop().time(), self._hub.queue_news
        known = self._looks.get(staff.roles)
        if known is None or known[0] != news or now - known[1] > _OLD_S or _failed(known[2]):
            if len(self._looks) >= _MOST_KEPT:
                self._looks.clear()
            known = self._looks[staff.roles] = (news, now, asyncio.create_task(self._count(staff)))
        return await asyncio.shield(known[2])  # whoever goes away does not take it from the others

    async def _count(self, staff: Staff) -> Count:
        async with self._sessions.begin() as session:
            return await count_waiting(session, staff)


def _failed(look: asyncio.Task[Count]) -> bool:
    return look.done() and (look.cancelled() or look.exception() is not None)
