"""What the desk itself books, moves and cancels: free of what binds a person, told in the same transaction, or not done
at all."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from backend import booking, visit_news
from backend.access import Role, Staff
from backend.booking import TooManyAppointments, Wish
from backend.conversations import open_conversation
from backend.diary import PastTime, TooSoon
from backend.models import Appointment, AppointmentKind
from backend.services import Services
from tests.appointments import NOW, Clock, Place, make_place, rome
from tests.backend.test_desk_calendar import Desk, messages, words
from tests.handovers import put_at_desk
from tests.staff import browsers

TEN = rome(2, 10)
"""On the Tuesday after NOW."""
LATE = TEN - timedelta(minutes=20)
"""Too late for somebody who books for themselves."""


@pytest.fixture
async def place(services: Services) -> Place:
    """Whoever books here says so two hours before."""
    made = await make_place(services.sessions, staff=2)
    async with made.sessions.begin() as session:
        await session.execute(update(AppointmentKind).where(AppointmentKind.id == made.kind).values(lead_minutes=120))
    return made


@pytest.fixture
async def desk(app: FastAPI, place: Place, clock: Clock) -> AsyncIterator[Desk]:
    async with browsers(app) as opened:
        yield Desk(await opened("operator", organisation=place.organisation, desk=place.desk), place.desk)


def staff(place: Place) -> Staff:
    return Staff(
        uuid4(), uuid4(), "Anna", "a@elp.test", "en", False, (Role("operator", place.organisation, place.desk),)
    )


async def talk(place: Place) -> UUID:
    return (await open_conversation(place.sessions, channel="web", language="it")).id


# --- lead time and limits ---


async def test_the_desk_books_at_short_notice_and_a_person_does_not(place: Place) -> None:
    with pytest.raises(TooSoon):
        await place.book(TEN, now=LATE)
    visit = (await place.book(TEN, now=LATE, by_desk=True)).visit
    assert (visit.status, visit.starts) == ("confirmed", TEN)
    for past in (LATE, LATE - timedelta(hours=1)):
        with pytest.raises(PastTime):
            await place.book(past, now=LATE, by_desk=True)


async def test_the_desk_books_more_for_somebody_than_they_may_themselves(place: Place) -> None:
    who = await talk(place)
    for day in (3, 4):
        await place.book(rome(day, 9), conversation_id=who)
    with pytest.raises(TooManyAppointments):
        await place.book(rome(5, 9), conversation_id=who)
    await place.set_desk(most_each_week=1)
    assert (await place.book(rome(5, 9), conversation_id=who, by_desk=True)).visit.conversation_id == who


async def test_the_desk_moves_at_short_notice_and_a_person_does_not(place: Place) -> None:
    booked = await place.book(rome(3, 10))
    with pytest.raises(TooSoon):
        await booking.move(place.sessions, booked.visit.id, booked.token, TEN, LATE)
    moved = await booking.move(place.sessions, booked.visit.id, staff(place), TEN, LATE)
    assert moved.starts == TEN


async def test_the_page_shows_times_at_short_notice(desk: Desk, place: Place, clock: Clock) -> None:
    clock.now = LATE
    page = await desk.page("/new", kind=str(place.kind), speaks="it", day="2027-03-02")
    assert TEN.astimezone(NOW.tzinfo).isoformat() in page
    form = {"kind": place.kind, "speaks": "it", "interpreter": "", "start": TEN.isoformat(), "name": "Fatou"}
    assert "Booked" in await desk.follow("/new", **form)


async def test_nothing_that_begins_at_this_moment_is_listed_or_booked(place: Place) -> None:
    kind = await place.add_kind()
    assert "10:00" in await place.times(2, kind=kind, now=TEN - timedelta(seconds=1))
    assert "10:00" not in await place.times(2, kind=kind, now=TEN)
    with pytest.raises(PastTime):
        await place.book(TEN, now=TEN, kind=kind)


# --- for somebody who writes to the desk ---


async def at_desk(services: Services, place: Place, language: str = "ar") -> UUID:
    """Who waits for an answer there."""
    who = (await open_conversation(services.sessions, channel="web", language=language)).id
    await put_at_desk(services, who, place.desk)
    return who


async def test_from_a_conversation_an_appointment_is_booked_for_its_person(
    desk: Desk, place: Place, services: Services
) -> None:
    who = await at_desk(services, place)
    page = (await desk.here.get(f"/console/conversations/{who}")).text.replace("&amp;", "&")
    link = re.search(rf'href="(/console/calendar/{place.desk}/new[^"]+)"', page)
    assert link
    form = words(await desk.here.get(f"{link[1]}&kind={place.kind}&day=2027-03-02"))
    assert f'name="conversation" value="{who}"' in form
    assert '<option value="ar" selected>' in form
    assert all(str(who) in one for one in re.findall(r'href="(/console/calendar/\d+/new\?[^"]+)"', form))
    sent = {"kind": place.kind, "speaks": "ar", "interpreter": "", "start": TEN.isoformat(), "name": "Amal"}
    assert "The person reads it" in await desk.follow("/new", **sent, conversation=who)
    async with place.sessions.begin() as session:
        row = (await session.execute(select(Appointment).where(Appointment.conversation_id == who))).scalar_one()
    assert (row.starts, row.name, row.status) == (TEN, "Amal", "confirmed")
    (told,) = await messages(place, who)
    assert told.language == "ar"
    assert told.payload["visit"]["id"] == str(row.id)
    assert f"visit:cancel:{row.id}" in [choice["id"] for choice in told.payload["choices"]]


async def test_a_conversation_that_is_not_with_this_desk_is_not_found(
    desk: Desk, place: Place, services: Services
) -> None:
    with_bot = (await open_conversation(services.sessions, channel="web", language="it")).id
    elsewhere = (await open_conversation(services.sessions, channel="web", language="it")).id
    await put_at_desk(services, elsewhere)
    sent = {"kind": place.kind, "speaks": "it", "interpreter": "", "start": TEN.isoformat(), "name": "Amal"}
    for who in (str(with_bot), str(elsewhere), str(uuid4()), "nonsense", "0" * 32):
        assert (await desk.post("/new", **sent, conversation=who)).status_code == 404
        assert (await desk.here.get(f"{desk.path}/new", conversation=who)).status_code == 404
    assert await place.live() == 0


# --- the person is told, or nothing has happened ---


class Broken(Exception):
    """A process that dies while it writes the message."""


@pytest.fixture
def cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    async def tell(*_: Any, **__: Any) -> bool:
        raise Broken

    monkeypatch.setattr(visit_news, "tell", tell)


@pytest.mark.usefixtures("cannot_tell")
@pytest.mark.parametrize("step", ["move", "cancel"])
async def test_without_its_message_a_change_is_not_made(desk: Desk, place: Place, step: str) -> None:
    who = await talk(place)
    booked = await place.book(TEN, conversation_id=who)
    response = await desk.post(f"/visits/{booked.visit.id}/{step}", start=rome(3, 11).isoformat())
    assert response.status_code == 503
    row = await place.row(booked.visit.id)
    assert (row.starts, row.status, row.sequence) == (TEN, "confirmed", 0)


@pytest.mark.usefixtures("cannot_tell")
async def test_without_its_message_nothing_is_booked_for_somebody(desk: Desk, place: Place, services: Services) -> None:
    who = await at_desk(services, place)
    sent = {"kind": place.kind, "speaks": "it", "interpreter": "", "start": TEN.isoformat(), "name": "Amal"}
    assert (await desk.post("/new", **sent, conversation=who)).status_code == 503
    assert await place.live() == 0


# --- walk-ins and workshops ---


async def workshop(place: Place, *, places: int = 3) -> int:
    return await place.add_kind(names={"en": "Workshop"}, capacity=places, minutes=60, lead_minutes=0)


async def seats(place: Place, kind: int) -> list[tuple[int | None, str]]:
    async with place.sessions.begin() as session:
        query = select(Appointment.seat, Appointment.status).where(Appointment.kind_id == kind)
        return [(row[0], row[1]) for row in await session.execute(query.order_by(Appointment.seat))]


@pytest.mark.parametrize("minutes", [-60, -5, 0, 59])
async def test_somebody_at_the_door_joins_a_workshop(desk: Desk, place: Place, clock: Clock, minutes: int) -> None:
    kind = await workshop(place)
    first = (await place.book(TEN, kind=kind)).visit
    clock.now = TEN + timedelta(minutes=minutes)
    assert "Workshop" in await desk.page("/walk-in")
    await desk.follow("/walk-in", kind=kind, speaks="ar", name="Luca")
    async with place.sessions.begin() as session:
        query = select(Appointment).where(Appointment.kind_id == kind, Appointment.walk_in)
        joined = (await session.execute(query)).scalar_one()
    assert (joined.starts, joined.ends, joined.resource_id) == (first.starts, first.ends, first.resource_id)
    assert await seats(place, kind) == [(0, "confirmed"), (1, "arrived")]


async def test_a_full_workshop_or_none_is_said_with_the_next_time(desk: Desk, place: Place, clock: Clock) -> None:
    kind = await workshop(place, places=2)
    for _ in range(2):
        await place.book(TEN, kind=kind)
    await booking.hold(place.sessions, Wish(place.desk, kind, rome(2, 9), "it"), NOW)
    clock.now = TEN + timedelta(minutes=5)
    refused = await desk.post("/walk-in", kind=kind, speaks="it")
    assert refused.status_code == 409
    assert "No workshop with free places" in words(refused)
    assert "The next time that can be booked" in words(refused)
    clock.now = rome(3, 9)
    assert (await desk.post("/walk-in", kind=kind, speaks="it")).status_code == 409
    assert len(await seats(place, kind)) == 3


async def test_a_place_that_somebody_only_looked_at_is_given_to_whoever_is_there(
    desk: Desk, place: Place, clock: Clock
) -> None:
    kind = await workshop(place, places=2)
    await place.book(TEN, kind=kind)
    await booking.hold(place.sessions, Wish(place.desk, kind, TEN, "it"), NOW)
    clock.now = TEN
    assert (await desk.post("/walk-in", kind=kind, speaks="it")).status_code == 303
