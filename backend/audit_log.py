"""Reading the audit log: by person and action, with the names of what it speaks of where they still exist."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.access import Staff, access_audit_log, accounts_within
from backend.models import Account, AuditEvent, Desk, Organisation

PAGE = 50


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    id: int
    at: datetime
    account_id: UUID | None
    name: str | None
    """Of the account; None for the program itself, and when the account is gone."""
    action: str
    subject: str
    details: dict[str, Any]
    subject_name: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """None: any."""

    person: UUID | None = None
    """Events this person caused, and events about this person."""
    action: str | None = None


async def find_events(
    session: AsyncSession, staff: Staff, wanted: Wanted, *, before: int | None = None, limit: int = PAGE
) -> list[LoggedEvent]:
    """Newest first. Raises Forbidden."""
    query = _within(
        select(
            AuditEvent.id,
            AuditEvent.at,
            AuditEvent.account_id,
            Account.name,
            AuditEvent.action,
            AuditEvent.subject,
            AuditEvent.details,
        ).outerjoin(Account, Account.id == AuditEvent.account_id),
        access_audit_log(staff),
    )
    if wanted.person is not None:
        about = AuditEvent.subject == f"account:{wanted.person}"
        query = query.where(or_(AuditEvent.account_id == wanted.person, about))
    if wanted.action is not None:
        query = query.where(AuditEvent.action == wanted.action)
    if before is not None:
        query = query.where(AuditEvent.id < before)
    rows = (await session.execute(query.order_by(AuditEvent.id.desc()).limit(limit))).all()
    names = await _subject_names(session, {row.subject for row in rows})
    return [replace(LoggedEvent(*row), subject_name=names.get(row.subject)) for row in rows]


async def list_actions(session: AsyncSession, staff: Staff) -> list[str]:
    """Those that occur in what this person may read. Raises Forbidden."""
    query = _within(select(AuditEvent.action).distinct(), access_audit_log(staff))
    return sorted((await session.execute(query)).scalars())


async def list_names(session: AsyncSession, staff: Staff) -> list[tuple[UUID, str]]:
    """People to choose from, by name. Raises Forbidden."""
    query = select(Account.id, Account.name).where(accounts_within(access_audit_log(staff)))
    return [(row.id, row.name) for row in await session.execute(query.order_by(Account.name, Account.id))]


def _within(query: Select[*tuple[Any, ...]], organisations: Sequence[int] | None) -> Select[*tuple[Any, ...]]:
    return query if organisations is None else query.where(AuditEvent.organisation_id.in_(organisations))


async def _subject_names(session: AsyncSession, subjects: Iterable[str]) -> dict[str, str]:
    ids: dict[str, list[str]] = {}
    for subject in subjects:
        kind, _, key = subject.partition(":")
        ids.setdefault(kind, []).append(key)
    names: dict[str, str] = {}
    accounts = select(Account.id, Account.name).where(Account.id.in_(map(_uuid, ids.get("account", ()))))
    for account_id, name in await session.execute(accounts):
        names[f"account:{account_id}"] = name
    for kind, model in (("organisation", Organisation), ("desk", Desk)):
        numbers = [int(key) for key in ids.get(kind, ()) if key.isdecimal() and len(key) < 10]
        for number, name in await session.execute(select(model.id, model.name).where(model.id.in_(numbers))):
            names[f"{kind}:{number}"] = name
    return names


def _uuid(key: str) -> UUID | None:
    try:
        return UUID(key)
    except ValueError:
        return None
