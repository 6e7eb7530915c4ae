"""A time that became free is offered to whoever has waited longest for one like it, before anybody else sees it.

The visit that leaves and the one that is held for the person who waits change in one transaction, under the locks of
whoever serves: at no moment is the time free for others (design section 6, decision 19).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from backend.db import Writer
from backend.diary import Diary, load_diary
from backend.errors import NotFound
from backend.models import Appointment, Resource, WaitingPlace
from backend.taking import count_visits, lock_resources, new_code, times_of
from backend.tokens import new_token, secret_hash
from backend.visit_news import load_entries, tell
from backend.visits import COLUMNS, Visit, visit_of

LONGEST = timedelta(hours=2)
"""An offer holds; shorter when the visit begins soon."""
SHORTEST = timedelta(minutes=15)
"""Nobody is asked who would have less time to answer."""
HELD_LONGER = timedelta(minutes=2)
"""Than the offer holds, so that the next one is asked before the time is free for everybody."""
_CODES = 5


async def offer_freed(db: Writer, visit: Visit, now: datetime) -> None:
    """In the transaction that frees the time, after the change. `visit`: as it was while it took its time. A hold that
    nobody confirmed frees nothing that was not free for all before; one that was an offer does."""
    if visit.status != "held" or await _let_go(db, visit, now):
        await _offer(db, visit, now)


async def accepted(db: Writer, visit_id: UUID) -> None:
    """A visit was confirmed: whoever it was offered to does not wait any more."""
    await db.execute(delete(WaitingPlace).where(WaitingPlace.offer_id == visit_id))


async def forget_places(db: Writer, conversations: Sequence[UUID], freed: Sequence[Visit], now: datetime) -> None:
    """Nobody in these conversations waits any more; what they leave free is offered to others."""
    gone = delete(WaitingPlace).where(WaitingPlace.conversation_id.in_(conversations)).returning(WaitingPlace.offer_id)
    offered = set((await db.execute(gone)).scalars())
    for visit in freed:
        if visit.status != "held" or visit.id in offered:
            await _offer(db, visit, now)


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


async def _offer(db: Writer, visit: Visit, now: datetime) -> None:
    if visit.desk_id is None or visit.resource_id is None:
        return
    values = {"desk": visit.desk_id, "start": visit.starts, "whose": visit.conversation_id, "soonest": now + SHORTEST}
    for one in (await db.execute(_IN_LINE, values)).all():
        place = (await db.execute(_LOCKED, {**values, "place": one.id})).one_or_none()
        if place is not None and await _offer_to(db, place, visit, now):
            return


async def _offer_to(db: Writer, place: Row[Any], visit: Visit, now: datetime) -> bool:
    """Whether it suits this one."""
    assert visit.desk_id is not None
    count = await count_visits(db, visit.desk_id, place.conversation_id, visit.starts, now)
    if count.full or count.full_that_week:
        return False
    found = await _who_serves(db, place, visit, now)
    if found is None:
        return False
    diary, served = found
    until = min(now + LONGEST, visit.starts - timedelta(minutes=place.lead_minutes))
    values = served | times_of(diary.kind.rules, visit.starts)
    values |= {"desk_id": visit.desk_id, "kind_id": place.kind_id, "conversation_id": place.conversation_id}
    values |= {"language": place.language, "demo": diary.kind.demo, "token_hash": secret_hash(new_token())}
    held = await _hold(db, values | {"status": "held", "hold_expires": until + HELD_LONGER})
    if held is None:
        return False
    offered = {"offer_id": held.id, "offered_until": until}
    await db.execute(update(WaitingPlace).where(WaitingPlace.id == place.id).values(**offered))
    find_entry = await load_entries(db, held)
    return await tell(db, held, "offer", find_entry=find_entry, now=now, place=place.id, until=until)


async def _who_serves(
    db: Writer, place: Row[Any], visit: Visit, now: datetime
) -> tuple[Diary, dict[str, int | None]] | None:
    """Whoever served the visit that left, with somebody who interprets where that is wished for; looked for under their
    locks, so that what is found stays true."""
    assert visit.desk_id is not None
    assert visit.resource_id is not None
    helping = select(Resource.id).where(Resource.desk_id == visit.desk_id, Resource.kind == "interpreter")
    interpreters = (await db.execute(helping)).scalars().all() if place.interpreter else []
    await lock_resources(db, (visit.resource_id, *interpreters))
    end = visit.starts + timedelta(seconds=1)
    try:
        diary = await load_diary(db, visit.desk_id, place.kind_id, visit.starts, end, now=now)
    except NotFound:
        return None
    free = diary.who_is_free(visit.starts, now, language=place.language, interpreter=place.interpreter)
    if free is None or visit.resource_id not in free.workers:
        return None
    served = {"resource_id": visit.resource_id, "interpreter_id": free.interpreters[0] if free.interpreters else None}
    return diary, served | {"seat": await _find_seat(db, diary, visit)}


async def _find_seat(db: Writer, diary: Diary, visit: Visit) -> int | None:
    """Of a workshop: the first that nobody has."""
    capacity = diary.kind.rules.capacity
    if capacity == 1:
        return None
    rows = await db.execute(_SEATS, {"resource": visit.resource_id, "start": visit.starts})
    taken = set(rows.scalars())
    return next(seat for seat in range(capacity) if seat not in taken)


_SEATS = text(
    """
    SELECT seat FROM appointments WHERE resource_id = :resource AND starts = :start
      AND status IN ('held', 'pending', 'confirmed', 'arrived')
    """
)


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
