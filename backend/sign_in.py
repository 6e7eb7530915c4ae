"""Signing in with e-mail and password: the first step, and the last one for accounts without a second factor."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, update

from backend.accounts import EMAIL, let_in, record
from backend.db import Sessions, retried
from backend.errors import Unauthorized
from backend.models import Account
from backend.models.staff import HAS_SECOND_FACTOR
from backend.passwords import check_password, hash_password, is_outdated
from backend.staff_sessions import end_session, open_session


class SignInFailed(Unauthorized):
    """Unknown address, wrong password, disabled account: the same words for all of them."""

    code = "sign_in_failed"

    def __init__(self, account_id: UUID | None) -> None:
        super().__init__()
        self.account_id = account_id
        """For the audit log alone; None when nobody has this address."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    account_id: UUID
    token: str
    """For the cookie."""
    complete: bool
    """False: the second factor is still missing."""


async def sign_in(sessions: Sessions, *, email: str, password: str, browser: str, replaces: str = "") -> SignedIn:
    """The first step. `replaces` is the token this browser had until now. Raises SignInFailed, Unavailable."""

    async def find() -> tuple[UUID, str | None] | None:
        async with sessions.begin() as session:
            query = select(Account.id, Account.password_hash, Account.disabled_at).where(Account.email == email)
            row = (await session.execute(query)).one_or_none()
            return None if row is None else (row.id, None if row.disabled_at else row.password_hash)

    found = await retried(find) if EMAIL.fullmatch(email) else None
    account_id, known = found or (None, None)
    if not await check_password(known, password) or account_id is None or known is None:
        raise SignInFailed(account_id)
    fresh = await hash_password(password) if is_outdated(known) else known
    async with sessions.begin() as session:
        # The hash once more: a password that was changed since must not open anything.
        query = update(Account).where(Account.id == account_id, Account.password_hash == known)
        query = query.where(Account.disabled_at.is_(None)).values(password_hash=fresh)
        if (await session.execute(query.returning(Account.id))).one_or_none() is None:
            raise SignInFailed(account_id)
        two_steps = await session.execute(select(HAS_SECOND_FACTOR).where(Account.id == account_id))
        if not two_steps.scalar_one():
            token = await let_in(session, account_id, browser=browser, replaces=replaces)
            return SignedIn(account_id, token, complete=True)
        await end_session(session, replaces)
        token = await open_session(session, account_id, browser=browser, complete=False)
        return SignedIn(account_id, token, complete=False)


async def record_failure(sessions: Sessions, account_id: UUID, step: str) -> None:
    """After the answer was sent, so that its time does not tell whether the account exists."""
    async with sessions.begin() as session:
        await record(session, "account.sign_in_failed", account_id, by=None, step=step)
