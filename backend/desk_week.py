"""The ordinary week of a desk, as its manager says it: hours, and breaks between them."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import time
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend import audit
from backend.access import Staff, access_desk_hours
from backend.errors import AppError, Conflict, InvalidRequest, NotFound
from backend.models import Desk, OpeningPeriod

_TIME = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?(?::00)?")


class HoursOverlap(Conflict):
    code = "hours_overlap"


class WrongHours(AppError):
    """They end before they begin."""

    status = 422
    code = "hours_order"


class WrongTime(AppError):
    status = 422
    code = "hours_time"


class MissingWeekday(AppError):
    status = 422
    code = "hours_weekday"


class NoHoursToBreak(AppError):
    """The desk is not open then anyhow."""

    status = 422
    code = "hours_break"


@dataclass(frozen=True, slots=True)
class Period:
    id: int
    opens: time
    closes: time


async def read_week(session: AsyncSession, desk_id: int) -> tuple[tuple[Period, ...], ...]:
    """Seven days, Monday first."""
    query = select(OpeningPeriod.id, OpeningPeriod.weekday, OpeningPeriod.opens, OpeningPeriod.closes)
    week: list[list[Period]] = [[] for _ in range(7)]
    for row in await session.execute(query.where(OpeningPeriod.desk_id == desk_id).order_by(OpeningPeriod.opens)):
        week[row.weekday].append(Period(row.id, row.opens, row.closes))
    return tuple(tuple(periods) for periods in week)


async def add_periods(
    session: AsyncSession, staff: Staff, desk_id: int, *, weekdays: Collection[str], opens: str, closes: str
) -> None:
    """The same hours on each of these days (0 is Monday). Raises NotFound, Forbidden, MissingWeekday, WrongTime,
    WrongHours, HoursOverlap, InvalidRequest."""
    desk = await access_desk_hours(session, staff, desk_id, change=True)
    begins, ends = span(opens, closes)
    days = _weekdays(weekdays)
    await _insert(session, [_row(desk_id, weekday, begins, ends) for weekday in days])
    await record_hours(session, staff, desk, "desk.hours_changed", weekdays=days, **_as_text(begins, ends))


async def change_period(
    session: AsyncSession, staff: Staff, desk_id: int, period_id: int, *, opens: str, closes: str
) -> None:
    """Raises NotFound, also when a colleague has removed it; Forbidden, WrongTime, WrongHours, HoursOverlap."""
    desk = await access_desk_hours(session, staff, desk_id, change=True)
    begins, ends = span(opens, closes)
    query = update(OpeningPeriod).where(OpeningPeriod.id == period_id, OpeningPeriod.desk_id == desk_id)
    changed = query.values(opens=begins, closes=ends).returning(OpeningPeriod.weekday)
    try:
        weekday = (await session.execute(changed)).scalar_one_or_none()
    except IntegrityError as error:
        raise HoursOverlap from error
    if weekday is None:
        raise NotFound
    await record_hours(session, staff, desk, "desk.hours_changed", weekdays=[weekday], **_as_text(begins, ends))


async def add_break(
    session: AsyncSession, staff: Staff, desk_id: int, *, weekdays: Collection[str], begins: str, ends: str
) -> None:
    """Cut out of the hours of each of these days. Raises NotFound, Forbidden, MissingWeekday, WrongTime, WrongHours,
    NoHoursToBreak, InvalidRequest."""
    desk = await access_desk_hours(session, staff, desk_id, change=True)
    first, last = span(begins, ends)
    days = _weekdays(weekdays)
    touched = (OpeningPeriod.weekday.in_(days), OpeningPeriod.opens < last, OpeningPeriod.closes > first)
    query = delete(OpeningPeriod).where(OpeningPeriod.desk_id == desk_id, *touched)
    columns = (OpeningPeriod.weekday, OpeningPeriod.opens, OpeningPeriod.closes)
    cut = (await session.execute(query.returning(*columns))).all()
    if not cut:
        raise NoHoursToBreak
    left = [(row.weekday, row.opens, first) for row in cut] + [(row.weekday, last, row.closes) for row in cut]
    await _insert(session, [_row(desk_id, *part) for part in left if part[1] < part[2]])
    said = {"removed": True, "weekdays": sorted({row.weekday for row in cut})}
    await record_hours(session, staff, desk, "desk.hours_changed", **said, **_as_text(first, last))


async def remove_period(session: AsyncSession, staff: Staff, desk_id: int, period_id: int) -> None:
    """Also when a colleague was quicker. Raises NotFound, Forbidden."""
    desk = await access_desk_hours(session, staff, desk_id, change=True)
    query = delete(OpeningPeriod).where(OpeningPeriod.id == period_id, OpeningPeriod.desk_id == desk_id)
    columns = (OpeningPeriod.weekday, OpeningPeriod.opens, OpeningPeriod.closes)
    gone = (await session.execute(query.returning(*columns))).one_or_none()
    if gone is not None:
        removed = {"removed": True, "weekdays": [gone.weekday]}
        await record_hours(session, staff, desk, "desk.hours_changed", **removed, **_as_text(gone.opens, gone.closes))


# --- what all changes of hours share ---


def span(opens: str, closes: str) -> tuple[time, time]:
    """Raises WrongTime, WrongHours."""
    begins, ends = _time(opens), _time(closes)
    if begins >= ends:
        raise WrongHours
    return begins, ends


async def record_hours(session: AsyncSession, staff: Staff, desk: Desk, action: str, **details: Any) -> None:
    """From the first change on, the hours are what somebody said, and no examples any more."""
    desk.demo_hours = False
    await record_desk(session, staff, desk, action, **details)


async def record_desk(session: AsyncSession, staff: Staff, desk: Desk, action: str, **details: Any) -> None:
    await session.flush()
    await audit.record(
        session,
        action,
        f"desk:{desk.id}",
        account_id=staff.account_id,
        organisation_id=desk.organisation_id,
        **details,
    )


async def _insert(session: AsyncSession, rows: list[dict[str, Any]]) -> None:
    """Raises HoursOverlap."""
    if not rows:
        return
    try:
        await session.execute(insert(OpeningPeriod), rows)
    except IntegrityError as error:
        raise HoursOverlap from error


def _row(desk_id: int, weekday: int, opens: time, closes: time) -> dict[str, Any]:
    return {"desk_id": desk_id, "weekday": weekday, "opens": opens, "closes": closes}


def _weekdays(typed: Collection[str]) -> list[int]:
    if not typed:
        raise MissingWeekday
    if not all(re.fullmatch("[0-6]", weekday) for weekday in typed):
        raise InvalidRequest
    return sorted({int(weekday) for weekday in typed})


def _time(typed: str) -> time:
    """As browsers send it (`09:30`), or as somebody types it: `9.30`, `9`."""
    match = _TIME.fullmatch(typed.strip())
    if match is None:
        raise WrongTime
    try:
        return time(int(match[1]), int(match[2] or 0))
    except ValueError as error:
        raise WrongTime from error


def _as_text(opens: time, closes: time) -> dict[str, str]:
    return {"opens": f"{opens:%H:%M}", "closes": f"{closes:%H:%M}"}
