"""Live delivery: events arrive once, in order, and a reader who comes back misses nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from backend.local_nlu import free_port
from backend.services import Services
from bot.phrases import say
from tests.backend.test_api import Talk, open_talk
from tests.backend.test_handover_person import DESK, FORM, WORDS, Operator, delivered, operator, wait

__all__ = ["operator"]
pytestmark = pytest.mark.usefixtures("parser")
Event = tuple[str, str]
"""Name and data."""


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


class Stream:
    """An open event stream; `next` waits for its next event."""

    def __init__(self, http: httpx.AsyncClient, path: str, headers: dict[str, str]) -> None:
        self.http, self.path, self.headers = http, path, headers
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.last_id = ""

    async def __aenter__(self) -> "Stream":
        self.task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def _read(self) -> None:
        name, data = "", ""
        async with self.http.stream("GET", self.path, headers=self.headers) as response:
            async for line in response.aiter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "id":
                    self.last_id = value
                elif field == "data":
                    data += value
                elif not line and name:
                    self.events.put_nowait((name, data))
                    name, data = "", ""

    async def next(self) -> Event:
        return await asyncio.wait_for(self.events.get(), 10)

    async def next_ones(self, *names: str) -> dict[str, str]:
        """As many events, in whichever order they come: a message and the status that comes with it are two things."""
        found = [await self.next() for _ in names]
        assert sorted(name for name, _ in found) == sorted(names)
        return dict(found)

    async def quiet(self) -> bool:
        await asyncio.sleep(0.3)
        return self.events.empty()


def stream(talk: Talk, **headers: str) -> Stream:
    return Stream(talk.http, f"{talk.path}/events", talk.headers | headers)


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


async def test_a_program_hears_of_every_change_of_the_handover_and_of_the_answer_once(
    wire: httpx.AsyncClient, services: Services, operator: Operator
) -> None:
    talk = await open_talk(wire)
    async with stream(talk) as events:
        assert (await events.next())[0] == "message"  # the greeting; that nobody was asked for goes without saying
        assert await events.quiet()
        await wait(talk)
        await events.next_ones("message", "message", "status")
        await operator.claim(talk)
        status = json.loads((await events.next_ones("message", "status"))["status"])
        assert (status["state"], status["handover"]["state"], status["handover"]["desk"]) == ("ACTIVE", "ACTIVE", DESK)
        await operator.types(talk)
        assert (await events.next())[0] == "typing"
        await operator.reply(talk, "Eccomi")
        name, data = await events.next()
        assert (name, json.loads(data)["text"]) == ("message", "Eccomi")
        assert await events.quiet()
        assert (await delivered(services, talk))["Eccomi"] is True
        await operator.close(talk)
        told = await events.next_ones("message", "status")
        assert json.loads(told["status"]) == {"state": "CLOSED", "handover": None}


async def test_whoever_comes_back_gets_what_was_missed_and_how_it_stands(
    wire: httpx.AsyncClient, operator: Operator
) -> None:
    talk = await open_talk(wire)
    asked = await wait(talk)
    seen = str(asked["messages"][-1]["id"])
    await operator.claim(talk)
    await operator.reply(talk, "Mentre non c'eri")
    async with stream(talk, **{"last-event-id": seen}) as events:
        await events.next_ones("message", "message", "status")
        assert await events.quiet()
        last = events.last_id
    async with stream(talk, **{"last-event-id": last}) as events:
        assert (await events.next())[0] == "status"
        assert await events.quiet()
        await talk.press("bot")
        told = await events.next_ones("message", "message", "status")
        assert json.loads(told["status"]) == {"state": "BOT", "handover": None}


async def test_every_tab_of_the_page_is_told_the_same_and_the_bar_empties_at_the_end(
    wire: httpx.AsyncClient, services: Services, operator: Operator
) -> None:
    first = await wire.post("/messages", data={"choice": "human"}, headers=FORM)
    assert first.status_code == 303
    conversation = UUID(wire.cookies["elp_chat"].split(".")[0])
    page = (await wire.get("/")).text
    path = page.split('sse-connect="')[1].split('"')[0]
    async with Stream(wire, path, {}) as one, Stream(wire, path, {}) as two:
        for tab in (one, two):
            name, data = await tab.next()
            assert name == "status"
            assert DESK in data
        await operator.claim(conversation)
        for tab in (one, two):
            assert 'data-state="ACTIVE"' in (await tab.next_ones("message", "status"))["status"]
        await wire.post("/messages", data={"text": WORDS}, headers=FORM)
        await operator.reply(conversation, "Per tutte e due")
        for tab in (one, two):
            assert say("it", "page.sent") in (await tab.next())[1]
            name, data = await tab.next()
            assert "Per tutte e due" in data
            assert f"<bdi>{DESK}</bdi>" in data
        await operator.close(conversation)
        for tab in (one, two):
            told = await tab.next_ones("message", "status")
            assert 'value="helped:yes"' in told["message"]
            assert told["status"] == ""
            assert await tab.quiet()
    assert all((await delivered(services, conversation)).values())


async def test_a_page_that_comes_back_after_the_end_empties_its_bar(
    wire: httpx.AsyncClient, operator: Operator
) -> None:
    await wire.post("/messages", data={"choice": "human"}, headers=FORM)
    async with Stream(wire, "/events?after=4000000000000", {}) as events:
        assert (await events.next())[0] == "status"
    await wire.post("/messages", data={"choice": "bot"}, headers=FORM)
    async with Stream(wire, "/events?after=4000000000000", {}) as events:
        assert await events.next() == ("status", "")
