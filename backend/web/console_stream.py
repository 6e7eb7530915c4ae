"""The event stream of the console's API: new messages once and in order, everything else as it stands now."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.access import Staff, access_conversation
from backend.console_feed import PAGE, read_after
from backend.console_keys import find_key_staff
from backend.delivery import queue_key
from backend.operators import ReadMessage, list_versions, read_conversation, read_messages
from backend.services import Services
from backend.web.console_views import StateView, message_view
from backend.web.watching import watch

_WATCHED = 40
"""Messages before the newest whose translation or delivery may still come."""


def stream(
    services: Services, key: str, desks: list[int], conversation: UUID | None, after: int, language: str
) -> AsyncIterator[str]:
    """Ends when the key is refused, or the conversation is not theirs to see any more."""
    keys = [queue_key(desk_id) for desk_id in desks]
    if conversation is not None:
        keys.append(str(conversation))
    feed = _Feed(services, conversation, after, language)
    return watch(services, keys, {str(conversation)}, lambda: find_key_staff(services.sessions, key), feed.update)


class _Feed:
    """What one listener has been told already."""

    def __init__(self, services: Services, conversation: UUID | None, after: int, language: str) -> None:
        self.services, self.conversation = services, conversation
        self.words: dict[str, Any] = {"language": language, "actions": services.shelf}
        self.seen = after
        self.state = ""
        self.versions: dict[int, tuple[Any, ...]] = {}

    async def update(self, staff: Staff, fired: set[str]) -> AsyncIterator[str]:
        """Raises Forbidden, NotFound, Unavailable."""
        if "queue" in fired:  # also when as many wait: who has one, or what was promised, may have changed
            waiting, newest = await self.services.queue_counts.read(staff)
            yield _event("queue", json.dumps({"waiting": waiting, "newest": newest}))
        if self.conversation is None or str(self.conversation) not in fired:
            return
        async for one in self._conversation(staff, self.conversation):
            yield one

    async def _conversation(self, staff: Staff, conversation_id: UUID) -> AsyncIterator[str]:
        async with self.services.sessions.begin() as session:
            read = await read_conversation(session, staff, conversation_id, with_messages=False, **self.words)
            changed = await self._changed(session, conversation_id)
        state = StateView.model_validate(read).model_dump_json()
        if state != self.state:
            self.state = state
            yield _event("state", state)
        for message in changed:
            yield _event("message", message_view(message, conversation_id).model_dump_json())
        while True:  # a transaction for each page: whoever reads slowly holds no connection
            async with self.services.sessions.begin() as session:
                await access_conversation(session, staff, conversation_id)
                # Before the messages: what changes in between is told again, not missed.
                self.versions |= await list_versions(session, conversation_id, most=_WATCHED)
                found = await read_after(session, conversation_id, after=self.seen, **self.words)
            for message in found:
                self.seen = message.id
                yield _event("message", message_view(message, conversation_id).model_dump_json(), message.id)
            if len(found) < PAGE:
                return

    async def _changed(self, session: AsyncSession, conversation_id: UUID) -> Sequence[ReadMessage]:
        """Those that were told and whose translation or delivery has come since."""
        versions = await list_versions(session, conversation_id, most=_WATCHED, upto=self.seen)
        known, self.versions = self.versions, versions
        changed = [one for one, said in versions.items() if known.get(one) != said]
        return await read_messages(session, conversation_id, ids=changed, **self.words) if changed else ()


def _event(name: str, data: str, event_id: int | None = None) -> str:
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {name}\ndata: {data}\n\n"
