"""A desk's calendar for other programs: who makes its address, what is read there, and what is not."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from icalendar import Calendar
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import Range

from backend import booking
from backend.models import Appointment, AuditEvent, Desk
from backend.services import Services
from tests.appointments import NOW, Place, make_place, rome
from tests.staff import Browser, Browsers, browsers

TEN = rome(2, 10)


@pytest.fixture
async def place(services: Services, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(Services, "now", lambda _: NOW)
    return await make_place(services.sessions, name='Sportello, "prova"; Ivrea')


@pytest.fixture
async def open_browser(app: FastAPI) -> AsyncIterator[Browsers]:
    async with browsers(app) as opened:
        yield opened


@pytest.fixture
async def manager(place: Place, open_browser: Browsers) -> Browser:
    return await open_browser("desk_manager", organisation=place.organisation, desk=place.desk)


async def make_feed(manager: Browser, place: Place) -> str:
    """The path of its new address."""
    page = await manager.post(f"/console/calendar/{place.desk}/feed")
    assert page.status_code == 200
    found = re.search(r"/calendar/[A-Za-z0-9_-]{43}\.ics", page.text)
    assert found
    return found[0]


async def read(client: httpx.AsyncClient, path: str) -> Calendar:
    response = await client.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/calendar")
    assert response.headers["cache-control"] == "no-store"
    calendar = Calendar.from_ical(response.content)
    assert isinstance(calendar, Calendar)
    assert calendar.errors == []
    assert all(line.endswith(b"\r\n") and len(line) <= 77 for line in response.content.splitlines(keepends=True))
    return calendar


def by_uid(calendar: Calendar) -> dict[str, Any]:
    return {str(event["uid"]): event for event in calendar.walk("VEVENT")}


async def set_visit(place: Place, visit: Any, **values: Any) -> None:
    async with place.sessions.begin() as session:
        await session.execute(update(Appointment).where(Appointment.id == visit.id).values(**values))


async def test_the_calendar_has_kind_language_and_code_and_no_name(
    client: httpx.AsyncClient, place: Place, manager: Browser
) -> None:
    visit = (await place.book(TEN, language="ar")).visit
    path = await make_feed(manager, place)
    calendar = await read(client, path)
    assert calendar["prodid"]
    assert calendar["version"] == "2.0"
    assert calendar["method"] == "PUBLISH"
    assert calendar["x-wr-calname"] == 'Sportello, "prova"; Ivrea'
    (event,) = by_uid(calendar).values()
    assert str(event["summary"]) == "Colloquio · arabo"
    assert str(event["description"]) == visit.code
    assert str(event["uid"]) == visit.uid
    assert (event["dtstart"].dt, event["dtend"].dt) == (TEN, TEN + timedelta(minutes=30))
    assert str(event["status"]) == "CONFIRMED"
    assert "Amina" not in (await client.get(path)).text


async def test_a_moved_visit_keeps_its_uid_and_a_cancelled_one_is_taken_out(
    client: httpx.AsyncClient, place: Place, manager: Browser
) -> None:
    booked = await place.book(TEN)
    path = await make_feed(manager, place)
    before = by_uid(await read(client, path))[booked.visit.uid]
    await booking.move(place.sessions, booked.visit.id, booked.token, rome(3, 11), NOW)
    moved = by_uid(await read(client, path))[booked.visit.uid]
    assert moved["sequence"] > before["sequence"]
    assert moved["dtstart"].dt == rome(3, 11)
    await booking.cancel(place.sessions, booked.visit.id, booked.token, NOW)
    await set_visit(place, booked.visit, changed_at=NOW - timedelta(days=6))
    gone = by_uid(await read(client, path))[booked.visit.uid]
    assert gone["sequence"] > moved["sequence"]
    assert str(gone["status"]) == "CANCELLED"
    await set_visit(place, booked.visit, changed_at=NOW - timedelta(days=8))
    assert by_uid(await read(client, path)) == {}


@pytest.mark.parametrize(
    "away, shown", [(timedelta(days=-8), False), (timedelta(days=-6), True), (timedelta(days=119), True)]
)
async def test_from_a_week_ago_to_four_months_ahead(
    client: httpx.AsyncClient, place: Place, manager: Browser, away: timedelta, shown: bool
) -> None:
    visit = (await place.book(TEN)).visit
    starts = NOW + away
    span = {"starts": starts, "ends": starts + timedelta(minutes=30)}
    await set_visit(place, visit, **span, blocked=Range(span["starts"], span["ends"]))
    assert (visit.uid in by_uid(await read(client, await make_feed(manager, place)))) is shown


async def test_a_hold_is_no_appointment_and_examples_say_so(
    client: httpx.AsyncClient, place: Place, manager: Browser
) -> None:
    await booking.hold(place.sessions, place.wish(TEN), NOW)
    path = await make_feed(manager, place)
    assert by_uid(await read(client, path)) == {}
    given_up = await booking.hold(place.sessions, place.wish(rome(2, 11)), NOW)
    await booking.cancel(place.sessions, given_up.visit.id, given_up.token, NOW)
    await set_visit(place, given_up.visit, changed_at=NOW)
    assert by_uid(await read(client, path)) == {}
    await place.set_desk(demo_hours=True)
    await place.book(rome(3, 9))
    (event,) = by_uid(await read(client, path)).values()
    assert str(event["summary"]) == "PROVA: Colloquio · italiano"


async def test_a_new_address_ends_the_one_before_and_off_is_off(
    client: httpx.AsyncClient, place: Place, manager: Browser
) -> None:
    here = f"/console/calendar/{place.desk}/feed"
    assert "There is no address now" in (await manager.get(here)).text
    first = await make_feed(manager, place)
    again = await manager.get(here)
    assert first not in again.text
    assert "The address is switched on" in again.text
    second = await make_feed(manager, place)
    assert (await client.get(first)).status_code == 404
    assert (await client.get(second)).status_code == 200
    for _ in range(2):
        stopped = await manager.post(f"{here}/stop")
        assert "switched off" in (await manager.get(stopped.headers["location"])).text
    assert (await client.get(second)).status_code == 404
    async with place.sessions.begin() as session:
        query = select(AuditEvent.action, AuditEvent.details).where(AuditEvent.subject == f"desk:{place.desk}")
        rows = (await session.execute(query.order_by(AuditEvent.id))).all()
    assert [row.action for row in rows] == ["desk.feed_made", "desk.feed_made", "desk.feed_stopped"]
    assert all(row.details == {} for row in rows)


async def test_the_secret_is_kept_nowhere(place: Place, manager: Browser) -> None:
    path = await make_feed(manager, place)
    async with place.sessions.begin() as session:
        kept = await session.scalar(select(Desk.feed_hash).where(Desk.id == place.desk))
    secret = path.removeprefix("/calendar/").removesuffix(".ics")
    assert kept is not None
    assert len(kept) == 32
    assert secret.encode() not in kept


@pytest.mark.parametrize("secret", ["nothing", "%00", "..%2f..%2fetc", "%F0%9F%98%80", "x" * 100, "'--", "%ff"])
async def test_a_secret_that_is_none_finds_nothing(client: httpx.AsyncClient, secret: str) -> None:
    assert (await client.get(f"/calendar/{secret}.ics")).status_code == 404


async def test_only_who_manages_the_desk_makes_an_address(
    place: Place, services: Services, open_browser: Browsers
) -> None:
    operator = await open_browser("operator", organisation=place.organisation, desk=place.desk)
    here = f"/console/calendar/{place.desk}/feed"
    assert (await operator.get(here)).status_code == 200
    for path in (here, f"{here}/stop"):
        assert (await operator.post(path)).status_code == 403
    other = await open_browser("desk_manager", organisation=(await make_place(services.sessions)).organisation)
    for path in (here, f"{here}/stop"):
        assert (await other.post(path)).status_code == 404
    async with place.sessions.begin() as session:
        assert await session.scalar(select(Desk.feed_hash).where(Desk.id == place.desk)) is None


async def test_a_feed_shows_its_own_desk_only(
    client: httpx.AsyncClient, place: Place, services: Services, manager: Browser
) -> None:
    await (await make_place(services.sessions)).book(TEN)
    assert by_uid(await read(client, await make_feed(manager, place))) == {}


@pytest.mark.usefixtures("limited")
async def test_whoever_asks_too_often_has_to_wait(client: httpx.AsyncClient) -> None:
    found = [(await client.get("/calendar/guessed.ics")).status_code for _ in range(61)]
    assert found == [404] * 60 + [429]


async def test_times_are_right_on_both_sides_of_the_change(
    client: httpx.AsyncClient, place: Place, manager: Browser
) -> None:
    for day in (26, 30):
        await place.book(rome(day, 9))
    events = by_uid(await read(client, await make_feed(manager, place)))
    assert [event["dtstart"].dt for event in events.values()] == [
        datetime(2027, 3, 26, 8, tzinfo=UTC),
        datetime(2027, 3, 30, 7, tzinfo=UTC),
    ]
