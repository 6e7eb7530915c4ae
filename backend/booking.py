"""Appointments: held, confirmed, moved, cancelled, found. Never two at once (design section 6, decision 18).

A booking looks for somebody who is free, takes their advisory locks in the order of their numbers, looks again, and
writes. Whoever was slower begins anew with somebody else who is free, or gets three other times. The exclusion
constraint stands behind all of it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import exists, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend import offers
from backend.access import Staff
from backend.availability import FreeTime, FreeTimes
from backend.db import Sessions, retried
from backend.diary import ALTERNATIVES, Choice, Diary, HoursUnknown, Kind, load_diary
from backend.errors import AppError, Conflict, NotFound
from backend.models import Appointment, Conversation, WaitingPlace
from backend.models.appointments import TO_COME
from backend.recheck import OfferRanOut, lock_and_recheck
from backend.taking import count_visits, new_code, reminders_of, times_of
from backend.tokens import new_token, secret_hash
from backend.visits import COLUMNS, By, Visit, lock_visit, visit_of

T = TypeVar("T")
Then = Callable[[AsyncSession, Visit], Awaitable[object]]
"""What belongs to a change and happens in its transaction: all of it, or nothing."""
HOLD = timedelta(minutes=10)
LONGEST_NAME = 60
_TRIES = 12
_DAY, _WEEK = timedelta(days=1), timedelta(days=8)
"""Around a time that is taken, for other ones."""


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
    by_desk: bool = False
    """Booked by those who answer there: neither the lead time nor the person's limits are for them."""


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
    values = {"status": "held", "hold_expires": now + HOLD}
    return await _again(sessions, now, lambda: _take(sessions, wish, now, values))


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
            await offers.accepted(session, found.id)
            return await _change(session, appointment_id, **values, **reminders_of(found.starts, now))

    return await retried(work)


async def book(sessions: Sessions, wish: Wish, name: str, now: datetime, *, then: Then | None = None) -> Booked:
    """Holds and confirms in one. Raises as those two."""
    values = {"status": "confirmed", "name": clean_name(name), **reminders_of(wish.start, now)}
    return await _again(sessions, now, lambda: _take(sessions, wish, now, values, then))


async def move(
    sessions: Sessions,
    appointment_id: UUID,
    by: By,
    start: datetime,
    now: datetime,
    *,
    end: datetime | None = None,
    then: Then | None = None,
) -> Visit:
    """To another time at the same desk; the code and the token stay. Lead time and the person's limits are not for
    staff. `then`: unless it is at this time already. Raises Unauthorized, Forbidden, NotFound, AppointmentOver, what
    `Diary.check_start` raises, TooManyThisWeek, SlotTaken, Unavailable."""
    by_desk = isinstance(by, Staff)

    async def work() -> Visit | SlotTaken | None:
        async with sessions.begin() as session:
            await _lock_person(session, appointment_id)
            found = await lock_visit(session, appointment_id, by)
            if found.status not in TO_COME or found.starts <= now:
                raise AppointmentOver
            if found.desk_id is None or found.kind_id is None:
                raise NotFound
            if found.starts == start and end in (None, found.ends):
                return found
            if not by_desk:
                await _check_week(session, found, start, now)
            asked: dict[str, Any] = {"interpreter": found.interpreter_id is not None, "end": end, "by_desk": by_desk}
            wish = Wish(found.desk_id, found.kind_id, start, found.language, **asked)
            diary, free = await _look(session, wish, now, ignoring=found.id)
            if free is None:
                return await _taken(session, diary, wish, now, ignoring=found.id)
            own = found.resource_id if found.resource_id in free.workers else None
            offering = await offers.find_servers(session, [found], now)
            also = {found.resource_id, found.interpreter_id, *offering}
            place = await lock_and_recheck(session, diary, free, now, ignoring=found.id, own=own, also=also)
            if place is None:
                return None
            values = times_of(diary.kind.rules, start) | place | reminders_of(start, now)
            values |= {"comes": None, "late_minutes": None, "asked_at": None, "sequence": Appointment.sequence + 1}
            moved = await _change(session, found.id, **values)
            if then is not None:
                await then(session, moved)
            await offers.offer_freed(session, found, now, locked=offering)
            return moved

    return await _again(sessions, now, lambda: retried(work))


