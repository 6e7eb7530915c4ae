"""One's own account: name and language, password, second factor, sessions."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from backend import accounts, second_factor
from backend.access import Staff, access_session
from backend.console_keys import list_keys
from backend.errors import AppError, Conflict, NotFound
from backend.passkeys import list_passkeys
from backend.services import Services
from backend.staff_sessions import end_sessions, list_sessions
from backend.web.staff import StaffHere, clear_staff_cookie, own_form, problem_page, staff_language, staff_page
from backend.web.tries import check_tries
from bot.phrases import say

router = APIRouter(include_in_schema=False, dependencies=[Depends(own_form)])

_NOTICES = ("profile", "password", "second_factor_off", "session_ended", "others_ended", "key_deleted")

Field = Annotated[str, Form()]


async def own_values(request: Request, staff: Staff) -> dict[str, Any]:
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        return {
            "account": await accounts.get_own(session, staff.account_id),
            "factors": await second_factor.find_factors(session, staff.account_id),
            "passkeys": await list_passkeys(session, staff.account_id),
            "sessions": await list_sessions(session, staff.account_id, current=staff.session_id),
            "console_keys": await list_keys(session, staff.account_id),
        }


async def own_problem(request: Request, staff: Staff, error: AppError, **typed: Any) -> Response:
    values = await own_values(request, staff)
    values = {"typed_name": staff.name, "chosen": staff.language, **values, **typed}
    return problem_page(request, "staff/account.html", error, staff=staff, **values)


def _done(notice: str) -> Response:
    return RedirectResponse(f"/account?done={notice}", 303)


async def check_password_tries(services: Services, staff: Staff) -> None:
    """Whoever found an unlocked screen must not try out passwords. Raises TooManyTries."""
    await check_tries(services, "code", account=f"password {staff.account_id}")


@router.get("/account")
async def own_page(request: Request, staff: StaffHere, done: str = "") -> Response:
    values = await own_values(request, staff)
    notice = say(staff_language(request, staff), f"account.done.{done}") if done in _NOTICES else None
    values |= {"typed_name": staff.name, "chosen": staff.language}
    return staff_page(request, "staff/account.html", staff=staff, done=notice, **values)


@router.post("/account/profile")
async def change_profile(request: Request, staff: StaffHere, name: Field = "", language: Field = "") -> Response:
    services: Services = request.app.state.services
    try:
        async with services.sessions.begin() as session:
            await accounts.change_profile(session, staff.account_id, name=name, language=language)
    except AppError as error:
        return await own_problem(request, staff, error, typed_name=name[: accounts.LONGEST_NAME * 2], chosen=language)
    return _done("profile")


@router.post("/account/password")
async def change_password(
    request: Request, staff: StaffHere, current: Field = "", password: Field = "", again: Field = ""
) -> Response:
    services: Services = request.app.state.services
    try:
        await check_password_tries(services, staff)
        await accounts.change_password(
            services.sessions,
            staff.account_id,
            session_id=staff.session_id,
            email=staff.email,
            current=current,
            new=password,
            again=again,
        )
    except AppError as error:
        return await own_problem(request, staff, error)
    return _done("password")


# --- second factor ---


@router.get("/account/second-factor")
async def enrol_page(request: Request, staff: StaffHere) -> Response:
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        factors = await second_factor.find_factors(session, staff.account_id)
        own = await accounts.get_own(session, staff.account_id)
    if factors.app or not own.has_password:
        return RedirectResponse("/account", 303)
    enrolment = second_factor.begin_enrolment(staff.account_id, staff.email)
    return staff_page(request, "staff/enrol.html", staff=staff, enrolment=enrolment)


@router.post("/account/second-factor")
async def enrol(
    request: Request, staff: StaffHere, sealed: Field = "", code: Field = "", current: Field = ""
) -> Response:
    services: Services = request.app.state.services
    try:
        await check_password_tries(services, staff)
        codes = await second_factor.enrol(
            services.sessions,
            staff.account_id,
            session_id=staff.session_id,
            sealed=sealed,
            typed=code,
            password=current,
            now=services.now(),
        )
    except Conflict as error:
        return await own_problem(request, staff, error)
    except AppError as error:
        enrolment = second_factor.begin_enrolment(staff.account_id, staff.email, sealed=sealed)
        return problem_page(request, "staff/enrol.html", error, staff=staff, enrolment=enrolment)
    return _codes_page(request, staff, codes, "account.done.second_factor_on")


def _codes_page(request: Request, staff: Staff, codes: list[str], notice: str) -> Response:
    """No redirect: the codes are kept nowhere, so this answer is the only one that can show them."""
    done = say(staff_language(request, staff), notice)
    return staff_page(request, "staff/recovery_codes.html", staff=staff, codes=codes, done=done)


@router.post("/account/second-factor/off")
async def turn_off(request: Request, staff: StaffHere, current: Field = "") -> Response:
    services: Services = request.app.state.services
    try:
        await check_password_tries(services, staff)
        await second_factor.turn_off(services.sessions, staff.account_id, session_id=staff.session_id, password=current)
    except AppError as error:
        return await own_problem(request, staff, error)
    return _done("second_factor_off")


@router.post("/account/recovery-codes")
async def renew_recovery_codes(request: Request, staff: StaffHere, current: Field = "") -> Response:
    services: Services = request.app.state.services
    try:
        await check_password_tries(services, staff)
        codes = await second_factor.renew_recovery_codes(services.sessions, staff.account_id, password=current)
    except AppError as error:
        return await own_problem(request, staff, error)
    return _codes_page(request, staff, codes, "account.done.recovery_codes")


# --- sessions ---


@router.post("/account/sessions/{session_id}/end")
async def end_one(request: Request, staff: StaffHere, session_id: UUID) -> Response:
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        found = await access_session(session, staff, session_id)
        if found.account_id != staff.account_id:
            raise NotFound  # those of others are ended on the administrators' pages
        await session.delete(found)
        await accounts.record(session, "account.session_ended", staff.account_id, by=staff.account_id, sessions=1)
    if session_id != staff.session_id:
        return _done("session_ended")
    response = RedirectResponse("/sign-in?done=out", 303)
    clear_staff_cookie(response, services)
    return response


@router.post("/account/sessions/end-others")
async def end_others(request: Request, staff: StaffHere) -> Response:
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        ended = await end_sessions(session, staff.account_id, but=staff.session_id)
        if ended:
            by = staff.account_id
            await accounts.record(session, "account.session_ended", staff.account_id, by=by, sessions=ended)
    return _done("others_ended")
