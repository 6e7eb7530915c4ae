"""Who waits for a time that suits: joining and leaving, and what becomes of an offer (decision 19). How a time that
became free finds whom it suits is in `offers.py`.

A visit is locked before the place it is offered to, everywhere.
"""

from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend import booking
from backend.db import Sessions, Writer, retried
from backend.diary import HoursUnknown, load_diaries
from backend.errors import AppError, Conflict, NotFound
from backend.models import Appointment, AppointmentKind, Conversation, WaitingPlace
from backend.offers import HELD_LONGER, offer_freed
from backend.visits import COLUMNS, Visit, visit_of

__all__ = [
    "OfferOver",
    "Waiting",
    "WaitingFor",
    "WrongDays",
    "join",
    "leave_list",
    "let_pass",
    "list_waiting",
    "offer_freed",
    "pass_on_expired",
    "take",
]
_BATCH = 200


class OfferOver(Conflict):
    """It was taken, let pass, or ran out."""

    code = "offer_over"


class WrongDays(AppError):
    """The last comes before the first, or is past."""

    status = 422
    code = "waiting_days"


@dataclass(frozen=True, slots=True)
class WaitingFor:
    """What somebody wishes for."""

    kind_id: int
    language: str
    interpreter: bool = False
    first_day: date | None = None
    """In the desk's own days; None: from now on."""
    last_day: date | None = None
    part: str | None = None
    """`morning` or `afternoon`, split at 13:00 on the desk's clock; None: any."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody's place in the list."""

    id: UUID
    desk_id: int
    wish: WaitingFor
    asked_at: datetime
    offer_id: UUID | None
    """The visit that is held for them."""
    offered_until: datetime | None


async def join(db: Writer, conversation_id: UUID, wish: WaitingFor, now: datetime) -> UUID:
    """A place in the list of this kind; again, with other wishes, it stays where it is. Raises NotFound, HoursUnknown,
    NoInterpreter, NotInLanguage, WrongDays."""
    diary = (await load_diaries(db, [wish.kind_id], now, now, now=now)).get(wish.kind_id)
    own = select(Conversation.id).where(Conversation.id == conversation_id).with_for_update(read=True, key_share=True)
    if diary is None or (await db.execute(own)).one_or_none() is None:
        raise NotFound
    if not diary.hours.known_from(now):
        raise HoursUnknown
    diary.check_language(wish.language, interpreter=wish.interpreter)
    _check_days(wish, now.astimezone(diary.hours.zone).date())
    wishes = asdict(wish)
    place = insert(WaitingPlace).values(conversation_id=conversation_id, asked_at=now, **wishes)
    key = [WaitingPlace.conversation_id, WaitingPlace.kind_id]
    made = place.on_conflict_do_update(index_elements=key, set_=wishes).returning(WaitingPlace.id)
    return (await db.execute(made)).scalar_one()


def _check_days(wish: WaitingFor, today: date) -> None:
    last = wish.last_day or date.max
    if last < today or last < (wish.first_day or today):
        raise WrongDays


async def list_waiting(db: Writer, conversation_id: UUID) -> list[Waiting]:
    """The oldest first."""
    columns = (*WaitingPlace.__table__.columns, AppointmentKind.desk_id)
    query = select(*columns).join(AppointmentKind, AppointmentKind.id == WaitingPlace.kind_id)
    query = query.where(WaitingPlace.conversation_id == conversation_id)
    rows = (await db.execute(query.order_by(WaitingPlace.asked_at, WaitingPlace.id))).all()
    return [Waiting(r.id, r.desk_id, _wish(r), r.asked_at, r.offer_id, r.offered_until) for r in rows]


def _wish(row: Row[Any]) -> WaitingFor:
    return WaitingFor(**{one.name: getattr(row, one.name) for one in fields(WaitingFor)})


async def take(
    sessions: Sessions, place_id: UUID, conversation_id: UUID, now: datetime, name: str | None = None
) -> Visit:
    """Yes to an offer. Without a name the time is held ten minutes more, for `booking.confirm`; with one it is
    confirmed, and they do not wait any more. Raises OfferOver, WrongName, HoldExpired, Unavailable."""

    async def work() -> Visit:
        async with sessions.begin() as session:
            visit, until = await _lock_offer(session, place_id, conversation_id)
            if visit is None or visit.status != "held" or until is None or until <= now:
                raise OfferOver
            longer = max(until, min(now + booking.HOLD, visit.starts))
            place = update(WaitingPlace).where(WaitingPlace.id == place_id)
            await session.execute(place.values(offered_until=longer))
            return await _change(session, visit.id, hold_expires=longer + HELD_LONGER)

    visit = await retried(work)
    return visit if name is None else await booking.confirm(sessions, visit.id, conversation_id, name, now)


