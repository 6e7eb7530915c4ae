"""Time that a desk keeps free for itself: listed, blocked, given back."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from backend import desk_blocks
from backend.access import Staff
from backend.db import retried
from backend.desk_blocks import VisitsInTheWay
from backend.desk_calendar import list_blocked, list_resources
from backend.errors import AppError
from backend.web.admin_page import Change, Field, RowId, attempt
from backend.web.calendar_frame import Frame, open_frame
from backend.web.staff import StaffHere, own_form

router = APIRouter(
    prefix="/console/calendar/{desk_id}/blocks", include_in_schema=False, dependencies=[Depends(own_form)]
)
_EMPTY = {"resource": "", "starts": "", "ends": "", "note": ""}


@router.get("")
async def show_blocks(request: Request, desk_id: RowId, staff: StaffHere) -> HTMLResponse:
    return await _blocks_page(await open_frame(request, staff, desk_id), _EMPTY)


@router.post("")
async def add_block(
    request: Request,
    desk_id: RowId,
    staff: StaffHere,
    resource: Field = "",
    starts: Field = "",
    ends: Field = "",
    note: Field = "",
    give: Field = "",
) -> Response:
    """`give`: first, appointments that are in the way go to colleagues who are free; what is left is still in the
    way."""
    frame = await open_frame(request, staff, desk_id)
    typed = {"resource": resource, "starts": starts, "ends": ends, "note": note}

    async def give_away(session: AsyncSession, by: Staff) -> None:
        await desk_blocks.give_away(session, by, frame.head, resource=resource, starts=starts, ends=ends)

    if give == "yes":
        problem = await retried(lambda: attempt(request, staff, give_away))
        if problem is not None:
            return await _blocks_page(frame, typed, problem=problem)

    async def change(session: AsyncSession, by: Staff) -> None:
        await desk_blocks.add_block(session, by, frame.head, language=frame.language, **typed)

    return await _changed(frame, change, "blocked", typed)


@router.post("/remove")
async def remove_blocks(
    request: Request,
    desk_id: RowId,
    staff: StaffHere,
    block: Annotated[list[str], Form(default_factory=list, max_length=200)],
) -> Response:
    frame = await open_frame(request, staff, desk_id)

    async def change(session: AsyncSession, by: Staff) -> None:
        await desk_blocks.remove_blocks(session, by, frame.head, block)

    return await _changed(frame, change, "unblocked", _EMPTY)


async def _changed(frame: Frame, change: Change, done: str, typed: dict[str, str]) -> Response:
    problem = await retried(lambda: attempt(frame.request, frame.staff, change))
    if problem is not None:
        return await _blocks_page(frame, typed, problem=problem)
    return RedirectResponse(f"{frame.here}/blocks?done={done}", status_code=303)


async def _blocks_page(frame: Frame, typed: dict[str, str], *, problem: AppError | None = None) -> HTMLResponse:
    async with frame.services.sessions.begin() as session:
        blocked = await list_blocked(session, frame.staff, frame.head)
        resources = await list_resources(session, frame.staff, frame.head.id)
    found = problem if isinstance(problem, VisitsInTheWay) else None
    values: dict[str, Any] = {"blocked": blocked, "resources": resources, "typed": typed}
    values |= {"in_the_way": found.lines if found else [], "instead": found.free if found else {}}
    return frame.page("console/calendar_blocks.html", problem=problem, limits=desk_blocks, **values)
