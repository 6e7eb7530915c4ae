"""The service that browser tests use, and desks of their own in it."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from playwright.sync_api import BrowserContext, Page
from sqlalchemy import delete, update

from backend.db import Sessions, create_engine, create_sessions
from backend.local_nlu import wait_until_answers
from backend.models import Account, AppointmentKind, Desk, Membership, Organisation
from backend.staff_sessions import open_session

_PATIENCE_S = 400.0
"""What starts late on a busy machine starts all the same."""


@dataclass
class Stack:
    """PostgreSQL, Rasa, and a web server that can be killed and started again."""

    port: int
    database_url: str
    environment: dict[str, str]
    screenshots: Path
    web: subprocess.Popen[bytes] = field(init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def named_url(self) -> str:
        """Browsers make no passkeys for a bare network address."""
        return f"http://localhost:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "backend.main"]
        with (self.screenshots / "web.log").open("ab") as log:
            self.web = subprocess.Popen(command, env=os.environ | self.environment, stdout=log, stderr=log)
        wait_until_answers(f"{self.url}/readyz", self.web, longest_s=_PATIENCE_S)

    def stop(self, *, hard: bool = False) -> None:
        (self.web.kill if hard else self.web.terminate)()
        self.web.wait(15)

    def run(self, work: Callable[[Sessions], Awaitable[Any]]) -> Any:
        """With the database, in a thread of its own: Playwright keeps an event loop in this one."""

        async def connected() -> Any:
            engine = create_engine(self.database_url, pool_size=1)
            try:
                return await work(create_sessions(engine))
            finally:
                await engine.dispose()

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, connected()).result()

    def sign_in(
        self, context: BrowserContext, name: str, *, language: str, url: str | None = None, **membership: Any
    ) -> None:
        """Somebody new of the staff, signed in in this browser."""

        async def work(sessions: Sessions) -> str:
            async with sessions.begin() as session:
                account = Account(id=uuid4(), email=f"{uuid4().hex}@elp.test", name=name, language=language)
                session.add(account)
                await session.flush()
                if membership:
                    session.add(Membership(account_id=account.id, **membership))
                return await open_session(session, account.id, browser="Chromium", complete=True)

        cookie = {"name": "elp_staff", "value": self.run(work), "url": url or self.url}
        context.add_cookies([cookie | {"httpOnly": True, "sameSite": "Lax"}])  # type: ignore[list-item]


@dataclass(frozen=True)
class Office:
    """A desk where nobody else's test works."""

    stack: Stack
    organisation: int
    desk: int

    @property
    def url(self) -> str:
        return self.stack.url

    @property
    def shots(self) -> Path:
        return self.stack.screenshots

    def run(self, work: Callable[[Sessions], Awaitable[Any]]) -> Any:
        return self.stack.run(work)

    def sign_in(self, context: BrowserContext, name: str, *, role: str, language: str = "it") -> None:
        place: dict[str, Any] = {"organisation_id": self.organisation, "desk_id": self.desk}
        self.stack.sign_in(context, name, language=language, role=role, **place)

    def operator(self, context: BrowserContext, name: str, *, language: str = "it") -> Page:
        """At the queue."""
        self.sign_in(context, name, role="operator", language=language)
        page = context.new_page()
        page.goto(f"{self.url}/console")
        return page


@contextlib.contextmanager
def new_office(stack: Stack, name: str) -> Iterator[Office]:
    """Afterwards nobody answers there and nothing is booked there: the chat leads other tests to other desks."""

    async def open_(sessions: Sessions) -> tuple[int, int]:
        async with sessions.begin() as session:
            organisation = Organisation(name=name)
            session.add(organisation)
            await session.flush()
            desk = Desk(organisation_id=organisation.id, name=name)
            session.add(desk)
            await session.flush()
            return organisation.id, desk.id

    office = Office(stack, *stack.run(open_))

    async def close(sessions: Sessions) -> None:
        async with sessions.begin() as session:
            await session.execute(delete(Membership).where(Membership.desk_id == office.desk))
            kinds = update(AppointmentKind).where(AppointmentKind.desk_id == office.desk)
            await session.execute(kinds.values(active=False))

    try:
        yield office
    finally:
        stack.run(close)
