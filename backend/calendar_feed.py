"""A desk's calendar for programs: an address with a secret in it, and what is read there. No names."""

from datetime import datetime, timedelta

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend import audit
from backend.access import Staff, access_appointments, access_desk_hours
from backend.diary import name_of
from backend.errors import NotFound
from backend.ics import Entry
from backend.models import Appointment, AppointmentKind, Desk
from backend.tokens import new_token, secret_hash
from bot.phrases import SOURCE, language_name, say

BEFORE, AHEAD = timedelta(days=7), timedelta(days=120)
EVERY = timedelta(minutes=30)
"""How often a program should look."""
_MOST = 20_000


async def make_feed(session: AsyncSession, staff: Staff, desk_id: int) -> str:
    """The secret of its address, which is kept nowhere; the one before it opens nothing any more. Raises NotFound,
    Forbidden."""
    secret = new_token()
    await _set(session, staff, desk_id, secret_hash(secret), "desk.feed_made")
    return secret


async def stop_feed(session: AsyncSession, staff: Staff, desk_id: int) -> None:
    """Raises NotFound, Forbidden."""
    await _set(session, staff, desk_id, None, "desk.feed_stopped")


async def has_feed(session: AsyncSession, staff: Staff, desk_id: int) -> bool:
    """Raises NotFound."""
    return (await access_appointments(session, staff, desk_id)).feed_hash is not None


async def _set(session: AsyncSession, staff: Staff, desk_id: int, value: bytes | None, action: str) -> None:
    desk = await access_desk_hours(session, staff, desk_id, change=True)
    if desk.feed_hash == value:
        return
    desk.feed_hash = value
    await session.flush()
    await audit.record(
        session, action, f"desk:{desk_id}", account_id=staff.account_id, organisation_id=desk.organisation_id
    )


async def read_feed(session: AsyncSession, secret: str, now: datetime) -> tuple[str, list[Entry]]:
    """The desk's name and its visits, from a week ago on; what was cancelled stays in for a week. Raises NotFound."""
    found = await session.execute(select(Desk.id, Desk.name).where(Desk.feed_hash == secret_hash(secret)))
    desk = found.one_or_none()
    if desk is None:
        raise NotFound
    columns = (Appointment.uid, Appointment.sequence, Appointment.starts, Appointment.ends, Appointment.changed_at)
    about = (Appointment.status, Appointment.language, Appointment.code, Appointment.demo, AppointmentKind.names)
    # A hold that nobody confirmed was never an appointment, also when it is over.
    gone = and_(
        Appointment.status == "cancelled", Appointment.hold_expires.is_(None), Appointment.changed_at >= now - BEFORE
    )
    query = select(*columns, *about).outerjoin(AppointmentKind, AppointmentKind.id == Appointment.kind_id)
    query = query.where(
        Appointment.desk_id == desk.id,
        Appointment.starts.between(now - BEFORE, now + AHEAD),
        or_(Appointment.status.not_in(("held", "cancelled")), gone),
    )
    rows = await session.execute(query.order_by(Appointment.starts, Appointment.id).limit(_MOST))
    return desk.name, [
        Entry(
            row.uid,
            row.sequence,
            row.starts,
            row.ends,
            row.changed_at,
            cancelled=row.status == "cancelled",
            summary=_summary(row.names, row.language, demo=row.demo),
            location="",
            description=row.code or "",
        )
        for row in rows
    ]


def _summary(names: dict[str, str] | None, language: str, *, demo: bool) -> str:
    kind = name_of(names, SOURCE) if names else say(SOURCE, "console.calendar.visit")
    spoken = language_name(language, SOURCE)
    key = "console.calendar.feed_demo" if demo else "console.calendar.feed_visit"
    return say(SOURCE, key, kind=kind, language=spoken)
