"""Whoever cannot read, or not well, or cannot write: aloud, and spoken."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, expect

from bot.phrases import say
from tests.browser.reader import ADDRESS, Reader
from tests.browser.stack import Stack
from tests.browser.test_first_answer import ask, widest

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]


# Read aloud.


def test_a_card_is_read_in_its_language_and_italian_names_by_the_italian_voice(reader: Callable[..., Reader]) -> None:
    person = reader("ar")
    button = person.tool("read")
    expect(button).to_have_text(say("ar", "tool.read"))
    button.click()
    expect(button).to_have_text(say("ar", "tool.stop"))
    assert person.spoken[0] == ("ar-EG", person.card.locator("h2").inner_text())
    assert ("it_IT", ADDRESS) in person.spoken
    assert any(text == "0 1 2 5  4 9 5 1 5" for _, text in person.spoken), "figures of a telephone one by one"
    assert not any(say("ar", "tool.more") in text or say("ar", "useful_yes") in text for _, text in person.spoken)
    person.page.evaluate("speechSynthesis.finish()")
    expect(button).to_have_text(say("ar", "tool.read"))


def test_what_is_folded_is_not_read(reader: Callable[..., Reader]) -> None:
    person = reader("it")
    person.tool("read").click()
    seen = "".join(person.card.inner_text().split())
    assert person.spoken
    assert [text for _, text in person.spoken if "".join(text.split()) not in seen] == []


def test_pressed_again_it_is_silent(reader: Callable[..., Reader]) -> None:
    person = reader("it")
    person.tool("read").click()
    before = person.silenced
    person.tool("read").click()
    assert person.silenced == before + 1
    expect(person.tool("read")).to_have_text(say("it", "tool.read"))
    expect(person.page.locator(".spoken")).to_have_count(0)


def test_whoever_leaves_is_not_given_away_by_a_voice(reader: Callable[..., Reader]) -> None:
    person = reader("it")
    person.tool("read").click()
    before = person.silenced
    person.page.evaluate(
        "document.body.replaceChildren()"
    )  # as leaving does, before a slow network brings the other page
    person.page.wait_for_timeout(100)
    assert person.silenced > before


def test_going_to_another_page_ends_the_reading(reader: Callable[..., Reader], stack: Stack) -> None:
    person = reader("it")
    person.tool("read").click()
    person.page.evaluate("localStorage.silent = 'no'")
    person.page.goto(f"{stack.url}/privacy")
    assert person.page.evaluate("localStorage.silent") == "yes"


@pytest.mark.parametrize(
    "voices", [(), ("it-IT",), ("ar-EG-far",)], ids=["none", "of another language", "not on the device"]
)
def test_without_a_voice_of_the_language_nothing_promises_one(
    reader: Callable[..., Reader], voices: tuple[str, ...]
) -> None:
    person = reader("ar", voices=voices)
    expect(person.page.locator(".tools summary")).to_be_visible()
    expect(person.page.locator('[data-does="read"]:visible')).to_have_count(0)


def test_voices_that_come_later_are_offered_then(reader: Callable[..., Reader]) -> None:
    person = reader("it", voices=())
    expect(person.tool("read")).to_be_hidden()
    person.page.evaluate("speechSynthesis.list = [{ lang: 'it-IT', localService: true }]")
    person.page.evaluate("speechSynthesis.dispatchEvent(new Event('voiceschanged'))")
    expect(person.tool("read")).to_be_visible()


def test_words_without_a_card_are_read_too_with_what_can_be_chosen(reader: Callable[..., Reader]) -> None:
    person = reader("en")
    ask(person.page, "hello")
    listen = person.page.locator("li.message.bot").last.locator(".listen")
    expect(listen).to_have_text(say("en", "tool.read"))
    listen.click()
    first = person.page.locator("li.message.bot").last.locator(".text").first.inner_text()
    assert person.spoken[0][1] in first
    assert all(lang == "en-US" for lang, _ in person.spoken)


# Speak.


def test_before_the_first_word_it_is_said_who_hears_it(reader: Callable[..., Reader]) -> None:
    person = reader("it")
    page = person.page
    page.locator("#speak").click()
    expect(page.locator("#hears")).to_contain_text(say("it", "speak.hears"))
    page.get_by_role("button", name=say("it", "speak.no")).click()
    expect(page.locator("#hears")).to_be_hidden()
    expect(page.locator("#text")).to_be_focused()
    page.locator("#speak").click()
    assert {"listens": "it-IT"} not in person.heard
    page.get_by_role("button", name=say("it", "speak.yes")).click()
    expect(page.locator("#told")).to_have_text(say("it", "speak.listening"))
    assert {"listens": "it-IT"} in person.heard
    page.locator("#speak").click()
    page.locator("#speak").click()  # agreed to already
    expect(page.locator("#told")).to_have_text(say("it", "speak.listening"))
    expect(page.locator("#hears")).to_be_hidden()


def agreed(person: Reader) -> None:
    person.page.locator("#speak").click()
    person.page.locator("#hears button").first.click()
    expect(person.page.locator("#speak.reading")).to_be_visible()


def test_spoken_words_follow_the_written_ones_and_wait_to_be_sent(reader: Callable[..., Reader]) -> None:
    person = reader("it")
    page = person.page
    page.locator("#text").fill("Buongiorno.")
    agreed(person)
    page.evaluate("ear.says('cerco')")
    page.evaluate("ear.says('cerco casa', ' a Ivrea')")
    expect(page.locator("#text")).to_have_value("Buongiorno. cerco casa a Ivrea")
    page.evaluate("ear.stop()")
    expect(page.locator("#told")).to_be_empty()
    expect(page.locator("#text")).to_be_focused()
    assert page.locator("li.message.person").count() == 1
    page.locator("#text").press("Enter")
    expect(page.locator("li.message.person").last).to_contain_text("Buongiorno. cerco casa a Ivrea")


def test_words_that_come_after_sending_are_not_written_again(reader: Callable[..., Reader]) -> None:
    person = reader("it")
    page = person.page
    agreed(person)
    page.evaluate("ear.says('cerco casa')")
    page.locator(".send").click()
    page.evaluate("ear.says('cerco casa a Ivrea')")
    expect(page.locator("#text")).to_have_value("")
    expect(page.locator("#speak")).not_to_have_class(re.compile("reading"))
    assert {"aborted": True} in person.heard


@pytest.mark.parametrize(
    "error, told",
    [("not-allowed", "refused"), ("no-speech", "nothing"), ("network", "broken"), ("language-not-supported", "broken")],
)
def test_what_goes_wrong_with_the_voice_is_said(reader: Callable[..., Reader], error: str, told: str) -> None:
    person = reader("en")
    agreed(person)
    person.page.evaluate(f"ear.fails('{error}')")
    expect(person.page.locator("#told")).to_have_text(say("en", f"speak.{told}"))
    expect(person.page.locator("#speak")).to_have_text(say("en", "speak.button"))


def test_a_browser_that_cannot_listen_is_not_asked_to(reader: Callable[..., Reader]) -> None:
    person = reader("it", script="window.SpeechRecognition = window.webkitSpeechRecognition = undefined;")
    expect(person.page.locator("#text")).to_be_visible()
    expect(person.page.locator("#speak")).to_be_hidden()


# The page as a whole.


def test_an_answer_that_arrives_gets_its_buttons(reader: Callable[..., Reader]) -> None:
    person = reader("it")
    person.page.locator('button[value^="simpler:"]').click()
    expect(person.page.locator(".card")).to_have_count(2)
    expect(person.tool("read")).to_be_visible()
    expect(person.card.locator(".copy").first).to_be_visible()


def test_without_javascript_nothing_is_promised_and_showing_still_works(visit: Visit, stack: Stack) -> None:
    page = visit(locale="ar", java_script_enabled=False).new_page()
    page.goto(stack.url)
    form: dict[str, str | float | bool] = {"choice": "entry:ssn-iscrizione", "client_message_id": "plain"}
    headers = {"sec-fetch-site": "same-origin", "accept-language": "ar"}
    page.context.request.post(f"{stack.url}/messages", form=form, headers=headers)
    page.goto(stack.url)
    for hidden in (".tools", "#speak", "#hears"):
        expect(page.locator(hidden).first).to_be_hidden()
    expect(page.locator(".copy, .listen")).to_have_count(0)
    page.locator('button[value="show:ssn-iscrizione"]').last.click()
    shown = page.locator("li.message.show")
    expect(shown).to_contain_text("Iscriversi al Servizio sanitario")
    expect(shown).to_contain_text(page.locator(".card h2").first.inner_text())


@pytest.mark.parametrize("language", ["it", "ar"])
def test_on_the_narrowest_phone_everything_fits_and_can_be_hit(
    reader: Callable[..., Reader], stack: Stack, language: str
) -> None:
    person = reader(language, viewport={"width": 320, "height": 640})
    person.more()
    assert widest(person.page) == 320
    page = person.page
    for button in page.locator(".tools button:visible, .tools summary:visible, .copy:visible, #speak").all():
        box = button.bounding_box()
        assert box
        assert min(box["width"], box["height"]) >= 44, button.inner_text()
    page.screenshot(path=stack.screenshots / f"tools-{language}-320.png", full_page=True)
    page.locator("#speak").click()
    assert widest(page) == 320
    page.screenshot(path=stack.screenshots / f"speak-{language}-320.png")
