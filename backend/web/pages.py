"""Templates and what every page needs: the reader's language, direction and the phrases."""

import functools
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from backend.errors import AppError, TooManyRequests
from backend.web.cookies import LANGUAGE_COOKIE, SITE_LANGUAGE_COOKIE, cookie, home, is_embedded
from backend.web.static import address
from bot.card import EMERGENCY_NUMBER
from bot.phrases import KNOWN, SPOKEN, best_spoken, number, say

TEMPLATES = Path(__file__).parent / "templates"

_environment = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.globals.update(
    languages=SPOKEN,
    known_languages=KNOWN,
    language_buttons=[f"language:{code}" for code in SPOKEN],
    emergency_number=EMERGENCY_NUMBER,
    static=address,
)


def reader_language(request: Request) -> str:
    """What was chosen (address, then cookie), else what the page around ours wishes, else what the browser asks for."""
    chosen = (request.query_params.get("language"), cookie(request, LANGUAGE_COOKIE))
    for wanted in (*chosen, *_site_wishes(request)):
        if wanted in SPOKEN:
            return str(wanted)
    return best_spoken(request.headers.get("accept-language", ""))


def reads_none_of_ours(request: Request) -> bool:
    """Nothing was chosen, and the browser asks for no language that we have: the page is in one by mere chance."""
    asked = request.headers.get("accept-language", "")
    return bool(asked) and not best_spoken(asked, default="") and cookie(request, LANGUAGE_COOKIE) not in SPOKEN


def _site_wishes(request: Request) -> tuple[str | None, ...]:
    if not is_embedded(request):
        return ()
    return request.query_params.get("suggest"), cookie(request, SITE_LANGUAGE_COOKIE)


def retry_header(error: AppError) -> dict[str, str]:
    """Of a refusal that passes, when to come back (RFC 9110 section 10.2.3)."""
    return {"retry-after": str(error.values["seconds"])} if isinstance(error, TooManyRequests) else {}


_AT_HOME: dict[str, Any] = {"home": "/", "embedded": False}


def render(name: str, *, language: str, **values: Any) -> str:
    """`home`: path of the chat page, another one where it stands inside another site's page (`embedded`)."""
    return _environment.get_template(name).render(
        language=language,
        direction=KNOWN[language].direction,
        say=functools.partial(say, language),
        counted=functools.partial(number, language),
        **(_AT_HOME | values),
    )


def page(request: Request, name: str, *, language: str, status_code: int = 200, **values: Any) -> HTMLResponse:
    around = {"home": home(request), "embedded": is_embedded(request), "request": request}
    body = render(name, language=language, **around, **values)
    return HTMLResponse(body, status_code, {"content-language": language, "vary": "Accept-Language, Cookie"})
