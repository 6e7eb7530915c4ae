"""Accounts from the command line: `elp user`, and the invitation that `elp run` prints."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from backend import accounts
from backend.config import Settings
from backend.db import Sessions, create_engine, create_sessions
from backend.errors import AppError
from backend.models import Account, Desk, Membership, Organisation
from backend.models.staff import DESK_ROLES, EVERYWHERE_ROLES, ROLES
from backend.progress import StartError
from bot.phrases import FALLBACK, say

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NewUser:
    email: str
    name: str
    role: str | None = None
    organisation: str | None = None
    desk: str | None = None
    language: str = "it"


def _with_sessions(settings: Settings, work: Callable[[Sessions], Awaitable[T]]) -> T:
    """Raises StartError with the sentence of an AppError."""

    async def run() -> T:
        engine = create_engine(str(settings.database_url), pool_size=1)
        try:
            return await work(create_sessions(engine))
        finally:
            await engine.dispose()

    try:
        return asyncio.run(run())
    except AppError as error:
        raise StartError(say(FALLBACK, error.message_id, **error.values)) from error


def _link_lines(settings: Settings, email: str, token: str) -> str:
    link = accounts.link_address(settings, token)
    return f"{email} sets a password here, once, within {accounts.LINK_HOURS} hours:\n{link}"


async def _find_place(session: AsyncSession, new: NewUser) -> tuple[int | None, int | None]:
    """Organisation and desk by their names. Raises StartError."""
    organisation_id = desk_id = None
    if new.organisation is not None:
        query = select(Organisation.id).where(Organisation.name == new.organisation)
        organisation_id = (await session.execute(query)).scalar_one_or_none()
        if organisation_id is None:
            raise StartError(f"There is no organisation called {new.organisation!r}; an administrator can make it.")
    if new.desk is not None:
        found = select(Desk.id).where(Desk.name == new.desk, Desk.organisation_id == organisation_id)
        desk_id = (await session.execute(found)).scalar_one_or_none()
        if desk_id is None:
            raise StartError(f"There is no desk called {new.desk!r} in this organisation (--organisation).")
    return organisation_id, desk_id


def _check_role(new: NewUser) -> None:
    """Raises StartError for what the tables would refuse."""
    if new.role is None:
        if new.organisation is not None or new.desk is not None:
            raise StartError("An organisation or a desk needs a --role that is held there.")
        return
    if new.role not in ROLES:
        raise StartError(f"--role is one of: {', '.join(ROLES)}.")
    if new.desk is not None and new.role not in DESK_ROLES:
        raise StartError(f"At one desk only these roles are held: {', '.join(DESK_ROLES)}.")
    if new.organisation is None and new.role not in EVERYWHERE_ROLES:
        raise StartError(f"The role {new.role} is held in an organisation: name it with --organisation.")


async def _give_role(session: AsyncSession, account_id: UUID, new: NewUser) -> None:
    organisation_id, desk_id = await _find_place(session, new)
    where = {"organisation_id": organisation_id, "desk_id": desk_id}
    await session.execute(insert(Membership).values(account_id=account_id, role=new.role, **where))
    await accounts.record(session, "role.added", account_id, by=None, role=new.role)


def add_user(settings: Settings, new: NewUser) -> str:
    """An account, with a role if one is named, and the link for its owner. Raises StartError."""
    _check_role(new)

    async def work(sessions: Sessions) -> str:
        async with sessions.begin() as session:
            account_id = await accounts.create_account(session, email=new.email, name=new.name, language=new.language)
            if new.role is not None:
                await _give_role(session, account_id, new)
            await accounts.record(session, "account.added", account_id, by=None)
            return await accounts.new_link(session, account_id)

    return _link_lines(settings, new.email, _with_sessions(settings, work))


def link_user(settings: Settings, email: str) -> str:
    """A new link; the earlier ones die. Raises StartError."""

    async def work(sessions: Sessions) -> str:
        async with sessions.begin() as session:
            query = select(Account.id, Account.disabled_at).where(Account.email == accounts.clean_email(email))
            found = (await session.execute(query)).one_or_none()
            if found is None:
                raise StartError(f"There is no account with the address {email}.")
            if found.disabled_at is not None:
                raise StartError(f"The account {email} is disabled: an administrator can enable it.")
            return await accounts.new_link(session, found.id)

    return _link_lines(settings, email, _with_sessions(settings, work))


def invite_administrator(settings: Settings) -> Iterable[str]:
    """For the start of `elp run`: how to make the first administrator, as long as there is none."""
    try:
        token = _with_sessions(settings, accounts.first_administrator_link)
    except (SQLAlchemyError, OSError):
        return ()  # the database went away this moment; the service goes on, and the next start says it
    if token is None:
        return ()
    link = accounts.link_address(settings, token)
    return (f"No administrator yet. Make the first one here, within {accounts.LINK_HOURS} hours: {link}",)
