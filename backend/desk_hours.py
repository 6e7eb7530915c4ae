"""When a desk is open, as its manager says it, and the example hours of a machine nobody has set up yet."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import delete, exists, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as insert_new
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend import audit
from backend.access import Staff, access_desk_hours
from backend.calendars import holiday_countries, load_hours
from backend.errors import AppError, Conflict, InvalidRequest
from backend.models import AppointmentKind, Desk, DeskDay, EntryRow, OpeningPeriod, Organisation, Resource
from backend.promises import Promise, promise
from bot.phrases import SOURCE, SPOKEN, say

LONGEST_NOTE = 200
LONGEST_ABSENCE = 92
"""Days that differ and are set at once."""
FARTHEST_DAY = timedelta(days=3 * 366)
MOST_MINUTES = 240
_TIME = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?(?::00)?")
_ONE_AT_A_TIME = 0x454C5044
"""Of the advisory lock under which the first organisation is made."""
FIRST_ORGANISATION, FIRST_DESK, FIRST_ENTRY = "Living Better", "Sportello ELP", "sportello-elp"
_HALVES = ((time(9, 30), time(12, 30)), (time(14), time(17)))
_EXAMPLE = [{"weekday": day, "opens": opens, "closes": closes} for day in (1, 3) for opens, closes in _HALVES]
"""Tuesday and Thursday, with a break: like many offices, and of nobody in particular."""


class HoursOverlap(Conflict):
    code = "hours_overlap"


class DayTaken(Conflict):
    code = "desk_day_taken"


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


class WrongMinutes(AppError):
    status = 422
    code = "desk_minutes"


@dataclass(frozen=True, slots=True)
class Period:
    id: int
    opens: time
    closes: time


@dataclass(frozen=True, slots=True)
class DifferentDays:
    """Days that follow each other and are alike."""

    first: date
    last: date
    opens: time | None
    """None: closed all day."""
    closes: time | None
    note: str


@dataclass(frozen=True, slots=True)
class DeskHours:
    desk_id: int
    name: str
    changeable: bool
    demo: bool
    zone: ZoneInfo
    country: str
    minutes_each: int
    today: date
    """At the desk."""
    week: tuple[tuple[Period, ...], ...]
    """Seven days, Monday first."""
    days: tuple[DifferentDays, ...]
    promise: Promise
    """What would be promised to somebody who asks now."""


def zones() -> list[str]:
    """Names of places (IANA), without the old ones that stand for no place."""
    return sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))


# --- reading ---

_QUEUE = text(
    """
    SELECT
        (SELECT count(*) FROM handovers h JOIN conversations c ON c.id = h.conversation_id
         WHERE h.desk_id = :desk AND h.closed_at IS NULL AND c.state = 'WAITING') AS ahead,
        (SELECT count(*) FROM desk_operators WHERE desk_id = :desk AND on_duty) AS on_duty
    """
)


async def read_hours(session: AsyncSession, staff: Staff, desk_id: int, now: datetime) -> DeskHours:
    """Raises NotFound."""
    desk = await access_desk_hours(session, staff, desk_id, change=False)
    zone = ZoneInfo(desk.zone)
    today = now.astimezone(zone).date()
    queue = (await session.execute(_QUEUE, {"desk": desk_id})).one()
    hours = (await load_hours(session, [desk_id]))[desk_id]
    return DeskHours(
        desk_id=desk_id,
        name=desk.name,
        changeable=staff.holds_at(("desk_manager",), desk.organisation_id, desk_id),
        demo=desk.demo_hours,
        zone=zone,
        country=desk.holidays,
        minutes_each=desk.minutes_each,
        today=today,
        week=await _read_week(session, desk_id),
        days=await _read_days(session, desk_id, today),
        promise=promise(hours, now, ahead=queue.ahead, minutes_each=desk.minutes_each, on_duty=queue.on_duty),
    )


async def _read_week(session: AsyncSession, desk_id: int) -> tuple[tuple[Period, ...], ...]:
    query = select(OpeningPeriod).where(OpeningPeriod.desk_id == desk_id).order_by(OpeningPeriod.opens)
    week: list[list[Period]] = [[] for _ in range(7)]
    for row in (await session.execute(query)).scalars():
        week[row.weekday].append(Period(row.id, row.opens, row.closes))
    return tuple(tuple(periods) for periods in week)


async def _read_days(session: AsyncSession, desk_id: int, today: date) -> tuple[DifferentDays, ...]:
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


# --- the week ---


async def add_periods(
    session: AsyncSession, staff: Staff, desk_id: int, *, weekdays: Collection[str], opens: str, closes: str
) -> None:
    """The same hours on each of these days (0 is Monday). Raises NotFound, Forbidden, MissingWeekday, WrongTime,
    WrongHours, HoursOverlap, InvalidRequest."""
    desk = await access_desk_hours(session, staff, desk_id, change=True)
    begins, ends = _span(opens, closes)
    if not weekdays:
        raise MissingWeekday
    if not all(re.fullmatch("[0-6]", weekday) for weekday in weekdays):
        raise InvalidRequest
    times = {"opens": begins, "closes": ends}
    rows = [{"desk_id": desk_id, "weekday": int(weekday), **times} for weekday in sorted(set(weekdays))]
    try:
        await session.execute(insert(OpeningPeriod), rows)
    except IntegrityError as error:
        raise HoursOverlap from error
    days = [row["weekday"] for row in rows]
    await _record(session, staff, desk, "desk.hours_changed", weekdays=days, **_as_text(begins, ends))


async def remove_period(session: AsyncSession, staff: Staff, desk_id: int, period_id: int) -> None:
    """Also when a colleague was quicker. Raises NotFound, Forbidden."""
    desk = await access_desk_hours(session, staff, desk_id, change=True)
    query = delete(OpeningPeriod).where(OpeningPeriod.id == period_id, OpeningPeriod.desk_id == desk_id)
    columns = (OpeningPeriod.weekday, OpeningPeriod.opens, OpeningPeriod.closes)
    gone = (await session.execute(query.returning(*columns))).one_or_none()
    if gone is not None:
        removed = {"removed": True, "weekdays": [gone.weekday]}
        await _record(session, staff, desk, "desk.hours_changed", **removed, **_as_text(gone.opens, gone.closes))


# --- days that differ ---


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
    begins, ends = _span(opens, closes) if opens.strip() or closes.strip() else (None, None)
    values = {"desk_id": desk_id, "opens": begins, "closes": ends, "note": _note(note)}
    try:
        await session.execute(insert(DeskDay), [{"day": day, **values} for day in days])
    except IntegrityError as error:
        raise DayTaken from error
    await _record(session, staff, desk, "desk.days_changed", **_first_last(days[0], days[-1]))


async def remove_days(session: AsyncSession, staff: Staff, desk_id: int, *, first: str, last: str) -> None:
    """All between these two, also when a colleague was quicker. Raises NotFound, Forbidden, WrongDay."""
    desk = await access_desk_hours(session, staff, desk_id, change=True)
    begin, end = _day(first), _day(last)
    query = delete(DeskDay).where(DeskDay.desk_id == desk_id, DeskDay.day.between(begin, end))
    if (await session.execute(query.returning(DeskDay.day))).all():
        await _record(session, staff, desk, "desk.days_changed", removed=True, **_first_last(begin, end))


# --- the rest ---


async def save_settings(
    session: AsyncSession, staff: Staff, desk_id: int, *, zone: str, country: str, minutes: str
) -> None:
    """`country`: whose public holidays are kept; empty: none. Example hours stay examples. Raises NotFound, Forbidden,
    WrongMinutes, InvalidRequest."""
    desk = await access_desk_hours(session, staff, desk_id, change=True)
    if zone not in {desk.zone, *zones()} or country not in {"", desk.holidays, *holiday_countries()}:
        raise InvalidRequest
    if not re.fullmatch(r"\d{1,4}", minutes.strip()) or not 1 <= int(minutes) <= MOST_MINUTES:
        raise WrongMinutes(most=MOST_MINUTES)
    desk.zone, desk.holidays, desk.minutes_each = zone, country, int(minutes)
    said = {"zone": zone, "country": country, "minutes": int(minutes)}
    await _write(session, staff, desk, "desk.settings_changed", **said)


async def confirm_hours(session: AsyncSession, staff: Staff, desk_id: int) -> None:
    """The example hours are the real ones. Raises NotFound, Forbidden."""
    desk = await access_desk_hours(session, staff, desk_id, change=True)
    if desk.demo_hours:
        await _record(session, staff, desk, "desk.hours_confirmed")


async def _record(session: AsyncSession, staff: Staff, desk: Desk, action: str, **details: Any) -> None:
    """From the first change on, the hours are what somebody said, and no examples any more."""
    desk.demo_hours = False
    await _write(session, staff, desk, action, **details)


async def _write(session: AsyncSession, staff: Staff, desk: Desk, action: str, **details: Any) -> None:
    await session.flush()
    await audit.record(
        session,
        action,
        f"desk:{desk.id}",
        account_id=staff.account_id,
        organisation_id=desk.organisation_id,
        **details,
    )


def _span(opens: str, closes: str) -> tuple[time, time]:
    begins, ends = _time(opens), _time(closes)
    if begins >= ends:
        raise WrongHours
    return begins, ends


def _time(typed: str) -> time:
    """As browsers send it (`09:30`), or as somebody types it: `9.30`, `9`."""
    match = _TIME.fullmatch(typed.strip())
    if match is None:
        raise WrongTime
    try:
        return time(int(match[1]), int(match[2] or 0))
    except ValueError as error:
        raise WrongTime from error


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


def _as_text(opens: time, closes: time) -> dict[str, str]:
    return {"opens": f"{opens:%H:%M}", "closes": f"{closes:%H:%M}"}


def _first_last(first: date, last: date) -> dict[str, str]:
    return {"first": first.isoformat(), "last": last.isoformat()}


# --- a machine nobody has set up yet ---


async def seed_places(session: AsyncSession) -> bool:
    """One organisation with one desk, where there is no organisation at all; its hours are not known."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ONE_AT_A_TIME})
    if (await session.execute(select(exists().where(Organisation.id.is_not(None))))).scalar_one():
        return False
    made = insert_new(Organisation).values(name=FIRST_ORGANISATION).on_conflict_do_nothing().returning(Organisation.id)
    organisation = (await session.execute(made)).scalar_one_or_none()
    if organisation is None:
        return False  # an administrator made it this moment
    entry = (await session.execute(select(EntryRow.id).where(EntryRow.id == FIRST_ENTRY))).scalar_one_or_none()
    values = {"organisation_id": organisation, "name": FIRST_DESK, "entry_id": entry}
    desk = (await session.execute(insert(Desk).values(values).returning(Desk.id))).scalar_one()
    for action, subject in (("organisation.added", f"organisation:{organisation}"), ("desk.added", f"desk:{desk}")):
        await audit.record(session, action, subject, account_id=None, organisation_id=organisation)
    return True


