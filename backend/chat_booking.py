"""What a step of booking needs from the database and does to it, inside the transaction that stores the answer.

`booking` and `waiting_list` open transactions of their own; here each is a savepoint of the one that is open. So the
reply and what it says was done are there together, or neither is.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Row, and_, func, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from backend import booking, waiting_list
from backend.booking import AppointmentOver, HoldExpired, SlotTaken, Wish
from backend.calendars import load_hours
from backend.db import Sessions
from backend.diary import HoursUnknown, load_diary, name_of
from backend.errors import AppError, NotFound, Unavailable
from backend.models import Appointment, AppointmentKind, Conversation, Desk, Resource, WaitingPlace
from backend.models.appointments import TO_COME
from backend.visit_facts import FindEntry, load_facts
from backend.visits import COLUMNS, Visit, lock_visit, visit_of
from backend.waiting_list import WaitingFor
from bot.bookings import LARGEST_ID, Draft, Kept, Offer, Refused, Times

T = TypeVar("T")
_KIND = (
    AppointmentKind.id,
    AppointmentKind.names,
    AppointmentKind.who_for,
    AppointmentKind.entry_id,
    AppointmentKind.languages,
    AppointmentKind.desk_id,
)


class Interrupted(Exception):
    """The whole transaction has to be done again; its cause says why."""


@dataclass(frozen=True, slots=True)
class Savepoints:
    """Takes the place of `Sessions` for whoever would open a transaction of their own."""

    connection: AsyncConnection

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """Raises Interrupted where doing the savepoint alone again could not help: after a deadlock its own locks are
        gone and the other's wait for what the transaction holds; a lost connection takes all of it away."""
        try:
            async with (
                AsyncSession(
                    self.connection, join_transaction_mode="create_savepoint", expire_on_commit=False
                ) as session,
                session.begin(),
            ):
                yield session
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise Interrupted from error


@contextlib.asynccontextmanager
async def whole_transaction() -> AsyncIterator[None]:
    """Around the transaction in which steps are taken: what interrupts it is told as the database told it."""
    try:
        yield
    except Interrupted as stopped:
        raise stopped.__cause__ or Unavailable() from None


async def _refusing(work: Awaitable[T], zone: ZoneInfo = ZoneInfo("UTC")) -> T:  # noqa: B008 - never changed
    """Raises Refused for what may be told a person, other times on the desk's clock; and Unavailable."""
    try:
        return await work
    except Unavailable:
        raise
    except SlotTaken as taken:
        others = tuple(one.start.astimezone(zone) for one in taken.alternatives)
        raise Refused(taken.code, others=others) from taken
    except AppError as error:
        raise Refused(error.code, error.values) from error


def needs_label(choice: str) -> bool:
    return choice.startswith(("about:", "pick:"))


async def find_label(engine: AsyncEngine, conversation_id: UUID, key: bytes | None, choice: str) -> str | None:
    """What stands on the button of a kind or of its desk, in the language of the conversation that has this key; None:
    whoever asks was let into it before."""
    name, _, number = choice.partition(":")
    if not number.isascii() or not number.isdigit() or int(number) > LARGEST_ID:
        return None
    query = select(AppointmentKind.names, Desk.name, Conversation.language).join(
        Desk, Desk.id == AppointmentKind.desk_id
    )
    own = [Conversation.id == conversation_id] + ([Conversation.token_hash == key] if key is not None else [])
    async with engine.begin() as connection:
        wanted = query.join(Conversation, and_(*own)).where(AppointmentKind.id == int(number))
        row = (await connection.execute(wanted)).one_or_none()
    if row is None:
        return None
    return row.name if name == "pick" else name_of(row.names, row.language)


async def last_visit_ends(session: AsyncSession, conversation_id: UUID, now: datetime) -> datetime | None:
    """Of those that are booked and to come; also of one that is offered or held."""
    own = (Appointment.conversation_id == conversation_id, Appointment.status.in_(("held", *TO_COME)))
    return (await session.execute(select(func.max(Appointment.ends)).where(*own, Appointment.ends > now))).scalar_one()


