"""`elp bench booking`: many callers after the same times, and how long it takes to say what is free.

In one process, with the event loop and as many connections as the web process has, on a PostgreSQL server of its own
that writes durably; nothing of the installation is touched. Each caller goes through the same 200 overlapping times,
all at once: a time is tried by everybody before the next one.
"""

import asyncio
import random
import statistics
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from typing import Any

import uvicorn
from sqlalchemy import insert, select, text
from sqlalchemy.dialects.postgresql import Range

from backend import booking
from backend.booking import SlotTaken, Wish
from backend.config import Settings
from backend.db import Sessions, create_engine, create_sessions
from backend.diary import load_diaries
from backend.keys import unlock
from backend.migrations.run import migrate
from backend.models import Appointment, AppointmentKind, Desk, OpeningPeriod, Organisation, Resource
from backend.postgres import temporary
from backend.tokens import secret_hash

DESKS, DAYS, APPOINTMENTS = 5, 90, 4_500
_OVERLAPS = text(
    """
    SELECT count(*) FROM appointments a JOIN appointments b ON a.id < b.id AND a.blocked && b.blocked
      AND (a.resource_id = b.resource_id OR a.interpreter_id = b.interpreter_id)
    WHERE a.status = 'confirmed' AND b.status = 'confirmed'
    """
)


async def _desk(sessions: Sessions, organisation: int, name: str, *, staff: int) -> tuple[int, int, list[int]]:
    """Open every day from eight to six; its id, that of its one kind, and who serves."""
    async with sessions.begin() as session:
        desk = Desk(organisation_id=organisation, name=name, holidays="")
        session.add(desk)
        await session.flush()
        kind = AppointmentKind(desk_id=desk.id, names={"it": name}, minutes=30, lead_minutes=0, window_days=DAYS)
        workers = [Resource(desk_id=desk.id, kind="staff", name=f"{name} {number}") for number in range(staff)]
        week = [{"weekday": day, "opens": clock(8), "closes": clock(18)} for day in range(7)]
        session.add_all([kind, *workers, *(OpeningPeriod(desk_id=desk.id, **period) for period in week)])
        await session.flush()
        return desk.id, kind.id, [worker.id for worker in workers]


async def _race(sessions: Sessions, organisation: int, now: datetime, callers: int, times: int) -> dict[str, Any]:
    desk, kind, _ = await _desk(sessions, organisation, "Race", staff=3)
    until = now + timedelta(days=DAYS)
    async with sessions.begin() as session:
        _, found = await booking.free_times(session, desk, kind, now=now, start=now, until=until)
    wanted = [one.start for one in found[:times]]
    answers: Counter[str] = Counter()
    taken: list[float] = []

    async def caller() -> None:
        for start in wanted:
            began = time.perf_counter()
            try:
                await booking.book(sessions, Wish(desk, kind, start, "it"), "Somebody", now)
                answers["booked"] += 1
            except SlotTaken as error:
                answers["slot_taken"] += 1
                answers["without_alternatives"] += not error.alternatives
            except Exception as error:
                answers[f"error {type(error).__name__}"] += 1
            taken.append((time.perf_counter() - began) * 1000)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    seconds = time.perf_counter() - began
    async with sessions.begin() as session:
        double = (await session.execute(_OVERLAPS)).scalar_one()
        deadlocks = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        seen = (await session.execute(deadlocks)).scalar_one()
    errors = {name: count for name, count in answers.items() if name.startswith("error")}
    return {
        "callers": callers,
        "times": len(wanted),
        "resources": 3,
        "attempts": len(taken),
        "booked": answers["booked"],
        "slot_taken": answers["slot_taken"],
        "without_alternatives": answers["without_alternatives"],
        "double_bookings": double,
        "errors": errors,
        "deadlocks_in_postgresql": seen,
        "attempts_per_s": round(len(taken) / seconds, 1),
        **_cuts(taken),
    }


async def _fill(sessions: Sessions, organisation: int, now: datetime) -> list[int]:
    """Appointments all over the range, as dense as stated; the kinds of the desks."""
    kinds, random_of = [], random.Random(5)  # noqa: S311 - the same each time, nothing secret
    for number in range(DESKS):
        desk, kind, workers = await _desk(sessions, organisation, f"Desk {number}", staff=2)
        kinds.append(kind)
        rows: list[dict[str, Any]] = []
        first = now.date() + timedelta(days=1)
        places = [(day, worker, slot) for day in range(DAYS) for worker in workers for slot in range(20)]
        for day, worker, slot in random_of.sample(places, APPOINTMENTS // DESKS):
            opens = datetime.combine(date.fromordinal(first.toordinal() + day), clock(7), UTC)
            starts = opens + timedelta(minutes=30 * slot)
            ends, name = starts + timedelta(minutes=30), f"{number}-{len(rows)}"
            row = {"desk_id": desk, "kind_id": kind, "resource_id": worker, "starts": starts, "ends": ends, "uid": name}
            row |= {"blocked": Range(starts, ends), "status": "confirmed", "code": name, "language": "it"}
            rows.append(row | {"token_hash": secret_hash(name), "name": "Somebody"})
        async with sessions.begin() as session:
            await session.execute(insert(Appointment), rows)
    return kinds


async def _free(sessions: Sessions, organisation: int, now: datetime, rounds: int) -> dict[str, Any]:
    kinds = await _fill(sessions, organisation, now)
    async with sessions() as session:  # as the server does by itself after a while
        await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        await session.execute(text("VACUUM ANALYZE appointments"))
    async with sessions.begin() as session:
        number = (await session.execute(select(Appointment.id).where(Appointment.kind_id.in_(kinds)))).all()
    taken, found, until = list[float](), 0, now + timedelta(days=DAYS)
    for _ in range(rounds):
        began = time.perf_counter()
        async with sessions.begin() as session:
            diaries = await load_diaries(session, kinds, now, until, now=now)
        found = sum(len(diary.times(now)) for diary in diaries.values())
        taken.append((time.perf_counter() - began) * 1000)
    return {"desks": DESKS, "days": DAYS, "appointments": len(number), "free_times": found, **_cuts(taken)}


def _cuts(times: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100)
    return {"p50_ms": round(cuts[49], 1), "p95_ms": round(cuts[94], 1), "p99_ms": round(cuts[98], 1)}


async def _run(url: str, pool: int, callers: int, times: int) -> dict[str, Any]:
    engine = create_engine(url, pool_size=pool)
    sessions, now = create_sessions(engine), datetime.now(UTC)
    try:
        async with sessions.begin() as session:
            organisation = Organisation(name="Bench")
            session.add(organisation)
        free = await _free(sessions, organisation.id, now, rounds=100)
        race = await _race(sessions, organisation.id, now, callers, times)
        return {"connections": pool, "race": race, "free_times": free}
    finally:
        await engine.dispose()


def bench_booking(settings: Settings, *, callers: int, times: int) -> dict[str, Any]:
    with temporary(durable=True) as server:
        unlock(settings, create=True)
        migrate(server.url)
        with asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner:
            return runner.run(_run(server.url, settings.database_pool, callers, times))
