"""What can be booked at a desk: kinds of appointment, who serves, and how much one person may book."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.access import Staff, access_desk_hours
from backend.booking_forms import (
    KindTyped,
    KindValues,
    ResourceTyped,
    ResourceValues,
    check_kind,
    check_limits,
    check_resource,
)
from backend.calendars import load_hours
from backend.desk_week import record_desk
from backend.errors import AppError, Conflict, InvalidRequest, NotFound
from backend.models import Appointment, AppointmentKind, Desk, EntryRow, Resource, WaitingPlace
from backend.models.appointments import TO_COME

MOST_KINDS = 50
MOST_RESOURCES = 100
Closed = Literal["hours", "kinds", "resources"]
"""Nobody has said when the desk is open; it offers no kind; nobody serves, and there is no room."""


class UnknownEntry(AppError):
    """There is none, or it is shown to nobody."""

    status = 422
    code = "kind_entry"


class KindInUse(Conflict):
    code = "kind_in_use"


class ResourceInUse(Conflict):
    code = "resource_in_use"


class TooManyKinds(Conflict):
    code = "too_many_kinds"


class TooManyResources(Conflict):
    code = "too_many_resources"


@dataclass(frozen=True, slots=True)
class KindHere:
    id: int
    values: KindValues
    demo: bool
    used: bool
    """Somebody has, had or waits for a visit of this kind."""


@dataclass(frozen=True, slots=True)
class ResourceHere:
    id: int
    values: ResourceValues
    demo: bool
    used: bool


@dataclass(frozen=True, slots=True)
class Setup:
    desk_id: int
    name: str
    changeable: bool
    demo: bool
    """Hours, a kind, a resource or a visit to come is an example."""
    closed: tuple[Closed, ...]
    """Why nothing can be booked; empty when it can."""
    kinds: tuple[KindHere, ...]
    resources: tuple[ResourceHere, ...]
    most_visits: int
    most_each_week: int | None


async def read_setup(session: AsyncSession, staff: Staff, desk_id: int, now: datetime) -> Setup:
    """Raises NotFound."""
    desk = await access_desk_hours(session, staff, desk_id, change=False)
    hours = (await load_hours(session, [desk_id]))[desk_id]
    kinds, resources = await _read_kinds(session, desk_id), await _read_resources(session, desk_id)
    serving = any(one.values.active and one.values.kind != "interpreter" for one in resources)
    missing: dict[Closed, bool] = {
        "hours": not hours.known_from(now),
        "kinds": not any(one.values.active for one in kinds),
        "resources": not serving,
    }
    visits = exists().where(Appointment.desk_id == desk_id, Appointment.demo, Appointment.starts > now)
    expected = visits.where(Appointment.status.in_(TO_COME))
    examples = desk.demo_hours or any(one.demo for one in kinds) or any(one.demo for one in resources)
    return Setup(
        desk_id=desk_id,
        name=desk.name,
        changeable=staff.holds_at(("desk_manager",), desk.organisation_id, desk_id),
        demo=examples or bool((await session.execute(select(expected))).scalar_one()),
        closed=tuple(why for why, so in missing.items() if so),
        kinds=kinds,
        resources=resources,
        most_visits=desk.most_visits,
        most_each_week=desk.most_each_week,
    )


# --- kinds ---


def _kind_used(kind_id: Any) -> ColumnElement[bool]:
    return or_(exists().where(Appointment.kind_id == kind_id), exists().where(WaitingPlace.kind_id == kind_id))


async def _read_kinds(session: AsyncSession, desk_id: int) -> tuple[KindHere, ...]:
    query = select(AppointmentKind, _kind_used(AppointmentKind.id)).where(AppointmentKind.desk_id == desk_id)
    rows = await session.execute(query.order_by(AppointmentKind.active.desc(), AppointmentKind.id))
    return tuple(KindHere(kind.id, _stored(KindValues, kind), kind.demo, used) for kind, used in rows)


async def save_kind(session: AsyncSession, staff: Staff, desk_id: int, *, kind_id: int | None, typed: KindTyped) -> int:
    """A new one, or (`kind_id`) one that is changed and is no example any more; returns its id. Raises NotFound,
    Forbidden, UnknownEntry, TooManyKinds, and what `check_kind` raises."""
    desk = await access_desk_hours(session, staff, desk_id, change=True)
    values = check_kind(typed)
    await _check_entry(session, values.entry_id, kind_id)
    stored = asdict(values) | {"demo": False}
    if kind_id is None:
        await _check_room(session, AppointmentKind, desk_id, MOST_KINDS, TooManyKinds)
    return await _save(session, staff, desk, AppointmentKind, kind_id, stored)


async def delete_kind(session: AsyncSession, staff: Staff, desk_id: int, kind_id: int) -> None:
    """Also when a colleague was quicker. Raises NotFound, Forbidden, KindInUse."""
    desk = await access_desk_hours(session, staff, desk_id, change=True)
    await _delete(session, staff, desk, AppointmentKind, kind_id, _kind_used(kind_id), KindInUse)


async def _check_entry(session: AsyncSession, entry_id: str | None, kind_id: int | None) -> None:
    """One that is published, or the one it has already. Raises UnknownEntry."""
    if entry_id is None:
        return
    if "\x00" in entry_id:
        raise UnknownEntry
    kept = exists().where(AppointmentKind.id == kind_id, AppointmentKind.entry_id == entry_id)
    published = exists().where(EntryRow.id == entry_id, EntryRow.status == "published")
    if not (await session.execute(select(or_(published, kept)))).scalar_one():
        raise UnknownEntry


# --- resources ---


def _resource_used(resource_id: Any) -> ColumnElement[bool]:
    return or_(
        exists().where(Appointment.resource_id == resource_id),
        exists().where(Appointment.interpreter_id == resource_id),
    )


async def _read_resources(session: AsyncSession, desk_id: int) -> tuple[ResourceHere, ...]:
    query = select(Resource, _resource_used(Resource.id)).where(Resource.desk_id == desk_id)
    order = (Resource.active.desc(), Resource.kind.desc(), func.lower(Resource.name), Resource.id)
    rows = await session.execute(query.order_by(*order))
    return tuple(ResourceHere(one.id, _stored(ResourceValues, one), one.demo, used) for one, used in rows)


async def save_resource(
    session: AsyncSession, staff: Staff, desk_id: int, *, resource_id: int | None, typed: ResourceTyped
) -> int:
    """A new one, or (`resource_id`) one that is changed and is no example any more; what it is stays. Returns its id.
    Raises NotFound, Forbidden, InvalidRequest, TooManyResources, and what `check_resource` raises."""
    desk = await access_desk_hours(session, staff, desk_id, change=True)
    values = check_resource(typed)
    if resource_id is None:
        await _check_room(session, Resource, desk_id, MOST_RESOURCES, TooManyResources)
    else:
        same = select(Resource.kind).where(Resource.id == resource_id, Resource.desk_id == desk_id)
        kind = (await session.execute(same)).scalar_one_or_none()
        if kind is not None and kind != values.kind:
            raise InvalidRequest
    return await _save(session, staff, desk, Resource, resource_id, asdict(values) | {"demo": False})


async def delete_resource(session: AsyncSession, staff: Staff, desk_id: int, resource_id: int) -> None:
    """Also when a colleague was quicker; its blocked time goes with it. Raises NotFound, Forbidden, ResourceInUse."""
    desk = await access_desk_hours(session, staff, desk_id, change=True)
    await _delete(session, staff, desk, Resource, resource_id, _resource_used(resource_id), ResourceInUse)


# --- limits ---


async def save_limits(
    session: AsyncSession, staff: Staff, desk_id: int, *, most_visits: str, most_each_week: str
) -> None:
    """What one person may book; what is booked already stays. Raises NotFound, Forbidden, WrongLimit."""
    desk = await access_desk_hours(session, staff, desk_id, change=True)
    desk.most_visits, desk.most_each_week = check_limits(most_visits, most_each_week)
    said = {"visits": desk.most_visits, "each_week": desk.most_each_week}
    await record_desk(session, staff, desk, "desk.limits_changed", **said)


# --- how ---

Row = type[AppointmentKind] | type[Resource]
_WORDS: dict[Row, str] = {AppointmentKind: "kind", Resource: "resource"}


def _stored(values: type[Any], row: Any) -> Any:
    return values(**{name: getattr(row, name) for name in values.__dataclass_fields__})


async def _check_room(session: AsyncSession, model: Row, desk_id: int, most: int, full: type[AppError]) -> None:
    count = select(func.count()).select_from(model).where(model.desk_id == desk_id)
    if (await session.execute(count)).scalar_one() >= most:
        raise full(limit=most)


async def _save(
    session: AsyncSession, staff: Staff, desk: Desk, model: Row, row_id: int | None, values: dict[str, Any]
) -> int:
    """Raises NotFound."""
    what = _WORDS[model]
    if row_id is None:
        made = insert(model).values(desk_id=desk.id, **values).returning(model.id)
        saved, action = (await session.execute(made)).scalar_one(), f"desk.{what}_added"
    else:
        changed = update(model).where(model.id == row_id, model.desk_id == desk.id).values(values).returning(model.id)
        found = (await session.execute(changed)).scalar_one_or_none()
        if found is None:
            raise NotFound
        saved, action = found, f"desk.{what}_changed"
    await record_desk(session, staff, desk, action, **{what: saved})
    return int(saved)


async def _delete(
    session: AsyncSession,
    staff: Staff,
    desk: Desk,
    model: Row,
    row_id: int,
    used: ColumnElement[bool],
    in_use: type[AppError],
) -> None:
    mine = exists().where(model.id == row_id, model.desk_id == desk.id)
    if (await session.execute(select(and_(mine, used)))).scalar_one():
        raise in_use
    query = delete(model).where(model.id == row_id, model.desk_id == desk.id).returning(model.id)
    try:
        gone = (await session.execute(query)).scalar_one_or_none()
    except IntegrityError as error:
        raise in_use from error  # somebody has booked it this moment
    if gone is not None:
        await record_desk(session, staff, desk, f"desk.{_WORDS[model]}_deleted", **{_WORDS[model]: row_id})