@dataclass
class ChatVisits:
    """`bot.bookings.Visits` of one conversation, in one turn."""

    connection: AsyncConnection
    conversation_id: UUID
    language: str
    find_entry: FindEntry
    now: datetime
    sessions: Sessions = field(init=False)

    def __post_init__(self) -> None:
        self.sessions = cast(Sessions, Savepoints(self.connection))

    # ---- what can be booked ----

    async def offers(self) -> tuple[Offer, ...]:
        columns = (*_KIND, Desk.name, Desk.zone, Desk.entry_id.label("desk_entry"))
        demo = (AppointmentKind.demo | Desk.demo_hours).label("demo")
        query = select(*columns, demo).join(Desk, Desk.id == AppointmentKind.desk_id).where(AppointmentKind.active)
        rows = (await self.connection.execute(query.order_by(AppointmentKind.id))).all()
        desks = sorted({row.desk_id for row in rows})
        hours = await load_hours(self.connection, desks)
        interpreted = await self._interpreted(desks)
        return tuple(
            self._offer(row, hours[row.desk_id].known_from(self.now), interpreted.get(row.desk_id, frozenset()))
            for row in rows
        )

    def _offer(self, row: Row[Any], known: bool, interpreted: frozenset[str]) -> Offer:
        return Offer(
            row.id,
            name_of(row.names, self.language),
            row.desk_id,
            row.name,
            row.zone,
            row.desk_entry,
            row.entry_id,
            name_of(row.who_for, self.language) if row.who_for else None,
            tuple(row.languages),
            interpreted,
            known,
            row.demo,
        )

    async def _interpreted(self, desks: Sequence[int]) -> dict[int, frozenset[str]]:
        """By desk: languages from which somebody interprets there."""
        helping = (Resource.desk_id.in_(desks), Resource.kind == "interpreter", Resource.active)
        found: dict[int, frozenset[str]] = {}
        for desk, languages in await self.connection.execute(
            select(Resource.desk_id, Resource.languages).where(*helping)
        ):
            found[desk] = found.get(desk, frozenset()) | frozenset(languages)
        return found

    async def times(self, draft: Draft, first: date | None = None, last: date | None = None) -> Times:
        return await _refusing(self._times(draft, first, last))

    async def _times(self, draft: Draft, first: date | None, last: date | None) -> Times:
        """Raises NotFound, HoursUnknown, NoInterpreter, NotInLanguage, AppointmentOver."""
        wanted = await self._wanted(draft)
        kind = select(*_KIND, Desk.name, Desk.zone, AppointmentKind.window_days)
        query = kind.join(Desk, Desk.id == AppointmentKind.desk_id).where(AppointmentKind.id == wanted.kind)
        row = (await self.connection.execute(query)).one_or_none()
        if row is None:
            raise NotFound
        zone = ZoneInfo(row.zone)
        today = self.now.astimezone(zone).date()
        beyond = today + timedelta(days=row.window_days + 1)
        start, end = max(first or today, today), min(last + timedelta(days=1) if last else beyond, beyond)
        between = [datetime.combine(day, time.min, zone).astimezone(UTC) for day in (start, max(start, end))]
        diary = await load_diary(self.connection, row.desk_id, row.id, *between, now=self.now, ignoring=draft.moves)
        if not diary.hours.known_from(self.now):
            raise HoursUnknown
        diary.check_language(wanted.language, interpreter=wanted.interpreter)
        found = diary.times(self.now, language=wanted.language, interpreter=wanted.interpreter)
        starts = tuple(one.start.astimezone(zone) for one in found)
        return Times(name_of(row.names, self.language), row.name, starts, row.zone, diary.kind.demo)

    async def _wanted(self, draft: Draft) -> Draft:
        """Of a visit that is to be moved: what it is. Raises NotFound, AppointmentOver."""
        if draft.moves is None:
            return draft
        visit = await self._visit(draft.moves)
        if visit.status not in TO_COME or visit.starts <= self.now:
            raise AppointmentOver
        if visit.kind_id is None:
            raise NotFound
        return Draft(visit.kind_id, visit.language, visit.interpreter_id is not None, draft.moves)

    # ---- one's own ----

    async def _visit(self, visit_id: UUID) -> Visit:
        """Raises NotFound."""
        own = (Appointment.id == visit_id, Appointment.conversation_id == self.conversation_id)
        row = (await self.connection.execute(select(*COLUMNS).where(*own))).one_or_none()
        if row is None:
            raise NotFound
        return visit_of(row)

    async def _kept(self, visit: Visit) -> Kept:
        facts = await load_facts(self.connection, visit, self.language, self.find_entry)
        held = visit.status == "held" and visit.hold_expires is not None and visit.hold_expires > self.now
        live = held or (visit.status in TO_COME and visit.ends > self.now)
        return Kept(facts, visit.kind_id, visit.entry_id, live, visit.hold_expires if held else None)

    async def find(self, visit: UUID) -> Kept:
        return await self._kept(await _refusing(self._visit(visit)))

    async def own(self) -> tuple[Kept, ...]:
        coming = (
            Appointment.conversation_id == self.conversation_id,
            Appointment.status.in_(TO_COME),
            Appointment.ends > self.now,
        )
        query = select(*COLUMNS).where(*coming).order_by(Appointment.starts, Appointment.id)
        rows = (await self.connection.execute(query)).all()
        return tuple([await self._kept(visit_of(row)) for row in rows])

    async def last_name(self) -> str | None:
        named = (Appointment.conversation_id == self.conversation_id, Appointment.name.is_not(None))
        query = select(Appointment.name).where(*named).order_by(Appointment.created_at.desc(), Appointment.id).limit(1)
        return (await self.connection.execute(query)).scalar_one_or_none()

    # ---- what is done ----

    async def hold(self, draft: Draft, start: datetime, entry: str | None) -> Kept:
        """The same time again is the same hold. Of any other nothing is held any more, unless this one cannot be."""
        row = (
            await self.connection.execute(
                select(AppointmentKind.desk_id, Desk.zone)
                .join(Desk, Desk.id == AppointmentKind.desk_id)
                .where(AppointmentKind.id == draft.kind)
            )
        ).one_or_none()
        if row is None:
            raise Refused(NotFound.code)
        about = entry if entry and self.find_entry(entry) else None
        who: dict[str, Any] = {"interpreter": draft.interpreter, "conversation_id": self.conversation_id}
        wish = Wish(row.desk_id, draft.kind, start, draft.language, entry_id=about, **who)
        return await self._kept(await _refusing(self._hold(wish), ZoneInfo(row.zone)))

    async def _hold(self, wish: Wish) -> Visit:
        held = await self._held()
        for one in held:
            same = (one.kind_id, one.starts, one.language) == (wish.kind_id, wish.start, wish.language)
            if same and (one.interpreter_id is not None) == wish.interpreter:
                return one
        async with self.connection.begin_nested():
            for one in held:
                await booking.cancel(self.sessions, one.id, self.conversation_id, self.now)
            return (await booking.hold(self.sessions, wish, self.now)).visit

    async def _held(self) -> list[Visit]:
        """What nobody has confirmed yet, but for what the waiting list offers."""
        offered = select(WaitingPlace.offer_id).where(WaitingPlace.conversation_id == self.conversation_id)
        query = select(*COLUMNS).where(
            Appointment.conversation_id == self.conversation_id,
            Appointment.status == "held",
            Appointment.hold_expires > self.now,
            Appointment.id.not_in(offered.where(WaitingPlace.offer_id.is_not(None))),
        )
        return [visit_of(row) for row in await self.connection.execute(query.order_by(Appointment.id))]

    async def note(self, visit: UUID, **noted: Any) -> Kept:
        return await self._kept(await _refusing(self._note(visit, noted)))

    async def _note(self, visit_id: UUID, noted: dict[str, Any]) -> Visit:
        """Raises NotFound, WrongName, HoldExpired, AppointmentOver."""
        if "name" in noted:
            noted = noted | {"name": booking.clean_name(noted["name"])}
        of_hold = "name" in noted or "entry_id" in noted
        async with self.sessions.begin() as session:
            found = await lock_visit(session, visit_id, self.conversation_id)
            if of_hold and (found.status != "held" or found.hold_expires is None or found.hold_expires <= self.now):
                raise HoldExpired if found.hold_expires else AppointmentOver
            if not of_hold and (found.status not in TO_COME or found.ends <= self.now):
                raise AppointmentOver
            change = update(Appointment).where(Appointment.id == visit_id).values(**noted).returning(*COLUMNS)
            return visit_of((await session.execute(change)).one())

    async def confirm(self, visit: UUID) -> Kept:
        """With the name that was noted."""
        name = (await _refusing(self._visit(visit))).name or ""
        done = booking.confirm(self.sessions, visit, self.conversation_id, name, self.now)
        return await self._kept(await _refusing(done))

    async def move(self, visit: UUID, start: datetime) -> Kept:
        zone = ZoneInfo((await self.find(visit)).facts.zone)
        done = booking.move(self.sessions, visit, self.conversation_id, start, self.now)
        return await self._kept(await _refusing(done, zone))

    async def cancel(self, visit: UUID) -> Kept:
        done = booking.cancel(self.sessions, visit, self.conversation_id, self.now)
        return await self._kept(await _refusing(done))

    # ---- the waiting list ----

    async def join(self, draft: Draft, day: date | None, part: str | None) -> UUID:
        wish = WaitingFor(draft.kind, draft.language, draft.interpreter, first_day=day, last_day=day, part=part)
        return await _refusing(waiting_list.join(self.connection, self.conversation_id, wish, self.now))

    async def take(self, place: UUID) -> Kept:
        taken = waiting_list.take(self.sessions, place, self.conversation_id, self.now)
        return await self._kept(await _refusing(taken))

    async def let_pass(self, place: UUID) -> None:
        await _refusing(waiting_list.let_pass(self.sessions, place, self.conversation_id, self.now))

    async def leave_list(self, place: UUID) -> None:
        await _refusing(waiting_list.leave_list(self.sessions, place, self.conversation_id, self.now))
