"""A time that became free: whom it is offered to, and never to anybody else first."""

import asyncio
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from backend import booking, erasure, offers, waiting_list
from backend.access import Role, Staff
from backend.booking import Booked, SlotTaken
from backend.conversations import erase_conversation
from backend.models import AppointmentKind, DeskDay, ResourceBlock
from backend.services import Services
from tests.appointments import NOW, rome
from tests.handovers import put_at_desk
from tests.waiting import TEN, WaitingDesk, waiting_desk


@pytest.fixture
async def desk(services: Services) -> WaitingDesk:
    return await waiting_desk(services)


# --- who is asked ---


async def test_whoever_has_waited_longest_is_asked_and_nobody_else(desk: WaitingDesk) -> None:
    booked = await desk.place.book(TEN)
    second, first = await desk.somebody(minute=2), await desk.somebody(minute=1)
    await desk.cancel(booked)
    held = await desk.held(first)
    assert held is not None
    assert (held.starts, held.status, held.conversation_id) == (TEN, "held", first.id)
    assert await desk.held(second) is None
    assert not await desk.is_free()
    with pytest.raises(SlotTaken):
        await desk.place.book(TEN)


async def test_the_message_has_the_card_the_buttons_and_until_when(desk: WaitingDesk) -> None:
    booked = await desk.place.book(TEN)
    one = await desk.somebody(language="en")
    await desk.cancel(booked)
    (message,) = await desk.told(one)
    held = await desk.held(one)
    assert held is not None
    assert "11:00" in message.text, "two hours from nine o'clock in Rome"
    assert message.payload["visit"]["id"] == str(held.id)
    assert [choice["id"] for choice in message.payload["choices"]] == [
        f"wait:take:{one.waits}",
        f"wait:pass:{one.waits}",
        f"wait:leave:{one.waits}",
    ]
    assert held.hold_expires == NOW + timedelta(hours=2, minutes=2)


@pytest.mark.parametrize(
    "wish, asked",
    [
        ({}, True),
        ({"first_day": date(2027, 3, 2), "last_day": date(2027, 3, 2)}, True),
        ({"first_day": date(2027, 3, 3)}, False),
        ({"last_day": date(2027, 3, 1)}, False),
        ({"part": "morning"}, True),
        ({"part": "afternoon"}, False),
    ],
)
async def test_only_a_time_like_the_one_they_wish_for_is_offered(desk: WaitingDesk, wish: Any, asked: bool) -> None:
    booked = await desk.place.book(TEN)
    one = await desk.somebody(**wish)
    await desk.cancel(booked)
    assert (await desk.held(one) is not None) is asked
    assert await desk.is_free() is not asked


async def test_whoever_has_as_many_visits_as_they_may_is_passed_over(desk: WaitingDesk) -> None:
    booked = await desk.place.book(TEN)
    full, other = await desk.somebody(), await desk.somebody(minute=1)
    for day in (3, 4):
        await desk.place.book(rome(day, 9), conversation_id=full.id)
    await desk.cancel(booked)
    assert await desk.holders(full, other) == [None, TEN]


async def test_whoever_had_their_visit_in_that_week_is_passed_over(desk: WaitingDesk) -> None:
    booked = await desk.place.book(TEN)
    full, other = await desk.somebody(), await desk.somebody(minute=1)
    await desk.place.book(rome(5, 9), conversation_id=full.id)
    await desk.place.set_desk(most_each_week=1)
    await desk.cancel(booked)
    assert await desk.holders(full, other) == [None, TEN]


async def test_whoever_cannot_be_reached_is_passed_over(desk: WaitingDesk) -> None:
    booked = await desk.place.book(TEN)
    gone, other = await desk.somebody(), await desk.somebody(minute=1)
    await put_at_desk(desk.services, gone.id, state="UNREACHABLE")
    await desk.cancel(booked)
    assert await desk.holders(gone, other) == [None, TEN]


async def test_an_offer_comes_whatever_state_the_conversation_is_in(desk: WaitingDesk) -> None:
    for day, state in ((2, "WAITING"), (3, "ACTIVE"), (4, "CLOSED")):
        booked = await desk.place.book(rome(day, 10))
        one = await desk.somebody(first_day=date(2027, 3, day), last_day=date(2027, 3, day))
        await put_at_desk(desk.services, one.id, state=state)
        await desk.cancel(booked)
        assert len(await desk.told(one)) == 1


