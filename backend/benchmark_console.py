"""`elp bench console`: operators at the console while people wait and write, on a stack of its own.

Each operator has a queue page and one conversation open (two event streams), and loads the queue page again and again;
people write to the conversations that are being answered. Times are from the request to the last byte of the page, and
from the start of a person's request to the moment the words are on the operator's stream. Nobody begins at the same
moment as everybody else; what happens when all of them press at once is the race at the end.
"""

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import time as clock
from typing import Any
from uuid import uuid4

import httpx

from backend.benchmark import stack
from backend.config import Settings
from backend.db import Sessions, create_engine, create_sessions
from backend.models import Account, Desk, Membership, OpeningPeriod
from backend.staff_sessions import open_session

_THINKS_S = 2.0
"""Between two looks at the queue."""
_WRITES_EVERY_S = 2.0
"""A person who is being answered."""
_WORDS = ("buongiorno, ho una domanda sul permesso", "my landlord wants me out", "انا محتاج مساعدة في السكن", "дякую")
_FORM = {"sec-fetch-site": "same-origin"}


@dataclass
class Times:
    """Milliseconds."""

    queue_page: list[float] = field(default_factory=list)
    on_screen: list[float] = field(default_factory=list)
    errors: int = 0

    def summary(self) -> dict[str, Any]:
        return {"queue_page_ms": _cuts(self.queue_page), "on_screen_ms": _cuts(self.on_screen), "errors": self.errors}


def _cuts(times: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100)
    return {"p50": round(cuts[49], 1), "p95": round(cuts[94], 1), "p99": round(cuts[98], 1), "number": len(times)}


@dataclass
class Talk:
    id: str
    token: str

    @property
    def path(self) -> str:
        return f"/api/v1/conversations/{self.id}/messages"


async def _staff(sessions: Sessions, number: int) -> list[str]:
    """Cookies of operators at the one desk, which is open all week."""
    async with sessions.begin() as session:
        desk = (await session.get(Desk, 1)) or Desk(organisation_id=1, name="Desk")
        for weekday in range(7):
            session.add(OpeningPeriod(desk_id=desk.id, weekday=weekday, opens=clock(0), closes=clock(23, 59)))
        tokens = []
        for one in range(number):
            account = Account(id=uuid4(), email=f"operator{one}@elp.test", name=f"Operator {one}", language="it")
            session.add(account)
            await session.flush()
            session.add(
                Membership(
                    account_id=account.id, role="operator", organisation_id=desk.organisation_id, desk_id=desk.id
                )
            )
            tokens.append(await open_session(session, account.id, browser="bench", complete=True))
    return tokens


async def _wait(http: httpx.AsyncClient, number: int) -> Talk:
    """Somebody who asks for a person and says why."""
    language = ("it", "en", "ar", "uk")[number % 4]
    opened = (await http.post("/api/v1/conversations", json={"language": language})).json()
    talk = Talk(opened["id"], opened["token"])
    headers = {"authorization": f"Bearer {talk.token}"}
    for step, body in enumerate(({"choice": "human"}, {"text": _WORDS[number % 4]})):
        answer = await http.post(talk.path, json={"client_message_id": f"w{step}", **body}, headers=headers)
        answer.raise_for_status()
    return talk


async def _events(http: httpx.AsyncClient, path: str, cookie: dict[str, str]) -> AsyncIterator[tuple[str, str]]:
    async with http.stream("GET", path, headers=cookie, timeout=None) as response:
        name, data = "", []
        async for line in response.aiter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data.append(line[6:])
            elif not line and name:
                yield name, "\n".join(data)
                name, data = "", []


async def _operator(http: httpx.AsyncClient, token: str, talk: Talk, until: float, times: Times) -> None:
    cookie = {"cookie": f"elp_staff={token}"}
    path = f"/console/conversations/{talk.id}"
    times.errors += (await http.post(f"{path}/claim", headers=cookie | _FORM)).status_code != 303
    sent: dict[str, float] = {}

    async def watch() -> None:
        async for name, data in _events(http, f"/console/events?conversation={talk.id}", cookie):
            if name != "message":
                continue
            for marker in [one for one in sent if one in data]:
                times.on_screen.append((time.perf_counter() - sent.pop(marker)) * 1000)

    async def watch_queue() -> None:
        async for _ in _events(http, "/console/events", cookie):
            pass

    async def look() -> None:
        await asyncio.sleep(random.uniform(0, 1) * _THINKS_S)  # noqa: S311 - nothing secret
        while time.perf_counter() < until:
            started = time.perf_counter()
            response = await http.get("/console", headers=cookie)
            times.queue_page.append((time.perf_counter() - started) * 1000)
            times.errors += response.status_code != 200
            await asyncio.sleep(random.uniform(0.5, 1.5) * _THINKS_S)  # noqa: S311 - nothing secret

    async def write() -> None:
        headers = {"authorization": f"Bearer {talk.token}"}
        await asyncio.sleep(random.uniform(0, 1) * _WRITES_EVERY_S)  # noqa: S311 - nothing secret
        while time.perf_counter() < until - 1:
            marker = f"parola{uuid4().hex[:8]}"
            sent[marker] = time.perf_counter()
            body = {"client_message_id": marker, "text": f"ho un'altra domanda {marker}"}
            response = await http.post(talk.path, json=body, headers=headers)
            times.errors += response.status_code != 200
            await asyncio.sleep(random.uniform(0.5, 1.5) * _WRITES_EVERY_S)  # noqa: S311 - nothing secret

    watching = [asyncio.create_task(watch()), asyncio.create_task(watch_queue())]
    await asyncio.sleep(1)
    await asyncio.gather(look(), write())
    await asyncio.sleep(1)
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    times.errors += len(sent)


async def _race(http: httpx.AsyncClient, tokens: list[str], talks: list[Talk]) -> dict[str, int]:
    """Everybody tries to take each of the same conversations at once."""

    async def take(token: str, talk: Talk) -> int:
        headers = {"cookie": f"elp_staff={token}"} | _FORM
        return (await http.post(f"/console/conversations/{talk.id}/claim", headers=headers)).status_code

    answers = [await asyncio.gather(*(take(token, talk) for token in tokens)) for talk in talks]
    return {
        "claims": sum(len(one) for one in answers),
        "conversations": len(talks),
        "held_by_exactly_one": sum(one.count(303) == 1 and set(one) <= {303, 409} for one in answers),
    }


async def _run(port: int, url: str, operators: int, waiting: int, seconds: float) -> dict[str, Any]:
    engine = create_engine(url, pool_size=2)
    tokens = await _staff(create_sessions(engine), operators)
    await engine.dispose()
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, limits=limits) as http:
        talks: list[Talk] = []
        for first in range(0, waiting + operators, 20):
            talks += await asyncio.gather(*(_wait(http, first + one) for one in range(20)))
        times, until = Times(), time.perf_counter() + seconds
        await asyncio.gather(
            *(_operator(http, token, talk, until, times) for token, talk in zip(tokens, talks, strict=False))
        )
        return times.summary() | {"race": await _race(http, tokens, talks[operators : operators + 50])}


def bench_console(settings: Settings, *, operators: int, waiting: int, seconds: float) -> dict[str, Any]:
    """Nothing of it touches the installation's own database."""
    with stack(settings) as running:
        before = running.memory_mb()
        found = asyncio.run(_run(running.port, running.database_url, operators, waiting, seconds))
        return {
            "operators": operators,
            "waiting": waiting,
            "seconds": seconds,
            **found,
            "memory_mb_before": before,
            "memory_mb_after": running.memory_mb(),
        }
