"""Processes that are killed (SIGKILL) in the middle of a booking and of a reminder: nothing is lost, nothing twice."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import Range

from backend import booking, reminders
from backend.booking import SlotTaken, Wish
from backend.config import Settings
from backend.conversations import open_conversation
from backend.db import Sessions, create_engine, create_sessions
from backend.local_nlu import free_port, wait_until_answers
from backend.models import Appointment, AppointmentKind, Message, Resource
from backend.postgres import EmbeddedServer, temporary
from tests.conftest import SECRET_KEYS


@dataclass
class Service:
    """Processes of the real service on a database with example hours."""

    server: EmbeddedServer
    environment: dict[str, str]
    sessions: Sessions
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, module: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-m", module], env=os.environ | self.environment)
        self.running.append(process)
        return process

    def start_web(self) -> tuple[str, subprocess.Popen[bytes]]:
        port = free_port()
        self.environment["ELP_PORT"] = str(port)
        web = self.start("backend.main")
        wait_until_answers(f"http://127.0.0.1:{port}/healthz", web)  # buttons need no index of the entries
        return f"http://127.0.0.1:{port}", web

    async def visits(self) -> list[Appointment]:
        async with self.sessions.begin() as session:
            return list((await session.execute(select(Appointment).order_by(Appointment.created_at))).scalars())


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(15)


@pytest.fixture
def seeded(keys_at_hand: None) -> Iterator[tuple[EmbeddedServer, dict[str, str]]]:
    with temporary() as server:
        ours = {"ELP_DATABASE_URL": server.url, "ELP_HOST": "127.0.0.1", "ELP_DATA_DIR": str(Settings().data_dir)}
        ours |= {"ELP_SECRET_KEYS": SECRET_KEYS.get_secret_value(), "ELP_RATE_LIMITS": "off"}
        for command in (["migrate"], ["seed", "--demo"]):
            subprocess.run([sys.executable, "-m", "backend.cli", *command], env=os.environ | ours, check=True)
        yield server, ours


@pytest.fixture
async def service(seeded: tuple[EmbeddedServer, dict[str, str]]) -> AsyncIterator[Service]:
    engine = create_engine(seeded[0].url, pool_size=3)
    made = Service(*seeded, create_sessions(engine))
    yield made
    for process in made.running:
        kill(process)
    await engine.dispose()


class Talk:
    """A person in the chat, over HTTP."""

    def __init__(self) -> None:
        self.own: dict[str, Any] = {}
        self.sent = 0

    async def begin(self, http: httpx.AsyncClient) -> None:
        self.own = (await http.post("/api/v1/conversations", json={"language": "it"})).raise_for_status().json()

    async def send(self, http: httpx.AsyncClient, **what: str) -> dict[str, Any]:
        self.sent += 1
        path = f"/api/v1/conversations/{self.own['id']}/messages"
        headers = {"authorization": f"Bearer {self.own['token']}"}
        body = {"client_message_id": str(self.sent), **what}
        answer = (await http.post(path, json=body, headers=headers)).raise_for_status().json()
        last: dict[str, Any] = answer["messages"][-1]
        return last


def choice(message: dict[str, Any], name: str) -> str:
    return next(str(one["id"]) for one in message["choices"] if str(one["id"]).startswith(f"{name}:"))


async def until(done: Callable[[], Any], *, seconds: float = 60) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := await done()):
            await asyncio.sleep(0.1)
        return found


async def test_killed_between_hold_and_confirm_the_time_is_still_theirs(service: Service) -> None:
    url, web = service.start_web()
    talk = Talk()
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        await talk.begin(http)
        about = await talk.send(http, choice="book")
        days = await talk.send(http, choice=choice(about, "about"))
        times = await talk.send(http, choice=choice(days, "day"))
        await talk.send(http, choice=choice(times, "time"))
        summary = await talk.send(http, text="Amina")
    (held,) = await service.visits()
    assert held.status == "held"
    kill(web)
    url, _ = service.start_web()
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        done = await talk.send(http, choice=choice(summary, "confirm"))
    (visit,) = await service.visits()
    assert (visit.id, visit.status, visit.name) == (held.id, "confirmed", "Amina")
    assert done["appointment"]["id"] == str(held.id)


HOLDING = """
import asyncio, sys, time
from datetime import datetime
from backend import booking
from backend.config import Settings
from backend.db import create_engine, create_sessions
from backend.keys import unlock
desk, kind, start, now = sys.argv[1:]
unlock(Settings())
wish = booking.Wish(int(desk), int(kind), datetime.fromisoformat(start), "it")
sessions = create_sessions(create_engine(str(Settings().database_url), pool_size=1))
asyncio.run(booking.hold(sessions, wish, datetime.fromisoformat(now)))
print("held", flush=True)
time.sleep(600)
"""


def hold_and_die(service: Service, desk: int, kind: int, start: datetime, now: datetime) -> None:
    arguments = [str(desk), str(kind), start.isoformat(), now.isoformat()]
    command = [sys.executable, "-c", HOLDING, *arguments]
    with subprocess.Popen(command, env=os.environ | service.environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        process.kill()
    assert said == b"held"


async def test_killed_after_a_hold_the_time_is_free_again_when_it_ran_out(service: Service) -> None:
    """Nobody is there to clear it away: neither the web process nor the worker runs."""
    desk, kind, start = await free_time(service.sessions)
    now = datetime.now(UTC)
    await asyncio.to_thread(hold_and_die, service, desk, kind, start, now)
    (held,) = await service.visits()
    await serve_alone(service.sessions, held)
    wish = Wish(desk, kind, start, "it")
    with pytest.raises(SlotTaken):
        await booking.book(service.sessions, wish, "Amina", now + timedelta(minutes=9))
    assert (await booking.book(service.sessions, wish, "Amina", now + timedelta(minutes=10))).visit.starts == start


async def serve_alone(sessions: Sessions, visit: Appointment) -> None:
    """Nobody else is there to take its time."""
    async with sessions.begin() as session:
        others = (Resource.desk_id == visit.desk_id, Resource.id != visit.resource_id)
        await session.execute(update(Resource).where(*others).values(active=False))


async def free_time(sessions: Sessions) -> tuple[int, int, datetime]:
    """Of the first kind: the first that is more than two days away, so that reminders are still to come."""
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        query = select(AppointmentKind).where(AppointmentKind.capacity == 1).order_by(AppointmentKind.id).limit(1)
        kind = (await session.execute(query)).scalar_one()
        start, until = now + timedelta(days=2), now + timedelta(days=30)
        _, found = await booking.free_times(session, kind.desk_id, kind.id, now=now, start=start, until=until)
        return kind.desk_id, kind.id, found[0].start


async def reminded(sessions: Sessions, conversation: UUID) -> list[Message]:
    async with sessions.begin() as session:
        query = select(Message).where(Message.conversation_id == conversation, Message.author == "system")
        return list((await session.execute(query)).scalars())


async def test_a_worker_that_is_killed_while_it_reminds_loses_nothing_and_repeats_nothing(service: Service) -> None:
    who = (await open_conversation(service.sessions, channel="web", language="it")).id
    desk, kind, start = await free_time(service.sessions)
    wish = Wish(desk, kind, start, "it", conversation_id=who)
    visit = (await booking.book(service.sessions, wish, "Amina", datetime.now(UTC))).visit
    # It begins in five hours: the first reminder is late, and still of use.
    soon = datetime.now(UTC) + timedelta(hours=5)
    async with service.sessions.begin() as session:
        ends = soon + timedelta(minutes=5)
        own = update(Appointment).where(Appointment.id == visit.id)
        await session.execute(own.values(starts=soon, ends=ends, blocked=Range(soon, ends)))
    with psycopg.connect(service.server.url) as lock:
        lock.execute("LOCK TABLE messages IN SHARE MODE")  # whoever writes one waits, in the middle of the reminder
        first = service.start("backend.worker")
        await until(lambda: waits_to_write(service.sessions))
        kill(first)
    assert await reminded(service.sessions, who) == []
    second = service.start("backend.worker")
    await until(lambda: reminded(service.sessions, who))
    assert second.poll() is None
    assert await reminders.remind(service.sessions, datetime.now(UTC)) == 0
    kill(second)
    assert len(await reminded(service.sessions, who)) == 1
    assert (await service.visits())[0].reminded_day_at is not None


async def waits_to_write(sessions: Sessions) -> bool:
    query = text("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE relation = 'messages'::regclass AND NOT granted)")
    async with sessions.begin() as session:
        return bool((await session.execute(query)).scalar_one())
