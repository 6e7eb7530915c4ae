"""Whoever was to serve somebody is not there: a colleague who is free takes over, at the same hour and unnoticed."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from backend import booking, stranded
from backend.desk_visits import VisitTimeTaken
from backend.models import Appointment, Resource, ResourceBlock
from backend.services import Services
from backend.stranded import Decisions, Stranded
from tests.appointments import NOW, Clock, Place, make_place, rome
from tests.backend.test_desk_calendar import Desk, words
from tests.backend.test_stranded import carry_out, events, listed, resource, staff, talk, texts, would_strand
from tests.staff import browsers

TEN = rome(2, 10)
"""On the Tuesday after NOW."""


@pytest.fixture
async def place(services: Services) -> Place:
    made = await make_place(services.sessions, staff=2)
    for number, name in zip(made.staff, ("Anna", "Marco"), strict=True):
        async with made.sessions.begin() as session:
            await session.execute(update(Resource).where(Resource.id == number).values(name=name))
    return made


async def serve(place: Place, visit: UUID, resource_id: int) -> None:
    """Not by lot."""
    async with place.sessions.begin() as session:
        own = update(Appointment).where(Appointment.id == visit)
        await session.execute(own.values(resource_id=resource_id))


async def booked_with(place: Place, number: int, start: Any = TEN, **wish: Any) -> UUID:
    """With the first or the second of those who serve."""
    visit = (await place.book(start, **wish)).visit
    await serve(place, visit.id, place.staff[number])
    return visit.id


def ill(place: Place, number: int = 0) -> stranded.Change:
    return resource(place, place.staff[number], active=False, name="Anna")


async def found(place: Place, change: stranded.Change) -> Stranded:
    (one,) = await would_strand(place, change)
    return one


async def test_a_colleague_who_is_free_takes_over_and_nobody_is_told(place: Place) -> None:
    who = await talk(place)
    visit = await booked_with(place, 0, conversation_id=who)
    one = await found(place, ill(place))
    assert one.choices == ("give", "keep", "ask", "cancel")
    assert one.instead is not None
    assert one.instead.name == "Marco"
    await carry_out(place, ill(place), Decisions({visit: "give"}))
    row = await place.row(visit)
    assert (row.resource_id, row.starts, row.status, row.sequence) == (place.staff[1], TEN, "confirmed", 0)
    assert await texts(place, who) == []
    assert await events(place, visit) == ["appointment.given"]
    assert await listed(place) == []


@pytest.mark.parametrize("why", ["visit", "block", "hours", "held", "touching"])
async def test_whoever_is_not_free_is_not_offered(place: Place, why: str) -> None:
    await booked_with(place, 0)
    if why == "visit":
        await booked_with(place, 1)
    if why == "held":
        await booking.hold(place.sessions, place.wish(TEN), NOW)
    if why == "block":
        await place.add(ResourceBlock(resource_id=place.staff[1], starts=rome(2, 10, 15), ends=rome(2, 12)))
    if why == "hours":
        await carry_out(place, resource(place, place.staff[1], own_hours=True, hours=[("1", "09:00", "10:15")]))
    if why == "touching":
        await place.add(ResourceBlock(resource_id=place.staff[1], starts=rome(2, 9), ends=TEN))
        await place.add(ResourceBlock(resource_id=place.staff[1], starts=rome(2, 10, 30), ends=rome(2, 11)))
    strands = await would_strand(place, ill(place))
    one = next(one for one in strands if one.visit.resource_id == place.staff[0])
    assert ("give" in one.choices) is (why == "touching")


async def test_two_visits_at_once_do_not_both_go_to_one_colleague(place: Place) -> None:
    third = await place.add_resource()
    visits = [await booked_with(place, 0), (await place.book(TEN)).visit.id]
    async with place.sessions.begin() as session:
        marco, other = place.staff[1], visits[1]
        await session.execute(update(Appointment).where(Appointment.id == other).values(resource_id=third))
    await carry_out(place, ill(place), Decisions({visits[0]: "give"}))
    assert (await place.row(visits[0])).resource_id == marco
    gone = resource(place, third, active=False, name="Third")
    (one,) = await would_strand(place, gone)
    assert "give" not in one.choices


async def test_a_decision_for_all_comes_back_where_nobody_is_free(place: Place) -> None:
    free, busy = await booked_with(place, 0), await booked_with(place, 0, rome(2, 11))
    await booked_with(place, 1, rome(2, 11))
    all_given = Decisions({}, frozenset({free, busy}), "give")
    with pytest.raises(stranded.VisitsStranded):
        await carry_out(place, ill(place), all_given)
    assert (await place.row(free)).resource_id == place.staff[0]
    await carry_out(place, ill(place), Decisions({busy: "keep"}, frozenset({free, busy}), "give"))
    assert (await place.row(free)).resource_id == place.staff[1]
    later = Decisions({busy: "give"})
    await stranded.decide(place.sessions, staff(place), place.desk, later, now=NOW, find_entry=lambda _: None)
    assert (await place.row(busy)).resource_id == place.staff[0], "still nobody"


async def test_what_was_kept_is_given_later_from_the_list(place: Place) -> None:
    visit = await booked_with(place, 0)
    await carry_out(place, ill(place), Decisions({visit: "keep"}))
    assert [one.choices[0] for one in await listed(place)] == ["give"]
    given = Decisions({visit: "give"})
    await stranded.decide(place.sessions, staff(place), place.desk, given, now=NOW, find_entry=lambda _: None)
    assert (await place.row(visit)).resource_id == place.staff[1]


async def test_another_interpreter_of_the_language_takes_over(place: Place) -> None:
    leila, amir, jean = [
        await place.add_resource("interpreter", languages=[language]) for language in ("ar", "ar", "fr")
    ]
    visit = (await place.book(TEN, language="ar", interpreter=True)).visit
    assert visit.interpreter_id in (leila, amir)
    other = amir if visit.interpreter_id == leila else leila
    gone = resource(place, visit.interpreter_id, kind="interpreter", languages=("ar",), active=False)
    await carry_out(place, gone, Decisions({visit.id: "give"}))
    row = await place.row(visit.id)
    assert (row.interpreter_id, row.resource_id) == (other, visit.resource_id)
    assert jean != other


async def test_a_workshop_goes_to_a_colleague_as_a_whole(place: Place) -> None:
    kind = await place.add_kind(capacity=3, minutes=60)
    visits = [(await place.book(TEN, kind=kind)).visit for _ in range(3)]
    (trainer,) = {one.resource_id for one in visits}
    assert trainer is not None
    other = next(one for one in place.staff if one != trainer)
    shown = frozenset(one.id for one in visits)
    await carry_out(place, resource(place, trainer, active=False, name="T"), Decisions({}, shown, "give"))
    rows = [await place.row(one.id) for one in visits]
    assert {row.resource_id for row in rows} == {other}
    assert sorted(row.seat for row in rows if row.seat is not None) == [0, 1, 2]


async def test_a_hold_that_ran_out_is_not_in_the_way_of_a_colleague(place: Place) -> None:
    visit = await booked_with(place, 0)
    held = await booking.hold(place.sessions, place.wish(TEN), NOW - timedelta(minutes=30))
    assert held.visit.resource_id == place.staff[1]
    await carry_out(place, ill(place), Decisions({visit: "give"}))
    assert (await place.row(visit)).resource_id == place.staff[1]


async def test_the_constraint_has_the_last_word(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    visit = await booked_with(place, 0)
    await booked_with(place, 1)
    monkeypatch.setattr("backend.colleagues._Server.free", lambda *_: True)
    with pytest.raises(VisitTimeTaken):
        await carry_out(place, ill(place), Decisions({visit: "give"}))
    assert (await place.row(visit)).resource_id == place.staff[0]


# --- in the way of blocked time ---


async def test_blocking_the_time_of_somebody_who_is_ill_takes_one_step(place: Place, app: Any, clock: Clock) -> None:
    free, busy = await booked_with(place, 0), await booked_with(place, 0, rome(2, 11))
    await booked_with(place, 1, rome(2, 11))
    async with browsers(app) as opened:
        desk = Desk(await opened("operator", organisation=place.organisation, desk=place.desk), place.desk)
        form = {"resource": str(place.staff[0]), "starts": "2027-03-02T09:00", "ends": "2027-03-02T12:00"}
        asked = words(await desk.post("/blocks", **form))
        assert asked.count("Free at the same time: Marco") == 1
        left = await desk.post("/blocks", **form, give="yes")
        assert left.status_code == 409, "nobody is free at eleven"
        assert (await place.row(free)).resource_id == place.staff[1]
        assert (await place.row(busy)).resource_id == place.staff[0]
        assert "Free at the same time" not in words(left)
        await desk.post(f"/visits/{busy}/cancel")
        assert "blocked" in (await desk.follow("/blocks", **form)).lower()
    assert await events(place, free) == ["appointment.given"]
    assert (await place.row(free)).status == "confirmed"
