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
from backend.errors import AppError, Unauthorized, Unavailable
from backend.operators import count_waiting, list_versions, read_conversation, read_messages
from backend.presence import beat
from backend.replies import say_typing
from backend.services import Services
from backend.staff_sessions import find_staff
from backend.web.api import ServicesHere
from backend.web.local_time import in_rome
from backend.web.pacing import Pace
from backend.web.pages import render
from backend.web.staff import StaffHere, own_form, staff_language, staff_token
from backend.web.stream import streaming

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
    return streaming(_events(request, services, staff_language(request, staff), keys, conversation))


async def _events(
    request: Request, services: Services, language: str, keys: list[str], conversation: UUID | None
) -> AsyncIterator[str]:
    screen, token = _Screen(services, language, conversation), staff_token(request)
    staff = None
    with services.hub.subscribe(*keys) as news:
        pace = Pace(news)
        yield "retry: 2000\n\n"
        first = await pace.next()
        fired: set[str] | None = (first or set()) | ({str(conversation)} if conversation else set())
        while True:
            try:
                if staff is None or pace.ask_again():
                    staff = await screen.check(token)
                for one in await screen.update(staff, fired or set()):
                    yield one
            except Unavailable:  # the browser comes back by itself
                return
            except AppError:  # signed out, or not theirs to see any more: the page finds out by asking
                yield event("gone", "gone")
                return
            fired = await pace.next()
            if fired is None:
                staff = None
                yield ": still here\n\n"


class _Screen:
    """What one open page shows already."""

    def __init__(self, services: Services, language: str, conversation: UUID | None) -> None:
        self.services, self.language, self.conversation = services, language, conversation
        self.shown: dict[str, str] = {}
        self.versions: dict[int, tuple[Any, ...]] = {}

    async def check(self, token: str) -> Staff:
        """Who is signed in here, and that their browser is still there. Raises Unauthorized, Unavailable."""
        staff = await find_staff(self.services.sessions, token)
        if staff is None:
            raise Unauthorized
        async with self.services.sessions.begin() as session:
            await beat(session, staff)
        return staff

    async def update(self, staff: Staff, fired: set[str]) -> list[str]:
        """Raises Forbidden, NotFound, Unavailable."""
        out = []
        if "queue" in fired:
            async with self.services.sessions.begin() as session:
                waiting, newest = await count_waiting(session, staff)
            out.append(event("queue", json.dumps({"waiting": waiting, "newest": newest})))
        if self.conversation is None:
            return out
        if str(self.conversation) in fired:
            out += await self._conversation(staff, self.conversation)
        if typing_key(self.conversation, "person") in fired:
            out.append(event("typing", "person"))
        return out

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
