"""Sessions of staff, in PostgreSQL: opened, read at every request, listed to their owner, ended."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.access import Role, Staff
from backend.db import Sessions, retried
from backend.models import Account, Membership, StaffSession
from backend.models.staff import HAS_SECOND_FACTOR
from backend.tokens import new_token, secret_hash

IDLE_HOURS = 3
LONGEST_HOURS = 14
"""A long shift. OWASP: both an idle and an absolute limit (Session Management Cheat Sheet)."""
FACTOR_MINUTES = 10
"""How long somebody may look for the second factor after the password was right."""
_SEEN_EVERY = text("interval '60 seconds'")


@dataclass(frozen=True, slots=True)
class OwnSession:
    id: UUID
    browser: str
    created_at: datetime
    seen_at: datetime
    current: bool


async def open_session(session: AsyncSession, account_id: UUID, *, browser: str, complete: bool) -> str:
    """Returns the token for the cookie. Not `complete`: it opens nothing until the second factor was shown."""
    token = new_token()
    until = text(f"interval '{LONGEST_HOURS} hours'" if complete else f"interval '{FACTOR_MINUTES} minutes'")
    values = {"token_hash": secret_hash(token), "account_id": account_id, "browser": browser, "complete": complete}
    await session.execute(insert(StaffSession).values(**values, expires_at=func.now() + until))
    return token


def _alive() -> tuple[ColumnElement[bool], ...]:
    return (
        StaffSession.expires_at > func.now(),
        StaffSession.seen_at > func.now() - text(f"interval '{IDLE_HOURS} hours'"),
        Account.disabled_at.is_(None),
    )


async def find_staff(sessions: Sessions, token: str) -> Staff | None:
    """Who holds this cookie; None for an old, ended, incomplete or made-up one, and for a disabled account.

    Raises Unavailable."""

    async def work() -> Staff | None:
        async with sessions.begin() as session:
            query = (
                select(StaffSession.seen_at < func.now() - _SEEN_EVERY, StaffSession.id, *STAFF)
                .join(Account, Account.id == StaffSession.account_id)
                .outerjoin(Membership, Membership.account_id == Account.id)
                .where(StaffSession.token_hash == secret_hash(token), StaffSession.complete, *_alive())
            )
            stale, found = await read_staff(session, query)
            if found and stale:
                seen = update(StaffSession).where(StaffSession.id == found.session_id).values(seen_at=func.now())
                await session.execute(seen)
            return found

    return await retried(work)


STAFF = (
    Account.id,
    Account.name,
    Account.email,
    Account.language,
    HAS_SECOND_FACTOR,
    Membership.role,
    Membership.organisation_id,
    Membership.desk_id,
)


async def read_staff(session: AsyncSession, query: Select[*tuple[Any, ...]]) -> tuple[bool, Staff | None]:
    """Of a query for whether it was long not seen, the id of a session or key, and `STAFF`: a row for each role."""
    # Each request asks, so it is one statement without a transaction around it.
    await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
    rows = (await session.execute(query)).all()
    if not rows:
        return False, None
    stale, session_id, account_id, name, email, language, second_factor, *_ = rows[0]
    held = tuple(Role(*row[-3:]) for row in rows if row[-3] is not None)
    return bool(stale), Staff(account_id, session_id, name, email, language, second_factor, held)


async def find_waiting_account(session: AsyncSession, token: str) -> UUID | None:
    """The account whose password was right in this browser and whose second factor is awaited; None otherwise."""
    query = (
        select(StaffSession.account_id)
        .join(Account, Account.id == StaffSession.account_id)
        .where(StaffSession.token_hash == secret_hash(token), StaffSession.complete.is_(False), *_alive())
    )
    return (await session.execute(query)).scalar_one_or_none()


async def end_session(session: AsyncSession, token: str) -> None:
    await session.execute(delete(StaffSession).where(StaffSession.token_hash == secret_hash(token)))


async def end_sessions(session: AsyncSession, account_id: UUID, *, but: UUID | None = None) -> int:
    """All of an account, after a change of password or role; `but` is the one that asked for it."""
    query = delete(StaffSession).where(StaffSession.account_id == account_id)
    ended = await session.execute(query if but is None else query.where(StaffSession.id != but))
    return int(ended.rowcount)  # type: ignore[attr-defined]


async def list_sessions(session: AsyncSession, account_id: UUID, *, current: UUID | None = None) -> list[OwnSession]:
    """The last used first."""
    columns = (StaffSession.id, StaffSession.browser, StaffSession.created_at, StaffSession.seen_at)
    query = (
        select(*columns)
        .join(Account, Account.id == StaffSession.account_id)
        .where(StaffSession.account_id == account_id, StaffSession.complete, *_alive())
        .order_by(StaffSession.seen_at.desc())
    )
    return [OwnSession(*row, current=row.id == current) for row in await session.execute(query)]
