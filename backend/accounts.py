"""Staff accounts: made by others or by the first administrator, opened with a link that works once, their password."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, exists, func, insert, or_, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend import audit
from backend.config import Settings
from backend.db import Sessions
from backend.errors import AppError, Conflict, NotFound, UnknownLanguage
from backend.models import Account, AccountLink, Membership
from backend.models.staff import ADMINISTERS_EVERYTHING, CAN_SIGN_IN
from backend.passwords import (
    WeakPassword,
    WrongPassword,
    check_new_password,
    check_password,
    hash_password,
)
from backend.staff_sessions import end_session, end_sessions, open_session
from backend.tokens import new_token, secret_hash
from bot.phrases import SPOKEN

LONGEST_EMAIL = 254
LONGEST_NAME = 120
LINK_HOURS = 24
_ONE_AT_A_TIME = 0x454C5041
"""Of the advisory lock under which the first administrator is made."""
EMAIL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
"""What browsers take for an address in a form (HTML, «valid e-mail address»)."""


class InvalidEmail(AppError):
    status = 422
    code = "invalid_email"


class MissingName(AppError):
    status = 422
    code = "missing_name"


class NameTooLong(AppError):
    status = 422
    code = "name_too_long"


class EmailTaken(AppError):
    status = 409
    code = "email_taken"


class LinkUsed(AppError):
    """The link was used, is too old, was followed by a newer one, or never existed: all look the same."""

    status = 404
    code = "link_used"


@dataclass(frozen=True, slots=True)
class LinkOwner:
    """Whom a link is for. All None: whoever has it becomes the first administrator."""

    account_id: UUID | None
    email: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class OwnAccount:
    email: str
    has_password: bool
    has_single_sign_on: bool


# --- what an account is made of ---


def clean_email(raw: str) -> str:
    """Raises InvalidEmail."""
    email = raw.strip().lower()
    if len(email) > LONGEST_EMAIL or not EMAIL.fullmatch(email):
        raise InvalidEmail
    return email


def clean_name(raw: str) -> str:
    """One line without control characters and without those that turn the direction of the words after them.
    Raises MissingName, NameTooLong."""
    line = " ".join(unicodedata.normalize("NFC", raw).split())
    name = re.sub("[\u202a-\u202e\u2066-\u2069]", "", line)
    name = "".join(sign for sign in name if unicodedata.category(sign) not in ("Cc", "Cs")).strip()
    if not name:
        raise MissingName
    if len(name) > LONGEST_NAME:
        raise NameTooLong(limit=LONGEST_NAME)
    return name


async def create_account(session: AsyncSession, *, email: str, name: str, language: str = "it") -> UUID:
    """Without a password and without a role. Raises InvalidEmail, MissingName, NameTooLong, UnknownLanguage, and
    EmailTaken; the caller's transaction goes on after each of them."""
    if language not in SPOKEN:
        raise UnknownLanguage
    account_id = uuid4()
    values = {"id": account_id, "email": clean_email(email), "name": clean_name(name), "language": language}
    try:
        async with session.begin_nested():
            await session.execute(insert(Account).values(**values))
    except IntegrityError as error:
        raise EmailTaken from error
    return account_id


async def get_own(session: AsyncSession, account_id: UUID) -> OwnAccount:
    """Raises NotFound."""
    columns = (Account.email, Account.password_hash.is_not(None), Account.oidc_subject.is_not(None))
    row = (await session.execute(select(*columns).where(Account.id == account_id))).one_or_none()
    if row is None:
        raise NotFound
    return OwnAccount(*row)


async def change_profile(session: AsyncSession, account_id: UUID, *, name: str, language: str) -> None:
    """Raises MissingName, NameTooLong, UnknownLanguage."""
    if language not in SPOKEN:
        raise UnknownLanguage
    values = {"name": clean_name(name), "language": language}
    await session.execute(update(Account).where(Account.id == account_id).values(**values))


