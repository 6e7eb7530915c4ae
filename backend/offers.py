"""A time that became free is offered to whoever has waited longest for one like it, before anybody else sees it.

The visit that leaves and the one that is held for the person who waits change in one transaction, under the locks of
whoever serves: at no moment is the time free for others (design section 6, decision 19). Locks are taken in the order
of their numbers: whoever has some already took those that are needed here with them (`find_servers`).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from backend.db import Writer
from backend.diary import Diary, load_diary
from backend.errors import NotFound
from backend.models import Appointment, Resource, WaitingPlace
from backend.taking import count_visits, find_seat, lock_resources, new_code, times_of
from backend.tokens import new_token, secret_hash
from backend.visit_news import load_entries, tell, tell_waiting_is_over
from backend.visits import COLUMNS, Visit, visit_of

LONGEST = timedelta(hours=2)
"""An offer holds; shorter when the visit begins soon."""
SHORTEST = timedelta(minutes=15)
"""Nobody is asked who would have less time to answer."""
HELD_LONGER = timedelta(minutes=2)
"""Than the offer holds, so that the next one is asked before the time is free for everybody."""
_CODES = 5


@dataclass(frozen=True, slots=True)
class Freed:
    """A time at which somebody can serve again."""

    desk_id: int
    resource_id: int
    starts: datetime
    whose: UUID | None = None
    """The conversation that gave it back; it is not asked."""


def _freed(visits: Iterable[Visit]) -> list[Freed]:
    return [
        Freed(one.desk_id, one.resource_id, one.starts, one.conversation_id)
        for one in visits
        if one.desk_id is not None and one.resource_id is not None
    ]


async def offer_freed(db: Writer, visit: Visit, now: datetime, *, locked: Collection[int] | None = None) -> None:
    """In the transaction that frees the time, after the change. `visit`: as it was while it took its time. A hold that
    nobody confirmed frees nothing that was not free for all before; one that was an offer does. `locked`: resources
    whose locks are held, for whoever holds some; then no others are taken."""
    held = visit.status == "held"
    if not held or await _let_go(db, visit, now):
        for one in _freed([visit]):
            await _offer(db, one, now, locked)
    if held and visit.desk_id is not None:
        await dismiss(db, visit.desk_id, now)


async def find_servers(db: Writer, visits: Sequence[Visit], now: datetime) -> set[int]:
    """Resources whose locks are needed to offer the times of these visits; empty when nobody waits for one."""
    found = set[int]()
    for one in _freed(visits):
        line = (await db.execute(_IN_LINE, _line_of(one, now))).all()
        found |= await _servers(db, one, line) if line else set()
    return found


async def pass_on_over(db: Writer, visit_id: UUID, now: datetime) -> None:
    """An offer that nobody answered, and whose time is wanted by somebody else: the next one is asked before."""
    over = (Appointment.id == visit_id, Appointment.status == "held", Appointment.hold_expires <= now)
    gone = update(Appointment).where(*over).values(status="cancelled", name=None).returning(*COLUMNS)
    row = (await db.execute(gone)).one_or_none()
    if row is not None:
        await offer_freed(db, replace(visit_of(row), status="held"), now)


async def accepted(db: Writer, visit_id: UUID) -> None:
    """A visit was confirmed: whoever it was offered to does not wait any more."""
    await db.execute(delete(WaitingPlace).where(WaitingPlace.offer_id == visit_id))


async def forget_places(db: Writer, conversations: Sequence[UUID], freed: Sequence[Visit], now: datetime) -> None:
    """Nobody in these conversations waits any more; what they leave free is offered to others."""
    gone = delete(WaitingPlace).where(WaitingPlace.conversation_id.in_(conversations)).returning(WaitingPlace.offer_id)
    offered = set((await db.execute(gone)).scalars())
    left = [visit for visit in freed if visit.status != "held" or visit.id in offered]
    locked = await find_servers(db, left, now)
    await lock_resources(db, locked)
    for one in _freed(left):
        await _offer(db, one, now, locked)


async def dismiss(db: Writer, desk_id: int, now: datetime) -> None:
    """Whoever waits for what the desk does not offer any more is told so, and waits no longer. Whoever was offered a
    time before may still take it."""
    query = text(
        """
        SELECT w.id, w.conversation_id FROM waiting_places w JOIN appointment_kinds k ON k.id = w.kind_id
        WHERE k.desk_id = :desk AND NOT k.active AND w.offer_id IS NULL ORDER BY w.conversation_id
        """
    )
    for place, conversation in (await db.execute(query, {"desk": desk_id})).all():
        await tell_waiting_is_over(db, conversation, desk_id)
        await db.execute(delete(WaitingPlace).where(WaitingPlace.id == place, WaitingPlace.offer_id.is_(None)))


async def _let_go(db: Writer, visit: Visit, now: datetime) -> bool:
    """Whether it was an offer. Whose it was is asked again last, and about this time never."""
    declined = func.array_append(WaitingPlace.declined, visit.starts)
    values = {"offer_id": None, "offered_until": None, "declined": declined, "asked_at": now}
    own = update(WaitingPlace).where(WaitingPlace.offer_id == visit.id).values(**values)
    return (await db.execute(own.returning(WaitingPlace.id))).one_or_none() is not None


# Whoever waits at this desk for such a day and hour, and whose own time it was not. A place is looked at again once it
# is locked: another time may have been offered to it meanwhile.
_LINE = """
    SELECT w.id, w.conversation_id, w.kind_id, w.language, w.interpreter, k.lead_minutes
    FROM waiting_places w JOIN appointment_kinds k ON k.id = w.kind_id JOIN desks d ON d.id = k.desk_id
    JOIN conversations c ON c.id = w.conversation_id
    WHERE k.desk_id = :desk AND k.active AND c.state <> 'UNREACHABLE'
      AND w.conversation_id IS DISTINCT FROM CAST(:whose AS uuid)
      AND w.offer_id IS NULL AND NOT (CAST(:start AS timestamptz) = ANY(w.declined))
      AND CAST(CAST(:start AS timestamptz) AT TIME ZONE d.zone AS date)
          BETWEEN coalesce(w.first_day, '-infinity') AND coalesce(w.last_day, 'infinity')
      AND coalesce(w.part, '') IN ('', CASE WHEN CAST(CAST(:start AS timestamptz) AT TIME ZONE d.zone AS time) < '13:00'
          THEN 'morning' ELSE 'afternoon' END)
      AND CAST(:start AS timestamptz) - make_interval(mins => k.lead_minutes) >= :soonest
