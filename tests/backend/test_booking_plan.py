"""Bookings beside what changes a desk, beside the waiting list, and beside holds that ran out."""

import asyncio
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text, update

from backend import booking, erasure, offers, recheck
from backend.booking import Booked, SlotTaken
from backend.diary import DeskClosed
from backend.models import Appointment
from backend.services import Services
from backend.stranded import VisitsStranded
from backend.taking import lock_resources
from tests.appointments import NOW, Place, make_place, rome
from tests.backend.test_stranded import carry_out, kind, resource, without_tuesday
from tests.waiting import TEN, WaitingDesk, waiting_desk


@pytest.fixture
async def place(services: Services) -> Place:
    return await make_place(services.sessions)


@pytest.fixture
async def desk(services: Services) -> WaitingDesk:
    return await waiting_desk(services)


# --- a booking and a change of the desk at the same moment ---


def stop_before_locking(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Whoever books first has read the hours, and waits to go on."""
    read, go_on, lock = asyncio.Event(), asyncio.Event(), recheck.lock_and_recheck

    async def lock_and_recheck(*arguments: Any, **named: Any) -> Any:
        if not read.is_set():
            read.set()
            await go_on.wait()
        return await lock(*arguments, **named)

    monkeypatch.setattr(booking, "lock_and_recheck", lock_and_recheck)
    return read, go_on


@pytest.mark.parametrize("what", ["hours", "resource", "kind"])
async def test_a_booking_that_read_what_was_true_before_sees_the_change(
    place: Place, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    changes = {
        "hours": await without_tuesday(place),
        "resource": resource(place, place.staff[0], active=False),
        "kind": kind(place, minutes="90"),
    }
    read, go_on = stop_before_locking(monkeypatch)
    late = rome(2, 11, 30)
    async with asyncio.timeout(30):
        wanted = asyncio.create_task(place.book(late))
        await read.wait()
        await carry_out(place, changes[what])
        go_on.set()
        with pytest.raises((DeskClosed, SlotTaken)):
            await wanted
    assert await place.live() == 0


async def test_a_move_that_read_the_old_hours_sees_the_change(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    booked = await place.book(rome(3, 10))
    read, go_on = stop_before_locking(monkeypatch)
    async with asyncio.timeout(30):
        moving = asyncio.create_task(booking.move(place.sessions, booked.visit.id, booked.token, TEN, NOW))
        await read.wait()
        await carry_out(place, await without_tuesday(place))
        go_on.set()
        with pytest.raises(DeskClosed):
            await moving
    assert (await place.row(booked.visit.id)).starts == rome(3, 10)


async def wait_for_a_lock(place: Place) -> None:
    query = text(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    while True:
        async with place.sessions.begin() as session:
            if (await session.execute(query)).scalar_one():
                return


async def test_a_change_waits_for_a_booking_that_is_being_written_and_asks_about_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, looked = recheck.taken_seats, asyncio.Event()

    async def taken_seats(*arguments: Any) -> set[int] | None:
        seats = await look(*arguments)
        looked.set()
        await wait_for_a_lock(place)
        return seats

    monkeypatch.setattr(recheck, "taken_seats", taken_seats)
    change = await without_tuesday(place)
    async with asyncio.timeout(30):
        wanted = asyncio.create_task(place.book(TEN))
        await looked.wait()
        with pytest.raises(VisitsStranded) as caught:
            await carry_out(place, change)
        booked = await wanted
    assert [one.visit.id for one in caught.value.visits] == [booked.visit.id]


async def test_changes_and_bookings_in_a_crowd_leave_nobody_outside_unasked(place: Place) -> None:
    """Whoever is booked when the change is made was asked about, or was refused."""
    change = await without_tuesday(place)
    answers = await asyncio.gather(
        *(place.book(rome(2, 9) + timedelta(minutes=30 * number)) for number in range(3)),
        carry_out(place, change),
        *(place.book(rome(2, 10, 30) + timedelta(minutes=30 * number)) for number in range(3)),
        return_exceptions=True,
    )
    changed = answers.pop(3)
    booked = [one for one in answers if isinstance(one, Booked)]
    assert isinstance(changed, VisitsStranded) or not booked
    assert all(isinstance(one, Booked | DeskClosed) for one in answers), answers


# --- locks in the order of their numbers ---


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of the locks that were new, as they were taken."""
    taken = list[int]()

    async def noted(db: Any, wanted: Iterable[int]) -> None:
        ids = sorted(set(wanted))
        taken.extend(one for one in ids if one not in taken)
        await lock_resources(db, ids)

    monkeypatch.setattr(recheck, "lock_resources", noted)
    monkeypatch.setattr(offers, "lock_resources", noted)
    return taken


async def interpreters_before_staff(desk: WaitingDesk) -> int:
    """Two who interpret have smaller numbers than whoever serves; who that is."""
    for _ in range(2):
        await desk.place.add_resource("interpreter", languages=["ar"])
    server = await desk.place.add_resource()
    await carry_out(desk.place, resource(desk.place, desk.place.staff[0], active=False))
    await carry_out(desk.place, kind(desk.place, window_days="366"))  # an erasure asks the clock on the wall
    return server


@pytest.mark.parametrize("step", ["move", "cancel", "erase"])
async def test_freeing_a_time_locks_all_that_are_needed_in_order(
    desk: WaitingDesk, order: list[int], step: str
) -> None:
    await interpreters_before_staff(desk)
    who = await desk.somebody(first_day=date(2028, 1, 1))  # whose own wish fits nothing
    booked = [await desk.place.book(start, conversation_id=who.id) for start in (TEN, rome(3, 10))]
    italian = await desk.somebody(first_day=date(2027, 3, 3), minute=1)
    arabic = await desk.somebody(language="ar", interpreter=True, minute=2)
    order.clear()
    if step == "move":
        await booking.move(desk.place.sessions, booked[0].visit.id, who.id, rome(2, 11), NOW)
    if step == "cancel":
        await booking.cancel(desk.place.sessions, booked[0].visit.id, who.id, NOW)
    if step == "erase":
        async with desk.place.sessions.begin() as session:
            await erasure.erase(session, [who.id])
    assert len(order) == 3
    assert order == sorted(order)
    assert await desk.holders(arabic) == [TEN]
    assert await desk.holders(italian) == [None if step != "erase" else rome(3, 10)]


# --- what ran out ---


async def offered_and_forgotten(desk: WaitingDesk) -> tuple[Any, Any]:
    """An offer ran out while the worker was away; another one waits."""
    booked = await desk.place.book(TEN)
    first, second = await desk.somebody(), await desk.somebody(minute=1)
    await desk.cancel(booked)
    return first, second


LATE = NOW + timedelta(hours=3)


async def test_a_booking_at_another_hour_leaves_an_offer_that_ran_out_to_the_list(desk: WaitingDesk) -> None:
    first, second = await offered_and_forgotten(desk)
    await desk.place.book(rome(2, 11), now=LATE)
    assert await desk.pass_on(LATE) == 1
    assert await desk.holders(first, second) == [None, TEN]


@pytest.mark.parametrize("start", [TEN, rome(2, 10, 15)])
async def test_an_offer_that_ran_out_goes_to_the_next_before_anybody_else_gets_the_time(
    desk: WaitingDesk, start: Any
) -> None:
    first, second = await offered_and_forgotten(desk)
    with pytest.raises(SlotTaken):
        await desk.place.book(start, now=LATE)
    assert await desk.holders(first, second) == [None, TEN]
    assert len(await desk.told(second)) == 1
    assert await desk.pass_on(LATE) == 0


async def test_an_offer_that_ran_out_and_suits_nobody_else_is_free_for_all(desk: WaitingDesk) -> None:
    booked = await desk.place.book(TEN)
    one = await desk.somebody()
    await desk.cancel(booked)
    assert (await desk.place.book(TEN, now=LATE)).visit.status == "confirmed"
    assert await desk.holders(one) == [None]
    assert await desk.row(one) is not None, "still waits"


async def typed(place: Place, visit: UUID) -> str | None:
    return (await place.row(visit)).name


async def held_with_a_name(place: Place) -> UUID:
    held = (await booking.hold(place.sessions, place.wish(TEN), NOW)).visit.id
    async with place.sessions.begin() as session:
        await session.execute(update(Appointment).where(Appointment.id == held).values(name="Amina"))
    return held


async def test_the_name_that_was_typed_goes_with_a_hold_that_ran_out(place: Place) -> None:
    held = await held_with_a_name(place)
    assert await typed(place, held) == "Amina"
    async with place.sessions.begin() as session:
        assert await booking.expire_holds(session, NOW + timedelta(minutes=11)) >= 1
    assert await typed(place, held) is None


async def test_so_it_does_when_somebody_else_takes_the_time(place: Place) -> None:
    held = await held_with_a_name(place)
    await place.book(TEN, now=NOW + timedelta(minutes=11))
    row = await place.row(held)
    assert (row.status, row.name) == ("cancelled", None)


async def test_so_it_does_with_an_offer_that_was_taken_and_not_confirmed(desk: WaitingDesk) -> None:
    booked = await desk.place.book(TEN)
    one = await desk.somebody()
    await desk.cancel(booked)
    held = await desk.take(one, None)
    async with desk.place.sessions.begin() as session:
        await session.execute(update(Appointment).where(Appointment.id == held.id).values(name="Amina"))
    await desk.pass_on(LATE)
    assert await typed(desk.place, held.id) is None


async def test_so_it_does_when_the_desk_closes(place: Place) -> None:
    held = await held_with_a_name(place)
    await carry_out(place, await without_tuesday(place))
    row = await place.row(held)
    assert (row.status, row.name) == ("cancelled", None)
