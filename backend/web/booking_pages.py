"""Pages of what can be booked at one desk: kinds of appointment, who serves, limits."""

import functools
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from backend import booking_forms, booking_setup
from backend.access import Staff
from backend.booking_forms import SPANS_A_DAY, KindTyped, KindValues, ResourceTyped, ResourceValues
from backend.booking_setup import Setup
from backend.diary import name_of
from backend.errors import AppError, Forbidden, NotFound
from backend.models.appointments import RESOURCE_KINDS
from backend.services import Services
from backend.stranded import Change, VisitsStranded, read_stranded
from backend.web.admin_page import Field, RowId
from backend.web.desk_pages import weekday_names
from backend.web.staff import StaffHere, own_form, problem_page, staff_language, staff_page
from backend.web.stranded_pages import leaves, question_page, read_form, try_change
from bot.phrases import KNOWN, SOURCE, language_name, say

router = APIRouter(prefix="/console/desks/{desk_id}/booking", include_in_schema=False, dependencies=[Depends(own_form)])

Done = Annotated[str, Query(max_length=20)]
_DONE: dict[str, Callable[[str], str]] = {
    "saved": lambda language: say(language, "admin.done.saved"),
    "deleted": lambda language: say(language, "admin.done.deleted"),
}
_NUMBERS = ("minutes", "buffer_before", "buffer_after", "lead_minutes", "window_days", "capacity")
_NEW_KIND = KindTyped({}, {}, "", "30", "0", "0", "120", "60", "1", (), active=True)
_NEW_RESOURCE = ResourceTyped("staff", "", (), own_hours=False, hours=(), active=True)
Again = Callable[..., Awaitable[HTMLResponse]]
"""Shows the page of a form again, with a problem and with what was typed."""


# --- all of it, and limits ---


@router.get("")
async def show_booking(request: Request, desk_id: RowId, staff: StaffHere, done: Done = "") -> HTMLResponse:
    return await _booking_page(request, staff, desk_id, done=done)


@router.post("/limits")
async def save_limits(
    request: Request, desk_id: RowId, staff: StaffHere, most_visits: Field = "", most_each_week: Field = ""
) -> Response:
    typed = {"most_visits": most_visits, "most_each_week": most_each_week}
    wanted = functools.partial(booking_setup.save_limits, desk_id=desk_id, most_visits=most_visits)
    change = functools.partial(wanted, most_each_week=most_each_week)
    again = functools.partial(_booking_page, request, staff, desk_id, typed=typed)
    return await _changed(request, staff, desk_id, change, again)


async def _booking_page(
    request: Request,
    staff: Staff,
    desk_id: int,
    *,
    problem: AppError | None = None,
    done: str = "",
    typed: dict[str, str] | None = None,
) -> HTMLResponse:
    services: Services = request.app.state.services
    language = staff_language(request, staff)
    async with services.sessions.begin() as session:
        setup = await booking_setup.read_setup(session, staff, desk_id, services.now())
        outside = (await read_stranded(session, staff, desk_id, services.now())).visits
    limits = {"most_visits": str(setup.most_visits), "most_each_week": str(setup.most_each_week or "")}
    return _page(
        request,
        "console/desk_booking.html",
        staff,
        problem=problem,
        done=done,
        setup=setup,
        outside=len(outside),
        closed=[say(language, f"console.booking.closed_{why}") for why in setup.closed],
        name_of=lambda names: name_of(names, language),
        spoken=functools.partial(_spoken, language),
        resource_kinds=_resource_kinds(language),
        entries=dict(_entries(services, language, None)),
        typed=typed or limits,
        limits=booking_forms,
    )


# --- kinds ---


@router.get("/new-kind")
async def new_kind(request: Request, desk_id: RowId, staff: StaffHere) -> HTMLResponse:
    return await _kind_page(request, staff, desk_id, None, typed=_NEW_KIND)


@router.post("/kinds")
async def add_kind(request: Request, desk_id: RowId, staff: StaffHere) -> Response:
    return await _save_kind(request, staff, desk_id, None)


@router.get("/kinds/{kind_id}")
async def show_kind(request: Request, desk_id: RowId, kind_id: RowId, staff: StaffHere) -> HTMLResponse:
    return await _kind_page(request, staff, desk_id, kind_id)


