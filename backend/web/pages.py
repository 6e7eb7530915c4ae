"""Templates and what every page needs: the reader's language, direction and the phrases."""

import functools
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from backend.errors import AppError, TooManyRequests
from bot.phrases import KNOWN, SPOKEN, best_spoken, number, say

TEMPLATES = Path(__file__).parent / "templates"
LANGUAGE_COOKIE = "elp_language"

_environment = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.globals.update(languages=SPOKEN, known_languages=KNOWN)


def reader_language(request: Request) -> str:
    """What was chosen (address, then cookie), else what the browser asks for."""
    for wanted in (request.query_params.get("language"), request.cookies.get(LANGUAGE_COOKIE)):
        if wanted in SPOKEN:
            return str(wanted)
    return best_spoken(request.headers.get("accept-language", ""))


def retry_header(error: AppError) -> dict[str, str]:
    """Of a refusal that passes, when to come back (RFC 9110 section 10.2.3)."""
    return {"retry-after": str(error.values["seconds"])} if isinstance(error, TooManyRequests) else {}


def render(name: str, *, language: str, **values: Any) -> str:
    return _environment.get_template(name).render(
        language=language,
        direction=KNOWN[language].direction,
        say=functools.partial(say, language),
        counted=functools.partial(number, language),
        **values,
    )


def page(request: Request, name: str, *, language: str, status_code: int = 200, **values: Any) -> HTMLResponse:
    body = render(name, language=language, request=request, **values)
    return HTMLResponse(body, status_code, {"content-language": language, "vary": "Accept-Language, Cookie"})
