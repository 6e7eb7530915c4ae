"""Appointments on real PostgreSQL: what can be booked, what cannot and why, and many at once."""

import asyncio
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError

from backend import booking
from backend.access import Role, Staff
from backend.booking import (
    AppointmentOver,
    HoldExpired,
    SlotTaken,
    TooManyAppointments,
    TooManyThisWeek,
    WrongName,
)
from backend.conversations import open_conversation
from backend.diary import (
    DeskClosed,
    HoursUnknown,
    NoInterpreter,
    NotInLanguage,
    OffGrid,
    OnHoliday,
    PastTime,
    TooFar,
    TooSoon,
    WrongLength,
)
from backend.errors import AppError, NotFound, Unauthorized
from backend.models import Appointment, AppointmentKind, DeskDay, ResourceBlock
from backend.services import Services
from backend.visits import find_by_code, find_by_token
from tests.appointments import NOW, Place, make_place, rome

TEN = rome(2, 10)
"""On the Tuesday after NOW."""


@pytest.fixture
async def place(services: Services) -> Place:
    return await make_place(services.sessions)


# --- free times ---


async def test_a_day_has_times_every_quarter_of_an_hour_from_opening(place: Place) -> None:
    found = await place.times(2)
    assert found[:3] == ["09:00", "09:15", "09:30"]
    assert found[-1] == "11:30"
    assert await place.times(6) == [], "Saturday"


@pytest.mark.parametrize("month, day, offset", [(3, 26, 1), (3, 30, 2), (10, 29, 2), (11, 2, 1)])
async def test_nine_o_clock_stays_nine_o_clock_when_the_clock_changes(
    place: Place, month: int, day: int, offset: int
) -> None:
    """In 2027 on 28 March and 31 October, both Sundays."""
    now = datetime(2027, min(month, 10), 20, tzinfo=UTC)
    assert (await place.times(day, month=month, now=now))[0] == "09:00"
    visit = (await place.book(rome(day, 9, month=month), now=now)).visit
    assert visit.starts.astimezone(UTC).hour == 9 - offset


async def test_what_is_booked_is_gone_and_comes_back_when_cancelled(place: Place) -> None:
    booked = await place.book(TEN)
    around = {"09:45", "10:00", "10:15"}
    assert not around & set(await place.times(2))
    assert {"09:30", "10:30"} <= set(await place.times(2))
    await booking.cancel(place.sessions, booked.visit.id, booked.token, NOW)
    assert around <= set(await place.times(2))


async def test_minutes_before_and_after_are_kept_free(place: Place) -> None:
    kind = await place.add_kind(buffer_before=15, buffer_after=30)
    await place.book(TEN, kind=kind)
    found = await place.times(2)
    assert "09:15" in found
    assert "09:30" not in found
    assert "11:00" in found
    assert "10:45" not in found


async def test_blocked_time_is_not_offered(place: Place) -> None:
    await place.add(ResourceBlock(resource_id=place.staff[0], starts=rome(2, 9, 30), ends=rome(2, 11)))
    assert await place.times(2) == ["09:00", "11:00", "11:15", "11:30"]
    with pytest.raises(SlotTaken):
        await place.book(TEN)


async def test_somebody_with_days_of_their_own_serves_only_then(place: Place) -> None:
    other = await make_place(place.sessions, staff=0)
    await other.add_resource(availability=[[1, "10:10", "14:00"]])
    assert await other.times(2) == ["10:15", "10:30", "10:45", "11:00", "11:15", "11:30"]
    assert await other.times(3) == []


async def test_a_second_colleague_gives_a_second_place(services: Services) -> None:
    place = await make_place(services.sessions, staff=2)
    first, second = await place.book(TEN), await place.book(TEN)
    assert {first.visit.resource_id, second.visit.resource_id} == set(place.staff)
    with pytest.raises(SlotTaken):
        await place.book(TEN)


# --- what cannot be booked, and why ---


async def test_hours_nobody_has_set_give_no_times_and_say_why(services: Services) -> None:
    place = await make_place(services.sessions, hours=False)
    with pytest.raises(HoursUnknown):
        await place.times(2)
    with pytest.raises(HoursUnknown):
        await place.book(TEN)


