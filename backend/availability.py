"""When somebody can come: opening hours minus what is taken. Pure; instants inside are whole seconds since 1970, UTC.

A visit lies within the desk's opening hours and the hours of whoever serves it; it begins a whole number of quarters of
an hour after the desk opens. Its minutes before and after may lie outside the hours, but never in another visit's.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import chain
from typing import NamedTuple, overload
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from backend.calendars import Hours

STEP = 15 * 60
"""Seconds between two times on the grid."""
Span = tuple[int, int]
"""From and until; the end does not belong to it."""
Seconds = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rules:
    """Of a kind of appointment; minutes and days as its desk set them."""

    minutes: int
    buffer_before: int = 0
    buffer_after: int = 0
    lead_minutes: int = 0
    window_days: int = 60
    capacity: int = 1

    def bookable(self, zone: ZoneInfo, now: datetime) -> tuple[datetime, datetime]:
        """The first moment at which a visit may begin, and the first at which it may not any more. None begins now:
        nobody could come."""
        beyond = now.astimezone(zone).date() + timedelta(days=self.window_days + 1)
        earliest = now + max(timedelta(minutes=self.lead_minutes), timedelta.resolution)
        return earliest, datetime.combine(beyond, time.min, zone).astimezone(UTC)

    def blocked(self, start: datetime) -> tuple[datetime, datetime]:
        """The visit with the minutes around it."""
        ends = start + timedelta(minutes=self.minutes + self.buffer_after)
        return start - timedelta(minutes=self.buffer_before), ends


class Place(NamedTuple):
    """One of a workshop that somebody comes to; minutes around it included."""

    start: int
    until: int
    session: int
    """When the workshop begins."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Who or what serves one visit at a time."""

    id: int
    hours: Hours | None = None
    """None: whenever the desk is open."""
    busy: Sequence[Span] = ()
    """What is taken, minutes around it included, in any order."""
    places: Sequence[Place] = ()
    """Taken in workshops of the kind that is asked for; others are in `busy`."""


class FreeTime(NamedTuple):
    """A visit that can be booked."""

    at: int
    length: int
    """Seconds."""
    places: int

    @property
    def start(self) -> datetime:
        """UTC."""
        return datetime.fromtimestamp(self.at, UTC)

    @property
    def end(self) -> datetime:
        return datetime.fromtimestamp(self.at + self.length, UTC)


class FreeTimes(Sequence[FreeTime]):
    """In order. A season of several desks has many thousands: each is made when somebody looks at it."""

    def __init__(self, places: Mapping[int, int], length: int) -> None:
        self._starts, self._places, self._length = sorted(places), places, length

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> FreeTime: ...
    @overload
    def __getitem__(self, index: slice) -> list[FreeTime]: ...
    def __getitem__(self, index: int | slice) -> FreeTime | list[FreeTime]:
        if isinstance(index, slice):
            return [self._at(at) for at in self._starts[index]]
        return self._at(self._starts[index])

    def nearest(self, wanted: datetime, number: int) -> list[FreeTime]:
        """Others than the wanted one, in order."""
        at = _up(wanted)
        here = bisect_left(self._starts, at)
        around = self._starts[max(0, here - number) : here + number + 1]
        near = sorted((one for one in around if one != at), key=lambda one: abs(one - at))
        return [self._at(one) for one in sorted(near[:number])]

    def _at(self, at: int) -> FreeTime:
        return FreeTime(at, self._length, self._places[at])


def free_times(
    hours: Hours,
    rules: Rules,
    workers: Sequence[Worker],
    *,
    now: datetime,
    start: datetime,
    until: datetime,
    interpreters: Sequence[Worker] | None = None,
) -> FreeTimes:
    """Visits that begin between these moments, in order. `interpreters`: one of them has to be free as well."""
    earliest, beyond = rules.bookable(hours.zone, now)
    first, last = _up(max(start, earliest)), _up(min(until, beyond)) - 1
    if first > last:
        return FreeTimes({}, 0)
    asked = _Asked(rules, _opened(hours, start, until), start, until, first, last)
    places = asked.count(workers)
    if rules.capacity > 1:
        begun: Counter[int] = Counter()
        for worker in workers:
            begun.update(asked.sessions(worker))
        places = {at: places.get(at, 0) * rules.capacity + begun[at] for at in places.keys() | begun.keys()}
    if interpreters is not None:
        helped = asked.count(interpreters)
        places = {at: min(places[at], helped[at]) for at in places.keys() & helped.keys()}
    return FreeTimes(places, rules.minutes * 60)


