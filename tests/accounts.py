"""Accounts with a password or an app, and browsers that use them."""

import asyncio
import dataclasses
import re
import time
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
import pyotp
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from backend import accounts, passwords, second_factor
from backend.models import Account, AuditEvent
from backend.second_factor import WrongCode
from backend.services import Services
from backend.sign_in import SignInFailed, sign_in
from tests.staff import FORM, give_role, make_account, make_organisation

PASSWORD = "blue tram under snow"
FIREFOX = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    account_id: UUID
    email: str


class Browsers:
    """Several browsers, each with its own cookies; forms are sent as from our own pages."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    def __call__(self, base: str = "http://elp.test", **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        common = {**FORM, "origin": base, "accept-language": "en", **FIREFOX, **headers}
        return httpx.AsyncClient(transport=transport, base_url=base, headers=common)


@dataclasses.dataclass
class Mailbox:
    sent: list[tuple[str, str]] = dataclasses.field(default_factory=list)


def changed_settings(app: FastAPI, monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    services: Services = app.state.services
    settings = services.settings.model_copy(update=changes)
    monkeypatch.setitem(app.state._state, "services", dataclasses.replace(services, settings=settings))


async def make_member(services: Services) -> Member:
    account_id = await make_account(services)
    await give_role(services, account_id, "operator", organisation=await make_organisation(services))
    fresh = await passwords.hash_password(PASSWORD)
    async with services.sessions.begin() as session:
        query = update(Account).where(Account.id == account_id).values(password_hash=fresh)
        email = (await session.execute(query.returning(Account.email))).scalar_one()
    return Member(account_id, email)


async def link_of(services: Services, account_id: UUID | None) -> str:
    async with services.sessions.begin() as session:
        return await accounts.new_link(session, account_id)


async def with_password(services: Services, password: str = PASSWORD) -> UUID:
    account_id = await make_account(services)
    token = await link_of(services, account_id)
    await accounts.set_password_by_link(services.sessions, token, password, again=password)
    return account_id


async def email_of(services: Services, account_id: UUID) -> str:
    async with services.sessions.begin() as session:
        return (await session.execute(select(Account.email).where(Account.id == account_id))).scalar_one()


async def opens(services: Services, account_id: UUID, password: str) -> bool:
    try:
        await sign_in(
            services.sessions, email=await email_of(services, account_id), password=password, browser="Firefox"
        )
    except SignInFailed:
        return False
    return True


async def events(services: Services, account_id: UUID) -> list[str]:
    query = select(AuditEvent.action).where(AuditEvent.subject == f"account:{account_id}").order_by(AuditEvent.id)
    async with services.sessions.begin() as session:
        return list((await session.execute(query)).scalars())


async def link_for(services: Services, account_id: UUID | None) -> str:
    async with services.sessions.begin() as session:
        return f"/link/{await accounts.new_link(session, account_id)}"


def newcomer(services: Services, token: str, number: int = 1) -> "asyncio.Future[UUID]":
    work = accounts.make_first_administrator(
        services.sessions,
        token,
        email=f"first{number}-{uuid4().hex}@elp.test",
        name=f"First {number}",
        password=PASSWORD,
        again=PASSWORD,
    )
    return asyncio.ensure_future(work)


async def with_app(services: Services) -> tuple[UUID, pyotp.TOTP, list[str]]:
    account_id = await with_password(services)
    enrolment = second_factor.begin_enrolment(account_id, "a@elp.test")
    totp = pyotp.TOTP(enrolment.secret)
    now = datetime.now(UTC)
    codes = await second_factor.enrol(
        services.sessions,
        account_id,
        session_id=uuid4(),
        sealed=enrolment.sealed,
        typed=totp.at(now),
        password=PASSWORD,
        now=now,
    )
    return account_id, totp, codes


async def finish(services: Services, account_id: UUID, typed: str, now: datetime | None = None) -> bool:
    """Both steps of signing in."""
    opened = await sign_in(services.sessions, email=await email_of(services, account_id), password=PASSWORD, browser="")
    assert not opened.complete
    try:
        await second_factor.complete_sign_in(
            services.sessions, opened.token, typed, browser="", now=now or datetime.now(UTC)
        )
    except WrongCode:
        return False
    return True


async def enter(
    http: httpx.AsyncClient, email: str, password: str = PASSWORD, target: str | None = None
) -> httpx.Response:
    form = {"email": email, "password": password} | ({"next": target} if target is not None else {})
    return await http.post("/sign-in", data=form)


async def is_signed_in(http: httpx.AsyncClient) -> bool:
    return (await http.get("/account")).status_code == 200


async def actions(services: Services, account_id: UUID) -> list[str]:
    query = select(AuditEvent.action).where(AuditEvent.subject == f"account:{account_id}").order_by(AuditEvent.id)
    async with services.sessions.begin() as session:
        return list((await session.execute(query)).scalars())


def visible(page: httpx.Response) -> str:
    """What both answers are compared by: everything but what was typed."""
    return re.sub(r'value="[^"]*"', "", page.text)


async def connect_app(http: httpx.AsyncClient) -> tuple[pyotp.TOTP, list[str]]:
    """Connects an app in a browser that is signed in; the codes are read from the page."""
    page = await http.get("/account/second-factor")
    sealed = re.findall(r'name="sealed" value="([^"]+)"', page.text)[0]
    totp = pyotp.TOTP(re.findall(r">([A-Z2-7]{32})<", page.text)[0])
    assert "data:image/svg+xml" in page.text
    done = await http.post("/account/second-factor", data={"sealed": sealed, "code": totp.now(), "current": PASSWORD})
    assert done.status_code == 200
    return totp, re.findall(r"(?:[0-9a-hjkmnp-tv-z]{4}-){3}[0-9a-hjkmnp-tv-z]{4}", done.text)


def next_code(totp: pyotp.TOTP) -> str:
    """Of the step after this one: this one's was used to connect the app."""
    return totp.at(int(time.time()) + 30)
