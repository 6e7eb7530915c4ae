"""The states of a conversation and everything that changes them (design section 5). Nobody else writes `state`.

Each function makes one step inside the transaction of its caller, tells the person, and leaves a conversation that the
database accepts: which state may follow which, and that an active one has a holder, is checked there once more.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend import audit
from backend.access import Staff, access_conversation
from backend.calendars import load_hours
from backend.conversations import reply_payload
from backend.db import Writer, notify
from backend.errors import Conflict, InvalidRequest, NotFound
from backend.models import Account, Conversation, Handover, Message
from backend.promises import HORIZON, Promise, promise
from bot import handover_flow
from bot.turn import HandOver, Held, Reply


class Taken(Conflict):
    """Somebody else holds it; `name` says who."""

    code = "taken"


class StateChanged(Conflict):
    """It is not waiting, or not being answered, any more."""

    code = "state_changed"


class NoOperators(Conflict):
    code = "no_operators"


# ---- which desk, and when ----

_DESKS = text(
    """
    SELECT d.id, d.name, d.entry_id, d.zone, d.minutes_each,
        (SELECT count(*) FROM handovers h JOIN conversations c ON c.id = h.conversation_id
         WHERE h.desk_id = d.id AND h.closed_at IS NULL AND c.state = 'WAITING' AND c.id <> :conversation
           AND (h.urgent OR NOT :urgent)) AS ahead,
        (SELECT count(*) FROM desk_operators o WHERE o.desk_id = d.id AND o.on_duty) AS on_duty
    FROM desks d
    WHERE (CAST(:desk AS integer) IS NULL OR d.id = :desk)
      AND EXISTS (SELECT 1 FROM desk_operators o WHERE o.desk_id = d.id)
    ORDER BY d.id
    """
)
"""`ahead`: who waits already and comes first."""


@dataclass(frozen=True, slots=True)
class _Choice:
    desk: Row[Any]
    promise: Promise


async def _desks(
    db: Writer, conversation_id: UUID, *, urgent: bool, now: datetime, desk_id: int | None = None
) -> list[_Choice]:
    """Desks where somebody answers, with what could be promised there."""
    rows = (await db.execute(_DESKS, {"conversation": conversation_id, "urgent": urgent, "desk": desk_id})).all()
    hours = await load_hours(db, [row.id for row in rows])
    return [
        _Choice(
            row,
            promise(hours[row.id], now, ahead=row.ahead, minutes_each=row.minutes_each, on_duty=row.on_duty),
        )
        for row in rows
    ]


def _best(choices: list[_Choice], wish: HandOver, before: int | None) -> _Choice:
    """The desk that receives people for what was talked about, the one that knows the person, the soonest."""
    never = datetime.max.replace(tzinfo=UTC)

    def rank(choice: _Choice) -> tuple[bool, bool, datetime, int]:
        named = wish.desk is not None and choice.desk.entry_id == wish.desk
        return (not named, choice.desk.id != before, choice.promise.at or never, choice.desk.id)

    return min(choices, key=rank)


def _held(desk: Row[Any], made: Promise, since: datetime) -> Held:
    return Held("WAITING", desk.name, since, desk.zone, made.at, made.not_before)


# ---- the person ----


async def hand_over(db: Writer, conversation_id: UUID, reply: Reply, now: datetime) -> Reply:
    """BOT → WAITING, and the acknowledgement with what was promised. Where nobody answers the reply stays as it is."""
    wish = reply.hands_over
    assert wish is not None
    choices = await _desks(db, conversation_id, urgent=wish.urgent, now=now)
    if not choices:
        return replace(reply, hands_over=None)
    before = await db.scalar(select(Conversation.desk_id).where(Conversation.id == conversation_id))
    best = _best(choices, wish, before)
    await _set_state(db, conversation_id, "WAITING", desk=best.desk.id)
    values = {
        "conversation_id": conversation_id,
        "desk_id": best.desk.id,
        "reason": wish.reason,
        "urgent": wish.urgent,
        "language": reply.language,
        "topic": wish.topic,
        "entry_id": wish.entry,
        "asked_at": now,
        "wrote_at": now,
        "promised_for": best.promise.at,
        "first_promise": best.promise.at,
    }
    await db.execute(insert(Handover).values(**values))
    text = handover_flow.handed_over(reply.language, _held(best.desk, best.promise, now), urgent=wish.urgent)
    return replace(reply, text=text, choices=handover_flow.waiting_buttons(reply.language))


async def leave(db: Writer, conversation_id: UUID) -> None:
    """WAITING or ACTIVE → BOT: the person does not want to wait any more."""
    await _set_state(db, conversation_id, "BOT")
    await _close(db, conversation_id, "back_to_bot")


async def wake(db: Writer, conversation_id: UUID) -> None:
    """CLOSED or UNREACHABLE → BOT: the person has written again."""
    await _set_state(db, conversation_id, "BOT")


async def wrote(db: Writer, conversation_id: UUID, *, urgent: bool) -> None:
    """Something of the person's waits for an answer."""
    values: dict[str, Any] = {"wrote_at": func.clock_timestamp()}
    if urgent:
        values["urgent"] = True
    await db.execute(update(Handover).where(*_open(conversation_id)).values(**values))


