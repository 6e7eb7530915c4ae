"""Whoever is to serve a visit, locked and looked at again: what was found free before may be taken by now.

All that could take the time away goes through the same locks: other bookings, blocked time, and changes of the desk's
hours, kinds and resources, which raise its `plan_version` (`taking.lock_plan`).
"""

import random
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Integer, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.diary import Choice, Diary
from backend.taking import lock_resources


class OfferRanOut(Exception):
    """In the way is what the waiting list offered to somebody who did not answer: it goes to the next one first."""

    def __init__(self, visits: Sequence[UUID]) -> None:
        super().__init__(*visits)
        self.visits = visits


async def lock_and_recheck(
    session: AsyncSession,
    diary: Diary,
    free: Choice,
    now: datetime,
    *,
    ignoring: UUID | None = None,
    own: int | None = None,
    also: Collection[int | None] = (),
) -> dict[str, Any] | None:
    """Columns of whoever serves, with their locks held. `own`: who is to serve if they are free; `also`: whose locks
    are needed besides. None: somebody else was quicker, or the desk has changed. Raises OfferRanOut."""
    resource = own or diary.choose_worker(free)
    interpreter = random.choice(free.interpreters) if free.interpreters else None  # noqa: S311 - nothing secret
    await lock_resources(session, {one for one in (resource, interpreter, *also) if one is not None})
    taken = await taken_seats(session, diary, free.start, (resource, interpreter), now, ignoring)
    if taken is None:
        return None
    seat = None
    if diary.kind.rules.capacity > 1:
        seat = next((one for one in range(diary.kind.rules.capacity) if one not in taken), None)
        if seat is None:
            return None
    return {"resource_id": resource, "interpreter_id": interpreter, "seat": seat}


_RECHECK = text(
    """
    SELECT id, resource_id, kind_id, starts, seat, interpreter_id = ANY(:ids) AS interpreting,
        status = 'held' AND hold_expires <= :now AS over,
        CAST(NULL AS integer) AS plan_version
    FROM appointments
    WHERE (resource_id = ANY(:ids) OR interpreter_id = ANY(:ids)) AND blocked && tstzrange(:from, :until)
      AND status IN ('held', 'pending', 'confirmed', 'arrived') AND id IS DISTINCT FROM CAST(:ignoring AS uuid)
    UNION ALL
    SELECT NULL, resource_id, NULL, NULL, NULL, NULL, false, NULL FROM resource_blocks
    WHERE resource_id = ANY(:ids) AND tstzrange(starts, ends) && tstzrange(:from, :until)
    UNION ALL
    SELECT NULL, NULL, NULL, NULL, NULL, NULL, false, plan_version FROM desks WHERE id = :desk
    """
).bindparams(bindparam("ids", type_=ARRAY(Integer())), bindparam("ignoring", type_=Uuid()))


async def taken_seats(
    session: AsyncSession,
    diary: Diary,
    start: datetime,
    helpers: tuple[int, int | None],
    now: datetime,
    ignoring: UUID | None,
) -> set[int] | None:
    """Of the same workshop; None when anything else touches it, or the desk has changed since the diary was read.
    Raises OfferRanOut."""
    begins, ends = diary.kind.rules.blocked(start)
    ids = [one for one in helpers if one is not None]
    values = {"ids": ids, "from": begins, "until": ends, "now": now, "ignoring": ignoring, "desk": diary.kind.desk_id}
    seats, over = set(), []
    for row in await session.execute(_RECHECK, values):
        if row.over:
            over.append(row.id)
        elif row.plan_version is not None:
            if row.plan_version != diary.plan_version:
                return None
        else:
            same = (row.resource_id, row.kind_id, row.starts) == (helpers[0], diary.kind.id, start)
            if not same or row.seat is None or row.interpreting:
                return None
            seats.add(row.seat)
    if over:
        await clear_away(session, over, now)
    return seats


# The constraint would still count what ran out. What was offered to somebody who waits is not ours to clear away.
_CLEAR = text(
    """
    UPDATE appointments a SET status = 'cancelled', name = NULL, changed_at = now()
    WHERE id = ANY(:ids) AND status = 'held' AND hold_expires <= :now
      AND NOT EXISTS (SELECT 1 FROM waiting_places w WHERE w.offer_id = a.id)
    RETURNING id
    """
).bindparams(bindparam("ids", type_=ARRAY(Uuid())))


async def clear_away(session: AsyncSession, over: Sequence[UUID], now: datetime) -> None:
    """Holds that ran out. Raises OfferRanOut."""
    gone = set((await session.execute(_CLEAR, {"ids": list(over), "now": now})).scalars())
    left = [one for one in over if one not in gone]
    if left:
        raise OfferRanOut(left)
