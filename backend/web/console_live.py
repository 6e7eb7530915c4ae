"""The console while it is open: server-sent events that bring what is new, and that their browser is still there.

An event says how things are, not what changed: whoever connects again after a pause gets the present state, and nothing
twice, because the page replaces what it has by its id.
"""

import functools
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from backend.access import Staff, access_conversation, desks_within
from backend.delivery import queue_key, typing_key
from backend.operators import list_versions, read_conversation, read_messages
from backend.replies import say_typing
from backend.services import Services
from backend.staff_sessions import find_staff
from backend.web.api import ServicesHere
from backend.web.local_time import in_rome
from backend.web.pages import render
from backend.web.staff import StaffHere, own_form, staff_language, staff_token
from backend.web.stream import streaming
from backend.web.watching import watch

router = APIRouter(prefix="/console", include_in_schema=False, dependencies=[Depends(own_form)])
_WATCHED = 40
"""Messages at the end of a conversation whose translation or delivery may still change on the screen."""


@router.get("/events")
async def live(
    request: Request, staff: StaffHere, services: ServicesHere, conversation: Annotated[UUID | None, Query()] = None
) -> Response:
    async with services.sessions.begin() as session:
        desks = [desk_id for desk_id, _ in await desks_within(session, staff)]
        if conversation is not None:
            await access_conversation(session, staff, conversation)
    keys = [queue_key(desk_id) for desk_id in desks]
    if conversation is not None:
        keys += [str(conversation), typing_key(conversation, "person")]
    screen, token = _Screen(services, staff_language(request, staff), conversation), staff_token(request)
    first = {str(conversation)}
    return streaming(watch(services, keys, first, lambda: find_staff(services.sessions, token), screen.update))


class _Screen:
    """What one open page shows already."""

    def __init__(self, services: Services, language: str, conversation: UUID | None) -> None:
        self.services, self.language, self.conversation = services, language, conversation
        self.shown: dict[str, str] = {}
        self.versions: dict[int, tuple[Any, ...]] = {}

    async def update(self, staff: Staff, fired: set[str]) -> AsyncIterator[str]:
        """Raises Forbidden, NotFound, Unavailable."""
        if "queue" in fired:
            waiting, newest = await self.services.queue_counts.read(staff)
            yield event("queue", json.dumps({"waiting": waiting, "newest": newest}))
        if self.conversation is None:
            return
        if str(self.conversation) in fired:
            for one in await self._conversation(staff, self.conversation):
                yield one
        if typing_key(self.conversation, "person") in fired:
            yield event("typing", "person")

    async def _conversation(self, staff: Staff, conversation_id: UUID) -> list[str]:
        words: dict[str, Any] = {"language": self.language, "actions": self.services.shelf}
        async with self.services.sessions.begin() as session:
            read = await read_conversation(session, staff, conversation_id, with_messages=False, **words)
            versions = await list_versions(session, conversation_id, most=_WATCHED)
            changed = [one for one, version in versions.items() if self.versions.get(one) != version]
            messages = await read_messages(session, conversation_id, ids=changed, **words) if changed else ()
        self.versions = versions
        out = [
            event("message", self._render("console/_message.html", message=message, conversation=read, shown=None))
            for message in messages
        ]
        out += self._changed("state", self._render("console/_state.html", conversation=read, staff=staff))
        return out + self._changed("notes", self._render("console/_notes.html", conversation=read, staff=staff))

    def _render(self, name: str, **values: object) -> str:
        return render(name, language=self.language, when=functools.partial(in_rome, self.language), **values)

    def _changed(self, name: str, data: str) -> list[str]:
        if self.shown.get(name) == data:
            return []
        self.shown[name] = data
        return [event(name, data)]


def event(name: str, data: str) -> str:
    lines = "".join(f"data: {line}\n" for line in data.splitlines())
    return f"event: {name}\n{lines}\n"


@router.post("/conversations/{conversation_id}/typing", status_code=204)
async def typing(conversation_id: UUID, staff: StaffHere, services: ServicesHere) -> Response:
    """The person sees for a few seconds that somebody is writing; only from whoever holds the conversation."""
    async with services.sessions.begin() as session:
        conversation = await access_conversation(session, staff, conversation_id)
        if conversation.holder_id == staff.account_id:
            await say_typing(session, conversation_id, "operator")
    return Response(status_code=204)