async def helped(db: Writer, conversation_id: UUID, answer: bool) -> None:
    last = (
        select(Handover.id)
        .where(Handover.conversation_id == conversation_id, Handover.outcome == "resolved")
        .order_by(Handover.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    await db.execute(update(Handover).where(Handover.id == last).values(helped=answer))


_HELD = text(
    """
    SELECT c.state, c.language, d.id AS desk_id, d.name, d.zone, h.promised_for, h.urgent,
        CASE WHEN c.state = 'ACTIVE' THEN coalesce(h.claimed_at, h.asked_at) ELSE h.asked_at END AS since
    FROM conversations c JOIN handovers h ON h.conversation_id = c.id AND h.closed_at IS NULL
    JOIN desks d ON d.id = h.desk_id
    WHERE c.id = :conversation AND c.state IN ('WAITING', 'ACTIVE')
    """
)


async def find_held(db: Writer, conversation_id: UUID, now: datetime) -> Held | None:
    """How it stands; None when nobody is waited for."""
    row = (await db.execute(_HELD, {"conversation": conversation_id})).one_or_none()
    if row is None:
        return None
    held = Held(row.state, row.name, row.since, row.zone, row.promised_for)
    if row.state == "ACTIVE" or row.promised_for is not None:
        return held
    hours = (await load_hours(db, [row.desk_id]))[row.desk_id]
    return replace(held, not_before=promise(hours, now, ahead=0, minutes_each=1, on_duty=1).not_before)


# ---- operators ----


async def claim(session: AsyncSession, staff: Staff, conversation_id: UUID) -> None:
    """WAITING → ACTIVE. The same again by the same person is no error. Raises Forbidden, NotFound, Taken,
    StateChanged."""
    conversation = await access_conversation(session, staff, conversation_id, lock=True)
    if conversation.holder_id == staff.account_id:
        return
    if conversation.holder_id is not None:
        raise Taken(name=await name_of(session, conversation.holder_id))
    if conversation.state != "WAITING":
        raise StateChanged
    await _set_state(session, conversation_id, "ACTIVE", holder=staff.account_id)
    await _change(session, conversation_id, claimed_at=datetime.now(UTC), offered_to=None)
    desk = await _desk_name(session, conversation)
    await tell(session, conversation_id, conversation.language, handover_flow.taken(conversation.language, desk))
    await _record(session, staff, conversation, "conversation.claimed")


async def check_holder(session: AsyncSession, staff: Staff, conversation_id: UUID) -> Conversation:
    """Locked, and being answered by this operator. Raises Forbidden, NotFound, Taken, StateChanged."""
    conversation = await access_conversation(session, staff, conversation_id, lock=True)
    if conversation.holder_id is not None and conversation.holder_id != staff.account_id:
        raise Taken(name=await name_of(session, conversation.holder_id))
    if conversation.state != "ACTIVE":
        raise StateChanged
    return conversation


async def release(session: AsyncSession, staff: Staff, conversation_id: UUID, now: datetime) -> None:
    """ACTIVE → WAITING, with a new promise. Raises as `check_holder`."""
    conversation = await check_holder(session, staff, conversation_id)
    await put_back(session, conversation_id, now)
    await _record(session, staff, conversation, "conversation.released")


async def put_back(db: Writer, conversation_id: UUID, now: datetime, *, offered_to: UUID | None = None) -> None:
    """ACTIVE → WAITING at the same desk, whoever let go of it; the person is told."""
    row = (await db.execute(_HELD, {"conversation": conversation_id})).one()
    await _set_state(db, conversation_id, "WAITING")
    made = await _promise_again(db, conversation_id, row, now)
    await _change(db, conversation_id, claimed_at=None, offered_to=offered_to, promised_for=made.at, escalated_at=None)
    held = _held(row, made, row.since)
    await tell(db, conversation_id, row.language, handover_flow.back_in_queue(row.language, held), waiting=True)


async def move_to_desk(session: AsyncSession, staff: Staff, conversation_id: UUID, desk_id: int, now: datetime) -> None:
    """To the queue of another desk, from the queue or from the operator who holds it.

    Raises Forbidden, NotFound, Taken, StateChanged, NoOperators."""
    conversation = await access_conversation(session, staff, conversation_id, lock=True)
    if conversation.holder_id not in (None, staff.account_id):
        raise Taken(name=await name_of(session, conversation.holder_id))
    if conversation.state not in ("WAITING", "ACTIVE"):
        raise StateChanged
    row = (await session.execute(_HELD, {"conversation": conversation_id})).one()
    choices = await _desks(session, conversation_id, urgent=row.urgent, now=now, desk_id=desk_id)
    if not choices:
        raise NoOperators
    (choice,) = choices
    await _record(session, staff, conversation, "conversation.moved", to_desk=desk_id)
    await _set_state(session, conversation_id, "WAITING", desk=desk_id)
    changes = {"desk_id": desk_id, "claimed_at": None, "offered_to": None, "escalated_at": None}
    await _change(session, conversation_id, **changes, promised_for=choice.promise.at)
    words = handover_flow.moved(conversation.language, _held(choice.desk, choice.promise, now))
    await tell(session, conversation_id, conversation.language, words, waiting=True)


async def pass_on(session: AsyncSession, staff: Staff, conversation_id: UUID, to: UUID, now: datetime) -> None:
    """To a colleague at the same desk, who is offered it first. Raises as `check_holder`, and NoOperators for somebody
    who does not answer there."""
    conversation = await check_holder(session, staff, conversation_id)
    colleagues = await list_colleagues(session, conversation)
    if to not in {row.id for row in colleagues}:
        raise NoOperators
    await put_back(session, conversation_id, now, offered_to=to)
    await _record(session, staff, conversation, "conversation.passed_on", to_account=str(to))


async def resolve(session: AsyncSession, staff: Staff, conversation_id: UUID) -> None:
    """ACTIVE → CLOSED; the person is asked whether it helped. Raises as `check_holder`."""
    conversation = await check_holder(session, staff, conversation_id)
    await _set_state(session, conversation_id, "CLOSED")
    await _close(session, conversation_id, "resolved")
    reply = handover_flow.closed(conversation.language, await _desk_name(session, conversation))
    await _say(session, conversation_id, reply)
    await _record(session, staff, conversation, "conversation.resolved")


async def reopen(session: AsyncSession, staff: Staff, conversation_id: UUID, now: datetime) -> None:
    """CLOSED → ACTIVE, held by whoever reopens it. Raises Forbidden, NotFound, StateChanged."""
    conversation = await access_conversation(session, staff, conversation_id, lock=True)
    if conversation.state != "CLOSED":
        raise StateChanged
    await _set_state(session, conversation_id, "ACTIVE", holder=staff.account_id)
    values: dict[str, Any] = {"conversation_id": conversation_id, "desk_id": conversation.desk_id}
    values |= {"reason": "reopened", "language": conversation.language, "asked_at": now, "claimed_at": now}
    await session.execute(insert(Handover).values(**values, promised_for=now))
    language, desk = conversation.language, await _desk_name(session, conversation)
    await tell(session, conversation_id, language, handover_flow.reopened(language, desk))
    await _record(session, staff, conversation, "conversation.reopened")


async def promise_at(session: AsyncSession, staff: Staff, conversation_id: UUID, at: datetime, now: datetime) -> None:
    """An operator names the moment; whoever holds it lets go of it.

    Raises Forbidden, NotFound, Taken, StateChanged, InvalidRequest for a moment that is past or too far away."""
    conversation = await access_conversation(session, staff, conversation_id, lock=True)
    if not now < at < now + HORIZON:
        raise InvalidRequest
    if conversation.holder_id not in (None, staff.account_id):
        raise Taken(name=await name_of(session, conversation.holder_id))
    if conversation.state not in ("WAITING", "ACTIVE"):
        raise StateChanged
    row = (await session.execute(_HELD, {"conversation": conversation_id})).one()
    await _set_state(session, conversation_id, "WAITING")
    first = func.coalesce(Handover.first_promise, at)
    await _change(session, conversation_id, claimed_at=None, promised_for=at, first_promise=first, escalated_at=None)
    words = handover_flow.dated(conversation.language, _held(row, Promise(at), row.since))
    await tell(session, conversation_id, conversation.language, words, waiting=True)
    await _record(session, staff, conversation, "conversation.promised")


# ---- by itself ----


async def renew_promise(db: Writer, conversation_id: UUID, now: datetime) -> None:
    """A promise was broken: an apology, and a new one."""
    row = (await db.execute(_HELD, {"conversation": conversation_id})).one()
    made = await _promise_again(db, conversation_id, row, now)
    await _change(
        db, conversation_id, broken=Handover.broken + 1, promised_for=made.at, escalated_at=None, offered_to=None
    )
    words = handover_flow.apology(row.language, _held(row, made, row.since))
    await tell(db, conversation_id, row.language, words, waiting=True)


async def unreachable(db: Writer, conversation_id: UUID) -> None:
    """The channel refuses: whatever it was → UNREACHABLE."""
    await _set_state(db, conversation_id, "UNREACHABLE")
    await _close(db, conversation_id, "unreachable")


async def release_all(db: Writer, account_id: UUID, now: datetime) -> int:
    """What an account holds that is about to lose its rights goes back to the queues; returns how many."""
    held = select(Conversation.id).where(Conversation.holder_id == account_id).order_by(Conversation.id)
    found = list((await db.execute(held.with_for_update(key_share=True))).scalars())
    for conversation_id in found:
        await put_back(db, conversation_id, now)
    return len(found)


# ---- pieces ----


async def _promise_again(db: Writer, conversation_id: UUID, row: Row[Any], now: datetime) -> Promise:
    choices = await _desks(db, conversation_id, urgent=row.urgent, now=now, desk_id=row.desk_id)
    if choices:
        return choices[0].promise
    return Promise(None)  # nobody answers there any more: nothing can be promised


async def _set_state(
    db: Writer, conversation_id: UUID, state: str, *, holder: UUID | None = None, desk: int | None = None
) -> None:
    values: dict[str, Any] = {"state": state, "holder_id": holder}
    if desk is not None:
        values["desk_id"] = desk
    await db.execute(
        update(Conversation)
        .where(Conversation.id == conversation_id)
        .values(**values)
        .execution_options(synchronize_session=False)
    )


def _open(conversation_id: UUID) -> tuple[Any, ...]:
    return (Handover.conversation_id == conversation_id, Handover.closed_at.is_(None))


async def _change(db: Writer, conversation_id: UUID, **changes: Any) -> None:
    await db.execute(update(Handover).where(*_open(conversation_id)).values(**changes))


async def _close(db: Writer, conversation_id: UUID, outcome: str) -> None:
    await _change(db, conversation_id, outcome=outcome, closed_at=datetime.now(UTC), wrote_at=None)


async def tell(db: Writer, conversation_id: UUID, language: str, words: str, *, waiting: bool = False) -> None:
    """A notice of the service that answers no message; with `waiting` the buttons of whoever waits."""
    choices = handover_flow.waiting_buttons(language) if waiting else ()
    await _say(db, conversation_id, Reply(language, words, "human", choices=choices))


async def _say(db: Writer, conversation_id: UUID, reply: Reply) -> None:
    values = {"conversation_id": conversation_id, "author": "system", "language": reply.language, "text": reply.text}
    await db.execute(insert(Message).values(**values, payload=reply_payload(reply)))
    await notify(db, conversation_id)


_DESK_NAME = text("SELECT name FROM desks WHERE id = :desk")


async def _desk_name(session: AsyncSession, conversation: Conversation) -> str:
    name = await session.scalar(_DESK_NAME, {"desk": conversation.desk_id})
    if name is None:
        raise NotFound
    return str(name)


async def name_of(session: AsyncSession, account_id: UUID) -> str:
    """Of a colleague."""
    return str(await session.scalar(select(Account.name).where(Account.id == account_id)))


_COLLEAGUES = text(
    """
    SELECT account_id AS id, name, on_duty, speaks FROM desk_operators WHERE desk_id = :desk ORDER BY name, account_id
    """
)


async def list_colleagues(session: AsyncSession, conversation: Conversation) -> list[Row[Any]]:
    """Who answers at its desk: `id`, `name`, `on_duty`, `speaks`."""
    return list((await session.execute(_COLLEAGUES, {"desk": conversation.desk_id})).all())


async def _record(session: AsyncSession, staff: Staff, conversation: Conversation, action: str, **details: Any) -> None:
    organisation = await session.scalar(
        text("SELECT organisation_id FROM desks WHERE id = :desk"), {"desk": conversation.desk_id}
    )
    subject = f"conversation:{conversation.id}"
    who = {"account_id": staff.account_id, "organisation_id": organisation}
    await audit.record(session, action, subject, **who, desk=conversation.desk_id, **details)
