"""Changes at a desk, and the page that asks what becomes of the visits they would strand."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from backend import stranded
from backend.access import Staff, access_appointments
from backend.diary import name_of
from backend.errors import AppError, Forbidden, NotFound, Unauthorized
from backend.services import Services
from backend.stranded import Change, Decisions, Stranded, VisitsStranded
from backend.web.admin_page import RowId
from backend.web.staff import StaffHere, own_form, problem_page, staff_language, staff_page
from bot.phrases import say
from bot.visit_card import when

router = APIRouter(
    prefix="/console/desks/{desk_id}/stranded", include_in_schema=False, dependencies=[Depends(own_form)]
)

_OURS = "visits-"
"""Begins the names of what is asked about visits; all else in a form is the change itself, and sent again with it."""
_EACH, _SHOWN, _OTHERS, _LEAVE = f"{_OURS}each-", f"{_OURS}shown", f"{_OURS}others", f"{_OURS}leave"


async def read_form(request: Request) -> list[tuple[str, str]]:
    """Fields in their order; files and what belongs to the question about visits are left out."""
    return [(name, value) for name, value in await _sent(request) if not name.startswith(_OURS)]


async def leaves(request: Request) -> bool:
    """Whether the manager went back from the question about visits: nothing is changed, what was typed is shown."""
    return any(name == _LEAVE for name, _ in await _sent(request))


async def try_change(
    request: Request, staff: Staff, desk_id: int, change: Change, *, ends_demo: bool = False
) -> AppError | None:
    """Makes a change with what was decided about visits; returns what is in its way and can be said on a page. Raises
    NotFound, Forbidden, Unauthorized."""
    services: Services = request.app.state.services
    told: dict[str, Any] = {"now": services.now(), "find_entry": services.shelf.find_entry, "ends_demo": ends_demo}
    try:
        await stranded.carry_out(services.sessions, staff, desk_id, change, await _decisions(request), **told)
    except (NotFound, Forbidden, Unauthorized):
        raise
    except AppError as error:
        return error
    return None


async def question_page(request: Request, staff: Staff, desk_id: int, problem: VisitsStranded) -> HTMLResponse:
    """The change that was sent, with its visits: it is sent again from there."""
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        desk = await access_appointments(session, staff, desk_id)
        name, zone = desk.name, desk.zone
    decisions = await _decisions(request)
    seen = [one for one in problem.visits if one.visit.id in decisions.shown]
    values = {
        "desk_id": desk_id,
        "desk": name,
        "action": request.url.path,
        "sent": await read_form(request),
        "changeable": True,
        "pending": True,
        "decisions": decisions,
        "others": decisions.others,
        "newly": bool(seen) and len(seen) < len(problem.visits),
    }
    values["visits"] = [_shown(staff_language(request, staff), one, zone) for one in problem.visits]
    return problem_page(request, "console/desk_stranded.html", problem, staff=staff, **values)


@router.get("")
async def show_stranded(request: Request, desk_id: RowId, staff: StaffHere) -> HTMLResponse:
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        found = await stranded.read_stranded(session, staff, desk_id, services.now())
    language = staff_language(request, staff)
    done = say(language, "admin.done.saved") if request.query_params.get("done") == "saved" else None
    return staff_page(
        request,
        "console/desk_stranded.html",
        staff=staff,
        done=done,
        desk_id=desk_id,
        desk=found.name,
        action=request.url.path,
        sent=[],
        changeable=found.changeable,
        pending=False,
        decisions=Decisions({}),
        others="",
        newly=False,
        visits=[_shown(language, one, found.zone.key) for one in found.visits],
    )


@router.post("")
async def decide(request: Request, desk_id: RowId, staff: StaffHere) -> Response:
    services: Services = request.app.state.services
    told: dict[str, Any] = {"now": services.now(), "find_entry": services.shelf.find_entry}
    await stranded.decide(services.sessions, staff, desk_id, await _decisions(request), **told)
    return RedirectResponse(f"/console/desks/{desk_id}/stranded?done=saved", status_code=303)


def _shown(language: str, one: Stranded, zone: str) -> Mapping[str, Any]:
    return {
        "id": one.visit.id,
        "when": when(language, one.visit.starts, zone),
        "starts": one.visit.starts,
        "code": one.visit.code,
        "kind": name_of(one.names, language) if one.names else "",
        "served_by": one.served_by,
        "demo": one.visit.demo,
        "held": one.visit.status == "held",
        "reasons": [say(language, f"console.stranded.{reason}") for reason in one.reasons],
        "reachable": one.reachable,
        "asked_at": one.asked_at,
        "choices": [(choice, _words(language, choice, one)) for choice in one.choices],
    }


def _words(language: str, choice: str, one: Stranded) -> str:
    if choice == "give" and one.instead is not None:
        return say(language, "console.stranded.give", name=one.instead.name)
    if choice == "cancel" and not one.reachable:
        return say(language, "console.stranded.cancel_alone")
    return say(language, f"console.stranded.{choice}")


async def _sent(request: Request) -> list[tuple[str, str]]:
    form = await request.form()
    return [(name, value) for name, value in form.multi_items() if isinstance(value, str)]


async def _decisions(request: Request) -> Decisions:
    sent = await _sent(request)
    each = {_uuid(name.removeprefix(_EACH)): value for name, value in sent if name.startswith(_EACH)}
    found = {name: value for name, value in sent if name in (_SHOWN, _OTHERS)}
    shown = (_uuid(one) for one in found.get(_SHOWN, "").split())
    return Decisions(
        {one: value for one, value in each.items() if one}, frozenset(filter(None, shown)), found.get(_OTHERS, "")
    )


def _uuid(typed: str) -> UUID | None:
    try:
        return UUID(typed)
    except ValueError:
        return None
