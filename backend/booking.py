"""Appointments: held, confirmed, moved, cancelled, found. Never two at once (design section 6, decision 18).

A booking looks for somebody who is free, takes their advisory locks in the order of their numbers, looks again, and
writes. Whoever was slower begins anew with somebody else who is free, or gets three other times. The exclusion
constraint stands behind all of it.
"""

import random
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import ARRAY, Integer, Uuid, bindparam, insert, select, text, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.availability import FreeTime, FreeTimes
from backend.db import Sessions, retried
from backend.diary import ALTERNATIVES, Choice, Diary, HoursUnknown, Kind, load_diary, nearby
from backend.errors import AppError, Conflict, NotFound
from backend.models import Appointment, Conversation
from backend.tokens import new_token, secret_hash
from backend.visits import COLUMNS, By, Visit, lock_visit, visit_of

T = TypeVar("T")
HOLD = timedelta(minutes=10)
LONGEST_NAME = 60
_CODE_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Without those that are taken for another when read aloud or by hand."""
_CODE_LENGTH = 5
_TRIES = 12
_LOCK_CLASS = 0x454C5041
"""Of the advisory locks of resources; the second number is the resource's id."""
_CHANGEABLE = ("pending", "confirmed")


class SlotTaken(Conflict):
    """`values["alternatives"]`: up to three other times (`FreeTime`)."""

    code = "slot_taken"

    @property
    def alternatives(self) -> list[FreeTime]:
        found: list[FreeTime] = self.values["alternatives"]
        return found


class TooManyAppointments(Conflict):
    code = "appointment_limit"


class TooManyThisWeek(Conflict):
    code = "appointment_limit_week"


class HoldExpired(Conflict):
    code = "hold_expired"


class AppointmentOver(Conflict):
    """It is past, or was cancelled."""

    code = "appointment_over"


class WrongName(AppError):
    status = 422
    code = "appointment_name"


class _Lost(Exception):
    """Somebody else was quicker."""


@dataclass(frozen=True, slots=True)
class Wish:
    desk_id: int
    kind_id: int
    start: datetime
    language: str
    interpreter: bool = False
    conversation_id: UUID | None = None
    end: datetime | None = None
    """Given, it must be the right one."""
    entry_id: str | None = None
    """What it is about."""


@dataclass(frozen=True, slots=True)
class Booked:
    visit: Visit
    token: str
    """Shown once; only its hash is kept."""


# --- reading ---


async def free_times(
    session: AsyncSession,
    desk_id: int,
    kind_id: int,
    *,
    now: datetime,
    start: datetime,
    until: datetime,
    language: str | None = None,
    interpreter: bool = False,
) -> tuple[Kind, FreeTimes]:
    """Visits that may begin between these moments. Raises NotFound, HoursUnknown, NoInterpreter, NotInLanguage."""
    diary = await load_diary(session, desk_id, kind_id, max(start, now), until, now=now)
    if not diary.hours.known_from(now):
        raise HoursUnknown
    diary.check_language(language, interpreter=interpreter)
    return diary.kind, diary.times(now, language=language, interpreter=interpreter)


# --- booking ---


async def hold(sessions: Sessions, wish: Wish, now: datetime) -> Booked:
    """Keeps the time for ten minutes. Raises what `Diary.check_start` and `Diary.check_language` raise, NotFound,
    TooManyAppointments, SlotTaken, Unavailable."""
    return await _again(lambda: _take(sessions, wish, now, {"status": "held", "hold_expires": now + HOLD}))


async def confirm(sessions: Sessions, appointment_id: UUID, by: By, name: str, now: datetime) -> Visit:
    """Twice is as good as once. Raises Unauthorized, Forbidden, NotFound, WrongName, HoldExpired, AppointmentOver,
    Unavailable."""
    values = {"status": "confirmed", "hold_expires": None, "name": clean_name(name)}

    async def work() -> Visit:
        async with sessions.begin() as session:
            found = await lock_visit(session, appointment_id, by)
            if found.status == "confirmed":
                return found
            if found.hold_expires is None:
                raise AppointmentOver
            if found.status != "held" or found.hold_expires <= now:
                raise HoldExpired
            return await _change(session, appointment_id, **values)

    return await retried(work)


async def book(sessions: Sessions, wish: Wish, name: str, now: datetime) -> Booked:
    """Holds and confirms in one. Raises as those two."""
    values = {"status": "confirmed", "name": clean_name(name)}
    return await _again(lambda: _take(sessions, wish, now, values))


async def move(
    sessions: Sessions, appointment_id: UUID, by: By, start: datetime, now: datetime, *, end: datetime | None = None
) -> Visit:
    """To another time at the same desk; the code and the token stay. Raises Unauthorized, Forbidden, NotFound,
    AppointmentOver, what `Diary.check_start` raises, SlotTaken, Unavailable."""

    async def work() -> Visit:
        async with sessions.begin() as session:
            found = await lock_visit(session, appointment_id, by)
            if found.status not in _CHANGEABLE or found.starts <= now:
                raise AppointmentOver
            if found.desk_id is None or found.kind_id is None:
                raise NotFound
            if found.starts == start and end in (None, found.ends):
                return found
            helped = found.interpreter_id is not None
            wish = Wish(found.desk_id, found.kind_id, start, found.language, interpreter=helped, end=end)
            diary, free = await _look(session, wish, now, ignoring=found.id)
            own = found.resource_id if found.resource_id in free.workers else None
            place = await _lock_and_recheck(session, diary, free, now, ignoring=found.id, own=own, also=found)
            values = _times(diary, start) | place
            return await _change(session, found.id, **values, sequence=Appointment.sequence + 1)

    return await _again(lambda: retried(work))


