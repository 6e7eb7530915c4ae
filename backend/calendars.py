"""When a desk is really open: its week, the days that differ, and public holidays, as intervals of instants."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

import holidays
from sqlalchemy import ARRAY, Integer, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

Span = tuple[time, time]
"""Opens and closes, local time."""
Interval = tuple[datetime, datetime]
"""From and until, UTC; the end does not belong to it."""


@dataclass(frozen=True, slots=True)
class Hours:
    """A desk's opening hours. A desk without any has hours that nobody knows: it is not the same as closed."""

    zone: ZoneInfo
    week: tuple[tuple[int, time, time], ...] = ()
    """Weekday (0 is Monday), opens, closes; local time."""
    days: Mapping[date, Sequence[Span]] = field(default_factory=dict)
    """Days that differ, each with its times in order; none: closed."""
    country: str = ""
    """Whose public holidays it keeps; empty: none."""
    _weekdays: tuple[list[Span], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        weekdays: tuple[list[Span], ...] = ([], [], [], [], [], [], [])
        for weekday, opens, closes in sorted(self.week):
            weekdays[weekday].append((opens, closes))
        object.__setattr__(self, "_weekdays", weekdays)

    @property
    def known(self) -> bool:
        return bool(self.week) or any(self.days.values())

    def known_from(self, moment: datetime) -> bool:
        """Not when all that was ever said is about days that are over."""
        today = moment.astimezone(self.zone).date()
        return bool(self.week) or any(spans and day >= today for day, spans in self.days.items())

    def spans(self, day: date) -> Sequence[Span]:
        """Of one local day, in order. A day of its own counts before holidays, and holidays before the week."""
        if day in self.days:
            return self.days[day]
        if self.country and day in public_holidays(self.country, day.year):
            return []
        return self._weekdays[day.weekday()]

    def openings(self, first: date, last: date) -> Iterator[Interval]:
        """Of these local days and those between them, in order and apart. A time that the clock skips in March is the
        moment of the change; one that comes twice in October is meant the first time."""
        for number in range((last - first).days + 1):
            day = first + timedelta(days=number)
            for opens, closes in self.spans(day):
                begins, ends = _instant(day, opens, self.zone), _instant(day, closes, self.zone)
                if begins < ends:
                    yield begins, ends

    def intervals(self, start: datetime, until: datetime) -> Iterator[Interval]:
        """When it is open between two moments, in order and apart."""
        start, until = start.astimezone(UTC), until.astimezone(UTC)
        for begins, ends in self.openings(start.astimezone(self.zone).date(), until.astimezone(self.zone).date()):
            if begins < until and start < ends:
                yield max(begins, start), min(ends, until)

    def open_at(self, moment: datetime) -> bool:
        return next(self.intervals(moment, moment + timedelta.resolution), None) is not None


@lru_cache(maxsize=20_000)  # a season of many desks with hours of their own; looked up at each of their times
def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The first moment at which the clock there shows this time or, where it skips it, a later one (PEP 495). UTC."""
    local = datetime.combine(day, at, zone)
    late, early = local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)
    if late <= early:
        return late
    before = early.astimezone(zone).utcoffset()
    while late - early > timedelta.resolution:  # the clock is changed in between
        middle = early + (late - early) / 2
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late


@cache
def public_holidays(country: str, year: int) -> frozenset[date]:
    """Raises NotImplementedError for a country nobody has written down."""
    return frozenset(holidays.country_holidays(country, years=year))


@cache
def holiday_countries() -> frozenset[str]:
    """ISO 3166 codes of those whose public holidays are known."""
    return frozenset(holidays.list_supported_countries(include_aliases=False))


def coming_holidays(country: str, first: date, language: str, *, days: int = 365) -> list[tuple[date, str]]:
    """With their names in this language where somebody has written them down, else in English or the country's own."""
    spoken = {tag.partition("_")[0]: tag for tag in holidays.country_holidays(country).supported_languages}
    tag = spoken.get(language, spoken.get("en"))
    last = first + timedelta(days=days - 1)
    named = holidays.country_holidays(country, years=range(first.year, last.year + 1), language=tag)
    return sorted((day, name) for day, name in named.items() if first <= day <= last)


# --- loading ---

HOURS = """
    d.zone, d.holidays,
    (SELECT json_agg(json_build_array(weekday, opens, closes)) FROM opening_periods WHERE desk_id = d.id) AS week,
    (SELECT json_agg(json_build_array(day, opens, closes)) FROM desk_days WHERE desk_id = d.id) AS days
"""
"""Columns of `desks d`, for `hours_of`."""
_LOAD_HOURS = text(f"SELECT d.id, {HOURS} FROM desks d WHERE d.id = ANY(:desks)").bindparams(  # noqa: S608 - our own
    bindparam("desks", type_=ARRAY(Integer()))
)


def hours_of(
    zone: str,
    country: str,
    week: Sequence[tuple[int, str, str]] | None,
    days: Sequence[tuple[str, str | None, str | None]] | None,
) -> Hours:
    """From the columns `HOURS`."""
    differing: dict[date, list[Span]] = {}
    for day, opens, closes in days or ():
        spans = differing.setdefault(date.fromisoformat(day), [])
        if opens and closes:
            spans.append((time.fromisoformat(opens), time.fromisoformat(closes)))
    return Hours(ZoneInfo(zone), week_of(week or ()), {day: sorted(spans) for day, spans in differing.items()}, country)


def week_of(spans: Sequence[tuple[int, str, str]]) -> tuple[tuple[int, time, time], ...]:
    return tuple(
        sorted((weekday, time.fromisoformat(opens), time.fromisoformat(closes)) for weekday, opens, closes in spans)
    )


async def load_hours(session: AsyncSession | AsyncConnection, desk_ids: Sequence[int]) -> dict[int, Hours]:
    """Of all these desks, in one statement."""
    rows = await session.execute(_LOAD_HOURS, {"desks": list(desk_ids)})
    return {desk: hours_of(*columns) for desk, *columns in rows}
