"""Roles given and taken away, by one administrator at a time."""

from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import delete, exists, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend import audit
from backend.access import (
    Role,
    Staff,
    access_account,
    access_administration,
    access_desk,
    access_organisation,
    access_whole_service,
)
from backend.errors import Conflict, InvalidRequest, NotFound, Unauthorized
from backend.models import Account, Membership
from backend.models.staff import ADMINISTERS_EVERYTHING, DESK_ROLES, EVERYWHERE_ROLES, ROLES

_ONE_AT_A_TIME = 0x454C5052
"""Of the advisory lock under which administrators change accounts, roles and places."""


class LastAdministrator(Conflict):
    code = "last_administrator"


class RoleHeld(Conflict):
    code = "role_held"


class RoleNotHere(InvalidRequest):
    """At a desk, a role that exists for organisations only; over the whole service, one that would be too much."""

    code = "role_not_here"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a role is held. Both None: over the whole service."""

    organisation_id: int | None = None
    desk_id: int | None = None


async def lock_changes(session: AsyncSession, staff: Staff) -> Staff:
    """Waits for other administrators and reads again who asks: somebody may have removed them meanwhile.

    Raises Unauthorized when the account is gone or disabled."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ONE_AT_A_TIME})
    here = exists().where(Account.id == staff.account_id, Account.disabled_at.is_(None))
    if not (await session.execute(select(here))).scalar_one():
        raise Unauthorized
    columns = (Membership.role, Membership.organisation_id, Membership.desk_id)
    rows = await session.execute(select(*columns).where(Membership.account_id == staff.account_id))
    return replace(staff, roles=tuple(Role(*row) for row in rows))


async def check_administrator_left(session: AsyncSession) -> None:
    """Under the lock, after a change. Raises LastAdministrator when nobody enabled administers the whole service."""
    left = exists().where(Membership.account_id == Account.id, ADMINISTERS_EVERYTHING, Account.disabled_at.is_(None))
    if not (await session.execute(select(left))).scalar_one():
        raise LastAdministrator


async def administers_everything(session: AsyncSession, account_id: UUID) -> bool:
    held = exists().where(Membership.account_id == account_id, ADMINISTERS_EVERYTHING)
    return bool((await session.execute(select(held))).scalar_one())


async def check_place(session: AsyncSession, staff: Staff, role: str, place: Place) -> Place:
    """The place with its organisation filled in. Raises Forbidden, NotFound, RoleNotHere, InvalidRequest."""
    if role not in ROLES:
        raise InvalidRequest
    if place.desk_id is not None:
        desk = await access_desk(session, staff, place.desk_id, change=True)
        if role not in DESK_ROLES:
            raise RoleNotHere
        return Place(desk.organisation_id, desk.id)
    if place.organisation_id is not None:
        await access_organisation(session, staff, place.organisation_id, change=True)
        return place
    access_whole_service(staff)
    if role not in EVERYWHERE_ROLES:
        raise RoleNotHere
    return place


async def give_role(session: AsyncSession, staff: Staff, account_id: UUID, role: str, place: Place) -> None:
    """To an account that was found already. Raises what `check_place` raises, and RoleHeld."""
    place = await check_place(session, staff, role, place)
    values = {"role": role, "organisation_id": place.organisation_id, "desk_id": place.desk_id}
    query = insert(Membership).values(account_id=account_id, **values).on_conflict_do_nothing()
    if (await session.execute(query.returning(Membership.id))).scalar_one_or_none() is None:
        raise RoleHeld
    await _record(session, staff, "role.added", account_id, role, place)


async def add_role(session: AsyncSession, staff: Staff, account_id: UUID, role: str, place: Place) -> None:
    """Raises Unauthorized, Forbidden, NotFound, InvalidRequest, RoleNotHere, RoleHeld."""
    staff = await lock_changes(session, staff)
    access_administration(staff, change=True)
    await access_account(session, staff, account_id, change=False)
    await give_role(session, staff, account_id, role, place)


async def remove_role(session: AsyncSession, staff: Staff, account_id: UUID, membership_id: int) -> None:
    """Raises Unauthorized, Forbidden, NotFound, LastAdministrator."""
    staff = await lock_changes(session, staff)
    access_administration(staff, change=True)
    await access_account(session, staff, account_id, change=False)
    held = await session.get(Membership, membership_id)
    if held is None or held.account_id != account_id:
        raise NotFound
    if held.organisation_id is None:
        access_whole_service(staff)
    else:
        await access_organisation(session, staff, held.organisation_id, change=True)
    await session.execute(delete(Membership).where(Membership.id == membership_id))
    if held.role == "administrator" and held.organisation_id is None:
        await check_administrator_left(session)
    await _record(session, staff, "role.removed", account_id, held.role, Place(held.organisation_id, held.desk_id))


async def _record(session: AsyncSession, staff: Staff, action: str, account_id: UUID, role: str, place: Place) -> None:
    where = {"organisation": place.organisation_id, "desk": place.desk_id}
    await audit.record(
        session,
        action,
        f"account:{account_id}",
        account_id=staff.account_id,
        organisation_id=place.organisation_id,
        role=role,
        **{kind: key for kind, key in where.items() if key is not None},
    )
