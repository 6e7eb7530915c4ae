"""When a desk is really open: its week, the days that differ, and public holidays, as intervals of instants."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import holidays
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from backend.models import Desk, DeskDay, OpeningPeriod

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
    days: Mapping[date, Span | None] = field(default_factory=dict)
    """Days that differ; None: closed."""
    country: str = ""
    """Whose public holidays it keeps; empty: none."""

    @property
    def known(self) -> bool:
        return bool(self.week) or any(self.days.values())

    def known_from(self, moment: datetime) -> bool:
        """Not when all that was ever said is about days that are over."""
        today = moment.astimezone(self.zone).date()
        return bool(self.week) or any(span and day >= today for day, span in self.days.items())

    def spans(self, day: date) -> list[Span]:
        """Of one local day, in order. A day of its own counts before holidays, and holidays before the week."""
        if day in self.days:
            span = self.days[day]
            return [] if span is None else [span]
        if self.country and day in public_holidays(self.country, day.year):
            return []
        return sorted((opens, closes) for weekday, opens, closes in self.week if weekday == day.weekday())

    def intervals(self, start: datetime, until: datetime) -> Iterator[Interval]:
        """When it is open between two moments, in order and apart. A time that the clock skips in March is the moment
        of the change; one that comes twice in October is meant the first time."""
        start, until = start.astimezone(UTC), until.astimezone(UTC)
        day = start.astimezone(self.zone).date()
        while True:
            for opens, closes in self.spans(day):
                begins = max(_instant(day, opens, self.zone), start)
                ends = min(_instant(day, closes, self.zone), until)
                if begins < ends:
                    yield begins, ends
            day += timedelta(days=1)
            if _instant(day, time.min, self.zone) >= until:
                return

    def open_at(self, moment: datetime) -> bool:
        return next(self.intervals(moment, moment + timedelta.resolution), None) is not None


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The first moment at which the clock there shows this time or, where it skips it, a later one (PEP 495)."""
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


async def load_hours(session: AsyncSession | AsyncConnection, desk_ids: Sequence[int]) -> dict[int, Hours]:
    """Of all these desks, in three statements."""
    desks = await session.execute(select(Desk.id, Desk.zone, Desk.holidays).where(Desk.id.in_(desk_ids)))
    found = {row.id: (ZoneInfo(row.zone), row.holidays) for row in desks}
    week: dict[int, list[tuple[int, time, time]]] = {desk: [] for desk in found}
    query = select(OpeningPeriod.desk_id, OpeningPeriod.weekday, OpeningPeriod.opens, OpeningPeriod.closes)
    for row in await session.execute(query.where(OpeningPeriod.desk_id.in_(found))):
        week[row.desk_id].append((row.weekday, row.opens, row.closes))
    days: dict[int, dict[date, Span | None]] = {desk: {} for desk in found}
    other = select(DeskDay.desk_id, DeskDay.day, DeskDay.opens, DeskDay.closes).where(DeskDay.desk_id.in_(found))
    for desk, day, opens, closes in await session.execute(other):
        days[desk][day] = None if opens is None or closes is None else (opens, closes)
    return {
        desk: Hours(zone, tuple(sorted(week[desk])), days[desk], country) for desk, (zone, country) in found.items()
    }
