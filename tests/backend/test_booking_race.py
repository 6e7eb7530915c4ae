"""Many at once for the same times: what the locks are for, what stands behind them, and that nobody notices."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from backend import booking, recheck
from backend.booking import AppointmentOver, Booked, HoldExpired, SlotTaken
from backend.db import Sessions, create_engine, create_sessions
from backend.migrations.run import migrate
from backend.models import Appointment
from backend.postgres import EmbeddedServer
from backend.services import Services
from backend.taking import lock_resources
from backend.visits import Visit
from tests.appointments import NOW, Place, make_place, rome

TEN = rome(2, 10)
"""On the Tuesday after NOW."""


@pytest.fixture
async def apart(postgres: EmbeddedServer) -> AsyncIterator[Sessions]:
    """A database of its own, whose constraints a test may take away."""
    name = f"race_{uuid4().hex}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = re.sub(r"/elp(?=$|\?)", f"/{name}", postgres.url)
    migrate(url)
    engine = create_engine(url, pool_size=12)
    yield create_sessions(engine)
    await engine.dispose()
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def no_lock(session: object, resources: object) -> None:
    return


TOGETHER = 10
"""Callers after one time, each of whom sees it free at first."""


async def race(place: Place) -> list[Any]:
    async with asyncio.timeout(30):
        return await asyncio.gather(*(place.book(TEN) for _ in range(TOGETHER)), return_exceptions=True)


def meet_before_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody writes before everybody has looked again and has seen that the time is free."""
    barrier, look, met = asyncio.Barrier(TOGETHER), recheck.taken_seats, set[Any]()

    async def taken_seats(*arguments: Any) -> set[int] | None:
        seats = await look(*arguments)
        if (caller := asyncio.current_task()) not in met:
            met.add(caller)
            await barrier.wait()
        return seats

    monkeypatch.setattr(recheck, "taken_seats", taken_seats)