@pytest.mark.parametrize(
    "start, error",
    [
        (rome(1, 9), PastTime),
        (rome(1, 9, 30), TooSoon),
        (rome(2, 10, month=7), TooFar),
        (rome(2, 13), DeskClosed),
        (rome(2, 11, 45), DeskClosed),
        (rome(6, 10), DeskClosed),
        (rome(29, 10), OnHoliday),
        (rome(2, 10, 5), OffGrid),
    ],
)
async def test_every_wrong_time_is_named(place: Place, start: datetime, error: type[AppError]) -> None:
    """NOW is nine o'clock in Rome; 29 March 2027 is Easter Monday."""
    kind = await place.add_kind(lead_minutes=60, window_days=60)
    with pytest.raises(error):
        await place.book(start, kind=kind)
    with pytest.raises(error):
        await booking.hold(place.sessions, place.wish(start, kind=kind), NOW)
    assert await place.live() == 0
    booked = await place.book(TEN, kind=kind)
    with pytest.raises(error):
        await booking.move(place.sessions, booked.visit.id, booked.token, start, NOW)
    assert (await place.row(booked.visit.id)).starts == TEN


async def test_a_closed_day_is_closed_and_an_opened_holiday_is_open(place: Place) -> None:
    await place.add(DeskDay(desk_id=place.desk, day=date(2027, 3, 2)))
    await place.add(DeskDay(desk_id=place.desk, day=date(2027, 3, 29), opens=time(10), closes=time(11)))
    with pytest.raises(DeskClosed):
        await place.book(TEN)
    assert (await place.book(rome(29, 10))).visit.status == "confirmed"


async def test_the_last_day_of_the_window_can_be_booked_and_the_next_cannot(place: Place) -> None:
    kind = await place.add_kind(window_days=3)
    await place.book(rome(4, 11), kind=kind)
    with pytest.raises(TooFar):
        await place.book(rome(5, 9), kind=kind)
    assert await place.times(5, kind=kind) == []


async def test_a_visit_of_the_wrong_length_is_refused(place: Place) -> None:
    with pytest.raises(WrongLength):
        await place.book(TEN, end=rome(2, 11))
    booked = await place.book(TEN, end=rome(2, 10, 30))
    assert booked.visit.ends == rome(2, 10, 30)
    with pytest.raises(WrongLength):
        await booking.move(place.sessions, booked.visit.id, booked.token, rome(2, 9), NOW, end=rome(2, 10))


@pytest.mark.parametrize("name", ["", "  ", "\x00", "a" * 61])
async def test_a_name_is_asked_for_and_short(place: Place, name: str) -> None:
    with pytest.raises(WrongName):
        await booking.book(place.sessions, place.wish(TEN), name, NOW)


async def test_what_does_not_exist_is_not_found(place: Place) -> None:
    other = await make_place(place.sessions)
    for wish in (place.wish(TEN, kind=other.kind), place.wish(TEN, kind=2**31 - 1)):
        with pytest.raises(NotFound):
            await booking.book(place.sessions, wish, "Amina", NOW)


async def test_a_kind_that_is_not_offered_any_more_is_not_found(place: Place) -> None:
    async with place.sessions.begin() as session:
        await session.execute(update(AppointmentKind).where(AppointmentKind.id == place.kind).values(active=False))
    with pytest.raises(NotFound):
        await place.book(TEN)


# --- languages, interpreters, workshops ---


async def test_an_interpreter_is_booked_with_the_visit_and_never_twice(services: Services) -> None:
    place = await make_place(services.sessions, staff=2)
    arabic = await place.add_resource("interpreter", languages=["ar"])
    visit = (await place.book(TEN, language="ar", interpreter=True)).visit
    assert visit.interpreter_id == arabic
    assert "10:00" not in await place.times(2, language="ar", interpreter=True)
    assert "10:00" in await place.times(2, language="ar")
    with pytest.raises(SlotTaken):
        await place.book(TEN, language="ar", interpreter=True)
    with pytest.raises(NoInterpreter):
        await place.book(rome(2, 11), language="bn", interpreter=True)


