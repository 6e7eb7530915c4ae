"""Signing in and out, one-time links, a new password by mail."""

import logging
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.background import BackgroundTask

from backend import accounts, second_factor, sign_in
from backend.access import CONSOLE, OVERSIGHT, Staff
from backend.accounts import LinkUsed
from backend.errors import AppError, NotFound
from backend.mail import MailNotSent, send_mail
from backend.second_factor import Factors, SignInAgain, WrongCode
from backend.services import Services
from backend.sign_in import SignInFailed
from backend.single_sign_on import SignOnRefused, SignOnUnavailable
from backend.staff_sessions import end_session, find_staff, find_waiting_account
from backend.web import account
from backend.web.staff import (
    address_of,
    browser_label,
    clear_staff_cookie,
    own_form,
    problem_page,
    safe_next,
    set_staff_cookie,
    staff_language,
    staff_page,
    staff_token,
)
from backend.web.tries import check_tries
from bot.phrases import say

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False, dependencies=[Depends(own_form)])
router.include_router(account.router)

_NOTICES = {"password": "sign_in.password_saved", "administrator": "sign_in.account_made", "out": "sign_in.signed_out"}
_RESET_HOURS = 2
"""Short, because it waits in a mailbox."""

Field = Annotated[str, Form()]
Target = Annotated[str, Query(alias="next")]
TargetField = Annotated[str, Form(alias="next")]


def home(staff: Staff) -> str:
    """The first page of somebody who did not ask for a certain one."""
    if staff.holds(*CONSOLE):
        return "/console"
    return "/admin/people" if staff.holds(*OVERSIGHT) else "/account"


async def signed_in_redirect(services: Services, token: str, target: str) -> Response:
    """To the page that was asked for, with the cookie of a complete session."""
    staff = await find_staff(services.sessions, token)
    response = RedirectResponse(safe_next(target, home(staff) if staff else "/account"), 303)
    set_staff_cookie(response, services, token)
    return response


def _with_target(path: str, target: str) -> str:
    kept = safe_next(target, "")
    return f"{path}?{urlencode({'next': kept})}" if kept else path


# --- signing in ---


def _sign_in_values(services: Services, *, target: str, email: str = "") -> dict[str, Any]:
    settings = services.settings
    single = settings.oidc_name if settings.oidc_issuer else None
    kept = safe_next(target, "")
    return {"email": email, "target": kept, "single_sign_on": single, "by_mail": settings.smtp_url is not None}


@router.get("/sign-in")
async def sign_in_page(request: Request, target: Target = "", done: str = "", problem: str = "") -> Response:
    services: Services = request.app.state.services
    token = staff_token(request)
    staff = await find_staff(services.sessions, token) if token else None
    if staff is not None:
        return RedirectResponse(safe_next(target, home(staff)), 303)
    notice = say(staff_language(request, None), _NOTICES[done]) if done in _NOTICES else None
    values = _sign_in_values(services, target=target)
    failed = next((error() for error in (SignOnRefused, SignOnUnavailable) if error.code == problem), None)
    return staff_page(request, "staff/sign_in.html", staff=None, done=notice, problem=failed, **values)


@router.post("/sign-in")
async def open_by_password(
    request: Request, email: Field = "", password: Field = "", target: TargetField = ""
) -> Response:
    services: Services = request.app.state.services
    address, mailbox = address_of(request), email.strip().lower()[: accounts.LONGEST_EMAIL + 1]
    try:
        await check_tries(services, "sign_in", pair=f"{mailbox}|{address}", email=mailbox, address=address)
        opened = await sign_in.sign_in(
            services.sessions,
            email=mailbox,
            password=password,
            browser=browser_label(request),
            replaces=staff_token(request),
        )
    except AppError as error:
        values = _sign_in_values(services, target=target, email=mailbox)
        response: Response = problem_page(request, "staff/sign_in.html", error, staff=None, **values)
        if isinstance(error, SignInFailed) and error.account_id is not None:
            response.background = BackgroundTask(
                sign_in.record_failure, services.sessions, error.account_id, "password"
            )
        return response
    if opened.complete:
        return await signed_in_redirect(services, opened.token, target)
    response = RedirectResponse(_with_target("/sign-in/second-factor", target), 303)
    set_staff_cookie(response, services, opened.token)
    return response


@router.get("/sign-in/second-factor")
async def second_factor_page(request: Request, target: Target = "") -> Response:
    factors = await _waiting_factors(request)
    if factors is None:
        return RedirectResponse(_with_target("/sign-in", target), 303)
    kept = safe_next(target, "")
    return staff_page(request, "staff/second_factor.html", staff=None, factors=factors, target=kept)


async def _waiting_factors(request: Request) -> Factors | None:
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        account_id = await find_waiting_account(session, staff_token(request))
        return await second_factor.find_factors(session, account_id) if account_id else None