async def cancel(sessions: Sessions, appointment_id: UUID, by: By, now: datetime) -> Visit:
    """Its time is free for others. Twice is as good as once. Raises Unauthorized, Forbidden, NotFound, AppointmentOver,
    Unavailable."""

    async def work() -> Visit:
        async with sessions.begin() as session:
            found = await lock_visit(session, appointment_id, by)
            if found.status == "cancelled":
                return found
            if found.status not in ("held", *_CHANGEABLE) or found.starts <= now:
                raise AppointmentOver
            values = {"status": "cancelled", "sequence": Appointment.sequence + 1}
            return await _change(session, appointment_id, **values)

    return await retried(work)


async def expire_holds(session: AsyncSession, now: datetime) -> int:
    """Clears away what nobody confirmed; returns how many. Nothing depends on it: what ran out takes no time anyhow."""
    over = (Appointment.status == "held", Appointment.hold_expires <= now)
    found = await session.execute(update(Appointment).where(*over).values(status="cancelled").returning(Appointment.id))
    return len(found.all())


def clean_name(typed: str) -> str:
    """Raises WrongName."""
    name = " ".join("".join(sign if sign.isprintable() else " " for sign in typed).split())
    if not name or len(name) > LONGEST_NAME:
        raise WrongName(most=LONGEST_NAME)
    return name


# --- how ---


async def _again(work: Callable[[], Awaitable[T]]) -> T:
    """Until nobody was quicker: each try sees what the others have taken meanwhile, and ends when nothing is left."""
    for _ in range(_TRIES):
        try:
            return await work()
        except _Lost:
            continue
        except IntegrityError as error:
            if not _was_quicker(error):
                raise
    raise SlotTaken(alternatives=[])


def _was_quicker(error: IntegrityError) -> bool:
    """The constraint behind the locks, or a code that somebody else has."""
    constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    return getattr(error.orig, "sqlstate", None) == "23P01" or constraint == "uq_appointments_code"


async def _take(sessions: Sessions, wish: Wish, now: datetime, values: dict[str, Any]) -> Booked:
    token = new_token()

    async def work() -> Booked:
        async with sessions.begin() as session:
            if wish.conversation_id is not None:
                await _check_limit(session, wish, now)
            diary, free = await _look(session, wish, now)
            place = await _lock_and_recheck(session, diary, free, now)
            made = uuid4()
            row = values | place | _times(diary, wish.start)
            row |= {"id": made, "desk_id": wish.desk_id, "kind_id": wish.kind_id, "language": wish.language}
            row |= {"conversation_id": wish.conversation_id, "demo": diary.kind.demo, "token_hash": secret_hash(token)}
            row |= {"entry_id": wish.entry_id}
            row |= {"code": _new_code(), "uid": f"{made}@elp"}
            stored = (await session.execute(insert(Appointment).values(row).returning(*COLUMNS))).one()
            return Booked(visit_of(stored), token)

    return await retried(work)


def _new_code() -> str:
    return "".join(secrets.choice(_CODE_LETTERS) for _ in range(_CODE_LENGTH))


def _times(diary: Diary, start: datetime) -> dict[str, Any]:
    rules = diary.kind.rules
    ends = start + timedelta(minutes=rules.minutes)
    return {"starts": start, "ends": ends, "blocked": Range(*rules.blocked(start))}


async def _check_limit(session: AsyncSession, wish: Wish, now: datetime) -> None:
    """One after the other, so that two tabs do not pass together. Raises NotFound, TooManyAppointments,
    TooManyThisWeek."""
    own = select(Conversation.id).where(Conversation.id == wish.conversation_id).with_for_update(key_share=True)
    if (await session.execute(own)).one_or_none() is None:
        raise NotFound
    row = (
        await session.execute(
            _LIMITS, {"desk": wish.desk_id, "conversation": wish.conversation_id, "now": now, "start": wish.start}
        )
    ).one_or_none()
    if row is None:
        raise NotFound
    if row.coming >= row.most_visits:
        raise TooManyAppointments(most=row.most_visits)
    if row.most_each_week is not None and row.that_week >= row.most_each_week:
        raise TooManyThisWeek(most=row.most_each_week)


# A week is one of the desk's own calendar.
_LIMITS = text(
    """
    SELECT d.most_visits, d.most_each_week, count(a.id) FILTER (WHERE a.ends > :now) AS coming,
        count(a.id) FILTER (WHERE date_trunc('week', a.starts AT TIME ZONE d.zone)
            = date_trunc('week', CAST(:start AS timestamptz) AT TIME ZONE d.zone)) AS that_week
    FROM desks d LEFT JOIN appointments a ON a.desk_id = d.id AND a.conversation_id = :conversation
        AND (a.status IN ('pending', 'confirmed', 'arrived', 'done') OR a.status = 'held' AND a.hold_expires > :now)
    WHERE d.id = :desk GROUP BY d.id
    """
)


