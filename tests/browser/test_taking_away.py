"""An answer held up to somebody, on paper, as a picture, sent on, copied, on the map."""

import io
import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import expect

from bot.phrases import SPOKEN, say
from tests.browser.reader import ADDRESS, EXIT, PLACE, Reader
from tests.browser.stack import Stack
from tests.browser.test_first_answer import ask

pytestmark = pytest.mark.browser

QUERY = "Piazza%20Mascagni%2011%2C%20Ivrea"
ANDROID = "Mozilla/5.0 (Linux; Android 13; SM-A137F) AppleWebKit/537.36 Chrome/125.0 Mobile Safari/537.36"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 16_6 like Mac OS X) AppleWebKit/605.1.15 Version/16.6 Mobile Safari/604.1"


# Show to somebody.


@pytest.mark.parametrize("language", ["it", "ar", "zh"])
def test_the_need_fills_the_screen_in_italian_with_the_own_language_below(
    reader: Callable[..., Reader], stack: Stack, language: str
) -> None:
    person = reader(language, "ssn-iscrizione", viewport={"width": 375, "height": 740})
    page = person.page
    page.context.set_offline(True)
    button = page.locator('button[value="show:ssn-iscrizione"]').last
    button.click()
    dialog = page.locator("dialog")
    assert dialog.bounding_box() == {"x": 0, "y": 0, "width": 375, "height": 740}
    need = dialog.locator(".need")
    expect(need).to_have_text(say("it", "show.need", title="Iscriversi al Servizio sanitario (medico e cure)"))
    assert (need.get_attribute("lang"), need.get_attribute("dir")) == ("it", "ltr")
    title = person.card.locator("h2").inner_text()
    own = dialog.locator(".own")
    expect(own).to_have_text("" if language == "it" else say(language, "show.need", title=title))
    assert own.get_attribute("lang") == language
    assert own.get_attribute("dir") == SPOKEN[language].direction
    assert need.evaluate("one => parseFloat(getComputedStyle(one).fontSize)") >= 36
    page.screenshot(path=stack.screenshots / f"show-{language}-375.png")
    dialog.locator('[data-does="close"]').click()
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
    page.context.set_offline(False)
    expect(page.locator("li.message.show")).to_have_count(0)


def test_what_is_shown_can_be_read_to_the_other_in_italian(reader: Callable[..., Reader]) -> None:
    person = reader("zh", voices=("it-IT",))
    person.page.locator('button[value^="show:"]').last.click()
    person.page.locator("dialog .read").click()
    assert {lang for lang, _ in person.spoken} == {"it-IT"}
    person.page.keyboard.press("Escape")
    expect(person.page.locator("dialog")).to_have_count(0)
    assert person.silenced > 0


def test_whoever_shows_something_can_still_leave_at_once(reader: Callable[..., Reader]) -> None:
    person = reader("it")
    person.page.context.route(f"{EXIT}**", lambda route: route.fulfill(body="weather"))
    person.page.locator('button[value^="show:"]').last.click()
    person.page.locator("dialog").get_by_role("button", name=say("it", "leave")).click()
    person.page.wait_for_url(f"{EXIT}**")


# Paper, picture, others.


def test_on_paper_there_is_the_card_with_all_its_facts_and_nothing_that_was_said(reader: Callable[..., Reader]) -> None:
    person = reader(
        "it", PLACE, "ssn-iscrizione", script="window.print = () => window.dispatchEvent(new Event('beforeprint'));"
    )
    page = person.page
    page.locator(".tools summary").first.click()
    page.locator('[data-does="print"]').first.click()
    page.emulate_media(media="print")
    printed = page.locator("body").inner_text()
    assert ADDRESS in printed
    assert page.locator(".card").first.locator("dl").first.inner_text() in printed
    assert "Iscriversi al Servizio sanitario" not in printed, "the other card"
    for unwanted in (say("it", "leave"), say("it", "page.send"), say("it", "tool.read"), say("it", "author.bot")):
        assert unwanted not in printed
    assert page.locator(".card details:not([open])").count() == 0
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert "Iscriversi al Servizio sanitario" in page.locator("body").inner_text()


@pytest.mark.parametrize("language", ["it", "ar", "zh"])
def test_the_picture_has_the_text_where_the_language_begins(
    reader: Callable[..., Reader], stack: Stack, language: str
) -> None:
    person = reader(language, "ssn-iscrizione", color_scheme="light")
    person.more()
    with person.page.expect_download() as download:
        person.tool("image").click()
    assert download.value.suggested_filename == "info.png"
    data = download.value.path().read_bytes()
    (stack.screenshots / f"picture-{language}.png").write_bytes(data)
    picture = Image.open(io.BytesIO(data)).convert("L")
    assert picture.width == 720
    left, top, right, bottom = ink(picture)
    assert min(left, picture.width - right) >= 30, "nothing is cut off"
    assert min(top, picture.height - bottom) >= 20
    title = ink(picture.crop((0, 0, picture.width, 100)))
    begins = picture.width - title[2] if language == "ar" else title[0]
    assert 30 <= begins < 45
    assert picture.height > 1000
    assert len(data) < 500_000