async def record(session: AsyncSession, action: str, account_id: UUID, *, by: UUID | None, **details: Any) -> None:
    """An event of an account. Its organisation may read it when it belongs to one and no other."""
    query = select(Membership.organisation_id).where(Membership.account_id == account_id).distinct()
    places = list((await session.execute(query)).scalars())
    organisation_id = places[0] if len(places) == 1 else None
    subject = f"account:{account_id}"
    await audit.record(session, action, subject, account_id=by, organisation_id=organisation_id, **details)


async def let_in(session: AsyncSession, account_id: UUID, *, browser: str, replaces: str, **how: Any) -> str:
    """The last step of every way of signing in: a complete session under a new token, the one this browser had is
    ended, and the log says how."""
    await end_session(session, replaces)
    await record(session, "account.signed_in", account_id, by=account_id, **how)
    return await open_session(session, account_id, browser=browser, complete=True)


# --- links ---


def link_address(settings: Settings, token: str) -> str:
    return f"{settings.address}/link/{token}"


async def new_link(
    session: AsyncSession, account_id: UUID | None, *, hours: int = LINK_HOURS, by: UUID | None = None
) -> str:
    """The token of a link with which a password is set; earlier links of the account die. `by` is who asked for it,
    for the audit log. Raises NotFound."""
    if account_id is None:
        await session.execute(delete(AccountLink).where(AccountLink.account_id.is_(None)))
    else:
        # Locked, so that of two made at once only one stays.
        found = await session.execute(select(Account.id).where(Account.id == account_id).with_for_update())
        if found.scalar_one_or_none() is None:
            raise NotFound
        await session.execute(delete(AccountLink).where(AccountLink.account_id == account_id))
        await record(session, "account.link_made", account_id, by=by)
    token = new_token()
    until = func.now() + text(f"interval '{int(hours)} hours'")
    values = {"token_hash": secret_hash(token), "account_id": account_id, "expires_at": until}
    await session.execute(insert(AccountLink).values(**values))
    return token


def _usable(token: str) -> tuple[Any, ...]:
    return (AccountLink.token_hash == secret_hash(token), AccountLink.expires_at > func.now())


async def get_link(session: AsyncSession, token: str) -> LinkOwner:
    """Looks and does not use it up. Raises LinkUsed."""
    query = (
        select(AccountLink.account_id, Account.email, Account.name, Account.disabled_at)
        .outerjoin(Account, Account.id == AccountLink.account_id)
        .where(*_usable(token))
    )
    row = (await session.execute(query)).one_or_none()
    if row is None or row.disabled_at is not None:
        raise LinkUsed
    return LinkOwner(row.account_id, row.email, row.name)


async def _use_link(session: AsyncSession, token: str) -> UUID | None:
    """Deletes it; of two who use it at once, one gets here. Raises LinkUsed."""
    used = await session.execute(delete(AccountLink).where(*_usable(token)).returning(AccountLink.account_id))
    row = used.one_or_none()
    if row is None:
        raise LinkUsed
    found: UUID | None = row.account_id
    return found


async def set_password_by_link(sessions: Sessions, token: str, password: str, *, again: str) -> None:
    """Ends every session of the account; its second factor stays. Raises LinkUsed, WeakPassword, PasswordsDiffer."""
    async with sessions.begin() as session:
        owner = await get_link(session, token)
    if owner.account_id is None or owner.email is None:
        raise LinkUsed
    check_new_password(password, owner.email, again=again)
    fresh = await hash_password(password)
    async with sessions.begin() as session:
        # The account first, as everywhere: two who lock in opposite order would wait for each other.
        query = update(Account).where(Account.id == owner.account_id, Account.disabled_at.is_(None))
        changed = await session.execute(query.values(password_hash=fresh).returning(Account.id))
        if changed.one_or_none() is None or await _use_link(session, token) != owner.account_id:
            raise LinkUsed
        await end_sessions(session, owner.account_id)
        await record(session, "account.password_changed", owner.account_id, by=owner.account_id, link=True)


# --- the first administrator ---


async def _is_administered(session: AsyncSession) -> bool:
    """Somebody can sign in and do everything."""
    everywhere = (Membership.account_id == Account.id, ADMINISTERS_EVERYTHING)
    query = select(exists().where(*everywhere, Account.disabled_at.is_(None), CAN_SIGN_IN))
    return bool((await session.execute(query)).scalar_one())