async def test_the_database_keeps_an_interpreter_from_two_visits(services: Services) -> None:
    place = await make_place(services.sessions, staff=2)
    await place.add_resource("interpreter", languages=["ar"])
    visit = (await place.book(TEN, language="ar", interpreter=True)).visit
    second = (await place.book(TEN)).visit
    other = update(Appointment).where(Appointment.id == second.id).values(interpreter_id=visit.interpreter_id)
    async with place.sessions() as session:
        with pytest.raises(IntegrityError, match="ex_appointments_interpreter"):
            await session.execute(other)


async def test_a_kind_held_in_some_languages_needs_an_interpreter_for_others(place: Place) -> None:
    kind = await place.add_kind(languages=["it", "en"])
    with pytest.raises(NotInLanguage):
        await place.book(TEN, kind=kind, language="ar")
    await place.add_resource("interpreter", languages=["ar"])
    assert (await place.book(TEN, kind=kind, language="ar", interpreter=True)).visit.status == "confirmed"


async def test_a_workshop_has_as_many_places_as_it_says(place: Place) -> None:
    kind = await place.add_kind(capacity=3, minutes=60)
    for _ in range(3):
        await place.book(TEN, kind=kind)
    with pytest.raises(SlotTaken):
        await place.book(TEN, kind=kind)
    with pytest.raises(SlotTaken):
        await place.book(rome(2, 10, 30))


async def test_a_workshop_is_filled_before_another_begins_beside_it(place: Place) -> None:
    kind = await place.add_kind(capacity=3, minutes=60)
    await place.add_resource()
    visits = [(await place.book(rome(2, 9), kind=kind)).visit for _ in range(4)]
    assert len({one.resource_id for one in visits[:3]}) == 1
    assert visits[3].resource_id != visits[0].resource_id


async def test_beside_a_workshop_nothing_else_is_booked(place: Place) -> None:
    kind = await place.add_kind(capacity=3, minutes=60)
    await place.book(TEN, kind=kind)
    assert "10:00" in await place.times(2, kind=kind)
    assert "10:15" not in await place.times(2, kind=kind)
    with pytest.raises(SlotTaken):
        await place.book(TEN)


# --- held, confirmed, moved, cancelled ---


async def test_a_held_time_is_kept_for_ten_minutes(place: Place) -> None:
    held = await booking.hold(place.sessions, place.wish(TEN), NOW)
    assert held.visit.status == "held"
    with pytest.raises(SlotTaken):
        await place.book(TEN, now=NOW + timedelta(minutes=9))
    soon = NOW + timedelta(minutes=5)
    visit = await booking.confirm(place.sessions, held.visit.id, held.token, " Amina\n", soon)
    assert (visit.status, visit.name, visit.hold_expires) == ("confirmed", "Amina", None)
    again = await booking.confirm(place.sessions, held.visit.id, held.token, "Other", NOW + timedelta(hours=1))
    assert again.name == "Amina"


async def test_what_nobody_confirmed_is_free_again_though_nobody_cleared_it_away(place: Place) -> None:
    """As after a crash between the two."""
    held = await booking.hold(place.sessions, place.wish(TEN), NOW)
    later = NOW + timedelta(minutes=10)
    assert "10:00" in await place.times(2, now=later)
    assert (await place.book(TEN, now=later)).visit.status == "confirmed"
    with pytest.raises(HoldExpired):
        await booking.confirm(place.sessions, held.visit.id, held.token, "Amina", later)


async def test_expired_holds_are_cleared_away(place: Place) -> None:
    await booking.hold(place.sessions, place.wish(TEN), NOW)
    async with place.sessions.begin() as session:
        assert await booking.expire_holds(session, NOW + timedelta(minutes=9)) == 0
        assert await booking.expire_holds(session, NOW + timedelta(minutes=10)) == 1
    assert await place.live() == 0


async def test_a_taken_time_comes_with_the_three_nearest(place: Place) -> None:
    await place.book(TEN)
    with pytest.raises(SlotTaken) as taken:
        await place.book(TEN)
    found = [one.start for one in taken.value.alternatives]
    assert found == [rome(2, 9, 15), rome(2, 9, 30), rome(2, 10, 30)]


async def test_alternatives_may_be_weeks_away(place: Place) -> None:
    await place.add(ResourceBlock(resource_id=place.staff[0], starts=rome(1, 0), ends=rome(22, 10)))
    with pytest.raises(SlotTaken) as taken:
        await place.book(TEN)
    assert [one.start for one in taken.value.alternatives] == [rome(22, 10), rome(22, 10, 15), rome(22, 10, 30)]


