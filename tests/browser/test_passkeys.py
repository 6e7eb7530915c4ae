"""Somebody on the staff adds a passkey in Chromium and comes back with it."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.stack import Stack

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]


def sign_in(stack: Stack, context: BrowserContext, url: str) -> None:
    stack.sign_in(context, "Amina", language="en", url=url)


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


def test_a_passkey_is_added_used_and_taken_away(visit: Visit, stack: Stack) -> None:
    context = visit(locale="en", viewport={"width": 320, "height": 740})
    page = context.new_page()
    bad = watch(page)
    plug_in(context, page)
    sign_in(stack, context, stack.named_url)

    page.goto(f"{stack.named_url}/account")
    page.get_by_label("Name of the passkey").fill("my <b>phone</b>")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("my <b>phone</b>")).to_be_visible()
    expect(page.get_by_text("never used")).to_be_visible()
    assert int(page.evaluate("document.documentElement.scrollWidth")) == 320

    context.clear_cookies()
    page.goto(f"{stack.named_url}/sign-in?next=/account")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"{stack.named_url}/account")
    expect(page.get_by_text("last used on")).to_be_visible()
    assert bad == []

    page.get_by_role("button", name="Remove the passkey my <b>phone</b>").click()
    expect(page.get_by_text("my <b>phone</b>")).to_have_count(0)
    context.clear_cookies()
    page.goto(f"{stack.named_url}/sign-in")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("not accepted")


def test_the_same_device_is_told_that_it_has_one_already(visit: Visit, stack: Stack) -> None:
    context = visit(locale="en")
    page = context.new_page()
    plug_in(context, page)
    sign_in(stack, context, stack.named_url)
    page.goto(f"{stack.named_url}/account")
    for _ in range(2):
        page.get_by_label("Name of the passkey").fill("laptop")
        page.get_by_role("button", name="Add a passkey").click()
        expect(page.get_by_text("laptop")).to_have_count(1)
    expect(page.get_by_role("alert")).to_contain_text("already has a passkey")


def test_a_device_that_does_not_know_the_person_says_so_kindly(visit: Visit, stack: Stack) -> None:
    context = visit(locale="en")
    page = context.new_page()
    plug_in(context, page, verified=False)
    sign_in(stack, context, stack.named_url)
    page.goto(f"{stack.named_url}/account")
    page.get_by_label("Name of the passkey").fill("laptop")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing happened")
    expect(page.get_by_role("button", name="Add a passkey")).to_be_enabled()


def test_at_a_bare_address_the_page_says_why_there_are_none(visit: Visit, stack: Stack) -> None:
    context = visit(locale="en")
    page = context.new_page()
    sign_in(stack, context, stack.url)
    page.goto(f"{stack.url}/account")
    expect(page.get_by_text("Passkeys do not work with this browser or at this address.")).to_be_visible()
    expect(page.get_by_role("button", name="Add a passkey")).to_be_hidden()
    context.clear_cookies()
    page.goto(f"{stack.url}/sign-in")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
