"""The desk's calendar on a laptop, a tablet and a telephone: looked at, and used, also without JavaScript."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from sqlalchemy import select, update

from backend import booking
from backend.booking import Wish
from backend.db import Sessions
from backend.models import Appointment, AppointmentKind, Desk, OpeningPeriod, Resource, ResourceBlock
from bot.phrases import say
from tests.browser.stack import Office, Stack, new_office
from tests.browser.test_first_answer import widest

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]
ROME = ZoneInfo("Europe/Rome")
WIDTHS = (1280, 820, 375)


def it(key: str, **values: object) -> str:
    return say("it", f"console.calendar.{key}", **values)


@pytest.fixture(scope="module")
def office(stack: Stack) -> Iterator[Office]:
    with new_office(stack, "Sportello con calendario") as made:
        made.run(lambda sessions: _furnish(sessions, made.desk))
        yield made


def today() -> date:
    return datetime.now(ROME).date()


def at(hour: int, minute: int = 0, *, days: int = 0) -> datetime:
    return datetime.combine(today() + timedelta(days=days), time(hour, minute), ROME)


async def _furnish(sessions: Sessions, desk_id: int) -> None:
    """A desk with two people, an interpreter and a workshop, and a day on which something happens."""
    async with sessions.begin() as session:
        desk = await session.get_one(Desk, desk_id)
        desk.holidays = ""
        for weekday in range(7):
            for opens, closes in ((time(9), time(13)), (time(14), time(18))):
                session.add(OpeningPeriod(desk_id=desk.id, weekday=weekday, opens=opens, closes=closes))
        usual = {"desk_id": desk.id, "lead_minutes": 0}
        names = {"it": "Primo colloquio", "en": "First talk"}
        first = AppointmentKind(names=names, minutes=45, buffer_after=15, **usual)
        papers = AppointmentKind(names={"it": "Aiuto con i documenti", "en": "Help with papers"}, minutes=30, **usual)
        workshop = AppointmentKind(
            names={"it": "Laboratorio CV", "en": "CV workshop"}, minutes=90, capacity=12, **usual
        )
        anna, marco = (Resource(desk_id=desk.id, kind="staff", name=name) for name in ("Anna", "Marco"))
        leila = Resource(desk_id=desk.id, kind="interpreter", name="Leila", languages=["ar"])
        session.add_all([first, papers, workshop, anna, marco, leila])
    await _visits(sessions, desk.id, first.id, papers.id, workshop.id)
    async with sessions.begin() as session:  # one workshop, not two side by side
        query = select(Appointment).where(Appointment.kind_id == workshop.id)
        for seat, visit in enumerate((await session.execute(query)).scalars()):
            visit.resource_id, visit.seat = anna.id, seat + 5
    async with sessions.begin() as session:
        for resource in (anna.id, marco.id):
            session.add(ResourceBlock(resource_id=resource, starts=at(13), ends=at(14), note="Riunione"))


async def _visits(sessions: Sessions, desk: int, first: int, papers: int, workshop: int) -> None:
    before = datetime.now(UTC) - timedelta(days=3)
    entry = "sportello-elp"
    wishes: list[tuple[Wish, str, dict[str, Any]]] = [
        (Wish(desk, first, at(9), "ar", interpreter=True, entry_id=entry), "Amina", {"status": "done"}),
        (Wish(desk, papers, at(9, 30), "fr"), "Fatou", {"status": "no_show"}),
        (Wish(desk, papers, at(10), "it", entry_id=entry), "Luca", {"status": "arrived"}),
        (Wish(desk, first, at(11), "uk"), "Oleksandra Volodymyrivna dei Fiori", {"late_minutes": 20}),
        (Wish(desk, papers, at(12), "zh"), "小明", {"comes": True}),
        (Wish(desk, first, at(17), "es", entry_id=entry), "María José", {"comes": False}),
        *((Wish(desk, workshop, at(15), language), name, {}) for language, name in _CLASS),
        (Wish(desk, papers, at(10, days=1), "ur"), "زینب", {}),
        (Wish(desk, papers, at(9, days=8), "it"), "Bruno", {}),
    ]
    for wish, name, values in wishes:
        visit = (await booking.book(sessions, wish, name, before)).visit
        if values:
            async with sessions.begin() as session:
                await session.execute(update(Appointment).where(Appointment.id == visit.id).values(**values))


_CLASS = (("it", "Giulia"), ("ro", "Ion"), ("sq", "Arben"), ("ar", "Yusuf"))


def opened(context: BrowserContext, office: Office, path: str = "") -> Page:
    page = office.operator(context, "Anna Rossi")
    page.goto(f"{office.url}/console/calendar")
    page.goto(page.url.split("?")[0] + path)
    return page


def sized(visit: Visit, width: int, **wishes: Any) -> BrowserContext:
    return visit(locale="it", viewport={"width": width, "height": 900}, **wishes)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_view_fits(visit: Visit, office: Office, width: int) -> None:
    page = opened(sized(visit, width), office)
    here = page.url
    views = {"day": "", "week": "?view=week", "month": "?view=month", "new": "/new?speaks=ar&interpreter=yes"}
    views |= {"walk-in": "/walk-in", "blocks": "/blocks", "print": "/print?names=yes"}
    for name, path in views.items():
        page.goto(here + path)
        assert widest(page) <= width, name
        page.screenshot(path=office.shots / f"calendar-{name}-{width}.png", full_page=True)
    page.goto(here)
    expect(page.locator("tr", has_text="Amina")).to_contain_text("Leila")
    expect(page.locator(".calendar-workshop")).to_contain_text(it("places", taken=4, places=12))
    page.locator("tr", has_text="Luca").locator(".calendar-code").click()
    assert widest(page) <= width
    page.screenshot(path=office.shots / f"calendar-visit-{width}.png", full_page=True)


@pytest.mark.parametrize("width", WIDTHS)
def test_somebody_is_booked_for_moved_and_cancelled_without_scripts(visit: Visit, office: Office, width: int) -> None:
    page = opened(sized(visit, width, java_script_enabled=False), office)
    page.get_by_role("link", name=it("new")).click()
    page.locator("#kind").select_option(label=f"Aiuto con i documenti ({it('minutes', minutes=30)})")
    page.locator("#speaks").select_option("fr")
    page.get_by_role("button", name=it("show_times")).click()
    page.locator(".calendar-days a").nth(2).click()
    page.locator(".calendar-times label").nth(3).click()
    page.locator("#name").fill("Mariama")
    page.screenshot(path=office.shots / f"calendar-booking-{width}.png", full_page=True)
    page.get_by_role("button", name=it("book_button"), exact=True).click()
    expect(page.locator(".calendar-big")).to_be_visible()
    code = page.locator(".calendar-big").inner_text()
    assert len(code.strip()) == 5
    page.screenshot(path=office.shots / f"calendar-booked-{width}.png", full_page=True)

    page.get_by_role("link", name=it("move"), exact=True).click()
    page.locator(".calendar-days a").nth(3).click()
    page.locator(".calendar-times label").nth(1).click()
    page.screenshot(path=office.shots / f"calendar-move-{width}.png", full_page=True)
    page.get_by_role("button", name=it("move_button")).click()
    expect(page.locator(".alert-success")).to_have_text(it("did.moved_untold"))
    expect(page.locator(".calendar-big")).to_have_text(code)

    page.locator("#code").fill(f" {code[:2].lower()} {code[2:]}")
    page.get_by_role("button", name=it("find"), exact=True).click()
    expect(page.locator("main")).to_contain_text("Mariama")
    assert code not in page.url
    page.get_by_text(it("cancel"), exact=True).click()
    page.get_by_role("button", name=it("cancel_button")).click()
    expect(page.locator(".alert-success")).to_have_text(it("did.cancelled_untold"))


def test_somebody_without_an_appointment_is_here_and_done(visit: Visit, office: Office) -> None:
    page = opened(sized(visit, 820), office, "/walk-in")
    page.locator("#kind").select_option(label=f"Aiuto con i documenti ({it('minutes', minutes=30)})")
    page.locator("#name").fill("Senza Nome")
    page.get_by_role("button", name=it("walk_in_button")).click()
    row = page.locator("tr", has_text="Senza Nome")
    if row.count() == 0:  # at the hour of this test everybody serves somebody
        expect(page.locator(".alert-danger")).to_have_text(say("it", "error.nobody_free"))
        return
    expect(row).to_contain_text(it("status.arrived"))
    row.get_by_role("button", name=it("mark.done")).click()
    expect(page.locator("tr", has_text="Senza Nome")).to_contain_text(it("status.done"))
    page.locator("tr", has_text="Senza Nome").get_by_role("button", name=it("mark.confirmed")).click()
    expect(page.locator("tr", has_text="Senza Nome")).to_contain_text(it("status.confirmed"))


def test_paper_shows_the_day_and_nothing_around_it(visit: Visit, office: Office) -> None:
    page = opened(sized(visit, 820), office, "/print")
    expect(page.locator(".calendar-print")).not_to_contain_text("Amina")
    page.get_by_label(it("print_names")).check()
    page.get_by_role("button", name=it("print_show")).click()
    expect(page.locator(".calendar-print")).to_contain_text("Amina")
    page.emulate_media(media="print")
    for hidden in (".staff-top", ".calendar-screen"):
        expect(page.locator(hidden)).to_be_hidden()
    page.screenshot(path=office.shots / "calendar-paper.png", full_page=True)


def test_the_manager_makes_an_address_that_is_shown_once(visit: Visit, office: Office) -> None:
    context = sized(visit, 820)
    office.sign_in(context, "Anna Rossi", role="desk_manager")
    page = context.new_page()
    page.goto(f"{office.url}/console/calendar/{office.desk}/feed")
    page.get_by_role("button", name=it("feed_make")).click()
    address = page.locator(".staff-link").inner_text()
    page.screenshot(path=office.shots / "calendar-feed-820.png", full_page=True)
    answer = page.request.get(address)
    assert answer.status == 200
    assert "Primo colloquio" in answer.text()
    assert "Amina" not in answer.text()
    page.get_by_text(it("feed_stop"), exact=True).click()
    page.get_by_role("button", name=it("feed_stop_button"), exact=True).click()
    assert page.request.get(address).status == 404


def test_it_is_mirrored_for_who_reads_from_right_to_left(visit: Visit, office: Office) -> None:
    context = visit(locale="ar", viewport={"width": 820, "height": 900})
    page = office.operator(context, "أمل", language="ar")
    page.goto(f"{office.url}/console/calendar")
    assert widest(page) <= 820
    page.screenshot(path=office.shots / "calendar-day-ar-820.png", full_page=True)
