"""Who may do what. Every guarded thing has one `access_*` function; `docs/access.md` says the same as a table.

What somebody may not even know of is not found (404). What they know of and may not use is refused (403).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.errors import Forbidden, NotFound
from backend.models import Account, Conversation, Desk, Membership, Organisation, StaffSession


@dataclass(frozen=True, slots=True)
class Role:
    """A role as it is held: at a desk, at all desks of an organisation, or (both None) over the whole service."""

    name: str
    organisation_id: int | None
    desk_id: int | None

    def covers(self, organisation_id: int | None, desk_id: int | None) -> bool:
        if self.organisation_id is None:
            return True
        return self.organisation_id == organisation_id and self.desk_id in (None, desk_id)


@dataclass(frozen=True, slots=True)
class Staff:
    """Somebody who is signed in, with the roles as they were when this request came."""

    account_id: UUID
    session_id: UUID
    name: str
    email: str
    language: str
    second_factor: bool
    """Whether the account has one, or more, beside the password."""
    roles: tuple[Role, ...]

    def held(self, *names: str) -> tuple[Role, ...]:
        return tuple(role for role in self.roles if role.name in names)

    def holds(self, *names: str) -> bool:
        """Anywhere."""
        return bool(self.held(*names))

    def holds_at(self, names: Iterable[str], organisation_id: int | None, desk_id: int | None = None) -> bool:
        return any(role.covers(organisation_id, desk_id) for role in self.held(*names))

    def holds_everywhere(self, *names: str) -> bool:
        return any(role.organisation_id is None for role in self.held(*names))

    def organisations(self, *names: str) -> tuple[int, ...] | None:
        """Those in which one of the roles is held; None: all of them."""
        if self.holds_everywhere(*names):
            return None
        return tuple(sorted({role.organisation_id for role in self.held(*names) if role.organisation_id is not None}))


ADMINISTRATION = ("administrator",)
OVERSIGHT = ("administrator", "auditor")
CONSOLE = ("operator", "desk_manager")


def access_console(staff: Staff) -> None:
    """Those who answer people. Raises Forbidden."""
    if not staff.holds(*CONSOLE):
        raise Forbidden


def access_administration(staff: Staff, *, change: bool) -> None:
    """The administrators' pages; auditors may read them. Raises Forbidden."""
    if not staff.holds(*(ADMINISTRATION if change else OVERSIGHT)):
        raise Forbidden


def access_whole_service(staff: Staff) -> None:
    """What belongs to no organisation: making organisations, giving a role everywhere. Raises Forbidden."""
    if not staff.holds_everywhere(*ADMINISTRATION):
        raise Forbidden


def access_audit_log(staff: Staff) -> tuple[int, ...] | None:
    """Organisations whose events may be read; None: all. Raises Forbidden."""
    if not staff.holds(*OVERSIGHT):
        raise Forbidden
    return staff.organisations(*OVERSIGHT)


async def access_organisation(
    session: AsyncSession, staff: Staff, organisation_id: int, *, change: bool
) -> Organisation:
    """Raises Forbidden without the role anywhere, NotFound for an organisation that is not theirs."""
    access_administration(staff, change=change)
    found = await session.get(Organisation, organisation_id)
    if found is None:
        raise NotFound
    _check_within(staff, organisation_id, change=change)
    return found


async def access_desk(session: AsyncSession, staff: Staff, desk_id: int, *, change: bool) -> Desk:
    """Raises Forbidden without the role anywhere, NotFound for a desk that is not theirs."""
    access_administration(staff, change=change)
    found = await session.get(Desk, desk_id)
    if found is None:
        raise NotFound
    _check_within(staff, found.organisation_id, change=change)
    return found


def _check_within(staff: Staff, organisation_id: int, *, change: bool) -> None:
    """Raises NotFound out of their sight, Forbidden where they may only look."""
    if not staff.holds_at(OVERSIGHT, organisation_id):
        raise NotFound
    if change and not staff.holds_at(ADMINISTRATION, organisation_id):
        raise Forbidden


def accounts_within(organisations: tuple[int, ...] | None) -> ColumnElement[bool]:
    """Accounts that belong to one of the organisations; None: all accounts."""
    if organisations is None:
        return Account.id.is_not(None)
    return Account.id.in_(select(Membership.account_id).where(Membership.organisation_id.in_(organisations)))


