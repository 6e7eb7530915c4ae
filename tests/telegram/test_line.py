"""The line to Telegram: who may speak next."""

import asyncio
import itertools

import pytest

from backend.telegram_line import Line, Pace


async def in_turn(pace: Pace, *wishes: tuple[str, bool]) -> list[str]:
    """The order in which those are let in who come while somebody is inside."""
    order: list[str] = []

    async def one(name: str, asked: bool) -> None:
        async with pace.everybody(7, asked=asked):
            order.append(name)

    async with pace.everybody(7):
        waiting = [asyncio.create_task(one(name, asked)) for name, asked in wishes]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    return order


async def test_what_somebody_waits_for_goes_before_what_nobody_asked_for() -> None:
    wishes = [("reminder", False), ("answer", True), ("reminder 2", False), ("answer 2", True)]
    assert await in_turn(Pace(enabled=False), *wishes) == ["answer", "answer 2", "reminder", "reminder 2"]


async def test_whoever_goes_away_while_waiting_holds_up_nobody() -> None:
    pace = Pace(enabled=False)
    async with pace.everybody(1):
        gone = asyncio.create_task(in_turn(pace))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
    assert await in_turn(pace, ("next", True)) == ["next"]


async def test_whoever_goes_away_at_the_very_moment_of_being_let_in_holds_up_nobody() -> None:
    pace = Pace(enabled=False)
    async with pace.everybody(1):
        gone = asyncio.create_task(in_turn(pace))
        await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert await asyncio.wait_for(in_turn(pace, ("next", True)), 5) == ["next"]


async def test_a_failure_inside_lets_the_next_one_in() -> None:
    pace = Pace(enabled=False)
    with pytest.raises(RuntimeError):
        async with pace.everybody(1):
            raise RuntimeError
    assert await asyncio.wait_for(in_turn(pace, ("next", True)), 5) == ["next"]


class Clock:
    """Moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_a_new_leader_begins_as_if_another_had_just_sent_all_it_may() -> None:
    clock = Clock()
    pace = Pace(clock=clock, sleep=clock.sleep)
    async with pace.everybody(1):
        assert clock.now - 100 > 1


async def test_a_new_leader_begins_in_each_chat_as_if_another_had_just_sent_a_burst() -> None:
    clock = Clock()
    pace = Pace(clock=clock, sleep=clock.sleep)
    own = []
    for _ in range(4):
        await pace.chat(7)
        async with pace.everybody(7):
            own.append(clock.now)
    assert own[0] - 100 > 1
    assert all(later - earlier > 1 for earlier, later in itertools.pairwise(own))


async def test_never_more_than_thirty_in_a_second_and_one_a_second_in_a_chat() -> None:
    clock = Clock()
    pace = Pace(clock=clock, sleep=clock.sleep)
    times = []
    for number in range(1000):
        async with pace.everybody(number):
            times.append(clock.now)
    assert all(later - earlier > 1 for earlier, later in zip(times, times[30:], strict=False))
    assert times[-1] - times[0] < 36
    own = []
    for _ in range(10):
        await pace.chat(7000)
        async with pace.everybody(7000):
            own.append(clock.now)
    assert own[2] - own[0] < 0.1
    assert all(later - earlier > 1 for earlier, later in itertools.pairwise(own[2:]))


async def test_whoever_waits_for_the_line_is_let_in_when_somebody_got_through() -> None:
    line = Line()
    line.failed("token")
    waiting = asyncio.create_task(line.open())
    await asyncio.sleep(0)
    assert not waiting.done()
    line.works()
    await asyncio.wait_for(waiting, 5)