@router.post("/sign-in/second-factor")
async def open_by_code(request: Request, code: Field = "", target: TargetField = "") -> Response:
    services: Services = request.app.state.services
    token = staff_token(request)
    async with services.sessions.begin() as session:
        account_id = await find_waiting_account(session, token)
    try:
        if account_id is None:
            raise SignInAgain
        await check_tries(services, "code", account=str(account_id))
        fresh = await second_factor.complete_sign_in(
            services.sessions, token, code, browser=browser_label(request), now=services.now()
        )
    except SignInAgain as error:
        values = _sign_in_values(services, target=target)
        return problem_page(request, "staff/sign_in.html", error, staff=None, **values)
    except AppError as error:
        values = {
            "factors": await _waiting_factors(request) or Factors(True, False, 0),
            "target": safe_next(target, ""),
        }
        response = problem_page(request, "staff/second_factor.html", error, staff=None, **values)
        if isinstance(error, WrongCode) and account_id is not None:
            response.background = BackgroundTask(sign_in.record_failure, services.sessions, account_id, "code")
        return response
    return await signed_in_redirect(services, fresh, target)


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        await end_session(session, staff_token(request))
    response = RedirectResponse("/sign-in?done=out", 303)
    clear_staff_cookie(response, services)
    return response


# --- links that work once ---


def _no_link(request: Request, error: AppError) -> Response:
    services: Services = request.app.state.services
    by_mail = services.settings.smtp_url is not None
    return problem_page(request, "staff/link.html", error, staff=None, owner=None, by_mail=by_mail)


@router.get("/link/{token}")
async def link_page(request: Request, token: str) -> Response:
    """Only looks: programs that open links in mails before people do must not use it up."""
    services: Services = request.app.state.services
    try:
        async with services.sessions.begin() as session:
            owner = await accounts.get_link(session, token)
    except LinkUsed as error:
        return _no_link(request, error)
    return staff_page(request, "staff/link.html", staff=None, owner=owner, typed_name="", email="")


@router.post("/link/{token}")
async def use_link(
    request: Request, token: str, password: Field = "", again: Field = "", name: Field = "", email: Field = ""
) -> Response:
    services: Services = request.app.state.services
    try:
        async with services.sessions.begin() as session:
            owner = await accounts.get_link(session, token)
    except LinkUsed as error:
        return _no_link(request, error)
    try:
        if owner.account_id is None:
            language = staff_language(request, None)
            await accounts.make_first_administrator(
                services.sessions, token, email=email, name=name, password=password, again=again, language=language
            )
        else:
            await accounts.set_password_by_link(services.sessions, token, password, again=again)
    except LinkUsed as error:
        return _no_link(request, error)
    except AppError as error:
        typed = {"typed_name": name[: accounts.LONGEST_NAME * 2], "email": email[: accounts.LONGEST_EMAIL * 2]}
        return problem_page(request, "staff/link.html", error, staff=None, owner=owner, **typed)
    return await _start_afresh(request, "administrator" if owner.account_id is None else "password")


async def _start_afresh(request: Request, notice: str) -> Response:
    """To the sign-in, also when this browser belonged to somebody else until now."""
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        await end_session(session, staff_token(request))
    response = RedirectResponse(f"/sign-in?done={notice}", 303)
    clear_staff_cookie(response, services)
    return response


# --- a new password by mail ---


def _check_mail(services: Services) -> None:
    if services.settings.smtp_url is None:
        raise NotFound


@router.get("/forgot")
async def forgot_page(request: Request) -> Response:
    _check_mail(request.app.state.services)
    return staff_page(request, "staff/forgot.html", staff=None, email="", sent=False)


@router.post("/forgot")
async def forgot(request: Request, email: Field = "") -> Response:
    """Says the same whether the account exists or not; the work is done after the answer was sent."""
    services: Services = request.app.state.services
    _check_mail(services)
    try:
        mailbox = accounts.clean_email(email)
        await check_tries(services, "link", email=mailbox, address=address_of(request))
    except AppError as error:
        typed = email[: accounts.LONGEST_EMAIL * 2]
        return problem_page(request, "staff/forgot.html", error, staff=None, email=typed, sent=False)
    response = staff_page(request, "staff/forgot.html", staff=None, email="", sent=True)
    response.background = BackgroundTask(_mail_link, services, mailbox)
    return response


async def _mail_link(services: Services, mailbox: str) -> None:
    async with services.sessions.begin() as session:
        found = await accounts.account_for_reset(session, mailbox)
        if found is None:
            return
        account_id, language = found
        token = await accounts.new_link(session, account_id, hours=_RESET_HOURS)
    link = accounts.link_address(services.settings, token)
    body = say(language, "mail.reset_body", link=link, hours=_RESET_HOURS)
    try:
        await send_mail(services.settings, to=mailbox, subject=say(language, "mail.reset_subject"), body=body)
    except MailNotSent:
        log.warning("a link for a new password could not be sent")
