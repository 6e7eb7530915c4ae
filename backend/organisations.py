"""Organisations and their desks."""

from collections.abc import Collection
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend import audit
from backend.access import (
    ADMINISTRATION,
    OVERSIGHT,
    Staff,
    access_administration,
    access_desk,
    access_organisation,
    access_whole_service,
)
from backend.accounts import clean_name
from backend.errors import Conflict, InvalidRequest
from backend.models import Account, Desk, Membership, Organisation
from backend.roles import lock_changes


class NameTaken(Conflict):
    code = "name_taken"


class EntryTaken(Conflict):
    """Another desk is described by this entry already."""

    code = "entry_taken"


class DeskInUse(Conflict):
    code = "desk_in_use"


class HasDesks(Conflict):
    code = "organisation_has_desks"


@dataclass(frozen=True, slots=True)
class DeskSummary:
    id: int
    name: str
    entry_id: str | None
    people: int
    """With a role at this desk; those of the whole organisation are not counted."""


@dataclass(frozen=True, slots=True)
class OrganisationSummary:
    id: int
    name: str
    desks: list[DeskSummary] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DeskMember:
    account_id: UUID
    name: str
    role: str
    everywhere: bool
    """The role is held at all desks of the organisation."""


# --- reading ---


async def list_organisations(session: AsyncSession, staff: Staff) -> list[OrganisationSummary]:
    """Those in reach with their desks, by name. Raises Forbidden."""
    access_administration(staff, change=False)
    query = select(Organisation.id, Organisation.name).order_by(func.lower(Organisation.name), Organisation.id)
    within = staff.organisations(*OVERSIGHT)
    if within is not None:
        query = query.where(Organisation.id.in_(within))
    found = {row.id: OrganisationSummary(row.id, row.name) for row in await session.execute(query)}
    people = select(func.count(Membership.account_id.distinct())).where(Membership.desk_id == Desk.id).scalar_subquery()
    desks = select(Desk.organisation_id, Desk.id, Desk.name, Desk.entry_id, people).order_by(func.lower(Desk.name))
    for organisation_id, *desk in await session.execute(desks.where(Desk.organisation_id.in_(list(found)))):
        found[organisation_id].desks.append(DeskSummary(*desk))
    return list(found.values())


async def list_administered(session: AsyncSession, staff: Staff) -> list[OrganisationSummary]:
    """Where this person may give roles and change desks. Raises Forbidden."""
    found = await list_organisations(session, staff)
    return [organisation for organisation in found if staff.holds_at(ADMINISTRATION, organisation.id)]


async def get_desk(session: AsyncSession, staff: Staff, desk_id: int) -> tuple[Desk, str, list[DeskMember]]:
    """With the organisation's name and the people who have a role there. Raises Forbidden, NotFound."""
    desk = await access_desk(session, staff, desk_id, change=False)
    organisation = await session.get_one(Organisation, desk.organisation_id)
    query = (
        select(Account.id, Account.name, Membership.role, Membership.desk_id.is_(None))
        .join(Account, Account.id == Membership.account_id)
        .where(Membership.organisation_id == desk.organisation_id)
        .where((Membership.desk_id == desk_id) | Membership.desk_id.is_(None))
        .where(Membership.role.in_(("operator", "desk_manager")))
        .order_by(func.lower(Account.name))
    )
    return desk, organisation.name, [DeskMember(*row) for row in await session.execute(query)]


# --- organisations ---


async def add_organisation(session: AsyncSession, staff: Staff, name: str) -> int:
    """Raises Unauthorized, Forbidden, MissingName, NameTooLong, NameTaken."""
    staff = await lock_changes(session, staff)
    access_whole_service(staff)
    try:
        query = insert(Organisation).values(name=clean_name(name)).returning(Organisation.id)
        made = (await session.execute(query)).scalar_one()
    except IntegrityError as error:
        raise NameTaken from error
    await _record(session, staff, "organisation.added", f"organisation:{made}", made)
    return int(made)


