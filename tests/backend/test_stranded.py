"""Visits that a change at a desk would strand: found, decided about, told; and nothing changes before."""

import asyncio
import functools
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, update

from backend import booking, booking_setup, desk_days, desk_hours, desk_week, stranded
from backend.access import Role, Staff
from backend.booking import AppointmentOver, HoldExpired
from backend.booking_forms import KindTyped, ResourceTyped
from backend.conversations import open_conversation
from backend.errors import Forbidden, NotFound
from backend.models import (
    Appointment,
    AppointmentKind,
    AuditEvent,
    Desk,
    Message,
    OpeningPeriod,
    Resource,
    WaitingPlace,
)
from backend.services import Services
from backend.stranded import Change, Decisions, Stranded, VisitsStranded
from tests.appointments import NOW, Place, make_place, rome

TUESDAY = 2
"""Of March, the day after NOW."""


@pytest.fixture
async def place(services: Services) -> Place:
    return await make_place(services.sessions, staff=2)


def staff(place: Place, role: str = "desk_manager") -> Staff:
    return Staff(uuid4(), uuid4(), "Anna", "a@elp.test", "en", False, (Role(role, place.organisation, place.desk),))


async def carry_out(
    place: Place, change: Change, decisions: Decisions | None = None, *, now: datetime = NOW, **more: Any
) -> None:
    chosen = decisions or Decisions({})
    told: dict[str, Any] = {"now": now, "find_entry": lambda _: None}
    await stranded.carry_out(place.sessions, staff(place), place.desk, change, chosen, **told, **more)


async def would_strand(place: Place, change: Change, *, now: datetime = NOW, **more: Any) -> list[Stranded]:
    """Nothing is changed by asking."""
    try:
        await carry_out(place, change, now=now, **more)
    except VisitsStranded as error:
        return list(error.visits)
    return []


async def reasons(place: Place, change: Change, *, now: datetime = NOW) -> dict[UUID, tuple[str, ...]]:
    return {one.visit.id: one.reasons for one in await would_strand(place, change, now=now)}


async def listed(place: Place, *, now: datetime = NOW) -> list[Stranded]:
    async with place.sessions.begin() as session:
        return list((await stranded.read_stranded(session, staff(place), place.desk, now)).visits)


async def period(place: Place, weekday: int) -> int:
    async with place.sessions.begin() as session:
        query = select(OpeningPeriod.id).where(OpeningPeriod.desk_id == place.desk, OpeningPeriod.weekday == weekday)
        return (await session.execute(query)).scalar_one()


async def without_tuesday(place: Place) -> Change:
    return functools.partial(desk_week.remove_period, desk_id=place.desk, period_id=await period(place, 1))


def pause(place: Place, begins: str, ends: str) -> Change:
    days: dict[str, Any] = {"weekdays": [str(day) for day in range(5)], "begins": begins, "ends": ends}
    return functools.partial(desk_week.add_break, desk_id=place.desk, **days)


def days_off(place: Place, first: str, **values: str) -> Change:
    form: dict[str, Any] = {"last": "", "opens": "", "closes": "", "note": ""} | values
    return functools.partial(desk_days.add_days, desk_id=place.desk, first=first, now=NOW, **form)


def settings(place: Place, **values: str) -> Change:
    form: dict[str, Any] = {"zone": "Europe/Rome", "country": "IT", "minutes": "15"} | values
    return functools.partial(desk_hours.save_settings, desk_id=place.desk, **form)


def resource(place: Place, resource_id: int, **values: Any) -> Change:
    usual: dict[str, Any] = {"kind": "staff", "name": "Anna", "languages": (), "own_hours": False, "hours": ()}
    typed = ResourceTyped(**(usual | {"active": True} | values))
    return functools.partial(booking_setup.save_resource, desk_id=place.desk, resource_id=resource_id, typed=typed)


def kind(place: Place, **values: Any) -> Change:
    numbers = {"minutes": "30", "buffer_before": "0", "buffer_after": "0", "lead_minutes": "0", "window_days": "60"}
    usual: dict[str, Any] = {"names": {"it": "Colloquio"}, "who_for": {}, "entry_id": "", "capacity": "1", **numbers}
    typed = KindTyped(**(usual | {"languages": (), "active": True} | values))
    return functools.partial(booking_setup.save_kind, desk_id=place.desk, kind_id=place.kind, typed=typed)


async def talk(place: Place, language: str = "it") -> UUID:
    return (await open_conversation(place.sessions, channel="web", language=language)).id


