"""A page on which one talks to the bot as people on Telegram would; for this machine alone."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from backend.telegram_stand_in.people import User
from backend.telegram_stand_in.stand_in import StandIn
from backend.telegram_stand_in.world import Shown, StoredFile

PAGE = Path(__file__).parent / "page"
PATIENCE = 25.0
"""Seconds a page waits for news."""
_PICTURES = ("image/jpeg", "image/png", "image/webp", "image/gif")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Demo(StandIn):
    """The stand-in with a page at `/`."""

    def add_routes(self, application: web.Application) -> None:
        application.middlewares.append(_guard)
        application.router.add_get("/", self._page)
        application.router.add_get("/favicon.ico", self._no_icon)
        application.router.add_get("/demo/{name:[a-z]+[.](?:js|css)}", self._page)
        application.router.add_get("/demo/bot", self._bot)
        application.router.add_get("/demo/people", self._list_people)
        application.router.add_post("/demo/people", self._add_person)
        application.router.add_get("/demo/people/{id:[0-9]+}", self._conversation)
        application.router.add_post("/demo/people/{id:[0-9]+}", self._act)
        application.router.add_post("/demo/people/{id:[0-9]+}/files", self._send_file)
        application.router.add_get("/demo/files/{id}", self._file)

    async def _page(self, request: web.Request) -> web.Response:
        path = PAGE / request.match_info.get("name", "page.html")
        text = await asyncio.to_thread(path.read_text, "utf-8")
        return web.Response(text=text, content_type=_TYPES[path.suffix])

    async def _no_icon(self, _: web.Request) -> web.Response:
        return web.Response(status=204)

    async def _bot(self, request: web.Request) -> web.Response:
        """What Telegram shows of the bot to somebody with this language."""
        code = request.query.get("language_code", "")

        def in_language(texts: dict[str, Any]) -> Any:
            return texts.get(code) or texts.get("")

        name = in_language(self.names) or self.world.bot["first_name"]
        about = {"name": name, "description": in_language(self.descriptions)}
        return _json(about | {"commands": in_language(self.commands) or [], "violations": self.violations[-20:]})

    async def _list_people(self, _: web.Request) -> web.Response:
        return _json([_person(user) for user in self.people])

    async def _add_person(self, request: web.Request) -> web.Response:
        wishes = await _body(request)
        name, code = _text(wishes, "name", 64), _text(wishes, "language_code", 8)
        return _json(_person(self.user(name=name, language_code=code)))

    async def _conversation(self, request: web.Request) -> web.Response:
        """At once when something happened since `version`, else when it does."""
        user = self._get_person(request)
        seen = request.query.get("version", "")
        if seen == str(self.world.version):
            try:
                await self.world.wait_for(lambda: str(self.world.version) != seen, PATIENCE)
            except TimeoutError:
                return _json({"version": self.world.version})
        own = [_own(message) for message in user.sent.values()]
        theirs = [_theirs(message) for message in user.messages]
        return _json(
            {
                "version": self.world.version,
                "messages": sorted(own + theirs, key=lambda message: message["id"]),
                "typing": user.typing_until > time.monotonic(),
                "keyboard": next((one.keyboard for one in reversed(user.messages) if one.keyboard), None),
                "answer": user.answers[-1] if user.answers else None,
                "blocked": user.refusal == "bot was blocked by the user",
                "violations": len(self.violations),
            }
        )

    async def _act(self, request: web.Request) -> web.Response:
        user, wishes = self._get_person(request), await _body(request)
        try:
            _ACTIONS[_text(wishes, "does", 20)](user, wishes)
        except (KeyError, LookupError, ValueError) as error:
            raise web.HTTPBadRequest from error
        return _json({"ok": True})

    async def _send_file(self, request: web.Request) -> web.Response:
        user, form = self._get_person(request), await request.post()
        file = form.get("file")
        if not isinstance(file, web.FileField):
            raise web.HTTPBadRequest
        content = file.file.read()
        if file.content_type in _PICTURES:
            user.sends_photo(content, caption=str(form.get("caption", ""))[:1024])
        else:
            user.sends_document(content, name=file.filename, mime=file.content_type)
        return _json({"ok": True})

    async def _file(self, request: web.Request) -> web.Response:
        stored = self.world.files.get(request.match_info["id"])
        if stored is None:
            raise web.HTTPNotFound
        kind = _type_of(stored)
        shown = "inline" if kind in _PICTURES or kind.startswith("audio/") else "attachment"
        headers = {"Content-Disposition": shown}
        return web.Response(body=stored.content, content_type=kind, headers=headers)

    def _get_person(self, request: web.Request) -> User:
        user = self.world.chats.get(int(request.match_info["id"][:15]))
        if not isinstance(user, User):
            raise web.HTTPNotFound
        return user


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Other pages in the same browser may neither read nor write here: this machine has more than one door."""
    host = request.host.rsplit(":", 1)[0]
    if host not in ("127.0.0.1", "localhost"):
        raise web.HTTPForbidden
    from_browser = request.headers.get("Sec-Fetch-Site", "same-origin")
    if from_browser not in ("same-origin", "none"):
        raise web.HTTPForbidden
    response = await handler(request)
    if not request.path.startswith(("/bot", "/file/")):
        response.headers.update(_HEADERS)
    return response


