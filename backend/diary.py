"""What is known of a desk's time: hours, who serves, what is taken; and why a moment cannot be booked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from itertools import repeat
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Integer, Row, Uuid, bindparam, column, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.availability import (
    STEP,
    FreeTimes,
    Place,
    Rules,
    Span,
    Worker,
    free_times,
    opened_at,
    who_is_free,
)
from backend.calendars import Hours, load_hours, public_holidays
from backend.errors import AppError, Conflict, NotFound
from backend.models import AppointmentKind, Desk, Resource

ALTERNATIVES = 3
_NEARBY = timedelta(days=8)
"""Around a time that is taken, for other ones."""


class HoursUnknown(Conflict):
    """Nobody has said yet when this desk is open."""

    code = "hours_unknown"


class NoInterpreter(Conflict):
    """The desk has none for this language."""

    code = "no_interpreter"


class NotInLanguage(AppError):
    status = 422
    code = "appointment_language"


class PastTime(AppError):
    status = 422
    code = "appointment_past"


class TooSoon(AppError):
    status = 422
    code = "appointment_too_soon"


class TooFar(AppError):
    status = 422
    code = "appointment_too_far"


class DeskClosed(AppError):
    status = 422
    code = "appointment_closed"


class OnHoliday(AppError):
    status = 422
    code = "appointment_holiday"


class WrongLength(AppError):
    status = 422
    code = "appointment_length"


class OffGrid(AppError):
    """It begins at another minute than visits do."""

    status = 422
    code = "appointment_grid"


@dataclass(frozen=True, slots=True)
class Kind:
    id: int
    desk_id: int
    names: dict[str, str]
    languages: tuple[str, ...]
    rules: Rules
    demo: bool
    """It, or the desk's hours, are examples."""


@dataclass(frozen=True, slots=True)
class Helper:
    """Of a desk: somebody, or a room, with the kind and languages they have."""

    worker: Worker
    kind: str
    languages: frozenset[str]


@dataclass(frozen=True, slots=True)
class Choice:
    """Who can serve a visit at this time."""

    start: datetime
    workers: tuple[int, ...]
    interpreters: tuple[int, ...] = ()
    """Empty when none is wanted."""


@dataclass(frozen=True, slots=True)
class Diary:
    """One kind of appointment at one desk, with everything its times depend on between two moments."""

    kind: Kind
    hours: Hours
    helpers: tuple[Helper, ...]
    start: datetime
    until: datetime
    workers: tuple[Worker, ...] = field(init=False)

    def __post_init__(self) -> None:
        serving = tuple(one.worker for one in self.helpers if one.kind != "interpreter")
        object.__setattr__(self, "workers", serving)

    def interpreters(self, language: str) -> tuple[Worker, ...]:
        return tuple(one.worker for one in self.helpers if one.kind == "interpreter" and language in one.languages)

    def check_language(self, language: str | None, *, interpreter: bool) -> None:
        """Raises NoInterpreter, NotInLanguage."""
        if interpreter:
            if language is None or not self.interpreters(language):
                raise NoInterpreter
        elif language is not None and self.kind.languages and language not in self.kind.languages:
            raise NotInLanguage

    def times(
        self,
        now: datetime,
        *,
        start: datetime | None = None,
        until: datetime | None = None,
        language: str | None = None,
        interpreter: bool = False,
    ) -> FreeTimes:
        """Within what was loaded."""
        helping = self.interpreters(language or "") if interpreter else None
        span = {"start": max(start or self.start, self.start), "until": min(until or self.until, self.until)}
        return free_times(self.hours, self.kind.rules, self.workers, now=now, interpreters=helping, **span)

    def who_is_free(self, start: datetime, now: datetime, *, language: str, interpreter: bool) -> Choice | None:
        asked: dict[str, Any] = {"now": now, "start": start}
        workers = who_is_free(self.hours, self.kind.rules, self.workers, **asked)
        if not interpreter:
            return Choice(start, workers) if workers else None
        alone = replace(self.kind.rules, capacity=1)
        helping = who_is_free(self.hours, alone, self.interpreters(language), **asked)
        return Choice(start, workers, helping) if workers and helping else None

    def check_start(self, start: datetime, now: datetime, *, end: datetime | None = None) -> None:
        """Whether a visit may begin then if nothing is taken. Raises HoursUnknown, WrongLength, PastTime, TooSoon,
        TooFar, OnHoliday, DeskClosed, OffGrid."""
        rules, zone = self.kind.rules, self.hours.zone
        if not self.hours.known_from(now):
            raise HoursUnknown
        if end is not None and end - start != timedelta(minutes=rules.minutes):
            raise WrongLength(minutes=rules.minutes)
        earliest, beyond = rules.bookable(zone, now)
        if start <= now:
            raise PastTime
        if start < earliest:
            raise TooSoon(minutes=rules.lead_minutes)
        if start >= beyond:
            raise TooFar(days=rules.window_days)
        opened = opened_at(self.hours, start)
        if opened is None:
            raise OnHoliday if is_holiday(self.hours, start) else DeskClosed
        if start.timestamp() + rules.minutes * 60 > opened[1]:
            raise DeskClosed
        if (start.timestamp() - opened[0]) % STEP and start not in self._sessions():
            raise OffGrid

    def _sessions(self) -> set[datetime]:
        """When workshops begin that somebody comes to already: also off the grid, when the hours were changed since."""
        sessions = {place.session for worker in self.workers for place in worker.places}
        return {datetime.fromtimestamp(session, self.hours.zone) for session in sessions}


