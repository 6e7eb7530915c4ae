"""Keys with which another help-desk program acts for an account on the console's API: made, used, deleted."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.access import Staff, access_console
from backend.accounts import clean_name, confirm_password, record
from backend.db import Sessions, retried
from backend.errors import AppError, Conflict, NotFound
from backend.models import Account, ConsoleKey, Membership
from backend.staff_sessions import STAFF, read_staff
from backend.tokens import new_token, secret_hash

LONGEST_DAYS = 365
MOST_KEYS = 20
PREFIX = "elp_"
"""So that programs which look for leaked secrets, and people, know one when they see it."""
_USED_EVERY_S = 60
_STALE = func.coalesce(ConsoleKey.used_at < func.now() - text(f"interval '{_USED_EVERY_S} seconds'"), True)
"""Whether the last use has to be written down again."""


class KeyDays(AppError):
    """An expiry that is too near or too far away."""

    status = 422
    code = "key_days"


class TooManyKeys(Conflict):
    code = "too_many_keys"


@dataclass(frozen=True, slots=True)
class OwnKey:
    id: UUID
    name: str
    created_at: datetime
    used_at: datetime | None
    expires_at: datetime
    expired: bool


async def make_key(sessions: Sessions, staff: Staff, *, name: str, days: int, password: str, now: datetime) -> str:
    """The key, to be shown once; only its hash is kept.

    Raises Forbidden, MissingName, NameTooLong, KeyDays, TooManyKeys, WrongPassword."""
    access_console(staff)
    name = clean_name(name)
    if not 1 <= days <= LONGEST_DAYS:
        raise KeyDays(days=LONGEST_DAYS)
    await confirm_password(sessions, staff.account_id, password)
    key = PREFIX + new_token()
    async with sessions.begin() as session:
        # Locked, so that of two made at once both are counted.
        await session.execute(select(Account.id).where(Account.id == staff.account_id).with_for_update(key_share=True))
        query = select(func.count()).select_from(ConsoleKey).where(ConsoleKey.account_id == staff.account_id)
        if (await session.execute(query)).scalar_one() >= MOST_KEYS:
            raise TooManyKeys(limit=MOST_KEYS)
        values = {"key_hash": secret_hash(key), "account_id": staff.account_id, "name": name}
        await session.execute(insert(ConsoleKey).values(**values, expires_at=now + timedelta(days=days)))
        await record(session, "account.key_made", staff.account_id, by=staff.account_id, days=days)
    return key


async def list_keys(session: AsyncSession, account_id: UUID) -> list[OwnKey]:
    """The newest first."""
    query = (
        select(
            ConsoleKey.id,
            ConsoleKey.name,
            ConsoleKey.created_at,
            ConsoleKey.used_at,
            ConsoleKey.expires_at,
            ConsoleKey.expires_at <= func.now(),
        )
        .where(ConsoleKey.account_id == account_id)
        .order_by(ConsoleKey.created_at.desc(), ConsoleKey.id)
    )
    return [OwnKey(*row) for row in await session.execute(query)]


async def delete_key(session: AsyncSession, staff: Staff, key_id: UUID) -> None:
    """One's own, whatever roles one still has. Raises NotFound."""
    own = (ConsoleKey.id == key_id, ConsoleKey.account_id == staff.account_id)
    gone = await session.execute(delete(ConsoleKey).where(*own).returning(ConsoleKey.id))
    if gone.scalar_one_or_none() is None:
        raise NotFound
    await record(session, "account.key_deleted", staff.account_id, by=staff.account_id)


async def find_key_staff(sessions: Sessions, key: str) -> Staff | None:
    """For whom this key acts, with their roles as they are now; None for an old, deleted or made-up one, and for a
    disabled account. `session_id` is the id of the key. Raises Unavailable."""

    async def work() -> Staff | None:
        async with sessions.begin() as session:
            query = (
                select(_STALE, ConsoleKey.id, *STAFF)
                .join(Account, Account.id == ConsoleKey.account_id)
                .outerjoin(Membership, Membership.account_id == Account.id)
                .where(
                    ConsoleKey.key_hash == secret_hash(key),
                    ConsoleKey.expires_at > func.now(),
                    Account.disabled_at.is_(None),
                )
            )
            stale, found = await read_staff(session, query)
            if found and stale:
                used = update(ConsoleKey).where(ConsoleKey.id == found.session_id, _STALE).values(used_at=func.now())
                await session.execute(used)
            return found

    return await retried(work)