async def access_account(session: AsyncSession, staff: Staff, account_id: UUID, *, change: bool) -> Account:
    """Raises Forbidden without the role anywhere, NotFound for somebody of another organisation.

    An account that belongs also to an organisation which is not theirs, or to the whole service, can be read but not
    changed: whoever changes a password signs in with every role the account has.
    """
    access_administration(staff, change=change)
    theirs = accounts_within(staff.organisations(*OVERSIGHT))
    found = (await session.execute(select(Account).where(Account.id == account_id, theirs))).scalar_one_or_none()
    if found is None:
        raise NotFound
    if change:
        places = await session.execute(
            select(Membership.organisation_id).where(Membership.account_id == account_id).distinct()
        )
        if not all(staff.holds_at(ADMINISTRATION, place) for place in places.scalars()):
            raise Forbidden
    return found


async def access_session(session: AsyncSession, staff: Staff, session_id: UUID) -> StaffSession:
    """One's own, or that of an account one may change. Raises Forbidden, NotFound."""
    found = await session.get(StaffSession, session_id)
    if found is None:
        raise NotFound
    if found.account_id != staff.account_id:
        try:
            await access_account(session, staff, found.account_id, change=True)
        except Forbidden as error:
            raise NotFound from error
    return found


def answers_at(staff: Staff, desk: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the desk in this column is one where this person answers."""
    at = []
    for role in staff.held(*CONSOLE):
        if role.desk_id is not None:
            at.append(desk == role.desk_id)
        elif role.organisation_id is not None:
            at.append(desk.in_(select(Desk.id).where(Desk.organisation_id == role.organisation_id)))
    return or_(False, *at)


def conversations_within(staff: Staff) -> ColumnElement[bool]:
    """Conversations that are with a desk where this person answers. What somebody tells the bot, before a person is
    wished for or after they went back to it, is nobody's to read."""
    desk = Conversation.desk_id
    return and_(Conversation.state != "BOT", desk.is_not(None), answers_at(staff, desk.expression))


async def access_conversation(
    session: AsyncSession, staff: Staff, conversation_id: UUID, *, lock: bool = False
) -> Conversation:
    """The only way for staff to load one; `lock` when its state may be changed.

    Raises Forbidden without the role, NotFound when it is not theirs to see."""
    access_console(staff)
    query = select(Conversation).where(Conversation.id == conversation_id, conversations_within(staff))
    if lock:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound
    return found


async def access_desk_hours(session: AsyncSession, staff: Staff, desk_id: int, *, change: bool) -> Desk:
    """When a desk is open: read by those who answer there, changed by who manages it, one after the other. Raises
    NotFound for everybody else, Forbidden where they may only look."""
    desk = await _own_desk(session, staff, desk_id, lock=change)
    if change and not staff.holds_at(("desk_manager",), desk.organisation_id, desk.id):
        raise Forbidden
    return desk


async def access_saved_replies(session: AsyncSession, staff: Staff, desk_id: int, *, change: bool) -> Desk:
    """What a desk says often: read and changed by all who answer there, one after the other. Raises NotFound."""
    return await _own_desk(session, staff, desk_id, lock=change)


async def access_appointments(session: AsyncSession, staff: Staff, desk_id: int) -> Desk:
    """Who comes to a desk: seen by those who answer there. Raises NotFound."""
    return await _own_desk(session, staff, desk_id, lock=False)


async def _own_desk(session: AsyncSession, staff: Staff, desk_id: int, *, lock: bool) -> Desk:
    """One where this person answers. The lock lets conversations come in meanwhile."""
    desk = await session.get(Desk, desk_id, with_for_update={"key_share": True} if lock else None)
    if desk is None or not staff.holds_at(CONSOLE, desk.organisation_id, desk.id):
        raise NotFound
    return desk


async def desks_within(session: AsyncSession, staff: Staff) -> list[tuple[int, str]]:
    """Desks where this person answers, by name. Raises Forbidden."""
    access_console(staff)
    query = select(Desk.id, Desk.name).where(answers_at(staff, Desk.id.expression)).order_by(Desk.name, Desk.id)
    return [(row.id, row.name) for row in await session.execute(query)]