def write_when_all_wait(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Whoever has the lock writes only when all others have seen the time free and wait for the lock. Counts them."""
    look, waiting = recheck.taken_seats, list[int]()
    query = text(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )

    async def taken_seats(*arguments: Any) -> set[int] | None:
        seats = await look(*arguments)
        while not waiting:
            async with sessions.begin() as session:
                if (number := (await session.execute(query)).scalar_one()) == TOGETHER - 1:
                    waiting.append(number)
        return seats

    monkeypatch.setattr(recheck, "taken_seats", taken_seats)
    return waiting


async def drop_constraint(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await session.execute(text("ALTER TABLE appointments DROP CONSTRAINT ex_appointments_resource"))


async def test_without_locks_and_constraint_two_people_get_the_same_time(
    apart: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race is real: the tests below would prove nothing without this one."""
    place = await make_place(apart)
    await drop_constraint(apart)
    monkeypatch.setattr(recheck, "lock_resources", no_lock)
    meet_before_writing(monkeypatch)
    answers = await race(place)
    assert all(isinstance(answer, Booked) for answer in answers)
    assert await place.live() == TOGETHER


async def test_the_locks_alone_prevent_it(apart: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    place = await make_place(apart)
    await drop_constraint(apart)
    waiting = write_when_all_wait(apart, monkeypatch)
    answers = await race(place)
    assert waiting == [TOGETHER - 1]
    assert await place.live() == 1
    assert sum(isinstance(answer, SlotTaken) and len(answer.alternatives) == 3 for answer in answers) == TOGETHER - 1


async def test_the_constraint_alone_prevents_it_and_is_answered_with_other_times(
    apart: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await make_place(apart)
    monkeypatch.setattr(recheck, "lock_resources", no_lock)
    violations = []
    was_quicker = booking._was_quicker

    def noted(error: IntegrityError) -> bool:
        violations.append(getattr(error.orig, "sqlstate", None))
        return was_quicker(error)

    monkeypatch.setattr(booking, "_was_quicker", noted)
    meet_before_writing(monkeypatch)
    answers = await race(place)
    assert "23P01" in violations
    assert await place.live() == 1
    assert sum(isinstance(answer, SlotTaken) and len(answer.alternatives) == 3 for answer in answers) == TOGETHER - 1


async def test_moving_onto_each_other_ends_without_a_deadlock(services: Services) -> None:
    place = await make_place(services.sessions, staff=2)
    first, second = await place.book(TEN), await place.book(rome(2, 11))
    await place.book(TEN)
    await place.book(rome(2, 11))
    swaps = [
        booking.move(place.sessions, one.visit.id, one.token, other.visit.starts, NOW)
        for one, other in ((first, second), (second, first))
        for _ in range(3)
    ]
    answers = await asyncio.gather(*swaps, return_exceptions=True)
    assert all(isinstance(answer, SlotTaken | Visit) for answer in answers)
    async with place.sessions.begin() as session:
        starts = select(Appointment.starts).where(Appointment.desk_id == place.desk)
        assert len((await session.execute(starts)).all()) == 4


async def test_a_deadlock_reaches_nobody(
    services: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Two who take their locks in opposite orders: PostgreSQL ends one of them, whose work is done again."""
    place = await make_place(services.sessions, staff=2)
    crossed, meet = list[list[int]](), asyncio.Barrier(2)

    async def take_crosswise(session: Any, wanted: Iterable[int]) -> None:
        if len(crossed) < 2:
            crossed.append(place.staff if crossed else place.staff[::-1])
            order = crossed[-1]
            await lock_resources(session, order[:1])
            await meet.wait()
            await lock_resources(session, order[1:])
        await lock_resources(session, wanted)

    monkeypatch.setattr(recheck, "lock_resources", take_crosswise)
    async with asyncio.timeout(30):
        both = await asyncio.gather(place.book(TEN), place.book(rome(2, 11)))
    assert {one.visit.starts for one in both} == {TEN, rome(2, 11)}
    assert "trying again" in caplog.text


async def test_a_crowd_with_and_without_interpreters_is_never_two_at_once(services: Services) -> None:
    place = await make_place(services.sessions, staff=3)
    for _ in range(2):
        await place.add_resource("interpreter", languages=["ar"])
    starts = [rome(2, 9) + timedelta(minutes=15 * number) for number in range(8)]
    crowd = random.Random(5)

    async def somebody(start: datetime) -> Any:
        helped: dict[str, Any] = {"language": "ar", "interpreter": True} if crowd.random() < 0.5 else {}
        booked = await place.book(start, **helped)
        if crowd.random() < 0.3:
            return await booking.move(place.sessions, booked.visit.id, booked.token, crowd.choice(starts), NOW)
        if crowd.random() < 0.2:
            return await booking.cancel(place.sessions, booked.visit.id, booked.token, NOW)
        return booked

    answers = await asyncio.gather(*(somebody(crowd.choice(starts)) for _ in range(60)), return_exceptions=True)
    assert all(isinstance(answer, Booked | Visit | SlotTaken) for answer in answers), answers
    assert await place.live() > 8
    overlaps = text(
        "SELECT count(*) FROM appointments a JOIN appointments b ON a.id < b.id AND a.blocked && b.blocked"
        " AND (a.resource_id = b.resource_id OR a.interpreter_id = b.interpreter_id)"
        " WHERE a.desk_id = :desk AND a.status = 'confirmed' AND b.status = 'confirmed'"
    )
    async with place.sessions.begin() as session:
        assert (await session.execute(overlaps, {"desk": place.desk})).scalar_one() == 0


# --- one person, two tabs ---


async def test_two_tabs_confirm_one_visit_once(services: Services) -> None:
    place = await make_place(services.sessions)
    held = await booking.hold(place.sessions, place.wish(TEN), NOW)
    tabs = (booking.confirm(place.sessions, held.visit.id, held.token, name, NOW) for name in ("Amina", "Amal"))
    first, second = await asyncio.gather(*tabs)
    assert first == second
    assert await place.live() == 1


async def test_two_tabs_move_one_visit_to_one_place(services: Services) -> None:
    place = await make_place(services.sessions)
    booked = await place.book(TEN)
    wanted = (rome(2, 11), rome(3, 9))
    tabs = (booking.move(place.sessions, booked.visit.id, booked.token, start, NOW) for start in wanted)
    moved = await asyncio.gather(*tabs)
    row = await place.row(booked.visit.id)
    assert (row.sequence, await place.live()) == (2, 1)
    assert row.starts == max(moved, key=lambda visit: visit.sequence).starts
    assert "10:00" in await place.times(2)


async def test_confirmed_in_one_tab_and_cancelled_in_the_other_is_cancelled(services: Services) -> None:
    place = await make_place(services.sessions)
    for _ in range(5):
        held = await booking.hold(place.sessions, place.wish(TEN), NOW)
        own = (place.sessions, held.visit.id, held.token)
        tabs = (booking.confirm(*own, "Amina", NOW), booking.cancel(*own, NOW))
        confirmed, cancelled = await asyncio.gather(*tabs, return_exceptions=True)
        assert isinstance(confirmed, Visit | AppointmentOver | HoldExpired)
        assert isinstance(cancelled, Visit)
        assert (await place.row(held.visit.id)).status == "cancelled"
        assert "10:00" in await place.times(2)
