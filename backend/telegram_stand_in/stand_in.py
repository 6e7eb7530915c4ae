"""A loopback server that talks like Telegram's Bot API: for tests, for measuring, and for trying the bot out.

Everything happens in the event loop that started it. What people do (`people.py`) are plain methods.
"""

import asyncio
import itertools
import json
import secrets
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from backend.telegram_stand_in import methods
from backend.telegram_stand_in.faults import Fault, Limits, find_fault
from backend.telegram_stand_in.people import Group, User
from backend.telegram_stand_in.table import Refused, check_call
from backend.telegram_stand_in.updates import Webhook
from backend.telegram_stand_in.world import BOT_ID, Called, StoredFile, Uploaded, World

TOKEN = f"{BOT_ID}:AAHloopbackOnlyNotASecretNotASecret0"
LARGEST_REQUEST = 52 * 1024**2


class StandIn:
    def __init__(
        self,
        *,
        token: str = TOKEN,
        username: str = "elp_prova_bot",
        limits: bool = False,
        query_life: float = 60.0,
        webhook_pause: float = 0.2,
    ) -> None:
        """`query_life`: seconds in which a pressed button can be answered. `webhook_pause`: seconds before an update is
        sent again, growing."""
        self.token = token
        self.port = 0
        self.calls: list[Called] = []
        self.world = World(username=username, query_life=query_life, webhook_pause=webhook_pause)
        self._limits: Limits | None = None
        self.limit(limits)
        self._faults: list[Fault] = []
        self._runner: web.AppRunner | None = None
        self._user_ids = itertools.count(int(time.time()))  # whoever remembers people of an earlier run meets new ones

    # ---- life ----

    async def start(self, port: int = 0) -> None:
        """On loopback; 0: any free port, which stays the same from then on."""
        application = web.Application(client_max_size=LARGEST_REQUEST)
        application.router.add_route("*", "/bot{token}/{method}", self._answer)
        application.router.add_get("/file/bot{token}/{path:.+}", self._serve_file)
        self.add_routes(application)
        self._runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port or self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.world.updates.resume()

    def add_routes(self, application: web.Application) -> None:
        """For the page."""

    async def stop(self) -> None:
        await self.world.updates.cut()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def stop_answering(self) -> None:
        """Nobody can connect until `answer_again`; what was sent and what waits stays."""
        await self.stop()

    async def answer_again(self) -> None:
        await self.start()

    # ---- what there is ----

    @property
    def violations(self) -> list[str]:
        return self.world.violations

    @property
    def pending(self) -> int:
        return len(self.world.updates.waiting)

    @property
    def webhook(self) -> Webhook | None:
        return self.world.updates.webhook

    @property
    def commands(self) -> dict[str, list[dict[str, Any]]]:
        return self.world.commands

    @property
    def names(self) -> dict[str, str]:
        return self.world.names

    @property
    def descriptions(self) -> dict[str, str]:
        return self.world.descriptions

    @property
    def short_descriptions(self) -> dict[str, str]:
        return self.world.short_descriptions

    def calls_of(self, *names: str, chat: int | None = None) -> list[Called]:
        return [one for one in self.calls if one.method in names and chat in (None, one.chat)]

    def user(
        self,
        id: int | None = None,
        *,
        name: str = "Amina",
        username: str | None = None,
        language_code: str | None = "it",
    ) -> User:
        """The same id is the same person."""
        number = next(self._user_ids) if id is None else id
        known = self.world.chats.get(number)
        if isinstance(known, User):
            return known
        user = User(self.world, number, name=name, username=username, language_code=language_code)
        self.world.chats[number] = user
        return user

    def group(self, id: int | None = None, *, title: str = "Gruppo", type: str = "group") -> Group:
        """`type`: group, supergroup or channel."""
        number = -next(self._user_ids) if id is None else id
        known = self.world.chats.get(number)
        if isinstance(known, Group):
            return known
        group = Group(self.world, number, title=title, type_=type)
        self.world.chats[number] = group
        return group

    def raw(self, update: dict[str, Any]) -> int:
        """Any JSON object as an update; returns the id it has."""
        return self.world.updates.add(update, whatever=True)

    def file(
        self, content: bytes, *, name: str | None = None, mime: str | None = None, size: int | None = None
    ) -> StoredFile:
        return self.world.keep_file(content, name=name, mime=mime, size=size)

    async def wait_for(self, condition: Callable[[], bool], timeout: float = 5) -> None:  # noqa: ASYNC109
        """Looked at after each call and update. Raises TimeoutError."""
        await self.world.wait_for(condition, timeout)

    async def quiet(self, timeout: float = 5) -> None:  # noqa: ASYNC109
        """Until the bot has every update. Raises TimeoutError."""
        await self.world.wait_for(lambda: not self.world.updates.waiting, timeout)

    def limit(self, on: bool, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Whether Telegram's limits hold from now on."""
        self._limits = Limits(clock) if on else None

    @property
    def people(self) -> list[User]:
        return [chat for chat in self.world.chats.values() if isinstance(chat, User)]

    @property
    def shown(self) -> int:
        """Messages of the bot that anybody has got."""
        return self.world.shown

    # ---- bad days ----

    def fault(
        self,
        *,
        method: str | None = None,
        status: int,
        retry_after: int | None = None,
        description: str | None = None,
        chat: int | None = None,
        times: int | None = 1,
        after: bool = False,
    ) -> None:
        """`times`: None is until `clear_faults`. `after`: the call is done, and answered like this all the same."""
        if status == 429 and retry_after is None:
            retry_after = 1
        more = {"status": status, "retry_after": retry_after, "description": description}
        self._faults.append(Fault(method, chat, times, after, **more))  # type: ignore[arg-type]

    def drop(
        self, *, method: str | None = None, chat: int | None = None, times: int | None = 1, after: bool = False
    ) -> None:
        """The connection is cut without an answer."""
        self._faults.append(Fault(method, chat, times, after, drops=True))

    def hang(
        self,
        seconds: float,
        *,
        method: str | None = None,
        chat: int | None = None,
        times: int | None = 1,
        after: bool = False,
    ) -> None:
        """The answer takes its time; with `after` the call is done before that."""
        self._faults.append(Fault(method, chat, times, after, seconds=seconds))

    def clear_faults(self) -> None:
        self._faults.clear()

    def duplicate_updates(self, on: bool = True) -> None:
        self.world.updates.twice = on

    def shuffle_updates(self, on: bool = True) -> None:
        self.world.updates.newest_first = on

    def revoke_token(self) -> str:
        """The old one is refused from now on; returns the new one."""
        self.token = f"{BOT_ID}:{secrets.token_urlsafe(26)}"
        return self.token

    def migrate(self, chat: int, new: int) -> None:
        """The chat goes on under another id; who writes to the old one is told so."""
        moved = self.world.chats.pop(chat)
        moved.id = new
        self.world.chats[new] = moved
        self.world.moved[chat] = new

    # ---- HTTP ----

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        token, method = request.match_info["token"], request.match_info["method"]
        if token != self.token:
            return _refused(Refused("Unauthorized", 401))
        try:
            given, files = await _read(request)
        except Refused as refused:
            self.violations.append(f"{method}: {refused.description}")
            return _refused(refused)
        call = Called(time.monotonic(), method, _chat_id(given), given, files)
        self.calls.append(call)
        self.world.changed()
        try:
            return await self._with_faults(request, call)
        finally:
            self.world.changed()

    async def _with_faults(self, request: web.Request, call: Called) -> web.StreamResponse:
        fault = find_fault(self._faults, call.method, call.chat)
        if fault and not fault.after:
            await asyncio.sleep(fault.seconds)
        if fault is None or fault.after or not (fault.drops or fault.status):
            response = await self._do(call)
        if fault and fault.after:
            self.world.changed()
            await asyncio.sleep(fault.seconds)
        if fault and fault.drops:
            call.status, call.error = 0, "connection cut"
            if request.transport:
                request.transport.abort()
            raise asyncio.CancelledError
        if fault and fault.status:
            call.status, call.error = fault.status, fault.refusal.description
            return _refused(fault.refusal)
        return response

    async def _do(self, call: Called) -> web.StreamResponse:
        try:
            fields = call.fields = check_call(call.method, call.fields, call.files)
            if self._limits and call.method.startswith("send") and call.method != "sendChatAction" and call.chat:
                self._limits.check(call.chat, len(fields.get("media", "1")))
            if call.method == "getUpdates":
                call.result = await self._updates(fields)
            else:
                call.result = methods.do(self.world, call.method, fields, call.files)
        except Refused as refused:
            call.status, call.error = refused.status, refused.description
            if refused.status in (400, 404, 413) and "migrate_to_chat_id" not in refused.parameters:
                self.violations.append(f"{call.method}: {refused.description}")
            return _refused(refused)
        call.status = 200
        return _json({"ok": True, "result": call.result})

    async def _updates(self, fields: dict[str, Any]) -> list[dict[str, Any]]:
        return await self.world.updates.take(
            offset=fields.get("offset", 0),
            limit=fields.get("limit", 100),
            seconds=min(fields.get("timeout", 0), 50),
            allowed=fields.get("allowed_updates"),
        )

    async def _serve_file(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["token"] != self.token:
            return _refused(Refused("Unauthorized", 401))
        call = Called(time.monotonic(), "file", None, {"path": request.match_info["path"]}, {})
        self.calls.append(call)
        return await self._with_file_faults(request, call)

    async def _with_file_faults(self, request: web.Request, call: Called) -> web.StreamResponse:
        fault = find_fault(self._faults, "file", None)
        if fault:
            await asyncio.sleep(fault.seconds)
        if fault and fault.drops and request.transport:
            request.transport.abort()
            raise asyncio.CancelledError
        stored = self.world.files.get(call.fields["path"].removeprefix("files/"))
        if (fault and fault.status) or stored is None:
            call.status = fault.status if fault and fault.status else 404
            return _refused(fault.refusal if fault and fault.status else Refused("Not Found", 404))
        call.status = 200
        return web.Response(body=stored.content, content_type="application/octet-stream")


async def _read(request: web.Request) -> tuple[dict[str, Any], dict[str, Uploaded]]:
    """Fields and files of a call, whichever way they come. Raises Refused."""
    given: dict[str, Any] = dict(request.query)
    files: dict[str, Uploaded] = {}
    if request.content_type == "application/json":
        try:
            body = json.loads(await request.read() or b"{}")
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise Refused("can't parse JSON object")
        return given | body, files
    try:
        form = await request.post()
    except web.HTTPRequestEntityTooLarge:
        raise Refused("Request Entity Too Large", 413) from None
    for name, value in form.items():
        if isinstance(value, web.FileField):
            files[name] = Uploaded(value.filename, value.file.read(), value.content_type)
        else:
            given[name] = value
    return given, files


def _chat_id(given: dict[str, Any]) -> int | None:
    try:
        return int(given["chat_id"])
    except (KeyError, TypeError, ValueError):
        return None


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json")


def _refused(refused: Refused) -> web.Response:
    if refused.status == 502:  # comes from what stands before Telegram, and is no JSON
        page = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
        return web.Response(text=page, status=502, content_type="text/html")
    body: dict[str, Any] = {"ok": False, "error_code": refused.status, "description": refused.description}
    if refused.parameters:
        body["parameters"] = refused.parameters
    return _json(body, refused.status)
