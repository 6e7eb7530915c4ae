"""The audit log: who did what to what, in the transaction that did it. Ids only, never texts."""

from typing import Any
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.models import AuditEvent


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
