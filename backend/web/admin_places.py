"""Administrators' pages of organisations and their desks."""

import functools
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from backend import organisations
from backend.access import Staff
from backend.errors import AppError
from backend.services import Services
from backend.web.admin_page import Change, Field, RowId, admin_page, attempt
from backend.web.staff import StaffHere, staff_language
from knowledge_base.entry import Kind
from knowledge_base.library import Library

router = APIRouter()


def desk_entries(library: Library) -> frozenset[str]:
    """Ids of the entries that may describe a desk: those where people are received, and offices with an address."""
    offices = {
        entry.id
        for entry in library.entries.values()
        if entry.shown and entry.kind in (Kind.SERVICE, Kind.PLACE) and entry.facts.address
    }
    return frozenset(offices | {entry.id for entry in library.desks()})


def _choices(library: Library, language: str, kept: str | None = None) -> list[tuple[str, str]]:
    """Id and title for a select, by title; `kept` is chosen already and stays, whatever it is now."""
    found = []
    for entry_id in desk_entries(library) | ({kept} if kept else set()):
        entry = library.find_entry(entry_id)
        text = entry.text_for(language) if entry else None
        found.append((entry_id, text[1].title if text else entry_id))
    return sorted(found, key=lambda choice: choice[1].casefold())


@router.get("/organisations")
async def list_organisations(request: Request, staff: StaffHere) -> HTMLResponse:
    return await _organisations_page(request, staff)


@router.post("/organisations")
async def add_organisation(request: Request, staff: StaffHere, name: Field = "") -> Response:
    change = functools.partial(organisations.add_organisation, name=name)
    return await _changed(request, staff, change, form="organisation", typed={"name": name})


@router.post("/organisations/{organisation_id}")
async def rename_organisation(request: Request, staff: StaffHere, organisation_id: RowId, name: Field = "") -> Response:
    change = functools.partial(organisations.rename_organisation, organisation_id=organisation_id, name=name)
    return await _changed(request, staff, change, form=f"rename:{organisation_id}", typed={"name": name})


@router.post("/organisations/{organisation_id}/delete")
async def delete_organisation(request: Request, staff: StaffHere, organisation_id: RowId) -> Response:
    change = functools.partial(organisations.delete_organisation, organisation_id=organisation_id)
    return await _changed(request, staff, change, done="deleted")


@router.post("/organisations/{organisation_id}/desks")
async def add_desk(
    request: Request, staff: StaffHere, organisation_id: RowId, name: Field = "", entry: Field = ""
) -> Response:
    services: Services = request.app.state.services
    entries = desk_entries(services.shelf.library)

    change = functools.partial(
        organisations.add_desk, organisation_id=organisation_id, name=name, entry_id=entry or None, entries=entries
    )
    typed = {"name": name, "entry": entry}
    return await _changed(request, staff, change, form=f"desk:{organisation_id}", typed=typed)


@router.get("/desks/{desk_id}")
async def show_desk(request: Request, staff: StaffHere, desk_id: RowId) -> HTMLResponse:
    return await _desk_page(request, staff, desk_id)


@router.post("/desks/{desk_id}")
async def change_desk(
    request: Request, staff: StaffHere, desk_id: RowId, name: Field = "", entry: Field = ""
) -> Response:
    services: Services = request.app.state.services
    entries = desk_entries(services.shelf.library)
    change = functools.partial(
        organisations.change_desk, desk_id=desk_id, name=name, entry_id=entry or None, entries=entries
    )
    problem = await attempt(request, staff, change)
    if problem is not None:
        return await _desk_page(request, staff, desk_id, problem=problem, typed={"name": name, "entry": entry})
    return RedirectResponse(f"/admin/desks/{desk_id}?done=saved", status_code=303)


@router.post("/desks/{desk_id}/delete")
async def delete_desk(request: Request, staff: StaffHere, desk_id: RowId) -> Response:
    change = functools.partial(organisations.delete_desk, desk_id=desk_id)
    return await _changed(request, staff, change, done="deleted")


async def _changed(
    request: Request,
    staff: Staff,
    change: Change,
    *,
    done: str = "saved",
    **values: Any,
) -> Response:
    """Makes the change and leads back to the list, or shows the list with what is in the way."""
    problem = await attempt(request, staff, change)
    if problem is not None:
        return await _organisations_page(request, staff, problem=problem, **values)
    return RedirectResponse(f"/admin/organisations?done={done}", status_code=303)


async def _organisations_page(
    request: Request, staff: Staff, *, problem: AppError | None = None, form: str | None = None, **values: Any
) -> HTMLResponse:
    """`form` is the one that was sent: only that one shows `typed` again."""
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        found = await organisations.list_organisations(session, staff)
        administered = {one.id for one in await organisations.list_administered(session, staff)}
    library, language = services.shelf.library, staff_language(request, staff)
    used = {desk.entry_id for one in found for desk in one.desks}
    values = {"typed": {}} | values
    return admin_page(
        request,
        "admin/organisations.html",
        staff,
        problem=problem,
        organisations=found,
        administered=administered,
        entries=[choice for choice in _choices(library, language) if choice[0] not in used],
        titles=dict(_choices(library, language)),
        form=form,
        **values,
    )


async def _desk_page(
    request: Request,
    staff: Staff,
    desk_id: int,
    *,
    problem: AppError | None = None,
    typed: dict[str, str] | None = None,
) -> HTMLResponse:
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        desk, organisation, members = await organisations.get_desk(session, staff, desk_id)
        administered = {one.id for one in await organisations.list_administered(session, staff)}
    return admin_page(
        request,
        "admin/desk.html",
        staff,
        problem=problem,
        desk=desk,
        organisation=organisation,
        members=members,
        changeable=desk.organisation_id in administered,
        entries=_choices(services.shelf.library, staff_language(request, staff), desk.entry_id),
        typed=typed or {"name": desk.name, "entry": desk.entry_id or ""},
    )
