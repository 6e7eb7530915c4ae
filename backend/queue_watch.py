"""What happens to the queue when nobody does anything: promises that break, operators who are gone. Run by the worker.

Each conversation is mended in a transaction of its own, after its row was locked and looked at again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.db import Sessions
from backend.handover import put_back, renew_promise
from backend.models import Handover


@dataclass(frozen=True, slots=True)
class Patience:
    """Minutes."""

    operator_gone: int = 10
    """Without a sign of life of the operator's browser, after which a conversation goes back to the queue."""
    first_reply: int = 20
    """From taking a conversation to the first word in it; then it goes back."""
    alert: int = 15
    """Before a promise breaks, when the desk is alerted."""


_LOCK = text("SELECT state FROM conversations WHERE id = :id FOR NO KEY UPDATE")
# An operator is gone whose browser has said nothing for so long, who is off duty, or who does not answer at this desk
# any more. Whoever was never on duty (a program that uses the API) is judged by first replies alone.
_GONE = text(
    """
    SELECT c.id FROM conversations c JOIN handovers h ON h.conversation_id = c.id AND h.closed_at IS NULL
    LEFT JOIN presence p ON p.account_id = c.holder_id
    WHERE c.state = 'ACTIVE' AND (
        p.seen_at < :silent_since
        OR NOT EXISTS (SELECT 1 FROM desk_operators o WHERE o.desk_id = c.desk_id AND o.account_id = c.holder_id)
        OR (h.first_reply_at IS NULL AND h.claimed_at < :claimed_before)
    )
    AND (CAST(:one AS uuid) IS NULL OR c.id = :one)
    ORDER BY c.id LIMIT 200
    """
).bindparams(bindparam("one", None))
_BROKEN = text(
    """
    SELECT c.id FROM conversations c JOIN handovers h ON h.conversation_id = c.id AND h.closed_at IS NULL
    WHERE c.state = 'WAITING' AND h.promised_for < :now AND (CAST(:one AS uuid) IS NULL OR c.id = :one)
    ORDER BY c.id LIMIT 200
    """
).bindparams(bindparam("one", None))
_ABOUT_TO_BREAK = text(
    """
    SELECT h.id, h.desk_id FROM handovers h JOIN conversations c ON c.id = h.conversation_id
    WHERE h.closed_at IS NULL AND c.state = 'WAITING' AND h.escalated_at IS NULL AND h.promised_for < :soon
    ORDER BY h.id LIMIT 200
    """
)
_NEW = text(
    """
    SELECT h.id, h.desk_id FROM handovers h WHERE h.closed_at IS NULL AND h.asked_at > :since AND h.asked_at <= :now
    ORDER BY h.id LIMIT 200
    """
)


async def release_abandoned(sessions: Sessions, patience: Patience, now: datetime) -> int:
    """Conversations of operators who are gone, or who took one and said nothing, go back to the queue."""
    values = {
        "silent_since": now - timedelta(minutes=patience.operator_gone),
        "claimed_before": now - timedelta(minutes=patience.first_reply),
    }
    return await _each(sessions, _GONE, values, lambda session, one: put_back(session, one, now))


async def renew_broken(sessions: Sessions, now: datetime) -> int:
    """An apology with a new date for everybody whose promise has passed."""
    return await _each(sessions, _BROKEN, {"now": now}, lambda session, one: renew_promise(session, one, now))


async def _each(
    sessions: Sessions, query: Any, values: dict[str, Any], work: Callable[[AsyncSession, UUID], Awaitable[None]]
) -> int:
    async with sessions.begin() as session:
        found = list((await session.execute(query, values)).scalars())
    done = 0
    for one in found:
        async with sessions.begin() as session:
            await session.execute(_LOCK, {"id": one})
            if (await session.execute(query, {**values, "one": one})).scalar_one_or_none() is None:
                continue  # somebody was quicker
            await work(session, one)
            done += 1
    return done


async def escalate(sessions: Sessions, patience: Patience, now: datetime) -> dict[int, int]:
    """Marks who has waited almost as long as was promised; returns how many new ones there are for each desk."""
    async with sessions.begin() as session:
        values = {"soon": now + timedelta(minutes=patience.alert)}
        rows = (await session.execute(_ABOUT_TO_BREAK, values)).all()
        if rows:
            marked = update(Handover).where(Handover.id.in_([row.id for row in rows]), Handover.escalated_at.is_(None))
            await session.execute(marked.values(escalated_at=now))
    return _by_desk(rows)


async def new_since(sessions: Sessions, since: datetime, now: datetime) -> dict[int, int]:
    """How many began to wait at each desk."""
    async with sessions.begin() as session:
        return _by_desk((await session.execute(_NEW, {"since": since, "now": now})).all())


def _by_desk(rows: Any) -> dict[int, int]:
    counted: dict[int, int] = {}
    for row in rows:
        counted[row.desk_id] = counted.get(row.desk_id, 0) + 1
    return counted
