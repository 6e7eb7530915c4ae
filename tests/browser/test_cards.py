"""An answer: the three facts that matter, the rest one press away, each part in its own language and direction."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from bot.phrases import say
from tests.browser.stack import Stack
from tests.browser.test_first_answer import answered, ask, widest
from tests.browser.test_first_screen import too_small

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]
LANGUAGES = ["it", "ar", "zh", "ur"]


def card_of(visit: Visit, stack: Stack, language: str, question: str, **wishes: object) -> tuple[Page, Locator]:
    page = visit(locale=language, **wishes).new_page()
    page.goto(f"{stack.url}/?language={language}")
    ask(page, question)
    answered(page)
    card = page.locator("li.message.bot").last.locator(".card")
    expect(card).to_be_visible()
    return page, card


@pytest.mark.parametrize("language", LANGUAGES)
def test_three_facts_are_open_and_the_rest_opens(visit: Visit, stack: Stack, language: str) -> None:
    small = {"width": 320, "height": 640}
    page, card = card_of(visit, stack, language, "sportello elp", viewport=small, color_scheme="dark")
    facts = card.locator(".row:visible")
    expect(facts).to_have_count(3)
    expect(card.locator(".row.where")).to_be_visible()
    expect(card.locator(".row.who")).to_be_hidden()
    assert too_small(page) == []
    page.screenshot(path=stack.screenshots / f"card-{language}-320.png")
    more = card.locator(".rest summary")
    expect(more).to_contain_text(say(language, "card.more"))
    more.press("Enter")
    expect(card.locator(".row.who")).to_be_visible()
    expect(more).to_be_focused()
    assert widest(page) == 320
    assert too_small(page) == []
    page.screenshot(path=stack.screenshots / f"card-{language}-320-open.png")


@pytest.mark.parametrize("language", LANGUAGES)
def test_open_now_is_said_in_words(visit: Visit, stack: Stack, language: str) -> None:
    page = visit(locale=language).new_page()
    page.request.post(f"{stack.url}/messages?language={language}", form={"choice": "entry:1522"})
    page.goto(stack.url)
    card = page.locator(".card")
    expect(card.locator(".row.open")).to_be_visible()
    expect(card.locator(".row.open dd")).to_have_text(say(language, "card.open_always"))


def test_what_warns_of_a_wasted_way_is_never_folded(visit: Visit, stack: Stack) -> None:
    _, card = card_of(visit, stack, "it", "sportello elp")
    expect(card.locator(".notes")).to_contain_text(say("it", "card.confirm"))
    expect(card.locator(".notes")).to_be_visible()
    expect(card.locator(".source a")).to_be_visible()


def test_each_part_says_which_language_it_is_in(visit: Visit, stack: Stack) -> None:
    page, card = card_of(visit, stack, "ar", "sportello elp")
    expect(card).to_have_attribute("lang", "ar")
    expect(card.locator(".where bdi")).to_have_attribute("lang", "it")
    expect(card.locator(".where bdi")).to_have_attribute("dir", "ltr")
    page.goto(stack.url)
    for message in page.locator("li.message").all():
        assert message.get_attribute("lang") == "ar"


def test_the_need_is_marked_as_italian_and_the_own_words_as_their_own(visit: Visit, stack: Stack) -> None:
    page = visit(locale="ar", java_script_enabled=False).new_page()
    page.goto(stack.url)
    ask(page, "sportello elp")
    page.locator('button[value^="show:"]').click()
    italian, own = page.locator("li.message.show .text").all()
    assert italian.get_attribute("lang") == "it"
    assert italian.get_attribute("dir") == "ltr"
    assert own.get_attribute("lang") is None
    expect(page.locator("li.message.show")).to_have_attribute("lang", "ar")


def test_a_suggested_language_speaks_for_itself(visit: Visit, stack: Stack) -> None:
    page = visit(locale="it").new_page()
    page.goto(stack.url)
    ask(page, "j'ai besoin d'un logement pour ma famille, comment faire ?")
    answered(page)
    suggested = page.locator('li.message.bot .text[lang="fr"]')
    expect(suggested).to_be_visible()
    expect(page.locator("li.message.bot .choices .language").last).to_have_attribute("lang", "fr")
