"""The event stream of the console's API: new messages once and in order, everything else as it stands now."""

import json
from collections.abc import AsyncIterator
from uuid import UUID

from backend.access import Staff
from backend.console_feed import PAGE, read_after, read_before, read_standing
from backend.console_keys import find_key_staff
from backend.delivery import queue_key
from backend.errors import AppError, Unavailable
from backend.operators import count_waiting
from backend.presence import beat
from backend.services import Services
from backend.web.console_views import ConsoleMessage, StateView, message_view
from backend.web.pacing import Pace

_WATCHED = 40
"""Messages before the newest whose translation or delivery may still come."""


async def stream(
    services: Services, key: str, desks: list[int], conversation: UUID | None, after: int, language: str
) -> AsyncIterator[str]:
    """Ends when the key is refused, or the conversation is not theirs to see any more."""
    keys = [queue_key(desk_id) for desk_id in desks]
    if conversation is not None:
        keys.append(str(conversation))
    feed = _Feed(services, conversation, after, language)
    with services.hub.subscribe(*keys) as news:
        yield "retry: 2000\n\n"
        pace, staff = Pace(news), None
        fired: set[str] | None = (await pace.next() or set()) | {str(conversation)}
        while True:
            try:
                # Asked again and again: a key that was deleted, or a role that was taken away, ends the stream.
                if staff is None or pace.ask_again():
                    staff = await find_key_staff(services.sessions, key)
                if staff is None:
                    yield _event("gone", "gone")
                    return
                async for one in feed.update(staff, fired or set()):
                    yield one
            except Unavailable:  # the program comes back by itself
                return
            except AppError:
                yield _event("gone", "gone")
                return
            fired = await pace.next()
            if fired is None:
                staff = None
                yield ": still here\n\n"


class _Feed:
    """What one listener has been told already."""

    def __init__(self, services: Services, conversation: UUID | None, after: int, language: str) -> None:
        self.services, self.conversation, self.language = services, conversation, language
        self.seen = after
        self.told: dict[str, str] = {}

    async def update(self, staff: Staff, fired: set[str]) -> AsyncIterator[str]:
        """Raises Forbidden, NotFound."""
        async with self.services.sessions.begin() as session:
            await beat(session, staff)
            waiting, newest = await count_waiting(session, staff)
        if "queue" in fired:  # also when as many wait: who has one, or what was promised, may have changed
            yield _event("queue", json.dumps({"waiting": waiting, "newest": newest}))
        if self.conversation is None or str(self.conversation) not in fired:
            return
        async with self.services.sessions.begin() as session:
            standing = await read_standing(session, staff, self.conversation)
            known = await read_before(
                session,
                self.conversation,
                language=self.language,
                actions=self.services.shelf,
                upto=self.seen,
                most=_WATCHED,
            )
        for one in self._changed("state", StateView.model_validate(standing).model_dump_json()):
            yield one
        for view in (message_view(message, self.conversation) for message in known):
            for one in self._message(view, new=False):
                yield one
        while True:  # a transaction for each page: whoever reads slowly holds no connection
            async with self.services.sessions.begin() as session:
                await read_standing(session, staff, self.conversation)
                found = await read_after(
                    session,
                    self.conversation,
                    language=self.language,
                    actions=self.services.shelf,
                    after=self.seen,
                )
            for view in (message_view(message, self.conversation) for message in found):
                self.seen = view.id
                for one in self._message(view, new=True):
                    yield one
            if len(found) < PAGE:
                break

    def _message(self, view: ConsoleMessage, *, new: bool) -> list[str]:
        out = self._changed("message", view.model_dump_json(), key=f"m{view.id}", event_id=view.id if new else None)
        for old in [key for key in self.told if key.startswith("m")][: -2 * _WATCHED]:
            del self.told[old]
        return out

    def _changed(self, name: str, data: str, *, key: str | None = None, event_id: int | None = None) -> list[str]:
        if self.told.get(key or name) == data:
            return []
        self.told[key or name] = data
        return [_event(name, data, event_id)]


def _event(name: str, data: str, event_id: int | None = None) -> str:
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {name}\ndata: {data}\n\n"
