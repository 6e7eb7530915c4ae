"""Free times, compared with a slow model that looks at every minute, and by hand where it matters."""

import os
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.availability import FreeTime, Place, Rules, Worker, free_times, who_is_free
from backend.calendars import Hours
from tests.backend.test_calendars import MINUTE, desks, open_minutes, spans

ROME = ZoneInfo("Europe/Rome")
QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)
EXAMPLES = int(os.environ.get("ELP_FUZZ_EXAMPLES", "0")) or 150
"""Random calendars; thousands when somebody asks for them, as in the schema tests."""


@dataclass(frozen=True)
class Case:
    hours: Hours
    rules: Rules
    workers: list[Worker]
    interpreters: list[Worker] | None
    now: datetime
    start: datetime
    until: datetime

    def found(self) -> list[FreeTime]:
        span = {"now": self.now, "start": self.start, "until": self.until}
        return free_times(self.hours, self.rules, self.workers, interpreters=self.interpreters, **span)


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


@st.composite
def workers(draw: st.DrawFn, hours: Hours, rules: Rules, around: datetime, number: int) -> Worker:
    own = None
    if draw(st.booleans()):
        week = {weekday: draw(spans(2)) for weekday in draw(st.sets(st.integers(0, 6), min_size=1))}
        own = Hours(hours.zone, tuple((weekday, *span) for weekday, found in week.items() for span in found))
    busy, places = [], []
    for _ in range(draw(st.integers(0, 4))):
        begins = around + draw(st.integers(-6 * 60, 60 * 60)) * MINUTE
        busy.append((seconds(begins), seconds(begins + draw(st.integers(1, 300)) * MINUTE)))
    if rules.capacity > 1 and draw(st.booleans()):
        begins = around + draw(st.integers(0, 40 * 60)) * MINUTE
        blocked = rules.blocked(begins)
        place = Place(seconds(blocked[0]), seconds(blocked[1]), seconds(begins))
        places = [place] * draw(st.integers(1, rules.capacity))
    return Worker(number, own, draw(st.permutations(busy)), places)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    hours, start = draw(desks())
    rules = Rules(
        draw(st.integers(5, 120)),
        draw(st.sampled_from((0, 5, 15))),
        draw(st.sampled_from((0, 10, 30))),
        draw(st.sampled_from((0, 1, 600))),
        draw(st.integers(0, 3)),
        draw(st.sampled_from((1, 1, 3))),
    )
    now = start + draw(st.integers(-24 * 60, 12 * 60)) * MINUTE
    some = [draw(workers(hours, rules, start, number)) for number in range(1, draw(st.integers(2, 4)))]
    alone = Rules(rules.minutes, rules.buffer_before, rules.buffer_after)
    helping = [draw(workers(hours, alone, start, 9))] if draw(st.booleans()) else None
    return Case(hours, rules, some, helping, now, start, start + draw(st.integers(1, 36 * 60)) * MINUTE)


class Model:
    """Sets of minutes; nothing is computed that can be looked up."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.edges = (case.start - DAY, case.until + DAY)
        self.open = open_minutes(case.hours, *self.edges)
        everybody = [*case.workers, *(case.interpreters or ())]
        self.there = {
            worker.id: self.open & open_minutes(worker.hours, *self.edges) if worker.hours else self.open
            for worker in everybody
        }

    def times(self) -> list[tuple[datetime, int]]:
        moment, found = self.edges[0], []
        opened = None
        while moment < self.edges[1]:
            opened = (opened or moment) if moment in self.open else None
            on_grid = opened is not None and (moment - opened) % QUARTER == timedelta(0)
            if self.case.start <= moment < self.case.until and self.in_time(moment):
                places = sum(self.places(worker, moment, on_grid=on_grid) for worker in self.case.workers)
                if self.case.interpreters is not None:
                    places = min(places, sum(self.free(one, moment) and on_grid for one in self.case.interpreters))
                if places:
                    found.append((moment, places))
            moment += MINUTE
        return found

    def in_time(self, moment: datetime) -> bool:
        rules, zone = self.case.rules, self.case.hours.zone
        days = (moment.astimezone(zone).date() - self.case.now.astimezone(zone).date()).days
        return moment >= self.case.now + rules.lead_minutes * MINUTE and days <= rules.window_days

    def places(self, worker: Worker, moment: datetime, *, on_grid: bool) -> int:
        together = [one for one in worker.places if one.session == seconds(moment)]
        if together and self.case.rules.capacity > 1:
            return (self.case.rules.capacity - len(together)) * self.free(worker, moment, besides=seconds(moment))
        return self.case.rules.capacity * (on_grid and self.free(worker, moment))

    def free(self, worker: Worker, moment: datetime, *, besides: int | None = None) -> bool:
        rules = self.case.rules
        visit = {moment + number * MINUTE for number in range(rules.minutes)}
        begins, ends = (seconds(edge) for edge in rules.blocked(moment))
        others = [*worker.busy, *((one.start, one.until) for one in worker.places if one.session != besides)]
        return visit <= self.there[worker.id] and not any(start < ends and begins < until for start, until in others)


@settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(cases())
def test_free_times_are_what_the_slow_model_finds(case: Case) -> None:
    expected = Model(case).times()
    assert [(one.start, one.places) for one in case.found()] == expected
    assert all(one.end - one.start == case.rules.minutes * MINUTE for one in case.found())


@settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(cases())
def test_who_is_free_is_whoever_has_that_time(case: Case) -> None:
    for worker in case.workers:
        alone = replace(case, workers=[worker], interpreters=None)
        times = {one.start for one in alone.found()}
        for start in [*sorted(times)[:3], case.start]:
            found = who_is_free(case.hours, case.rules, [worker], now=case.now, start=start)
            if start < case.until:
                assert (found == (worker.id,)) == (start in times)
