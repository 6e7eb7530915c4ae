"""When somebody at a desk will really read what a person wrote, as far as that can be known."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from backend.calendars import Hours

HORIZON = timedelta(days=60)
"""A desk that does not open within it is closed for a long time, and gives no promise."""
_LONGEST_QUEUE = timedelta(days=366)
_ROUND_TO = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Promise:
    """`at`, or why there is none: hours that nobody knows, or (`not_before`) a desk that stays closed, or has a queue
    for more than a year."""

    at: datetime | None
    not_before: date | None = None
    """Local day; nobody will come to it earlier, as far as the calendar says."""


def promise(hours: Hours, now: datetime, *, ahead: int, minutes_each: int, on_duty: int) -> Promise:
    """The moment by which the desk, working through its queue while it is open, has come to this conversation.

    `ahead`: conversations that come first. `on_duty`: operators who are there now; the desk is taken to have one when
    none is. Rounded up to a quarter of an hour, never beyond the hour the desk closes."""
    if not hours.known_from(now):
        return Promise(None)
    work = timedelta(minutes=minutes_each * (ahead + 1) / max(1, on_duty))
    opens_at_all = now + HORIZON
    for begins, ends in hours.intervals(now, now + _LONGEST_QUEUE):
        if begins >= opens_at_all:
            return Promise(None, opens_at_all.astimezone(hours.zone).date())
        if begins + work <= ends:
            return Promise(min(_round_up(begins + work), ends))
        opens_at_all = now + _LONGEST_QUEUE
        work -= ends - begins
    return Promise(None, opens_at_all.astimezone(hours.zone).date())


def _round_up(moment: datetime) -> datetime:
    over = timedelta(minutes=moment.minute % 15, seconds=moment.second, microseconds=moment.microsecond)
    return moment - over + (_ROUND_TO if over else timedelta(0))