def test_a_number_in_a_picture_from_right_to_left_keeps_its_order(reader: Callable[..., Reader]) -> None:
    """Chromium draws «0125 49515» as «49515 0125» in an Arabic line, unless it is told that it is one piece."""
    person = reader("ar", script=DRAWN)
    person.more()
    with person.page.expect_download():
        person.tool("image").click()
    drawn = [said["drawn"] for said in person.heard]
    assert "\u20660125 49515\u2069" in drawn
    assert "\u2066Piazza Mascagni 11, Ivrea\u2069" in drawn
    source = urlsplit(person.card.locator(".source a").get_attribute("href") or "").hostname
    assert any(line.endswith(f"\u2066{source}\u2069") for line in drawn), "where it is from"
    assert say("ar", "card.open_map") not in drawn


DRAWN = """
const draw = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
  heard({ drawn: text });
  draw.call(this, text, ...place);
};
"""


def ink(picture: Image.Image) -> tuple[int, int, int, int]:
    """Around all that was drawn on the paper: left, top, right, bottom in pixels."""
    found = ImageChops.invert(picture).point(lambda dark: 255 if dark > 100 else 0).getbbox()
    assert found, "an empty picture"
    return found


SHARES = """
navigator.share = async (what) => {
  heard(what);
  if (window.refused) throw Object.assign(new Error(), { name: window.refused });
};
"""


def test_a_card_is_sent_on_as_words_with_its_source(reader: Callable[..., Reader]) -> None:
    person = reader("ar", script=SHARES)
    person.more()
    expect(person.tool("text")).to_be_hidden()
    person.tool("share").click()
    person.page.wait_for_function("happened.length")
    sent = person.heard[-1]["text"]
    assert sent.startswith(person.card.locator("h2").inner_text())
    assert ADDRESS in sent
    assert re.search(r"\nhttps://www\.openstreetmap\.org/search\?query=", sent)
    assert person.card.locator(".source a").get_attribute("href") in sent
    assert say("ar", "tool.more") not in sent


def test_whoever_changes_their_mind_hears_nothing_and_what_is_forbidden_is_copied(
    reader: Callable[..., Reader],
) -> None:
    person = reader("it", script=SHARES)
    person.more()
    person.page.evaluate("window.refused = 'AbortError'")
    person.tool("share").click()
    person.page.wait_for_function("happened.length")
    expect(person.page.locator("#told")).to_be_empty()
    person.page.evaluate("window.refused = 'NotAllowedError'")
    person.tool("share").click()
    expect(person.page.locator("#told")).to_have_text(say("it", "tool.copied"))
    assert ADDRESS in person.page.evaluate("navigator.clipboard.readText()")


def test_without_a_way_to_send_it_the_words_are_copied(reader: Callable[..., Reader]) -> None:
    person = reader("it", script="navigator.share = undefined;")
    person.more()
    expect(person.tool("share")).to_be_hidden()
    person.tool("text").click()
    expect(person.page.locator("#told")).to_have_text(say("it", "tool.copied"))
    assert "0125 49515" in person.page.evaluate("navigator.clipboard.readText()")


@pytest.mark.parametrize("row, copied", [("phone", "012549515"), ("where", ADDRESS)])
def test_a_telephone_and_an_address_are_copied_alone(reader: Callable[..., Reader], row: str, copied: str) -> None:
    person = reader("fr")
    person.card.locator(f".row.{row} .copy").first.click()
    expect(person.page.locator("#told")).to_have_text(say("fr", "tool.copied"))
    assert person.page.evaluate("navigator.clipboard.readText()") == copied


def test_a_copy_button_says_what_it_copies(reader: Callable[..., Reader]) -> None:
    person = reader("it")
    expect(person.card.get_by_role("button", name=f"{say('it', 'tool.copy')}: 0125 49515")).to_be_visible()


@pytest.mark.parametrize(
    "agent, address",
    [
        (ANDROID, f"geo:0,0?q={QUERY}"),
        (IPHONE, f"https://maps.apple.com/?q={QUERY}"),
        (None, f"https://www.openstreetmap.org/search?query={QUERY}"),
    ],
    ids=["Android", "iPhone", "computer"],
)
def test_the_map_opens_in_the_phones_own_app(reader: Callable[..., Reader], agent: str | None, address: str) -> None:
    person = reader("it", **({"user_agent": agent} if agent else {}))
    expect(person.card.locator(".row.map a")).to_have_attribute("href", address)


def test_an_appointment_can_be_kept_and_its_sentence_for_the_door_held_up(
    reader: Callable[..., Reader], stack: Stack
) -> None:
    person = reader("ar", "ssn-iscrizione", script=DRAWN)
    for step in ("book:ssn", "about:", "lang:", "day:", "time:"):
        person.page.locator(f'button[value^="{step}"]').last.click()
    expect(person.page.locator("li.message.bot").last).to_contain_text(say("ar", "book.name"))
    ask(person.page, "Amina")
    person.page.locator('button[value^="confirm:"]').click()
    expect(person.card.locator(".code dd")).to_be_visible()
    code = person.card.locator(".code dd").inner_text()
    person.tool("show").click()
    need = person.page.locator("dialog .need")
    expect(need).to_have_text(person.card.locator(".door bdi").inner_text())
    expect(need).to_contain_text(code)
    person.page.screenshot(path=stack.screenshots / "show-door-ar-375.png")
    person.page.keyboard.press("Escape")
    person.more()
    with person.page.expect_download():
        person.tool("image").click()
    assert any(code in said["drawn"] for said in person.heard)
