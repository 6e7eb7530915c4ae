"""The whole way with JavaScript off: asked, narrowed down, said more simply, an appointment, a person at a desk."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from bot.phrases import say
from tests.browser.stack import Office, Stack, new_office
from tests.browser.test_first_answer import widest
from tests.browser.test_handover import LAPTOP, _always_open, reply, row, take

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]


@pytest.fixture(scope="module")
def office(stack: Stack) -> Iterator[Office]:
    """Always open."""
    with new_office(stack, "Sportello senza programmi") as made:
        made.run(lambda sessions: _always_open(sessions, made.desk))
        yield made


def write(page: Page, words: str) -> None:
    page.locator("#text").fill(words)
    _sent(page, page.locator("button.send").click)


def press(page: Page, choice: str) -> None:
    """The first button whose id begins so, under the last message."""
    _sent(page, page.locator("li.message").last.locator(f'button[value^="{choice}"]').first.click)


def _sent(page: Page, act: Callable[[], None]) -> None:
    before = page.locator("li.message.person").count()
    act()
    expect(page.locator("li.message.person")).to_have_count(before + 1)
    assert "#m" in page.url
    assert widest(page) <= page.viewport_size["width"]  # type: ignore[index]


@pytest.mark.parametrize("language", ["it", "ar"])
def test_from_the_first_question_to_an_appointment(visit: Visit, stack: Stack, language: str) -> None:
    page = visit(locale=language, java_script_enabled=False).new_page()
    page.goto(stack.url)
    write(page, "sportello elp")
    expect(page.locator("li.message").last.locator(".card")).to_be_visible()
    write(page, {"it": "e gli orari?", "ar": "ما هي المواعيد؟"}[language])
    expect(page.locator("li.message.bot").last).to_be_visible()
    page.locator('button[value^="simpler:"]').last.click()
    expect(page.locator("li.message.bot").last.locator(".text")).to_be_visible()
    page.locator('button[value="book"]').last.click()
    expect(page.locator("li.message.bot").last).to_contain_text(say(language, "book.about"))
    press(page, "about:")
    if page.locator("li.message").last.locator('button[value^="lang:"]').count():
        press(page, "lang:")
    press(page, "day:")
    press(page, "time:")
    write(page, {"it": "Anna", "ar": "أمينة"}[language])
    press(page, "confirm:")
    visited = page.locator("li.message").last.locator(".card.visit")
    expect(visited).to_have_count(1)
    expect(visited.locator(".code dd")).not_to_be_empty()
    with page.expect_download() as download:
        visited.locator("a[download]").click()
    assert download.value.path().read_text(encoding="utf-8").startswith("BEGIN:VCALENDAR")
    page.screenshot(path=stack.screenshots / f"without-javascript-{language}-375.png", full_page=True)


def test_a_person_at_a_desk_answers_and_is_read_after_a_reload(visit: Visit, office: Office) -> None:
    operator = office.operator(visit(locale="it", viewport=LAPTOP), "Anna Rossi")
    page = visit(locale="it", java_script_enabled=False).new_page()
    page.goto(office.url)
    page.locator('button[value="human"]').first.click()
    expect(page.locator("#status [data-state]")).to_have_attribute("data-state", "WAITING")
    write(page, "non ho un programma per parlare")
    expect(page.locator("li.message.person").last.locator(".sent")).to_have_text(say("it", "page.sent"))
    expect(row(operator, "non ho un programma")).to_be_visible()
    take(operator, "non ho un programma")
    reply(operator, "Buongiorno, la leggo lo stesso")
    page.reload()
    expect(page.locator("li.message.operator")).to_contain_text("la leggo lo stesso")
    expect(page.locator("#status [data-state]")).to_have_attribute("data-state", "ACTIVE")
    write(page, "grazie, arrivo domani")
    expect(operator.locator("article.person").last).to_contain_text("arrivo domani")
    operator.get_by_role("button", name=say("it", "console.resolve")).click()
    expect(operator.locator("#compose")).to_be_hidden()
    page.reload()
    page.locator('button[value="helped:yes"]').last.click()
    expect(page.locator("li.message.bot").last).to_contain_text(say("it", "helped.yes"))
    page.screenshot(path=office.shots / "without-javascript-handover-it-375.png", full_page=True)


def test_what_needs_javascript_is_not_shown_without_it(visit: Visit, stack: Stack) -> None:
    page = visit(locale="it", java_script_enabled=False).new_page()
    page.goto(stack.url)
    expect(page.locator("#outbox")).to_be_hidden()
    expect(page.locator("#attach")).to_be_visible()
    page.goto(f"{stack.url}/offline")
    expect(page.locator('.numbers a[href="tel:112"]')).to_be_visible()
    for part in ("#keep", "#kept", "#away", "#answers", "#waiting"):
        expect(page.locator(part)).to_be_hidden()
