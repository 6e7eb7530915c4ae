"""Passkeys (WebAuthn): adding one, signing in with one. JSON for `static/passkeys.js`; taking one away is a form."""

import json
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from backend.errors import AppError
from backend.passkeys import (
    Begun,
    add_passkey,
    begin_adding,
    begin_sign_in,
    remove_passkey,
    sign_in_with_passkey,
)
from backend.services import Services
from backend.web.staff import (
    HOME,
    StaffHere,
    address_of,
    browser_label,
    own_form,
    safe_next,
    set_staff_cookie,
    staff_token,
)

router = APIRouter(include_in_schema=False, dependencies=[Depends(own_form)])

_LARGEST_BODY = 64 * 1024
_NO_STORE = {"cache-control": "no-store"}


class UnreadableBody(AppError):
    """No JSON object, or a larger one than any authenticator answers."""


async def _read_object(request: Request) -> dict[str, Any]:
    """Raises UnreadableBody."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise UnreadableBody
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableBody from error
    if not isinstance(found, dict):
        raise UnreadableBody
    return found


def _text(sent: dict[str, Any], key: str) -> str:
    value = sent.get(key, "")
    if not isinstance(value, str):
        raise UnreadableBody
    return value


def _credential(sent: dict[str, Any]) -> dict[str, Any]:
    value = sent.get("credential")
    if not isinstance(value, dict):
        raise UnreadableBody
    return value


def _options(begun: Begun) -> Response:
    return JSONResponse({"token": begun.token, "publicKey": begun.options}, headers=_NO_STORE)


@router.post("/account/passkeys/options")
async def adding_options(request: Request, staff: StaffHere) -> Response:
    services: Services = request.app.state.services
    return _options(await begin_adding(services.sessions, services.settings, staff))


@router.post("/account/passkeys")
async def add(request: Request, staff: StaffHere) -> Response:
    services: Services = request.app.state.services
    sent = await _read_object(request)
    await add_passkey(
        services.sessions,
        services.settings,
        staff,
        token=_text(sent, "token"),
        credential=_credential(sent),
        name=_text(sent, "name"),
    )
    return JSONResponse({"next": "/account"}, 201, _NO_STORE)


@router.post("/account/passkeys/{passkey_id}/delete")
async def remove(request: Request, staff: StaffHere, passkey_id: str) -> Response:
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        await remove_passkey(session, staff, passkey_id)
    return RedirectResponse("/account", 303)


@router.post("/sign-in/passkey/options")
async def sign_in_options(request: Request) -> Response:
    services: Services = request.app.state.services
    await services.limits.check("sign_in", address=address_of(request))
    return _options(await begin_sign_in(services.sessions, services.settings))


@router.post("/sign-in/passkey")
async def sign_in(request: Request) -> Response:
    services: Services = request.app.state.services
    await services.limits.check("sign_in", address=address_of(request))
    sent = await _read_object(request)
    token = await sign_in_with_passkey(
        services.sessions,
        services.settings,
        token=_text(sent, "token"),
        credential=_credential(sent),
        browser=browser_label(request),
        replaces=staff_token(request),
    )
    response = JSONResponse({"next": safe_next(_text(sent, "next"), HOME)}, headers=_NO_STORE)
    set_staff_cookie(response, services, token)
    return response