def who_is_free(
    hours: Hours, rules: Rules, workers: Sequence[Worker], *, now: datetime, start: datetime
) -> tuple[int, ...]:
    """For a visit that begins at this moment."""
    at, (earliest, beyond) = _up(start), rules.bookable(hours.zone, now)
    if not _up(earliest) <= at < _up(beyond):
        return ()
    asked = _Asked(rules, _opened(hours, start, start), start, start, at, at)
    return tuple(worker.id for worker in workers if asked.free(worker).any() or asked.sessions(worker))


def opened_at(hours: Hours, start: datetime) -> Span | None:
    """The opening this moment lies in."""
    at = _up(start)
    return next(((opens, closes) for opens, closes in _opened(hours, start, start) if opens <= at < closes), None)


def _opened(hours: Hours, start: datetime, until: datetime) -> list[Span]:
    """Of whole local days, so that the grid begins where the desk opens; in order and apart: what touches is one."""
    first, last = (moment.astimezone(hours.zone).date() for moment in (start, until))
    found: list[Span] = []
    for begins, ends in hours.openings(first, last):
        opens, closes = int(begins.timestamp()), int(ends.timestamp())
        if found and opens <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], closes))
        else:
            found.append((opens, closes))
    return found


def _up(moment: datetime) -> int:
    """The first whole second that is not before it."""
    return -int(-moment.timestamp() // 1)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Visits that begin from the first to the last of these seconds, both included."""

    rules: Rules
    opened: Sequence[Span]
    start: datetime
    until: datetime
    first: int
    last: int
    grid: Seconds = field(init=False)
    """When a visit may begin if nothing is taken; in order."""

    def __post_init__(self) -> None:
        found, length = [np.empty(0, np.int64)], self.rules.minutes * 60
        for opens, closes in self.opened:
            at = max(opens, self.first)
            found.append(np.arange(at + (opens - at) % STEP, min(closes - length, self.last) + 1, STEP))
        object.__setattr__(self, "grid", np.concatenate(found))

    def count(self, workers: Sequence[Worker]) -> dict[int, int]:
        """How many of them are free, for each moment at which somebody is; in order."""
        free = np.zeros(len(self.grid), np.int64)
        for worker in workers:
            free += self.free(worker)
        some = free > 0
        return dict(zip(self.grid[some].tolist(), free[some].tolist(), strict=True))

    def free(self, worker: Worker) -> NDArray[np.bool_]:
        """For each moment of the grid: whether a visit to this one alone, or the first of a workshop, may begin."""
        rules = self.rules
        # A visit that begins strictly between these would touch what is taken.
        margin, before = (rules.minutes + rules.buffer_after) * 60 - 1, rules.buffer_before * 60
        begins, ends = _columns([*worker.busy, *((one.start, one.until) for one in worker.places)])
        taken = _covered(self.grid, begins - margin, ends + before)
        if worker.hours is None:
            return ~taken
        opens, closes = _columns(_opened(worker.hours, self.start, self.until))
        there = _covered(self.grid, opens, np.maximum(opens, closes - rules.minutes * 60 + 1))
        return there & ~taken

    def sessions(self, worker: Worker) -> dict[int, int]:
        """Workshops that somebody comes to already and that have places left, and how many."""
        rules, found = self.rules, dict[int, int]()
        for session, number in Counter(place.session for place in worker.places).items():
            ends = session + rules.minutes * 60
            begins, until = session - rules.buffer_before * 60, ends + rules.buffer_after * 60
            others = chain(worker.busy, ((one.start, one.until) for one in worker.places if one.session != session))
            alone = all(over <= begins or until <= start for start, over in others)
            asked = number < rules.capacity and self.first <= session <= self.last
            if asked and alone and self._within(session, ends, worker.hours):
                found[session] = rules.capacity - number
        return found

    def _within(self, start: int, end: int, hours: Hours | None) -> bool:
        own = self.opened if hours is None else _opened(hours, self.start, self.until)
        return all(any(opens <= start and end <= closes for opens, closes in spans) for spans in (self.opened, own))


def _columns(spans: Sequence[Span]) -> tuple[Seconds, Seconds]:
    table = np.fromiter(chain.from_iterable(spans), np.int64, 2 * len(spans)).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _covered(grid: Seconds, begins: Seconds, ends: Seconds) -> NDArray[np.bool_]:
    """Which moments lie in one of these spans: where more have begun than ended."""
    edges = len(grid) + 1
    begun = np.bincount(np.searchsorted(grid, begins), minlength=edges)
    over = np.bincount(np.searchsorted(grid, ends), minlength=edges)
    return np.cumsum(begun - over)[:-1] > 0
