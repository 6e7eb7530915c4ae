"""The chat by keyboard alone, enlarged to 400 %, in the system's colours, without movement."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.axe import ZOOMED, contrasts, focused, moving
from tests.browser.stack import Stack
from tests.browser.test_accessibility import ENTRY, LANGUAGES, Person, nothing, open_all, title
from tests.browser.test_every_language import TO_BOOK

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]


@pytest.fixture
def person(visit: Visit, stack: Stack) -> Callable[..., Person]:
    def come(language: str, **wishes: Any) -> Person:
        return Person(visit(locale=language, **wishes).new_page(), stack, language)

    return come


# Enlarged


@pytest.mark.parametrize("language", LANGUAGES)
def test_at_400_percent_nothing_runs_out_of_the_screen(person: Callable[..., Person], language: str) -> None:
    someone = person(language, viewport=ZOOMED)
    someone.barriers.measure("first screen")
    open_all(someone.page.locator("body"))
    someone.barriers.measure("first screen, all open")
    someone.page.goto(someone.stack.url)
    someone.ask_for_card()
    open_all(someone.last)
    someone.barriers.measure("card, open")
    someone.page.screenshot(path=someone.stack.screenshots / f"zoom-{language}-card.png")
    someone.book()
    someone.barriers.measure("booked")
    for path in ("/privacy", "/offline", "/embed", "/poster/1", "/nothing-here"):
        someone.page.goto(f"{someone.stack.url}{path}")
        someone.barriers.measure(path)
    assert nothing(someone.barriers)


SPACED = """
() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: 0.12em !important;
    word-spacing: 0.16em !important } p { margin-bottom: 2em !important }`);
  document.adoptedStyleSheets = [sheet];
}
"""
CUT_OFF = """
() => [...document.querySelectorAll("button, summary, label, p, dd, dt, h1, h2")].filter((one) => {
  const style = getComputedStyle(one);
  const hides = style.overflowX !== "visible" || style.overflowY !== "visible";
  return hides && one.checkVisibility() && !one.closest(".visually-hidden")
    && (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1);
}).map((one) => one.outerHTML.slice(0, 90))
"""


@pytest.mark.parametrize("language", ["it", "ur"])
def test_who_spreads_letters_and_lines_loses_no_word(person: Callable[..., Person], language: str) -> None:
    someone = person(language, viewport={"width": 320, "height": 640})
    someone.ask_for_card()
    open_all(someone.last)
    someone.page.evaluate(SPACED)
    assert someone.page.evaluate("document.documentElement.scrollWidth") <= 320
    assert someone.page.evaluate(CUT_OFF) == []


# By keyboard


class Keyboard:
    """Goes through a page by Tab; every stop must be seen and must show that it is one."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.stops: list[dict[str, Any]] = []

    def tab(self, *, back: bool = False) -> dict[str, Any] | None:
        self.page.keyboard.press("Shift+Tab" if back else "Tab")
        self._stand_still()
        stop = focused(self.page)
        if stop is not None:
            self.stops.append(stop)
        return stop

    def _stand_still(self) -> None:
        """Waits until the page has been scrolled to the stop."""
        before, now = -1.0, float(self.page.evaluate("window.scrollY"))
        while now != before:
            self.page.wait_for_timeout(60)
            before, now = now, float(self.page.evaluate("window.scrollY"))

    def to(self, selector: str) -> None:
        """Forwards to the first stop that matches, however often the browser's own bar lies between."""
        for _ in range(150):
            self.tab()
            if self.page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                return
        pytest.fail(f"Tab never reaches {selector}")

    def bad(self) -> list[str]:
        unmarked = [f"{stop['what']} does not show that it has the focus" for stop in self.stops if not stop["ring"]]
        return unmarked + [f"{stop['what']} has the focus under something" for stop in self.stops if not stop["seen"]]


@pytest.mark.parametrize("size", [{"width": 375, "height": 740}, {"width": 1280, "height": 900}, ZOOMED])
@pytest.mark.parametrize("language", ["it", "ar"])
def test_tab_goes_through_everything_in_order_and_every_stop_is_seen(
    person: Callable[..., Person], language: str, size: dict[str, int]
) -> None:
    someone = person(language, viewport=size)
    someone.ask_for_card()
    someone.page.goto(someone.stack.url)
    someone.page.evaluate("window.scrollTo(0, 0)")
    keyboard = Keyboard(someone.page)
    seen: list[str] = []
    for _ in range(200):
        stop = keyboard.tab()
        if stop is None or stop["what"] in seen[:1]:
            break
        seen.append(stop["what"])
    wanted = someone.page.evaluate(
        """() => [...document.querySelectorAll("a[href], button, summary, input:not([type=hidden]), textarea")]
        .filter((one) => one.checkVisibility() && !one.disabled).length"""
    )
    assert len(seen) >= wanted
    assert someone.page.locator("[tabindex]:not([tabindex='0']):not([tabindex='-1'])").count() == 0
    assert sorted(set(keyboard.bad())) == []


@pytest.mark.parametrize("language", ["it", "ar"])
def test_a_question_a_card_and_an_appointment_by_keyboard_alone(person: Callable[..., Person], language: str) -> None:
    someone = person(language, reduced_motion="reduce")  # a stop is looked at where it stays
    page, keyboard = someone.page, Keyboard(someone.page)

    def press(selector: str) -> None:
        keyboard.to(selector)
        answers = page.get_by_role("log").locator("li.message.bot[id]")
        before = answers.count()
        page.keyboard.press("Enter")
        expect(answers).to_have_count(before + 1)
        assert focused(page) is not None, f"after {selector} the focus is lost"

    keyboard.to("#text")
    page.keyboard.type(title(language))
    press("#text")
    expect(page.locator("#text")).to_be_focused()
    if someone.last.locator(".card").count() == 0:
        page.keyboard.press("Shift+Tab")
        press(f'li.message:last-child button[value="entry:{ENTRY}"]')
    keyboard.to("li.message:last-child .card details:not([open]) > summary")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.parentElement.open")
    press(f'li.message:last-child button[value="book:{ENTRY}"]')
    for _ in range(len(TO_BOOK) + 1):
        found = next((step for step in TO_BOOK if someone.last.locator(f'button[value^="{step}:"]').count()), "")
        if found:
            press(f'li.message:last-child button[value^="{found}:"]')
        else:
            keyboard.to("#text")
            page.keyboard.type("Amina")
            answers = page.get_by_role("log").locator("li.message.bot[id]").count()
            page.keyboard.press("Enter")
            expect(page.get_by_role("log").locator("li.message.bot[id]")).to_have_count(answers + 1)
        if found == "confirm":
            break
    expect(someone.last.locator(".visit .code dd")).to_be_visible()
    assert sorted(set(keyboard.bad())) == []


def test_the_full_screen_card_keeps_the_focus_until_it_is_closed(person: Callable[..., Person]) -> None:
    someone = person("ar")
    someone.ask_for_card()
    page, keyboard = someone.page, Keyboard(someone.page)
    keyboard.to(f'li.message:last-child button[value="show:{ENTRY}"]')
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    for _ in range(8):
        keyboard.tab()
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(someone.last.locator(f'button[value="show:{ENTRY}"]')).to_be_focused()


# Colours and movement


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_edge_of_the_field_and_of_the_focus_can_be_told_from_what_is_around(
    person: Callable[..., Person], scheme: str
) -> None:
    someone = person("it", color_scheme=scheme)
    found = contrasts(someone.page, "#text", "borderTopColor")
    keyboard = Keyboard(someone.page)
    for _ in range(4):
        keyboard.tab()
        found += contrasts(someone.page, ":focus", "outlineColor")
    assert len(found) == 5
    assert [one for one in found if one[1] < 3] == []


def test_who_asked_for_less_movement_gets_none(person: Callable[..., Person]) -> None:
    someone = person("it", reduced_motion="reduce")
    someone.ask_for_card()
    assert moving(someone.page) == []
    assert someone.page.evaluate("document.getAnimations().length") == 0


def test_in_the_system_s_own_colours_every_button_still_says_what_it_does(person: Callable[..., Person]) -> None:
    someone = person("it", forced_colors="active")
    someone.ask_for_card()
    nameless = """() => [...document.querySelectorAll("button, a[href], summary")]
      .filter((one) => one.checkVisibility() && !one.innerText.trim() && !one.querySelector("img"))
      .map((one) => one.outerHTML.slice(0, 90))"""
    assert someone.page.evaluate(nameless) == []
