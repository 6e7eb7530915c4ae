"""How a conversation stands with a desk, and that its person is writing, as the API and the chat page tell it."""

from datetime import date, datetime
from typing import Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from backend import handover
from backend.conversations import access_conversation, find_state
from backend.db import retried
from backend.erasure import HELD
from backend.replies import say_typing
from backend.services import Services
from backend.web.tokens import Caller, cookie_value
from bot import handover_flow
from bot.turn import Held


class HandoverView(BaseModel):
    """A desk has the conversation."""

    state: Literal["WAITING", "ACTIVE"]
    desk: str
    since: datetime
    promised_for: datetime | None = Field(description="When somebody will have read it, as was promised.")
    not_before: date | None = Field(description="The desk is closed until then at least.")
    text: str = Field(description="All this in a sentence, in the language of the conversation.")


class Status(NamedTuple):
    state: str
    handover: HandoverView | None


async def find_status(services: Services, conversation_id: UUID, state: str, language: str) -> Status:
    """As it is now, `state` being what was read a moment ago: only a desk's conversation is asked for once more.

    Raises Unavailable."""
    if state not in HELD:
        return Status(state, None)

    async def work() -> Held | str:
        async with services.sessions.begin() as session:
            held = await handover.find_held(session, conversation_id, services.now())
            return held or await find_state(session, conversation_id)

    held = await retried(work)
    return Status(held, None) if isinstance(held, str) else Status(held.state, _view(held, language))


def _view(held: Held, language: str) -> HandoverView:
    zone = ZoneInfo(held.zone)
    return HandoverView(
        state=held.state,
        desk=held.desk,
        since=held.since.astimezone(zone),
        promised_for=held.promised_for.astimezone(zone) if held.promised_for else None,
        not_before=held.not_before,
        text=handover_flow.status(language, held),
    )


async def person_is_writing(services: Services, caller: Caller, address: str) -> None:
    """Told only where somebody may look. Raises TooManyRequests, Unauthorized, NotFound, Unavailable."""
    await services.limits.check("typing", conversation=cookie_value(caller), address=address)

    async def work() -> None:
        async with services.sessions.begin() as session:
            access = await access_conversation(session, caller.conversation_id, caller.token)
            if access.state in HELD:
                await say_typing(session, access.id, "person")

    await retried(work)
