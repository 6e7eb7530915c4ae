"""How conversations are erased, whoever asked for it: all that hangs on them goes, numbers and a receipt stay."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, bindparam, delete, exists, func, insert, select, text, update

from backend.db import Writer
from backend.models import Appointment, Conversation, Feedback, Handover, Message, Note, Receipt
from backend.models.appointments import OCCUPYING, TO_COME
from backend.offers import forget_places
from backend.visits import COLUMNS, visit_of

HELD = ("WAITING", "ACTIVE")
"""Somebody at a desk has it: it is not erased by itself, so that nobody is left without an answer."""
FORGET_AFTER = text("interval '30 minutes'")
"""Without use, for a conversation that is to be forgotten when its page is closed."""

_IDS = bindparam("ids", type_=ARRAY(Uuid()))
# A conversation counts when somebody wrote in it. Rows are put in order: two erasures never wait for each other.
_COUNT = text(
    """
    WITH counted AS (
        SELECT c.created_at AS at, c.channel, c.language, 'conversation' AS what FROM conversations c
        WHERE c.id = ANY(:ids)
          AND EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = c.id AND m.author = 'person')
        UNION ALL
        SELECT m.created_at, c.channel, m.language, m.author
        FROM messages m JOIN conversations c ON c.id = m.conversation_id WHERE c.id = ANY(:ids)
    )
    INSERT INTO daily_counts (day, channel, language, what, count)
    SELECT CAST(at AT TIME ZONE 'Europe/Rome' AS date), channel, language, what, count(*) FROM counted
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (day, channel, language, what) DO UPDATE SET count = daily_counts.count + excluded.count
    """
).bindparams(_IDS)
# Jobs hold ids only; those about a conversation name it `conversation_id`. One that is just running ends by itself, and
# is deleted with the other finished jobs.
_JOBS = text(
    "DELETE FROM procrastinate_jobs WHERE args ->> 'conversation_id' = ANY(CAST(:ids AS text[])) AND status <> 'doing'"
).bindparams(_IDS)
_LOCK = text("SELECT id FROM conversations WHERE id = ANY(:ids) ORDER BY id FOR UPDATE").bindparams(_IDS)


# What a visit leaves: that its time was taken at the desk, or is free again. One that is still to come is cancelled:
# whoever asks for everything to be forgotten is not expected any more (decision 18).
_FORGET_VISITS = text(
    """
    UPDATE appointments SET conversation_id = NULL, name = NULL, token_hash = NULL, code = NULL, language = 'und',
        sequence = sequence + 1, changed_at = now(),
        status = CASE WHEN status IN ('held', 'pending', 'confirmed', 'arrived') THEN 'cancelled' ELSE status END
    WHERE conversation_id = ANY(:ids)
    """
).bindparams(_IDS)

# Whoever has a visit to come is expected, and reminded: their conversation lasts until it is over.
EXPECTED = exists().where(
    Appointment.conversation_id == Conversation.id,
    Appointment.status.in_((*TO_COME, "arrived")),
    Appointment.ends > func.now(),
)


async def erase(session: Writer, ids: Sequence[UUID]) -> None:
    """Whole conversations; attachments, gaps and opinions go with them. The time of visits to come is offered to
    whoever waits for one."""
    await _count_and_forget_jobs(session, ids)
    await _forget_visits(session, ids)
    await session.execute(delete(Conversation).where(Conversation.id.in_(ids)))


async def empty(session: Writer, conversation_id: UUID) -> None:
    """All that was said in a conversation that goes on."""
    await _count_and_forget_jobs(session, [conversation_id])
    await _forget_visits(session, [conversation_id])
    await _forget_words(session, conversation_id)


async def empty_but_visits(session: Writer, conversation_id: UUID) -> None:
    """All that was said. What is booked stays: the desk expects somebody, who may have noted day and code."""
    await _count_and_forget_jobs(session, [conversation_id])
    held = (Appointment.conversation_id == conversation_id, Appointment.status == "held")
    given_up = update(Appointment).where(*held).values(status="cancelled", name=None).returning(*COLUMNS)
    gone = await session.execute(given_up)
    freed = [replace(visit_of(row), status="held") for row in gone]
    await forget_places(session, [conversation_id], freed, datetime.now(UTC))
    await _forget_words(session, conversation_id)


async def _forget_words(session: Writer, conversation_id: UUID) -> None:
    await session.execute(delete(Feedback).where(Feedback.conversation_id == conversation_id))
    await session.execute(delete(Handover).where(Handover.conversation_id == conversation_id))
    await session.execute(delete(Note).where(Note.conversation_id == conversation_id))
    await session.execute(delete(Message).where(Message.conversation_id == conversation_id))


async def _count_and_forget_jobs(session: Writer, ids: Sequence[UUID]) -> None:
    values = {"ids": list(ids)}
    await session.execute(_LOCK, values)  # nobody writes another message between the counting and the erasing
    await session.execute(_COUNT, values)
    await session.execute(_JOBS, values)


async def _forget_visits(session: Writer, ids: Sequence[UUID]) -> None:
    now = datetime.now(UTC)
    coming = (Appointment.conversation_id.in_(ids), Appointment.starts > now, Appointment.status.in_(OCCUPYING))
    query = select(*COLUMNS).where(*coming).order_by(Appointment.starts, Appointment.id).with_for_update(key_share=True)
    freed = [visit_of(row) for row in await session.execute(query)]
    await session.execute(_FORGET_VISITS, {"ids": list(ids)})
    await forget_places(session, ids, freed, now)


async def write_receipt(session: Writer) -> str:
    """Returns its number, which leads back to nobody."""
    number = f"{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4).upper()}"
    await session.execute(insert(Receipt).values(id=number))
    return number
