"""People who work with the assistant, made directly in the database and signed in."""

import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from fastapi import FastAPI
from sqlalchemy import select

from backend.models import Account, AuditEvent, ConsoleKey, Desk, Membership, Organisation
from backend.services import Services
from backend.staff_sessions import open_session
from backend.tokens import new_token, secret_hash

FORM = {"origin": "http://elp.test", "sec-fetch-site": "same-origin"}
"""What a browser sends with a form of our own pages."""
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class StaffLogin:
    account_id: UUID
    cookies: dict[str, str]
    email: str


async def make_organisation(services: Services, name: str | None = None) -> int:
    made = Organisation(name=name or f"Organisation {uuid4()}")
    async with services.sessions.begin() as session:
        session.add(made)
    return made.id


async def make_desk(
    services: Services, organisation: int, name: str | None = None, *, entry_id: str | None = None
) -> int:
    made = Desk(organisation_id=organisation, name=name or f"Desk {next(_numbers)}", entry_id=entry_id)
    async with services.sessions.begin() as session:
        session.add(made)
    return made.id


async def make_account(services: Services, name: str | None = None, *, language: str = "en") -> UUID:
    """Without a password, a role or a session."""
    account_id = uuid4()
    async with services.sessions.begin() as session:
        session.add(
            Account(
                id=account_id,
                email=f"{account_id.hex}@elp.test",
                name=name or f"Person {next(_numbers)}",
                language=language,
            )
        )
    return account_id


async def give_role(
    services: Services, account_id: UUID, role: str, *, organisation: int | None = None, desk: int | None = None
) -> int:
    made = Membership(account_id=account_id, role=role, organisation_id=organisation, desk_id=desk)
    async with services.sessions.begin() as session:
        session.add(made)
    return made.id


async def sign_in(services: Services, account_id: UUID, *, browser: str = "Firefox") -> dict[str, str]:
    """Cookies of a new session of this account."""
    async with services.sessions.begin() as session:
        token = await open_session(session, account_id, browser=browser, complete=True)
    return {"elp_staff": token}


async def make_staff(
    services: Services,
    role: str | None,
    *,
    organisation: int | None = None,
    desk: int | None = None,
    name: str | None = None,
    language: str = "en",
) -> StaffLogin:
    """Somebody who is signed in, with this role there (None: with none at all)."""
    account_id = await make_account(services, name, language=language)
    if role is not None:
        await give_role(services, account_id, role, organisation=organisation, desk=desk)
    return StaffLogin(account_id, await sign_in(services, account_id), f"{account_id.hex}@elp.test")


async def add_key(services: Services, account_id: UUID, **values: Any) -> str:
    """A key for the console's API, good for a day."""
    key = f"elp_{new_token()}"
    values = {"name": "Zammad", "expires_at": datetime.now(UTC) + timedelta(days=1)} | values
    async with services.sessions.begin() as session:
        session.add(ConsoleKey(key_hash=secret_hash(key), account_id=account_id, **values))
    return key


async def role_id(services: Services, account_id: UUID, role: str) -> int:
    async with services.sessions.begin() as session:
        query = select(Membership.id).where(Membership.account_id == account_id, Membership.role == role)
        return (await session.execute(query)).scalar_one()


async def events_about(services: Services, account_id: UUID) -> list[tuple[str, UUID | None, int | None]]:
    async with services.sessions.begin() as session:
        query = select(AuditEvent.action, AuditEvent.account_id, AuditEvent.organisation_id)
        rows = await session.execute(query.where(AuditEvent.subject == f"account:{account_id}").order_by(AuditEvent.id))
        return [tuple(row) for row in rows]


class Browser:
    """One signed-in person at our pages."""

    def __init__(self, http: httpx.AsyncClient, login: StaffLogin) -> None:
        self.http, self.login = http, login

    async def get(self, path: str, **query: str) -> httpx.Response:
        return await self.http.get(path, params=query or None)

    async def post(self, path: str, **form: str) -> httpx.Response:
        return await self.http.post(path, data=form, headers=FORM)


class Browsers:
    """As many as a test opens; called with what `make_staff` wants."""

    def __init__(self, app: FastAPI, stack: contextlib.AsyncExitStack) -> None:
        self.app, self.stack = app, stack

    async def __call__(
        self, role: str | None, *, organisation: int | None = None, desk: int | None = None, name: str | None = None
    ) -> Browser:
        services: Services = self.app.state.services
        login = await make_staff(services, role, organisation=organisation, desk=desk, name=name)
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        http = httpx.AsyncClient(transport=transport, base_url="http://elp.test", cookies=login.cookies)
        return Browser(await self.stack.enter_async_context(http), login)


@contextlib.asynccontextmanager
async def browsers(app: FastAPI) -> AsyncIterator[Browsers]:
    async with contextlib.AsyncExitStack() as stack:
        yield Browsers(app, stack)
