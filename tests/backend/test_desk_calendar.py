"""The desk's calendar in the console: what it shows, what is done there, and for whom it is."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from backend import booking, desk_visits
from backend.booking import Booked
from backend.conversations import open_conversation
from backend.models import Appointment, AuditEvent, Message, OpeningPeriod, Resource, ResourceBlock
from backend.services import Services
from tests.appointments import NOW, Clock, Place, make_place, rome
from tests.handovers import put_at_desk
from tests.staff import Browser, Browsers, browsers, make_desk

TEN = rome(2, 10)
"""On the Tuesday after NOW."""


@pytest.fixture
async def place(services: Services) -> Place:
    return await make_place(services.sessions, staff=2)


@pytest.fixture
async def open_browser(app: FastAPI, clock: Clock) -> AsyncIterator[Browsers]:
    async with browsers(app) as opened:
        yield opened


class Desk:
    """Somebody of the desk at its calendar."""

    def __init__(self, here: Browser, desk: int) -> None:
        self.here, self.path = here, f"/console/calendar/{desk}"

    async def page(self, path: str = "", **query: str) -> str:
        response = await self.here.get(f"{self.path}{path}", **query)
        assert response.status_code == 200, response.text
        return words(response)

    async def post(self, path: str, **form: Any) -> httpx.Response:
        return await self.here.post(f"{self.path}{path}", **form)

    async def follow(self, path: str, **form: Any) -> str:
        """Of a step that is made: the page it leads to."""
        response = await self.post(path, **form)
        assert response.status_code == 303, words(response)
        return words(await self.here.get(response.headers["location"]))

    async def mark(self, visit: UUID, seen: str, into: str, back: str = "visit") -> httpx.Response:
        return await self.post(f"/visits/{visit}/mark", seen=seen, into=into, back=back)


def words(response: httpx.Response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<(?!input|option|a |form)[^>]+>", " ", response.text))


@pytest.fixture
async def desk(place: Place, open_browser: Browsers) -> Desk:
    return Desk(await open_browser("operator", organisation=place.organisation, desk=place.desk), place.desk)


async def set_visit(place: Place, booked: Booked, **values: Any) -> None:
    async with place.sessions.begin() as session:
        await session.execute(update(Appointment).where(Appointment.id == booked.visit.id).values(**values))


async def events(place: Place, visit: UUID) -> list[str]:
    async with place.sessions.begin() as session:
        query = select(AuditEvent.action).where(AuditEvent.subject == f"appointment:{visit}").order_by(AuditEvent.id)
        return list((await session.execute(query)).scalars())


async def messages(place: Place, conversation: UUID) -> list[Message]:
    """Of the service."""
    async with place.sessions.begin() as session:
        query = select(Message).where(Message.conversation_id == conversation, Message.author == "system")
        return list((await session.execute(query.order_by(Message.id))).scalars())


# --- what it shows ---


async def test_a_day_says_who_comes_when_and_what_for(desk: Desk, place: Place) -> None:
    booked = await place.book(TEN, language="ar", entry_id="sportello-elp")
    await set_visit(place, booked, late_minutes=20, comes=True)
    page = await desk.page(day="2027-03-02")
    for shown in ("10:00 – 10:30", booked.visit.code, "Amina", "Talk", "Arabic", "will be 20 min late", "they come"):
        assert str(shown) in page
    assert "About: Sportello ELP" in page
    assert "Open: 09:00 – 12:00" in page
    assert "Tuesday, March 2, 2027" in page
    assert "Amina" not in await desk.page(), "today is Monday"


async def test_the_interpreter_is_named(desk: Desk, place: Place) -> None:
    await place.add_resource("interpreter", languages=["ar"])
    await place.book(TEN, language="ar", interpreter=True)
    assert "interpreter: interpreter" in await desk.page(day="2027-03-02")


async def test_a_hold_that_ran_out_and_a_wish_given_up_are_not_shown(desk: Desk, place: Place, clock: Clock) -> None:
    kept = await booking.hold(place.sessions, place.wish(TEN), NOW)
    assert str(kept.visit.code) in await desk.page(day="2027-03-02")
    clock.now = NOW + timedelta(minutes=11)
    assert str(kept.visit.code) not in await desk.page(day="2027-03-02")
    cancelled = await place.book(rome(2, 11))
    await booking.cancel(place.sessions, cancelled.visit.id, cancelled.token, NOW)
    page = await desk.page(day="2027-03-02")
    assert "Cancelled: 1" in page
    assert str(cancelled.visit.code) in page


async def test_a_week_and_a_month_lead_to_the_day(desk: Desk, place: Place) -> None:
    await place.book(TEN)
    await place.book(rome(4, 9))
    week = await desk.page(view="week", day="2027-03-06")
    assert "Mar 1 – Mar 7, 2027" in week
    assert week.count("Amina") == 2
    assert f'href="{desk.path}?day=2027-03-04"' in week
    month = await desk.page(view="month", day="2027-03-31")
    assert 'Tuesday, March 2, 2027: appointments: 1"' in month
    assert 'Wednesday, March 3, 2027: appointments: 0"' in month
    assert f'href="{desk.path}?view=month&amp;day=2027-04-01"' in month
    assert f'href="{desk.path}?view=month&amp;day=2027-02-01"' in month


@pytest.mark.parametrize("month, day", [(3, 28), (10, 31)])
async def test_hours_are_the_desks_own_on_the_days_the_clock_changes(
    desk: Desk, place: Place, clock: Clock, month: int, day: int
) -> None:
    """Sundays; a visit in the first and in the last hour of the day belongs to it and to no other."""
    clock.now = datetime(2027, month, day - 1, 9, tzinfo=UTC)
    night = [("00:00", "01:00"), ("09:00", "12:00"), ("22:00", "23:45")]
    for opens, closes in night:
        span = {"opens": time.fromisoformat(opens), "closes": time.fromisoformat(closes)}
        await place.add(OpeningPeriod(desk_id=place.desk, weekday=6, **span))
    await place.set_desk(holidays="")
    for hour, minute in ((0, 0), (9, 0), (22, 30)):
        await place.book(rome(day, hour, minute, month=month), now=clock.now)
    page = await desk.page(day=f"2027-{month:02}-{day}")
    for shown in ("00:00 – 00:30", "09:00 – 09:30", "22:30 – 23:00"):
        assert shown in page
    assert page.count("Amina") == 3
    counts = await desk.page(view="month", day=f"2027-{month:02}-{day}")
    assert f"{day}, 2027: appointments: 3" in counts
    week = await desk.page(view="week", day=f"2027-{month:02}-{day}")
    assert week.count("Amina") == 3


async def test_example_hours_say_so(desk: Desk, place: Place) -> None:
    assert "example" not in await desk.page()
    await place.set_desk(demo_hours=True)
    assert "These hours are an example" in await desk.page()
    await place.book(TEN)
    assert "trial" in await desk.page(day="2027-03-02")


async def test_a_desk_without_hours_books_nothing_and_receives_all_the_same(
    services: Services, open_browser: Browsers
) -> None:
    place = await make_place(services.sessions, hours=False)
    desk = Desk(await open_browser("operator", organisation=place.organisation, desk=place.desk), place.desk)
    assert "hours of this desk are not known yet" in await desk.page()
    response = await desk.here.get(f"{desk.path}/new", kind=str(place.kind), speaks="it")
    assert response.status_code == 409
    assert "Nobody has said yet when this desk is open" in response.text
    page = await desk.follow("/walk-in", kind=place.kind, speaks="it")
    assert "no appointment" in page


async def test_a_workshop_is_one_block_with_its_list(services: Services, open_browser: Browsers) -> None:
    place = await make_place(services.sessions, staff=1)
    desk = Desk(await open_browser("operator", organisation=place.organisation, desk=place.desk), place.desk)
    kind = await place.add_kind(names={"en": "Workshop"}, capacity=12)
    for _ in range(7):
        await place.book(TEN, kind=kind)
    page = await desk.page(day="2027-03-02")
    assert "7 of 12 places" in page
    assert page.count("Amina") == 7
    assert page.count("10:00 – 10:30") == 1
    assert "7 of 12 places" in await desk.page(view="week", day="2027-03-02")
    assert (await desk.page("/print", day="2027-03-02")).count("10:00 – 10:30") == 7


async def test_what_is_meant_by_no_day_is_today(desk: Desk) -> None:
    for day in ("", "nonsense", "0001-01-01", "9999-12-31"):
        assert "Monday, March 1, 2027" in await desk.page(day=day)
    assert "Monday, March 1, 2027" in await desk.page(view="decade")


async def test_the_calendar_opens_at_the_first_desk_or_the_one_that_is_chosen(
    place: Place, services: Services, open_browser: Browsers
) -> None:
    other = await make_desk(services, place.organisation, "Zeta")
    here = await open_browser("operator", organisation=place.organisation)
    assert (await here.get("/console/calendar")).headers["location"] == f"/console/calendar/{place.desk}"
    chosen = await here.get("/console/calendar", desk=str(other), view="week", day="2027-03-02")
    assert chosen.headers["location"] == f"/console/calendar/{other}?view=week&day=2027-03-02"
    assert '<option value="' in (await here.get(f"/console/calendar/{other}")).text
    hostile = await here.get("/console/calendar", desk="x", view="&evil=1", day="//evil")
    assert hostile.headers["location"] == f"/console/calendar/{place.desk}"


# --- for somebody on the telephone ---


async def test_somebody_is_booked_for_and_the_code_is_shown_big(desk: Desk, place: Place) -> None:
    assert "Talk (30 min)" in await desk.page("/new")
    form = await desk.page("/new", kind=str(place.kind), speaks="fr", day="2027-03-02")
    start = re.findall(r'name="start" value="([^"]+)"', form)[4]
    assert datetime.fromisoformat(start) == TEN
    wish = {"kind": place.kind, "speaks": "fr", "interpreter": "", "start": start}
    page = await desk.follow("/new", **wish, name="  Fatou ")
    assert "Booked. Write the code down" in page
    async with place.sessions.begin() as session:
        row = (await session.execute(select(Appointment).where(Appointment.desk_id == place.desk))).scalar_one()
    assert (row.starts, row.name, row.language, row.conversation_id) == (TEN, "Fatou", "fr", None)
    assert f" {row.code} " in page
    assert await events(place, row.id) == ["appointment.booked"]


async def test_an_interpreter_is_booked_with_it_or_there_is_none(desk: Desk, place: Place) -> None:
    query = {"kind": str(place.kind), "speaks": "ar", "interpreter": "yes"}
    response = await desk.here.get(f"{desk.path}/new", **query)
    assert response.status_code == 409
    assert "This desk has no interpreter for this language" in response.text
    await place.add_resource("interpreter", languages=["ar"])
    page = await desk.follow("/new", **query, start=TEN.isoformat(), name="Amal")
    assert "interpreter: interpreter" in page


@pytest.mark.parametrize(
    "changed, status",
    [
        ({"name": ""}, 422),
        ({"name": "a" * 61}, 422),
        ({"start": ""}, 422),
        ({"start": "soon"}, 422),
        ({"start": "2027-02-28T10:00:00Z"}, 422),
        ({"start": "2027-03-02T10:07:00+01:00"}, 422),
        ({"start": "2027-03-06T10:00:00+01:00"}, 422),
        ({"speaks": "klingon"}, 422),
        ({"kind": "999999999"}, 404),
        ({"kind": "one"}, 422),
    ],
)
async def test_what_cannot_be_booked_is_said(desk: Desk, place: Place, changed: dict[str, str], status: int) -> None:
    form = {"kind": str(place.kind), "speaks": "it", "interpreter": "", "start": TEN.isoformat(), "name": "Amina"}
    response = await desk.post("/new", **(form | changed))
    assert response.status_code == status
    assert await place.live() == 0


async def test_a_time_that_is_taken_meanwhile_shows_others_and_keeps_the_name(desk: Desk, place: Place) -> None:
    for _ in range(2):
        await place.book(TEN)
    form = {"kind": place.kind, "speaks": "it", "interpreter": "", "start": TEN.isoformat(), "name": "Fatou"}
    response = await desk.post("/new", **form)
    assert response.status_code == 409
    assert 'value="Fatou"' in response.text
    assert re.search(r'name="start" value="2027-03-02T08:30:00\+00:00"', response.text)


# --- moving and cancelling ---


async def talking(services: Services, place: Place) -> tuple[UUID, Booked]:
    """Somebody who booked in a conversation in Italian."""
    opened = await open_conversation(services.sessions, channel="web", language="it")
    return opened.id, await place.book(TEN, conversation_id=opened.id)


async def test_a_visit_is_moved_and_the_person_is_told(desk: Desk, place: Place, services: Services) -> None:
    conversation, booked = await talking(services, place)
    form = await desk.page(f"/visits/{booked.visit.id}/move", day="2027-03-02")
    assert f'value="{TEN.astimezone(UTC).isoformat()}"' in form, "its own time counts as free"
    wanted = rome(3, 11)
    page = await desk.follow(f"/visits/{booked.visit.id}/move", start=wanted.isoformat())
    assert "Moved. The person reads it" in page
    row = await place.row(booked.visit.id)
    assert (row.starts, row.code, row.sequence) == (wanted, booked.visit.code, 1)
    told = await messages(place, conversation)
    assert len(told) == 1
    assert "11:00" in str(told[0].payload)
    assert await events(place, row.id) == ["appointment.moved"]


async def test_moving_to_the_same_time_tells_nobody(desk: Desk, place: Place, services: Services) -> None:
    conversation, booked = await talking(services, place)
    await desk.follow(f"/visits/{booked.visit.id}/move", start=TEN.isoformat())
    assert await messages(place, conversation) == []
    assert await events(place, booked.visit.id) == []


async def test_a_move_to_a_time_that_is_taken_or_none_is_said(desk: Desk, place: Place) -> None:
    booked = await place.book(rome(2, 9))
    for _ in range(2):
        await place.book(TEN)
    for start, status in ((TEN.isoformat(), 409), ("", 422), (rome(6, 10).isoformat(), 422)):
        response = await desk.post(f"/visits/{booked.visit.id}/move", start=start)
        assert response.status_code == status
    assert (await place.row(booked.visit.id)).starts == rome(2, 9)


async def test_a_visit_is_cancelled_once_and_the_person_is_told_once(
    desk: Desk, place: Place, services: Services
) -> None:
    conversation, booked = await talking(services, place)
    for _ in range(2):
        page = await desk.follow(f"/visits/{booked.visit.id}/cancel")
    assert "cancelled" in page
    assert (await place.row(booked.visit.id)).status == "cancelled"
    assert len(await messages(place, conversation)) == 1
    assert await events(place, booked.visit.id) == ["appointment.cancelled"]
    assert "Yes, cancel it" not in page


async def test_without_a_conversation_the_desk_has_to_tell_them(desk: Desk, place: Place) -> None:
    booked = await place.book(TEN)
    assert "tell them yourself" in await desk.follow(f"/visits/{booked.visit.id}/cancel")


async def test_what_is_over_is_neither_moved_nor_cancelled(desk: Desk, place: Place, clock: Clock) -> None:
    booked = await place.book(TEN)
    clock.now = TEN + timedelta(minutes=1)
    for response in (
        await desk.post(f"/visits/{booked.visit.id}/cancel"),
        await desk.post(f"/visits/{booked.visit.id}/move", start=rome(3, 9).isoformat()),
        await desk.here.get(f"{desk.path}/visits/{booked.visit.id}/move"),
    ):
        assert response.status_code == 409
    assert (await place.row(booked.visit.id)).status == "confirmed"


async def test_the_conversation_is_linked_only_when_it_is_at_this_desk(
    desk: Desk, place: Place, services: Services
) -> None:
    conversation, booked = await talking(services, place)
    link = f"/console/conversations/{conversation}"
    assert link not in await desk.page(f"/visits/{booked.visit.id}"), "what they tell the bot is nobody's to read"
    await put_at_desk(services, conversation)
    assert link not in await desk.page(f"/visits/{booked.visit.id}"), "it is with another desk"
    await put_at_desk(services, conversation, place.desk)
    assert link in await desk.page(f"/visits/{booked.visit.id}")


# --- what became of it ---


async def test_arrived_done_and_back_on_the_same_day(desk: Desk, place: Place, clock: Clock) -> None:
    booked = await place.book(TEN)
    visit = booked.visit.id
    clock.now = TEN - timedelta(minutes=10)
    assert (await desk.mark(visit, "confirmed", "arrived")).status_code == 303, "people come early"
    clock.now = TEN + timedelta(minutes=20)
    assert (await desk.mark(visit, "arrived", "done", "day")).headers["location"].endswith(f"#v-{visit}")
    assert (await place.row(visit)).status == "done"
    assert (await desk.mark(visit, "done", "confirmed")).status_code == 303
    assert (await desk.mark(visit, "confirmed", "no_show")).status_code == 303
    assert (await desk.mark(visit, "no_show", "confirmed")).status_code == 303
    expected = ["arrived", "done", "undone", "no_show", "undone"]
    assert await events(place, visit) == [f"appointment.{one}" for one in expected]
    clock.now = TEN + timedelta(days=1)
    await desk.mark(visit, "confirmed", "no_show")
    refused = await desk.mark(visit, "no_show", "confirmed")
    assert refused.status_code == 409
    assert "only on the day" in refused.text


@pytest.mark.parametrize(
    "at, seen, into, status",
    [
        (rome(2, 9, 59), "confirmed", "no_show", 409),
        (rome(1, 23, 59), "confirmed", "arrived", 409),
        (rome(2, 11), "confirmed", "done", 422),
        (rome(2, 11), "confirmed", "cancelled", 422),
        (rome(2, 11), "confirmed", "confirmed", 422),
        (rome(2, 11), "held", "arrived", 422),
        (rome(2, 11), "", "", 422),
    ],
)
async def test_what_cannot_be_said_of_a_visit_is_refused(
    desk: Desk, place: Place, clock: Clock, at: datetime, seen: str, into: str, status: int
) -> None:
    booked = await place.book(TEN)
    clock.now = at
    assert (await desk.mark(booked.visit.id, seen, into)).status_code == status
    assert (await place.row(booked.visit.id)).status == "confirmed"


async def test_two_colleagues_do_not_overwrite_each_other(desk: Desk, place: Place, clock: Clock) -> None:
    booked = await place.book(TEN)
    visit = booked.visit.id
    clock.now = TEN + timedelta(minutes=5)
    both = await asyncio.gather(desk.mark(visit, "confirmed", "arrived"), desk.mark(visit, "confirmed", "no_show"))
    assert sorted(one.status_code for one in both) == [303, 409]
    slower = next(one for one in both if one.status_code == 409)
    assert "colleague has changed it" in slower.text
    assert len(await events(place, visit)) == 1
    twice = await asyncio.gather(*(desk.mark(visit, "arrived", "done") for _ in range(4)))
    assert {one.status_code for one in twice} <= {303, 409}


async def test_going_back_when_the_time_is_taken_meanwhile_is_said(desk: Desk, place: Place, clock: Clock) -> None:
    first = await place.book(TEN)
    second = await place.book(TEN)
    clock.now = TEN + timedelta(minutes=5)
    for one in (first, second):
        await desk.mark(one.visit.id, "confirmed", "no_show")
        await desk.follow("/walk-in", kind=place.kind, speaks="it")
    refused = await desk.mark(first.visit.id, "no_show", "confirmed")
    assert refused.status_code == 409
    assert "taken this time" in refused.text
    assert (await place.row(first.visit.id)).status == "no_show"


async def test_what_is_left_of_somebody_who_served_is_said_not_broken(desk: Desk, place: Place, clock: Clock) -> None:
    booked = await place.book(TEN)
    clock.now = TEN + timedelta(minutes=5)
    await desk.mark(booked.visit.id, "confirmed", "no_show")
    await set_visit(place, booked, resource_id=None)
    assert (await desk.mark(booked.visit.id, "no_show", "confirmed")).status_code == 409
    assert "did not come" in await desk.page(day="2027-03-02")


# --- without an appointment ---


async def walked_in(place: Place) -> list[Appointment]:
    async with place.sessions.begin() as session:
        query = select(Appointment).where(Appointment.desk_id == place.desk, Appointment.walk_in)
        return list((await session.execute(query.order_by(Appointment.created_at))).scalars())


async def test_somebody_without_an_appointment_is_received_at_once(desk: Desk, place: Place, clock: Clock) -> None:
    clock.now = rome(2, 9, 7) + timedelta(seconds=31)
    page = await desk.follow("/walk-in", kind=place.kind, speaks="ar")
    assert "Noted: the person is here" in page
    assert "—" in page
    (row,) = await walked_in(place)
    assert (row.status, row.name, row.language) == ("arrived", None, "ar")
    assert (row.starts, row.ends) == (rome(2, 9, 7), rome(2, 9, 37))
    assert await events(place, row.id) == ["appointment.walked_in"]
    named = await desk.follow("/walk-in", kind=place.kind, speaks="it", name="Luca")
    assert "Luca" in named
    assert len({one.resource_id for one in await walked_in(place)}) == 2


async def test_it_ends_before_the_next_visit_or_does_not_begin(desk: Desk, place: Place, clock: Clock) -> None:
    for _ in range(2):
        await place.book(TEN)
    clock.now = rome(2, 9, 50)
    await desk.follow("/walk-in", kind=place.kind, speaks="it")
    assert (await walked_in(place))[0].ends == TEN
    clock.now = rome(2, 9, 56)
    refused = await desk.post("/walk-in", kind=place.kind, speaks="it", name="Luca")
    assert refused.status_code == 409
    page = words(refused)
    assert "Nobody is free" in page
    assert "The next time that can be booked: Tuesday, March 2, 2027, at 10:30." in page
    link = re.search(r'href="(/console/calendar/\d+/new[^"]+)"', refused.text.replace("&amp;", "&"))
    assert link
    form = words(await desk.here.get(link[1]))
    assert re.search(r'value="2027-03-02T09:30:00\+00:00" required checked', form)


async def test_those_who_are_there_by_their_hours_come_first(desk: Desk, place: Place, clock: Clock) -> None:
    async with place.sessions.begin() as session:
        afternoons = [[day, "14:00", "18:00"] for day in range(5)]
        await session.execute(update(Resource).where(Resource.id == place.staff[0]).values(availability=afternoons))
    clock.now = rome(2, 9)
    await desk.follow("/walk-in", kind=place.kind, speaks="it")
    assert [one.resource_id for one in await walked_in(place)] == [place.staff[1]]
    assert (await desk.post("/walk-in", kind=place.kind, speaks="it")).status_code == 409


async def test_many_at_the_door_at_once_are_never_served_twice_by_the_same(
    desk: Desk, place: Place, clock: Clock
) -> None:
    clock.now = TEN
    asked = [desk.post("/walk-in", kind=place.kind, speaks="it") for _ in range(8)]
    found = sorted(response.status_code for response in await asyncio.gather(*asked))
    assert found == [303, 303] + [409] * 6


async def test_the_constraint_behind_it_all_is_no_error_of_ours(
    desk: Desk, place: Place, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    booked = await place.book(TEN)
    clock.now = TEN
    busy = (booked.visit.resource_id, TEN + timedelta(hours=1))
    monkeypatch.setattr(desk_visits, "_who_serves", lambda *_: busy)
    refused = await desk.post("/walk-in", kind=place.kind, speaks="it")
    assert refused.status_code == 409
    assert "taken this time" in refused.text
    assert await walked_in(place) == []


async def test_a_hold_that_ran_out_is_in_nobodys_way(desk: Desk, place: Place, clock: Clock) -> None:
    for _ in range(2):
        await booking.hold(place.sessions, place.wish(TEN), TEN - timedelta(minutes=30))
    clock.now = TEN + timedelta(minutes=1)
    assert (await desk.post("/walk-in", kind=place.kind, speaks="it")).status_code == 303


@pytest.mark.parametrize(
    "form, status",
    [
        ({"kind": "x", "speaks": "it"}, 422),
        ({"kind": "", "speaks": ""}, 422),
        ({"speaks": "xx"}, 422),
        ({"speaks": "it", "name": "a" * 61}, 422),
        ({"kind": "999999999", "speaks": "it"}, 404),
    ],
)
async def test_a_walk_in_that_cannot_be_is_explained(
    desk: Desk, place: Place, form: dict[str, str], status: int
) -> None:
    assert (await desk.post("/walk-in", **({"kind": str(place.kind)} | form))).status_code == status
    assert await walked_in(place) == []


# --- blocked time ---


async def blocks(place: Place) -> list[tuple[int, datetime, datetime]]:
    async with place.sessions.begin() as session:
        query = select(ResourceBlock.resource_id, ResourceBlock.starts, ResourceBlock.ends)
        rows = await session.execute(query.where(ResourceBlock.resource_id.in_(place.staff)).order_by(ResourceBlock.id))
        return [(row[0], row[1], row[2]) for row in rows]


async def test_time_is_blocked_for_one_or_for_all_and_given_back(desk: Desk, place: Place) -> None:
    span = {"starts": "2027-03-02T09:00", "ends": "2027-03-02T10:00"}
    page = await desk.follow("/blocks", resource="", note="Riunione <b>", **span)
    assert "Riunione &lt;b&gt;" in page
    assert [(starts, ends) for _, starts, ends in await blocks(place)] == [(rome(2, 9), TEN)] * 2
    assert "09:30" not in await place.times(2)
    assert "Blocked time" in await desk.page(day="2027-03-02")
    assert "Blocked time" in await desk.page(view="week", day="2027-03-02")
    numbers = re.findall(r'name="block" value="(\d+)"', page)
    assert len(numbers) == 2
    for _ in range(2):
        assert "free again" in await desk.follow("/blocks/remove", block=numbers)
    assert await blocks(place) == []
    await desk.follow("/blocks", resource=str(place.staff[0]), **span)
    assert [number for number, *_ in await blocks(place)] == [place.staff[0]]
    async with place.sessions.begin() as session:
        query = select(AuditEvent.action).where(AuditEvent.subject == f"desk:{place.desk}").order_by(AuditEvent.id)
        actions = list((await session.execute(query)).scalars())
    assert actions == ["desk.time_blocked", "desk.time_unblocked", "desk.time_blocked"]


async def test_visits_in_the_way_are_listed_and_nothing_is_blocked(desk: Desk, place: Place) -> None:
    booked = await place.book(TEN)
    response = await desk.post("/blocks", starts="2027-03-02T10:15", ends="2027-03-02T17:00")
    assert response.status_code == 409
    assert str(booked.visit.code) in response.text
    assert 'value="2027-03-02T10:15"' in response.text
    assert await blocks(place) == []
    free = next(one for one in place.staff if one != booked.visit.resource_id)
    await desk.follow("/blocks", resource=str(free), starts="2027-03-02T10:15", ends="2027-03-02T17:00")


@pytest.mark.parametrize(
    "form, status",
    [
        ({}, 422),
        ({"starts": "2027-03-02T09:00"}, 422),
        ({"starts": "tomorrow", "ends": "2027-03-02T09:00"}, 422),
        ({"starts": "2027-03-02T09:00", "ends": "2027-03-02T09:00"}, 422),
        ({"starts": "2027-03-02T10:00", "ends": "2027-03-02T09:00"}, 422),
        ({"starts": "2027-02-01T10:00", "ends": "2027-02-02T09:00"}, 422),
        ({"starts": "2027-03-02T10:00", "ends": "2027-08-02T09:00"}, 422),
        ({"starts": "0001-01-01T00:00", "ends": "9999-12-31T23:59"}, 422),
        ({"starts": "2027-03-02T09:00", "ends": "2027-03-02T10:00", "resource": "0"}, 422),
        ({"starts": "2027-03-02T09:00", "ends": "2027-03-02T10:00", "resource": "x"}, 422),
        ({"starts": "2027-03-02T09:00", "ends": "2027-03-02T10:00", "note": "a" * 201}, 422),
    ],
)
async def test_blocked_time_that_cannot_be_is_explained(
    desk: Desk, place: Place, form: dict[str, str], status: int
) -> None:
    assert (await desk.post("/blocks", **form)).status_code == status
    assert await blocks(place) == []


async def test_a_block_over_the_change_of_the_clock_is_the_desks_own_time(desk: Desk, place: Place) -> None:
    await desk.follow("/blocks", resource=str(place.staff[0]), starts="2027-03-28T01:00", ends="2027-03-28T04:00")
    ((_, starts, ends),) = await blocks(place)
    assert ends - starts == timedelta(hours=2)


async def test_a_booking_and_a_block_at_the_same_moment_are_never_both(desk: Desk, place: Place) -> None:
    for hour in (9, 10, 11):
        span = {"starts": f"2027-03-02T{hour:02}:00", "ends": f"2027-03-02T{hour:02}:30"}
        tries = [place.book(rome(2, hour)) for _ in range(3)]
        made = await asyncio.gather(*tries, desk.post("/blocks", **span), return_exceptions=True)
        booked = [one for one in made[:3] if isinstance(one, Booked)]
        blocked = [one for one in await blocks(place) if one[1] == rome(2, hour)]
        assert not (booked and blocked)
        assert booked or blocked


async def test_a_block_of_another_desk_stays(desk: Desk, services: Services) -> None:
    other = await make_place(services.sessions)
    block = ResourceBlock(resource_id=other.staff[0], starts=TEN, ends=TEN + timedelta(hours=1))
    await other.add(block)
    await desk.post("/blocks/remove", block=str(block.id))
    assert len(await blocks(other)) == 1
    assert (await desk.post("/blocks/remove", block="1;drop")).status_code == 422
    span = {"starts": "2027-03-02T09:00", "ends": "2027-03-02T10:00"}
    assert (await desk.post("/blocks", resource=str(other.staff[0]), **span)).status_code == 422


# --- on paper ---


async def test_the_printed_day_has_names_only_when_asked(desk: Desk, place: Place) -> None:
    booked = await place.book(TEN, language="ar")
    page = await desk.page("/print", day="2027-03-02")
    for shown in ("10:00 – 10:30", booked.visit.code, "Talk", "Arabic"):
        assert str(shown) in page
    assert "Amina" not in page
    assert "Amina" in await desk.page("/print", day="2027-03-02", names="yes")


# --- by code ---


async def test_a_visit_is_found_by_its_code_as_it_is_said(desk: Desk, place: Place) -> None:
    booked = await place.book(TEN)
    said = str(booked.visit.code)
    for typed in (said, said.lower(), f" {said[:2]} {said[2:]} ", f"{said[:3]}-{said[3:]}"):
        response = await desk.post("/search", code=typed)
        assert response.headers["location"] == f"{desk.path}/visits/{booked.visit.id}"
        assert said not in response.headers["location"]


async def test_an_unknown_code_is_said_kindly_and_stays_typed(desk: Desk, services: Services) -> None:
    elsewhere = await (await make_place(services.sessions)).book(TEN)
    for typed in ("AAAAA", "", "' OR 1=1 --", "\x00", "كود", str(elsewhere.visit.code)):
        response = await desk.post("/search", code=typed)
        assert response.status_code == 422
        assert "No expected appointment has this code" in response.text
    assert f'value="{elsewhere.visit.code}"' in response.text


async def test_codes_are_found_at_all_desks_of_the_reader(
    place: Place, services: Services, open_browser: Browsers
) -> None:
    other = await make_desk(services, place.organisation)
    here = await open_browser("operator", organisation=place.organisation)
    booked = await place.book(TEN)
    response = await here.post(f"/console/calendar/{other}/search", code=str(booked.visit.code))
    assert response.headers["location"] == f"/console/calendar/{place.desk}/visits/{booked.visit.id}"


@pytest.mark.usefixtures("limited")
async def test_whoever_tries_codes_has_to_wait(desk: Desk) -> None:
    found = [(await desk.post("/search", code=f"AAA{number}")).status_code for number in range(41)]
    assert found == [422] * 40 + [429]


# --- for whom ---


async def test_nobody_sees_the_calendar_of_another_desk(
    place: Place, services: Services, open_browser: Browsers
) -> None:
    booked = await place.book(TEN)
    sister = await make_desk(services, place.organisation)
    visit = f"/visits/{booked.visit.id}"
    pages = ["", "/print", "/new", "/walk-in", "/blocks", "/feed", visit, f"{visit}/move"]
    steps = ["/search", "/new", "/walk-in", "/blocks", "/blocks/remove", f"{visit}/mark", f"{visit}/move"]
    steps += [f"{visit}/cancel", "/feed", "/feed/stop"]
    others = [
        await open_browser("operator", organisation=place.organisation, desk=sister),
        await open_browser("desk_manager", organisation=place.organisation, desk=sister),
        await open_browser("administrator", organisation=place.organisation),
        await open_browser("administrator"),
        await open_browser("editor", organisation=place.organisation),
    ]
    for other in others:
        desk = Desk(other, place.desk)
        for path in pages:
            assert (await other.get(f"{desk.path}{path}")).status_code == 404, path
        for path in steps:
            assert (await desk.post(path, kind=str(place.kind), speaks="it")).status_code == 404, path
    for other in others[:2]:  # a visit of another desk is not found through one's own, either
        own = Desk(other, sister)
        for path in (visit, f"{visit}/move"):
            assert (await other.get(f"{own.path}{path}")).status_code == 404
        for path in (f"{visit}/mark", f"{visit}/move", f"{visit}/cancel"):
            form = {"seen": "confirmed", "into": "arrived", "start": rome(3, 9).isoformat()}
            assert (await own.post(path, **form)).status_code == 404
        assert (await own.post("/search", code=str(booked.visit.code))).status_code == 422
    row = await place.row(booked.visit.id)
    assert (row.status, row.starts) == ("confirmed", TEN)
