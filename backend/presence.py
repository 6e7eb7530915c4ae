"""Who of the operators is there: on duty until they end their shift, or until their browser falls silent."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend import audit
from backend.access import Staff, access_console, conversations_within
from backend.erasure import HELD
from backend.errors import Conflict
from backend.handover import release_all
from backend.models import Conversation, Handover, Presence
from bot.phrases import KNOWN


@dataclass(frozen=True, slots=True)
class OwnPresence:
    on_duty: bool = False
    speaks: tuple[str, ...] = ()
    by_mail: bool = False


class PeopleStillWait(Conflict):
    """A shift cannot end while somebody has neither an answer nor a date; `count` says how many."""

    code = "people_still_wait"


async def find_presence(session: AsyncSession, account_id: UUID) -> OwnPresence:
    row = await session.get(Presence, account_id)
    return OwnPresence(row.on_duty, tuple(row.speaks), row.by_mail) if row else OwnPresence()


async def beat(session: AsyncSession, staff: Staff) -> None:
    """The browser is still there; it does not begin a shift."""
    await session.execute(
        text("UPDATE presence SET seen_at = now() WHERE account_id = :id AND seen_at < now() - interval '10 seconds'"),
        {"id": staff.account_id},
    )


async def begin_shift(session: AsyncSession, staff: Staff) -> None:
    """Raises Forbidden."""
    access_console(staff)
    await _write(session, staff, on_duty=True)
    await audit.record(session, "shift.begun", f"account:{staff.account_id}", account_id=staff.account_id)


async def set_preferences(session: AsyncSession, staff: Staff, *, speaks: list[str], by_mail: bool) -> None:
    """Languages nobody knows are passed over. Raises Forbidden."""
    access_console(staff)
    await _write(session, staff, speaks=[code for code in KNOWN if code in speaks], by_mail=by_mail)


async def _write(session: AsyncSession, staff: Staff, **values: object) -> None:
    seen = {**values, "seen_at": func.now()}
    query = insert(Presence).values(account_id=staff.account_id, **seen)
    await session.execute(query.on_conflict_do_update(index_elements=["account_id"], set_=seen))


async def list_unsettled(session: AsyncSession, staff: Staff, now: datetime) -> list[UUID]:
    """Whom this person's shift may not leave behind: what they hold where somebody waits for a word, and those in the
    queues of their desks whom nobody has promised anything from now on, unless a colleague is on duty there."""
    alone = text(
        "NOT EXISTS (SELECT 1 FROM desk_operators o WHERE o.desk_id = conversations.desk_id AND o.on_duty"
        " AND o.account_id <> :me)"
    ).bindparams(me=staff.account_id)
    unpromised = Handover.promised_for.is_(None) | (Handover.promised_for <= now)
    held = (Conversation.holder_id == staff.account_id) & Handover.wrote_at.is_not(None)
    waiting = (Conversation.state == "WAITING") & unpromised & alone
    query = (
        select(Conversation.id)
        .join(Handover, (Handover.conversation_id == Conversation.id) & Handover.closed_at.is_(None))
        .where(conversations_within(staff), Conversation.state.in_(HELD), held | waiting)
        .order_by(Handover.urgent.desc(), Handover.promised_for.asc().nulls_last(), Handover.id)
    )
    return list((await session.execute(query)).scalars())


async def end_shift(session: AsyncSession, staff: Staff, now: datetime) -> int:
    """Off duty; what is still held goes back to the queue. Returns how many. Raises Forbidden, PeopleStillWait."""
    access_console(staff)
    unsettled = await list_unsettled(session, staff, now)
    if unsettled:
        raise PeopleStillWait(count=len(unsettled))
    await _write(session, staff, on_duty=False)
    released = await release_all(session, staff.account_id, now)
    await audit.record(
        session, "shift.ended", f"account:{staff.account_id}", account_id=staff.account_id, released=released
    )
    return released
