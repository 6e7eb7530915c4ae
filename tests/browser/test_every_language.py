"""Asked, answered, shown in simpler words, erased: on a small phone, in each language people can choose."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, expect

from bot.phrases import SPOKEN, say
from knowledge_base.files import load_content
from tests.browser.conftest import Stack

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]


@pytest.fixture(scope="module")
def titles() -> dict[str, str]:
    """Of one entry, in each language."""
    entry = next(entry for entry in load_content().entries if entry.id == "ssn-iscrizione")
    return {code: text.title for code, text in entry.texts.items()}


@pytest.mark.parametrize("language", SPOKEN)
def test_a_conversation_from_the_first_word_to_the_receipt(
    visit: Visit, stack: Stack, titles: dict[str, str], language: str
) -> None:
    page = visit(viewport={"width": 320, "height": 640}, locale="it").new_page()
    bad: list[str] = []
    page.on("console", lambda message: bad.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: bad.append(str(error)))
    page.goto(f"{stack.url}/?language={language}")
    assert page.locator("html").get_attribute("dir") == SPOKEN[language].direction
    page.locator("#text").fill(titles[language])
    page.locator(".send").click()
    told = page.locator("li.message.bot").last
    expect(page.locator("li.message.person + li.message.bot").last).to_be_visible()
    if told.locator(".card").count() == 0:  # several fit: the person picks the one they named
        told.locator(".choices .entry button", has_text=titles[language]).first.click()
    card = page.locator(".card").last
    expect(card).to_have_attribute("lang", language)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    page.screenshot(path=stack.screenshots / f"language-{language}.png", full_page=True)
    page.locator('button[value="simpler:ssn-iscrizione"]').last.click()
    expect(page.locator('button[value^="show:"]').last).to_be_visible()
    page.goto(f"{stack.url}/privacy")
    expect(page.locator("h1")).to_have_text(say(language, "choice.privacy"))
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    page.locator(".mine details summary").click()
    page.locator('form[action="/mine/erase"] button').click()
    expect(page.locator('[role="status"]')).to_contain_text("-")
    assert bad == []
