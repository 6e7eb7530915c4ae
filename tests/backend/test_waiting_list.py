"""Whoever waits for a time: how they join and leave, and what becomes of what they are offered."""

import asyncio
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, insert

from backend import booking, waiting_list
from backend.booking import WrongName
from backend.diary import HoursUnknown, NoInterpreter, NotInLanguage
from backend.errors import NotFound
from backend.models import Conversation, Message
from backend.services import Services
from backend.visits import Visit
from backend.waiting_list import OfferOver, WrongDays
from tests.appointments import NOW, make_place, rome
from tests.waiting import TEN, Somebody, WaitingDesk, waiting_desk


@pytest.fixture
async def desk(services: Services) -> WaitingDesk:
    return await waiting_desk(services)


# --- what becomes of an offer ---


async def test_yes_with_a_name_confirms_it_and_nobody_waits_any_more(desk: WaitingDesk) -> None:
    booked = await desk.place.book(TEN)
    one = await desk.somebody()
    await desk.cancel(booked)
    visit = await desk.take(one, " Amina ")
    assert (visit.status, visit.name, visit.starts, visit.hold_expires) == ("confirmed", "Amina", TEN, None)
    assert visit.code
    assert await desk.row(one) is None
    with pytest.raises(OfferOver):
        await desk.take(one)


async def test_yes_without_a_name_leaves_time_to_give_one(desk: WaitingDesk) -> None:
    booked = await desk.place.book(TEN)
    one, other = await desk.somebody(), await desk.somebody(minute=1)
    await desk.cancel(booked)
    late = NOW + timedelta(minutes=119)
    held = await desk.take(one, None, late)
    assert held.status == "held"
    assert await desk.pass_on(late + timedelta(minutes=9)) == 0
    with pytest.raises(WrongName):
        await desk.take(one, "", late)
    visit = await booking.confirm(desk.place.sessions, held.id, one.id, "Amina", late + timedelta(minutes=9))
    assert visit.status == "confirmed"
    assert await desk.row(one) is None
    assert await desk.pass_on(late + timedelta(hours=3)) == 0
    assert await desk.held(other) is None


async def test_an_offer_that_ran_out_goes_to_the_next_and_at_last_to_everybody(desk: WaitingDesk) -> None:
    booked = await desk.place.book(TEN)
    first, second = await desk.somebody(), await desk.somebody(minute=1)
    await desk.cancel(booked)
    assert await desk.pass_on(NOW + timedelta(minutes=119)) == 0
    over = NOW + timedelta(hours=2)
    with pytest.raises(OfferOver):
        await desk.take(first, now=over)
    assert not await desk.is_free(now=over), "until the next one was asked"
    assert await desk.pass_on(over) == 1
    assert await desk.holders(first, second) == [None, TEN]
    assert not await desk.is_free(now=over)
    assert await desk.pass_on(over + timedelta(hours=2)) == 1
    assert await desk.holders(first, second) == [None, None], "nobody is asked twice"
    assert await desk.is_free(now=over + timedelta(hours=2))
    assert len(await desk.told(first)) == len(await desk.told(second)) == 1


async def test_whoever_let_one_pass_still_waits_behind_the_others(desk: WaitingDesk) -> None:
    first_time, second_time = await desk.place.book(TEN), await desk.place.book(rome(3, 10))
    one, other = await desk.somebody(), await desk.somebody(minute=1)
    await desk.cancel(first_time, NOW + timedelta(minutes=5))
    assert await desk.let_pass(one, NOW + timedelta(minutes=6))
    assert await desk.holders(one, other) == [None, TEN]
    await desk.take(other, now=NOW + timedelta(minutes=7))
    await desk.cancel(second_time, NOW + timedelta(minutes=8))
    assert await desk.holders(one) == [rome(3, 10)]
    assert not await desk.let_pass(other)


async def test_the_one_who_passed_is_asked_after_those_who_came_later(desk: WaitingDesk) -> None:
    first_time, second_time = await desk.place.book(TEN), await desk.place.book(rome(3, 10))
    one = await desk.somebody()
    await desk.cancel(first_time, NOW + timedelta(minutes=5))
    later = await desk.somebody(minute=6, first_day=date(2027, 3, 3))
    await desk.let_pass(one, NOW + timedelta(minutes=7))
    await desk.cancel(second_time, NOW + timedelta(minutes=8))
    assert await desk.holders(one, later) == [None, rome(3, 10)]


async def test_leaving_the_list_passes_on_what_was_offered(desk: WaitingDesk) -> None:
    booked = await desk.place.book(TEN)
    first, second = await desk.somebody(), await desk.somebody(minute=1)
    await desk.cancel(booked)
    assert await waiting_list.leave_list(desk.place.sessions, first.waits, first.id, NOW)
    assert await desk.row(first) is None
    assert await desk.holders(second) == [TEN]
    assert not await waiting_list.leave_list(desk.place.sessions, first.waits, first.id, NOW)


