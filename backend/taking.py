"""What taking a time needs, whoever takes it: locks, the limits of one person, the row."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Integer, Uuid, bindparam, text, update
from sqlalchemy.dialects.postgresql import Range

from backend.availability import Rules
from backend.db import Writer
from backend.errors import NotFound
from backend.models import Desk

DAY_BEFORE, HOURS_BEFORE = timedelta(days=1), timedelta(hours=2)
"""When somebody is reminded of a visit."""
_NEWS_ENOUGH = timedelta(hours=3)
"""Whoever has known of a visit for so short a time before it needs no reminder of it."""
_CODE_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Without those that are taken for another when read aloud or by hand."""
_CODE_LENGTH = 5
_LOCK_CLASS = 0x454C5041
"""Of the advisory locks of resources; the second number is the resource's id."""


_LOCK = text("SELECT pg_advisory_xact_lock(:class, one) FROM unnest(:ids) AS one").bindparams(
    bindparam("ids", type_=ARRAY(Integer()))
)


async def lock_resources(db: Writer, resources: Iterable[int]) -> None:
    """Until the transaction ends; always in the order of their numbers, so that nobody waits in a circle."""
    await db.execute(_LOCK, {"class": _LOCK_CLASS, "ids": sorted(set(resources))})


_SERVING = text("SELECT id FROM resources WHERE desk_id = :desk")


async def lock_servers(db: Writer, desk_id: int) -> set[int]:
    """All who serve or interpret at a desk; returns them."""
    servers = set((await db.execute(_SERVING, {"desk": desk_id})).scalars())
    await lock_resources(db, servers)
    return servers


async def lock_plan(db: Writer, desk_id: int) -> None:
    """Before a change of a desk's hours, kinds or resources. Bookings that are under way end first, and those that read
    what was true before begin anew."""
    await lock_servers(db, desk_id)
    newer = update(Desk).where(Desk.id == desk_id).values(plan_version=Desk.plan_version + 1)
    await db.execute(newer.execution_options(synchronize_session=False))


@dataclass(frozen=True, slots=True)
class Count:
    """Of one person's visits at one desk."""

    coming: int
    most: int
    that_week: int
    most_that_week: int | None

    @property
    def full(self) -> bool:
        return self.coming >= self.most

    @property
    def full_that_week(self) -> bool:
        return self.most_that_week is not None and self.that_week >= self.most_that_week


# A week is one of the desk's own calendar.
_COUNT = text(
    """
    SELECT count(a.id) FILTER (WHERE a.ends > :now), d.most_visits,
        count(a.id) FILTER (WHERE date_trunc('week', a.starts AT TIME ZONE d.zone)
            = date_trunc('week', CAST(:start AS timestamptz) AT TIME ZONE d.zone)), d.most_each_week
    FROM desks d LEFT JOIN appointments a ON a.desk_id = d.id AND a.conversation_id = :conversation
        AND (a.status IN ('pending', 'confirmed', 'arrived', 'done') OR a.status = 'held' AND a.hold_expires > :now)
        AND a.id IS DISTINCT FROM CAST(:ignoring AS uuid)
    WHERE d.id = :desk GROUP BY d.id
    """
).bindparams(bindparam("ignoring", type_=Uuid()))


async def count_visits(
    db: Writer, desk_id: int, conversation_id: UUID, start: datetime, now: datetime, *, ignoring: UUID | None = None
) -> Count:
    """`start` says which week is meant. Right only while the conversation is locked. Raises NotFound."""
    values = {"desk": desk_id, "conversation": conversation_id, "start": start, "now": now, "ignoring": ignoring}
    row = (await db.execute(_COUNT, values)).one_or_none()
    if row is None:
        raise NotFound
    return Count(*row)


_SEATS = text(
    """
    SELECT seat FROM appointments WHERE resource_id = :resource AND starts = :start
      AND status IN ('held', 'pending', 'confirmed', 'arrived')
    """
)


async def find_seat(db: Writer, resource_id: int, start: datetime, capacity: int) -> int | None:
    """Of a workshop: the first that nobody has. None: of what is no workshop, or full."""
    if capacity == 1:
        return None
    taken = set((await db.execute(_SEATS, {"resource": resource_id, "start": start})).scalars())
    return next((seat for seat in range(capacity) if seat not in taken), None)


def new_code() -> str:
    return "".join(secrets.choice(_CODE_LETTERS) for _ in range(_CODE_LENGTH))


def times_of(rules: Rules, start: datetime) -> dict[str, Any]:
    ends = start + timedelta(minutes=rules.minutes)
    return {"starts": start, "ends": ends, "blocked": Range(*rules.blocked(start))}


def reminders_of(start: datetime, now: datetime) -> dict[str, datetime | None]:
    """Of a visit that somebody hears of now: those which it is too late for count as sent."""
    left = start - now
    return {
        "reminded_day_at": now if left < DAY_BEFORE else None,
        "reminded_hours_at": now if left < _NEWS_ENOUGH else None,
    }