async def test_nobody_is_asked_who_could_not_answer_in_time(desk: WaitingDesk) -> None:
    """A quarter of an hour to answer, and the time that the kind wants to know before."""
    kind = await desk.place.add_kind(lead_minutes=60)
    booked = await desk.place.book(TEN, kind=kind)
    one = await desk.somebody(kind=kind)
    await desk.cancel(booked, TEN - timedelta(minutes=74))
    assert await desk.held(one) is None
    booked = await desk.place.book(rome(3, 10), kind=kind)
    now = rome(3, 10) - timedelta(minutes=75)
    await desk.cancel(booked, now)
    found = await desk.row(one)
    assert found is not None
    assert found.offered_until == now + timedelta(minutes=15)


async def test_a_time_that_nobody_could_book_is_offered_to_nobody(desk: WaitingDesk) -> None:
    """Whoever serves is away by now, or the desk is closed."""
    blocked, closed = await desk.place.book(TEN), await desk.place.book(rome(3, 10))
    one = await desk.somebody()
    await desk.place.add(ResourceBlock(resource_id=desk.place.staff[0], starts=rome(2, 9), ends=rome(2, 12)))
    await desk.place.add(DeskDay(desk_id=desk.place.desk, day=date(2027, 3, 3)))
    for booked in (blocked, closed):
        await desk.cancel(booked)
    assert await desk.held(one) is None


async def test_nobody_is_offered_what_they_just_gave_back(desk: WaitingDesk) -> None:
    one = await desk.somebody()
    booked = await desk.place.book(TEN, conversation_id=one.id)
    await desk.cancel(booked)
    assert await desk.held(one) is None
    assert await desk.is_free()


async def test_another_kind_at_the_same_desk_is_offered_when_it_fits(desk: WaitingDesk) -> None:
    long, short = await desk.place.add_kind(minutes=60), await desk.place.add_kind(minutes=15)
    booked = await desk.place.book(TEN)
    await desk.place.book(rome(2, 10, 30))
    waits_long, waits_short = await desk.somebody(kind=long), await desk.somebody(kind=short, minute=1)
    await desk.cancel(booked)
    assert await desk.holders(waits_long, waits_short) == [None, TEN]


async def test_a_kind_that_is_not_offered_any_more_is_passed_over(desk: WaitingDesk) -> None:
    booked = await desk.place.book(TEN)
    one = await desk.somebody()
    async with desk.place.sessions.begin() as session:
        own = update(AppointmentKind).where(AppointmentKind.id == desk.place.kind)
        await session.execute(own.values(active=False))
    await desk.cancel(booked)
    assert await desk.held(one) is None


async def test_whoever_needs_an_interpreter_is_asked_when_one_is_free(desk: WaitingDesk) -> None:
    interpreter = await desk.place.add_resource("interpreter", languages=["ar"])
    first, second = await desk.place.book(TEN), await desk.place.book(rome(3, 10))
    arabic = await desk.somebody(language="ar", interpreter=True)
    italian = await desk.somebody(minute=1)
    await desk.place.add(ResourceBlock(resource_id=interpreter, starts=rome(2, 9), ends=rome(2, 12)))
    await desk.cancel(first)
    assert await desk.holders(arabic, italian) == [None, TEN]
    await desk.cancel(second)
    held = await desk.held(arabic)
    assert held is not None
    assert (held.starts, held.interpreter_id, held.language) == (rome(3, 10), interpreter, "ar")


async def test_a_place_in_a_workshop_goes_to_the_next(desk: WaitingDesk) -> None:
    kind = await desk.place.add_kind(capacity=3, minutes=60)
    booked = [await desk.place.book(TEN, kind=kind) for _ in range(3)]
    before = {one.visit.id: (await desk.place.row(one.visit.id)).seat for one in booked}
    one, other = await desk.somebody(kind=kind), await desk.somebody(kind=kind, minute=1)
    await desk.cancel(booked[1])
    held = await desk.held(one)
    assert held is not None
    assert held.seat == before[booked[1].visit.id]
    assert await desk.held(other) is None
    with pytest.raises(SlotTaken):
        await desk.place.book(TEN, kind=kind)


