"""What is known of a desk's time: hours, who serves, what is taken; and why a moment cannot be booked."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import repeat
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Uuid, bindparam, text

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
from backend.calendars import HOURS, Hours, hours_of, public_holidays, week_of
from backend.db import Writer
from backend.errors import AppError, Conflict, NotFound

ALTERNATIVES = 3


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
    plan_version: int = 0
    """Of the desk, when it was read."""
    workers: tuple[Worker, ...] = field(init=False)

    def __post_init__(self) -> None:
        serving = tuple(one.worker for one in self.helpers if one.kind != "interpreter")
        object.__setattr__(self, "workers", serving)

    def for_desk(self) -> "Diary":
        """As those who answer there book for somebody: how long before is nothing they have to keep to."""
        return replace(self, kind=replace(self.kind, rules=replace(self.kind.rules, lead_minutes=0)))

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

    def choose_worker(self, free: Choice) -> int:
        """By lot, so that not all wait for the same one. A workshop is filled before another begins beside it."""
        if self.kind.rules.capacity == 1:
            return random.choice(free.workers)  # noqa: S311 - nothing secret
        at = int(free.start.timestamp())
        begun = (one.id for one in self.workers if any(place.session == at for place in one.places))
        return next((one for one in begun if one in free.workers), min(free.workers))

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


# --- loading: each table once for the whole range, all in one statement ---

# A hold that ran out takes no time any more, whether or not somebody has cleared it away. No visit with its minutes
# takes longer than a day, so that the index by desk and start finds them all. What is taken comes as one row for each
# resource, and one for each workshop: thousands of rows would take longer to read than to compute with. The planner is
# kept from looking at the values: it would plan anew each time, which takes longer than the statement.
_LOAD = text(
    f"""
    WITH asked AS MATERIALIZED (
        SELECT CAST(:kinds AS bigint[]) AS kinds, CAST(:start AS timestamptz) - interval '1 day' AS start,
            CAST(:until AS timestamptz) + interval '1 day' AS until, CAST(:now AS timestamptz) AS now,
            CAST(:ignoring AS uuid) AS ignoring
    )
    SELECT d.id, d.demo_hours, d.plan_version, {HOURS}, (
        SELECT json_agg(json_build_array(id, names, languages, demo,
            minutes, buffer_before, buffer_after, lead_minutes, window_days, capacity))
        FROM appointment_kinds WHERE desk_id = d.id AND id = ANY(CAST((SELECT kinds FROM asked) AS bigint[])) AND active
    ) AS kinds, (
        SELECT json_agg(json_build_array(id, kind, languages, availability) ORDER BY id)
        FROM resources WHERE desk_id = d.id AND active
    ) AS resources, (
        SELECT json_agg(json_build_array(resource_id, interpreter_id, workshop, session, begins, ends)) FROM (
            SELECT resource_id, interpreter_id, CASE WHEN seat IS NOT NULL THEN kind_id END AS workshop,
                CASE WHEN seat IS NOT NULL THEN floor(date_part('epoch', starts))::bigint END AS session,
                array_agg(floor(date_part('epoch', lower(blocked)))::bigint) AS begins,
                array_agg(ceil(date_part('epoch', upper(blocked)))::bigint) AS ends
            FROM appointments
            WHERE desk_id = d.id AND starts > (SELECT start FROM asked) AND starts < (SELECT until FROM asked)
              AND status IN ('held', 'pending', 'confirmed', 'arrived')
              AND (status <> 'held' OR hold_expires > (SELECT now FROM asked))
              AND id IS DISTINCT FROM (SELECT ignoring FROM asked)
            GROUP BY 1, 2, 3, 4
        ) AS visits
    ) AS visits, (
        SELECT json_agg(json_build_array(b.resource_id,
            floor(date_part('epoch', b.starts))::bigint, ceil(date_part('epoch', b.ends))::bigint))
        FROM resource_blocks b JOIN resources r ON r.id = b.resource_id
        WHERE r.desk_id = d.id AND b.ends > (SELECT start FROM asked) AND b.starts < (SELECT until FROM asked)
    ) AS blocks
    FROM desks d
    WHERE d.id IN (SELECT desk_id FROM appointment_kinds WHERE id = ANY(CAST((SELECT kinds FROM asked) AS bigint[])))
    """  # noqa: S608 - our own columns
).bindparams(bindparam("ignoring", type_=Uuid()))


async def load_diaries(
    session: Writer,
    kind_ids: Sequence[int],
    start: datetime,
    until: datetime,
    *,
    now: datetime,
    ignoring: UUID | None = None,
) -> dict[int, Diary]:
    """By kind; those that are not offered are left out. `ignoring`: an appointment that is to be moved."""
    values = {"kinds": list(kind_ids), "start": start, "until": until, "now": now, "ignoring": ignoring}
    rows = (await session.execute(_LOAD, values)).all()
    return {diary.kind.id: diary for row in rows for diary in _diaries(row, start, until)}


def _diaries(row: Row[Any], start: datetime, until: datetime) -> Iterator[Diary]:
    """Of one desk."""
    hours = hours_of(row.zone, row.holidays, row.week, row.days)
    for kind_id, names, languages, demo, *rules in row.kinds or ():
        kind = Kind(kind_id, row.id, names, tuple(languages), Rules(*rules), demo or row.demo_hours)
        yield Diary(kind, hours, _helpers(row, kind_id, hours), start, until, row.plan_version)


def _helpers(row: Row[Any], kind_id: int, hours: Hours) -> tuple[Helper, ...]:
    busy: dict[int | None, list[Span]] = {resource: [] for resource, *_ in row.resources or ()}
    places: dict[int | None, list[Place]] = {resource: [] for resource in busy}
    for resource, interpreter, workshop, session, begins, ends in row.visits or ():
        if workshop == kind_id and resource in places:
            places[resource] += map(Place, begins, ends, repeat(session))
        elif resource in busy:
            busy[resource] += zip(begins, ends, strict=True)
        if interpreter in busy:
            busy[interpreter] += zip(begins, ends, strict=True)
    for resource, begins, ends in row.blocks or ():
        if resource in busy:
            busy[resource].append((begins, ends))
    return tuple(
        Helper(Worker(one, weekly(availability, hours), busy[one], places[one]), kind, frozenset(languages))
        for one, kind, languages, availability in row.resources or ()
    )


def weekly(availability: Sequence[tuple[int, str, str]] | None, desk: Hours) -> Hours | None:
    return None if availability is None else Hours(desk.zone, week_of(availability))


def covers(hours: Hours | None, starts: datetime, ends: datetime) -> bool:
    """Whether a visit lies within one opening; None: whenever the desk is open."""
    if hours is None:
        return True
    opened = opened_at(hours, starts)
    return opened is not None and ends.timestamp() <= opened[1]


async def load_diary(
    session: Writer,
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
