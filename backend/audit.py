"""The audit log: who did what to what, in the transaction that did it. Ids only, never texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.models import Account, AuditEvent

PAGE = 50


@dataclass(frozen=True, slots=True)
class Event:
    id: int
    at: datetime
    account_id: UUID | None
    name: str | None
    """Of the account; None for the program itself, and when the account is gone."""
    action: str
    subject: str
    details: dict[str, Any]


async def record(
    session: AsyncSession,
    action: str,
    subject: str,
    *,
    account_id: UUID | None,
    organisation_id: int | None = None,
    **details: Any,
) -> None:
    """`action` is `<what>.<done>`, with its sentence under `audit.<action>` in the catalogues; `subject` is
    `<kind>:<id>`; `details` hold ids, roles and numbers, nothing a person wrote."""
    values = {"account_id": account_id, "organisation_id": organisation_id, "action": action, "subject": subject}
    await session.execute(insert(AuditEvent).values(**values, details=details))


async def list_events(
    session: AsyncSession, *, organisations: Sequence[int] | None, before: int | None = None, limit: int = PAGE
) -> list[Event]:
    """Newest first. `organisations` None: everything; else what concerns these organisations alone."""
    columns = (
        AuditEvent.id,
        AuditEvent.at,
        AuditEvent.account_id,
        Account.name,
        AuditEvent.action,
        AuditEvent.subject,
        AuditEvent.details,
    )
    query = select(*columns).outerjoin(Account, Account.id == AuditEvent.account_id)
    if organisations is not None:
        query = query.where(AuditEvent.organisation_id.in_(organisations))
    if before is not None:
        query = query.where(AuditEvent.id < before)
    rows = await session.execute(query.order_by(AuditEvent.id.desc()).limit(limit))
    return [Event(*row) for row in rows]
