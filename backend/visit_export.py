"""What is kept of a person's visits, as plain data for themselves."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from backend.db import Writer
from backend.diary import name_of
from backend.models import Appointment, AppointmentKind, Desk, WaitingPlace

_VISIT = (
    Appointment.status,
    Appointment.starts,
    Appointment.ends,
    Appointment.code,
    Appointment.name,
    Appointment.language,
    Appointment.interpreter_id,
    Appointment.entry_id,
    Appointment.late_minutes,
    Appointment.comes,
    Appointment.demo,
    Appointment.created_at,
)
_PLACE = (
    WaitingPlace.language,
    WaitingPlace.interpreter,
    WaitingPlace.first_day,
    WaitingPlace.last_day,
    WaitingPlace.part,
    WaitingPlace.asked_at,
    WaitingPlace.offered_until,
    WaitingPlace.declined,
)


async def export_visits(db: Writer, conversation_id: UUID, language: str) -> dict[str, Any]:
    """`appointments` and `waiting_list`, the first first; kinds are named in this language. What opens an appointment
    is not among it."""
    visits = select(*_VISIT).where(Appointment.conversation_id == conversation_id).order_by(Appointment.starts)
    places = select(*_PLACE).where(WaitingPlace.conversation_id == conversation_id).order_by(WaitingPlace.asked_at)
    named = AppointmentKind.names.label("names")
    kind_of_visit = visits.outerjoin(AppointmentKind, AppointmentKind.id == Appointment.kind_id)
    with_desk = kind_of_visit.outerjoin(Desk, Desk.id == Appointment.desk_id).add_columns(
        named, Desk.name.label("desk")
    )
    kind_of_place = places.join(AppointmentKind, AppointmentKind.id == WaitingPlace.kind_id)
    at_desk = kind_of_place.join(Desk, Desk.id == AppointmentKind.desk_id).add_columns(named, Desk.name.label("desk"))
    return {
        "appointments": await _rows(db, with_desk, language),
        "waiting_list": await _rows(db, at_desk, language),
    }


async def _rows(db: Writer, query: Select[Any], language: str) -> list[dict[str, Any]]:
    found = []
    for row in (await db.execute(query)).mappings():
        values = {
            key: _plain(value) for key, value in row.items() if key not in ("names", "interpreter_id", "entry_id")
        }
        values["kind"] = name_of(row["names"], language) if row["names"] else None
        if "interpreter_id" in row:
            values |= {"interpreter": row["interpreter_id"] is not None, "entry": row["entry_id"]}
        found.append(values)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return [_plain(one) for one in value] if isinstance(value, list) else value