async def seed_demo_hours(session: AsyncSession) -> int:
    """Example hours for every desk of which nobody has said anything; returns how many."""
    said = exists().where(OpeningPeriod.desk_id == Desk.id) | exists().where(DeskDay.desk_id == Desk.id)
    query = select(Desk).where(~said).order_by(Desk.id).with_for_update(key_share=True)
    found = 0
    for desk in (await session.execute(query)).scalars().all():
        if any(await _read_week(session, desk.id)):
            continue  # somebody was quicker while we waited
        await session.execute(insert(OpeningPeriod), [{"desk_id": desk.id, **period} for period in _EXAMPLE])
        desk.demo_hours = True
        await _seed_examples(session, desk.id)
        subject, organisation = f"desk:{desk.id}", desk.organisation_id
        await audit.record(session, "desk.example_hours", subject, account_id=None, organisation_id=organisation)
        found += 1
    await session.flush()
    return found


async def _seed_examples(session: AsyncSession, desk_id: int) -> None:
    """Something to book where nothing is offered yet: two kinds, somebody who serves and somebody who interprets."""
    offers = exists().where(AppointmentKind.desk_id == desk_id) | exists().where(Resource.desk_id == desk_id)
    if (await session.execute(select(offers))).scalar_one():
        return
    for key, minutes in (("appointment.example_first", 45), ("appointment.example_papers", 30)):
        names = {code: say(code, key) for code in SPOKEN}
        kind = {"desk_id": desk_id, "names": names, "minutes": minutes, "buffer_after": 15, "demo": True}
        await session.execute(insert(AppointmentKind).values(kind))
    for what, languages in (("staff", []), ("interpreter", ["ar", "fr", "en"])):
        name = say(SOURCE, f"appointment.example_{what}")
        helper = {"desk_id": desk_id, "kind": what, "name": name, "languages": languages, "demo": True}
        await session.execute(insert(Resource).values(helper))


async def desks_with_demo_hours(session: AsyncSession) -> list[str]:
    """Their names."""
    query = select(Desk.name).where(Desk.demo_hours).order_by(func.lower(Desk.name), Desk.id)
    return list((await session.execute(query)).scalars())
