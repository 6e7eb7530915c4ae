"""Is it open, and when does it open next: from the weekly schedule, in the entry's own time zone."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

from knowledge_base.entry import WEEKDAYS, Facts, Period

_DAYS_AHEAD = 8


@dataclass(frozen=True, slots=True)
class Opening:
    """Instants are aware datetimes in the entry's zone."""

    open_now: bool
    changes_at: datetime | None
    """When it closes if open, when it next opens if closed; None when that is not known."""
    holiday: bool
    """Today is a national holiday, when a weekly schedule cannot be relied on."""


@lru_cache(maxsize=16)
def _italian_holidays(year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("IT", years=year))


def _spans(period: Period, day: date, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
    if WEEKDAYS[day.weekday()] not in period.days or period.opens is None or period.closes is None:
        return None
    opens = datetime.combine(day, period.opens, zone)
    closes = datetime.combine(day, period.closes, zone)
    if closes <= opens:
        closes = datetime.combine(day + timedelta(days=1), period.closes, zone)
    return opens, closes


def opening(facts: Facts, now: datetime) -> Opening | None:
    """None when the hours are not known well enough to say; `now` must be aware."""
    zone = ZoneInfo(facts.zone)
    local = now.astimezone(zone)
    holiday = local.date() in _italian_holidays(local.year)
    if facts.always_open:
        return Opening(open_now=True, changes_at=None, holiday=False)
    # One unknown hour, or several doors with hours of their own, makes any «open now» a guess.
    if not facts.schedule or any(p.closes is None or p.where for p in facts.schedule):
        return None
    days = [local.date() + timedelta(days=offset) for offset in range(-1, _DAYS_AHEAD)]
    spans = sorted(span for day in days for period in facts.schedule if (span := _spans(period, day, zone)))
    for opens, closes in spans:
        if opens <= local < closes:
            return Opening(open_now=True, changes_at=closes, holiday=holiday)
        if opens > local:
            return Opening(open_now=False, changes_at=opens, holiday=holiday)
    return None