def name_of(names: Mapping[str, str], language: str) -> str:
    """Of a kind, in this language or in the nearest that somebody has written."""
    return names.get(language) or names.get("en") or names.get("it") or min(names.values())


def is_holiday(hours: Hours, moment: datetime) -> bool:
    day = moment.astimezone(hours.zone).date()
    return bool(hours.country) and day not in hours.days and day in public_holidays(hours.country, day.year)


# --- loading: each table once for the whole range ---

_KINDS = (
    AppointmentKind.id,
    AppointmentKind.desk_id,
    AppointmentKind.names,
    AppointmentKind.languages,
    AppointmentKind.minutes,
    AppointmentKind.buffer_before,
    AppointmentKind.buffer_after,
    AppointmentKind.lead_minutes,
    AppointmentKind.window_days,
    AppointmentKind.capacity,
)
# A hold that ran out takes no time any more, whether or not somebody has cleared it away. No visit with its minutes
# takes longer than a day, so that the index by desk and start finds them all. One row for each resource, and one for
# each place in a workshop: thousands of rows would take longer to read than to compute with.
_BUSY = (
    text(
        """
    WITH visits AS MATERIALIZED (
        SELECT resource_id, interpreter_id, kind_id, seat, floor(date_part('epoch', starts))::bigint AS session,
            floor(date_part('epoch', lower(blocked)))::bigint AS begins,
            ceil(date_part('epoch', upper(blocked)))::bigint AS ends
        FROM appointments
        WHERE desk_id = ANY(:desks) AND starts > :start - interval '1 day' AND starts < :until + interval '1 day'
          AND status IN ('held', 'pending', 'confirmed', 'arrived') AND (status <> 'held' OR hold_expires > :now)
          AND id IS DISTINCT FROM CAST(:ignoring AS uuid)
    ), blocks AS (
        SELECT b.resource_id, floor(date_part('epoch', b.starts))::bigint AS begins,
            ceil(date_part('epoch', b.ends))::bigint AS ends
        FROM resource_blocks b JOIN resources r ON r.id = b.resource_id
        WHERE r.desk_id = ANY(:desks) AND b.ends > :start - interval '1 day' AND b.starts < :until + interval '1 day'
    ), taken AS (
        SELECT resource_id, NULL::integer AS kind_id, NULL::bigint AS session, begins, ends FROM visits
        WHERE seat IS NULL
        UNION ALL SELECT interpreter_id, NULL, NULL, begins, ends FROM visits WHERE interpreter_id IS NOT NULL
        UNION ALL SELECT resource_id, NULL, NULL, begins, ends FROM blocks
        UNION ALL SELECT resource_id, kind_id, session, begins, ends FROM visits WHERE seat IS NOT NULL
    )
    SELECT resource_id, kind_id, session, array_agg(begins) AS begins, array_agg(ends) AS ends FROM taken
    GROUP BY resource_id, kind_id, session
    """
    )
    .bindparams(bindparam("desks", type_=ARRAY(Integer())), bindparam("ignoring", type_=Uuid()))
    .columns(
        column("resource_id", Integer),
        column("kind_id", Integer),
        column("session", BigInteger),
        column("begins", ARRAY(BigInteger)),
        column("ends", ARRAY(BigInteger)),
    )
)


