"""Somebody else of the desk who is free at the time of a visit, when whoever was to serve it or to interpret is not
there. The person is told nothing: day, hour and place stay, and nobody was promised to them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Integer, Row, Uuid, bindparam, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.access import Staff
from backend.calendars import Hours, load_hours
from backend.desk_visits import VisitTimeTaken, record
from backend.diary import covers, weekly
from backend.models import Appointment, Desk, Resource
from backend.recheck import clear_away
from backend.taking import find_seat


@dataclass(frozen=True, slots=True)
class Replacement:
    """Who serves and who interprets instead, or still."""

    resource_id: int
    interpreter_id: int | None
    name: str
    """Of whoever is new; read at the desk only."""


Missing = Mapping[UUID, Collection[int]]
"""By visit: those of its resources that are not there."""
_Span = tuple[datetime, datetime]


@dataclass(slots=True)
class _Server:
    id: int
    kind: str
    name: str
    languages: frozenset[str]
    hours: Hours | None
    taken: list[tuple[_Span, object]] = field(default_factory=list)
    """With the workshop it is part of, if it is one."""

    def free(self, visit: Row[Any], open_: Hours) -> bool:
        there = covers(open_, visit.starts, visit.ends) and covers(self.hours, visit.starts, visit.ends)
        begins, ends = visit.blocked.lower, visit.blocked.upper
        others = [of for (start, until), of in self.taken if start < ends and begins < until]
        together = _workshop(visit) is not None and all(of == _workshop(visit) for of in others)
        return there and (not others or (together and len(others) < visit.capacity))

    def take(self, visit: Row[Any]) -> None:
        self.taken.append(((visit.blocked.lower, visit.blocked.upper), _workshop(visit)))


def _workshop(visit: Row[Any]) -> object:
    return None if visit.seat is None else (visit.kind_id, visit.starts)


# Offers that ran out still count: they are passed on by the worker.
_LIVE = """
    a.status IN ('held', 'pending', 'confirmed', 'arrived') AND (a.status <> 'held' OR a.hold_expires > :now
        OR EXISTS (SELECT 1 FROM waiting_places w WHERE w.offer_id = a.id))
