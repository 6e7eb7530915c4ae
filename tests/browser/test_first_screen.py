"""What somebody sees first: their language, what this is, big words with pictograms, a way out of danger."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from bot.phrases import SPOKEN, say
from tests.browser.stack import Stack
from tests.browser.test_first_answer import answered, ask, watch, widest

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]
LANGUAGES = ["it", "ar", "zh", "ur"]
TARGET = 44
"""CSS pixels, WCAG 2.2 success criterion 2.5.5."""
TOO_SMALL = """(all) => all.filter((one) => one.checkVisibility({visibilityProperty: true})).map((one) => {
  const box = (one.matches("input") ? one.nextElementSibling : one).getBoundingClientRect();
  return [one.outerHTML.slice(0, 120), box.width, box.height];
}).filter(([, width, height]) => width < 44 || height < 44)"""


def open_page(visit: Visit, stack: Stack, language: str, **wishes: object) -> Page:
    page = visit(locale=language, **wishes).new_page()
    page.goto(f"{stack.url}/?language={language}")
    return page


def too_small(page: Page) -> list[object]:
    """Whatever can be pressed on the page and is not large enough for a thumb."""
    found: list[object] = page.locator("a[href], button, summary, input, textarea").evaluate_all(TOO_SMALL)
    return found


def broken_words(tiles: Locator) -> list[str]:
    """Labels of which a word does not fit into its tile."""
    found: list[str] = tiles.evaluate_all(
        """(all) => all.filter((tile) => {
          const words = document.createRange(), text = tile.lastChild;
          return [...text.data.matchAll(/\\S+/g)].some((word) => {
            words.setStart(text, word.index);
            words.setEnd(text, word.index + word[0].length);
            return words.getClientRects().length > 1 && !/[\\u4e00-\\u9fff]/.test(word[0]);
          });
        }).map((tile) => tile.innerText)"""
    )
    return found


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
@pytest.mark.parametrize("language", LANGUAGES)
def test_one_sentence_eight_topics_a_person_an_appointment(
    visit: Visit, stack: Stack, language: str, width: int
) -> None:
    dark = width in (375, 1280)
    page = open_page(
        visit, stack, language, viewport={"width": width, "height": 740}, color_scheme="dark" if dark else "light"
    )
    bad = watch(page, stack.url)
    expect(page.locator(".message .text")).to_have_text([say(language, "welcome")])
    expect(page.locator(".tiles .topic button")).to_have_count(8)
    for name in ("human", "book", "topics"):
        expect(page.locator(f".tiles .{name} button")).to_be_visible()
    expect(page.locator(".tiles .call")).to_have_attribute("href", "tel:112")
    expect(page.locator("#text")).to_be_visible()
    assert widest(page) == width
    assert too_small(page) == []
    page.screenshot(path=stack.screenshots / f"first-{language}-{width}.png")
    assert bad == []


@pytest.mark.parametrize("language", SPOKEN)
def test_no_word_is_cut_on_a_small_telephone(visit: Visit, stack: Stack, language: str) -> None:
    page = open_page(visit, stack, language, viewport={"width": 320, "height": 568})
    assert broken_words(page.locator(".tiles button")) == []
    page.set_viewport_size({"width": 375, "height": 667})
    assert broken_words(page.locator(".tiles button")) == []
    assert widest(page) == 375


def test_every_language_stands_there_by_its_own_name_and_one_is_chosen(visit: Visit, stack: Stack) -> None:
    page = open_page(visit, stack, "it", viewport={"width": 320, "height": 568})
    names = page.locator(".languages summary")
    for language in SPOKEN.values():
        expect(names).to_contain_text(language.name)
    expect(page.locator('.languages button[value="ur"]')).to_be_hidden()
    names.press("Enter")
    assert too_small(page) == []
    page.locator('.languages button[value="ur"]').click()
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.locator(".hello")).to_have_text(say("ur", "welcome"))


def test_who_reads_none_of_our_languages_sees_all_of_them_at_once(visit: Visit, stack: Stack) -> None:
    page = visit(locale="wo-SN").new_page()
    page.goto(stack.url)
    expect(page.locator('.languages button[value="fr"]')).to_be_visible()
    page.locator('.languages button[value="fr"]').click()
    expect(page.locator(".hello")).to_have_text(say("fr", "welcome"))
    expect(page.locator('.languages button[value="fr"]')).to_be_hidden()


@pytest.mark.parametrize("language", LANGUAGES)
def test_danger_is_one_press_away_from_every_number(visit: Visit, stack: Stack, language: str) -> None:
    page = open_page(visit, stack, language, viewport={"width": 320, "height": 568})
    danger = page.locator('button[value="topic:pericolo"]')
    expect(danger).to_be_in_viewport()
    expect(page.locator(".tiles .call")).to_be_in_viewport()
    danger.click()
    alarm = page.locator("li.message.emergency")
    expect(alarm.locator(".numbers a").first).to_be_in_viewport()
    numbers = alarm.locator(".numbers a").evaluate_all("all => all.map(one => one.getAttribute('href'))")
    assert numbers[:3] == ["tel:112", "tel:1522", "tel:114"]
    assert widest(page) == 320
    assert too_small(page) == []
    page.screenshot(path=stack.screenshots / f"danger-{language}-320.png")
    expect(alarm.locator('button[value="human"]')).to_be_visible()


def test_what_is_kept_is_folded_and_the_rest_of_the_topics_one_press_away(visit: Visit, stack: Stack) -> None:
    page = open_page(visit, stack, "it")
    expect(page.get_by_text("90 giorni")).to_be_hidden()
    page.locator(".fine summary").click()
    expect(page.get_by_text("90 giorni")).to_be_visible()
    expect(page.locator('.fine a[href="/privacy"]')).to_be_visible()
    assert too_small(page) == []
    page.locator(".tiles .topics button").click()
    expect(page.locator("li.message.bot").last.locator(".topic")).to_have_count(11)


def test_at_400_percent_everything_is_there_in_one_column(visit: Visit, stack: Stack) -> None:
    page = open_page(visit, stack, "it", viewport={"width": 320, "height": 256})
    ask(page, "sportello elp")
    answered(page)
    page.locator(".rest summary").click()
    assert widest(page) == 320
    expect(page.locator(".leave button")).to_be_in_viewport()


@pytest.mark.parametrize("language", ["it", "ar"])
def test_without_scripts_a_file_can_still_be_chosen_and_sent(visit: Visit, stack: Stack, language: str) -> None:
    page = open_page(visit, stack, language, java_script_enabled=False, viewport={"width": 320, "height": 568})
    for part in ("#file", "#attach", ".send", "#text"):
        expect(page.locator(part)).to_be_visible()
    box = page.locator("#attach").bounding_box()
    assert box is not None
    assert 0 <= box["x"] <= box["x"] + box["width"] <= 320


@pytest.mark.parametrize("path", ["/privacy", "/nothing"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_other_pages_fit_and_can_be_tapped(visit: Visit, stack: Stack, language: str, path: str) -> None:
    page = visit(locale=language).new_page()
    for width in (320, 768):
        page.set_viewport_size({"width": width, "height": 740})
        page.goto(f"{stack.url}{path}?language={language}")
        assert widest(page) == width
        assert too_small(page) == []
    page.screenshot(path=stack.screenshots / f"page{path.replace('/', '-')}-{language}-768.png", full_page=True)