@router.post("/kinds/{kind_id}")
async def change_kind(request: Request, desk_id: RowId, kind_id: RowId, staff: StaffHere) -> Response:
    return await _save_kind(request, staff, desk_id, kind_id)


@router.post("/kinds/{kind_id}/delete")
async def delete_kind(request: Request, desk_id: RowId, kind_id: RowId, staff: StaffHere) -> Response:
    change = functools.partial(booking_setup.delete_kind, desk_id=desk_id, kind_id=kind_id)
    again = functools.partial(_booking_page, request, staff, desk_id)
    return await _changed(request, staff, desk_id, change, again, done="deleted")


async def _save_kind(request: Request, staff: Staff, desk_id: int, kind_id: int | None) -> Response:
    typed = _kind_typed(await read_form(request))
    change = functools.partial(booking_setup.save_kind, desk_id=desk_id, kind_id=kind_id, typed=typed)
    again = functools.partial(_kind_page, request, staff, desk_id, kind_id, typed=typed)
    return await _changed(request, staff, desk_id, change, again)


def _kind_typed(sent: Sequence[tuple[str, str]]) -> KindTyped:
    """A field for each language: their names are read from the form, not written into a signature."""
    one = dict(sent)
    return KindTyped(
        names=_of_languages(one, "name_"),
        who_for=_of_languages(one, "who_for_"),
        entry_id=one.get("entry_id", ""),
        languages=tuple(value for name, value in sent if name == "languages"),
        active="active" in one,
        **{name: one.get(name, "") for name in _NUMBERS},
    )