"""
_VISITS = text(
    """
    SELECT a.id, a.kind_id, a.resource_id, a.interpreter_id, a.starts, a.ends, a.blocked, a.seat, a.language, k.capacity
    FROM appointments a JOIN appointment_kinds k ON k.id = a.kind_id
    WHERE a.id = ANY(:ids) AND a.desk_id = :desk AND a.status IN ('held', 'pending', 'confirmed') AND a.starts > :now
    ORDER BY a.starts, a.id
    """
).bindparams(bindparam("ids", type_=ARRAY(Uuid())))
_TAKEN = text(
    f"""
    SELECT a.resource_id, a.interpreter_id, a.blocked, a.seat, a.kind_id, a.starts FROM appointments a
    WHERE a.desk_id = :desk AND a.blocked && tstzrange(:from, :until) AND {_LIVE}
    UNION ALL
    SELECT b.resource_id, NULL, tstzrange(b.starts, b.ends), NULL, NULL, NULL
    FROM resource_blocks b JOIN resources r ON r.id = b.resource_id
    WHERE r.desk_id = :desk AND tstzrange(b.starts, b.ends) && tstzrange(:from, :until)
    """  # noqa: S608 - our own words
)


async def find_replacements(
    session: AsyncSession, desk_id: int, missing: Missing, now: datetime
) -> dict[UUID, Replacement]:
    """For each of these visits somebody who is free; all of them can be given away together. Those without anybody are
    left out."""
    rows = (await session.execute(_VISITS, {"ids": list(missing), "desk": desk_id, "now": now})).all()
    if not rows:
        return {}
    hours = (await load_hours(session, [desk_id]))[desk_id]
    servers = await _load_servers(session, desk_id, rows, hours, now)
    found = {}
    for visit in rows:
        instead = _replace(visit, servers, missing[visit.id], hours)
        if instead is not None:
            found[visit.id] = instead
    return found


async def _load_servers(
    session: AsyncSession, desk_id: int, visits: Sequence[Row[Any]], hours: Hours, now: datetime
) -> dict[int, _Server]:
    columns = (Resource.id, Resource.kind, Resource.name, Resource.languages, Resource.availability)
    query = select(*columns).where(Resource.desk_id == desk_id, Resource.active).order_by(Resource.id)
    servers = {
        row.id: _Server(row.id, row.kind, row.name, frozenset(row.languages), weekly(row.availability, hours))
        for row in await session.execute(query)
    }
    between = {"from": min(one.blocked.lower for one in visits), "until": max(one.blocked.upper for one in visits)}
    for taken in await session.execute(_TAKEN, {"desk": desk_id, "now": now, **between}):
        for one in {taken.resource_id, taken.interpreter_id} & servers.keys():
            servers[one].take(taken)
    return servers


def _replace(
    visit: Row[Any], servers: Mapping[int, _Server], missing: Collection[int], hours: Hours
) -> Replacement | None:
    new = []
    resource, interpreter = visit.resource_id, visit.interpreter_id
    if resource in missing:
        kind = servers[resource].kind if resource in servers else "staff"
        able = (one for one in servers.values() if one.kind != "interpreter" and one.id not in missing)
        other = _first_free(visit, sorted(able, key=lambda one: one.kind != kind), hours)
        if other is None:
            return None
        new.append(other)
        resource = other.id
    if interpreter is not None and interpreter in missing:
        able = (one for one in servers.values() if one.kind == "interpreter" and one.id not in missing)
        other = _first_free(visit, (one for one in able if visit.language in one.languages), hours)
        if other is None:
            return None
        new.append(other)
        interpreter = other.id
    for one in new:
        one.take(visit)
    return Replacement(resource, interpreter, ", ".join(one.name for one in new)) if new else None


def _first_free(visit: Row[Any], servers: Iterable[_Server], hours: Hours) -> _Server | None:
    """Whoever has the same workshop already comes first."""
    free = [one for one in servers if one.free(visit, hours)]
    shared = (one for one in free if _workshop(visit) and any(of == _workshop(visit) for _, of in one.taken))
    return next(shared, free[0] if free else None)


_OVER = text(
    """
    SELECT id FROM appointments a WHERE (resource_id = ANY(:ids) OR interpreter_id = ANY(:ids)) AND id <> :visit
      AND blocked && (SELECT blocked FROM appointments WHERE id = :visit)
      AND status = 'held' AND hold_expires <= :now
      AND NOT EXISTS (SELECT 1 FROM waiting_places w WHERE w.offer_id = a.id)
    """
).bindparams(bindparam("ids", type_=ARRAY(Integer())), bindparam("visit", type_=Uuid()))
_WORKSHOP = text(
    """
    SELECT a.starts, k.capacity FROM appointments a JOIN appointment_kinds k ON k.id = a.kind_id
    WHERE a.id = :visit AND a.seat IS NOT NULL
    """
).bindparams(bindparam("visit", type_=Uuid()))


async def give(
    session: AsyncSession, staff: Staff, desk: Desk, visit_id: UUID, instead: Replacement, now: datetime
) -> None:
    """Under the locks of all who serve at the desk. Raises VisitTimeTaken: the constraint has the last word."""
    ids = [one for one in (instead.resource_id, instead.interpreter_id) if one is not None]
    over = await session.execute(_OVER, {"ids": ids, "visit": visit_id, "now": now})
    await clear_away(session, list(over.scalars()), now)
    values: dict[str, Any] = {"resource_id": instead.resource_id, "interpreter_id": instead.interpreter_id}
    workshop = (await session.execute(_WORKSHOP, {"visit": visit_id})).one_or_none()
    if workshop is not None:
        values["seat"] = await find_seat(session, instead.resource_id, workshop.starts, workshop.capacity)
    try:
        await session.execute(update(Appointment).where(Appointment.id == visit_id).values(**values))
    except IntegrityError as error:
        raise VisitTimeTaken from error
    await record(session, staff, desk, visit_id, "appointment.given")
