"""Visits that a change at a desk leaves outside its hours, or without whoever would serve them.

The change is made, looked at, and undone as long as its manager has not decided about each of these visits. So what is
computed is what would be true, by the rules of free times, and nothing here needs to know what a closure or a time zone
does. Decided, it all happens in one transaction: hours, visits, and the messages, which are rows before they are sent.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypeGuard
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import and_, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.access import Staff, access_appointments, access_desk_hours
from backend.calendars import Hours, load_hours
from backend.colleagues import Replacement, find_replacements, give
from backend.db import Sessions, retried
from backend.desk_visits import record
from backend.diary import covers, weekly
from backend.errors import Conflict
from backend.models import Appointment, AppointmentKind, Desk, Resource, WaitingPlace
from backend.models.appointments import TO_COME
from backend.offers import dismiss, offer_freed
from backend.openings import free_for_waiting, offer_new
from backend.taking import lock_plan
from backend.visit_facts import FindEntry
from backend.visit_news import tell
from backend.visits import COLUMNS, Visit, visit_of

Change = Callable[[AsyncSession, Staff], Awaitable[object]]
Decision = Literal["give", "keep", "ask", "cancel"]
Reason = Literal["closed", "hours", "resource", "interpreter", "kind", "demo"]
"""The desk is closed that day; it is closed at that time; whoever serves is not there; nor whoever interprets; the kind
is not offered any more; it was booked with examples that are to become real."""
_DECIDED = {"keep": "kept", "ask": "asked", "cancel": "cancelled"}
_MISSING: frozenset[Reason] = frozenset({"resource", "interpreter"})
"""Reasons that are gone when a colleague takes over."""


class VisitsStranded(Conflict):
    """Nobody has decided yet about all of `visits`; nothing was changed."""

    code = "visits_stranded"

    @property
    def visits(self) -> Sequence["Stranded"]:
        found: Sequence[Stranded] = self.values["visits"]
        return found


@dataclass(frozen=True, slots=True)
class Stranded:
    """A visit to come that could not be booked any more at its time."""

    visit: Visit
    names: Mapping[str, str]
    """Of its kind: language code → name."""
    served_by: str
    reasons: tuple[Reason, ...]
    offered: bool = False
    """It is held for somebody of the waiting list."""
    asked_at: datetime | None = None
    """When the person was asked to choose another time, and did not yet."""
    instead: Replacement | None = None
    """Who could take it over at its time."""

    @property
    def passing(self) -> bool:
        """Somebody is just looking at it, and nothing was agreed."""
        return self.visit.status == "held" and not self.offered

    @property
    def reachable(self) -> bool:
        """In a conversation; without one, nobody can be told from here."""
        return self.visit.conversation_id is not None

    @property
    def choices(self) -> tuple[Decision, ...]:
        """An offer that nobody has accepted yet is left or withdrawn."""
        others: tuple[Decision, ...] = ("keep", "cancel")
        if self.reachable and self.visit.status != "held":
            others = ("keep", "ask", "cancel")
        return ("give", *others) if self.instead else others


@dataclass(frozen=True, slots=True)
class DeskStranded:
    """What the page of a desk shows."""

    name: str
    zone: ZoneInfo
    changeable: bool
    visits: tuple[Stranded, ...]


@dataclass(frozen=True, slots=True)
class Decisions:
    """What a manager has chosen."""

    each: Mapping[UUID, str]
    shown: frozenset[UUID] = frozenset()
    """Those that were on the page: only they are meant by `others`."""
    others: str = ""
    """For all that were shown and have no decision of their own; empty: none."""

    def about(self, one: Stranded) -> Decision | None:
        """None as long as there is none that is possible."""
        chosen = self.each.get(one.visit.id) or (self.others if one.visit.id in self.shown else "")
        return chosen if _is_choice(chosen, one) else None


def _is_choice(chosen: str, one: Stranded) -> TypeGuard[Decision]:
    return chosen in one.choices


async def read_stranded(session: AsyncSession, staff: Staff, desk_id: int, now: datetime) -> DeskStranded:
    """What lies outside as things are, by time. Raises NotFound."""
    desk = await access_appointments(session, staff, desk_id)
    changeable = staff.holds_at(("desk_manager",), desk.organisation_id, desk_id)
    found = await _find_coming(session, desk_id, now)
    outside = [one for one in found.values() if one.reasons and not one.passing]
    visits = tuple(await _with_colleagues(session, desk_id, outside, now))
    return DeskStranded(desk.name, ZoneInfo(desk.zone), changeable, visits)


async def carry_out(
    sessions: Sessions,
    staff: Staff,
    desk_id: int,
    change: Change,
    decisions: Decisions,
    *,
    now: datetime,
    find_entry: FindEntry,
    ends_demo: bool = False,
) -> None:
    """Makes a change at a desk with what was decided about the visits it strands. `ends_demo`: those that were booked
    with examples are decided about as well. Raises NotFound, Forbidden, VisitsStranded, Unavailable, and what `change`
    raises."""

    async def work() -> None:
        async with sessions.begin() as session:
            desk = await access_desk_hours(session, staff, desk_id, change=True)
            await lock_plan(session, desk_id)
            free = await free_for_waiting(session, desk_id, now)
            before = await _find_coming(session, desk_id, now)
            await change(session, staff)
            after = await _find_coming(session, desk_id, now)
            found = [one for one in after.values() if _is_new(one, before)]
            if ends_demo:
                examples = {one.visit.id for one in before.values() if one.visit.demo}
                found = [one for one in found if one.visit.id not in examples]
                found += [replace(after[one], reasons=(*after[one].reasons, "demo")) for one in examples & after.keys()]
            await _settle(session, staff, desk, found, decisions, now=now, find_entry=find_entry)
            await offer_new(session, desk_id, free, now)
            await dismiss(session, desk_id, now)

    await retried(work)


async def decide(
    sessions: Sessions, staff: Staff, desk_id: int, decisions: Decisions, *, now: datetime, find_entry: FindEntry
) -> None:
    """About visits that lie outside as things are; the others stay. Raises NotFound, Forbidden, Unavailable."""

    async def work() -> None:
        async with sessions.begin() as session:
            desk = await access_desk_hours(session, staff, desk_id, change=True)
            await lock_plan(session, desk_id)
            coming = (await _find_coming(session, desk_id, now)).values()
            outside = await _with_colleagues(session, desk_id, [one for one in coming if one.reasons], now)
            found = [one for one in outside if decisions.about(one) in ("give", "ask", "cancel")]
            await _settle(session, staff, desk, found, decisions, now=now, find_entry=find_entry)

    await retried(work)


# --- what lies outside ---


async def _find_coming(session: AsyncSession, desk_id: int, now: datetime) -> dict[UUID, Stranded]:
    """All visits that are still to come, by time; those without reasons are in order. Lead time, window and grid are
    for whoever books, and of no matter here."""
    hours = (await load_hours(session, [desk_id]))[desk_id]
    server, helper = aliased(Resource), aliased(Resource)
    offered = exists().where(WaitingPlace.offer_id == Appointment.id)
    kind = (AppointmentKind.names, AppointmentKind.active)
    helpers = (server.name, server.active, server.availability, helper.active, helper.availability, helper.languages)
    query = select(*COLUMNS, Appointment.asked_at, offered, *kind, *helpers)
    query = query.outerjoin(AppointmentKind, AppointmentKind.id == Appointment.kind_id)
    query = query.outerjoin(server, server.id == Appointment.resource_id)
    query = query.outerjoin(helper, helper.id == Appointment.interpreter_id)
    held = and_(Appointment.status == "held", Appointment.hold_expires > now)
    expected = or_(Appointment.status.in_(TO_COME), held)
    query = query.where(Appointment.desk_id == desk_id, Appointment.starts > now, expected)
    found = {}
    for row in await session.execute(query.order_by(Appointment.starts, Appointment.id)):
        visit = visit_of(row[: len(COLUMNS)])
        more: Sequence[Any] = row[len(COLUMNS) :]
        asked_at, offer, names, active, name, *times = more
        reasons = tuple(_reasons(visit, hours, active, tuple(times)))
        found[visit.id] = Stranded(visit, names or {}, name or "", reasons, offer, asked_at)
    return found


async def _with_colleagues(
    session: AsyncSession, desk_id: int, found: Sequence[Stranded], now: datetime
) -> list[Stranded]:
    """Each with who could take it over, when nothing but whoever serves or interprets is missing."""
    missing = {one.visit.id: _missing(one) for one in found if set(one.reasons) <= _MISSING}
    instead = await find_replacements(session, desk_id, missing, now)
    return [replace(one, instead=instead.get(one.visit.id)) for one in found]


def _missing(one: Stranded) -> set[int]:
    whose = {"resource": one.visit.resource_id, "interpreter": one.visit.interpreter_id}
    return {found for reason in one.reasons if (found := whose.get(reason)) is not None}


def _reasons(visit: Visit, hours: Hours, kind_active: bool | None, helpers: tuple[Any, ...]) -> list[Reason]:
    there, availability, helping, helping_when, languages = helpers
    found: list[Reason] = []
    between = visit.starts, visit.ends
    if not covers(hours, *between):
        found.append("hours" if hours.spans(visit.starts.astimezone(hours.zone).date()) else "closed")
    if not (there and covers(weekly(availability, hours), *between)):
        found.append("resource")
    if visit.interpreter_id is not None:
        able = helping and visit.language in languages
        found += [] if able and covers(weekly(helping_when, hours), *between) else ["interpreter"]
    return found if kind_active else [*found, "kind"]


def _is_new(one: Stranded, before: Mapping[UUID, Stranded]) -> bool:
    """Outside for a reason that was none before: what somebody has decided about is not asked again."""
    known = before[one.visit.id].reasons if one.visit.id in before else ()
    return not set(one.reasons) <= set(known)


# --- what was decided ---


async def _settle(
    session: AsyncSession,
    staff: Staff,
    desk: Desk,
    found: Sequence[Stranded],
    decisions: Decisions,
    *,
    now: datetime,
    find_entry: FindEntry,
) -> None:
    """Raises VisitsStranded."""
    agreed = await _with_colleagues(session, desk.id, [one for one in found if not one.passing], now)
    chosen = {one.visit.id: decisions.about(one) for one in agreed}
    if not all(chosen.values()):
        raise VisitsStranded(visits=sorted(agreed, key=lambda one: (one.visit.starts, one.visit.id)))
    for one in found:
        if one.passing:
            await _cancel(session, one.visit)
    for one in agreed:
        decision = chosen[one.visit.id]
        if decision == "give" and one.instead is not None:
            await give(session, staff, desk, one.visit.id, one.instead, now)
        elif await _done(session, one.visit, decision, now=now, find_entry=find_entry):
            await record(session, staff, desk, one.visit.id, f"appointment.{_DECIDED[str(decision)]}")


async def _done(
    session: AsyncSession, visit: Visit, decision: Decision | None, *, now: datetime, find_entry: FindEntry
) -> bool:
    """False when the person has changed it this moment."""
    if decision == "ask":
        await session.execute(update(Appointment).where(Appointment.id == visit.id).values(asked_at=now))
        await tell(session, visit, "stranded", find_entry=find_entry, now=now)
    if decision == "cancel":
        gone = await _cancel(session, visit)
        if gone is None:
            return False
        await tell(session, gone, "cancelled_by_desk", find_entry=find_entry, now=now)
        await offer_freed(session, visit, now)
    return True


async def _cancel(session: AsyncSession, visit: Visit) -> Visit | None:
    """None when the person has moved, confirmed or cancelled it this moment."""
    same = (Appointment.id == visit.id, Appointment.starts == visit.starts, Appointment.status == visit.status)
    values: dict[str, Any] = {"status": "cancelled", "sequence": Appointment.sequence + 1}
    values |= {"name": None} if visit.status == "held" else {}
    query = update(Appointment).where(*same).values(values).returning(*COLUMNS)
    row = (await session.execute(query)).one_or_none()
    return visit_of(row) if row else None
