"""The calendar file of an appointment, for whoever booked it: with its token over HTTP, or the cookie of the chat."""

from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend import ics
from backend.conversations import access_conversation
from backend.errors import NotFound
from backend.models import Appointment, Desk
from backend.services import Services
from backend.visits import COLUMNS, Visit, visit_of
from backend.web.api import ServicesHere
from backend.web.tokens import caller_of_page
from bot.card import place_of
from bot.phrases import say

router = APIRouter(include_in_schema=False)


@router.get("/visits/{appointment_id}/calendar.ics")
async def read_own_calendar(request: Request, appointment_id: UUID, services: ServicesHere) -> Response:
    """Of a visit booked in this browser's conversation, in its language. What is only held is no appointment yet."""
    caller = caller_of_page(request)
    if caller is None:
        raise NotFound
    async with services.sessions.begin() as session:
        access = await access_conversation(session, caller.conversation_id, caller.token)
        own = (
            Appointment.id == appointment_id,
            Appointment.conversation_id == access.id,
            Appointment.name.is_not(None),
        )
        row = (await session.execute(select(*COLUMNS).where(*own, Appointment.status != "held"))).one_or_none()
        if row is None:
            raise NotFound
        return await calendar_file(session, services, visit_of(row), access.language)


async def calendar_file(session: AsyncSession, services: Services, visit: Visit, language: str) -> Response:
    desk = await session.get(Desk, visit.desk_id)
    name = desk.name if desk else ""
    entry = ics.Entry(
        uid=visit.uid,
        sequence=visit.sequence,
        starts=visit.starts,
        ends=visit.ends,
        changed_at=visit.changed_at,
        cancelled=visit.status == "cancelled",
        summary=say(language, "ics.summary_demo" if visit.demo else "ics.summary", desk=name),
        location=", ".join(part for part in (name, _address(services, desk)) if part),
        description=say(language, "ics.code", code=visit.code or ""),
    )
    headers = {"content-disposition": 'attachment; filename="appointment.ics"', "cache-control": "no-store"}
    return Response(ics.write(entry), media_type=ics.MEDIA_TYPE, headers=headers)


def _address(services: Services, desk: Desk | None) -> str:
    entry = services.shelf.find_entry(desk.entry_id) if desk and desk.entry_id else None
    return (place_of(entry.facts) if entry else None) or ""
