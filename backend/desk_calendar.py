"""The desk's calendar as those who answer there read it: who comes when, in the desk's own days."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.access import Staff, access_appointments, conversations_within
from backend.calendars import Hours, Interval, Span, load_hours
from backend.diary import is_holiday, name_of
from backend.errors import NotFound
from backend.models import Appointment, AppointmentKind, Conversation, Resource, ResourceBlock
from backend.models.appointments import OCCUPYING
from backend.visits import COLUMNS, Visit, visit_of


@dataclass(frozen=True, slots=True)
class DeskHead:
    """What every page of a desk's calendar says of it."""

    id: int
    name: str
    zone: ZoneInfo
    now: datetime
    """On the clock of the desk."""
    hours: Hours
    demo: bool
    """Its hours are examples."""
    manages: bool
    """Whether the reader manages it."""

    @property
    def today(self) -> date:
        return self.now.date()

    @property
    def known(self) -> bool:
        return self.hours.known_from(self.now)

    def local(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone)

    def day_of(self, moment: datetime) -> date:
        return self.local(moment).date()

    def begin_of(self, day: date) -> datetime:
        """UTC."""
        return datetime.combine(day, time.min, self.zone).astimezone(UTC)

    def opens(self, day: date) -> Sequence[Span]:
        return self.hours.spans(day)

    def holiday(self, day: date) -> bool:
        return is_holiday(self.hours, self.begin_of(day))


@dataclass(frozen=True, slots=True)
class KindHere:
    """What the desk makes appointments for, in the reader's language."""

    id: int
    name: str
    minutes: int
    places: int
    """More than one: a workshop."""


@dataclass(frozen=True, slots=True)
class Line:
    """One visit with what it takes to receive somebody. Moments in UTC."""

    visit: Visit
    kind: str
    places: int
    served_by: str | None
    interpreter: str | None
    conversation_id: UUID | None
    """Only of a conversation that is with this desk."""

    @property
    def starts(self) -> datetime:
        return self.visit.starts

    @property
    def ends(self) -> datetime:
        return self.visit.ends


@dataclass(frozen=True, slots=True)
class Workshop:
    """People who come together."""

    starts: datetime
    ends: datetime
    kind: str
    places: int
    served_by: str | None
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Blocked:
    """The same time of several is one."""

    ids: tuple[int, ...]
    names: tuple[str, ...]
    starts: datetime
    ends: datetime
    note: str


Item = Line | Workshop | Blocked


@dataclass(frozen=True, slots=True)
class Day:
    day: date
    items: tuple[Item, ...]
    """By the clock."""
    cancelled: tuple[Line, ...] = ()

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(_lines(self.items))


async def read_head(session: AsyncSession, staff: Staff, desk_id: int, now: datetime) -> DeskHead:
    """Raises NotFound."""
    desk = await access_appointments(session, staff, desk_id)
    hours = (await load_hours(session, [desk_id]))[desk_id]
    manages = staff.holds_at(("desk_manager",), desk.organisation_id, desk_id)
    return DeskHead(desk.id, desk.name, hours.zone, now.astimezone(hours.zone), hours, desk.demo_hours, manages)


async def list_kinds(session: AsyncSession, staff: Staff, desk_id: int, language: str) -> list[KindHere]:
    """Those that are offered. Raises NotFound."""
    await access_appointments(session, staff, desk_id)
    columns = (AppointmentKind.id, AppointmentKind.names, AppointmentKind.minutes, AppointmentKind.capacity)
    query = select(*columns).where(AppointmentKind.desk_id == desk_id, AppointmentKind.active)
    rows = await session.execute(query.order_by(AppointmentKind.id))
    return [KindHere(row.id, name_of(row.names, language), row.minutes, row.capacity) for row in rows]


async def list_resources(session: AsyncSession, staff: Staff, desk_id: int) -> list[tuple[int, str]]:
    """Who or what serves there now, by name. Raises NotFound."""
    await access_appointments(session, staff, desk_id)
    query = select(Resource.id, Resource.name).where(Resource.desk_id == desk_id, Resource.active)
    return [(row.id, row.name) for row in await session.execute(query.order_by(Resource.name, Resource.id))]


# --- days ---


async def read_days(
    session: AsyncSession, staff: Staff, head: DeskHead, first: date, number: int, *, language: str
) -> list[Day]:
    """So many days from the first on, with their visits and blocked time. Raises NotFound."""
    days = [first + timedelta(days=count) for count in range(number)]
    between = head.begin_of(first), head.begin_of(days[-1] + timedelta(days=1))
    query = _visits(staff, head.id, head.now).where(Appointment.starts >= between[0], Appointment.starts < between[1])
    lines = await _read_lines(session, staff, head.id, query, language)
    blocked = await _read_blocked(session, head.id, between)
    found = []
    for day in days:
        begins, ends = head.begin_of(day), head.begin_of(day + timedelta(days=1))
        of_day = [line for line in lines if begins <= line.starts < ends]
        items: list[Item] = [*_together(line for line in of_day if line.visit.status != "cancelled")]
        items += [one for one in blocked if one.starts < ends and begins < one.ends]
        cancelled = tuple(line for line in of_day if line.visit.status == "cancelled")
        found.append(Day(day, tuple(sorted(items, key=lambda one: one.starts)), cancelled))
    return found