def _of_languages(sent: dict[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in sent.items() if name.startswith(prefix)}


def _kind_shown(values: KindValues) -> KindTyped:
    return KindTyped(
        names=values.names,
        who_for=values.who_for,
        entry_id=values.entry_id or "",
        languages=values.languages,
        active=values.active,
        **{name: str(getattr(values, name)) for name in _NUMBERS},
    )


async def _kind_page(
    request: Request,
    staff: Staff,
    desk_id: int,
    kind_id: int | None,
    *,
    problem: AppError | None = None,
    typed: KindTyped | None = None,
) -> HTMLResponse:
    services: Services = request.app.state.services
    language = staff_language(request, staff)
    setup = await _read_for_change(request, staff, desk_id)
    chosen = next((one for one in setup.kinds if one.id == kind_id), None)
    if kind_id is not None and chosen is None:
        raise NotFound
    shown = typed or (_kind_shown(chosen.values) if chosen else _NEW_KIND)
    return _page(
        request,
        "console/desk_kind.html",
        staff,
        problem=problem,
        setup=setup,
        chosen=chosen,
        typed=shown,
        source=SOURCE,
        entries=_entries(services, language, chosen.values.entry_id if chosen else None),
        all_languages=[(code, language_name(code, language)) for code in KNOWN],
        limits=booking_forms,
    )


# --- resources ---


@router.get("/new-resource")
async def new_resource(request: Request, desk_id: RowId, staff: StaffHere) -> HTMLResponse:
    return await _resource_page(request, staff, desk_id, None, typed=_NEW_RESOURCE)


@router.post("/resources")
async def add_resource(request: Request, desk_id: RowId, staff: StaffHere) -> Response:
    return await _save_resource(request, staff, desk_id, None)


@router.get("/resources/{resource_id}")
async def show_resource(request: Request, desk_id: RowId, resource_id: RowId, staff: StaffHere) -> HTMLResponse:
    return await _resource_page(request, staff, desk_id, resource_id)


@router.post("/resources/{resource_id}")
async def change_resource(request: Request, desk_id: RowId, resource_id: RowId, staff: StaffHere) -> Response:
    return await _save_resource(request, staff, desk_id, resource_id)


@router.post("/resources/{resource_id}/delete")
async def delete_resource(request: Request, desk_id: RowId, resource_id: RowId, staff: StaffHere) -> Response:
    change = functools.partial(booking_setup.delete_resource, desk_id=desk_id, resource_id=resource_id)
    again = functools.partial(_booking_page, request, staff, desk_id)
    return await _changed(request, staff, desk_id, change, again, done="deleted")


async def _save_resource(request: Request, staff: Staff, desk_id: int, resource_id: int | None) -> Response:
    typed = _resource_typed(await read_form(request))
    change = functools.partial(booking_setup.save_resource, desk_id=desk_id, resource_id=resource_id, typed=typed)
    again = functools.partial(_resource_page, request, staff, desk_id, resource_id, typed=typed)
    return await _changed(request, staff, desk_id, change, again)


def _resource_typed(sent: Sequence[tuple[str, str]]) -> ResourceTyped:
    """Its hours come as `from-<weekday>-<number>` and `until-…`."""
    one = dict(sent)
    rows = [(str(day), f"{day}-{number}") for day in range(7) for number in range(SPANS_A_DAY)]
    return ResourceTyped(
        kind=one.get("kind", ""),
        name=one.get("name", ""),
        languages=tuple(value for name, value in sent if name == "languages"),
        own_hours=one.get("hours") == "own",
        hours=[(day, one.get(f"from-{row}", ""), one.get(f"until-{row}", "")) for day, row in rows],
        active="active" in one,
    )


def _resource_shown(values: ResourceValues) -> ResourceTyped:
    rows = [(str(weekday), opens, closes) for weekday, opens, closes in values.availability or ()]
    own = values.availability is not None
    return ResourceTyped(values.kind, values.name, values.languages, own, rows, values.active)


def _table(typed: ResourceTyped) -> list[list[tuple[str, str]]]:
    """Seven days with what was typed in each row, and empty ones up to the most there can be."""
    days = [[row[1:] for row in typed.hours if row[0] == str(day)] for day in range(7)]
    return [[*day, *[("", "")] * (SPANS_A_DAY - len(day))] for day in days]


async def _resource_page(
    request: Request,
    staff: Staff,
    desk_id: int,
    resource_id: int | None,
    *,
    problem: AppError | None = None,
    typed: ResourceTyped | None = None,
) -> HTMLResponse:
    language = staff_language(request, staff)
    setup = await _read_for_change(request, staff, desk_id)
    chosen = next((one for one in setup.resources if one.id == resource_id), None)
    if resource_id is not None and chosen is None:
        raise NotFound
    shown = typed or (_resource_shown(chosen.values) if chosen else _NEW_RESOURCE)
    return _page(
        request,
        "console/desk_resource.html",
        staff,
        problem=problem,
        setup=setup,
        chosen=chosen,
        typed=shown,
        table=_table(shown),
        weekdays=weekday_names(language),
        resource_kinds=_resource_kinds(language),
        all_languages=[(code, language_name(code, language)) for code in KNOWN],
        limits=booking_forms,
    )


# --- what they share ---


async def _changed(
    request: Request, staff: Staff, desk_id: int, change: Change, again: Again, *, done: str = "saved"
) -> Response:
    if await leaves(request):
        return await again()
    problem = await try_change(request, staff, desk_id, change)
    if isinstance(problem, VisitsStranded):
        return await question_page(request, staff, desk_id, problem)
    if problem is not None:
        return await again(problem=problem)
    return RedirectResponse(f"/console/desks/{desk_id}/booking?done={done}", status_code=303)


async def _read_for_change(request: Request, staff: Staff, desk_id: int) -> Setup:
    """Raises NotFound, Forbidden: these pages are forms and nothing else."""
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        setup = await booking_setup.read_setup(session, staff, desk_id, services.now())
    if not setup.changeable:
        raise Forbidden
    return setup


def _entries(services: Services, language: str, kept: str | None) -> list[tuple[str, str]]:
    """Id and title, by title; the one a kind has stays, whatever became of it."""
    found = []
    for entry in services.shelf.library.entries.values():
        text = entry.text_for(language)
        if text and (entry.shown or entry.id == kept):
            found.append((entry.id, text[1].title))
    return sorted(found, key=lambda one: one[1].casefold())


def _resource_kinds(language: str) -> dict[str, str]:
    return {kind: say(language, f"console.booking.{kind}") for kind in RESOURCE_KINDS}


def _spoken(language: str, codes: Collection[str]) -> list[str]:
    return [language_name(code, language) for code in KNOWN if code in codes]


def _page(
    request: Request, template: str, staff: Staff, *, problem: AppError | None, done: str = "", **values: Any
) -> HTMLResponse:
    if problem is not None:
        return problem_page(request, template, problem, staff=staff, **values)
    said = _DONE[done](staff_language(request, staff)) if done in _DONE else None
    return staff_page(request, template, staff=staff, done=said, **values)
