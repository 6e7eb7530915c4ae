"""Nothing is in the way on any screen and in any state of the chat: four languages, both directions, light and dark."""

import re
from collections.abc import Callable, Iterator
from datetime import time
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from backend.db import Sessions
from backend.models import Desk, OpeningPeriod
from bot.phrases import SPOKEN, say
from knowledge_base.files import load_content
from tests.browser.axe import Barriers, moving, violations
from tests.browser.stack import Office, Stack, new_office
from tests.browser.test_every_language import TO_BOOK

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]
LANGUAGES = ("it", "ar", "zh", "ur")
ENTRY = "ssn-iscrizione"
DANGER = {
    "it": "mio marito mi picchia, ho paura",
    "ar": "زوجي يضربني وأنا خائفة",
    "zh": "我丈夫打我，我很害怕",
    "ur": "میرا شوہر مجھے مارتا ہے، مجھے ڈر لگتا ہے",
}


class Person:
    """Somebody at the chat page, who looks for barriers at every step."""

    def __init__(self, page: Page, stack: Stack, language: str) -> None:
        self.page, self.stack, self.language = page, stack, language
        self.barriers = Barriers(page)
        page.goto(f"{stack.url}/?language={language}")
        expect(page.locator("html.js")).to_be_attached()

    @property
    def last(self) -> Locator:
        return self.page.get_by_role("log").locator("li.message.bot").last

    def _answered(self, act: Callable[[], object]) -> None:
        answers = self.page.get_by_role("log").locator("li.message.bot[id]")
        before = answers.count()
        act()
        expect(answers).to_have_count(before + 1)

    def write(self, words: str) -> None:
        self.page.locator("#text").fill(words)
        self._answered(self.page.locator("button.send").click)

    def press(self, choice: str) -> None:
        """The newest button of that kind."""
        open_all(self.page.locator("#log > li.message").last)
        self._answered(self.page.locator(f'button[value^="{choice}"]:visible').last.click)

    def look(self, step: str) -> None:
        self.page.wait_for_timeout(150)  # what is faded in has come
        self.barriers.look(step)
        shot = self.stack.screenshots / f"barriers-{self.language}-{re.sub('[^a-z]+', '-', step)}.png"
        self.page.emulate_media(color_scheme="light")
        self.page.screenshot(path=shot)

    def ask_for_card(self, entry: str = ENTRY) -> None:
        self.write(title(self.language, entry))
        if self.last.locator(".card").count() == 0:
            self._answered(self.last.locator(f'button[value="entry:{entry}"]').click)
        expect(self.last.locator(".card")).to_be_visible()

    def book(self) -> None:
        """The first of whatever is offered, until there is a code to say at the desk."""
        self.press(f"book:{ENTRY}")
        for _ in range(len(TO_BOOK) + 1):
            found = next((step for step in TO_BOOK if self.last.locator(f'button[value^="{step}:"]').count()), "")
            self.look(f"booking, {found or 'name'}")
            if not found:
                self.write("Amina")
                continue
            self._answered(self.last.locator(f'button[value^="{found}:"]').first.click)
            if found == "confirm":
                break
        expect(self.last.locator(".visit .code dd")).to_be_visible()


def title(language: str, entry_id: str = ENTRY) -> str:
    entry = next(entry for entry in load_content().entries if entry.id == entry_id)
    return entry.texts[language].title


def open_all(where: Locator) -> None:
    """Whatever can be unfolded."""
    for _ in range(10):
        closed = where.locator("details:not([open]) > summary:visible")
        if closed.count() == 0:
            return
        closed.first.click()


def nothing(barriers: Barriers) -> bool:
    """Shows what was found, once, however many screens have it."""
    assert barriers.found == [], "\n".join(barriers.found)
    return True


@pytest.fixture
def person(visit: Visit, stack: Stack) -> Callable[..., Person]:
    def come(language: str, **wishes: Any) -> Person:
        return Person(visit(locale=language, **wishes).new_page(), stack, language)

    return come


@pytest.fixture(scope="module")
def office(stack: Stack) -> Iterator[Office]:
    """Always open."""

    async def always_open(sessions: Sessions) -> None:
        async with sessions.begin() as session:
            desk = await session.get_one(Desk, made.desk)
            desk.holidays = ""
            for weekday in range(7):
                period = OpeningPeriod(desk_id=made.desk, weekday=weekday, opens=time(0), closes=time(23, 59))
                session.add(period)

    with new_office(stack, "Sportello senza barriere") as made:
        made.run(always_open)
        yield made


# Every screen and state


@pytest.mark.parametrize("language", LANGUAGES)
def test_asking_and_reading_has_no_barriers(person: Callable[..., Person], language: str) -> None:
    someone = person(language)
    someone.look("first screen")
    open_all(someone.page.locator("body"))
    someone.look("first screen, all open")
    someone.page.goto(someone.stack.url)
    someone.press("topic:")
    someone.look("suggestions")
    someone.ask_for_card()
    someone.look("card, closed")
    open_all(someone.last)
    someone.look("card, open")
    someone.press(f"simpler:{ENTRY}")
    someone.look("simpler")
    someone.write("xqzw vbnm")
    someone.look("not understood")
    someone.write(DANGER[language])
    expect(someone.last.locator('a[href="tel:112"]').first).to_be_visible()
    someone.look("emergency")
    someone.page.locator("#text").fill("parola " * 1_500)
    someone.page.locator("button.send").click()
    expect(someone.page.get_by_role("alert")).not_to_be_empty()
    someone.look("problem")
    assert nothing(someone.barriers)


