"""The chat as a small app: its manifest, the page that is there without a network, and the worker that shows it.

What is kept on a device, and when: docs/decisions/0022-offline.md.
"""

import hashlib
import itertools
import json
import re
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from backend.services import Services
from backend.web.api import ServicesHere
from backend.web.pages import reader_language, render
from backend.web.static import OWN, address
from bot.card import EMERGENCY_NUMBER
from bot.dialogue import emergency_lines
from bot.emergency import NUMBERS
from bot.phrases import KNOWN, say
from bot.turn import Emergency, EmergencyLine

router = APIRouter(include_in_schema=False)
_LINES = tuple(dict.fromkeys(("112", *itertools.chain.from_iterable(NUMBERS.values()))))
"""Of every kind of danger: who reads them has no time to say which."""
_FILES = re.compile(r'(?:href|src)="(/static/([^"?]+)[^"]*)"')
_VARY = {"vary": "Accept-Language, Cookie"}
_GROUND, _ACCENT = "#f6f3ee", "#1f5f6b"


def _page(language: str, services: Services) -> str:
    """The same for everybody who reads this language: nothing in it comes from a cookie or a conversation."""
    lines = emergency_lines(Emergency("medical", _LINES), language, services.shelf)
    lines = lines or (EmergencyLine(EMERGENCY_NUMBER, say(language, "offline.112")),)
    return render("offline.html", language=language, lines=lines, exit_url=services.settings.exit_url)


@router.get("/offline")
async def show_offline(request: Request, services: ServicesHere) -> HTMLResponse:
    language = reader_language(request)
    headers = {"content-language": language, "cache-control": "no-cache", **_VARY}
    return HTMLResponse(_page(language, services), headers=headers)


@router.get("/sw.js")
async def worker(request: Request, services: ServicesHere) -> Response:
    """Another text whenever anything in it or in its files is another: browsers then take the new one by themselves."""
    language = reader_language(request)
    page = _page(language, services)
    files = dict(_FILES.findall(page))
    source = (OWN / "sw.js").read_text(encoding="utf-8")
    parts = [source, page, *(address(name) for name in files.values())]
    version = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    offline = f"/offline?language={language}"
    made = {"VERSION": f"elp-{version}", "OFFLINE": offline, "FILES": [offline, *files]}
    constants = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in made.items())
    return Response(constants + source, media_type="text/javascript", headers={"cache-control": "no-cache", **_VARY})


@router.get("/manifest.webmanifest")
async def manifest(request: Request) -> JSONResponse:
    """Its name tells nobody who looks at the screen what it is for."""
    language = reader_language(request)
    name = say(language, "app.name")
    body: dict[str, Any] = {
        "id": "/",
        "name": name,
        "short_name": name,
        "lang": language,
        "dir": KNOWN[language].direction,
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": _GROUND,
        "theme_color": _ACCENT,
        "icons": [
            {"src": "/static/icon-192.png", "sizes": "192x192", "type": "image/png"},
            {"src": "/static/icon-512.png", "sizes": "512x512", "type": "image/png"},
            {"src": "/static/icon-full-512.png", "sizes": "512x512", "type": "image/png", "purpose": "maskable"},
        ],
    }
    headers = {"content-language": language, "cache-control": "no-cache", **_VARY}
    return JSONResponse(body, media_type="application/manifest+json", headers=headers)