# --- what frees a time ---


async def test_moving_away_frees_a_time(desk: WaitingDesk) -> None:
    booked = await desk.place.book(TEN)
    one = await desk.somebody()
    await booking.move(desk.place.sessions, booked.visit.id, booked.token, rome(3, 9), NOW)
    assert await desk.holders(one) == [TEN]


async def test_the_desk_frees_a_time(desk: WaitingDesk) -> None:
    booked = await desk.place.book(TEN)
    one = await desk.somebody()
    roles = (Role("operator", desk.place.organisation, desk.place.desk),)
    staff = Staff(UUID(int=1), UUID(int=2), "Somebody", "a@elp.test", "it", False, roles)
    await booking.cancel(desk.place.sessions, booked.visit.id, staff, NOW)
    assert await desk.holders(one) == [TEN]


async def test_a_hold_that_was_given_back_frees_nothing_new(desk: WaitingDesk) -> None:
    """It was free for all a moment ago, and nobody on the list was waiting for it."""
    booked = await booking.hold(desk.place.sessions, desk.place.wish(TEN), NOW)
    one = await desk.somebody()
    await desk.cancel(booked)
    assert await desk.held(one) is None
    assert await desk.is_free()


async def test_an_offer_that_was_cancelled_like_any_visit_goes_on(desk: WaitingDesk) -> None:
    booked = await desk.place.book(TEN)
    first, second = await desk.somebody(), await desk.somebody(minute=1)
    await desk.cancel(booked)
    held = await desk.held(first)
    assert held is not None
    await booking.cancel(desk.place.sessions, held.id, first.id, NOW)
    assert await desk.holders(first, second) == [None, TEN]


async def tomorrow_at(desk: WaitingDesk) -> datetime:
    """On the machine's own clock, which erasing goes by; the desk is open day and night."""
    await desk.place.set_desk(holidays="")
    today = datetime.now(UTC).date()
    for days in range(5):
        row = {"desk_id": desk.place.desk, "day": today + timedelta(days=days)}
        await desk.place.add(DeskDay(**row, opens=time(0), closes=time(23, 45)))
    return datetime.combine(today + timedelta(days=2), time(12), UTC)


async def test_whoever_has_everything_erased_frees_their_time(desk: WaitingDesk) -> None:
    start, now = await tomorrow_at(desk), datetime.now(UTC)
    leaving, first, second = [await desk.somebody(minute=minute) for minute in range(3)]
    await desk.place.book(start, now=now, conversation_id=leaving.id)
    await erase_conversation(desk.place.sessions, leaving.id, leaving.opened.token)
    assert await desk.holders(first, second) == [start, None]
    assert await desk.row(leaving) is None
    await erase_conversation(desk.place.sessions, first.id, first.opened.token)
    assert await desk.holders(second) == [start], "what was offered to somebody who is gone"
    await erase_conversation(desk.place.sessions, second.id, second.opened.token)
    again = await desk.place.book(start, now=now)
    assert again.visit.status == "confirmed"


async def test_whoever_empties_their_chat_frees_their_time(desk: WaitingDesk) -> None:
    start, now = await tomorrow_at(desk), datetime.now(UTC)
    leaving, other = await desk.somebody(), await desk.somebody(minute=1)
    await desk.place.book(start, now=now, conversation_id=leaving.id)
    async with desk.services.engine.begin() as connection:
        await erasure.empty(connection, leaving.id)
    assert await desk.holders(other) == [start]
    assert await desk.row(leaving) is None


async def test_two_visits_of_somebody_who_is_erased_go_to_two_people(desk: WaitingDesk) -> None:
    start, now = await tomorrow_at(desk), datetime.now(UTC)
    later = start + timedelta(hours=1)
    leaving, first, second = [await desk.somebody(minute=minute) for minute in range(3)]
    for one in (start, later):
        await desk.place.book(one, now=now, conversation_id=leaving.id)
    await erase_conversation(desk.place.sessions, leaving.id, leaving.opened.token)
    assert await desk.holders(first, second) == [start, later]


# --- never public in between ---


