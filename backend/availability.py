"""When somebody can come: opening hours minus what is taken. Pure; instants inside are whole seconds since 1970, UTC.

A visit lies within the desk's opening hours and the hours of whoever serves it; it begins a whole number of quarters of
an hour after the desk opens. Its minutes before and after may lie outside the hours, but never in another visit's.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import chain
from typing import NamedTuple, overload
from zoneinfo import ZoneInfo

from backend.calendars import Hours

STEP = 15 * 60
"""Seconds between two times on the grid."""
_AROUND = timedelta(days=2)
"""Loaded before and after, so that no opening on the edge is cut and the grid begins where the desk opens."""
Span = tuple[int, int]
"""From and until; the end does not belong to it."""


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
        """The first moment at which a visit may begin, and the first at which it may not any more."""
        beyond = now.astimezone(zone).date() + timedelta(days=self.window_days + 1)
        return now + timedelta(minutes=self.lead_minutes), datetime.combine(beyond, time.min, zone).astimezone(UTC)

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

    def __init__(self, starts: list[int], places: Mapping[int, int], length: int) -> None:
        self._starts, self._places, self._length = starts, places, length

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
        return FreeTimes([], {}, 0)
    opened = merged(_seconds(hours, start, until))
    fresh: Counter[int] = Counter()
    begun: Counter[int] = Counter()
    for worker in workers:
        own = _own(opened, worker, start, until)
        fresh.update(chain.from_iterable(_starts(worker, own, rules, first, last)))
        begun.update(dict(_sessions(worker, own, rules, first, last)))
    places: Mapping[int, int] = fresh
    if rules.capacity > 1:
        every = fresh.keys() | begun.keys()
        places = {at: fresh[at] * rules.capacity + begun[at] for at in every}
    if interpreters is not None:
        helped: Counter[int] = Counter()
        for worker in interpreters:
            own = _own(opened, worker, start, until)
            helped.update(chain.from_iterable(_starts(worker, own, rules, first, last)))
        places = {at: min(places[at], helped[at]) for at in places.keys() & helped.keys()}
    return FreeTimes(sorted(places), places, rules.minutes * 60)


def who_is_free(
    hours: Hours, rules: Rules, workers: Sequence[Worker], *, now: datetime, start: datetime
) -> tuple[int, ...]:
    """For a visit that begins at this moment."""
    until = start + timedelta(seconds=1)
    return tuple(
        worker.id for worker in workers if free_times(hours, rules, [worker], now=now, start=start, until=until)
    )


def opened_at(hours: Hours, start: datetime) -> Span | None:
    """The opening this moment lies in."""
    at = _up(start)
    spans = merged(_seconds(hours, start, start))
    return next(((opens, closes) for opens, closes in spans if opens <= at < closes), None)


def merged(spans: Sequence[Span]) -> list[Span]:
    """In order and apart; what touches or overlaps is one."""
    found: list[Span] = []
    for opens, closes in sorted(spans):
        if found and opens <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], closes))
        else:
            found.append((opens, closes))
    return found


def _seconds(hours: Hours, start: datetime, until: datetime) -> list[Span]:
    spans = hours.intervals(start - _AROUND, until + _AROUND)
    return [(int(opens.timestamp()), int(closes.timestamp())) for opens, closes in spans]


def _up(moment: datetime) -> int:
    """The first whole second that is not before it."""
    return -int(-moment.timestamp() // 1)


def _own(opened: Sequence[Span], worker: Worker, start: datetime, until: datetime) -> list[tuple[int, int, int]]:
    """Where the grid begins, from and until: the desk is open and this one is there."""
    if worker.hours is None:
        return [(opens, opens, closes) for opens, closes in opened]
    there, position = merged(_seconds(worker.hours, start, until)), 0
    found = []
    for opens, closes in opened:
        while position < len(there) and there[position][1] <= opens:
            position += 1
        index = position
        while index < len(there) and there[index][0] < closes:
            found.append((opens, max(opens, there[index][0]), min(closes, there[index][1])))
            index += 1
    return found


def _starts(
    worker: Worker, spans: Sequence[tuple[int, int, int]], rules: Rules, first: int, last: int
) -> Iterator[range]:
    """When a visit to this one alone, or the first of a workshop, may begin; in order."""
    length, after, before = rules.minutes * 60, rules.buffer_after * 60, rules.buffer_before * 60
    # A visit that begins strictly between these would touch what is taken.
    margin = length + after - 1
    taken = merged([(one[0] - margin, one[1] + before) for one in chain(worker.busy, worker.places)])
    position, number = 0, len(taken)
    for origin, opens, closes in spans:
        at, limit = max(opens, first), min(closes - length, last)
        while position < number and taken[position][1] <= at:
            position += 1
        index = position
        while index < number and taken[index][0] <= limit:
            if at < taken[index][0]:
                yield range(at + (origin - at) % STEP, taken[index][0], STEP)
            at = max(at, taken[index][1])
            index += 1
        if at <= limit:
            yield range(at + (origin - at) % STEP, limit + 1, STEP)


def _sessions(
    worker: Worker, spans: Sequence[tuple[int, int, int]], rules: Rules, first: int, last: int
) -> Iterator[tuple[int, int]]:
    """Workshops that somebody comes to already and that have places left, and how many."""
    length = rules.minutes * 60
    for session, number in Counter(place.session for place in worker.places).items():
        begins, ends = session - rules.buffer_before * 60, session + length + rules.buffer_after * 60
        within = any(opens <= session and session + length <= closes for _, opens, closes in spans)
        others = chain(worker.busy, ((one.start, one.until) for one in worker.places if one.session != session))
        alone = all(until <= begins or ends <= start for start, until in others)
        if number < rules.capacity and first <= session <= last and within and alone:
            yield session, rules.capacity - number
