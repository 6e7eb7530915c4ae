"""Who has left: their cookies go, and what nobody at a desk is answering is erased."""

import logging

from fastapi import Request
from fastapi.responses import Response
from starlette.background import BackgroundTask

from backend.conversations import leave_conversation
from backend.errors import AppError, NotFound
from backend.services import Services
from backend.web.cookies import (
    CHAT_COOKIE,
    LANGUAGE_COOKIE,
    LEFT_COOKIE,
    SITE_LANGUAGE_COOKIE,
    clear_cookie,
    cookie,
    is_embedded,
)
from backend.web.tokens import Caller, caller_of_cookie

log = logging.getLogger(__name__)


def end_visit(request: Request, response: Response, services: Services) -> None:
    """Away at once: the erasing happens after the answer, and whatever happens to it, the answer was given."""
    site = (SITE_LANGUAGE_COOKIE,) if is_embedded(request) else ()
    for name in (
        CHAT_COOKIE,
        LANGUAGE_COOKIE,
        LEFT_COOKIE,
        *site,
    ):  # the language chosen here would tell something, too
        clear_cookie(response, name, request)
    caller = caller_of_cookie(request)
    if caller is not None:
        response.background = BackgroundTask(_erase, services, caller)


def left_unheard(request: Request) -> bool:
    """Whether somebody left in this browser while there was no network to say so."""
    return bool(cookie(request, LEFT_COOKIE))


async def _erase(services: Services, caller: Caller) -> None:
    try:
        await leave_conversation(services.sessions, caller.conversation_id, caller.token)
    except NotFound:
        return
    except AppError as error:
        log.warning("a conversation that was left could not be erased (%s)", error.code)
