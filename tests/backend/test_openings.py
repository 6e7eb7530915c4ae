"""Times that become free because the desk changes: whoever waits is asked before anybody else sees them."""

import functools
from datetime import date, time, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from backend import booking_setup, desk_blocks, desk_days, desk_week
from backend.booking_forms import ResourceTyped
from backend.desk_calendar import read_head
from backend.models import Appointment, OpeningPeriod, ResourceBlock
from backend.services import Services
from backend.stranded import Change, Decisions
from tests.appointments import NOW, rome
from tests.backend.test_stranded import carry_out, days_off, kind, resource, staff, would_strand
from tests.waiting import TEN, Somebody, WaitingDesk, waiting_desk


@pytest.fixture
async def desk(services: Services) -> WaitingDesk:
    return await waiting_desk(services)


def hours(desk: WaitingDesk, opens: str, closes: str, *weekdays: int) -> Change:
    form: dict[str, Any] = {"weekdays": [str(day) for day in weekdays], "opens": opens, "closes": closes}
    return functools.partial(desk_week.add_periods, desk_id=desk.place.desk, **form)


async def test_longer_hours_are_offered_to_whoever_has_waited_longest(desk: WaitingDesk) -> None:
    second, first = await desk.somebody(minute=2), await desk.somebody(minute=1)
    picky = await desk.somebody(minute=0, part="afternoon", first_day=date(2027, 3, 10))
    await carry_out(desk.place, hours(desk, "14:00", "15:00", 1, 2))
    assert await desk.holders(first, second, picky) == [rome(2, 14), rome(2, 14, 30), rome(10, 14)]
    assert [len(await desk.told(one)) for one in (first, second, picky)] == [1, 1, 1]
    assert all(not one.startswith("14") for one in await desk.place.times(2))
    assert "14:30" in await desk.place.times(3), "what nobody was offered is free for all"


async def test_times_that_were_free_before_are_offered_to_nobody(desk: WaitingDesk) -> None:
    one = await desk.somebody(part="morning")
    await carry_out(desk.place, hours(desk, "14:00", "15:00", 1))
    assert await desk.holders(one) == [None]


async def test_somebody_more_who_serves_is_offered_to_whoever_waits(desk: WaitingDesk) -> None:
    for hour in (9, 9.5, 10, 10.5, 11, 11.5):
        await desk.place.book(rome(2, int(hour), int(hour % 1 * 60)))
    one = await desk.somebody(first_day=date(2027, 3, 2), last_day=date(2027, 3, 2))
    usual = {"kind": "staff", "name": "Anna", "languages": (), "own_hours": False, "hours": (), "active": True}
    typed = ResourceTyped(**usual)  # type: ignore[arg-type]
    new = functools.partial(booking_setup.save_resource, desk_id=desk.place.desk, resource_id=None, typed=typed)
    await carry_out(desk.place, new)
    assert await desk.holders(one) == [rome(2, 9)]


async def test_somebody_who_interprets_is_offered_to_whoever_needs_that(desk: WaitingDesk) -> None:
    busy = await desk.place.add_resource("interpreter", languages=["ar"], availability=[])
    one = await desk.somebody(language="ar", interpreter=True)
    italian = await desk.somebody(minute=1)
    there: dict[str, Any] = {"kind": "interpreter", "languages": ("ar",), "own_hours": True}
    await carry_out(desk.place, resource(desk.place, busy, **there, hours=[("1", "10:00", "11:00")]))
    assert await desk.holders(one, italian) == [TEN, None]
    held = await desk.held(one)
    assert held is not None
    assert held.interpreter_id == busy


async def test_a_closure_that_is_lifted_is_offered(desk: WaitingDesk) -> None:
    await carry_out(desk.place, days_off(desk.place, "2027-03-02"))
    one = await desk.somebody(last_day=date(2027, 3, 2), first_day=date(2027, 3, 2))
    span: dict[str, Any] = {"first": "2027-03-02", "last": "2027-03-02"}
    await carry_out(desk.place, functools.partial(desk_days.remove_days, desk_id=desk.place.desk, **span))
    assert await desk.holders(one) == [rome(2, 9)]