async def rename_organisation(session: AsyncSession, staff: Staff, organisation_id: int, name: str) -> None:
    """Raises Unauthorized, Forbidden, NotFound, MissingName, NameTooLong, NameTaken."""
    staff = await lock_changes(session, staff)
    await access_organisation(session, staff, organisation_id, change=True)
    try:
        await session.execute(
            update(Organisation).where(Organisation.id == organisation_id).values(name=clean_name(name))
        )
    except IntegrityError as error:
        raise NameTaken from error
    await _record(session, staff, "organisation.renamed", f"organisation:{organisation_id}", organisation_id)


async def delete_organisation(session: AsyncSession, staff: Staff, organisation_id: int) -> None:
    """The roles in it go too; the accounts stay. Raises Unauthorized, Forbidden, NotFound, HasDesks."""
    staff = await lock_changes(session, staff)
    await access_organisation(session, staff, organisation_id, change=True)
    access_whole_service(staff)
    try:
        await session.execute(delete(Organisation).where(Organisation.id == organisation_id))
    except IntegrityError as error:
        raise HasDesks from error
    await _record(session, staff, "organisation.deleted", f"organisation:{organisation_id}", organisation_id)


# --- desks ---


async def add_desk(
    session: AsyncSession,
    staff: Staff,
    organisation_id: int,
    *,
    name: str,
    entry_id: str | None,
    entries: Collection[str],
) -> int:
    """`entries` are those that may describe a desk. Raises Unauthorized, Forbidden, NotFound, InvalidRequest,
    MissingName, NameTooLong, NameTaken, EntryTaken."""
    staff = await lock_changes(session, staff)
    await access_organisation(session, staff, organisation_id, change=True)
    values = {"organisation_id": organisation_id, "name": clean_name(name), "entry_id": entry_id}
    _check_entry(entry_id, entries)
    try:
        made = (await session.execute(insert(Desk).values(values).returning(Desk.id))).scalar_one()
    except IntegrityError as error:
        raise _taken(error) from error
    await _record(session, staff, "desk.added", f"desk:{made}", organisation_id)
    return int(made)


async def change_desk(
    session: AsyncSession, staff: Staff, desk_id: int, *, name: str, entry_id: str | None, entries: Collection[str]
) -> None:
    """Raises as `add_desk`. The entry a desk has may stay, also when it is not in `entries` any more."""
    staff = await lock_changes(session, staff)
    desk = await access_desk(session, staff, desk_id, change=True)
    values = {"name": clean_name(name), "entry_id": entry_id}
    if entry_id != desk.entry_id:
        _check_entry(entry_id, entries)
    try:
        await session.execute(update(Desk).where(Desk.id == desk_id).values(values))
    except IntegrityError as error:
        raise _taken(error) from error
    await _record(session, staff, "desk.changed", f"desk:{desk_id}", desk.organisation_id)


async def delete_desk(session: AsyncSession, staff: Staff, desk_id: int) -> None:
    """Its conversations stay, without a desk; the roles at it go.

    Raises Unauthorized, Forbidden, NotFound, and DeskInUse while somebody waits there or has an appointment: the
    database would not let it go."""
    staff = await lock_changes(session, staff)
    desk = await access_desk(session, staff, desk_id, change=True)
    try:
        async with session.begin_nested():
            await session.execute(delete(Desk).where(Desk.id == desk_id))
    except IntegrityError as error:
        raise DeskInUse from error
    await _record(session, staff, "desk.deleted", f"desk:{desk_id}", desk.organisation_id)


def _check_entry(entry_id: str | None, entries: Collection[str]) -> None:
    if entry_id is not None and entry_id not in entries:
        raise InvalidRequest


def _taken(error: IntegrityError) -> Conflict:
    """Which of the constraints of a desk it was; anything else is an entry or organisation deleted meanwhile."""
    constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    kinds = {"uq_desks_organisation_id_name": NameTaken, "uq_desks_entry_id": EntryTaken}
    return kinds.get(constraint or "", Conflict)()


async def _record(session: AsyncSession, staff: Staff, action: str, subject: str, organisation_id: int | None) -> None:
    await audit.record(session, action, subject, account_id=staff.account_id, organisation_id=organisation_id)
