"""The desk's calendar for other programs: its secret address, made by who manages the desk, and what is read there."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from backend import calendar_feed, ics
from backend.access import Staff
from backend.web.admin_page import RowId
from backend.web.api import ServicesHere
from backend.web.calendar_frame import open_frame
from backend.web.staff import StaffHere, address_of, own_form

router = APIRouter(include_in_schema=False, dependencies=[Depends(own_form)])

Secret = Annotated[str, Path(max_length=100)]


@router.get("/calendar/{secret}.ics")
async def read_feed(request: Request, secret: Secret, services: ServicesHere) -> Response:
    await services.limits.check("feed", address=address_of(request))
    async with services.sessions.begin() as session:
        name, entries = await calendar_feed.read_feed(session, secret, services.now())
    body = ics.write_feed(name, entries, every=calendar_feed.EVERY)
    return Response(body, media_type=ics.MEDIA_TYPE, headers={"cache-control": "no-store"})


@router.get("/console/calendar/{desk_id}/feed")
async def show_feed(request: Request, desk_id: RowId, staff: StaffHere) -> HTMLResponse:
    return await _feed_page(request, staff, desk_id)


@router.post("/console/calendar/{desk_id}/feed")
async def make_feed(request: Request, desk_id: RowId, staff: StaffHere, services: ServicesHere) -> HTMLResponse:
    """No redirect: the secret is kept nowhere, so this answer is the only one that can show it."""
    async with services.sessions.begin() as session:
        secret = await calendar_feed.make_feed(session, staff, desk_id)
    return await _feed_page(request, staff, desk_id, secret=secret)


@router.post("/console/calendar/{desk_id}/feed/stop")
async def stop_feed(request: Request, desk_id: RowId, staff: StaffHere, services: ServicesHere) -> Response:
    async with services.sessions.begin() as session:
        await calendar_feed.stop_feed(session, staff, desk_id)
    return RedirectResponse(f"/console/calendar/{desk_id}/feed?done=feed_stopped", status_code=303)


async def _feed_page(request: Request, staff: Staff, desk_id: int, *, secret: str | None = None) -> HTMLResponse:
    frame = await open_frame(request, staff, desk_id)
    async with frame.services.sessions.begin() as session:
        exists = await calendar_feed.has_feed(session, staff, desk_id)
    address = f"{frame.services.settings.address}/calendar/{secret}.ics" if secret else None
    return frame.page("console/calendar_feed.html", exists=exists, address=address, limits=calendar_feed)