async def hammer(desk: WaitingDesk, work: Any) -> tuple[list[Booked], int]:
    """Four who want the time at any price, while `work` goes on; what they got, and how often they tried."""
    got: list[Booked] = []
    tries = 0
    stop = asyncio.Event()

    async def grab() -> None:
        nonlocal tries
        while not stop.is_set():
            tries += 1
            try:
                got.append(await desk.place.book(TEN))
            except SlotTaken:
                await asyncio.sleep(0)

    grabbing = [asyncio.create_task(grab()) for _ in range(4)]
    await asyncio.sleep(0.1)
    await work()
    await asyncio.sleep(0.1)
    stop.set()
    await asyncio.gather(*grabbing)
    return got, tries


async def test_from_hand_to_hand_the_time_is_never_free_for_others(desk: WaitingDesk) -> None:
    booked = await desk.place.book(TEN)
    people = [await desk.somebody(minute=minute) for minute in range(4)]

    async def work() -> None:
        await desk.cancel(booked)
        await desk.let_pass(people[0])
        await desk.pass_on(NOW + timedelta(hours=2))
        await waiting_list.leave_list(desk.place.sessions, people[2].waits, people[2].id, NOW + timedelta(hours=2))
        await desk.take(people[3], now=NOW + timedelta(hours=2))

    got, tries = await hammer(desk, work)
    assert got == []
    assert tries > 20
    assert await desk.place.live() == 1


async def test_without_the_list_one_of_them_gets_it(desk: WaitingDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above would prove nothing without this one."""

    async def nothing(*_: Any) -> None:
        return

    monkeypatch.setattr(offers, "_offer", nothing)
    booked = await desk.place.book(TEN)
    await desk.somebody()
    got, _ = await hammer(desk, lambda: desk.cancel(booked))
    assert len(got) == 1


async def test_two_times_that_become_free_at_once_go_to_two_people(desk: WaitingDesk) -> None:
    starts = [rome(day, hour) for day in (2, 3) for hour in (9, 10, 11)]
    booked = [await desk.place.book(start) for start in starts]
    people = [await desk.somebody(minute=minute) for minute in range(6)]
    await asyncio.gather(*(desk.cancel(one) for one in booked))
    assert sorted(start for start in await desk.holders(*people) if start) == starts


# --- nights on which the clock changes ---


async def test_days_and_hours_are_those_of_the_desk_when_the_clock_goes_forward(desk: WaitingDesk) -> None:
    """On Sunday 28 March 2027 the clock in Rome goes from two to three."""
    sunday = date(2027, 3, 28)
    await desk.place.add(DeskDay(desk_id=desk.place.desk, day=sunday, opens=time(0), closes=time(14)))
    one = await desk.somebody(first_day=sunday, last_day=sunday, part="morning")
    night, noon = await desk.place.book(rome(28, 0, 30)), await desk.place.book(rome(28, 13))
    await desk.cancel(noon)
    assert await desk.held(one) is None
    now = datetime(2027, 3, 27, 22, 45, tzinfo=UTC)
    await desk.cancel(night, now)
    found = await desk.row(one)
    assert found is not None
    assert found.offered_until == rome(28, 0, 30)
    late = await desk.place.book(rome(28, 3, 30), now=now)
    other = await desk.somebody(minute=1, part="morning")
    await desk.cancel(late, now)
    found = await desk.row(other)
    assert found is not None
    assert found.offered_until == datetime(2027, 3, 28, 0, 45, tzinfo=UTC), "two real hours, not two on the clock"


async def test_the_hour_that_comes_twice_is_two_times(desk: WaitingDesk) -> None:
    """On Sunday 31 October 2027 half past two comes twice; whoever passed on the first is asked about the second."""
    await desk.place.add(DeskDay(desk_id=desk.place.desk, day=date(2027, 10, 31), opens=time(1), closes=time(5)))
    now = datetime(2027, 10, 29, 8, tzinfo=UTC)
    first = rome(31, 2, 30, month=10)
    second = first.replace(fold=1)
    booked = [await desk.place.book(one.astimezone(UTC), now=now) for one in (first, second)]
    one = await desk.somebody()
    await desk.cancel(booked[0], now)
    assert await desk.let_pass(one, now)
    await desk.cancel(booked[1], now)
    held = await desk.held(one)
    assert held is not None
    assert held.starts.astimezone(UTC) == second.astimezone(UTC)
    assert held.starts.astimezone(UTC) - first.astimezone(UTC) == timedelta(hours=1)