async def test_blocked_time_that_is_given_back_is_offered(desk: WaitingDesk) -> None:
    block = await desk.place.add(ResourceBlock(resource_id=desk.place.staff[0], starts=rome(2, 9), ends=rome(2, 12)))
    one = await desk.somebody(first_day=date(2027, 3, 2), last_day=date(2027, 3, 2))
    async with desk.place.sessions.begin() as session:
        by = staff(desk.place)
        head = await read_head(session, by, desk.place.desk, NOW)
        await desk_blocks.remove_blocks(session, by, head, [str(block.id)])
    assert await desk.holders(one) == [rome(2, 9)]


async def test_whoever_may_have_no_more_is_passed_over(desk: WaitingDesk) -> None:
    full, other = await desk.somebody(part="afternoon"), await desk.somebody(minute=1, part="afternoon")
    for day in (3, 4):
        await desk.place.book(rome(day, 9), conversation_id=full.id)
    await carry_out(desk.place, hours(desk, "14:00", "14:30", 1))
    assert await desk.holders(full, other) == [None, rome(2, 14)]


async def test_a_change_that_is_not_made_offers_nothing(desk: WaitingDesk) -> None:
    await desk.place.book(TEN)
    one = await desk.somebody(part="afternoon")
    tuesday = functools.partial(move_tuesday, desk)
    assert len(await would_strand(desk.place, tuesday)) == 1
    assert await desk.holders(one) == [None]
    assert await desk.told(one) == []
    (visit,) = await would_strand(desk.place, tuesday)
    await carry_out(desk.place, tuesday, Decisions({visit.visit.id: "keep"}))
    assert await desk.holders(one) == [rome(2, 15)]


async def move_tuesday(desk: WaitingDesk, session: Any, by: Any) -> None:
    """From the morning to the afternoon."""
    own = update(OpeningPeriod).where(OpeningPeriod.desk_id == desk.place.desk, OpeningPeriod.weekday == 1)
    await session.execute(own.values(opens=time(15), closes=time(17)))


# --- what is not offered any more ---


async def offered(desk: WaitingDesk) -> tuple[Somebody, Appointment]:
    """Somebody who waits, and the time that is held for them because somebody else cancelled."""
    booked = await desk.place.book(TEN)
    one = await desk.somebody(language="en")
    await desk.cancel(booked)
    held = await desk.held(one)
    assert held is not None
    return one, held


async def test_whoever_waits_for_a_kind_that_is_not_offered_any_more_is_told(desk: WaitingDesk) -> None:
    one, other = await desk.somebody(language="en"), await desk.somebody(kind=await desk.place.add_kind())
    await carry_out(desk.place, kind(desk.place, active=False))
    (told,) = await desk.told(one)
    assert "no longer on its waiting list" in told.text
    assert [choice["id"] for choice in told.payload["choices"]] == ["book", "human"]
    assert await desk.row(one) is None
    assert await desk.row(other) is not None
    assert await desk.told(other) == []


async def test_whoever_was_offered_a_time_before_may_still_take_it(desk: WaitingDesk) -> None:
    one, held = await offered(desk)
    await carry_out(desk.place, kind(desk.place, active=False), Decisions({held.id: "keep"}))
    assert len(await desk.told(one)) == 1
    assert (await desk.take(one)).status == "confirmed"


async def test_whoever_lets_it_pass_then_waits_no_longer(desk: WaitingDesk) -> None:
    one, held = await offered(desk)
    await carry_out(desk.place, kind(desk.place, active=False), Decisions({held.id: "keep"}))
    assert await desk.pass_on(NOW + timedelta(hours=3)) == 1
    assert await desk.row(one) is None
    assert "no longer on its waiting list" in (await desk.told(one))[-1].text


async def test_an_offer_that_the_desk_withdraws_ends_the_waiting_as_well(desk: WaitingDesk) -> None:
    one, held = await offered(desk)
    await carry_out(desk.place, kind(desk.place, active=False), Decisions({held.id: "cancel"}))
    assert await desk.row(one) is None
    assert len(await desk.told(one)) == 3
