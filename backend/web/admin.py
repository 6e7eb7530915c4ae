"""Pages of administrators: people, their roles and how they get in. Places and the log are in files of their own."""

import functools
import re
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from backend import administration, organisations, roles
from backend.access import Staff, access_administration
from backend.accounts import LINK_HOURS, link_address
from backend.administration import AccountDisabled
from backend.chat import clean_text
from backend.errors import AppError, InvalidRequest
from backend.mail import MailNotSent, send_mail
from backend.models import Account
from backend.models.staff import ROLES
from backend.roles import Place
from backend.services import Services
from backend.staff_sessions import list_sessions
from backend.web import admin_log, admin_places
from backend.web.admin_page import Change, Field, PageNumber, RowId, admin_page, attempt
from backend.web.staff import StaffHere, own_form
from bot.phrases import say

router = APIRouter(prefix="/admin", include_in_schema=False, dependencies=[Depends(own_form)])
router.include_router(admin_places.router)
router.include_router(admin_log.router)

_PLACE = re.compile(r"(organisation|desk):([1-9][0-9]{0,8})")


def parse_place(raw: str) -> Place:
    """`service`, `organisation:<id>` or `desk:<id>`, as the form sends it. Raises InvalidRequest."""
    if raw == "service":
        return Place()
    found = _PLACE.fullmatch(raw)
    if found is None:
        raise InvalidRequest
    number = int(found[2])
    return Place(organisation_id=number) if found[1] == "organisation" else Place(desk_id=number)


@router.get("/people")
async def list_people(request: Request, staff: StaffHere, q: str = "", page: PageNumber = 1) -> HTMLResponse:
    services: Services = request.app.state.services
    words = " ".join(clean_text(q)[:200].split())
    async with services.sessions.begin() as session:
        found, more = await administration.list_people(session, staff, words=words, page=page)
    return admin_page(request, "admin/people.html", staff, people=found, more=more, q=words, page_number=page)


@router.get("/people/new")
async def ask_new_person(request: Request, staff: StaffHere) -> HTMLResponse:
    return await _new_person_page(request, staff)


@router.post("/people/new")
async def add_person(
    request: Request,
    staff: StaffHere,
    email: Field = "",
    name: Field = "",
    account_language: Annotated[str, Form(alias="language", max_length=20)] = "it",
    role: Field = "",
    place: Field = "",
) -> Response:
    added: list[UUID] = []

    async def change(session: AsyncSession, by: Staff) -> None:
        where = parse_place(place)
        added.append(
            await administration.add_person(
                session, by, email=email, name=name, language=account_language, role=role, place=where
            )
        )

    problem = await attempt(request, staff, change)
    if problem is not None:
        typed = {"email": email, "name": name, "language": account_language, "role": role, "place": place}
        return await _new_person_page(request, staff, problem=problem, typed=typed)
    return RedirectResponse(f"/admin/people/{added[0]}?done=person_added", status_code=303)


@router.get("/people/{account_id}")
async def show_person(request: Request, staff: StaffHere, account_id: UUID) -> HTMLResponse:
    return await _person_page(request, staff, account_id)


@router.post("/people/{account_id}/roles")
async def add_role(
    request: Request, staff: StaffHere, account_id: UUID, role: Field = "", place: Field = ""
) -> Response:
    async def change(session: AsyncSession, by: Staff) -> None:
        await roles.add_role(session, by, account_id, role, parse_place(place))

    return await _changed(request, staff, account_id, change, typed={"role": role, "place": place})


@router.post("/people/{account_id}/roles/{membership_id}/remove")
async def remove_role(request: Request, staff: StaffHere, account_id: UUID, membership_id: RowId) -> Response:
    change = functools.partial(roles.remove_role, account_id=account_id, membership_id=membership_id)
    return await _changed(request, staff, account_id, change)


@router.post("/people/{account_id}/disable")
async def disable(request: Request, staff: StaffHere, account_id: UUID) -> Response:
    change = functools.partial(administration.disable_account, account_id=account_id)
    return await _changed(request, staff, account_id, change)