async def cancel(sessions: Sessions, appointment_id: UUID, by: By, now: datetime, *, then: Then | None = None) -> Visit:
    """Its time is offered to whoever waits for one, else free for all. Twice is as good as once, and `then` happens
    once. Raises Unauthorized, Forbidden, NotFound, AppointmentOver, Unavailable."""

    async def work() -> Visit:
        async with sessions.begin() as session:
            await _lock_person(session, appointment_id)
            found = await lock_visit(session, appointment_id, by)
            if found.status == "cancelled":
                return found
            if found.status not in ("held", *TO_COME) or found.starts <= now:
                raise AppointmentOver
            values = {"status": "cancelled", "sequence": Appointment.sequence + 1}
            gone = await _change(session, appointment_id, **values)
            if then is not None:
                await then(session, gone)
            await offers.offer_freed(session, found, now)
            return gone

    return await retried(work)


async def expire_holds(session: AsyncSession, now: datetime) -> int:
    """Clears away what nobody confirmed, and the name that was typed for it; returns how many. What ran out takes no
    time anyhow.
    What was offered to somebody who waits is passed on instead (`waiting_list.pass_on_expired`)."""
    offered = exists().where(WaitingPlace.offer_id == Appointment.id)
    over = (Appointment.status == "held", Appointment.hold_expires <= now, ~offered)
    gone = update(Appointment).where(*over).values(status="cancelled", name=None).returning(Appointment.id)
    return len((await session.execute(gone)).all())


def clean_name(typed: str) -> str:
    """Raises WrongName."""
    name = " ".join("".join(sign if sign.isprintable() else " " for sign in typed).split())
    if not name or len(name) > LONGEST_NAME:
        raise WrongName(most=LONGEST_NAME)
    return name


# --- how ---


async def _again(sessions: Sessions, now: datetime, work: Callable[[], Awaitable[T | SlotTaken | None]]) -> T:
    """Until nobody was quicker (None): each try sees what the others have taken meanwhile, and ends when nothing is
    left. A plain no is returned and not raised: psycopg forgets its prepared statements with every ROLLBACK."""
    for _ in range(_TRIES):
        try:
            found = await work()
        except OfferRanOut as offered:
            await _pass_on(sessions, offered.visits, now)
            continue
        except IntegrityError as error:
            if not _was_quicker(error):
                raise
            continue
        if isinstance(found, SlotTaken):
            raise found
        if found is not None:
            return found
    raise SlotTaken(alternatives=[])


async def _pass_on(sessions: Sessions, visits: Sequence[UUID], now: datetime) -> None:
    """The worker was away: whoever waits next is asked before anybody else gets the time."""

    async def work(visit: UUID) -> None:
        async with sessions.begin() as session:
            await offers.pass_on_over(session, visit, now)

    for one in visits:
        await retried(lambda one=one: work(one))  # type: ignore[misc]  # called at once


def _was_quicker(error: IntegrityError) -> bool:
    """The constraint behind the locks, or a code that somebody else has."""
    constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    return getattr(error.orig, "sqlstate", None) == "23P01" or constraint == "uq_appointments_code"


