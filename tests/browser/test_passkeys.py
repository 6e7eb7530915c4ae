"""Somebody on the staff adds a passkey in Chromium and comes back with it."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import uuid4

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from backend.config import Settings
from backend.db import create_engine, create_sessions
from backend.local_nlu import free_port, wait_until_answers
from backend.models import Account
from backend.postgres import temporary
from backend.staff_sessions import open_session
from tests.conftest import SECRET_KEYS

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]


@dataclass(frozen=True)
class Site:
    url: str
    """By name: browsers make no passkeys for a bare network address."""
    bare_url: str
    database_url: str

    def sign_in(self, context: BrowserContext, url: str) -> None:
        """A new account, signed in in this browser."""

        async def work() -> str:
            engine = create_engine(self.database_url, pool_size=1)
            async with create_sessions(engine).begin() as session:
                account = Account(id=uuid4(), email=f"{uuid4().hex}@elp.test", name="Amina", language="en")
                session.add(account)
                await session.flush()
                token = await open_session(session, account.id, browser="Chromium", complete=True)
            await engine.dispose()
            return token

        with ThreadPoolExecutor(1) as thread:  # Playwright keeps an event loop in this one
            token = thread.submit(asyncio.run, work()).result()
        context.add_cookies([{"name": "elp_staff", "value": token, "url": url, "httpOnly": True, "sameSite": "Lax"}])


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    settings, port = Settings(), free_port()
    with temporary() as server:
        ours = {"ELP_DATABASE_URL": server.url, "ELP_PORT": str(port), "ELP_HOST": "127.0.0.1"}
        ours |= {"ELP_DATA_DIR": str(settings.data_dir), "ELP_SECRET_KEYS": SECRET_KEYS.get_secret_value()}
        ours |= {"ELP_PUBLIC_URL": f"http://localhost:{port}"}
        for command in ("migrate", "seed"):
            subprocess.run([sys.executable, "-m", "backend.cli", command], env=os.environ | ours, check=True)
        shots = settings.data_dir / "screenshots"
        shots.mkdir(parents=True, exist_ok=True)
        with (shots / "web-passkeys.log").open("wb") as log:
            web = subprocess.Popen(
                [sys.executable, "-m", "backend.main"], env=os.environ | ours, stdout=log, stderr=log
            )
            try:
                wait_until_answers(f"http://127.0.0.1:{port}/readyz", web)
                yield Site(f"http://localhost:{port}", f"http://127.0.0.1:{port}", server.url)
            finally:
                web.terminate()
                web.wait(15)


def plug_in(context: BrowserContext, page: Page, *, verified: bool = True) -> None:
    """A device that keeps passkeys and knows the person (or does not), as Chromium simulates it."""
    tools = context.new_cdp_session(page)
    tools.send("WebAuthn.enable")
    wishes = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    wishes |= {"isUserVerified": verified, "automaticPresenceSimulation": True}
    tools.send("WebAuthn.addVirtualAuthenticator", {"options": wishes})


def watch(page: Page) -> list[str]:
    bad: list[str] = []
    page.on("console", lambda message: bad.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: bad.append(str(error)))
    return bad


def test_a_passkey_is_added_used_and_taken_away(visit: Visit, site: Site) -> None:
    context = visit(locale="en", viewport={"width": 320, "height": 740})
    page = context.new_page()
    bad = watch(page)
    plug_in(context, page)
    site.sign_in(context, site.url)

    page.goto(f"{site.url}/account")
    page.get_by_label("Name of the passkey").fill("my <b>phone</b>")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("my <b>phone</b>")).to_be_visible()
    expect(page.get_by_text("never used")).to_be_visible()
    assert int(page.evaluate("document.documentElement.scrollWidth")) == 320

    context.clear_cookies()
    page.goto(f"{site.url}/sign-in?next=/account")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"{site.url}/account")
    expect(page.get_by_text("last used on")).to_be_visible()
    assert bad == []

    page.get_by_role("button", name="Remove the passkey my <b>phone</b>").click()
    expect(page.get_by_text("my <b>phone</b>")).to_have_count(0)
    context.clear_cookies()
    page.goto(f"{site.url}/sign-in")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("not accepted")


def test_the_same_device_is_told_that_it_has_one_already(visit: Visit, site: Site) -> None:
    context = visit(locale="en")
    page = context.new_page()
    plug_in(context, page)
    site.sign_in(context, site.url)
    page.goto(f"{site.url}/account")
    for _ in range(2):
        page.get_by_label("Name of the passkey").fill("laptop")
        page.get_by_role("button", name="Add a passkey").click()
        expect(page.get_by_text("laptop")).to_have_count(1)
    expect(page.get_by_role("alert")).to_contain_text("already has a passkey")


def test_a_device_that_does_not_know_the_person_says_so_kindly(visit: Visit, site: Site) -> None:
    context = visit(locale="en")
    page = context.new_page()
    plug_in(context, page, verified=False)
    site.sign_in(context, site.url)
    page.goto(f"{site.url}/account")
    page.get_by_label("Name of the passkey").fill("laptop")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing happened")
    expect(page.get_by_role("button", name="Add a passkey")).to_be_enabled()


def test_at_a_bare_address_the_page_says_why_there_are_none(visit: Visit, site: Site) -> None:
    context = visit(locale="en")
    page = context.new_page()
    site.sign_in(context, site.bare_url)
    page.goto(f"{site.bare_url}/account")
    expect(page.get_by_text("Passkeys do not work with this browser or at this address.")).to_be_visible()
    expect(page.get_by_role("button", name="Add a passkey")).to_be_hidden()
    context.clear_cookies()
    page.goto(f"{site.bare_url}/sign-in")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