async def test_only_whoever_it_was_offered_to_can_answer(desk: WaitingDesk) -> None:
    booked = await desk.place.book(TEN)
    first, second = await desk.somebody(), await desk.somebody(minute=1)
    await desk.cancel(booked)
    stranger = Somebody(second.opened, first.waits)
    with pytest.raises(OfferOver):
        await desk.take(stranger)
    assert not await desk.let_pass(stranger)
    assert not await waiting_list.leave_list(desk.place.sessions, first.waits, second.id, NOW)
    assert await desk.holders(first) == [TEN]


async def test_yes_and_the_end_at_the_same_moment_leave_one_owner(desk: WaitingDesk) -> None:
    booked = await desk.place.book(TEN)
    first, second = await desk.somebody(), await desk.somebody(minute=1)
    await desk.cancel(booked)
    almost, over = NOW + timedelta(minutes=119), NOW + timedelta(hours=2)
    answers = await asyncio.gather(
        desk.take(first, now=almost), *(desk.pass_on(over) for _ in range(3)), return_exceptions=True
    )
    assert await desk.place.live() == 1
    if isinstance(answers[0], Visit):
        assert await desk.holders(second) == [None]
    else:
        assert isinstance(answers[0], OfferOver)
        assert await desk.holders(second) == [TEN]


async def test_two_workers_pass_one_offer_on_once(desk: WaitingDesk) -> None:
    booked = await desk.place.book(TEN)
    people = [await desk.somebody(minute=minute) for minute in range(3)]
    await desk.cancel(booked)
    over = NOW + timedelta(hours=2)
    assert sum(await asyncio.gather(*(desk.pass_on(over) for _ in range(4)))) == 1
    assert await desk.holders(*people) == [None, TEN, None]


async def test_clearing_holds_away_leaves_offers_to_the_list(desk: WaitingDesk) -> None:
    booked = await desk.place.book(TEN)
    first, second = await desk.somebody(), await desk.somebody(minute=1)
    await desk.cancel(booked)
    late = NOW + timedelta(hours=3)
    async with desk.place.sessions.begin() as session:
        await booking.expire_holds(session, late)
    assert (await desk.held(first)) is not None
    assert await desk.pass_on(late) == 1
    assert await desk.holders(first, second) == [None, TEN]


async def test_a_worker_that_was_away_repairs_what_it_finds(desk: WaitingDesk) -> None:
    """The hold ran out with the offer, and somebody else booked the time meanwhile."""
    booked = await desk.place.book(TEN)
    one = await desk.somebody()
    await desk.cancel(booked)
    late = NOW + timedelta(hours=3)
    assert (await desk.place.book(TEN, now=late)).visit.status == "confirmed"
    assert await desk.pass_on(late) == 0, "whoever booked has put it in order"
    found = await desk.row(one)
    assert found is not None
    assert (found.offer_id, found.offered_until) == (None, None)
    assert await desk.place.live() == 1


# --- joining ---


async def test_joining_again_changes_the_wish_and_keeps_the_place(desk: WaitingDesk) -> None:
    one, other = await desk.somebody(part="afternoon"), await desk.somebody(minute=1)
    again = await desk.join(one.id, now=NOW + timedelta(minutes=5), part="morning")
    assert again == one.waits
    booked = await desk.place.book(TEN)
    await desk.cancel(booked)
    assert await desk.holders(one, other) == [TEN, None]
    async with desk.place.sessions.begin() as session:
        (waiting,) = await waiting_list.list_waiting(session, one.id)
    assert (waiting.wish.part, waiting.desk_id, waiting.asked_at) == ("morning", desk.place.desk, NOW)


@pytest.mark.parametrize(
    "wish, error",
    [
        ({"language": "ar", "interpreter": True}, NoInterpreter),
        ({"last_day": date(2027, 2, 28)}, WrongDays),
        ({"first_day": date(2027, 3, 5), "last_day": date(2027, 3, 4)}, WrongDays),
        ({"kind": 2**31 - 1}, NotFound),
    ],
)
async def test_what_cannot_be_waited_for_is_named(desk: WaitingDesk, wish: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        await desk.somebody(**wish)


async def test_waiting_for_a_desk_whose_hours_nobody_knows_makes_no_sense(services: Services) -> None:
    desk = WaitingDesk(await make_place(services.sessions, hours=False), services)
    with pytest.raises(HoursUnknown):
        await desk.somebody()


async def test_a_language_the_kind_is_not_held_in_needs_an_interpreter(desk: WaitingDesk) -> None:
    kind = await desk.place.add_kind(languages=["it"])
    with pytest.raises(NotInLanguage):
        await desk.somebody(kind=kind, language="ar")
    with pytest.raises(NotFound):
        await desk.join(UUID(int=1))


async def test_a_conversation_that_is_gone_leaves_no_place_in_the_list(desk: WaitingDesk) -> None:
    one = await desk.somebody()
    async with desk.place.sessions.begin() as session:
        values = {"conversation_id": one.id, "author": "person", "language": "it", "text": "ciao"}
        await session.execute(insert(Message).values(**values))
        await session.execute(delete(Conversation).where(Conversation.id == one.id))
    assert await desk.row(one) is None