async def texts(place: Place, conversation: UUID) -> list[str]:
    """Those the service has written after its greeting."""
    async with place.sessions.begin() as session:
        query = select(Message.text).where(Message.conversation_id == conversation, Message.author == "system")
        return list((await session.execute(query.order_by(Message.id))).scalars())


async def events(place: Place, appointment: UUID) -> list[str]:
    async with place.sessions.begin() as session:
        query = select(AuditEvent.action).where(AuditEvent.subject == f"appointment:{appointment}")
        return list((await session.execute(query.order_by(AuditEvent.id))).scalars())


async def weekdays(place: Place) -> list[int]:
    async with place.sessions.begin() as session:
        query = select(OpeningPeriod.weekday).where(OpeningPeriod.desk_id == place.desk).order_by(OpeningPeriod.weekday)
        return list((await session.execute(query)).scalars())


# --- what lies outside ---


async def test_a_day_that_goes_strands_its_visits_and_no_others(place: Place) -> None:
    tuesday, later = (await place.book(rome(2, 10))).visit.id, (await place.book(rome(9, 10))).visit.id
    await place.book(rome(3, 10))
    assert await reasons(place, await without_tuesday(place)) == {tuesday: ("closed",), later: ("closed",)}
    assert await weekdays(place) == [0, 1, 2, 3, 4], "nothing is changed before somebody has decided"


async def test_without_visits_in_the_way_a_change_is_just_made(place: Place) -> None:
    await place.book(rome(3, 10))
    await carry_out(place, await without_tuesday(place))
    assert await weekdays(place) == [0, 2, 3, 4]


async def test_a_break_strands_what_touches_it_and_not_what_ends_or_begins_there(place: Place) -> None:
    inside, across = (await place.book(rome(2, 10, 15))).visit.id, (await place.book(rome(3, 9, 45))).visit.id
    await place.book(rome(2, 9, 30))
    await place.book(rome(2, 11))
    found = await reasons(place, pause(place, "10:00", "11:00"))
    assert found == {inside: ("hours",), across: ("hours",)}


async def test_earlier_closing_strands_a_visit_that_would_last_longer(place: Place) -> None:
    await place.book(rome(2, 11))
    late = (await place.book(rome(2, 11, 15))).visit.id
    form: dict[str, Any] = {"period_id": await period(place, 1), "opens": "09:00", "closes": "11:30"}
    change = functools.partial(desk_week.change_period, desk_id=place.desk, **form)
    assert await reasons(place, change) == {late: ("hours",)}


async def test_closures_exceptions_holidays_and_the_zone_strand_as_well(place: Place) -> None:
    await place.set_desk(holidays="")
    eve, feast = (await place.book(rome(26, 10))).visit.id, (await place.book(rome(29, 10))).visit.id  # Easter Monday
    assert await reasons(place, days_off(place, "2027-03-26")) == {eve: ("closed",)}
    assert await reasons(place, days_off(place, "2027-03-26", opens="10:15", closes="12:00")) == {eve: ("hours",)}
    assert await reasons(place, days_off(place, "2027-03-26", opens="10:00", closes="10:30")) == {}
    assert await reasons(place, settings(place, country="IT")) == {feast: ("closed",)}
    assert await reasons(place, settings(place, country="", zone="Asia/Kolkata")) == {
        eve: ("hours",),
        feast: ("hours",),
    }


async def test_removing_an_exception_strands_what_was_booked_in_it(place: Place) -> None:
    await carry_out(place, days_off(place, "2027-03-06", opens="14:00", closes="16:00"))
    saturday = (await place.book(rome(6, 15))).visit.id
    span: dict[str, Any] = {"first": "2027-03-06", "last": "2027-03-06"}
    gone = functools.partial(desk_days.remove_days, desk_id=place.desk, **span)
    assert await reasons(place, gone) == {saturday: ("closed",)}


