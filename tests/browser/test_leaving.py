"""Away in a moment: by the keyboard, from every page, with several windows, and nothing that goes on behind it."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from bot.phrases import say
from tests.browser.stack import Stack
from tests.browser.test_emergency_page import until
from tests.browser.test_first_answer import answered, ask
from tests.browser.test_privacy import EXIT, SECRET, is_fresh, leave, with_exit, write

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]


def escape(page: Page, *, times: int) -> None:
    for _ in range(times):
        page.keyboard.press("Escape")


def stays(page: Page, stack: Stack) -> None:
    page.wait_for_timeout(200)
    assert page.url.startswith(stack.url)


@pytest.mark.parametrize("path", ["/", "/privacy", "/offline"])
def test_pressing_escape_three_times_leaves_every_page(visit: Visit, stack: Stack, path: str) -> None:
    page = with_exit(visit(locale="en")).new_page()
    page.goto(stack.url)
    write(page, SECRET)
    page.goto(f"{stack.url}{path}")
    escape(page, times=3)
    page.wait_for_url(EXIT)
    page.go_back()
    assert SECRET not in page.content()
    page.goto(stack.url)
    is_fresh(page, "en")


def test_twice_does_not_leave_nor_do_three_times_with_long_pauses(visit: Visit, stack: Stack) -> None:
    page = with_exit(visit(locale="en")).new_page()
    page.goto(stack.url)
    write(page, SECRET)
    escape(page, times=2)
    stays(page, stack)
    page.wait_for_timeout(2_000)
    escape(page, times=2)
    stays(page, stack)
    escape(page, times=1)
    page.wait_for_url(EXIT)


def test_the_button_says_how_to_leave_by_the_keyboard(visit: Visit, stack: Stack) -> None:
    page = visit(locale="en").new_page()
    page.goto(stack.url)
    expect(page.locator(".leave button")).to_have_attribute("title", say("en", "leave.what"))
    assert "three times" in say("en", "leave.what")


def test_what_is_half_written_or_unsent_is_gone_with_the_page(visit: Visit, stack: Stack) -> None:
    context = with_exit(visit(locale="it"))
    page = context.new_page()
    page.goto(stack.url)
    write(page, "ciao")
    page.locator("#text").press_sequentially(SECRET)
    until(page, "sessionStorage.getItem('elp-draft') !== null")
    leave(page)
    page.goto(stack.url)
    is_fresh(page)
    expect(page.locator("#text")).to_have_value("")
    assert page.evaluate("sessionStorage.getItem('elp-draft') || sessionStorage.getItem('elp-queue')") is None


def test_what_was_on_its_way_is_not_sent_again_after_leaving(visit: Visit, stack: Stack) -> None:
    context = visit(locale="it")
    context.route(f"{EXIT}**", lambda route: route.abort())  # the other page cannot be reached: ours goes on living
    page = context.new_page()
    page.goto(stack.url)
    write(page, "ciao")
    page.route("**/messages", lambda route: route.abort("connectionreset"))
    ask(page, SECRET)
    expect(page.locator("#outbox .sent").first).to_be_visible()
    sent: list[Request] = []
    page.locator(".leave button").click(no_wait_after=True)
    page.wait_for_timeout(300)
    page.on("request", lambda request: sent.append(request) if request.url.endswith("/messages") else None)
    page.wait_for_timeout(3_000)
    assert sent == []
    assert SECRET not in page.content()


def test_the_window_tells_nobody_what_it_is(visit: Visit, stack: Stack) -> None:
    page = visit(locale="it").new_page()
    for path in ("/", "/privacy", "/offline", "/nothing"):
        page.goto(f"{stack.url}{path}")
        assert page.title() == say("it", "app.name")
        for telling in ("ELP", "migran", "stranier", "emergenz", "aiuto"):
            assert telling.lower() not in page.title().lower()


def test_a_message_is_announced_once_in_its_own_language(visit: Visit, stack: Stack) -> None:
    page = visit(locale="ar").new_page()
    page.goto(stack.url)
    page.evaluate(
        """() => {
          window.announced = [];
          const live = "[role=log], [role=status], [role=alert], [aria-live]";
          new MutationObserver((changes) => {
            for (const change of changes)
              for (const node of change.addedNodes)
                if (node.nodeType === 1 && node.parentElement && node.parentElement.closest(live))
                  window.announced.push([node.id, node.lang, node.className]);
          }).observe(document.body, { childList: true, subtree: true });
        }"""
    )
    ask(page, "sportello elp")
    answered(page)
    page.wait_for_timeout(500)
    said = page.evaluate("window.announced.filter(one => one[0].startsWith('m'))")
    assert len(said) == 2  # the question and the answer
    assert len({number for number, _, _ in said}) == 2
    assert all(language == "ar" for _, language, _ in said)
    expect(page.locator("#text")).to_be_focused()