# ---- what a person does on the page ----


def _press(user: User, wishes: dict[str, Any]) -> None:
    shown = user.find(int(wishes["message"]))
    if shown is None:
        raise LookupError
    user.presses(_text(wishes, "data", 64), message=shown)


def _location(user: User, wishes: dict[str, Any]) -> None:
    latitude, longitude = float(wishes["latitude"]), float(wishes["longitude"])
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise ValueError
    user.shares_location(latitude, longitude)


_ACTIONS: dict[str, Callable[[User, dict[str, Any]], object]] = {
    "send": lambda user, wishes: user.sends(_text(wishes, "text", 4096)),
    "edit": lambda user, wishes: user.edits(_text(wishes, "text", 4096), message_id=int(wishes["message"])),
    "press": _press,
    "location": _location,
    "contact": lambda user, _: user.shares_contact(),
    "voice": lambda user, _: user.sends_voice(),
    "sticker": lambda user, _: user.sends_sticker(),
    "block": lambda user, _: user.blocks_bot(),
    "unblock": lambda user, _: user.unblocks_bot(),
}


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest
    return body


def _text(wishes: dict[str, Any], name: str, longest: int) -> str:
    text = wishes.get(name)
    if not isinstance(text, str) or not text.strip() or len(text) > longest:
        raise web.HTTPBadRequest
    return text


# ---- what the page shows ----


def _json(value: Any) -> web.Response:
    return web.Response(body=json.dumps(value).encode(), content_type="application/json")


def _person(user: User) -> dict[str, Any]:
    return {"id": user.id, "name": user.name, "language_code": user.language_code}


def _own(raw: dict[str, Any]) -> dict[str, Any]:
    kinds = [kind for kind in ("photo", "document", "voice", "location", "contact", "sticker") if kind in raw]
    file = raw["photo"][-1] if "photo" in raw else raw.get("document") or raw.get("voice")
    return {
        "id": raw["message_id"],
        "own": True,
        "kind": kinds[0] if kinds else "text",
        "text": raw.get("text") or raw.get("caption", ""),
        "entities": raw.get("entities") or raw.get("caption_entities", []),
        "edited": "edit_date" in raw,
        "file": {"id": file["file_id"], "name": file.get("file_name")} if file else None,
    }


def _theirs(shown: Shown) -> dict[str, Any]:
    return {
        "id": shown.id,
        "own": False,
        "kind": shown.kind,
        "text": shown.text,
        "entities": shown.entities,
        "edited": "edit_date" in shown.raw,
        "buttons": [[vars(button) for button in row] for row in shown.buttons],
        "file": {"id": shown.file.id, "name": shown.file.name} if shown.file else None,
        "venue": shown.venue,
        "contact": shown.contact,
        "protected": shown.protected,
        "silent": shown.silent,
        "notification": shown.notification,
    }


def _type_of(stored: StoredFile) -> str:
    """What a browser may be told it is: pictures and sounds by their first bytes, anything else is bytes."""
    beginnings = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"OggS": "audio/ogg", b"ID3": "audio/mpeg"}
    known = (kind for start, kind in beginnings.items() if stored.content.startswith(start))
    return next(known, "application/octet-stream")
