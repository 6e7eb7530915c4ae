"""What tests of accounts, of signing in and of the calendar share."""

from collections.abc import AsyncIterator, Iterator

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import delete

from backend import passwords
from backend.config import Settings
from backend.models import Membership
from backend.services import Services
from tests import staff
from tests.accounts import Browsers, Mailbox, Member, changed_settings, make_member
from tests.appointments import Clock


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2 that takes no time: `pytestmark = pytest.mark.usefixtures("cheap_hashes")`."""
    monkeypatch.setattr(passwords, "hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
async def nobody_administers(services: Services) -> None:
    async with services.sessions.begin() as session:
        everywhere = (Membership.role == "administrator", Membership.organisation_id.is_(None))
        await session.execute(delete(Membership).where(*everywhere))


@pytest.fixture
async def member(services: Services) -> Member:
    """Somebody with a password, who answers at a desk and reads English."""
    return await make_member(services)


@pytest.fixture
def browser(app: FastAPI) -> Browsers:
    return Browsers(app)


@pytest.fixture
async def open_browser(app: FastAPI) -> AsyncIterator[staff.Browsers]:
    """Of somebody of the staff, who is made and signed in with it."""
    async with staff.browsers(app) as opened:
        yield opened


@pytest.fixture
def with_https(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    changed_settings(app, monkeypatch, public_url="https://elp.test")


@pytest.fixture
def limited(services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(services.limits, "enabled", True)
    yield
    services.limits.reset()


@pytest.fixture
def mailbox(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Mailbox:
    box = Mailbox()

    async def take(settings: Settings, *, to: str, subject: str, body: str) -> None:
        box.sent.append((to, body))

    monkeypatch.setattr("backend.web.auth.send_mail", take)
    changed_settings(app, monkeypatch, smtp_url=SecretStr("smtp://mail.test"), mail_from="elp@elp.test")
    return box


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    held = Clock()
    monkeypatch.setattr(Services, "now", lambda _: held.now)
    return held
