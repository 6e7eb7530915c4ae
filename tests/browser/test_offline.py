"""Tunnels, sleep, reloads and a server that dies: nothing that was written is lost, sent twice, or sent to nobody."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, Response, Route, expect

from backend.web.cookies import CHAT_COOKIE
from bot.phrases import say
from tests.browser.stack import Stack
from tests.browser.test_first_answer import answered, ask, widest
from tests.browser.test_privacy import is_fresh, with_exit

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]
UNSENT, SENT = say("it", "page.unsent"), say("it", "page.sent")


def words_of(page: Page) -> list[str]:
    """What the person said, as it stands in the conversation."""
    return page.locator("#log li.message.person .text").all_inner_texts()


def begun(context: BrowserContext, stack: Stack) -> Page:
    """In a conversation."""
    page = context.new_page()
    page.goto(stack.url)
    ask(page, "ciao")
    answered(page)
    return page


def stored(context: BrowserContext, stack: Stack) -> list[str]:
    """What the person said, as the server has it."""
    rows = context.request.get(f"{stack.url}/mine/export").json()["messages"]
    return [row["text"] for row in rows if row["author"] == "person"]


def lose_answers(page: Page, *, times: int) -> list[str]:
    """The server gets what is sent; the way back is cut, so many times. Bodies of all that was sent."""
    sent: list[str] = []

    def cut(route: Route) -> None:
        sent.append(route.request.post_data or "")
        if len(sent) <= times:
            route.fetch()
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/messages", cut)
    return sent


# ---- what is written without a network ----


def test_what_is_written_in_a_tunnel_is_shown_as_unsent_and_goes_out_by_itself_in_order(
    visit: Visit, stack: Stack
) -> None:
    context = visit(locale="it")
    page = begun(context, stack)
    other = context.new_page()
    other.goto(stack.url)
    context.set_offline(True)
    ask(page, "sportello elp")
    ask(page, "grazie mille")
    page.locator("button[value='human']").first.click()
    expect(page.locator("#outbox li.message")).to_have_count(3)
    expect(page.locator("#outbox .sent span")).to_have_text([UNSENT] * 3)
    expect(page.locator("#problem")).to_contain_text("connessione")
    expect(page.locator("#problem a")).to_have_attribute("href", "tel:112")
    expect(page.locator("#text")).to_have_value("")
    expect(page.locator("#text")).to_be_enabled()
    assert words_of(page) == ["ciao"]
    page.wait_for_timeout(800)  # it scrolls smoothly
    page.screenshot(path=stack.screenshots / "offline-unsent-it-375.png")
    context.set_offline(False)
    expect(page.locator("#log li.message.person")).to_have_count(4)
    assert words_of(page)[:3] == ["ciao", "sportello elp", "grazie mille"]
    expect(page.locator("#outbox")).to_be_hidden()
    expect(page.locator("#problem")).to_be_empty()
    expect(page.locator("#log li.message.person .sent").last).to_have_text(SENT)
    expect(page.locator("#log .card")).to_have_count(1)
    expect(other.locator("#log li.message.person")).to_have_count(4)
    assert len(stored(context, stack)) == 4


def test_the_first_words_of_all_may_be_written_in_a_tunnel(visit: Visit, stack: Stack) -> None:
    context = visit(locale="ar")
    page = context.new_page()
    page.goto(stack.url)
    context.set_offline(True)
    ask(page, "كيف أجدد تصريح الإقامة؟")
    ask(page, "شكرا")
    expect(page.locator("#outbox .sent span").first).to_have_text(say("ar", "page.unsent"))
    assert widest(page) == 375
    page.wait_for_timeout(800)  # it scrolls smoothly
    page.screenshot(path=stack.screenshots / "offline-unsent-ar-375.png")
    context.set_offline(False)
    expect(page.locator("#log li.message.person")).to_have_count(2)
    assert words_of(page) == ["كيف أجدد تصريح الإقامة؟", "شكرا"]
    assert len(stored(context, stack)) == 2  # both in one conversation


def test_a_button_pressed_twice_in_a_tunnel_is_pressed_once_and_keeps_the_focus(visit: Visit, stack: Stack) -> None:
    context = visit(locale="it")
    page = begun(context, stack)
    context.set_offline(True)
    button = page.locator("button[value='human']").last
    button.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("#outbox li.message")).to_have_count(1)
    expect(button).to_be_focused()
    context.set_offline(False)
    expect(page.locator("#log li.message.person")).to_have_count(2)
    expect(button).to_be_focused()
    expect(button).not_to_have_attribute("aria-disabled", re.compile("."))


def test_what_is_not_sent_yet_can_be_taken_back(visit: Visit, stack: Stack) -> None:
    context = visit(locale="it")
    page = begun(context, stack)
    context.set_offline(True)
    ask(page, "questo no")
    ask(page, "questo sì")
    page.locator("#outbox li", has_text="questo no").get_by_role("button").click()
    expect(page.locator("#text")).to_have_value("questo no")
    expect(page.locator("#text")).to_be_focused()
    context.set_offline(False)
    expect(page.locator("#log li.message.person")).to_have_count(2)
    assert stored(context, stack) == ["ciao", "questo sì"]


def test_what_is_half_written_outlives_a_reload(visit: Visit, stack: Stack) -> None:
    page = begun(visit(locale="it"), stack)
    page.locator("#text").press_sequentially("vorrei sapere")
    page.reload()
    expect(page.locator("#text")).to_have_value("vorrei sapere")
    page.locator(".send").click()
    expect(page.locator("#log li.message.person")).to_have_count(2)
    page.reload()
    expect(page.locator("#text")).to_have_value("")


# ---- what is on its way ----


@pytest.mark.parametrize("first", [True, False], ids=["the first message", "a later message"])
def test_an_answer_that_is_lost_on_its_way_comes_with_the_next_try_and_once(
    visit: Visit, stack: Stack, first: bool
) -> None:
    context = visit(locale="it")
    page = context.new_page() if first else begun(context, stack)
    if first:
        page.goto(stack.url)
    sent = lose_answers(page, times=2)
    ask(page, "sportello elp")
    expect(page.locator("#log .card")).to_have_count(1)
    expect(page.locator("#outbox")).to_be_hidden()
    assert len(sent) == 3
    assert len({re.findall("client_message_id=([0-9a-f]+)", one)[0] for one in sent}) == 1
    assert stored(context, stack) == (["sportello elp"] if first else ["ciao", "sportello elp"])
    assert words_of(page) == stored(context, stack)
    page.reload()
    assert words_of(page) == stored(context, stack)


def test_a_reload_in_the_middle_of_sending_neither_loses_nor_repeats(visit: Visit, stack: Stack) -> None:
    context = visit(locale="it")
    page = begun(context, stack)
    sent = lose_answers(page, times=1)
    page.route("**/messages", lambda route: None, times=1)  # it hangs
    ask(page, "sportello elp")
    ask(page, "grazie")
    page.reload()
    expect(page.locator("#log li.message.person")).to_have_count(3)
    expect(page.locator("#outbox")).to_be_hidden()
    assert words_of(page) == ["ciao", "sportello elp", "grazie"]
    assert stored(context, stack) == ["ciao", "sportello elp", "grazie"]
    assert sent


def test_what_the_network_doubles_is_one_message(visit: Visit, stack: Stack) -> None:
    context = visit(locale="it")
    page = begun(context, stack)

    def twice(route: Route) -> None:
        route.fetch()
        route.continue_()

    page.route("**/messages", twice)
    ask(page, "sportello elp")
    expect(page.locator("#log .card")).to_have_count(1)
    assert words_of(page) == ["ciao", "sportello elp"]
    assert stored(context, stack) == ["ciao", "sportello elp"]


def test_the_server_dies_and_comes_back_and_everything_goes_on(visit: Visit, stack: Stack) -> None:
    context = visit(locale="it")
    page, other = begun(context, stack), context.new_page()
    other.goto(stack.url)
    stack.stop(hard=True)
    try:
        ask(page, "sportello elp")
        ask(page, "grazie")
        expect(page.locator("#outbox .sent span")).to_have_text([UNSENT] * 2)
    finally:
        stack.start()
    expect(page.locator("#log li.message.person")).to_have_count(3, timeout=40_000)
    assert words_of(page) == ["ciao", "sportello elp", "grazie"]
    expect(other.locator("#log li.message.person")).to_have_count(3, timeout=70_000)  # its stream is back, too
    numbers = page.locator("#log li.message[id]").evaluate_all("all => all.map(one => one.id)")
    assert len(numbers) == len(set(numbers))


def test_a_server_in_trouble_says_so_and_gets_the_words_later(visit: Visit, stack: Stack) -> None:
    context = visit(locale="it")
    page = begun(context, stack)
    sentence = f"<p>{say('it', 'error.unavailable')}</p>"
    trouble = {"HX-Retarget": "#problem", "HX-Reswap": "innerHTML"}
    page.route("**/messages", lambda route: route.fulfill(status=503, headers=trouble, body=sentence), times=1)
    ask(page, "sportello elp")
    expect(page.locator("#log .card")).to_have_count(1)
    assert stored(context, stack) == ["ciao", "sportello elp"]


# ---- a conversation that is not there any more ----


def test_what_waits_is_dropped_when_the_conversation_was_erased_meanwhile(visit: Visit, stack: Stack) -> None:
    context = visit(locale="it")
    page = begun(context, stack)
    cookie = next(one for one in context.cookies() if one["name"] == CHAT_COOKIE)
    conversation, _, token = cookie["value"].partition(".")
    context.set_offline(True)
    ask(page, "non deve arrivare")
    expect(page.locator("#outbox li.message")).to_have_count(1)
    page.request.delete(  # as from another device
        f"{stack.url}/api/v1/conversations/{conversation}", headers={"authorization": f"Bearer {token}"}
    )
    asked: list[Response] = []
    page.on("response", lambda response: asked.append(response) if response.url.endswith("/messages") else None)
    context.set_offline(False)
    is_fresh(page)
    expect(page.locator("#outbox")).to_be_hidden()
    assert "non deve arrivare" not in page.content()
    assert all(response.status == 404 for response in asked)
    assert page.evaluate("sessionStorage.getItem('elp-queue')") is None


def test_what_was_written_in_one_conversation_never_reaches_the_next(visit: Visit, stack: Stack) -> None:
    context = visit(locale="it")
    page = begun(context, stack)
    context.set_offline(True)
    ask(page, "della prima persona")
    expect(page.locator("#outbox li.message")).to_have_count(1)
    context.clear_cookies()  # the browser of a shelter: somebody else begins
    context.set_offline(False)
    is_fresh(page)
    ask(page, "della seconda persona")
    answered(page)
    assert stored(context, stack) == ["della seconda persona"]


def test_erasing_everything_in_a_tunnel_sends_nothing_else_and_erases_later(visit: Visit, stack: Stack) -> None:
    context = visit(locale="it")
    page = begun(context, stack)
    ask(page, "cancella tutti i miei dati")
    erase = page.locator('button[value="forget-now"]')
    expect(erase).to_be_visible()
    context.set_offline(True)
    ask(page, "segreto")
    erase.click()
    expect(page.locator("#outbox li.message")).to_have_count(1)
    assert "segreto" not in page.content()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.post_data or "") if request.method == "POST" else None)
    context.set_offline(False)
    expect(page.get_by_text(say("it", "forget.done", receipt="").split("{")[0].strip()[:12]).first).to_be_visible()
    expect(page.locator("#log li.message.person")).to_have_count(0)
    assert not any("segreto" in one for one in sent)


def test_leaving_in_a_tunnel_sends_nothing_and_erases_when_the_network_is_back(visit: Visit, stack: Stack) -> None:
    context = with_exit(visit(locale="it"))
    page = begun(context, stack)
    cookie = next(one for one in context.cookies() if one["name"] == CHAT_COOKIE)
    conversation, _, token = cookie["value"].partition(".")
    context.set_offline(True)
    ask(page, "mai inviato")
    page.locator(".leave button").click(no_wait_after=True)
    page.wait_for_timeout(500)
    assert "mai inviato" not in page.content()
    sent: list[str] = []
    context.on("request", lambda request: sent.append(request.post_data or ""))
    context.set_offline(False)
    page.wait_for_timeout(1_500)  # whatever still ran would send now
    again = context.new_page()
    again.goto(stack.url)
    is_fresh(again)
    assert not any("mai" in (one or "") for one in sent)
    assert context.cookies() == []
    gone = context.request.get(
        f"{stack.url}/api/v1/conversations/{conversation}/messages", headers={"authorization": f"Bearer {token}"}
    )
    assert gone.status == 404
