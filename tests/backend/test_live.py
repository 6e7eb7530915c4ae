"""Live delivery: events arrive once, in order, and a reader who comes back misses nothing."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from backend.local_nlu import free_port
from tests.backend.test_api import Talk, open_talk

pytestmark = pytest.mark.usefixtures("parser")


@pytest.fixture
async def wire(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The application behind a real socket: an event stream never ends, which a transport in memory cannot show."""
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(app, port=port, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
        yield http
    server.should_exit = True
    await serving


async def listen(talk: Talk, count: int, **headers: str) -> list[dict[str, object]]:
    """The next `count` messages of the stream."""
    found: list[dict[str, object]] = []
    async with talk.http.stream("GET", f"{talk.path}/events", headers=talk.headers | headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line[6:]))
                if len(found) == count:
                    break
    return found


async def test_a_listener_gets_what_was_there_and_what_comes(wire: httpx.AsyncClient) -> None:
    talk = await open_talk(wire)
    listening = asyncio.create_task(listen(talk, 3))
    await asyncio.sleep(0.1)
    answer = await talk.say("sportello elp")
    messages = await asyncio.wait_for(listening, 30)
    assert [message["author"] for message in messages] == ["bot", "person", "bot"]
    assert messages[-1]["id"] == answer["id"]


async def test_a_reader_who_comes_back_gets_only_what_was_missed(wire: httpx.AsyncClient) -> None:
    talk = await open_talk(wire)
    first = await talk.say("sportello elp")
    second = await talk.say("isee")
    missed = await asyncio.wait_for(listen(talk, 2, **{"last-event-id": str(first["id"])}), 30)
    assert [message["author"] for message in missed] == ["person", "bot"]
    assert missed[-1]["id"] == second["id"]


@pytest.mark.parametrize("seen", ["x", "-1", "9" * 30, ""])
async def test_a_broken_event_id_starts_from_the_beginning(wire: httpx.AsyncClient, seen: str) -> None:
    talk = await open_talk(wire)
    (first,) = await asyncio.wait_for(listen(talk, 1, **{"last-event-id": seen}), 30)
    assert first["author"] == "bot"


async def test_a_stream_ends_when_its_conversation_is_erased(wire: httpx.AsyncClient) -> None:
    talk = await open_talk(wire)

    async def until_gone() -> list[str]:
        async with talk.http.stream("GET", f"{talk.path}/events", headers=talk.headers) as response:
            return [line async for line in response.aiter_lines()]

    listening = asyncio.create_task(until_gone())
    await asyncio.sleep(0.1)
    await talk.http.delete(talk.path, headers=talk.headers)
    lines = await asyncio.wait_for(listening, 30)
    assert "event: gone" in lines