@router.post("/people/{account_id}/enable")
async def enable(request: Request, staff: StaffHere, account_id: UUID) -> Response:
    change = functools.partial(administration.enable_account, account_id=account_id)
    return await _changed(request, staff, account_id, change)


@router.post("/people/{account_id}/reset-second-factor")
async def reset_second_factor(request: Request, staff: StaffHere, account_id: UUID) -> Response:
    change = functools.partial(administration.reset_second_factor, account_id=account_id)
    return await _changed(request, staff, account_id, change)


@router.post("/people/{account_id}/delete")
async def delete(request: Request, staff: StaffHere, account_id: UUID) -> Response:
    change = functools.partial(administration.delete_account, account_id=account_id)
    return await _changed(request, staff, account_id, change, then="/admin/people?done=deleted")


@router.post("/people/{account_id}/sessions/{session_id}/end")
async def end_session(
    request: Request, staff: StaffHere, account_id: UUID, session_id: UUID, back: Field = ""
) -> Response:
    change = functools.partial(administration.end_session_of, account_id=account_id, session_id=session_id)
    then = "/admin/sessions?done=saved" if back == "sessions" else None
    return await _changed(request, staff, account_id, change, then=then)


@router.post("/people/{account_id}/link")
async def make_link(request: Request, staff: StaffHere, account_id: UUID) -> HTMLResponse:
    """The link is in this answer and nowhere else: an address would stay in the history of the browser."""
    services: Services = request.app.state.services
    try:
        async with services.sessions.begin() as session:
            account, token = await administration.make_link(session, staff, account_id)
    except AccountDisabled as error:
        return await _person_page(request, staff, account_id, problem=error)
    link = link_address(services.settings, token)
    mailed = await _mail_link(services, account, link) if services.settings.smtp_url is not None else None
    return await _person_page(request, staff, account_id, link=link, mailed=mailed)


async def _mail_link(services: Services, account: Account, link: str) -> bool:
    """Whether the mail server took it; the link is handed over by the administrator otherwise."""
    words = functools.partial(say, account.language, name=account.name, link=link, hours=LINK_HOURS)
    subject, body = say(account.language, "admin.mail_subject"), words("admin.mail_body")
    try:
        await send_mail(services.settings, to=account.email, subject=subject, body=body)
    except MailNotSent:
        return False
    return True


async def _changed(
    request: Request,
    staff: Staff,
    account_id: UUID,
    change: Change,
    *,
    then: str | None = None,
    typed: dict[str, str] | None = None,
) -> Response:
    """Makes the change and leads back, or shows the person's page with what is in the way."""
    problem = await attempt(request, staff, change)
    if problem is not None:
        return await _person_page(request, staff, account_id, problem=problem, typed=typed)
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        stays = await administration.may_access(session, staff, account_id, change=False)
    person = f"/admin/people/{account_id}" if stays else "/admin/people"
    return RedirectResponse(then or f"{person}?done=saved", status_code=303)


async def _person_page(
    request: Request,
    staff: Staff,
    account_id: UUID,
    *,
    problem: AppError | None = None,
    typed: dict[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        person = await administration.get_person(session, staff, account_id)
        values |= {
            "person": person,
            "changeable": await administration.may_access(session, staff, account_id, change=True),
            "sessions": await list_sessions(session, account_id, current=staff.session_id),
            "places": await organisations.list_administered(session, staff),
        }
    values = {"link": None, "mailed": None, "roles": ROLES, "typed": typed or {}, "hours": LINK_HOURS} | values
    return admin_page(request, "admin/person.html", staff, problem=problem, **values)


async def _new_person_page(
    request: Request, staff: Staff, *, problem: AppError | None = None, typed: dict[str, str] | None = None
) -> HTMLResponse:
    services: Services = request.app.state.services
    access_administration(staff, change=True)
    async with services.sessions.begin() as session:
        places = await organisations.list_administered(session, staff)
    typed = typed or {"language": staff.language}
    return admin_page(request, "admin/new_person.html", staff, problem=problem, typed=typed, places=places, roles=ROLES)