"""
_IN_LINE = text(_LINE + " ORDER BY w.asked_at, w.id")
_LOCKED = text(_LINE + " AND w.id = :place FOR NO KEY UPDATE OF c, w")


def _line_of(freed: Freed, now: datetime) -> dict[str, Any]:
    return {"desk": freed.desk_id, "start": freed.starts, "whose": freed.whose, "soonest": now + SHORTEST}


async def _offer(db: Writer, freed: Freed, now: datetime, locked: Collection[int] | None) -> None:
    values = _line_of(freed, now)
    line = (await db.execute(_IN_LINE, values)).all()
    for one in line:
        place = (await db.execute(_LOCKED, {**values, "place": one.id})).one_or_none()
        if place is None:
            continue
        if locked is None:
            locked = await _servers(db, freed, line)
            await lock_resources(db, locked)
        if await _offer_to(db, place, freed, now, locked):
            return


async def offer_time(db: Writer, place_id: UUID, freed: Freed, now: datetime, locked: Collection[int]) -> bool:
    """To this one who waits; whether it suits them."""
    place = (await db.execute(_LOCKED, {**_line_of(freed, now), "place": place_id})).one_or_none()
    return place is not None and await _offer_to(db, place, freed, now, locked)


async def _servers(db: Writer, freed: Freed, line: Sequence[Row[Any]]) -> set[int]:
    """Whoever serves, and all who interpret there where somebody in the line wishes for that."""
    if not any(one.interpreter for one in line):
        return {freed.resource_id}
    helping = select(Resource.id).where(Resource.desk_id == freed.desk_id, Resource.kind == "interpreter")
    return {freed.resource_id, *(await db.execute(helping)).scalars()}


async def _offer_to(db: Writer, place: Row[Any], freed: Freed, now: datetime, locked: Collection[int]) -> bool:
    """Whether it suits this one."""
    count = await count_visits(db, freed.desk_id, place.conversation_id, freed.starts, now)
    if count.full or count.full_that_week:
        return False
    found = await _who_serves(db, place, freed, now, locked)
    if found is None:
        return False
    diary, served = found
    until = min(now + LONGEST, freed.starts - timedelta(minutes=place.lead_minutes))
    values = served | times_of(diary.kind.rules, freed.starts)
    values |= {"desk_id": freed.desk_id, "kind_id": place.kind_id, "conversation_id": place.conversation_id}
    values |= {"language": place.language, "demo": diary.kind.demo, "token_hash": secret_hash(new_token())}
    held = await _hold(db, values | {"status": "held", "hold_expires": until + HELD_LONGER})
    if held is None:
        return False
    offered = {"offer_id": held.id, "offered_until": until}
    await db.execute(update(WaitingPlace).where(WaitingPlace.id == place.id).values(**offered))
    find_entry = await load_entries(db, held)
    return await tell(db, held, "offer", find_entry=find_entry, now=now, place=place.id, until=until)


async def _who_serves(
    db: Writer, place: Row[Any], freed: Freed, now: datetime, locked: Collection[int]
) -> tuple[Diary, dict[str, int | None]] | None:
    """Whoever has the time, with somebody who interprets where that is wished for; looked for under their locks, so
    that what is found stays true."""
    end = freed.starts + timedelta(seconds=1)
    try:
        diary = await load_diary(db, freed.desk_id, place.kind_id, freed.starts, end, now=now)
    except NotFound:
        return None
    free = diary.who_is_free(freed.starts, now, language=place.language, interpreter=place.interpreter)
    if free is None or freed.resource_id not in free.workers or freed.resource_id not in locked:
        return None
    interpreter = next((one for one in free.interpreters if one in locked), None)
    if place.interpreter and interpreter is None:
        return None
    seat = await find_seat(db, freed.resource_id, freed.starts, diary.kind.rules.capacity)
    if seat is None and diary.kind.rules.capacity > 1:
        return None
    return diary, {"resource_id": freed.resource_id, "interpreter_id": interpreter, "seat": seat}


async def _hold(db: Writer, values: dict[str, Any]) -> Visit | None:
    """None when the time is not free after all: the constraint behind the locks has the last word."""
    for _ in range(_CODES):  # a code that somebody has is drawn again
        made = uuid4()
        row = {"id": made, "code": new_code(), "uid": f"{made}@elp", **values}
        stored = await db.execute(insert(Appointment).values(row).on_conflict_do_nothing().returning(*COLUMNS))
        found = stored.one_or_none()
        if found is not None:
            return visit_of(found)
    return None
