"""A person with a phone asks in their language and reads a true answer with its source."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.stack import Stack

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]

QUESTIONS = {
    "it": ("come faccio a prendere la residenza a ivrea?", "ivrea-anagrafe-residenza", "Fonte"),
    "en": ("how do i get a family doctor with the health service?", "ssn-iscrizione", "Source"),
    "fr": ("je cherche une maison à louer, qui peut m'aider ?", "orientamento-abitativo", "Source"),
    "ar": ("كيف أجدد تصريح الإقامة؟", "permesso", "المصدر"),
}


def watch(page: Page, url: str) -> list[str]:
    """What must not happen: errors in the console, requests to anybody else."""
    bad: list[str] = []
    page.on("console", lambda message: bad.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: bad.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith((url, "data:")) else bad.append(request.url))
    return bad


def ask(page: Page, text: str) -> None:
    page.locator("#text").fill(text)
    page.locator(".send").click()


def answered(page: Page) -> None:
    expect(page.locator("li.message.person + li.message.bot").last).to_be_visible()


def widest(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth"))


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("language", QUESTIONS)
def test_asked_and_answered(visit: Visit, stack: Stack, language: str, width: int) -> None:
    dark = width == 1280
    context = visit(viewport={"width": width, "height": 740}, locale=language, color_scheme="dark" if dark else "light")
    page = context.new_page()
    bad = watch(page, stack.url)
    page.goto(stack.url)
    question, _, source = QUESTIONS[language]
    assert page.locator("html").get_attribute("dir") == ("rtl" if language == "ar" else "ltr")
    ask(page, question)
    answered(page)
    last = page.locator("li.message.bot").last
    if last.locator(".card").count() == 0:  # several entries fit: the person picks one
        last.locator(".choices .entry button").first.click()
        expect(page.locator(".card")).to_be_visible()
    expect(page.locator(".card .source a").first).to_have_text(source)
    expect(page.locator(".card .source a").first).to_have_attribute("href", re.compile("^https?://"))
    assert widest(page) == width
    page.screenshot(path=stack.screenshots / f"answer-{language}-{width}.png", full_page=True)
    assert bad == []


@pytest.mark.parametrize("language", QUESTIONS)
def test_everything_works_without_javascript(visit: Visit, stack: Stack, language: str) -> None:
    page = visit(locale=language, java_script_enabled=False).new_page()
    page.goto(stack.url)
    page.locator(".choices .topic button").first.click()
    page.locator("li.message.bot").last.locator(".choices .entry button").first.click()
    card = page.locator(".card").last
    expect(card).to_be_visible()
    title = card.locator("h2").inner_text()
    page.locator(".languages summary").click()
    page.locator('.languages button[value="en"]').click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator(".card").last).to_be_visible()
    if language != "en":
        assert page.locator(".card h2").last.inner_text() != title
    page.locator('button[value^="simpler:"]').last.click()
    expect(page.locator("li.message.bot").last.locator(".text")).to_be_visible()


def test_enter_sends_and_the_field_is_ready_for_the_next_question(visit: Visit, stack: Stack) -> None:
    page = visit(locale="it").new_page()
    page.goto(stack.url)
    page.locator("#text").fill("sportello elp")
    page.locator("#text").press("Enter")
    answered(page)
    expect(page.locator("#text")).to_have_value("")
    expect(page.locator("#text")).to_be_focused()
    page.locator("#text").fill("riga uno")
    page.locator("#text").press("Shift+Enter")
    assert page.locator("li.message.person").count() == 1


def test_two_windows_of_one_person_show_the_same_once(visit: Visit, stack: Stack) -> None:
    context = visit(locale="it")
    first, second = context.new_page(), context.new_page()
    first.goto(stack.url)
    ask(first, "ciao")
    answered(first)
    second.goto(stack.url)
    ask(first, "sportello elp")
    expect(second.locator(".card")).to_have_count(1)
    expect(first.locator(".card")).to_have_count(1)
    first.wait_for_timeout(300)  # time for a doubled event to arrive
    for page in (first, second):
        numbers = page.locator("li.message[id]").evaluate_all("all => all.map(one => one.id)")
        assert len(numbers) == len(set(numbers))
        assert page.locator("#log > li.message").count() == 5


def test_in_danger_the_numbers_come_first_and_can_be_tapped(visit: Visit, stack: Stack) -> None:
    page = visit(locale="fr", viewport={"width": 320, "height": 640}).new_page()
    page.goto(stack.url)
    ask(page, "mon mari me frappe, j'ai peur")
    answered(page)
    alarm = page.locator("li.message.emergency")
    expect(alarm.locator("a").first).to_have_attribute("href", "tel:112")
    assert {"tel:112", "tel:1522"} <= set(
        alarm.locator(".numbers a").evaluate_all("a => a.map(x => x.getAttribute('href'))")
    )
    assert widest(page) == 320
    page.screenshot(path=stack.screenshots / "emergency-fr-320.png", full_page=True)


def test_a_message_that_is_too_long_is_refused_kindly_and_kept(visit: Visit, stack: Stack) -> None:
    page = visit(locale="ar").new_page()
    page.goto(stack.url)
    ask(page, "مرحبا " * 1_700)
    expect(page.locator("#problem p")).to_be_visible()
    expect(page.locator("#text")).to_have_value("مرحبا " * 1_700)
    assert page.locator("li.message.person").count() == 0


def test_markup_in_a_message_stays_text(visit: Visit, stack: Stack) -> None:
    page = visit(locale="it").new_page()
    bad = watch(page, stack.url)
    page.goto(stack.url)
    ask(page, "<img src=x onerror=alert(1)><script>alert(2)</script>")
    answered(page)
    expect(page.locator("li.message.person .text")).to_have_text(
        "<img src=x onerror=alert(1)><script>alert(2)</script>"
    )
    assert bad == []


def test_everything_is_deleted_from_the_chat_with_a_receipt(visit: Visit, stack: Stack) -> None:
    page = visit(locale="en").new_page()
    page.goto(stack.url)
    ask(page, "delete all my data please")
    answered(page)
    page.locator('button[value="forget-now"]').click()
    expect(page.get_by_text("Receipt number")).to_be_visible()
    expect(page.locator("li.message.person")).to_have_count(0)
