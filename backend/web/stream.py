"""Server-sent events of one conversation, resumable by the id of the last message seen."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import StreamingResponse

from backend.conversations import Access, StoredMessage, list_messages, mark_delivered
from backend.delivery import typing_key
from backend.errors import AppError, NotFound
from backend.services import Services
from backend.web.status import HandoverView, find_status
from backend.web.tokens import Caller

_HEARTBEAT_S = 20.0
"""A comment now and then keeps proxies and phones from closing a quiet line."""


_GONE = "event: gone\ndata: gone\n\n"


@dataclass(frozen=True, slots=True)
class Told:
    """How one kind of reader is told what happens."""

    message: Callable[[StoredMessage, Access], str]
    status: Callable[[str, HandoverView | None, str], str]
    """Of state, handover and language."""
    typing: str
    status_first: bool
    """The status is told at once, also when nobody was asked for: the reader may show an older one."""


def last_seen(request: Request, after: int) -> int:
    """`Last-Event-ID` of a browser that comes back, else the id the page was made with."""
    said = request.headers.get("last-event-id", "")
    return max(after, int(said)) if said.isdecimal() and len(said) < 19 else after


async def gone() -> AsyncIterator[str]:
    yield _GONE


async def events(services: Services, caller: Caller, after: int, told: Told) -> AsyncIterator[str]:
    operator_writes = typing_key(caller.conversation_id, "operator")
    reader = _Reader(services, caller, max(after, 0), told)
    with services.hub.subscribe(str(caller.conversation_id), operator_writes) as news:
        yield "retry: 2000\n\n"
        while True:
            fired = news.take()
            if fired != {operator_writes}:
                try:
                    rows, parts = await reader.look()
                except NotFound:
                    yield _GONE
                    return
                except AppError:  # the browser comes back by itself
                    return
                for part in parts:
                    yield part
                await mark_delivered(services.sessions, caller.conversation_id, rows)
            if operator_writes in fired:
                yield _event("typing", told.typing)
            if not await news.wait(_HEARTBEAT_S):
                yield ": still here\n\n"


class _Reader:
    """What one stream has told already."""

    def __init__(self, services: Services, caller: Caller, after: int, told: Told) -> None:
        self.services, self.caller, self.told = services, caller, told
        self.after, self.comes_back = after, after > 0
        self.status: str | None = None

    async def look(self) -> tuple[list[StoredMessage], list[str]]:
        """What is new since the last look, and the events that tell it. Raises NotFound, Unavailable."""
        sessions, caller = self.services.sessions, self.caller
        access, rows = await list_messages(sessions, caller.conversation_id, caller.token, after=self.after)
        state, view = await find_status(self.services, access.id, access.state, access.language)
        parts = [_event("message", self.told.message(row, access), event_id=row.id) for row in rows]
        status = self.told.status(state, view, access.language)
        if status != self.status and not (self.status is None and self._goes_without_saying(state, rows)):
            parts.append(_event("status", status))
        self.status = status
        if rows:
            self.after = rows[-1].id
        return rows, parts

    def _goes_without_saying(self, state: str, missed: list[StoredMessage]) -> bool:
        """That nobody was asked for, to a program that has never heard otherwise."""
        return state == "BOT" and not self.told.status_first and not (self.comes_back and missed)


def _event(name: str, data: str, *, event_id: int | None = None) -> str:
    numbered = "" if event_id is None else f"id: {event_id}\n"
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"{numbered}event: {name}\n{lines}\n"


def streaming(body: AsyncIterator[str]) -> StreamingResponse:
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(body, media_type="text/event-stream", headers=headers)
