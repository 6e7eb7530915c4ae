"""What every page for staff needs: who is signed in, forms that only our own pages can send, the frame of the page."""

import functools
import re
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from backend.access import Staff
from backend.errors import AppError, Forbidden, Unauthorized
from backend.services import Services
from backend.staff_sessions import find_staff
from backend.web.cookies import LANGUAGE_COOKIE
from backend.web.local_time import in_rome
from backend.web.pages import page, reader_language, retry_header
from bot.phrases import SPOKEN

HOME = "/sign-in"
"""Leads whoever is signed in to their own first page."""
_COOKIE = "elp_staff"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class SignInNeeded(Unauthorized):
    """Nobody is signed in. A page leads to the sign-in and back; everything else gets 401."""


def cookie_name(services: Services) -> str:
    """With HTTPS the prefix makes browsers refuse a cookie set by a neighbouring host (RFC 6265bis)."""
    return f"__Host-{_COOKIE}" if services.settings.https else _COOKIE


def staff_token(request: Request) -> str:
    services: Services = request.app.state.services
    return request.cookies.get(cookie_name(services), "")[:200]


def set_staff_cookie(response: Response, services: Services, token: str) -> None:
    """No `max_age`: a browser that is closed forgets it; the server forgets it after hours in any case."""
    response.set_cookie(
        cookie_name(services), token, httponly=True, samesite="lax", secure=services.settings.https, path="/"
    )


def clear_staff_cookie(response: Response, services: Services) -> None:
    response.delete_cookie(
        cookie_name(services), httponly=True, samesite="lax", secure=services.settings.https, path="/"
    )


async def signed_in(request: Request) -> Staff:
    """Raises SignInNeeded, Unavailable."""
    services: Services = request.app.state.services
    token = staff_token(request)
    staff = await find_staff(services.sessions, token) if token else None
    if staff is None:
        raise SignInNeeded
    return staff


StaffHere = Annotated[Staff, Depends(signed_in)]


def own_form(request: Request) -> None:
    """A dependency of every router for staff. Raises Forbidden unless the browser says that our own page sent the form
    (OWASP CSRF, Fetch Metadata with Origin as the fall-back): stricter than for people, whose browsers may be old."""
    if request.method in _SAFE:
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        if site != "same-origin":
            raise Forbidden
    elif origin is None or origin.partition("://")[2] != request.headers.get("host"):
        raise Forbidden


def address_of(request: Request) -> str:
    """For limits only; never stored, never logged."""
    return request.client.host if request.client else ""


_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
"""What a User-Agent says, the more special one first: nearly all of them call themselves Safari, too."""


def browser_label(request: Request) -> str:
    """Such as «Firefox, Linux», so that people know their own sessions again; empty when it says neither."""
    agent = request.headers.get("user-agent", "")[:400]
    found = (next((name for mark, name in known if mark in agent), "") for known in (_BROWSERS, _SYSTEMS))
    return ", ".join(filter(None, found))


def sign_in_redirect(request: Request) -> RedirectResponse:
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    query = f"?{urlencode({'next': target})}" if request.method == "GET" and target != "/console" else ""
    return RedirectResponse(f"/sign-in{query}", status_code=303)


def safe_next(target: str, default: str = "/console") -> str:
    """A path of ours and nothing else: `next` must not lead to another site."""
    return target if re.fullmatch(r"/(?!/)[A-Za-z0-9_./?=&%:-]{0,300}", target) and "\\" not in target else default


def staff_language(request: Request, staff: Staff | None) -> str:
    """The account's own language; before anybody is signed in, the browser's."""
    chosen = request.query_params.get("language") or request.cookies.get(LANGUAGE_COOKIE)
    if staff is not None and chosen not in SPOKEN and staff.language in SPOKEN:
        return staff.language
    return reader_language(request)


def staff_page(
    request: Request, template: str, *, staff: Staff | None, status_code: int = 200, **values: Any
) -> HTMLResponse:
    """A page in the frame of `staff/base.html`; never kept by a browser or a proxy."""
    language = staff_language(request, staff)
    values["when"] = functools.partial(in_rome, language)
    values.setdefault("problem", None)
    values.setdefault("done", None)
    response = page(request, template, language=language, status_code=status_code, staff=staff, **values)
    response.headers["cache-control"] = "no-store"
    return response


def problem_page(
    request: Request, template: str, error: AppError, *, staff: Staff | None, **values: Any
) -> HTMLResponse:
    """The same page again with a kind sentence, and what was typed still in its fields."""
    response = staff_page(request, template, staff=staff, status_code=error.status, problem=error, **values)
    response.headers.update(retry_header(error))
    return response


__all__ = [
    "SignInNeeded",
    "StaffHere",
    "address_of",
    "browser_label",
    "clear_staff_cookie",
    "cookie_name",
    "own_form",
    "problem_page",
    "safe_next",
    "set_staff_cookie",
    "sign_in_redirect",
    "signed_in",
    "staff_language",
    "staff_page",
    "staff_token",
]