@pytest.mark.parametrize(
    "month, day, changed",
    [(3, 28, "March: the clock skips from two to three"), (10, 31, "October: from three back to two")],
)
async def test_hours_on_the_days_when_clocks_change_are_those_of_the_clock(
    place: Place, month: int, day: int, changed: str
) -> None:
    await place.set_desk(holidays="")  # Easter
    await place.add(OpeningPeriod(desk_id=place.desk, weekday=6, opens=time(0), closes=time(9)))
    night = await place.add_kind(window_days=300)
    early = (await place.book(rome(day, 1, 30, month=month), kind=night)).visit.id
    after = (await place.book(rome(day, 3, 0, month=month), kind=night)).visit.id
    last = (await place.book(rome(day, 8, 30, month=month), kind=night)).visit.id
    number = await period(place, 6)

    def between(opens: str, closes: str) -> Change:
        form: dict[str, Any] = {"period_id": number, "opens": opens, "closes": closes}
        return functools.partial(desk_week.change_period, desk_id=place.desk, **form)

    assert await reasons(place, between("00:00", "09:00")) == {}, changed
    assert await reasons(place, between("03:00", "09:00")) == {early: ("hours",)}, changed
    assert await reasons(place, between("01:30", "08:59")) == {last: ("hours",)}, changed
    assert await reasons(place, between("03:15", "09:00")) == {early: ("hours",), after: ("hours",)}, changed


async def test_whoever_serves_and_is_not_there_any_more_strands_their_own_visits(place: Place) -> None:
    one, two = (await place.book(rome(2, 10))).visit, (await place.book(rome(2, 10))).visit
    assert one.resource_id is not None
    assert one.resource_id != two.resource_id
    assert await reasons(place, resource(place, one.resource_id, active=False)) == {one.id: ("resource",)}
    until_ten = resource(place, one.resource_id, own_hours=True, hours=[("1", "09:00", "10:15")])
    assert await reasons(place, until_ten) == {one.id: ("resource",)}
    long_enough = resource(
        place, one.resource_id, own_hours=True, hours=[("1", "09:00", "10:15"), ("1", "10:15", "11")]
    )
    assert await reasons(place, long_enough) == {}, "hours that touch are one"


async def test_an_interpreter_who_leaves_or_speaks_something_else_strands_theirs(place: Place) -> None:
    helper = await place.add_resource("interpreter", languages=["ar"])
    visit = (await place.book(rome(2, 10), language="ar", interpreter=True)).visit.id
    usual: dict[str, Any] = {"kind": "interpreter", "languages": ("ar",)}
    assert await reasons(place, resource(place, helper, **usual)) == {}
    for change in ({"active": False}, {"languages": ("fr",)}, {"own_hours": True, "hours": [("0", "9", "12")]}):
        assert await reasons(place, resource(place, helper, **(usual | change))) == {visit: ("interpreter",)}


async def test_a_kind_that_is_not_offered_any_more_asks_about_its_visits(place: Place) -> None:
    visit = (await place.book(rome(2, 10))).visit.id
    assert await reasons(place, kind(place, active=False)) == {visit: ("kind",)}
    assert await reasons(place, kind(place, lead_minutes="20000", window_days="20")) == {}, "what is booked, is booked"


async def test_a_workshop_that_is_stranded_is_asked_about_place_by_place(place: Place) -> None:
    workshop = await place.add_kind(capacity=3)
    booked = {(await place.book(rome(2, 10), kind=workshop)).visit.id for _ in range(3)}
    assert set(await reasons(place, await without_tuesday(place))) == booked


async def test_visits_that_are_over_going_on_or_cancelled_are_nobodys_concern(place: Place) -> None:
    await place.book(rome(2, 9))
    gone = await place.book(rome(2, 11))
    await booking.cancel(place.sessions, gone.visit.id, gone.token, NOW)
    assert await reasons(place, await without_tuesday(place), now=rome(2, 9, 10)) == {}


# --- decisions ---


async def test_kept_asked_and_cancelled_each_as_the_manager_decided(place: Place) -> None:
    people = [await talk(place), await talk(place, "en"), await talk(place, "fr")]
    times = (rome(2, 9), rome(2, 10), rome(2, 11))
    booked = [await place.book(at, conversation_id=who) for at, who in zip(times, people, strict=True)]
    kept, asked, cancelled = (one.visit for one in booked)
    each = {kept.id: "keep", asked.id: "ask", cancelled.id: "cancel"}
    await carry_out(place, await without_tuesday(place), Decisions(each))

    assert await weekdays(place) == [0, 2, 3, 4]
    rows = [await place.row(one.visit.id) for one in booked]
    assert [row.status for row in rows] == ["confirmed", "confirmed", "cancelled"]
    assert rows[2].sequence == cancelled.sequence + 1, "calendars take it out"
    told = [await texts(place, who) for who in people]
    assert [len(one) for one in told] == [0, 1, 1]
    assert told[1] != told[2]
    assert [await events(place, one.visit.id) for one in booked] == [
        ["appointment.kept"],
        ["appointment.asked"],
        ["appointment.cancelled"],
    ]
    left = await listed(place)
    assert [(one.visit.id, one.asked_at is not None) for one in left] == [(kept.id, False), (asked.id, True)]


