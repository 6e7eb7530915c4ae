"""An appointment booked, moved and cancelled in the chat: in Arabic on a phone, in Italian without JavaScript."""

import re
from collections.abc import Callable

import icalendar
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from bot.phrases import say
from tests.browser.stack import Stack
from tests.browser.test_first_answer import watch, widest

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]
PHONE, LAPTOP = {"width": 375, "height": 740}, {"width": 1280, "height": 900}


class Booking:
    """One person's page; every step is looked at."""

    def __init__(self, page: Page, stack: Stack, name: str) -> None:
        self.page, self.stack, self.name = page, stack, name

    @property
    def last(self) -> Locator:
        return self.page.locator("#log > li.message").last

    def press(self, choice: str, *, number: int = 0) -> None:
        """A button whose id begins so, under the last message."""
        self._wait_for_answer(lambda: self.last.locator(f'button[value^="{choice}"]').nth(number).click())

    def write(self, words: str) -> None:
        self.page.locator("#text").fill(words)
        self._wait_for_answer(lambda: self.page.locator("button.send").click())

    def _wait_for_answer(self, act: Callable[[], None]) -> None:
        before = self.page.locator("#log > li.message").count()
        act()
        expect(self.page.locator("#log > li.message")).to_have_count(before + 2)

    def look(self, what: str) -> None:
        width = self.page.viewport_size["width"]  # type: ignore[index]
        assert widest(self.page) <= width
        self.last.scroll_into_view_if_needed()
        shot = self.stack.screenshots / f"booking-{self.name}-{what}-{width}.png"
        self.page.screenshot(path=shot, full_page=what == "card")

    def row(self, key: str) -> Locator:
        return self.last.locator(f".visit .{key} dd")


def begin(page: Page, stack: Stack, name: str) -> Booking:
    page.goto(stack.url)
    booking = Booking(page, stack, name)
    page.locator('button[value="book"]').first.click()
    expect(page.locator("li.message.bot").last).to_contain_text(say(name.partition("-")[0], "book.about"))
    booking.look("about")
    return booking


@pytest.mark.parametrize("size", [PHONE, LAPTOP])
def test_booked_moved_and_cancelled_in_arabic(visit: Visit, stack: Stack, size: dict[str, int]) -> None:
    context = visit(locale="ar", viewport=size)
    page = context.new_page()
    bad = watch(page, stack.url)
    talk = begin(page, stack, "ar")
    talk.press("about:")
    talk.look("language")
    talk.press("lang:")
    expect(talk.last).to_contain_text(say("ar", "visit.demo"))
    talk.look("days")
    talk.press("day:")
    talk.look("times")
    talk.press("time:")
    expect(talk.last).to_contain_text(say("ar", "book.name"))
    talk.look("name")
    talk.write("أمينة")
    expect(talk.row("name")).to_have_text("أمينة")
    talk.look("summary")
    talk.press("confirm:")
    card = talk.last.locator("article.visit")
    expect(card).to_have_count(1)
    door = talk.row("door").locator("bdi")
    expect(door).to_have_attribute("dir", "ltr")
    expect(door).to_contain_text("Buongiorno")
    code = talk.row("code").inner_text()
    assert re.fullmatch("[0-9A-Z]{5}", code)
    talk.look("card")
    with page.expect_download() as download:
        card.locator("a[download]").click()
    event = icalendar.Calendar.from_ical(download.value.path().read_bytes()).walk("VEVENT")[0]
    assert code in str(event["DESCRIPTION"])

    when = talk.row("when").inner_text()
    talk.press("visit:move:")
    talk.look("move-days")
    talk.press("day:", number=1)
    talk.press("time:", number=1)
    talk.look("move-ask")
    talk.press("move:")
    assert talk.row("when").inner_text() != when
    assert talk.row("code").inner_text() == code
    talk.look("moved")
    talk.press("visits")
    expect(talk.row("code")).to_have_text(code)
    talk.press("visit:lost:")
    expect(talk.row("where")).to_contain_text("Movicentro")
    talk.look("lost")
    talk.press("visit:show:")
    talk.press("visit:cancel:")
    talk.look("cancel-ask")
    talk.press("visit:drop:")
    expect(talk.last.locator(".visit.cancelled")).to_have_count(1)
    talk.look("cancelled")
    assert bad == []


@pytest.mark.parametrize("size", [PHONE, LAPTOP])
def test_booked_moved_and_cancelled_in_italian_without_javascript(
    visit: Visit, stack: Stack, size: dict[str, int]
) -> None:
    page = visit(locale="it", viewport=size, java_script_enabled=False).new_page()
    talk = begin(page, stack, "it-plain")
    talk.press("about:")
    talk.look("days")
    talk.write("martedì mattina")
    expect(talk.last).to_contain_text("Ho capito: martedì")
    talk.look("understood")
    if not talk.last.locator('button[value^="time:"]').count():
        talk.press("day:")
    talk.press("time:")
    talk.write("Nino")
    talk.press("confirm:")
    code = talk.row("code").inner_text()
    talk.look("card")
    page.goto(stack.url)
    talk.press("visit:move:")
    talk.press("day:", number=1)
    talk.press("time:", number=2)
    talk.press("move:")
    assert talk.row("code").inner_text() == code
    talk.press("visit:cancel:")
    talk.press("visit:drop:")
    expect(talk.last).to_contain_text(say("it", "visit.cancelled"))
    talk.look("cancelled")
    talk.press("book")
    talk.look("again")


def test_two_tabs_of_one_person(visit: Visit, stack: Stack) -> None:
    """The second tab takes another time; the first says kindly that its own is over and shows what is free."""
    context = visit(locale="en")
    first = begin(context.new_page(), stack, "en")
    first.press("about:")
    first.press("lang:", number=1)
    first.press("day:")
    first.press("time:")
    first.write("Sam")
    expect(first.last.locator('button[value^="confirm:"]')).to_have_count(1)
    old = first.last.locator('button[value^="confirm:"]').get_attribute("value")
    second = context.new_page()
    second.goto(stack.url)
    other = Booking(second, stack, "en")
    other.press("days:")
    other.press("day:", number=1)
    other.press("time:")
    other.press("confirm:")
    expect(other.row("code")).to_be_visible()
    expect(first.row("code")).to_be_visible()  # it appears there by itself
    before = first.page.locator("#log > li.message").count()
    first.page.locator(f'button[value="{old}"]').first.click()
    expect(first.page.locator("#log > li.message")).to_have_count(before + 2)
    expect(first.last).to_contain_text(say("en", "error.hold_expired"))
