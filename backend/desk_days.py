"""Days on which a desk is not open as in its ordinary week: closures and exceptions."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.access import Staff, access_desk_hours
from backend.desk_week import record_hours, span
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
    opens: time | None
    """None: closed all day."""
    closes: time | None
    note: str


async def read_days(session: AsyncSession, desk_id: int, today: date) -> tuple[DifferentDays, ...]:
    """From today on."""
    columns = (DeskDay.day, DeskDay.opens, DeskDay.closes, DeskDay.note)
    query = select(*columns).where(DeskDay.desk_id == desk_id, DeskDay.day >= today).order_by(DeskDay.day)
    rows = await session.execute(query)
    return _together(DifferentDays(row.day, row.day, row.opens, row.closes, row.note) for row in rows)


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
    note: str,
    now: datetime,
) -> None:
    """From the first to the last day (empty: only the first); closed all day when both times are empty. Raises
    NotFound, Forbidden, WrongDay, PastDay, FarDay, WrongDays, WrongTime, WrongHours, NoteTooLong, DayTaken."""
    desk = await access_desk_hours(session, staff, desk_id, change=True)
    days = _days(first, last, now.astimezone(ZoneInfo(desk.zone)).date())
    begins, ends = span(opens, closes) if opens.strip() or closes.strip() else (None, None)
    values = {"desk_id": desk_id, "opens": begins, "closes": ends, "note": _note(note)}
    try:
        await session.execute(insert(DeskDay), [{"day": day, **values} for day in days])
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