async def test_whoever_was_asked_moves_with_their_old_code_and_is_on_the_list_no_more(place: Place) -> None:
    who = await talk(place)
    booked = await place.book(rome(2, 10), conversation_id=who)
    await carry_out(place, await without_tuesday(place), Decisions({booked.visit.id: "ask"}))
    assert len(await listed(place)) == 1
    moved = await booking.move(place.sessions, booked.visit.id, who, rome(3, 10), NOW)
    assert moved.code == booked.visit.code
    assert await listed(place) == []


async def test_one_visit_without_a_decision_and_nothing_happens(place: Place) -> None:
    who = await talk(place)
    one = await place.book(rome(2, 9), conversation_id=who)
    await place.book(rome(2, 10))
    with pytest.raises(VisitsStranded) as caught:
        await carry_out(place, await without_tuesday(place), Decisions({one.visit.id: "cancel"}))
    assert len(caught.value.visits) == 2
    assert await weekdays(place) == [0, 1, 2, 3, 4]
    assert (await place.row(one.visit.id)).status == "confirmed"
    assert await texts(place, who) == []


async def test_a_visit_that_came_meanwhile_brings_the_question_back(place: Place) -> None:
    one = (await place.book(rome(2, 9))).visit.id
    shown = Decisions({}, frozenset({one}), "keep")
    new = (await place.book(rome(2, 11))).visit.id
    with pytest.raises(VisitsStranded) as caught:
        await carry_out(place, await without_tuesday(place), shown)
    assert [visit.visit.id for visit in caught.value.visits] == [one, new]
    assert await weekdays(place) == [0, 1, 2, 3, 4]
    await carry_out(place, await without_tuesday(place), Decisions({new: "cancel"}, frozenset({one, new}), "keep"))
    assert [(await place.row(visit)).status for visit in (one, new)] == ["confirmed", "cancelled"]


async def test_what_was_kept_is_not_asked_again_unless_it_gets_worse(place: Place) -> None:
    visit = (await place.book(rome(2, 11))).visit.id
    await carry_out(place, pause(place, "11:00", "11:30"), Decisions({visit: "keep"}))
    assert await reasons(place, pause(place, "11:30", "12:00")) == {}
    assert await reasons(place, days_off(place, "2027-03-02")) == {visit: ("closed",)}


@pytest.mark.parametrize("chosen", ["ask", "", "delete", "KEEP", "keep\x00"])
async def test_a_decision_that_is_none_counts_for_nothing(place: Place, chosen: str) -> None:
    visit = (await place.book(rome(2, 10))).visit.id  # without a conversation nobody can be asked
    for decisions in (Decisions({visit: chosen}), Decisions({}, frozenset({visit}), chosen)):
        with pytest.raises(VisitsStranded) as caught:
            await carry_out(place, await without_tuesday(place), decisions)
        assert not caught.value.visits[0].reachable


async def test_a_visit_without_a_conversation_is_cancelled_and_nobody_is_told(place: Place) -> None:
    visit = (await place.book(rome(2, 10))).visit.id
    await carry_out(place, await without_tuesday(place), Decisions({visit: "cancel"}))
    assert (await place.row(visit)).status == "cancelled"


