"""Conversations in any state, brought there by the steps that the database allows."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text, update

from backend.models import Conversation, Handover
from backend.services import Services
from tests.staff import give_role, make_account, make_desk, make_organisation

_STEPS = {
    "BOT": (),
    "WAITING": ("WAITING",),
    "ACTIVE": ("WAITING", "ACTIVE"),
    "CLOSED": ("WAITING", "ACTIVE", "CLOSED"),
    "UNREACHABLE": ("WAITING", "UNREACHABLE"),
}


async def put_at_desk(
    services: Services,
    conversation_id: UUID | str,
    desk: int | None = None,
    state: str = "WAITING",
    *,
    holder: UUID | None = None,
    **values: Any,
) -> None:
    """From whatever it was to `state` at the desk (a new one without), with `values` in the row of its handover."""
    conversation = UUID(str(conversation_id))
    if desk is None:
        desk = await make_desk(services, await make_organisation(services))
    if state in ("ACTIVE", "CLOSED") and holder is None:
        holder = await make_account(services)
        async with services.sessions.begin() as session:
            query = text("SELECT organisation_id FROM desks WHERE id = :desk")
            organisation = await session.scalar(query, {"desk": desk})
        await give_role(services, holder, "operator", organisation=organisation, desk=desk)
    async with services.sessions.begin() as session:
        own = update(Conversation).where(Conversation.id == conversation)
        before = await session.scalar(text("SELECT state FROM conversations WHERE id = :id"), {"id": conversation})
        if before != "BOT":
            await session.execute(own.values(state="BOT", holder_id=None))
            await session.execute(
                update(Handover)
                .where(Handover.conversation_id == conversation, Handover.closed_at.is_(None))
                .values(closed_at=datetime.now(UTC), outcome="back_to_bot")
            )
        for step in _STEPS[state]:
            await session.execute(own.values(state=step, desk_id=desk, holder_id=holder if step == "ACTIVE" else None))
        if state == "BOT":
            await session.execute(own.values(desk_id=desk))
            return
        row: dict[str, Any] = {"conversation_id": conversation, "desk_id": desk, "reason": "asked", "language": "it"}
        row["wrote_at"] = datetime.now(UTC)
        if state in ("ACTIVE", "CLOSED"):
            row["claimed_at"] = datetime.now(UTC)
        if state in ("CLOSED", "UNREACHABLE"):
            row |= {"closed_at": datetime.now(UTC), "wrote_at": None}
            row["outcome"] = "resolved" if state == "CLOSED" else "unreachable"
        await session.execute(insert(Handover).values(**(row | values)))