async def test_moving_frees_one_time_and_takes_another(place: Place) -> None:
    booked = await place.book(TEN)
    visit = await booking.move(place.sessions, booked.visit.id, booked.token, rome(2, 10, 15), NOW)
    assert (visit.starts, visit.ends) == (rome(2, 10, 15), rome(2, 10, 45))
    assert (visit.code, visit.uid, visit.sequence) == (booked.visit.code, booked.visit.uid, 1)
    assert "09:45" in await place.times(2)
    assert "10:30" not in await place.times(2)
    same = await booking.move(place.sessions, booked.visit.id, booked.token, rome(2, 10, 15), NOW)
    assert same.sequence == 1, "nothing changed"


async def test_moving_to_a_taken_time_changes_nothing(place: Place) -> None:
    booked = await place.book(TEN)
    await place.book(rome(2, 11))
    with pytest.raises(SlotTaken):
        await booking.move(place.sessions, booked.visit.id, booked.token, rome(2, 11), NOW)
    with pytest.raises(DeskClosed):
        await booking.move(place.sessions, booked.visit.id, booked.token, rome(2, 15), NOW)
    row = await place.row(booked.visit.id)
    assert (row.starts, row.sequence) == (TEN, 0)


async def test_what_is_over_cannot_be_moved_and_cancelling_twice_is_once(place: Place) -> None:
    booked = await place.book(TEN)
    own = (place.sessions, booked.visit.id, booked.token)
    late = rome(2, 10, 1)
    with pytest.raises(AppointmentOver):
        await booking.cancel(*own, late)
    with pytest.raises(AppointmentOver):
        await booking.move(*own, rome(3, 10), late)
    for _ in range(2):
        assert (await booking.cancel(*own, NOW)).sequence == 1
    with pytest.raises(AppointmentOver):
        await booking.move(*own, rome(3, 10), NOW)
    with pytest.raises(AppointmentOver):
        await booking.confirm(*own, "Amina", NOW)


async def test_what_is_cancelled_can_still_be_read(place: Place) -> None:
    booked = await place.book(TEN)
    await booking.cancel(place.sessions, booked.visit.id, booked.token, NOW)
    async with place.sessions.begin() as session:
        found = await find_by_token(session, booked.visit.id, booked.token)
    assert found is not None
    assert (found.status, found.starts, found.name, found.sequence) == ("cancelled", TEN, "Amina", 1)


async def test_only_its_own_token_opens_an_appointment(place: Place) -> None:
    booked, other = await place.book(TEN), await place.book(rome(2, 11))
    for token in (other.token, "x", booked.visit.code or ""):
        with pytest.raises(NotFound):
            await booking.cancel(place.sessions, booked.visit.id, token, NOW)
        with pytest.raises(NotFound):
            await booking.move(place.sessions, booked.visit.id, token, rome(3, 10), NOW)
    async with place.sessions.begin() as session:
        assert await find_by_token(session, booked.visit.id, other.token) is None
        assert await find_by_token(session, booked.visit.id, booked.token) == booked.visit
        with pytest.raises(Unauthorized):
            await find_by_token(session, booked.visit.id, "")


async def test_the_name_is_stored_sealed_and_the_token_hashed(place: Place) -> None:
    booked = await place.book(TEN)
    async with place.sessions.begin() as session:
        raw = text("SELECT name, token_hash FROM appointments WHERE id = :id")
        name, hashed = (await session.execute(raw, {"id": booked.visit.id})).one()
        assert b"Amina" not in bytes(name)
        assert booked.token.encode() not in bytes(hashed)
        plain = text("UPDATE appointments SET name = 'Amina' WHERE id = :id")
        with pytest.raises(IntegrityError, match="ck_appointments_name_sealed"):
            await session.execute(plain, {"id": booked.visit.id})


# --- codes ---


def staff_of(place: Place, desk: int | None) -> Staff:
    roles = (Role("operator", place.organisation, desk),)
    return Staff(uuid4(), uuid4(), "Somebody", "a@elp.test", "it", False, roles)