async def count_visits(
    session: AsyncSession, staff: Staff, head: DeskHead, first: date, number: int
) -> dict[date, int]:
    """By day, without those that were cancelled; days without any are left out. Raises NotFound."""
    await access_appointments(session, staff, head.id)
    day = func.date(func.timezone(head.zone.key, Appointment.starts))
    query = select(day, func.count()).where(
        Appointment.desk_id == head.id,
        Appointment.starts >= head.begin_of(first),
        Appointment.starts < head.begin_of(first + timedelta(days=number)),
        Appointment.status != "cancelled",
        _still_held(head.now),
    )
    return {row[0]: row[1] for row in await session.execute(query.group_by(day))}


async def get_line(session: AsyncSession, staff: Staff, head: DeskHead, appointment_id: UUID, *, language: str) -> Line:
    """Also one that was cancelled. Raises NotFound."""
    query = _visits(staff, head.id, head.now).where(Appointment.id == appointment_id)
    found = await _read_lines(session, staff, head.id, query, language)
    if not found:
        raise NotFound
    return found[0]


async def list_overlapping(
    session: AsyncSession,
    staff: Staff,
    head: DeskHead,
    resources: Sequence[int],
    between: Interval,
    *,
    language: str,
) -> list[Line]:
    """Visits to come or going on that one of these serves or interprets, minutes around them included. Raises
    NotFound."""
    theirs = or_(Appointment.resource_id.in_(resources), Appointment.interpreter_id.in_(resources))
    within = Appointment.blocked.op("&&")(func.tstzrange(*between))
    query = _visits(staff, head.id, head.now).where(theirs, within, Appointment.status.in_(OCCUPYING))
    return await _read_lines(session, staff, head.id, query, language)


async def list_blocked(session: AsyncSession, staff: Staff, head: DeskHead) -> list[Blocked]:
    """What is not over yet. Raises NotFound."""
    await access_appointments(session, staff, head.id)
    return await _read_blocked(session, head.id, (head.now, head.now + timedelta(days=10 * 366)))


# --- how ---


def _still_held(now: datetime) -> Any:
    return or_(Appointment.status != "held", Appointment.hold_expires > now)


def _visits(staff: Staff, desk_id: int, now: datetime) -> Select[*tuple[Any, ...]]:
    """Without holds that ran out or were given up: nobody was ever expected then."""
    server, helper = aliased(Resource), aliased(Resource)
    own = (Conversation.id == Appointment.conversation_id, Conversation.desk_id == desk_id)
    kind = (AppointmentKind.names, AppointmentKind.capacity)
    query = select(*COLUMNS, *kind, server.name, helper.name, Conversation.id)
    query = query.outerjoin(AppointmentKind, AppointmentKind.id == Appointment.kind_id)
    query = query.outerjoin(server, server.id == Appointment.resource_id)
    query = query.outerjoin(helper, helper.id == Appointment.interpreter_id)
    query = query.outerjoin(Conversation, and_(*own, conversations_within(staff)))
    expected = or_(Appointment.status != "cancelled", Appointment.hold_expires.is_(None))
    query = query.where(Appointment.desk_id == desk_id, _still_held(now), expected)
    return query.order_by(Appointment.starts, Appointment.created_at, Appointment.id)


async def _read_lines(
    session: AsyncSession, staff: Staff, desk_id: int, query: Select[*tuple[Any, ...]], language: str
) -> list[Line]:
    await access_appointments(session, staff, desk_id)
    found = []
    for row in await session.execute(query):
        names, capacity, server, helper, conversation = row[len(COLUMNS) :]
        kind = name_of(names, language) if names else ""
        found.append(Line(visit_of(row[: len(COLUMNS)]), kind, capacity or 1, server, helper, conversation))
    return found


async def _read_blocked(session: AsyncSession, desk_id: int, between: Interval) -> list[Blocked]:
    columns = (ResourceBlock.starts, ResourceBlock.ends, ResourceBlock.note)
    query = (
        select(func.array_agg(ResourceBlock.id), func.array_agg(Resource.name), *columns)
        .join(Resource, Resource.id == ResourceBlock.resource_id)
        .where(Resource.desk_id == desk_id, ResourceBlock.starts < between[1], ResourceBlock.ends > between[0])
    )
    rows = await session.execute(query.group_by(*columns).order_by(ResourceBlock.starts, ResourceBlock.ends))
    return [Blocked(tuple(row[0]), tuple(sorted(row[1])), *row[2:]) for row in rows]


def _together(lines: Iterable[Line]) -> Iterator[Line | Workshop]:
    """Those who come to the same workshop are one item."""
    workshops: dict[tuple[Any, ...], list[Line]] = {}
    for line in lines:
        if line.places == 1:
            yield line
        else:
            visit = line.visit
            workshops.setdefault((visit.kind_id, visit.resource_id, visit.starts), []).append(line)
    for together in workshops.values():
        one = together[0]
        yield Workshop(one.starts, one.ends, one.kind, one.places, one.served_by, tuple(together))


def _lines(items: Iterable[Item]) -> Iterator[Line]:
    for item in items:
        if isinstance(item, Workshop):
            yield from item.lines
        elif isinstance(item, Line):
            yield item
