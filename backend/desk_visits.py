"""What those at the desk do with visits: who came, who did not, who came without an appointment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend import audit, booking
from backend.access import Staff, access_appointments
from backend.availability import FreeTimes, Worker
from backend.calendars import Interval
from backend.diary import Diary, HoursUnknown, Kind, load_diary
from backend.errors import Conflict, InvalidRequest, NotFound
from backend.models import Appointment, Desk
from backend.taking import find_seat, lock_resources, new_code, times_of
from backend.tokens import new_token, secret_hash
from backend.visits import COLUMNS, Visit, visit_of

SHORTEST = timedelta(minutes=5)
"""Of a visit without an appointment that has to end before the next one begins."""
JOIN_BEFORE = timedelta(minutes=60)
"""A workshop begins, for whoever comes without an appointment to join it."""
_SEASON = timedelta(days=367)
_AROUND = timedelta(hours=4)
_STEPS = {
    "arrived": ("confirmed",),
    "done": ("arrived",),
    "no_show": ("confirmed",),
    "confirmed": ("arrived", "done", "no_show"),
}
"""Into a state → from which ones. Back to `confirmed` is the way to undo."""
_EVENTS = {"arrived": "arrived", "done": "done", "no_show": "no_show", "confirmed": "undone"}


class VisitChanged(Conflict):
    """A colleague was quicker."""

    code = "visit_changed"


class VisitAhead(Conflict):
    """Nobody can say yet what became of it."""

    code = "visit_ahead"


class VisitAnotherDay(Conflict):
    """What became of it is undone on its own day only."""

    code = "visit_another_day"


class VisitTimeTaken(Conflict):
    """Somebody else has its time meanwhile."""

    code = "visit_time_taken"


class NobodyFree(Conflict):
    code = "nobody_free"


class NoWorkshop(Conflict):
    """None is on or begins soon, or all its places are taken."""

    code = "no_workshop"


@dataclass(frozen=True, slots=True)
class WalkIn:
    """Somebody who stands at the door."""

    kind_id: int
    language: str
    name: str = ""
    """Empty: they did not say."""


# --- what became of a visit ---


async def mark(
    session: AsyncSession, staff: Staff, desk_id: int, appointment_id: UUID, *, seen: str, into: str, now: datetime
) -> None:
    """From the state that was seen into another one; twice is as good as once. Raises NotFound, InvalidRequest,
    VisitChanged, VisitAhead, VisitAnotherDay, VisitTimeTaken."""
    desk = await access_appointments(session, staff, desk_id)
    if seen not in _STEPS.get(into, ()):
        raise InvalidRequest
    own = (Appointment.id == appointment_id, Appointment.desk_id == desk_id)
    row = (await session.execute(select(*COLUMNS).where(*own).with_for_update())).one_or_none()
    if row is None:
        raise NotFound
    visit = visit_of(row)
    if visit.status == into:
        return
    if visit.status != seen:
        raise VisitChanged
    obstacle = _obstacle(visit, into, ZoneInfo(desk.zone), now)
    if obstacle is not None:
        raise obstacle
    if into == "confirmed":
        theirs = [one for one in (visit.resource_id, visit.interpreter_id) if one is not None]
        await lock_resources(session, theirs)
        await _clear_holds(session, theirs, (visit.starts, visit.ends), now)
    try:
        await session.execute(update(Appointment).where(*own).values(status=into))
    except IntegrityError as error:
        raise VisitTimeTaken from error
    await record(session, staff, desk, appointment_id, f"appointment.{_EVENTS[into]}")


def possible_steps(visit: Visit, zone: ZoneInfo, now: datetime) -> list[str]:
    """Into which states it can be marked now."""
    return [into for into in _STEPS if visit.status in _STEPS[into] and _obstacle(visit, into, zone, now) is None]


def _obstacle(visit: Visit, into: str, zone: ZoneInfo, now: datetime) -> type[Conflict] | None:
    today, day = now.astimezone(zone).date(), visit.starts.astimezone(zone).date()
    if into == "confirmed":
        return None if day == today else VisitAnotherDay
    ahead = day > today or (into != "arrived" and visit.starts > now)
    return VisitAhead if ahead else None


async def _clear_holds(session: AsyncSession, resources: Sequence[int], between: Interval, now: datetime) -> None:
    """Those that ran out take no time any more, but the constraint would still count what is in the way. The minutes
    around a visit are at most four hours (`AppointmentKind`)."""
    theirs = or_(Appointment.resource_id.in_(resources), Appointment.interpreter_id.in_(resources))
    around = func.tstzrange(between[0] - _AROUND, between[1] + _AROUND)
    over = (Appointment.status == "held", Appointment.hold_expires <= now, theirs, Appointment.blocked.op("&&")(around))
    await session.execute(update(Appointment).where(*over).values(status="cancelled", name=None))


# --- somebody without an appointment ---


async def walk_in(session: AsyncSession, staff: Staff, desk_id: int, person: WalkIn, now: datetime) -> UUID:
    """A visit that begins now, with whoever is free: for as long as the kind takes, or until their next visit. Of a
    workshop: a place in one that is on, or begins within an hour. Raises NotFound, WrongName, NobodyFree, NoWorkshop,
    VisitTimeTaken."""
    desk = await access_appointments(session, staff, desk_id)
    name = booking.clean_name(person.name) if person.name.strip() else None
    starts = now.replace(second=0, microsecond=0)
    around = timedelta(days=1)
    diary = await load_diary(session, desk_id, person.kind_id, starts, starts + around, now=now)
    if not diary.workers:
        raise NobodyFree
    await lock_resources(session, (one.id for one in diary.workers))
    diary = await load_diary(session, desk_id, person.kind_id, starts, starts + around, now=now)
    if diary.kind.rules.capacity > 1:
        place = await _place_in_workshop(session, diary, now)
    else:
        place = _place_now(diary, starts)
    made = uuid4()
    row = place | {
        "id": made,
        "code": new_code(),
        "uid": f"{made}@elp",
        "desk_id": desk_id,
        "kind_id": person.kind_id,
        "status": "arrived",
        "walk_in": True,
        "name": name,
        "language": person.language,
        "demo": diary.kind.demo,
        "token_hash": secret_hash(new_token()),  # nobody has it: they are at the desk
    }
    await _clear_holds(session, [row["resource_id"]], (row["starts"], row["ends"]), now)
    try:
        await session.execute(insert(Appointment).values(row))
    except IntegrityError as error:
        raise VisitTimeTaken from error
    await record(session, staff, desk, made, "appointment.walked_in")
    return made


def _place_now(diary: Diary, starts: datetime) -> dict[str, Any]:
    """Raises NobodyFree."""
    resource, free_until = _who_serves(diary, starts)
    rules = diary.kind.rules
    ends = min(starts + timedelta(minutes=rules.minutes), free_until)
    blocked = Range(starts, min(ends + timedelta(minutes=rules.buffer_after), free_until))
    return {"resource_id": resource, "starts": starts, "ends": ends, "blocked": blocked}


async def _place_in_workshop(session: AsyncSession, diary: Diary, now: datetime) -> dict[str, Any]:
    """In the first that somebody comes to and that has room. Raises NoWorkshop."""
    rules = diary.kind.rules
    soon, length = (now + JOIN_BEFORE).timestamp(), rules.minutes * 60
    places = {(place.session, one.id) for one in diary.workers for place in one.places}
    for begins, resource in sorted(places):
        if begins <= soon and now.timestamp() < begins + length:
            starts = datetime.fromtimestamp(begins, UTC)
            await _clear_holds(session, [resource], (starts, starts + timedelta(minutes=rules.minutes)), now)
            seat = await find_seat(session, resource, starts, rules.capacity)
            if seat is not None:
                return {"resource_id": resource, "seat": seat, **times_of(rules, starts)}
    raise NoWorkshop


def _who_serves(diary: Diary, starts: datetime) -> tuple[int, datetime]:
    """Whoever is free longest of those whose hours it is; outside all hours, of all. Raises NobodyFree."""
    open_now = diary.hours.open_at(starts)
    there = [one for one in diary.workers if open_now and (one.hours is None or one.hours.open_at(starts))]
    free = [(until, one.id) for one in there or diary.workers if (until := _free_until(one, starts)) is not None]
    if not free or max(free)[0] < starts + SHORTEST:
        raise NobodyFree
    until, resource = max(free)
    return resource, until


def _free_until(worker: Worker, starts: datetime) -> datetime | None:
    """When what is taken next begins; None when something is taken now."""
    now = starts.timestamp()
    taken = [*worker.busy, *((place.start, place.until) for place in worker.places)]
    if any(begins <= now < ends for begins, ends in taken):
        return None
    following = [begins for begins, _ in taken if begins > now]
    return datetime.fromtimestamp(min(following), UTC) if following else starts + timedelta(days=1)


# --- when somebody can come ---


async def open_times(
    session: AsyncSession,
    staff: Staff,
    desk_id: int,
    kind_id: int,
    *,
    now: datetime,
    language: str,
    interpreter: bool,
    moving: UUID | None = None,
) -> tuple[Kind, FreeTimes]:
    """All that can be booked; `moving`: the visit that would leave its own time. Raises NotFound, HoursUnknown,
    NoInterpreter, NotInLanguage."""
    await access_appointments(session, staff, desk_id)
    diary = (await load_diary(session, desk_id, kind_id, now, now + _SEASON, now=now, ignoring=moving)).for_desk()
    if not diary.hours.known_from(now):
        raise HoursUnknown
    diary.check_language(language, interpreter=interpreter)
    return diary.kind, diary.times(now, language=language, interpreter=interpreter)


async def record(session: AsyncSession, staff: Staff, desk: Desk, appointment_id: UUID, action: str) -> None:
    """What was done to a visit, by whom; never whose visit it is."""
    await audit.record(
        session,
        action,
        f"appointment:{appointment_id}",
        account_id=staff.account_id,
        organisation_id=desk.organisation_id,
        desk=desk.id,
    )
