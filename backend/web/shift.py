"""An operator's shift: on duty, languages, mails, and the end of it, which leaves nobody behind."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from backend import presence
from backend.access import Staff
from backend.errors import AppError
from backend.queue_list import Filter, Listed, list_queue
from backend.services import Services
from backend.web.admin_page import Change, Field, attempt
from backend.web.staff import StaffHere, own_form, problem_page, staff_language, staff_page
from bot.phrases import KNOWN, say

router = APIRouter(prefix="/console/shift", include_in_schema=False, dependencies=[Depends(own_form)])
_DONE = ("begun", "ended", "saved")
_MOST_LISTED = 100


@router.get("")
async def show_shift(request: Request, staff: StaffHere) -> HTMLResponse:
    return await _shift_page(request, staff)


async def _shift_page(request: Request, staff: Staff, *, problem: AppError | None = None) -> HTMLResponse:
    services: Services = request.app.state.services
    language, now = staff_language(request, staff), services.now()
    async with services.sessions.begin() as session:
        own = await presence.find_presence(session, staff.account_id)
        unsettled = await presence.list_unsettled(session, staff, now)
        held, _ = await list_queue(session, staff, Filter(mine=True), language=language, actions=services.shelf)
        rows = await _rows(services, staff, unsettled, language)
    values: dict[str, Any] = {
        "own": own,
        "unsettled": rows,
        "held": held,
        "known": KNOWN,
        "now": now,
        "more": len(unsettled) - len(rows),
    }
    if problem is not None:
        return problem_page(request, "console/shift.html", problem, staff=staff, **values)
    done = request.query_params.get("done")
    sentence = say(language, f"console.shift.{done}") if done in _DONE else None
    return staff_page(request, "console/shift.html", staff=staff, done=sentence, **values)


async def _rows(services: Services, staff: Staff, wanted: list[UUID], language: str) -> list[Listed]:
    """The lines of the queue for these conversations, in the order they were asked for."""
    async with services.sessions.begin() as session:
        found, _ = await list_queue(
            session, staff, Filter(ids=tuple(wanted[:_MOST_LISTED])), language=language, actions=services.shelf
        )
    order = {one: place for place, one in enumerate(wanted)}
    return sorted(found, key=lambda one: order.get(one.id, len(order)))


async def _done(request: Request, staff: Staff, change: Change, done: str) -> Response:
    problem = await attempt(request, staff, change)
    if problem is not None:
        return await _shift_page(request, staff, problem=problem)
    return RedirectResponse(f"/console/shift?done={done}", status_code=303)


@router.post("/begin")
async def begin(request: Request, staff: StaffHere) -> Response:
    return await _done(request, staff, presence.begin_shift, "begun")


@router.post("/end")
async def end(request: Request, staff: StaffHere) -> Response:
    """Refused as long as somebody has neither an answer nor a date."""
    services: Services = request.app.state.services
    now = services.now()
    return await _done(request, staff, lambda session, by: presence.end_shift(session, by, now), "ended")


@router.post("/preferences")
async def preferences(
    request: Request,
    staff: StaffHere,
    speaks: Annotated[list[str] | None, Form()] = None,
    by_mail: Field = "",
) -> Response:
    return await _done(
        request,
        staff,
        lambda session, by: presence.set_preferences(session, by, speaks=speaks or [], by_mail=by_mail == "yes"),
        "saved",
    )
