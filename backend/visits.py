"""One appointment, read: by whoever has its token, or by its code at the desk."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.access import Staff, access_appointments, access_console, answers_at
from backend.errors import NotFound, Unauthorized
from backend.models import Appointment
from backend.models.appointments import OCCUPYING
from backend.tokens import secret_hash

By = str | UUID | Staff
"""Who may change a visit: its token, the conversation in which it was booked, or somebody who answers at its desk."""


@dataclass(frozen=True, slots=True)
class Visit:
    """An appointment as everybody outside reads it. UTC."""

    id: UUID
    desk_id: int | None
    kind_id: int | None
    resource_id: int | None
    interpreter_id: int | None
    starts: datetime
    ends: datetime
    status: str
    hold_expires: datetime | None
    code: str | None
    name: str | None
    language: str
    demo: bool
    sequence: int
    uid: str
    changed_at: datetime
    conversation_id: UUID | None
    entry_id: str | None
    walk_in: bool
    late_minutes: int | None
    comes: bool | None


COLUMNS = (
    Appointment.id,
    Appointment.desk_id,
    Appointment.kind_id,
    Appointment.resource_id,
    Appointment.interpreter_id,
    Appointment.starts,
    Appointment.ends,
    Appointment.status,
    Appointment.hold_expires,
    Appointment.code,
    Appointment.name,
    Appointment.language,
    Appointment.demo,
    Appointment.sequence,
    Appointment.uid,
    Appointment.changed_at,
    Appointment.conversation_id,
    Appointment.entry_id,
    Appointment.walk_in,
    Appointment.late_minutes,
    Appointment.comes,
)


def visit_of(row: Sequence[Any]) -> Visit:
    return Visit(*row)


async def find_by_token(session: AsyncSession, appointment_id: UUID, token: str) -> Visit | None:
    """Raises Unauthorized without a token; a wrong one finds nothing, as if there were no such appointment."""
    if not token:
        raise Unauthorized
    query = select(*COLUMNS).where(Appointment.id == appointment_id, Appointment.token_hash == secret_hash(token))
    row = (await session.execute(query)).one_or_none()
    return visit_of(row) if row else None


async def find_by_code(session: AsyncSession, staff: Staff, desk_id: int, code: str) -> Visit | None:
    """For those who answer at the desk. Raises NotFound for everybody else."""
    await access_appointments(session, staff, desk_id)
    said = "".join(letter for letter in code.upper() if letter.isalnum())
    live = (Appointment.desk_id == desk_id, Appointment.code == said, Appointment.status.in_(OCCUPYING))
    row = (await session.execute(select(*COLUMNS).where(*live))).one_or_none()
    return visit_of(row) if row else None


async def lock_visit(session: AsyncSession, appointment_id: UUID, by: By) -> Visit:
    """Nobody else changes it meanwhile. Raises Unauthorized, Forbidden, NotFound."""
    if not by:
        raise Unauthorized
    query = select(*COLUMNS).where(Appointment.id == appointment_id)
    if isinstance(by, str):
        query = query.where(Appointment.token_hash == secret_hash(by))
    elif isinstance(by, UUID):
        query = query.where(Appointment.conversation_id == by)
    else:
        access_console(by)
        query = query.where(answers_at(by, Appointment.desk_id.expression))
    row = (await session.execute(query.with_for_update())).one_or_none()
    if row is None:
        raise NotFound
    return visit_of(row)