async def _wait_for_others(session: AsyncSession) -> None:
    await session.execute(select(func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))


async def first_administrator_link(sessions: Sessions) -> str | None:
    """The token of a fresh link as long as there is no administrator who can sign in; earlier ones die in any case."""
    async with sessions.begin() as session:
        await _wait_for_others(session)
        if not await _is_administered(session):
            return await new_link(session, None)
        await session.execute(delete(AccountLink).where(AccountLink.account_id.is_(None)))
        return None


async def make_first_administrator(
    sessions: Sessions, token: str, *, email: str, name: str, password: str, again: str, language: str = "it"
) -> UUID:
    """Raises LinkUsed when there is an administrator meanwhile; InvalidEmail, MissingName, NameTooLong, WeakPassword,
    PasswordsDiffer, EmailTaken leave the link as it was."""
    email, name = clean_email(email), clean_name(name)
    check_new_password(password, email, again=again)
    async with sessions.begin() as session:
        if (await get_link(session, token)).account_id is not None:
            raise LinkUsed
    fresh = await hash_password(password)
    async with sessions.begin() as session:
        await _wait_for_others(session)
        if await _use_link(session, token) is not None or await _is_administered(session):
            raise LinkUsed
        account_id = await create_account(session, email=email, name=name, language=language)
        await session.execute(update(Account).where(Account.id == account_id).values(password_hash=fresh))
        await session.execute(insert(Membership).values(account_id=account_id, role="administrator"))
        await session.execute(delete(AccountLink).where(AccountLink.account_id.is_(None)))
        await record(session, "account.first_administrator", account_id, by=account_id)
    return account_id


# --- passwords ---


async def confirm_password(sessions: Sessions, account_id: UUID, password: str) -> str:
    """That it is still them, before something important changes; returns the hash it fits. Raises WrongPassword."""
    async with sessions.begin() as session:
        query = select(Account.password_hash).where(Account.id == account_id)
        known = (await session.execute(query)).scalar_one_or_none()
    if not await check_password(known, password) or known is None:
        raise WrongPassword
    return known


async def change_password(
    sessions: Sessions, account_id: UUID, *, session_id: UUID, email: str, current: str, new: str, again: str
) -> None:
    """Ends the other sessions and every link. Raises WrongPassword, WeakPassword, PasswordsDiffer, Conflict."""
    known = await confirm_password(sessions, account_id, current)
    check_new_password(new, email, again=again)
    fresh = await hash_password(new)
    async with sessions.begin() as session:
        query = update(Account).where(Account.id == account_id, Account.password_hash == known)
        changed = await session.execute(query.values(password_hash=fresh).returning(Account.id))
        if changed.one_or_none() is None:
            raise Conflict
        await end_sessions(session, account_id, but=session_id)
        await session.execute(delete(AccountLink).where(AccountLink.account_id == account_id))
        await record(session, "account.password_changed", account_id, by=account_id)


async def account_for_reset(session: AsyncSession, email: str) -> tuple[UUID, str] | None:
    """Account and language of whoever may get a new password by mail: not those who are disabled, nor those who sign
    in at their organisation and have no password here."""
    query = select(Account.id, Account.language).where(
        Account.email == email,
        Account.disabled_at.is_(None),
        or_(Account.password_hash.is_not(None), Account.oidc_subject.is_(None)),
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else (row.id, row.language)


__all__ = [
    "EmailTaken",
    "InvalidEmail",
    "LinkOwner",
    "LinkUsed",
    "MissingName",
    "NameTooLong",
    "WeakPassword",
    "WrongPassword",
    "account_for_reset",
    "change_password",
    "change_profile",
    "check_password",
    "clean_email",
    "clean_name",
    "confirm_password",
    "create_account",
    "first_administrator_link",
    "get_link",
    "hash_password",
    "let_in",
    "link_address",
    "make_first_administrator",
    "new_link",
    "record",
    "set_password_by_link",
]
