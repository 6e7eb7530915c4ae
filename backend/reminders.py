"""People are reminded of their visit a day and two hours before, once each. Run by the worker.

The message is written and the visit marked in one transaction, a visit at a time: a worker that is killed loses nothing
and repeats nothing, and two workers never write the same.
"""

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.db import Sessions, retried
from backend.errors import Unavailable
from backend.models import Appointment, Conversation
from backend.taking import DAY_BEFORE, HOURS_BEFORE
from backend.visit_news import load_entries, tell
from backend.visits import COLUMNS, visit_of
from bot.visit_news import What

log = logging.getLogger(__name__)
LATEST_DAY_BEFORE = timedelta(hours=4)
"""Before the visit; later a reminder of «tomorrow» helps nobody any more."""
_BATCH = 500


def _due(now: datetime) -> ColumnElement[bool]:
    """Neither past nor reminded. A visit that is less than four hours away only waits for the second reminder."""
    coming = and_(Appointment.status == "confirmed", Appointment.starts > now, Appointment.reminded_hours_at.is_(None))
    day = and_(Appointment.reminded_day_at.is_(None), Appointment.starts <= now + DAY_BEFORE)
    return and_(coming, or_(day, Appointment.starts <= now + HOURS_BEFORE))


async def remind(sessions: Sessions, now: datetime) -> int:
    """Whoever is to be reminded now; returns how many were. What fails is logged and tried again the next time.

    Raises Unavailable."""
    query = select(Appointment.id).where(_due(now), Appointment.conversation_id.is_not(None))
    async with sessions.begin() as session:
        due = (await session.execute(query.order_by(Appointment.starts, Appointment.id).limit(_BATCH))).scalars().all()

    async def work(appointment_id: UUID) -> bool:
        async with sessions.begin() as session:
            return await _remind_one(session, appointment_id, now)

    done = 0
    for one in due:
        try:
            done += await retried(lambda one=one: work(one))  # type: ignore[misc]  # called at once
        except Unavailable:
            raise
        except Exception:  # one that cannot be written must not keep the others from being reminded
            log.exception("nobody could be reminded of appointment %s", one)
    return done


async def _remind_one(session: AsyncSession, appointment_id: UUID, now: datetime) -> bool:
    """Whoever writes in the conversation at this moment is reminded the next time."""
    query = select(*COLUMNS).join(Conversation, Conversation.id == Appointment.conversation_id)
    query = query.where(Appointment.id == appointment_id, _due(now))
    locked = query.with_for_update(key_share=True, skip_locked=True, of=[Conversation.id, Appointment.id])
    row = (await session.execute(locked)).one_or_none()
    if row is None:
        return False
    visit = visit_of(row)
    left = visit.starts - now
    marks: dict[str, Any] = {"reminded_day_at": func.coalesce(Appointment.reminded_day_at, now)}
    if left <= HOURS_BEFORE:
        marks["reminded_hours_at"] = now
    await session.execute(update(Appointment).where(Appointment.id == appointment_id).values(**marks))
    if HOURS_BEFORE < left < LATEST_DAY_BEFORE:
        return False  # too late for the first, too early for the second
    what: What = "reminder_hours" if left <= HOURS_BEFORE else "reminder_day"
    return await tell(session, visit, what, find_entry=await load_entries(session, visit), now=now)