async def test_a_message_that_fails_leaves_everything_as_it_was(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    visit = (await place.book(rome(2, 10), conversation_id=await talk(place))).visit.id

    async def fail(*_: Any, **__: Any) -> bool:
        raise RuntimeError("killed")

    monkeypatch.setattr(stranded, "tell", fail)
    with pytest.raises(RuntimeError):
        await carry_out(place, await without_tuesday(place), Decisions({visit: "cancel"}))
    assert (await place.row(visit)).status == "confirmed"
    assert await weekdays(place) == [0, 1, 2, 3, 4]


async def test_two_managers_at_once_tell_a_person_once(place: Place) -> None:
    who = await talk(place)
    visit = (await place.book(rome(2, 10), conversation_id=who)).visit.id
    change = await without_tuesday(place)
    await asyncio.gather(*(carry_out(place, change, Decisions({visit: "cancel"})) for _ in range(4)))
    assert len(await texts(place, who)) == 1
    assert await events(place, visit) == ["appointment.cancelled"]


async def test_a_person_who_cancels_at_the_same_moment_is_told_nothing_twice(place: Place) -> None:
    for _ in range(5):
        who = await talk(place)
        booked = await place.book(rome(3, 10), conversation_id=who)
        change = days_off(place, "2027-03-03")
        own = booking.cancel(place.sessions, booked.visit.id, who, NOW)
        desk = carry_out(place, change, Decisions({booked.visit.id: "cancel"}))
        await asyncio.gather(own, desk)
        row = await place.row(booked.visit.id)
        assert (row.status, row.sequence) == ("cancelled", 1)
        gone = functools.partial(desk_days.remove_days, desk_id=place.desk, first="2027-03-03", last="2027-03-03")
        await carry_out(place, gone)


# --- holds and offers ---


async def test_a_time_somebody_just_looks_at_is_let_go_without_a_word(place: Place) -> None:
    who = await talk(place)
    held = await booking.hold(place.sessions, place.wish(rome(2, 10), conversation_id=who), NOW)
    await carry_out(place, await without_tuesday(place))
    with pytest.raises((HoldExpired, AppointmentOver)):
        await booking.confirm(place.sessions, held.visit.id, who, "Amina", NOW)
    assert await texts(place, who) == []
    assert await listed(place) == []


async def offer(place: Place) -> tuple[UUID, UUID]:
    """A held visit and whose it would be."""
    who = await talk(place)
    held = await booking.hold(place.sessions, place.wish(rome(2, 10), conversation_id=who), NOW)
    until = {"offer_id": held.visit.id, "offered_until": NOW + timedelta(minutes=9)}
    values = {"conversation_id": who, "kind_id": place.kind, "language": "it", "interpreter": False}
    async with place.sessions.begin() as session:
        await session.execute(insert(WaitingPlace).values(**values, **until))
    return held.visit.id, who


async def test_an_offer_is_withdrawn_or_left_and_its_place_goes_on_waiting(place: Place) -> None:
    visit, who = await offer(place)
    [asked] = await would_strand(place, await without_tuesday(place))
    assert (asked.visit.id, asked.choices) == (visit, ("keep", "cancel"))
    await carry_out(place, await without_tuesday(place), Decisions({visit: "cancel"}))
    assert (await place.row(visit)).status == "cancelled"
    assert len(await texts(place, who)) == 1
    async with place.sessions.begin() as session:
        left = (await session.execute(select(WaitingPlace).where(WaitingPlace.conversation_id == who))).scalar_one()
        assert left.offer_id is None


async def test_a_time_that_stays_open_is_offered_to_whoever_waits(place: Place) -> None:
    helper = await place.add_resource("interpreter", languages=["ar"])
    for one in place.staff[1:]:
        await carry_out(place, resource(place, one, active=False))
    visit = (await place.book(rome(2, 10), language="ar", interpreter=True)).visit.id
    waiting = await talk(place)
    values = {"conversation_id": waiting, "kind_id": place.kind, "language": "it", "interpreter": False}
    async with place.sessions.begin() as session:
        await session.execute(insert(WaitingPlace).values(**values))
    gone = resource(place, helper, kind="interpreter", languages=("ar",), active=False)
    await carry_out(place, gone, Decisions({visit: "cancel"}))
    assert len(await texts(place, waiting)) == 1


async def test_a_closed_time_is_offered_to_nobody(place: Place) -> None:
    visit = (await place.book(rome(2, 10))).visit.id
    waiting = await talk(place)
    values = {"conversation_id": waiting, "kind_id": place.kind, "language": "it", "interpreter": False}
    async with place.sessions.begin() as session:
        await session.execute(insert(WaitingPlace).values(**values))
    await carry_out(place, await without_tuesday(place), Decisions({visit: "cancel"}))
    assert await texts(place, waiting) == []


# --- later, from the list ---


async def test_what_was_kept_can_be_asked_about_or_cancelled_later(place: Place) -> None:
    who = await talk(place)
    visit = (await place.book(rome(2, 10), conversation_id=who)).visit.id
    other = (await place.book(rome(2, 11))).visit.id
    inside = (await place.book(rome(3, 10))).visit.id
    await carry_out(place, await without_tuesday(place), Decisions({visit: "keep", other: "keep"}))
    later: Callable[[Decisions], Any] = functools.partial(
        stranded.decide, place.sessions, staff(place), place.desk, now=NOW, find_entry=lambda _: None
    )
    await later(Decisions({visit: "ask", inside: "cancel"}))
    assert len(await texts(place, who)) == 1
    assert (await place.row(inside)).status == "confirmed", "it lies within the hours"
    await later(Decisions({other: "cancel"}))
    assert [one.visit.id for one in await listed(place)] == [visit]


async def test_only_who_manages_the_desk_decides(place: Place, services: Services) -> None:
    elsewhere = await make_place(services.sessions)
    change = await without_tuesday(place)
    told: dict[str, Any] = {"now": NOW, "find_entry": lambda _: None}
    for who, refused in ((staff(place, "operator"), Forbidden), (staff(elsewhere), NotFound)):
        with pytest.raises(refused):
            await stranded.carry_out(place.sessions, who, place.desk, change, Decisions({}), **told)
        with pytest.raises(refused):
            await stranded.decide(place.sessions, who, place.desk, Decisions({}), **told)
    async with place.sessions.begin() as session:
        assert not (await stranded.read_stranded(session, staff(place, "operator"), place.desk, NOW)).changeable
        with pytest.raises(NotFound):
            await stranded.read_stranded(session, staff(elsewhere), place.desk, NOW)


# --- the end of the examples ---


@pytest.fixture
async def example(place: Place) -> Place:
    async with place.sessions.begin() as session:
        await session.execute(update(Desk).where(Desk.id == place.desk).values(demo_hours=True))
        for model in (AppointmentKind, Resource):
            await session.execute(update(model).where(model.desk_id == place.desk).values(demo=True))
    return place


async def flags(place: Place) -> set[bool]:
    async with place.sessions.begin() as session:
        found = {(await session.get_one(Desk, place.desk)).demo_hours}
        for model in (AppointmentKind, Resource):
            found |= set((await session.execute(select(model.demo).where(model.desk_id == place.desk))).scalars())
        return found


async def test_the_end_of_the_examples_asks_about_visits_that_were_booked_with_them(example: Place) -> None:
    people = [await talk(example), await talk(example), await talk(example)]
    booked = [await example.book(rome(2, 9 + n), conversation_id=who) for n, who in enumerate(people)]
    assert all(one.visit.demo for one in booked)
    end = functools.partial(desk_hours.confirm_hours, desk_id=example.desk, now=NOW)
    found = await would_strand(example, end, ends_demo=True)
    assert [one.reasons for one in found] == [("demo",)] * 3
    assert await flags(example) == {True}

    ids = [one.visit.id for one in booked]
    each = dict(zip(ids, ("keep", "ask", "cancel"), strict=True))
    await carry_out(example, end, Decisions(each), ends_demo=True)
    assert await flags(example) == {False}
    rows = [await example.row(one) for one in ids]
    assert [(row.status, row.demo) for row in rows[:2]] == [("confirmed", False)] * 2, "now somebody expects them"
    assert rows[2].status == "cancelled"
    assert [len(await texts(example, who)) for who in people] == [0, 1, 1]
    assert await listed(example) == []


async def test_without_visits_the_examples_end_at_once_and_past_ones_stay_examples(example: Place) -> None:
    past = (await example.book(rome(2, 9))).visit.id
    later = datetime(2027, 3, 4, tzinfo=UTC)
    end = functools.partial(desk_hours.confirm_hours, desk_id=example.desk, now=later)
    await carry_out(example, end, now=later, ends_demo=True)
    assert await flags(example) == {False}
    assert (await example.row(past)).demo


async def test_an_appointment_never_had_a_place_outside(place: Place) -> None:
    """The test of the tests: bookings and this module agree about every quarter of an hour of a week."""
    await place.set_desk(most_visits=50)
    own = resource(place, place.staff[0], own_hours=True, hours=[("1", "10:00", "11:30"), ("3", "9", "10:15")])
    await carry_out(place, own)
    await carry_out(place, resource(place, place.staff[1], active=False))
    await carry_out(place, days_off(place, "2027-03-04", opens="09:30", closes="12:00"))
    for day in (2, 3, 4, 5):
        for start in await place.times(day):
            hour, minute = map(int, start.split(":"))
            booked = await place.book(rome(day, hour, minute))
            assert await listed(place) == [], (day, start)
            await booking.cancel(place.sessions, booked.visit.id, booked.token, NOW)
    async with place.sessions.begin() as session:
        used = select(Appointment.starts).where(Appointment.desk_id == place.desk)
        assert len((await session.execute(used)).all()) == 5 + 2
