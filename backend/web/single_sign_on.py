"""Signing in with the organisation's own accounts (OpenID Connect)."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from backend.errors import AppError
from backend.services import Services
from backend.single_sign_on import MINUTES, SignOnRefused, SignOnUnavailable, arrive, depart
from backend.web.staff import HOME, address_of, browser_label, own_form, safe_next, set_staff_cookie, staff_token

router = APIRouter(include_in_schema=False, dependencies=[Depends(own_form)])


def _cookie_name(services: Services) -> str:
    return "__Host-elp_sign_on" if services.settings.https else "elp_sign_on"


def _back(error: AppError) -> Response:
    """To the sign-in page, which shows the sentence of this code."""
    return RedirectResponse(f"/sign-in?problem={error.code}", 303, {"cache-control": "no-store"})


@router.get("/sign-in/oidc")
async def leave(request: Request) -> Response:
    services: Services = request.app.state.services
    await services.limits.check("sign_in", address=address_of(request))
    try:
        to = await depart(
            services.sessions, services.settings, next_page=safe_next(request.query_params.get("next", ""), HOME)
        )
    except SignOnUnavailable as error:
        return _back(error)
    response = RedirectResponse(to.address, 303, {"cache-control": "no-store"})
    # Lax, because the way back begins at the provider's site.
    response.set_cookie(
        _cookie_name(services),
        to.cookie,
        max_age=MINUTES * 60,
        path="/",
        httponly=True,
        samesite="lax",
        secure=services.settings.https,
    )
    return response


@router.get("/sign-in/oidc/callback")
async def come_back(request: Request) -> Response:
    services: Services = request.app.state.services
    await services.limits.check("sign_in", address=address_of(request))
    try:
        arrival = await arrive(
            services.sessions,
            services.settings,
            answer=request.query_params,
            cookie=request.cookies.get(_cookie_name(services), "")[:200],
            browser=browser_label(request),
            replaces=staff_token(request),
        )
    except (SignOnRefused, SignOnUnavailable) as error:
        return _back(error)
    response = RedirectResponse(safe_next(arrival.next, HOME), 303, {"cache-control": "no-store"})
    set_staff_cookie(response, services, arrival.token)
    response.delete_cookie(
        _cookie_name(services), path="/", httponly=True, samesite="lax", secure=services.settings.https
    )
    return response
