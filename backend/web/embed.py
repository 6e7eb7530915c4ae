"""The chat inside another site's page: the script that a site includes, and the conversation it opens (decision 23)."""

import functools
import json
import re

from fastapi import APIRouter
from fastapi.responses import Response

from backend.config import Settings
from backend.web import attachments, chat, privacy, visits
from backend.web.api import ServicesHere
from backend.web.cookies import EMBED
from backend.web.static import OWN
from bot.phrases import SPOKEN, say

router = APIRouter(include_in_schema=False)
_framed = APIRouter(prefix=EMBED)
for _part in (chat.router, visits.router, privacy.router, attachments.page_router):
    _framed.include_router(_part)
router.include_router(_framed)

_SCRIPT = OWN / "embed.js"
_SETTINGS = "__SETTINGS__"
_COMMENT = re.compile(r"^\s*//.*\n|^ +", re.MULTILINE)
_WORDS = ("embed.open", "embed.close", "embed.window")
_HEADERS = {
    "cache-control": "public, max-age=3600",
    "content-type": "text/javascript; charset=utf-8",
    # The one thing of ours that other sites' pages load.
    "cross-origin-resource-policy": "cross-origin",
}


@router.get("/embed.js")
async def read_script(services: ServicesHere) -> Response:
    return Response(script(services.settings), headers=_HEADERS)


@functools.lru_cache(maxsize=4)
def script(settings: Settings) -> str:
    """`static/embed.js` with the sites that may show the chat, and its three sentences in every language."""
    words = {code: [*(say(code, key) for key in _WORDS), language.direction] for code, language in SPOKEN.items()}
    told = {"origins": settings.embed_origins.split(), "exit": settings.exit_url, "words": words}
    source = _COMMENT.sub("", _SCRIPT.read_text(encoding="utf-8"))
    return source.replace(_SETTINGS, json.dumps(told, ensure_ascii=False, separators=(",", ":")))
