"""The privacy notice, what is kept of a person, leaving quickly. Every step is a form and works without JavaScript."""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from backend.conversations import (
    Access,
    access_conversation,
    check_access,
    erase_conversation,
    export_conversation,
    token_hash,
)
from backend.db import retried
from backend.errors import NotFound
from backend.people import find_known, page_closed, turn_forgetting
from backend.services import Services
from backend.web.api import ServicesHere
from backend.web.cookies import CHAT_COOKIE, check_same_site, clear_cookie, home
from backend.web.leaving import end_visit
from backend.web.pages import page, reader_language
from backend.web.tokens import Caller, caller_of_page
from bot.phrases import SPOKEN, isolate
from bot.privacy import NOTICE, controller_line, days, known_lines, notice_text
from bot.turn import Known

router = APIRouter(include_in_schema=False)
T = TypeVar("T")
_RECEIPT = re.compile(r"\d{8}-[0-9A-F]{8}")


def _caller(request: Request) -> Caller:
    """Raises NotFound: this browser is in no conversation."""
    caller = caller_of_page(request)
    if caller is None:
        raise NotFound
    return caller


async def _with_access(services: Services, caller: Caller, work: Callable[[AsyncSession, Access], Awaitable[T]]) -> T:
    """One short transaction on this browser's conversation. Raises NotFound, Unavailable."""

    async def transaction() -> T:
        async with services.sessions.begin() as session:
            return await work(session, await access_conversation(session, caller.conversation_id, caller.token))

    return await retried(transaction)


async def _find_known(request: Request, services: Services) -> tuple[Access, Known] | None:
    caller = caller_of_page(request)
    if caller is None:
        return None

    async def work(session: AsyncSession, access: Access) -> tuple[Access, Known]:
        return access, await find_known(session, access.id, services.chat.keeping)

    try:
        return await _with_access(services, caller, work)
    except NotFound:
        return None


@router.get("/privacy")
async def show_privacy(request: Request, services: ServicesHere, erased: str = "") -> Response:
    found, keeping = await _find_known(request, services), services.chat.keeping
    language = reader_language(request)
    if found is not None and request.query_params.get("language") not in SPOKEN:
        language = found[0].language
    response = page(
        request,
        "privacy.html",
        language=language,
        exit_url=services.settings.exit_url,
        controller=controller_line(language, keeping),
        parts=[(part, notice_text(language, part, keeping)) for part in NOTICE],
        receipt_days=days(language, services.settings.keep_receipts_days),
        known=known_lines(language, found[1]) if found else None,
        forgets=found is not None and found[1].forgets,
        receipt=isolate(language, erased) if _RECEIPT.fullmatch(erased) else None,
    )
    response.headers["cache-control"] = "no-store"
    return response


@router.get("/mine/export")
async def export(request: Request, services: ServicesHere) -> Response:
    """All that is known, as a file. Raises NotFound, Unauthorized."""
    caller = _caller(request)
    known = await export_conversation(services.sessions, caller.conversation_id, caller.token)
    body = json.dumps(known, ensure_ascii=False, indent=2).encode()
    headers = {"content-disposition": 'attachment; filename="elp-chat.json"', "cache-control": "no-store"}
    return Response(body, media_type="application/json", headers=headers)


@router.post("/mine/erase")
async def erase(request: Request, services: ServicesHere) -> Response:
    check_same_site(request)
    caller = _caller(request)
    receipt = await erase_conversation(services.sessions, caller.conversation_id, caller.token)
    response = RedirectResponse(f"{home(request)}privacy?erased={receipt}", status_code=303)
    clear_cookie(response, CHAT_COOKIE, request)
    return response


@router.post("/mine/forget-on-close")
async def forget_on_close(
    request: Request, services: ServicesHere, forget: Annotated[str, Form(pattern="^(yes|no)$")]
) -> Response:
    check_same_site(request)
    await _with_access(
        services,
        _caller(request),
        lambda session, access: turn_forgetting(session, access.id, on=forget == "yes"),
    )
    return RedirectResponse(f"{home(request)}privacy#yours", status_code=303)


@router.post("/leave")
async def leave(request: Request, services: ServicesHere) -> Response:
    check_same_site(request)
    headers = {"cache-control": "no-store", "clear-site-data": '"cache", "storage"'}
    response = RedirectResponse(services.settings.exit_url, status_code=303, headers=headers)
    end_visit(request, response, services)
    return response


@router.post("/closing", status_code=204)
async def closing(request: Request, services: ServicesHere) -> None:
    """What a page sends with its last breath."""
    check_same_site(request)
    caller = caller_of_page(request)
    if caller is not None:
        await page_closed(services.sessions, caller.conversation_id, token_hash(caller.token))


@router.post("/still-here", status_code=204)
async def still_here(request: Request, services: ServicesHere) -> None:
    """Of a page without an event stream. Raises NotFound: what it shows is erased."""
    check_same_site(request)
    caller = _caller(request)
    await check_access(services.sessions, caller.conversation_id, caller.token)
