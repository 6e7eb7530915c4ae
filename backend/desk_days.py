"""Days on which a desk is not open as in its ordinary week: closures and exceptions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import groupby, pairwise
from zoneinfo import ZoneInfo

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.access import Staff, access_desk_hours
from backend.calendars import Span
from backend.desk_week import HoursOverlap, record_hours, span
from backend.errors import AppError, Conflict
from backend.models import DeskDay

LONGEST_NOTE = 200
LONGEST_ABSENCE = 92
"""Days that differ and are set at once."""
FARTHEST_DAY = timedelta(days=3 * 366)


class DayTaken(Conflict):
    code = "desk_day_taken"


class WrongDay(AppError):
    status = 422
    code = "desk_day"


class PastDay(AppError):
    status = 422
    code = "desk_day_past"


class FarDay(AppError):
    status = 422
    code = "desk_day_far"


class WrongDays(AppError):
    """The last comes before the first, or there are very many."""

    status = 422
    code = "desk_day_order"


class NoteTooLong(AppError):
    status = 422
    code = "desk_day_note"


@dataclass(frozen=True, slots=True)
class DifferentDays:
    """Days that follow each other and are alike."""

    first: date
    last: date
    spans: tuple[Span, ...]
    """In order; none: closed all day."""
    note: str


async def read_days(session: AsyncSession, desk_id: int, today: date) -> tuple[DifferentDays, ...]:
    """From today on."""
    columns = (DeskDay.day, DeskDay.opens, DeskDay.closes, DeskDay.note)
    query = select(*columns).where(DeskDay.desk_id == desk_id, DeskDay.day >= today)
    found = []
    for day, rows in groupby(await session.execute(query.order_by(DeskDay.day, DeskDay.opens)), lambda row: row.day):
        times = list(rows)
        spans = tuple((row.opens, row.closes) for row in times if row.opens)
        notes = dict.fromkeys(row.note for row in times if row.note)
        found.append(DifferentDays(day, day, spans, " · ".join(notes)))
    return _together(found)


def _together(days: Iterable[DifferentDays]) -> tuple[DifferentDays, ...]:
    found: list[DifferentDays] = []
    for one in days:
        if found and found[-1] == replace(one, first=found[-1].first, last=one.first - timedelta(days=1)):
            found[-1] = replace(found[-1], last=one.last)
        else:
            found.append(one)
    return tuple(found)


async def add_days(
    session: AsyncSession,
    staff: Staff,
    desk_id: int,
    *,
    first: str,
    last: str,
    opens: str,
    closes: str,
    opens_again: str = "",
    closes_again: str = "",
    note: str,
    now: datetime,
) -> None:
    """From the first to the last day (empty: only the first); closed all day when all times are empty. Other times of
    a day that differs already are added to it. Raises NotFound, Forbidden, WrongDay, PastDay, FarDay, WrongDays,
    WrongTime, WrongHours, HoursOverlap, NoteTooLong, DayTaken."""
    desk = await access_desk_hours(session, staff, desk_id, change=True)
    days = _days(first, last, now.astimezone(ZoneInfo(desk.zone)).date())
    said = _note(note)
    open_at = _spans((opens, closes), (opens_again, closes_again))
    spans: Sequence[tuple[time | None, time | None]] = open_at or [(None, None)]
    values = {"desk_id": desk_id, "note": said}
    rows = [{"day": day, "opens": begins, "closes": ends, **values} for day in days for begins, ends in spans]
    try:
        await session.execute(insert(DeskDay), rows)
    except IntegrityError as error:
        raise DayTaken from error
    await record_hours(session, staff, desk, "desk.days_changed", **_first_last(days[0], days[-1]))


async def remove_days(session: AsyncSession, staff: Staff, desk_id: int, *, first: str, last: str) -> None:
    """All between these two, also when a colleague was quicker. Raises NotFound, Forbidden, WrongDay."""
    desk = await access_desk_hours(session, staff, desk_id, change=True)
    begin, end = _day(first), _day(last)
    query = delete(DeskDay).where(DeskDay.desk_id == desk_id, DeskDay.day.between(begin, end))
    if (await session.execute(query.returning(DeskDay.day))).all():
        await record_hours(session, staff, desk, "desk.days_changed", removed=True, **_first_last(begin, end))


def _spans(*typed: tuple[str, str]) -> list[Span]:
    """Those that somebody has filled in, in order. Raises WrongTime, WrongHours, HoursOverlap."""
    found = sorted(span(opens, closes) for opens, closes in typed if opens.strip() or closes.strip())
    if any(later[0] < earlier[1] for earlier, later in pairwise(found)):
        raise HoursOverlap
    return found


def _day(typed: str) -> date:
    try:
        return date.fromisoformat(typed.strip())
    except ValueError as error:
        raise WrongDay from error


def _days(first: str, last: str, today: date) -> list[date]:
    begin = _day(first)
    end = _day(last) if last.strip() else begin
    if begin < today:
        raise PastDay
    if end > today + FARTHEST_DAY:
        raise FarDay
    if not timedelta(0) <= end - begin < timedelta(days=LONGEST_ABSENCE):
        raise WrongDays(most=LONGEST_ABSENCE)
    return [begin + timedelta(days=number) for number in range((end - begin).days + 1)]


def _note(typed: str) -> str:
    note = " ".join("".join(sign if sign.isprintable() else " " for sign in typed).split())
    if len(note) > LONGEST_NOTE:
        raise NoteTooLong(limit=LONGEST_NOTE)
    return note


def _first_last(first: date, last: date) -> dict[str, str]:
    return {"first": first.isoformat(), "last": last.isoformat()}
