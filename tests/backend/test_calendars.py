"""Opening hours as instants, and promises made from them: compared with a slow model that looks at every minute."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backend.calendars import Hours, Span, coming_holidays, holiday_countries, public_holidays
from backend.promises import HORIZON, Promise, promise

ROME = ZoneInfo("Europe/Rome")
MINUTE = timedelta(minutes=1)
ZONES = ("Europe/Rome", "Asia/Kathmandu", "America/Havana", "Asia/Beirut", "Australia/Lord_Howe", "Pacific/Apia", "UTC")
"""Whole, half and quarter hours from UTC; clocks that change by night, at midnight, by half an hour, by a whole day."""
STARTS = (
    datetime(2026, 3, 28, 20, tzinfo=UTC),  # the clock goes forward in Rome, and in Beirut
    datetime(2026, 10, 24, 19, tzinfo=UTC),  # and back
    datetime(2026, 3, 7, 23, tzinfo=UTC),  # forward in Havana
    datetime(2026, 10, 31, 23, tzinfo=UTC),  # and back
    datetime(2026, 10, 3, 13, tzinfo=UTC),  # forward by half an hour on Lord Howe
    datetime(2011, 12, 29, 20, tzinfo=UTC),  # Samoa leaves a day out
    datetime(2026, 12, 24, 20, tzinfo=UTC),  # Christmas
    datetime(2026, 6, 1, 6, 30, tzinfo=UTC),
)


@st.composite
def spans(draw: st.DrawFn, most: int = 3) -> list[Span]:
    """Of one day, apart or touching; with a liking for the hours in which clocks change."""
    minute = st.integers(0, 23 * 60 + 59) | st.sampled_from([0, 30, 60, 90, 120, 150, 180, 210])
    edges = sorted(draw(st.lists(minute, min_size=2, max_size=2 * most, unique=True)))
    times = [time(edge // 60, edge % 60) for edge in edges]
    return list(zip(times[::2], times[1::2], strict=False))


@st.composite
def desks(draw: st.DrawFn) -> tuple[Hours, datetime]:
    """A desk, and a moment near something that is difficult."""
    start = draw(st.sampled_from(STARTS)) + timedelta(minutes=draw(st.integers(-90, 90)))
    week = {weekday: draw(spans()) for weekday in draw(st.sets(st.integers(0, 6)))}
    days = {
        (start + timedelta(days=number)).date(): draw(st.just([]) | spans(2))
        for number in draw(st.sets(st.integers(-1, 3), max_size=2))
    }
    flat = tuple((weekday, *span) for weekday, found in week.items() for span in found)
    country = draw(st.sampled_from(("", "IT")))
    return Hours(ZoneInfo(draw(st.sampled_from(ZONES))), flat, days, country), start


def open_minutes(hours: Hours, start: datetime, until: datetime) -> set[datetime]:
    """The slow way: walk through every minute, look at the clock on the wall, remember what it has shown already.

    A period begins at the first minute whose clock shows its beginning or later, and ends likewise."""
    shown: list[tuple[datetime, datetime]] = []
    latest = datetime.min  # noqa: DTZ901 - what a clock on the wall shows has no zone
    moment = start - timedelta(days=3)
    while moment < until:
        latest = max(latest, moment.astimezone(hours.zone).replace(tzinfo=None))
        shown.append((moment, latest))
        moment += MINUTE
    return {moment for moment, wall in shown if moment >= start and _is_open(hours, wall)}


def _is_open(hours: Hours, wall: datetime) -> bool:
    day = wall.date()
    if day in hours.days:
        found = list(hours.days[day])
    elif hours.country and day in public_holidays(hours.country, day.year):
        found = []
    else:
        found = [(opens, closes) for weekday, opens, closes in hours.week if weekday == day.weekday()]
    return any(opens <= wall.time() < closes for opens, closes in found)


@settings(deadline=None)  # two cores may be busy with something else
@given(desks(), st.integers(1, 3 * 24 * 60))
def test_intervals_are_the_minutes_in_which_the_desk_is_open(desk: tuple[Hours, datetime], minutes: int) -> None:
    hours, start = desk
    until = start + minutes * MINUTE
    found = list(hours.intervals(start, until))
    assert all(start <= begins < ends <= until for begins, ends in found)
    assert all(before[1] <= after[0] for before, after in pairwise(found)), "in order, and no minute twice"
    covered = {begins + number * MINUTE for begins, ends in found for number in range((ends - begins) // MINUTE)}
    assert covered == open_minutes(hours, start, until)


@settings(deadline=None)  # two cores may be busy with something else
@given(desks(), st.integers(0, 59))
def test_open_now_is_what_the_intervals_say(desk: tuple[Hours, datetime], seconds: int) -> None:
    hours, start = desk
    moment = start + timedelta(seconds=seconds)
    around = hours.intervals(start - timedelta(days=1), start + timedelta(days=1))
    assert hours.open_at(moment) == any(begins <= moment < ends for begins, ends in around)


def at(day: int, hour: int, minute: int = 0, *, month: int) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    "month, day, opens, closes, begins, ends",
    [
        (3, 29, time(1), time(4), at(29, 0, month=3), at(29, 2, month=3)),
        (3, 29, time(2, 30), time(4), at(29, 1, month=3), at(29, 2, month=3)),
        (3, 29, time(1), time(2, 30), at(29, 0, month=3), at(29, 1, month=3)),
        (10, 25, time(1), time(4), at(24, 23, month=10), at(25, 3, month=10)),
        (10, 25, time(2, 30), time(4), at(25, 0, 30, month=10), at(25, 3, month=10)),
        (10, 25, time(1), time(2, 30), at(24, 23, month=10), at(25, 0, 30, month=10)),
    ],
)
def test_nights_when_the_clock_changes_in_rome(
    month: int, day: int, opens: time, closes: time, begins: datetime, ends: datetime
) -> None:
    hours = Hours(ROME, ((6, opens, closes),))
    night = datetime(2026, month, day, tzinfo=ROME)
    assert list(hours.intervals(night, night + timedelta(days=1))) == [(begins, ends)]


def test_nothing_is_open_in_an_hour_that_does_not_come() -> None:
    hours = Hours(ROME, ((6, time(2), time(3)),))
    night = datetime(2026, 3, 29, tzinfo=ROME)
    assert list(hours.intervals(night, night + timedelta(days=1))) == []


def test_a_day_of_its_own_counts_before_a_holiday_and_a_holiday_before_the_week() -> None:
    week = ((4, time(9), time(12)),)
    christmas = date(2026, 12, 25)  # a Friday
    assert Hours(ROME, week).spans(christmas) == [(time(9), time(12))]
    assert Hours(ROME, week, country="IT").spans(christmas) == []
    assert Hours(ROME, week, {christmas: [(time(10), time(11))]}, "IT").spans(christmas) == [(time(10), time(11))]
    assert Hours(ROME, week, {christmas: []}).spans(christmas) == []


def test_a_moment_before_it_opens_is_not_open_yet() -> None:
    hours = Hours(ROME, ((0, time(9), time(10)),))
    opens = datetime(2026, 11, 23, 9, tzinfo=ROME)
    assert not hours.open_at(opens - timedelta(seconds=1))
    assert hours.open_at(opens)
    assert hours.open_at(opens + timedelta(minutes=59, seconds=59))
    assert not hours.open_at(opens + timedelta(hours=1))


def test_coming_holidays_have_names_that_can_be_read() -> None:
    italian = coming_holidays("IT", date(2026, 12, 8), "it")
    assert italian[0] == (date(2026, 12, 8), "Immacolata Concezione")
    assert date(2027, 10, 4) in dict(italian), "Saint Francis is a holiday again since 2026"
    assert italian[-1][0] < date(2027, 12, 8)
    assert coming_holidays("IT", date(2026, 12, 8), "ar")[0][1] == "Immaculate Conception"
    assert {"IT", "FR", "SN", "BD"} <= holiday_countries()


# --- promises ---

EVER = Hours(ROME, tuple((weekday, time(9), time(12)) for weekday in range(7)))
MORNING = datetime(2026, 11, 23, 9, tzinfo=ROME)


@settings(deadline=None)  # two cores may be busy with something else
@given(desks(), st.integers(0, 40), st.integers(1, 60), st.integers(0, 4))
@example((EVER, MORNING.astimezone(UTC)), 3, 60, 0)
def test_a_promise_is_kept_while_the_desk_is_open(
    desk: tuple[Hours, datetime], ahead: int, minutes: int, on_duty: int
) -> None:
    hours, now = desk
    made = promise(hours, now, ahead=ahead, minutes_each=minutes, on_duty=on_duty)
    if made.at is None:
        assert made.not_before is not None or not hours.known_from(now)
        return
    assert made.at > now
    near = hours.intervals(now, made.at + timedelta(days=1))
    assert any(begins < made.at <= ends for begins, ends in near)
    worked = sum((end - begin for begin, end in hours.intervals(now, made.at)), timedelta())
    needed = timedelta(minutes=minutes * (ahead + 1) / max(1, on_duty))
    assert needed <= worked < needed + timedelta(minutes=15)


@settings(deadline=None)  # two cores may be busy with something else
@given(desks(), st.integers(0, 40), st.integers(1, 60), st.integers(0, 4))
def test_who_comes_later_is_promised_nothing_earlier(
    desk: tuple[Hours, datetime], ahead: int, minutes: int, on_duty: int
) -> None:
    hours, now = desk
    first = promise(hours, now, ahead=ahead, minutes_each=minutes, on_duty=on_duty)
    second = promise(hours, now, ahead=ahead + 1, minutes_each=minutes, on_duty=on_duty)
    more_hands = promise(hours, now, ahead=ahead, minutes_each=minutes, on_duty=on_duty + 1)
    assert (second.at is None) or (first.at is not None and first.at <= second.at)
    assert (first.at is None) or (more_hands.at is not None and more_hands.at <= first.at)


@pytest.mark.parametrize(
    "now, ahead, expected",
    [
        (MORNING, 0, MORNING + timedelta(minutes=15)),
        (MORNING + timedelta(minutes=1), 0, MORNING + timedelta(minutes=30)),
        (MORNING, 11, MORNING + timedelta(hours=3)),
        (MORNING, 12, MORNING + timedelta(days=1, minutes=15)),
        (MORNING + timedelta(hours=2, minutes=50), 0, MORNING + timedelta(days=1, minutes=15)),
        (MORNING + timedelta(hours=5), 0, MORNING + timedelta(days=1, minutes=15)),
    ],
)
def test_promises_a_person_would_expect(now: datetime, ahead: int, expected: datetime) -> None:
    assert promise(EVER, now, ahead=ahead, minutes_each=15, on_duty=1).at == expected


def test_nothing_is_promised_where_the_hours_are_not_known() -> None:
    nothing = Promise(None)
    gone = {MORNING.date() - timedelta(days=1): [(time(9), time(12))]}
    closed = dict.fromkeys((MORNING.date() + timedelta(days=number) for number in range(9)), ())
    for days in ({}, gone, closed):
        assert promise(Hours(ROME, (), days), MORNING, ahead=0, minutes_each=15, on_duty=1) == nothing


def test_a_desk_that_stays_closed_says_until_when() -> None:
    closed = dict.fromkeys((MORNING.date() + timedelta(days=number) for number in range(61)), ())
    made = promise(Hours(ROME, EVER.week, closed), MORNING, ahead=0, minutes_each=15, on_duty=1)
    assert made == Promise(None, (MORNING + HORIZON).date())
    del closed[MORNING.date() + timedelta(days=59)]
    late = promise(Hours(ROME, EVER.week, closed), MORNING, ahead=0, minutes_each=15, on_duty=1)
    assert late.at == datetime(2027, 1, 21, 9, 15, tzinfo=ROME)


def test_a_long_queue_at_a_desk_that_is_rarely_open_is_told_the_true_day() -> None:
    rare = Hours(ROME, ((0, time(9), time(10)),))
    assert promise(rare, MORNING, ahead=3, minutes_each=15, on_duty=1).at == MORNING + timedelta(hours=1)
    assert promise(rare, MORNING, ahead=51, minutes_each=15, on_duty=1).at == datetime(2027, 2, 15, 10, tzinfo=ROME)
    assert promise(rare, MORNING, ahead=5000, minutes_each=15, on_duty=1).not_before == date(2027, 11, 24)
