"""The people who work with the assistant, as administrators see and change them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, exists, func, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend import audit
from backend.access import (
    OVERSIGHT,
    Staff,
    access_account,
    access_administration,
    access_session,
    accounts_within,
)
from backend.accounts import create_account, new_link, record
from backend.errors import Conflict, Forbidden, NotFound
from backend.handover import release_all
from backend.models import (
    Account,
    AccountLink,
    Desk,
    Membership,
    Organisation,
    Passkey,
    RecoveryCode,
    StaffSession,
)
from backend.models.staff import CAN_SIGN_IN, HAS_SECOND_FACTOR
from backend.roles import (
    Place,
    administers_everything,
    check_administrator_left,
    check_place,
    give_role,
    lock_changes,
)
from backend.staff_sessions import OwnSession, end_sessions, list_sessions

PAGE = 50


class AccountDisabled(Conflict):
    code = "account_disabled"


@dataclass(frozen=True, slots=True)
class HeldRole:
    membership_id: int
    name: str
    organisation_id: int | None
    organisation: str | None
    desk_id: int | None
    desk: str | None


@dataclass(frozen=True, slots=True)
class Person:
    id: UUID
    name: str
    email: str
    language: str
    disabled_at: datetime | None
    invited: bool
    """There is no way to sign in yet: the link was not used."""
    second_factor: bool
    seen_at: datetime | None
    """In a session that is still kept."""
    roles: tuple[HeldRole, ...] = ()
    elsewhere: int = 0
    """Roles in organisations the reader does not oversee."""


# --- reading ---


def _people() -> Select[*tuple[Any, ...]]:
    seen = select(func.max(StaffSession.seen_at)).where(StaffSession.account_id == Account.id, StaffSession.complete)
    return select(
        Account.id,
        Account.name,
        Account.email,
        Account.language,
        Account.disabled_at,
        not_(CAN_SIGN_IN),
        HAS_SECOND_FACTOR,
        seen.scalar_subquery(),
    )


async def list_people(
    session: AsyncSession, staff: Staff, *, words: str = "", page: int = 1
) -> tuple[list[Person], bool]:
    """Those in reach by name, and whether there are more pages. Raises Forbidden."""
    access_administration(staff, change=False)
    query = _people().where(accounts_within(staff.organisations(*OVERSIGHT)))
    if words:
        query = query.where(
            or_(Account.name.icontains(words, autoescape=True), Account.email.icontains(words, autoescape=True))
        )
    query = query.order_by(func.lower(Account.name), Account.id).offset((page - 1) * PAGE).limit(PAGE + 1)
    found = [Person(*row) for row in await session.execute(query)]
    return await _with_roles(session, staff, found[:PAGE]), len(found) > PAGE


async def get_person(session: AsyncSession, staff: Staff, account_id: UUID) -> Person:
    """Raises Forbidden, NotFound."""
    await access_account(session, staff, account_id, change=False)
    row = (await session.execute(_people().where(Account.id == account_id))).one()
    return (await _with_roles(session, staff, [Person(*row)]))[0]


async def may_access(session: AsyncSession, staff: Staff, account_id: UUID, *, change: bool) -> bool:
    """Whether there is a page of this person (who loses the last role in an organisation leaves its lists), and what
    it offers; each change asks again."""
    try:
        await access_account(session, staff, account_id, change=change)
    except (Forbidden, NotFound):
        return False
    return True


async def _with_roles(session: AsyncSession, staff: Staff, people: Sequence[Person]) -> list[Person]:
    query = (
        select(
            Membership.account_id,
            Membership.id,
            Membership.role,
            Membership.organisation_id,
            Organisation.name,
            Membership.desk_id,
            Desk.name,
        )
        .outerjoin(Organisation, Organisation.id == Membership.organisation_id)
        .outerjoin(Desk, Desk.id == Membership.desk_id)
        .where(Membership.account_id.in_([person.id for person in people]))
        .order_by(Organisation.name.nulls_first(), Membership.role, Desk.name.nulls_first())
    )
    roles: dict[UUID, list[HeldRole]] = {person.id: [] for person in people}
    for row in await session.execute(query):
        roles[row[0]].append(HeldRole(*row[1:]))
    seen = {key: tuple(role for role in held if _may_see(staff, role)) for key, held in roles.items()}
    return [
        replace(person, roles=seen[person.id], elsewhere=len(roles[person.id]) - len(seen[person.id]))
        for person in people
    ]


def _may_see(staff: Staff, role: HeldRole) -> bool:
    return role.organisation_id is None or staff.holds_at(OVERSIGHT, role.organisation_id)


async def list_living_sessions(
    session: AsyncSession, staff: Staff, *, page: int = 1
) -> tuple[list[tuple[Person, list[OwnSession]]], bool]:
    """People in reach who are signed in somewhere, with their browsers; and whether there are more pages.

    Raises Forbidden."""
    access_administration(staff, change=False)
    query = (
        _people()
        .where(accounts_within(staff.organisations(*OVERSIGHT)))
        .where(exists().where(StaffSession.account_id == Account.id, StaffSession.complete))
        .order_by(func.lower(Account.name), Account.id)
    )
    found = [Person(*row) for row in await session.execute(query.offset((page - 1) * PAGE).limit(PAGE + 1))]
    # Which of them are alive is said in one place, which asks for each person.
    living = [(person, await list_sessions(session, person.id, current=staff.session_id)) for person in found[:PAGE]]
    return [(person, sessions) for person, sessions in living if sessions], len(found) > PAGE


# --- changing ---


async def add_person(
    session: AsyncSession, staff: Staff, *, email: str, name: str, language: str, role: str, place: Place
) -> UUID:
    """An account with its first role, and no way to sign in until a link is made. Raises Unauthorized, Forbidden,
    NotFound, InvalidRequest, RoleNotHere, InvalidEmail, MissingName, NameTooLong, UnknownLanguage, EmailTaken."""
    staff = await lock_changes(session, staff)
    access_administration(staff, change=True)
    place = await check_place(session, staff, role, place)
    account_id = await create_account(session, email=email, name=name, language=language)
    await audit.record(
        session,
        "account.added",
        f"account:{account_id}",
        account_id=staff.account_id,
        organisation_id=place.organisation_id,
    )
    await give_role(session, staff, account_id, role, place)
    return account_id


async def make_link(session: AsyncSession, staff: Staff, account_id: UUID) -> tuple[Account, str]:
    """The account, and the token with which a password is set for it. Raises Unauthorized, Forbidden, NotFound,
    AccountDisabled."""
    staff = await lock_changes(session, staff)
    account = await access_account(session, staff, account_id, change=True)
    if account.disabled_at is not None:
        raise AccountDisabled
    return account, await new_link(session, account_id, by=staff.account_id)


async def disable_account(session: AsyncSession, staff: Staff, account_id: UUID) -> None:
    """Ends its sessions, its link opens nothing any more, and whom it was answering waits again.

    Raises Unauthorized, Forbidden, NotFound, LastAdministrator."""
    staff = await lock_changes(session, staff)
    account = await access_account(session, staff, account_id, change=True)
    if account.disabled_at is not None:
        return
    await session.execute(update(Account).where(Account.id == account_id).values(disabled_at=func.now()))
    await release_all(session, account_id, datetime.now(UTC))
    await session.execute(delete(AccountLink).where(AccountLink.account_id == account_id))
    ended = await end_sessions(session, account_id)
    if await administers_everything(session, account_id):
        await check_administrator_left(session)
    await record(session, "account.disabled", account_id, by=staff.account_id, sessions=ended)


async def enable_account(session: AsyncSession, staff: Staff, account_id: UUID) -> None:
    """Raises Unauthorized, Forbidden, NotFound."""
    staff = await lock_changes(session, staff)
    account = await access_account(session, staff, account_id, change=True)
    if account.disabled_at is None:
        return
    await session.execute(update(Account).where(Account.id == account_id).values(disabled_at=None))
    await record(session, "account.enabled", account_id, by=staff.account_id)


async def reset_second_factor(session: AsyncSession, staff: Staff, account_id: UUID) -> None:
    """For somebody who lost the telephone. Ends the sessions too. Raises Unauthorized, Forbidden, NotFound."""
    staff = await lock_changes(session, staff)
    await access_account(session, staff, account_id, change=True)
    await session.execute(update(Account).where(Account.id == account_id).values(totp_secret=None, totp_step=None))
    await session.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account_id))
    await session.execute(delete(Passkey).where(Passkey.account_id == account_id))
    ended = await end_sessions(session, account_id)
    await record(session, "account.second_factor_reset", account_id, by=staff.account_id, sessions=ended)


async def delete_account(session: AsyncSession, staff: Staff, account_id: UUID) -> None:
    """With all that hangs on it; the audit log keeps its id. Raises Unauthorized, Forbidden, NotFound,
    LastAdministrator."""
    staff = await lock_changes(session, staff)
    await access_account(session, staff, account_id, change=True)
    administrator = await administers_everything(session, account_id)
    # Before it is gone, when its organisation is still known; a refusal takes this back too.
    await record(session, "account.deleted", account_id, by=staff.account_id)
    await release_all(session, account_id, datetime.now(UTC))
    await session.execute(delete(Account).where(Account.id == account_id))
    if administrator:
        await check_administrator_left(session)


async def end_session_of(session: AsyncSession, staff: Staff, account_id: UUID, session_id: UUID) -> None:
    """Raises Unauthorized, Forbidden, NotFound."""
    staff = await lock_changes(session, staff)
    access_administration(staff, change=True)
    found = await access_session(session, staff, session_id)
    if found.account_id != account_id:
        raise NotFound
    await session.execute(delete(StaffSession).where(StaffSession.id == session_id))
    await record(session, "session.ended", account_id, by=staff.account_id)
