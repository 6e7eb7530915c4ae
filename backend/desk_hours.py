"""When a desk is open, as its manager says it: the page of its hours, its settings, and the end of the examples."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.access import Staff, access_desk_hours
from backend.calendars import holiday_countries, load_hours
from backend.desk_days import DifferentDays, read_days
from backend.desk_week import Period, read_week, record_desk, record_hours
from backend.errors import AppError, InvalidRequest
from backend.models import Appointment, AppointmentKind, Resource
from backend.promises import Promise, promise

MOST_MINUTES = 240


class WrongMinutes(AppError):
    status = 422
    code = "desk_minutes"


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
        week=await read_week(session, desk_id),
        days=await read_days(session, desk_id, today),
        promise=promise(hours, now, ahead=queue.ahead, minutes_each=desk.minutes_each, on_duty=queue.on_duty),
    )


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
    await record_desk(session, staff, desk, "desk.settings_changed", **said)


async def confirm_hours(session: AsyncSession, staff: Staff, desk_id: int, *, now: datetime) -> None:
    """The examples are real: hours, kinds, resources, and the visits that were booked with them and are still to come.
    Raises NotFound, Forbidden."""
    desk = await access_desk_hours(session, staff, desk_id, change=True)
    changed = 0
    for model in (AppointmentKind, Resource):
        query = update(model).where(model.desk_id == desk_id, model.demo).values(demo=False).returning(model.id)
        changed += len((await session.execute(query)).all())
    coming = (Appointment.desk_id == desk_id, Appointment.demo, Appointment.starts > now)
    visits = update(Appointment).where(*coming).values(demo=False).returning(Appointment.id)
    changed += len((await session.execute(visits)).all())
    if desk.demo_hours or changed:
        await record_hours(session, staff, desk, "desk.hours_confirmed")
