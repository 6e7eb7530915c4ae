"""The second step of signing in: codes of an app (TOTP, RFC 6238) and recovery codes for who lost it."""

import base64
import hashlib
import hmac
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import pyotp
import segno
from sqlalchemy import delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.accounts import confirm_password, let_in, record
from backend.db import Sessions
from backend.encryption import KeysError, cipher
from backend.errors import AppError, Conflict, Unauthorized
from backend.models import Account, Passkey, RecoveryCode
from backend.models.staff import HAS_PASSKEY, HAS_SECOND_FACTOR
from backend.staff_sessions import end_sessions, find_waiting_account

ISSUER = "ELP Assistant"
RECOVERY_CODES = 10
_STEP_S = 30
_DIGITS = 6
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letter that is taken for another."""
_LONGEST = 100


class WrongCode(AppError):
    """Neither the code of now, nor one that was not used before, nor a recovery code."""

    status = 422
    code = "wrong_code"


class SignInAgain(Unauthorized):
    """The password was given too long ago, or not in this browser."""

    code = "sign_in_again"


@dataclass(frozen=True, slots=True)
class Factors:
    """What an account has beside its password."""

    app: bool
    passkeys: bool
    recovery_codes: int

    @property
    def takes_code(self) -> bool:
        return self.app or self.recovery_codes > 0


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What the page shows while somebody sets up their app."""

    secret: str
    picture: str
    """A QR code as a data URI."""
    sealed: str
    """The secret for the form to bring back: only we can read it, and only for this account."""


# --- codes of an app ---


def _digits(typed: str) -> str:
    """Also as other scripts write them, and with the spaces that apps put between."""
    return "".join(str(unicodedata.decimal(sign, "")) or sign for sign in "".join(typed[:_LONGEST].split()))


def matching_step(secret: str, typed: str, now: datetime) -> int | None:
    """The time step this code belongs to: the one of `now`, the one before or the one after."""
    code, totp = _digits(typed).encode("utf-8", "replace"), pyotp.TOTP(secret, digits=_DIGITS, interval=_STEP_S)
    present = int(now.timestamp()) // _STEP_S
    for step in (present, present - 1, present + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), code):
            return step
    return None


async def _use_app_code(session: AsyncSession, account_id: UUID, typed: str, now: datetime) -> bool:
    """A step is accepted once (RFC 6238 section 5.2), also when the same code comes twice at the same moment."""
    secret = (await session.execute(select(Account.totp_secret).where(Account.id == account_id))).scalar_one_or_none()
    step = matching_step(secret, typed, now) if secret else None
    if step is None:
        return False
    query = update(Account).where(Account.id == account_id, or_(Account.totp_step.is_(None), Account.totp_step < step))
    used = await session.execute(query.values(totp_step=step).returning(Account.id))
    return used.one_or_none() is not None


# --- recovery codes ---


def _recovery_hash(typed: str) -> bytes:
    """80 random bits need no slow hash. Read as generously as Crockford's base 32 wants it."""
    plain = "".join(typed[:_LONGEST].lower().replace("-", "").split()).translate(str.maketrans("oil", "011"))
    return hashlib.sha256(plain.encode("utf-8", "replace")).digest()


def _new_recovery_code() -> str:
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))


async def _replace_recovery_codes(session: AsyncSession, account_id: UUID) -> list[str]:
    codes = [_new_recovery_code() for _ in range(RECOVERY_CODES)]
    await session.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account_id))
    rows = [{"account_id": account_id, "code_hash": _recovery_hash(code)} for code in codes]
    await session.execute(insert(RecoveryCode), rows)
    return codes


async def _use_recovery_code(session: AsyncSession, account_id: UUID, typed: str) -> bool:
    mine = (RecoveryCode.account_id == account_id, RecoveryCode.code_hash == _recovery_hash(typed))
    used = await session.execute(delete(RecoveryCode).where(*mine).returning(RecoveryCode.account_id))
    return used.one_or_none() is not None


async def find_factors(session: AsyncSession, account_id: UUID) -> Factors:
    query = select(Account.totp_secret.is_not(None), HAS_PASSKEY).where(Account.id == account_id)
    app, passkeys = (await session.execute(query)).one_or_none() or (False, False)
    count = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.account_id == account_id)
    return Factors(app, passkeys, int((await session.execute(count)).scalar_one()))