@pytest.mark.parametrize("language", LANGUAGES)
def test_showing_a_need_to_somebody_has_no_barriers(person: Callable[..., Person], language: str) -> None:
    someone = person(language)
    someone.ask_for_card()
    shows = someone.last.locator(f'button[value="show:{ENTRY}"]')
    shows.click()
    expect(someone.page.get_by_role("dialog")).to_be_visible()
    someone.look("shown to somebody")
    someone.page.keyboard.press("Escape")
    expect(someone.page.get_by_role("dialog")).to_have_count(0)
    expect(shows).to_be_focused()
    assert nothing(someone.barriers)


@pytest.mark.parametrize("language", LANGUAGES)
def test_booking_has_no_barriers(person: Callable[..., Person], language: str) -> None:
    someone = person(language)
    someone.ask_for_card()
    someone.book()
    someone.look("booked")
    someone.press("visit:cancel:")
    someone.look("cancelling")
    someone.press("visit:drop:")
    someone.look("cancelled")
    assert nothing(someone.barriers)


@pytest.mark.parametrize("language", LANGUAGES)
def test_talking_with_an_operator_has_no_barriers(
    visit: Visit, person: Callable[..., Person], office: Office, language: str
) -> None:
    operator = office.operator(visit(locale="it", viewport={"width": 1280, "height": 900}), "Anna Rossi")
    someone = person(language)
    someone.page.locator('button[value="human"]:visible').first.click()
    status = someone.page.locator("#status [data-state]")
    expect(status).to_have_attribute("data-state", "WAITING")
    someone.look("waiting")
    words = f"barriere {language}"
    someone.page.locator("#text").fill(words)
    someone.page.locator("button.send").click()
    operator.locator("#queue tr", has_text=words).locator("a").click()
    operator.locator("#take").click()
    expect(status).to_have_attribute("data-state", "ACTIVE")
    someone.look("taken")
    operator.locator("#words").fill("Buongiorno, come posso aiutare?")
    operator.locator("#send").click()
    expect(someone.page.locator("li.message.operator")).to_contain_text("Buongiorno")
    someone.look("operator's message")
    operator.get_by_role("button", name=say("it", "console.resolve")).click()
    expect(someone.page.locator('button[value="helped:yes"]')).to_be_visible()
    someone.look("asked whether it helped")
    assert nothing(someone.barriers)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pages_around_the_chat_have_no_barriers(person: Callable[..., Person], language: str) -> None:
    someone = person(language)
    for step, path in (
        ("privacy, nothing kept", "/privacy"),
        ("offline", f"/offline?language={language}"),
        ("embedded", f"/embed?language={language}"),
        ("poster", f"/poster/1?language={language}&languages=it,{language}"),
        ("nothing here", "/nothing-here"),
    ):
        someone.page.goto(f"{someone.stack.url}{path}")
        someone.look(step)
    someone.page.goto(someone.stack.url)
    someone.write("ciao")
    someone.page.goto(f"{someone.stack.url}/privacy")
    open_all(someone.page.locator("body"))
    someone.look("privacy, something kept")
    someone.page.locator('form[action="/mine/erase"] button').click()
    expect(someone.page.get_by_role("status").first).to_contain_text("-")
    someone.look("erased")
    assert nothing(someone.barriers)


# What is read aloud


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_says_which_language_it_is_in(person: Callable[..., Person], language: str) -> None:
    someone = person(language)
    someone.ask_for_card("ivrea-politiche-sociali")
    page = someone.page
    assert page.locator("html").get_attribute("lang") == language
    names = page.locator('button[name="language"]')
    assert names.evaluate_all("all => all.map(one => one.lang)") == names.evaluate_all(
        "all => all.map(one => one.value)"
    )
    assert set(names.evaluate_all("all => all.map(one => one.value)")) == set(SPOKEN)
    assert page.get_by_role("log").locator("li.message:not([lang])").count() == 0
    if language != "it":
        assert page.locator('.card bdi[lang="it"]').count() > 0


def test_a_barrier_would_be_found(person: Callable[..., Person]) -> None:
    """The checks themselves: a page made worse on purpose is not passed."""
    someone = person("it")
    someone.page.evaluate(
        """() => {
          const button = document.createElement("button");
          button.id = "worse";
          Object.assign(button.style, { width: "20px", height: "20px", padding: 0 });
          Object.assign(button.style, { minWidth: 0, minHeight: 0, transition: "all 1s" });
          Object.assign(button.style, { position: "absolute", left: "360px" });
          document.querySelector("main").prepend(button);
          const message = document.createElement("li");
          message.className = "message";
          document.querySelector("#log").append(message);
        }"""
    )
    someone.barriers.look("made worse")
    found = "\n".join(someone.barriers.found)
    for problem in ("button-name", "is 20 by 20", "is wider than the screen", "does not say its language"):
        assert problem in found
    assert any("worse" in one for one in moving(someone.page))
    assert violations(someone.page, ["html-has-lang"]) == []