async def load_diaries(
    session: AsyncSession,
    kind_ids: Sequence[int],
    start: datetime,
    until: datetime,
    *,
    now: datetime,
    ignoring: UUID | None = None,
) -> dict[int, Diary]:
    """By kind; those that are not offered are left out. `ignoring`: an appointment that is to be moved."""
    query = select(*_KINDS, (AppointmentKind.demo | Desk.demo_hours).label("demo"))
    query = query.join(Desk, Desk.id == AppointmentKind.desk_id)
    rows = (await session.execute(query.where(AppointmentKind.id.in_(kind_ids), AppointmentKind.active))).all()
    kinds = [Kind(r[0], r[1], r[2], tuple(r[3]), Rules(*r[4:10]), r[10]) for r in rows]
    desks = sorted({kind.desk_id for kind in kinds})
    hours = await load_hours(session, desks)
    columns = (Resource.id, Resource.desk_id, Resource.kind, Resource.languages, Resource.availability)
    found = select(*columns).where(Resource.desk_id.in_(desks), Resource.active).order_by(Resource.id)
    resources = (await session.execute(found)).all()
    values = {"desks": desks, "start": start, "until": until, "now": now, "ignoring": ignoring}
    taken = (await session.execute(_BUSY, values)).all()
    return {kind.id: _diary(kind, hours[kind.desk_id], resources, taken, (start, until)) for kind in kinds}


def _diary(
    kind: Kind,
    hours: Hours,
    resources: Sequence[Row[Any]],
    taken: Sequence[Row[Any]],
    between: tuple[datetime, datetime],
) -> Diary:
    busy: dict[int, list[Span]] = {row.id: [] for row in resources if row.desk_id == kind.desk_id}
    places: dict[int, list[Place]] = {resource: [] for resource in busy}
    for resource, of_kind, session, begins, ends in map(tuple, taken):
        if resource not in busy:
            continue
        if of_kind == kind.id:
            places[resource] += map(Place, begins, ends, repeat(session))
        else:
            busy[resource] += zip(begins, ends, strict=True)
    helpers = tuple(
        Helper(
            Worker(row.id, weekly(row.availability, hours), busy[row.id], places[row.id]),
            row.kind,
            frozenset(row.languages),
        )
        for row in resources
        if row.id in busy
    )
    return Diary(kind, hours, helpers, *between)


def weekly(availability: Sequence[tuple[int, str, str]] | None, desk: Hours) -> Hours | None:
    if availability is None:
        return None
    week = ((weekday, time.fromisoformat(opens), time.fromisoformat(closes)) for weekday, opens, closes in availability)
    return Hours(desk.zone, tuple(sorted(week)))


async def load_diary(
    session: AsyncSession,
    desk_id: int,
    kind_id: int,
    start: datetime,
    until: datetime,
    *,
    now: datetime,
    ignoring: UUID | None = None,
) -> Diary:
    """Raises NotFound."""
    diary = (await load_diaries(session, [kind_id], start, until, now=now, ignoring=ignoring)).get(kind_id)
    if diary is None or diary.kind.desk_id != desk_id:
        raise NotFound
    return diary


def nearby(wanted: datetime) -> tuple[datetime, datetime]:
    return wanted - timedelta(days=1), wanted + _NEARBY