async def renew_recovery_codes(sessions: Sessions, account_id: UUID, *, password: str) -> list[str]:
    """Ten new ones, to be shown once; the old ones die. Raises WrongPassword, Conflict without a second factor."""
    await confirm_password(sessions, account_id, password)
    async with sessions.begin() as session:
        query = select(Account.id).where(Account.id == account_id, HAS_SECOND_FACTOR).with_for_update()
        if (await session.execute(query)).scalar_one_or_none() is None:
            raise Conflict
        await record(session, "account.recovery_codes_made", account_id, by=account_id)
        return await _replace_recovery_codes(session, account_id)


# --- setting up and turning off ---


def begin_enrolment(account_id: UUID, email: str, *, sealed: str = "") -> Enrolment:
    """A new secret, or the one that `sealed` brought back after a mistyped code. Nothing is stored."""
    secret = (_open(account_id, sealed) if sealed else None) or pyotp.random_base32()
    address = pyotp.TOTP(secret, digits=_DIGITS, interval=_STEP_S).provisioning_uri(name=email, issuer_name=ISSUER)
    picture = segno.make(address, error="m", micro=False).svg_data_uri(scale=4, border=4, dark="#000", light="#fff")
    token = base64.urlsafe_b64encode(cipher().seal(f"totp {account_id} {secret}".encode())).decode()
    return Enrolment(secret, picture, token)


def _open(account_id: UUID, sealed: str) -> str | None:
    try:
        what, owner, secret = cipher().open(base64.urlsafe_b64decode(sealed.encode())).decode().split(" ")
    except (KeysError, ValueError):
        return None
    return secret if (what, owner) == ("totp", str(account_id)) else None


async def enrol(
    sessions: Sessions, account_id: UUID, *, session_id: UUID, sealed: str, typed: str, password: str, now: datetime
) -> list[str]:
    """Stores the secret that the code proved, ends the other sessions and returns the recovery codes, to be shown
    once. Raises WrongPassword, WrongCode, and Conflict when there is one already."""
    secret = _open(account_id, sealed)
    step = matching_step(secret, typed, now) if secret else None
    if step is None:
        raise WrongCode
    await confirm_password(sessions, account_id, password)
    async with sessions.begin() as session:
        query = update(Account).where(Account.id == account_id, Account.totp_secret.is_(None))
        stored = await session.execute(query.values(totp_secret=secret, totp_step=step).returning(Account.id))
        if stored.one_or_none() is None:
            raise Conflict
        await end_sessions(session, account_id, but=session_id)
        await record(session, "account.totp_on", account_id, by=account_id)
        return await _replace_recovery_codes(session, account_id)


async def turn_off(sessions: Sessions, account_id: UUID, *, session_id: UUID, password: str) -> None:
    """Ends the other sessions. Recovery codes stay for passkeys that are left. Raises WrongPassword."""
    await confirm_password(sessions, account_id, password)
    async with sessions.begin() as session:
        query = update(Account).where(Account.id == account_id, Account.totp_secret.is_not(None))
        off = await session.execute(query.values(totp_secret=None, totp_step=None).returning(Account.id))
        if off.one_or_none() is None:
            return
        no_passkey = ~exists().where(Passkey.account_id == account_id)
        await session.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account_id, no_passkey))
        await end_sessions(session, account_id, but=session_id)
        await record(session, "account.totp_off", account_id, by=account_id)


# --- signing in ---


async def complete_sign_in(sessions: Sessions, token: str, typed: str, *, browser: str, now: datetime) -> str:
    """Ends the incomplete session and opens a complete one under a new token. Raises SignInAgain, WrongCode."""
    async with sessions.begin() as session:
        account_id = await find_waiting_account(session, token)
        if account_id is None:
            raise SignInAgain
        # Behind this lock a change of password is either done, and took the incomplete session, or waits for us.
        await session.execute(select(Account.id).where(Account.id == account_id).with_for_update())
        if await find_waiting_account(session, token) is None:
            raise SignInAgain
        by_app = await _use_app_code(session, account_id, typed, now)
        if not by_app and not await _use_recovery_code(session, account_id, typed):
            raise WrongCode
        factor = "app" if by_app else "recovery_code"
        return await let_in(session, account_id, browser=browser, replaces=token, second_factor=factor)
