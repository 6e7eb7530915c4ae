"""Server-sent events of one conversation, resumable by the id of the last message seen."""

import asyncio
from collections.abc import AsyncIterator, Callable

from fastapi import Request
from fastapi.responses import StreamingResponse

from backend.conversations import StoredMessage, list_messages
from backend.errors import AppError, NotFound
from backend.services import Services
from backend.web.tokens import Caller

_HEARTBEAT_S = 20.0
"""A comment now and then keeps proxies and phones from closing a quiet line."""


def last_seen(request: Request, after: int) -> int:
    """`Last-Event-ID` of a browser that comes back, else the id the page was made with."""
    said = request.headers.get("last-event-id", "")
    return max(after, int(said)) if said.isdecimal() and len(said) < 19 else after


async def events(
    services: Services, caller: Caller, after: int, render: Callable[[StoredMessage], str]
) -> AsyncIterator[str]:
    with services.hub.subscribe(caller.conversation_id) as something_new:
        yield "retry: 2000\n\n"
        while True:
            something_new.clear()
            try:
                _, rows = await list_messages(
                    services.sessions, caller.conversation_id, caller.token, after=max(after, 0)
                )
            except NotFound:
                yield "event: gone\ndata: gone\n\n"
                return
            except AppError:  # the browser comes back by itself
                return
            for row in rows:
                after = row.id
                yield _event(row.id, render(row))
            try:
                await asyncio.wait_for(something_new.wait(), _HEARTBEAT_S)
            except TimeoutError:
                yield ": still here\n\n"


def _event(event_id: int, data: str) -> str:
    lines = "".join(f"data: {line}\n" for line in data.splitlines())
    return f"id: {event_id}\nevent: message\n{lines}\n"


def streaming(body: AsyncIterator[str]) -> StreamingResponse:
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(body, media_type="text/event-stream", headers=headers)
