"""Where Telegram brings updates, with `ELP_TELEGRAM_MODE=webhook`. Only Telegram knows the secret that opens it."""

import hmac
import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from backend.errors import InvalidRequest, NotFound
from backend.services import Services
from backend.telegram_poll import WEBHOOK, readable
from backend.telegram_store import load_state, store_updates
from backend.web.api import ServicesHere

router = APIRouter(include_in_schema=False)
_SECRET = "x-telegram-bot-api-secret-token"  # noqa: S105 - the name of a header


@router.post(WEBHOOK)
async def receive_update(request: Request, services: ServicesHere) -> Response:
    """Answered when it is stored: what is answered, Telegram forgets. To everybody else there is nothing here.

    Raises NotFound, InvalidRequest, Unavailable."""
    settings = services.settings
    if settings.telegram_token is None or settings.telegram_mode != "webhook":
        raise NotFound
    shown = request.headers.get(_SECRET, "").encode("utf-8", "replace")
    if not hmac.compare_digest(shown, settings.webhook_secret.encode()):
        raise NotFound
    found = readable([_parsed(await request.body())], username=await _username(request, services))
    await store_updates(services.engine, found)
    return Response(status_code=200)


def _parsed(body: bytes) -> Any:
    """Raises InvalidRequest."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest from error


async def _username(request: Request, services: Services) -> str | None:
    """The bot's own; asked for once it is known, because it stays."""
    known: str | None = getattr(request.app.state, "telegram_username", None)
    if known is None:
        known = (await load_state(services.sessions)).username
        request.app.state.telegram_username = known
    return known
