"""Free times, compared with a slow model that looks at every minute, over thousands of random calendars.

A case is its number: `case(4711)` makes it again, and taking away from it what does not matter is done by hand.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from operator import and_
from random import Random
from zoneinfo import ZoneInfo

from backend.availability import FreeTime, FreeTimes, Place, Rules, Worker, free_times, who_is_free
from backend.calendars import Hours, Span, public_holidays
from tests.backend.test_calendars import STARTS, ZONES

CASES = int(os.environ.get("ELP_FUZZ_EXAMPLES", "0")) or 3000
MINUTE, QUARTER = timedelta(minutes=1), 15
BEFORE, AROUND = 2, 5
"""Days that the model looks at: before somebody asks, and in all."""


@dataclass(frozen=True)
class Case:
    number: int
    hours: Hours
    rules: Rules
    workers: list[Worker]
    interpreters: list[Worker] | None
    now: datetime
    start: datetime
    until: datetime
    origin: datetime
    """Of the model's minutes."""

    def found(self) -> FreeTimes:
        span = {"now": self.now, "start": self.start, "until": self.until}
        return free_times(self.hours, self.rules, self.workers, interpreters=self.interpreters, **span)


# --- random calendars ---


def spans(random: Random, most: int) -> list[Span]:
    """Of one day, apart or touching; with a liking for the hours in which clocks change."""
    usual = [0, 30, 60, 90, 120, 150, 180, 210]
    edges = {random.choice(usual) if random.random() < 0.5 else random.randrange(24 * 60) for _ in range(2 * most)}
    times = [time(edge // 60, edge % 60) for edge in sorted(edges)]
    if len(times) > 3 and random.random() < 0.2:
        times[2] = times[1]
    return list(zip(times[::2], times[1::2], strict=False))


def week(random: Random, most: int) -> tuple[tuple[int, time, time], ...]:
    open_on = random.sample(range(7), random.choice((2, 6, 7, 7, 7)))
    return tuple((weekday, *span) for weekday in open_on for span in spans(random, random.randint(1, most)))


def minutes(random: Random, first: int, last: int) -> timedelta:
    """Often whole quarters of an hour, as desks and people like them."""
    number = random.randint(first, last)
    return random.choice((number, number // QUARTER * QUARTER)) * MINUTE


def worker(random: Random, case: Case, number: int, capacity: int) -> Worker:
    own = Hours(case.hours.zone, week(random, 2)) if random.random() < 0.4 else None
    busy, places = [], list[Place]()
    for _ in range(random.randint(0, 4)):
        begins = case.start.replace(second=0) + minutes(random, -6 * 60, 40 * 60)
        busy.append((seconds(begins), seconds(begins + random.randint(1, 300) * MINUTE)))
    opened = list(case.hours.openings(case.start.date(), case.until.date()))
    if capacity > 1 and opened and random.random() < 0.7:
        opens, closes = random.choice(opened)
        session = opens + random.randrange((closes - opens) // MINUTE + 1) // 5 * 5 * MINUTE
        begins, ends = case.rules.blocked(session)
        places = [Place(seconds(begins), seconds(ends), seconds(session))] * random.randint(1, capacity)
    return Worker(number, own, busy, places)


def case(number: int) -> Case:
    random = Random(number)
    origin = random.choice((*STARTS[:2], *STARTS[:2], *STARTS))
    start = origin + minutes(random, -90, 90) + random.choice((0, 0, 30)) * timedelta(seconds=1)
    days = {
        (start + timedelta(days=day)).date(): random.choice([[], spans(random, 1), spans(random, 2)])
        for day in random.sample(range(-1, 4), random.choice((0, 0, 1, 2)))
    }
    zone = ZoneInfo(random.choice((*ZONES, *["Europe/Rome"] * len(ZONES))))
    hours = Hours(zone, week(random, 3), days, random.choice(("", "", "IT")))
    rules = Rules(
        minutes=random.choice((5, 15, 20, 30, 30, 45, 60, random.randint(5, 120))),
        buffer_before=random.choice((0, 0, 5, 15)),
        buffer_after=random.choice((0, 0, 10, 30)),
        lead_minutes=random.choice((0, 0, 1, 600)),
        window_days=random.choice((0, 1, 2, 60, 60, 60)),
        capacity=random.choice((1, 1, 3)),
    )
    now = start + minutes(random, -24 * 60, 10 * 60) + random.choice((0, 0, 1)) * timedelta(seconds=random.random())
    until = start + random.choice((minutes(random, 1, 36 * 60), timedelta(hours=36)))
    empty = Case(number, hours, rules, [], None, now, start, until, origin - timedelta(days=BEFORE))
    some = [worker(random, empty, one, rules.capacity) for one in range(1, random.randint(2, 4))]
    helping = [worker(random, empty, one, 1) for one in range(8, random.randint(9, 10))]
    return replace(empty, workers=some, interpreters=random.choice((None, None, helping)))


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


# --- the slow model ---


@cache
def clock(zone: str, origin: datetime) -> list[tuple[date, list[int]]]:
    """What the clock on the wall shows, minute after minute: days, and minutes since midnight. An hour that it shows a
    second time is not one in which anything opens again."""
    latest, days = datetime.min, dict[date, list[int]]()  # noqa: DTZ901 - what a clock on the wall shows has no zone
    for number in range(AROUND * 24 * 60):
        latest = max(latest, (origin + number * MINUTE).astimezone(ZoneInfo(zone)).replace(tzinfo=None))
        days.setdefault(latest.date(), []).append(latest.hour * 60 + latest.minute)
    return list(days.items())


def open_minutes(hours: Hours, origin: datetime) -> bytes:
    """1 for each minute in which it is open."""
    shown = clock(str(hours.zone), origin)
    return b"".join(bytes(map(_open_on(hours, day).__getitem__, minutes)) for day, minutes in shown)


def _open_on(hours: Hours, day: date) -> bytearray:
    if day in hours.days:
        found = list(hours.days[day])
    elif hours.country and day in public_holidays(hours.country, day.year):
        found = []
    else:
        found = [(opens, closes) for weekday, opens, closes in hours.week if weekday == day.weekday()]
    minutes = bytearray(24 * 60)
    for span in found:
        first, last = (at.hour * 60 + at.minute for at in span)
        minutes[first:last] = b"\1" * (last - first)
    return minutes


class Model:
    """A list of minutes; nothing is computed that can be looked up."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.open = open_minutes(case.hours, case.origin)
        self.there = {one.id: self._there(one) for one in [*case.workers, *(case.interpreters or ())]}
        self.taken = {one.id: self._taken(one.busy) for one in [*case.workers, *(case.interpreters or ())]}
        self.grid, opened = set[int](), 0
        for minute, is_open in enumerate(self.open):
            opened = opened + 1 if is_open else 0
            if opened % QUARTER == 1:
                self.grid.add(minute)
        self.beginnings = self.grid | {self.minute(place.session) for one in case.workers for place in one.places}

    def _there(self, worker: Worker) -> bytes:
        if worker.hours is None:
            return self.open
        own = open_minutes(worker.hours, self.case.origin)
        return bytes(map(and_, self.open, own))

    def _taken(self, spans: Sequence[tuple[int, int]]) -> bytearray:
        minutes = bytearray(len(self.open))
        for begins, ends in spans:
            first, last = self.minute(begins), self.minute(ends)
            minutes[first:last] = b"\1" * (last - first)
        return minutes

    def minute(self, at: int) -> int:
        return (at - seconds(self.case.origin)) // 60

    def times(self) -> list[tuple[int, int]]:
        """Seconds since 1970, and how many places."""
        case, found = self.case, []
        for minute in sorted(self.beginnings):
            moment = self.moment(minute)
            if case.start <= moment < case.until and (places := self.places(minute)):
                found.append((seconds(moment), places))
        return found

    def moment(self, minute: int) -> datetime:
        return self.case.origin + minute * MINUTE

    def places(self, minute: int) -> int:
        case = self.case
        if minute not in self.beginnings or not self.in_time(self.moment(minute)):
            return 0
        places = sum(self.places_with(one, minute) for one in case.workers)
        if case.interpreters is None or not places:
            return places
        return min(places, sum(minute in self.grid and self.free(one, minute) for one in case.interpreters))

    def in_time(self, moment: datetime) -> bool:
        rules, zone, now = self.case.rules, self.case.hours.zone, self.case.now
        days = (moment.astimezone(zone).date() - now.astimezone(zone).date()).days
        return now < moment >= now + rules.lead_minutes * MINUTE and days <= rules.window_days

    def places_with(self, worker: Worker, minute: int) -> int:
        session, capacity = seconds(self.moment(minute)), self.case.rules.capacity
        together = [one for one in worker.places if one.session == session]
        if together and capacity > 1:
            return (capacity - len(together)) * self.free(worker, minute, besides=session)
        return capacity * (minute in self.grid and self.free(worker, minute))

    def free(self, worker: Worker, minute: int, *, besides: int | None = None) -> bool:
        rules = self.case.rules
        visit = slice(minute, minute + rules.minutes)
        around = slice(minute - rules.buffer_before, minute + rules.minutes + rules.buffer_after)
        if 0 in self.there[worker.id][visit] or 1 in self.taken[worker.id][around]:
            return False
        others = [(one.start, one.until) for one in worker.places if one.session != besides]
        return not others or 1 not in self._taken(others)[around]


# --- what is compared ---


def test_free_times_are_what_the_slow_model_finds() -> None:
    """With what makes a calendar difficult counted, so that nobody takes it out of the random cases by accident."""
    seen: Counter[str] = Counter()
    for number in range(CASES):
        one = case(number)
        model, found = Model(one), one.found()
        times = [(each.at, each.places) for each in found]
        assert times == model.times(), f"case({number})"
        assert all(each.end - each.start == one.rules.minutes * MINUTE for each in found[:2]), f"case({number})"
        check_who_is_free(one, model, found)
        check_nearest(one, found)
        seen.update(difficulties(one, times))
    rare = {name: seen[name] for name in DIFFICULT if seen[name] < CASES // 300}
    assert not rare, f"of {CASES}: {rare}"


def check_who_is_free(one: Case, model: Model, found: FreeTimes) -> None:
    random = Random(one.number)
    minutes = [model.minute(each.at) for each in random.sample(found, min(2, len(found)))]
    minutes += [model.minute(seconds(one.start)) + random.randint(1, 36 * 60) for _ in range(2)]
    for minute in minutes:
        moment = model.moment(minute)
        free = who_is_free(one.hours, one.rules, one.workers, now=one.now, start=moment)
        expected = [each.id for each in one.workers if model.in_time(moment) and model.places_with(each, minute)]
        assert list(free) == expected, f"case({one.number}), {moment}"


def check_nearest(one: Case, found: FreeTimes) -> None:
    wanted = one.start + Random(one.number).randint(0, 36 * 60) * MINUTE

    def far(each: FreeTime) -> timedelta:
        return abs(each.start - wanted)

    others = sorted((each for each in found if each.start != wanted), key=far)
    nearest = found.nearest(wanted, 3)
    assert [far(each) for each in sorted(nearest, key=far)] == [far(each) for each in others[:3]], f"case({one.number})"


DIFFICULT = (
    "the clock goes forward",
    "the clock goes back",
    "the clock goes forward in Rome",
    "the clock goes back in Rome",
    "a visit while the clock changes",
    "minutes before and after",
    "a workshop",
    "a workshop that somebody comes to",
    "an interpreter",
    "an interpreter who is not always free",
    "time that is taken",
    "somebody with hours of their own",
    "a holiday",
    "a day that differs",
    "too soon",
    "too far",
    "nothing is free",
)


def difficulties(one: Case, times: list[tuple[int, int]]) -> set[str]:
    """What of this case's times would be another without it; of clocks: that they change in the time asked for, and are
    looked at, because something is free on either side."""
    if not times:
        return {"nothing is free"}
    free, seen = dict(times), set[str]()
    starts = [datetime.fromtimestamp(at, UTC).astimezone(one.hours.zone) for at in free]
    offsets = [each.utcoffset() or timedelta() for each in starts]
    if offsets[0] != offsets[-1]:
        way = f"the clock goes {'forward' if offsets[0] < offsets[-1] else 'back'}"
        seen |= {way, f"{way} in Rome"} if str(one.hours.zone) == "Europe/Rome" else {way}
    ends = [each.astimezone(UTC) + one.rules.minutes * MINUTE for each in starts]
    if any(
        end.astimezone(one.hours.zone).utcoffset() != each.utcoffset() for each, end in zip(starts, ends, strict=True)
    ):
        seen.add("a visit while the clock changes")
    if one.rules.capacity > 1:
        seen.add("a workshop")
        begun = {place.session for each in one.workers for place in each.places}
        seen |= {"a workshop that somebody comes to"} if begun & free.keys() else set()
    if one.interpreters is not None:
        seen.add("an interpreter")
    without = {
        "minutes before and after": replace(one, rules=replace(one.rules, buffer_before=0, buffer_after=0)),
        "an interpreter who is not always free": replace(one, interpreters=None),
        "time that is taken": replace(one, workers=[replace(each, busy=()) for each in one.workers]),
        "somebody with hours of their own": replace(one, workers=[replace(each, hours=None) for each in one.workers]),
        "a holiday": replace(one, hours=replace(one.hours, country="")),
        "a day that differs": replace(one, hours=replace(one.hours, days={})),
        "too soon": replace(one, rules=replace(one.rules, lead_minutes=0)),
        "too far": replace(one, rules=replace(one.rules, window_days=60)),
    }
    return seen | {name for name, other in without.items() if {each.at: each.places for each in other.found()} != free}