async def let_pass(sessions: Sessions, place_id: UUID, conversation_id: UUID, now: datetime) -> bool:
    """No to an offer: the next one is asked at once. False when there is none any more. Raises Unavailable."""

    async def work() -> bool:
        async with sessions.begin() as session:
            visit, _ = await _lock_offer(session, place_id, conversation_id)
            return visit is not None and await _pass_on(session, visit, now)

    return await retried(work)


async def leave_list(sessions: Sessions, place_id: UUID, conversation_id: UUID, now: datetime) -> bool:
    """What was offered goes to the next one. False when they did not wait any more. Raises Unavailable."""

    async def work() -> bool:
        async with sessions.begin() as session:
            visit, _ = await _lock_offer(session, place_id, conversation_id)
            if visit is not None:
                await _pass_on(session, visit, now)
            own = (WaitingPlace.id == place_id, WaitingPlace.conversation_id == conversation_id)
            gone = await session.execute(delete(WaitingPlace).where(*own).returning(WaitingPlace.id))
            return gone.one_or_none() is not None

    return await retried(work)


async def pass_on_expired(sessions: Sessions, now: datetime) -> int:
    """Offers nobody answered go to the next one; returns how many ran out. Each in a transaction of its own.

    Raises Unavailable."""
    over = select(WaitingPlace.id, WaitingPlace.conversation_id).where(WaitingPlace.offered_until <= now)
    async with sessions.begin() as session:
        found = (await session.execute(over.order_by(WaitingPlace.offered_until).limit(_BATCH))).all()

    async def work(place_id: UUID, conversation_id: UUID) -> bool:
        async with sessions.begin() as session:
            visit, until = await _lock_offer(session, place_id, conversation_id)
            if until is None or until > now:
                return False  # somebody was quicker
            if visit is None or not await _pass_on(session, visit, now):
                await _settle(session, place_id, visit)
            return True

    done = 0
    for row in found:
        done += await retried(lambda row=row: work(row.id, row.conversation_id))  # type: ignore[misc]
    return done


async def _lock_offer(
    session: AsyncSession, place_id: UUID, conversation_id: UUID
) -> tuple[Visit | None, datetime | None]:
    """The visit that is held for a place, and until when it is offered."""
    own = (WaitingPlace.id == place_id, WaitingPlace.conversation_id == conversation_id)
    offered = select(WaitingPlace.offer_id).where(*own).scalar_subquery()
    query = select(*COLUMNS).where(Appointment.id == offered).with_for_update(key_share=True)
    row = (await session.execute(query)).one_or_none()
    visit = visit_of(row) if row else None
    still = (*own, WaitingPlace.offer_id == visit.id if visit else WaitingPlace.offer_id.is_(None))
    place = select(WaitingPlace.offered_until).where(*still).with_for_update(key_share=True)
    until = (await session.execute(place)).one_or_none()
    return (visit, until[0]) if until else (None, None)


async def _pass_on(session: AsyncSession, visit: Visit, now: datetime) -> bool:
    """False when it is not held any more."""
    if visit.status != "held":
        return False
    await _change(session, visit.id, status="cancelled", name=None)
    await offer_freed(session, visit, now)
    return True


async def _settle(session: AsyncSession, place_id: UUID, visit: Visit | None) -> None:
    """Of an offer that became something else while nobody looked."""
    if visit is not None and visit.status != "cancelled":
        await session.execute(delete(WaitingPlace).where(WaitingPlace.id == place_id))
        return
    nothing = {"offer_id": None, "offered_until": None}
    await session.execute(update(WaitingPlace).where(WaitingPlace.id == place_id).values(**nothing))


async def _change(session: AsyncSession, appointment_id: UUID, **values: object) -> Visit:
    query = update(Appointment).where(Appointment.id == appointment_id).values(**values).returning(*COLUMNS)
    return visit_of((await session.execute(query)).one())