async def _take(
    sessions: Sessions, wish: Wish, now: datetime, values: dict[str, Any], then: Then | None = None
) -> Booked | SlotTaken | None:
    token = new_token()

    async def work() -> Booked | SlotTaken | None:
        async with sessions.begin() as session:
            if wish.conversation_id is not None:
                await _lock_whose(session, wish, wish.conversation_id, now)
            diary, free = await _look(session, wish, now)
            if free is None:
                return await _taken(session, diary, wish, now)
            place = await lock_and_recheck(session, diary, free, now)
            if place is None:
                return None
            made = uuid4()
            row = values | place | times_of(diary.kind.rules, wish.start)
            row |= {"id": made, "desk_id": wish.desk_id, "kind_id": wish.kind_id, "language": wish.language}
            row |= {"conversation_id": wish.conversation_id, "demo": diary.kind.demo, "token_hash": secret_hash(token)}
            row |= {"entry_id": wish.entry_id}
            row |= {"code": new_code(), "uid": f"{made}@elp"}
            stored = (await session.execute(insert(Appointment).values(row).returning(*COLUMNS))).one()
            if then is not None:
                await then(session, visit_of(stored))
            return Booked(visit_of(stored), token)

    return await retried(work)


async def _lock_whose(session: AsyncSession, wish: Wish, whose: UUID, now: datetime) -> None:
    """One after the other, so that two tabs do not pass a limit together. Raises NotFound, TooManyAppointments,
    TooManyThisWeek."""
    own = select(Conversation.id).where(Conversation.id == whose).with_for_update(key_share=True)
    if (await session.execute(own)).one_or_none() is None:
        raise NotFound
    if wish.by_desk:
        return
    count = await count_visits(session, wish.desk_id, whose, wish.start, now)
    if count.full:
        raise TooManyAppointments(most=count.most)
    if count.full_that_week:
        raise TooManyThisWeek(most=count.most_that_week)


async def _lock_person(session: AsyncSession, appointment_id: UUID) -> None:
    """Before the visit itself, in the order in which it is erased."""
    whose = select(Appointment.conversation_id).where(Appointment.id == appointment_id).scalar_subquery()
    await session.execute(select(Conversation.id).where(Conversation.id == whose).with_for_update(key_share=True))


async def _check_week(session: AsyncSession, visit: Visit, start: datetime, now: datetime) -> None:
    """The visit itself does not count. Raises TooManyThisWeek."""
    if visit.conversation_id is None or visit.desk_id is None:
        return
    count = await count_visits(session, visit.desk_id, visit.conversation_id, start, now, ignoring=visit.id)
    if count.full_that_week:
        raise TooManyThisWeek(most=count.most_that_week)


async def _load(session: AsyncSession, wish: Wish, start: datetime, until: datetime, **more: Any) -> Diary:
    diary = await load_diary(session, wish.desk_id, wish.kind_id, start, until, **more)
    return diary.for_desk() if wish.by_desk else diary


async def _look(
    session: AsyncSession, wish: Wish, now: datetime, *, ignoring: UUID | None = None
) -> tuple[Diary, Choice | None]:
    """Who is free, in the diary of the days around; None: nobody."""
    diary = await _load(session, wish, wish.start - _DAY, wish.start + _DAY, now=now, ignoring=ignoring)
    diary.check_start(wish.start, now, end=wish.end)
    diary.check_language(wish.language, interpreter=wish.interpreter)
    return diary, diary.who_is_free(wish.start, now, language=wish.language, interpreter=wish.interpreter)


async def _taken(
    session: AsyncSession, diary: Diary, wish: Wish, now: datetime, *, ignoring: UUID | None = None
) -> SlotTaken:
    """With the nearest other times: in the days around, else in the week, else whenever."""
    asked: dict[str, Any] = {"language": wish.language, "interpreter": wish.interpreter}
    others = diary.times(now, **asked).nearest(wish.start, ALTERNATIVES)
    beyond = diary.kind.rules.bookable(diary.hours.zone, now)[1]
    for start, until in ((wish.start - _WEEK, wish.start + _WEEK), (now, beyond)):
        if len(others) == ALTERNATIVES:
            break
        wider = await _load(session, wish, start, until, now=now, ignoring=ignoring)
        others = wider.times(now, **asked).nearest(wish.start, ALTERNATIVES)
    return SlotTaken(alternatives=others)


async def _change(session: AsyncSession, appointment_id: UUID, **values: Any) -> Visit:
    query = update(Appointment).where(Appointment.id == appointment_id).values(**values).returning(*COLUMNS)
    return visit_of((await session.execute(query)).one())
