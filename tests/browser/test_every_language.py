"""Asked, answered, shown in simpler words, booked, erased: on small and large screens, in each language to choose."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from bot.phrases import SPOKEN, say
from knowledge_base.files import load_content
from tests.browser.stack import Stack
from tests.browser.test_first_answer import answered, ask, watch, widest

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]
SMALL, PHONE, LAPTOP = 320, 375, 1280
TO_BOOK = ("confirm", "time", "day", "lang", "about", "pick")
"""Buttons that lead to an appointment, the last one first."""


@pytest.fixture(scope="module")
def titles() -> dict[str, str]:
    """Of one entry, in each language."""
    entry = next(entry for entry in load_content().entries if entry.id == "ssn-iscrizione")
    return {code: text.title for code, text in entry.texts.items()}


class Walk:
    """One person's page; every step is looked at."""

    def __init__(self, page: Page, stack: Stack, language: str) -> None:
        self.page, self.stack, self.language = page, stack, language

    @property
    def last(self) -> Locator:
        return self.page.locator("#log > li.message").last

    def look(self, step: str) -> None:
        """Nothing is wider than the screen; pictures are kept as a telephone shows it, of the last step as all do."""
        for width in (SMALL, LAPTOP, PHONE):
            self.page.set_viewport_size({"width": width, "height": 740})
            assert widest(self.page) == width, step
            if width == PHONE or step == "booked":
                self.page.evaluate("window.scrollTo({top: 0, behavior: 'instant'})")
                shot = self.stack.screenshots / f"language-{self.language}-{step}-{width}.png"
                self.page.screenshot(path=shot, full_page=True)

    def press(self, button: Locator) -> None:
        """And waits for the answer."""
        messages = self.page.locator("#log > li.message")
        before = messages.count()
        button.click()
        expect(messages).to_have_count(before + 2)

    def book(self) -> None:
        """The first of whatever is offered, until there is a code to say at the desk."""
        self.press(self.page.locator('button[value="book:ssn-iscrizione"]').last)
        found = ""
        for _ in range(len(TO_BOOK) + 1):
            if found == "confirm":
                break
            found = next((step for step in TO_BOOK if self.last.locator(f'button[value^="{step}:"]').count()), "")
            if found:
                self.look(f"book-{found}")
                self.press(self.last.locator(f'button[value^="{found}:"]').first)
            else:
                self.page.locator("#text").fill("Amina")
                self.press(self.page.locator(".send"))
        expect(self.last.locator(".visit .code dd")).to_be_visible()


@pytest.mark.parametrize("language", SPOKEN)
def test_a_conversation_from_the_first_word_to_the_receipt(
    visit: Visit, stack: Stack, titles: dict[str, str], language: str
) -> None:
    page = visit(locale="it").new_page()
    bad = watch(page, stack.url)
    page.goto(f"{stack.url}/?language={language}")
    assert page.locator("html").get_attribute("dir") == SPOKEN[language].direction
    walk = Walk(page, stack, language)
    walk.look("ask")
    ask(page, titles[language])
    answered(page)
    if walk.last.locator(".card").count() == 0:  # several fit: the person picks the one they named
        walk.last.locator(".choices .entry button", has_text=titles[language]).first.click()
    expect(page.locator(".card").last).to_have_attribute("lang", language)
    walk.look("answer")
    walk.press(page.locator('button[value="simpler:ssn-iscrizione"]').last)
    expect(page.locator('button[value^="show:"]').last).to_be_visible()
    walk.look("simpler")
    walk.book()
    walk.look("booked")
    page.goto(f"{stack.url}/privacy")
    expect(page.locator("h1")).to_have_text(say(language, "choice.privacy"))
    walk.look("privacy")
    page.locator(".mine details summary").click()
    page.locator('form[action="/mine/erase"] button').click()
    expect(page.locator('[role="status"]')).to_contain_text("-")
    walk.look("erased")
    assert bad == []