async def _look(
    session: AsyncSession, wish: Wish, now: datetime, *, ignoring: UUID | None = None
) -> tuple[Diary, Choice]:
    """Who is free. Raises SlotTaken with alternatives when nobody is."""
    start, until = nearby(wish.start)
    diary = await load_diary(session, wish.desk_id, wish.kind_id, start, until, now=now, ignoring=ignoring)
    diary.check_start(wish.start, now, end=wish.end)
    diary.check_language(wish.language, interpreter=wish.interpreter)
    asked: dict[str, Any] = {"language": wish.language, "interpreter": wish.interpreter}
    free = diary.who_is_free(wish.start, now, **asked)
    if free is not None:
        return diary, free
    others = diary.times(now, **asked).nearest(wish.start, ALTERNATIVES)
    if len(others) < ALTERNATIVES:
        beyond = diary.kind.rules.bookable(diary.hours.zone, now)[1]
        whole = await load_diary(session, wish.desk_id, wish.kind_id, now, beyond, now=now, ignoring=ignoring)
        others = whole.times(now, **asked).nearest(wish.start, ALTERNATIVES)
    raise SlotTaken(alternatives=others)


async def _lock_and_recheck(
    session: AsyncSession,
    diary: Diary,
    free: Choice,
    now: datetime,
    *,
    ignoring: UUID | None = None,
    own: int | None = None,
    also: Visit | None = None,
) -> dict[str, Any]:
    """Whoever serves, with their locks held; chosen by lot, so that not everybody waits for the same one. `also`: a
    visit that leaves its place. Raises _Lost."""
    resource = own or random.choice(free.workers)  # noqa: S311 - nothing secret
    interpreter = random.choice(free.interpreters) if free.interpreters else None  # noqa: S311
    left = (also.resource_id, also.interpreter_id) if also else ()
    await _lock(session, sorted({one for one in (resource, interpreter, *left) if one is not None}))
    taken = await _taken_seats(session, diary, free.start, (resource, interpreter), now, ignoring)
    seat = None
    if diary.kind.rules.capacity > 1:
        seat = next((one for one in range(diary.kind.rules.capacity) if one not in taken), None)
        if seat is None:
            raise _Lost
    return {"resource_id": resource, "interpreter_id": interpreter, "seat": seat}


async def _lock(session: AsyncSession, resources: Sequence[int]) -> None:
    """Until the transaction ends; always in the order of their numbers, so that nobody waits in a circle."""
    calls = ", ".join(f"pg_advisory_xact_lock({_LOCK_CLASS}, {int(one)})" for one in resources)
    await session.execute(text(f"SELECT {calls}"))


# Holds that ran out are cleared away in the same statement, or the constraint would still count them.
_RECHECK = text(
    """
    WITH gone AS (
        UPDATE appointments SET status = 'cancelled', changed_at = now()
        WHERE status = 'held' AND hold_expires <= :now AND (resource_id = ANY(:ids) OR interpreter_id = ANY(:ids))
    )
    SELECT resource_id, kind_id, starts, seat, interpreter_id = ANY(:ids) AS interpreting FROM appointments
    WHERE (resource_id = ANY(:ids) OR interpreter_id = ANY(:ids)) AND blocked && tstzrange(:from, :until)
      AND status IN ('held', 'pending', 'confirmed', 'arrived') AND (status <> 'held' OR hold_expires > :now)
      AND id IS DISTINCT FROM CAST(:ignoring AS uuid)
    UNION ALL
    SELECT resource_id, NULL, NULL, NULL, NULL FROM resource_blocks
    WHERE resource_id = ANY(:ids) AND tstzrange(starts, ends) && tstzrange(:from, :until)
    """
).bindparams(bindparam("ids", type_=ARRAY(Integer())), bindparam("ignoring", type_=Uuid()))


async def _taken_seats(
    session: AsyncSession,
    diary: Diary,
    start: datetime,
    helpers: tuple[int, int | None],
    now: datetime,
    ignoring: UUID | None,
) -> set[int]:
    """Of the same workshop; anything else that touches it makes it _Lost."""
    begins, ends = diary.kind.rules.blocked(start)
    ids = [one for one in helpers if one is not None]
    values = {"ids": ids, "from": begins, "until": ends, "now": now, "ignoring": ignoring}
    seats = set()
    for row in await session.execute(_RECHECK, values):
        same = (row.resource_id, row.kind_id, row.starts) == (helpers[0], diary.kind.id, start)
        if not same or row.seat is None or row.interpreting:
            raise _Lost
        seats.add(row.seat)
    return seats


async def _change(session: AsyncSession, appointment_id: UUID, **values: Any) -> Visit:
    query = update(Appointment).where(Appointment.id == appointment_id).values(**values).returning(*COLUMNS)
    return visit_of((await session.execute(query)).one())
