"""Shared phones: away in a moment, nothing left behind, nobody else told."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from backend.config import Settings
from tests.browser.stack import Stack
from tests.browser.test_first_answer import answered, ask, widest

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]
EXIT = str(Settings.model_fields["exit_url"].default)
SECRET = "segreto melograno"
WELCOME = {"it": "Ciao!", "en": "Hello!", "fr": "Bonjour !", "ar": "مرحباً!"}


def with_exit(context: BrowserContext) -> BrowserContext:
    """The page it leads to, without asking anybody for it."""
    context.route(f"{EXIT}**", lambda route: route.fulfill(body="<title>elsewhere</title>", content_type="text/html"))
    return context


def write(page: Page, text: str, *, javascript: bool = True) -> None:
    ask(page, text)
    if javascript:
        answered(page)
    else:
        page.wait_for_url("**/#m*")


def is_fresh(page: Page, language: str = "it") -> None:
    expect(page.locator("li.message .text").first).to_contain_text(WELCOME[language])
    expect(page.locator("li.message.person")).to_have_count(0)
    assert SECRET not in page.content()


def leave(page: Page) -> None:
    page.locator(".leave button").click()
    page.wait_for_url(EXIT)


@pytest.mark.parametrize("javascript", [True, False])
def test_whoever_leaves_quickly_is_away_and_going_back_shows_nothing(
    visit: Visit, stack: Stack, javascript: bool
) -> None:
    context = with_exit(visit(locale="it", java_script_enabled=javascript))
    page = context.new_page()
    page.goto(stack.url)
    write(page, SECRET, javascript=javascript)
    page.locator(".fine summary").click()
    page.locator('.fine a[href="/privacy"]').click()
    expect(page.locator(".mine")).to_contain_text("Messaggi tuoi: 1")
    page.locator(".name a").click()
    expect(page.locator("li.message.person")).to_contain_text(SECRET)
    leave(page)
    assert context.cookies() == []
    page.go_back()
    for _ in range(3):
        assert SECRET not in page.content()
        assert "Messaggi tuoi: 1" not in page.content()
        page.go_back()
    page.goto(stack.url)
    is_fresh(page)
    again = context.new_page()
    again.goto(stack.url)
    is_fresh(again)


def test_the_page_is_empty_even_when_the_other_one_cannot_be_reached(visit: Visit, stack: Stack) -> None:
    context = visit(locale="it")
    page = context.new_page()
    context.route(f"{EXIT}**", lambda route: route.abort())
    page.goto(stack.url)
    write(page, SECRET)
    page.locator(".leave button").click(no_wait_after=True)
    page.wait_for_timeout(300)
    assert SECRET not in page.content()
    assert "ELP" not in page.title()


def test_the_other_windows_of_the_chat_leave_too(visit: Visit, stack: Stack) -> None:
    context = with_exit(visit(locale="it"))
    first, second = context.new_page(), context.new_page()
    first.goto(stack.url)
    write(first, SECRET)
    second.goto(stack.url)
    expect(second.locator("li.message.person")).to_contain_text(SECRET)
    leave(first)
    second.wait_for_url(EXIT)


def test_what_is_erased_in_one_window_is_gone_from_the_other(visit: Visit, stack: Stack) -> None:
    context = visit(locale="en")
    first, second = context.new_page(), context.new_page()
    first.goto(stack.url)
    write(first, SECRET)
    second.goto(f"{stack.url}/privacy")
    second.locator(".mine summary").click()
    second.locator(".mine details button").click()
    expect(second.get_by_role("status")).to_contain_text("Receipt number")
    expect(second.locator(".mine")).to_contain_text("no open chat")
    is_fresh(first, "en")


def test_nobody_else_is_asked_for_anything_and_only_two_cookies_are_set(visit: Visit, stack: Stack) -> None:
    context = visit(locale="fr")
    asked: list[Request] = []
    context.on("request", lambda request: asked.append(request))  # noqa: PLW0108 - Playwright marks what it calls
    context.route(f"{EXIT}**", lambda route: route.abort())
    page = context.new_page()
    page.goto(stack.url)
    assert context.cookies() == []
    write(page, "sportello elp")
    page.locator(".languages summary").click()
    page.locator('.languages button[value="en"]').click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.locator(".fine summary").click()
    page.locator('.fine a[href="/privacy"]').click()
    expect(page.locator(".mine")).to_contain_text("Your messages")
    cookies = context.cookies()
    assert {cookie["name"] for cookie in cookies} == {"elp_chat", "elp_language"}
    assert all(cookie["httpOnly"] and cookie["sameSite"] == "Lax" for cookie in cookies)
    chat = next(cookie for cookie in cookies if cookie["name"] == "elp_chat")
    assert chat["expires"] == -1  # of this session only
    assert page.evaluate("localStorage.length") == 0
    assert set(page.evaluate("Object.values(sessionStorage)")) <= {"/"}  # htmx: the path it was on
    assert page.evaluate("indexedDB.databases().then(all => all.length)") == 0
    page.locator(".leave button").click(no_wait_after=True)
    page.wait_for_timeout(500)
    assert {request.url for request in asked if not request.url.startswith((f"{stack.url}/", "data:"))} == {EXIT}
    assert context.cookies() == []


def test_a_chat_to_be_forgotten_says_when_it_is_closed_and_not_when_one_goes_on(visit: Visit, stack: Stack) -> None:
    context = visit(locale="it")
    # What a page says while it goes away no driver reports: it is written down by the page itself.
    context.add_init_script("navigator.sendBeacon = (to) => localStorage.setItem('said', to) ?? true")
    page = context.new_page()
    page.goto(stack.url)
    write(page, "ciao")
    page.locator(".fine summary").click()
    page.locator('.fine a[href="/privacy"]').click()
    page.locator('.mine button[name="forget"]').click()
    expect(page.locator('.mine button[name="forget"]')).to_have_attribute("value", "no")
    page.locator(".name a").click()
    expect(page.locator("li.message.person")).to_have_count(1)
    assert page.evaluate("localStorage.getItem('said')") is None
    page.close(run_before_unload=True)
    page = context.new_page()
    page.goto(f"{stack.url}/static/icon.svg")
    assert page.evaluate("localStorage.getItem('said')") == "closing"


def test_the_chat_is_downloaded_as_a_file_from_its_answer(visit: Visit, stack: Stack) -> None:
    page = visit(locale="en").new_page()
    page.goto(stack.url)
    write(page, "what do you know about me?")
    link = page.locator('.choices a[href="/mine/export"]')
    with page.expect_download() as download:
        link.click()
    assert download.value.suggested_filename == "elp-chat.json"
    assert "what do you know about me?" in download.value.path().read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [320, 375, 1280])
@pytest.mark.parametrize("language", WELCOME)
def test_the_way_out_is_always_in_sight_and_covers_nothing(
    visit: Visit, stack: Stack, language: str, width: int
) -> None:
    page = visit(viewport={"width": width, "height": 640}, locale=language).new_page()
    for path in ("/", "/privacy"):
        page.goto(stack.url + path)
        if path == "/":
            write(page, "sportello elp")
        button = page.locator(".leave button")
        for where in ("0", "document.body.scrollHeight"):
            page.evaluate(f"window.scrollTo({{top: {where}, behavior: 'instant'}})")
            expect(button).to_be_in_viewport(ratio=1)
            box = button.bounding_box()
            assert box is not None
            assert box["height"] >= 44  # a thumb
            bar = page.locator(".bar").bounding_box()
            title = page.locator(".bar > :first-child").bounding_box()
            assert bar is not None
            assert title is not None
            assert bar["y"] <= box["y"]
            assert box["y"] + box["height"] <= bar["y"] + bar["height"]
            assert box["x"] >= title["x"] + title["width"] or box["x"] + box["width"] <= title["x"]
        assert widest(page) == width
