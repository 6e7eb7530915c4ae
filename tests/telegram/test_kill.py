"""A worker that is killed in the middle of it all: nothing is lost, at most one message comes twice, order stays."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import insert

from backend.config import ROOT, Settings
from backend.models import Message
from backend.services import Services
from backend.telegram_stand_in import StandIn, User
from backend.telegram_stand_in.faults import Limits
from tests.conftest import SECRET_KEYS
from tests.telegram.tools import id_of, rows_of, until

PEOPLE, EACH = 10, 4
ENTRIES = ("sportello-elp", "living-better", "garanzia-casa", "zac-movicentro")


class Worker:
    """`elp worker` as a process of its own."""

    def __init__(self, services: Services, standin: StandIn, mode: str) -> None:
        settings = services.settings
        self.environment = os.environ | {
            "ELP_DATABASE_URL": str(settings.database_url),
            "ELP_DATA_DIR": str(Settings().data_dir),
            "ELP_SECRET_KEYS": SECRET_KEYS.get_secret_value(),
            "ELP_TELEGRAM_TOKEN": standin.token,
            "ELP_TELEGRAM_API_URL": standin.url,
            "ELP_TELEGRAM_MODE": mode,
            "ELP_PUBLIC_URL": str(settings.public_url),
            "ELP_RATE_LIMITS": "off" if mode == "none" else "on",
        }
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Until it waits for the lock or leads."""
        command = (sys.executable, "-m", "backend.worker")
        self.process = await asyncio.create_subprocess_exec(
            *command, env=self.environment, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        assert self.process.stdout is not None
        async with asyncio.timeout(240):
            while b"worker ready" not in await self.process.stdout.readline():
                assert self.process.returncode is None
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        while await self.process.stdout.readline():
            pass

    async def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)
            await self.process.wait()
        await self.reading


@contextlib.asynccontextmanager
async def workers(services: Services, standin: StandIn, mode: str) -> AsyncIterator[list[Worker]]:
    """Two: one leads, the other waits to take its place."""
    running = [Worker(services, standin, mode) for _ in range(2)]
    try:
        for one in running:  # the first one leads
            await one.start()
        yield running
    finally:
        for one in running:
            await one.stop()


def seen(somebody: User) -> list[str]:
    return [f"{one.kind}: {one.text or one.venue}" for one in somebody.messages]


def once_each(found: list[str]) -> list[str]:
    """Without what came twice in a row."""
    return [one for number, one in enumerate(found) if number == 0 or found[number - 1] != one]


async def script(services: Services, people: list[User]) -> None:
    """Messages that nobody asked for, and answers after them. Two that follow each other are never the same."""
    async with services.sessions.begin() as session:
        for one in people:
            said = {"conversation_id": await id_of(services, one), "author": "bot", "language": "it", "payload": {}}
            for number in range(EACH):
                await session.execute(insert(Message).values(**said, text=f"messaggio {number}"))
    for entry in ENTRIES:
        for one in people:
            one.presses_data(f"entry:{entry}")


@pytest.mark.slow
@pytest.mark.parametrize("mode, kills", [("polling", 5), ("webhook", 2)])
async def test_nothing_is_lost_by_killing_the_worker_and_at_most_one_message_a_kill_comes_twice(
    nobody: Services, standin: StandIn, mode: str, kills: int
) -> None:
    control, *people = [standin.user(language_code="it") for _ in range(1 + PEOPLE)]
    async with workers(nobody, standin, mode) as running:
        for one in (control, *people):
            one.starts()
        for one in (control, *people):
            await one.next_message(60)
        for kill in range(kills):
            await script(nobody, [control])
            await answered(nobody, control, rounds=kill + 1)
        expected = seen(control)
        assert len(expected) > kills * (EACH + len(ENTRIES))
        standin._limits = Limits()
        for kill in range(kills):
            sent = len(standin.calls)
            await script(nobody, people)
            await standin.wait_for(lambda sent=sent: len(standin.calls) > sent + 40, 120)  # type: ignore[misc]
            leader = running[kill % 2]
            await leader.stop(signal.SIGKILL)
            await leader.start()
        await standin.wait_for(lambda: all(len(once_each(seen(one))) >= len(expected) for one in people), 240)
    assert [once_each(seen(one)) for one in people] == [expected] * PEOPLE
    assert sum(len(seen(one)) - len(expected) for one in people) <= kills
    assert [call.chat for call in standin.calls if call.status == 429] == []


async def answered(services: Services, somebody: User, *, rounds: int) -> None:
    """All of it."""

    async def done() -> bool:
        rows = await rows_of(services, somebody)
        bots = [row for row in rows if row.author == "bot"]
        return len(bots) == 1 + rounds * (EACH + len(ENTRIES)) and all(row.delivered_at for row in bots)

    await until(done, 120)