async def test_a_code_is_for_those_who_answer_at_its_desk(place: Place) -> None:
    booked = await place.book(TEN)
    code = booked.visit.code or ""
    sister = await make_place(place.sessions)
    async with place.sessions.begin() as session:
        found = await find_by_code(session, staff_of(place, place.desk), place.desk, f" {code[:2]}-{code[2:].lower()}")
        assert found == booked.visit
        assert await find_by_code(session, staff_of(place, place.desk), place.desk, "22222") is None
        assert await find_by_code(session, staff_of(sister, None), sister.desk, code) is None
        with pytest.raises(NotFound):
            await find_by_code(session, staff_of(sister, None), place.desk, code)


async def test_a_code_that_somebody_has_is_drawn_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    first = (await place.book(TEN)).visit
    codes = iter([first.code, "ZZZZ9"])
    monkeypatch.setattr(booking, "new_code", lambda: next(codes))
    assert (await place.book(rome(2, 11))).visit.code == "ZZZZ9"


# --- one person ---


async def test_one_conversation_has_at_most_two_visits_to_come(place: Place) -> None:
    opened = await open_conversation(place.sessions, channel="api", language="it")
    mine: dict[str, Any] = {"conversation_id": opened.id}
    tries = (place.book(rome(2, 9, 30 * half), **mine) for half in range(2))
    first, _ = await asyncio.gather(*tries)
    with pytest.raises(TooManyAppointments):
        await place.book(rome(2, 11), **mine)
    await booking.cancel(place.sessions, first.visit.id, first.token, NOW)
    await place.book(rome(2, 11), **mine)
    with pytest.raises(NotFound):
        await place.book(rome(3, 11), conversation_id=UUID(int=1))


async def test_moving_keeps_to_the_limit_of_a_week(place: Place) -> None:
    opened = await open_conversation(place.sessions, channel="api", language="it")
    await place.set_desk(most_each_week=1)
    first, _ = [await place.book(rome(day, 9), conversation_id=opened.id) for day in (2, 9)]
    own = (place.sessions, first.visit.id, first.token)
    with pytest.raises(TooManyThisWeek):
        await booking.move(*own, rome(12, 9), NOW)
    assert (await booking.move(*own, rome(5, 9), NOW)).starts == rome(5, 9), "in its own week"
    desk = await booking.move(place.sessions, first.visit.id, staff_of(place, place.desk), rome(12, 9), NOW)
    assert desk.starts == rome(12, 9), "the desk decides for itself"


async def test_two_tabs_do_not_move_two_visits_into_one_week(place: Place) -> None:
    opened = await open_conversation(place.sessions, channel="api", language="it")
    await place.set_desk(most_each_week=1)
    both = [await place.book(rome(day, 9), conversation_id=opened.id) for day in (2, 16)]
    tries = (
        booking.move(place.sessions, one.visit.id, one.token, rome(9 + number, 9), NOW)
        for number, one in enumerate(both)
    )
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(one) for one in answers if isinstance(one, Exception)] == [TooManyThisWeek]


async def test_what_was_said_of_a_visit_is_not_true_of_its_new_time(place: Place) -> None:
    booked = await place.book(TEN)
    async with place.sessions.begin() as session:
        own = update(Appointment).where(Appointment.id == booked.visit.id)
        await session.execute(own.values(comes=True, late_minutes=10, reminded_day_at=NOW, reminded_hours_at=NOW))
    visit = await booking.move(place.sessions, booked.visit.id, booked.token, rome(9, 10), NOW)
    row = await place.row(visit.id)
    said = (row.comes, row.late_minutes, row.reminded_day_at, row.reminded_hours_at)
    assert said == (None, None, None, None)


async def test_two_tabs_do_not_pass_the_limit_together(place: Place) -> None:
    opened = await open_conversation(place.sessions, channel="api", language="it")
    tries = (place.book(rome(day, 9), conversation_id=opened.id) for day in (2, 3, 4, 5))
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(answer, TooManyAppointments) for answer in answers) == 2
    assert await place.live() == 2


async def test_an_example_stays_an_example(place: Place) -> None:
    await place.set_desk(demo_hours=True)
    booked = await place.book(TEN)
    await place.set_desk(demo_hours=False)
    assert (await place.row(booked.visit.id)).demo
    assert not (await place.book(rome(2, 11))).visit.demo
