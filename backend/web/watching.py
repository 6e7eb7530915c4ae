"""The loop of both streams of the console: the page's and the API's."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable

from backend.access import Staff
from backend.errors import AppError, Unavailable
from backend.presence import beat
from backend.services import Services

_HEARTBEAT_S = 20.0
"""A line now and then keeps proxies from closing a quiet stream, and whoever reads it on duty."""
_ASK_EVERY_S = 5.0
Find = Callable[[], Awaitable[Staff | None]]
Update = Callable[[Staff, set[str]], AsyncIterator[str]]
"""What is new for them, as events, after something happened to these keys; `queue` stands for all their queues."""
GONE = "event: gone\ndata: gone\n\n"


async def watch(services: Services, keys: list[str], first: set[str], find: Find, update: Update) -> AsyncIterator[str]:
    """Ends when nobody is signed in any more, or what is watched is not theirs to see; the reader finds out by asking
    again. Whoever connects again gets the present state."""
    staff, roles, asked, told, fired = None, None, 0.0, -_HEARTBEAT_S, first | {"queue"}
    with services.hub.subscribe(*keys) as news:
        yield "retry: 2000\n\n"
        while True:
            try:
                # Asked again and again: an ended session, or a role that was taken away, ends the stream in seconds.
                if time.monotonic() - asked >= _ASK_EVERY_S:
                    staff, asked = await find(), time.monotonic()
                if staff is None or staff.roles != (roles or staff.roles):
                    yield GONE
                    return
                roles = staff.roles
                if time.monotonic() - told >= _HEARTBEAT_S:
                    await _here(services, staff)
                    told = time.monotonic()
                    yield ": still here\n\n"
                async for event in update(staff, fired):
                    yield event
            except Unavailable:  # the reader comes back by itself
                return
            except AppError:
                yield GONE
                return
            await news.wait(_ASK_EVERY_S)
            fired = {"queue" if key.startswith("queue:") else key for key in news.take()}


async def _here(services: Services, staff: Staff) -> None:
    """Their browser or program is still there."""
    async with services.sessions.begin() as session:
        await beat(session, staff)
