"""Administrators' pages of who is signed in and of what was done."""

import csv
import io
import json
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from backend import administration, audit_log
from backend.audit_log import PAGE, LoggedEvent, Wanted
from backend.services import Services
from backend.web.admin_page import PageNumber, admin_page
from backend.web.local_time import ROME
from backend.web.staff import StaffHere, staff_language
from bot.phrases import say

router = APIRouter()

_LONGEST_DOWNLOAD = 20_000
"""Rows; the newest ones."""
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would take for a formula (OWASP, CSV injection)."""

Before = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
Person = Annotated[str, Query(max_length=36)]
Action = Annotated[str, Query(max_length=100)]


@router.get("/sessions")
async def list_sessions(request: Request, staff: StaffHere, page: PageNumber = 1) -> HTMLResponse:
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        found, more = await administration.list_living_sessions(session, staff, page=page)
        ids = [person.id for person, _ in found]
        changeable = {one for one in ids if await administration.may_access(session, staff, one, change=True)}
    return admin_page(
        request, "admin/sessions.html", staff, signed_in=found, more=more, page_number=page, changeable=changeable
    )


@router.get("/audit")
async def show_audit_log(
    request: Request, staff: StaffHere, person: Person = "", action: Action = "", before: Before = None
) -> HTMLResponse:
    services: Services = request.app.state.services
    wanted, language = _wanted(person, action), staff_language(request, staff)
    async with services.sessions.begin() as session:
        events = await audit_log.find_events(session, staff, wanted, before=before, limit=PAGE + 1)
        names = await audit_log.list_names(session, staff)
        actions = await audit_log.list_actions(session, staff)
    chosen = {key: value for key, value in (("person", wanted.person), ("action", wanted.action)) if value}
    return admin_page(
        request,
        "admin/audit.html",
        staff,
        events=[(event, _sentence(language, event.action)) for event in events[:PAGE]],
        older=events[PAGE - 1].id if len(events) > PAGE else None,
        names=names,
        actions=sorted(((one, _sentence(language, one)) for one in actions), key=lambda one: one[1].casefold()),
        chosen=chosen,
        before=before,
    )


@router.get("/audit.csv")
async def download_audit_log(request: Request, staff: StaffHere, person: Person = "", action: Action = "") -> Response:
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        wanted = _wanted(person, action)
        events = await audit_log.find_events(session, staff, wanted, limit=_LONGEST_DOWNLOAD)
    headers = {"content-disposition": 'attachment; filename="audit.csv"', "cache-control": "no-store"}
    body = _csv(staff_language(request, staff), events)
    # With a byte order mark, without which spreadsheets take UTF-8 for something older.
    return Response(body.encode("utf-8-sig"), media_type="text/csv; charset=utf-8", headers=headers)


def _wanted(person: str, action: str) -> Wanted:
    """What nobody could have chosen finds nothing, instead of everything."""
    try:
        who = UUID(person) if person else None
    except ValueError:
        who = UUID(int=0)
    return Wanted(who, action.replace("\x00", "") or None)


def _sentence(language: str, action: str) -> str:
    """The action's own name when no catalogue knows it."""
    key = f"audit.{action}"
    words = say(language, key)
    return action if words == key else words


def _csv(language: str, events: list[LoggedEvent]) -> str:
    titles = ("id", "when", "who", "who_id", "what", "action", "subject", "subject_name", "details")
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(say(language, f"admin.csv.{title}") for title in titles)
    for event in events:
        cells = (
            event.id,
            event.at.astimezone(ROME).isoformat(" ", "seconds"),
            event.name or "",
            event.account_id or "",
            _sentence(language, event.action),
            event.action,
            event.subject,
            event.subject_name or "",
            json.dumps(event.details, ensure_ascii=False, sort_keys=True),
        )
        writer.writerow(harmless(str(cell)) for cell in cells)
    return out.getvalue()


def harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA_SIGNS) else cell
