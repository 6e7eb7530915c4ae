"""Two people and two operators at the same time, in Arabic and Italian, and what goes wrong between them."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect
from sqlalchemy import text, update

from backend import queue_watch
from backend.db import Sessions
from backend.models import Desk, OpeningPeriod, Presence
from bot.phrases import say
from tests.browser.stack import Office, Stack, new_office
from tests.browser.test_first_answer import widest

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]
LAPTOP, TABLET = {"width": 1280, "height": 900}, {"width": 820, "height": 1100}


@pytest.fixture(scope="module")
def office(stack: Stack) -> Iterator[Office]:
    """Always open."""
    with new_office(stack, "Sportello sempre aperto") as made:
        made.run(lambda sessions: _always_open(sessions, made.desk))
        yield made


async def _always_open(sessions: Sessions, desk_id: int) -> None:
    async with sessions.begin() as session:
        desk = await session.get_one(Desk, desk_id)
        desk.holidays = ""
        for weekday in range(7):
            session.add(OpeningPeriod(desk_id=desk_id, weekday=weekday, opens=time(0), closes=time(23, 59)))


def asks_for_a_person(context: BrowserContext, office: Office, words: str) -> Page:
    """On the chat page, by the button, with a first sentence for the desk."""
    page = context.new_page()
    page.goto(office.url)
    page.locator('button[value="human"]').first.click()
    expect(page.locator("#status [data-state]")).to_have_attribute("data-state", "WAITING")
    write(page, words)
    return page


def write(page: Page, words: str) -> None:
    page.locator("#text").fill(words)
    page.locator("button.send").click()
    expect(page.locator("li.message.person").last).to_contain_text(words)


def row(operator: Page, words: str) -> Locator:
    return operator.locator("#queue tr", has_text=words)


def take(operator: Page, words: str) -> None:
    row(operator, words).locator("a").click()
    operator.locator("#take").click()
    expect(operator.locator("#state [data-mine]")).to_have_attribute("data-mine", "yes")


def reply(operator: Page, words: str) -> None:
    operator.locator("#words").fill(words)
    operator.locator("#send").click()
    expect(operator.locator("article.operator").last).to_contain_text(words)


def test_two_people_and_two_operators_at_once(visit: Visit, office: Office) -> None:
    anna = office.operator(visit(locale="it", viewport=LAPTOP), "Anna Rossi")
    marco = office.operator(visit(locale="it", viewport=TABLET), "Marco Bianchi")
    amal = asks_for_a_person(visit(locale="ar"), office, "وصلتني رسالة ولا أفهمها")
    luca = asks_for_a_person(visit(locale="it"), office, "ho perso il lavoro")
    for operator in (anna, marco):  # both appear by themselves
        expect(row(operator, "وصلتني رسالة")).to_be_visible()
        expect(row(operator, "ho perso il lavoro")).to_be_visible()
        assert operator.title().startswith("(2)")
    anna.screenshot(path=office.shots / "console-queue-1280.png", full_page=True)
    marco.screenshot(path=office.shots / "console-queue-820.png", full_page=True)

    # The race: both open the same conversation, one takes it, the other is told who has it.
    row(anna, "وصلتني رسالة").locator("a").click()
    row(marco, "وصلتني رسالة").locator("a").click()
    anna.locator("#take").click()
    expect(anna.locator("#state [data-mine]")).to_have_attribute("data-mine", "yes")
    expect(marco.locator("#state")).to_contain_text("Anna Rossi")
    expect(marco.locator("#take")).to_have_count(0)
    expect(marco.locator("#compose")).to_be_hidden()
    expect(amal.locator("#status [data-state]")).to_have_attribute("data-state", "ACTIVE")
    marco.goto(f"{office.url}/console")
    take(marco, "ho perso il lavoro")

    # Each person hears from their own operator, and nobody else.
    anna.locator("#words").fill("Buongiorno, mandami una foto della lettera")
    expect(amal.locator("#typing")).not_to_be_empty()
    anna.locator("#see").click()
    expect(anna.locator("#preview")).to_contain_text(say("it", "console.preview.no_model", language="العربية"))
    anna.screenshot(path=office.shots / "console-conversation-1280.png", full_page=True)
    anna.locator("#send").click()
    expect(amal.locator("li.message.operator")).to_contain_text("mandami una foto")
    expect(anna.locator("article.operator")).to_contain_text(say("it", "console.delivered"))
    reply(marco, "Buongiorno Luca")
    expect(luca.locator("li.message.operator")).to_contain_text("Buongiorno Luca")
    expect(amal.locator("li.message.operator")).to_have_count(1)
    expect(luca.locator("li.message.operator")).to_have_count(1)
    write(luca, "grazie, ho una domanda")
    expect(marco.locator("article.person").last).to_contain_text("ho una domanda")
    expect(anna.locator("#log")).not_to_contain_text("ho una domanda")
    marco.screenshot(path=office.shots / "console-conversation-820.png", full_page=True)
    amal.screenshot(path=office.shots / "chat-handover-ar.png", full_page=True)
    for page in (anna, marco, amal, luca):
        assert widest(page) <= page.viewport_size["width"]  # type: ignore[index]

    # It ends, and the person is asked whether it helped.
    marco.get_by_role("button", name=say("it", "console.resolve")).click()
    expect(luca.locator('button[value="helped:yes"]')).to_be_visible()
    luca.locator('button[value="helped:yes"]').click()
    expect(luca.locator("li.message.bot").last).to_contain_text(say("it", "helped.yes"))
    expect(luca.locator("#status [data-state]")).to_have_count(0)


def test_what_is_written_while_a_line_is_down_comes_once_when_it_is_back(visit: Visit, office: Office) -> None:
    context, at_home = visit(locale="it", viewport=LAPTOP), visit(locale="it")
    operator = office.operator(context, "Anna Rossi")
    person = asks_for_a_person(at_home, office, "aspetto una risposta")
    take(operator, "aspetto una risposta")
    context.set_offline(True)
    write(person, "prima parola senza rete")
    write(person, "seconda parola senza rete")
    context.set_offline(False)
    expect(operator.locator("article.person", has_text="seconda parola senza rete")).to_have_count(1, timeout=20_000)
    expect(operator.locator("article.person", has_text="prima parola senza rete")).to_have_count(1)
    at_home.set_offline(True)
    reply(operator, "risposta senza rete")
    at_home.set_offline(False)
    expect(person.locator("li.message.operator", has_text="risposta senza rete")).to_have_count(1, timeout=20_000)
    person.reload()
    expect(person.locator("li.message.operator", has_text="risposta senza rete")).to_have_count(1)
    ids = person.locator("li.message[id]").evaluate_all("all => all.map(one => one.id)")
    assert len(ids) == len(set(ids))


def test_the_server_is_killed_while_both_write_and_nothing_is_lost_or_twice(visit: Visit, office: Office) -> None:
    operator = office.operator(visit(locale="it", viewport=LAPTOP), "Anna Rossi")
    person = asks_for_a_person(visit(locale="it"), office, "prima del guasto")
    take(operator, "prima del guasto")
    reply(operator, "risposta prima del guasto")
    write(person, "parola prima del guasto")
    office.stack.stop(hard=True)
    person.locator("#text").fill("parola durante il guasto")
    person.locator("button.send").click()
    expect(person.locator("#problem")).not_to_be_empty()
    expect(person.locator("#outbox li", has_text="parola durante il guasto")).to_have_count(1)
    office.stack.start()  # it goes out by itself
    expect(person.locator("#log li.person", has_text="parola durante il guasto")).to_have_count(1, timeout=40_000)
    operator.wait_for_timeout(3000)  # the stream comes back by itself
    for words in ("parola prima del guasto", "parola durante il guasto"):
        expect(operator.locator("article.person", has_text=words)).to_have_count(1, timeout=20_000)
    reply(operator, "risposta dopo il guasto")
    expect(person.locator("li.message.operator", has_text="risposta dopo il guasto")).to_have_count(1, timeout=20_000)
    expect(person.locator("li.message.operator", has_text="risposta prima del guasto")).to_have_count(1)


def test_the_end_of_a_shift_leaves_nobody_behind(visit: Visit, office: Office) -> None:
    office.run(_nobody_on_duty)
    operator = office.operator(visit(locale="it", viewport=LAPTOP), "Anna Rossi")
    person = asks_for_a_person(visit(locale="it"), office, "chi mi risponde oggi")
    take(operator, "chi mi risponde oggi")
    operator.goto(f"{office.url}/console/shift")
    expect(operator.locator("main")).to_contain_text("chi mi risponde oggi")
    end = operator.get_by_role("button", name=say("it", "console.shift.end"))
    end.click()
    expect(operator.locator(".alert-danger")).to_be_visible()
    operator.screenshot(path=office.shots / "console-shift-1280.png", full_page=True)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT10:00")
    while operator.locator('input[name="at"]').count():
        operator.locator('input[name="at"]').first.fill(tomorrow)
        operator.get_by_role("button", name=say("it", "console.shift.promise")).first.click()
    end.click()
    expect(operator.locator("main")).to_contain_text(say("it", "console.shift.off"))
    expect(person.locator("#status [data-state]")).to_have_attribute("data-state", "WAITING")
    expect(person.locator("li.message.system").last).to_contain_text("10:00")


async def _nobody_on_duty(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Presence).values(on_duty=False))


def test_an_operator_whose_browser_dies_is_told_to_the_person(visit: Visit, office: Office) -> None:
    context = visit(locale="it", viewport=LAPTOP)
    operator = office.operator(context, "Anna Rossi")
    person = asks_for_a_person(visit(locale="en"), office, "is somebody there")
    take(operator, "is somebody there")
    reply(operator, "sono qui")
    context.close()

    async def later(sessions: Sessions) -> None:
        async with sessions.begin() as session:
            await session.execute(text("UPDATE presence SET seen_at = now() - interval '11 minutes'"))
        await queue_watch.release_abandoned(sessions, queue_watch.Patience(), datetime.now(UTC))

    office.run(later)
    expect(person.locator("#status [data-state]")).to_have_attribute("data-state", "WAITING")
    expect(person.locator("li.message.system").last).to_contain_text("had to stop")


def test_everything_works_without_javascript(visit: Visit, office: Office) -> None:
    operator = office.operator(visit(locale="it", viewport=LAPTOP, java_script_enabled=False), "Anna Rossi")
    person = visit(locale="it", java_script_enabled=False).new_page()
    person.goto(office.url)
    person.locator('button[value="human"]').first.click()
    expect(person.locator("#status [data-state]")).to_have_attribute("data-state", "WAITING")
    person.locator("#text").fill("senza script")
    person.locator("button.send").click()
    operator.goto(f"{office.url}/console")
    row(operator, "senza script").locator("a").click()
    operator.locator("#take").click()
    operator.locator("#words").fill("risposta senza script")
    operator.locator("#send").click()
    person.reload()
    expect(person.locator("li.message.operator")).to_contain_text("risposta senza script")
    expect(person.locator("#status [data-state]")).to_have_attribute("data-state", "ACTIVE")


def test_the_queue_is_worked_by_keyboard(visit: Visit, office: Office) -> None:
    operator = office.operator(visit(locale="en", viewport=LAPTOP), "Anna Rossi", language="en")
    asks_for_a_person(visit(locale="en"), office, "keyboard question")
    expect(row(operator, "keyboard question")).to_be_visible()
    operator.locator("body").press("j")
    for _ in range(30):
        if "keyboard question" in (operator.locator("tr.console-marked").text_content() or ""):
            break
        operator.keyboard.press("j")
    operator.keyboard.press("Enter")
    operator.wait_for_url("**/console/conversations/*")
    expect(operator.locator("#take")).to_be_visible()
    operator.keyboard.press("t")
    expect(operator.locator("#words")).to_be_focused()
    operator.keyboard.type("Ecco la risposta")
    operator.keyboard.press("Control+Enter")
    expect(operator.locator("#text")).to_be_visible()
    operator.locator("#text").press("Control+Enter")
    expect(operator.locator("article.operator").last).to_contain_text("Ecco la risposta")


def test_a_tab_that_stays_open_does_not_grow(visit: Visit, office: Office) -> None:
    """Six hundred messages in one conversation: the page keeps the last five hundred."""
    operator = office.operator(visit(locale="it", viewport=LAPTOP), "Anna Rossi")
    context = visit(locale="it")
    asks_for_a_person(context, office, "molte parole")
    take(operator, "molte parole")
    answers = context.request
    for number in range(600):
        form: dict[str, str | float | bool] = {"text": f"parola {number}", "client_message_id": f"many-{number}"}
        sent = answers.post(f"{office.url}/messages", form=form, headers={"hx-request": "true", "origin": office.url})
        assert sent.ok
    expect(operator.locator("article.person").last).to_contain_text("parola 599", timeout=20_000)
    assert operator.locator("#log article").count() <= 500
