"""Stored messages, sent: in order within a chat, as fast as Telegram allows, and again when it fails, until they are
there or nobody is."""

import asyncio
import contextlib
import html
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from backend import telegram_outbox as outbox
from backend.db import NEW_MESSAGE, TYPING
from backend.delivery import happens
from backend.errors import NotFound, Unavailable
from backend.services import Services
from backend.telegram_api import Api, TelegramError, failure_of
from backend.telegram_files import load
from backend.telegram_line import Line, Pace
from backend.telegram_outbox import Outgoing
from backend.telegram_store import State
from backend.telegram_taking import NOTICE
from backend.web.views import message_view
from bot.telegram import Call, Manner, render, typing

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 30.0
"""Without a notice, at everything; a notice may be lost with its connection."""
_PAUSES_S = (1, 2, 5, 10, 30, 60, 300, 900)
GIVE_UP_S = 24 * 3600
"""Age of a message at which a failure that may pass is taken for one that does not."""
_MOST_MISTAKES = 3
_LONG_S = 1.0
"""Whoever has waited longer for a turn looks whether the message was erased meanwhile."""
_DATABASE_S = 1.0
_REMEMBERED = 20_000
"""Conversations of which is remembered whether they are chats."""
_TYPES_S = 4.0
"""Telegram shows «typing» for five seconds."""
_TAG = re.compile(r"<[^>]*>")
_EXTRAS = frozenset({"sendVenue", "sendLocation", "sendDocument"})
"""What is said in the message, too, unless it is a file of an operator."""


@dataclass
class _Lane:
    conversations: set[UUID] = field(default_factory=set)
    woken: bool = True


class Delivery:
    def __init__(self, services: Services, api: Api, state: State, line: Line, pace: Pace) -> None:
        self._services, self._api, self._state, self._line, self._pace = services, api, state, line, pace
        settings = services.settings
        self._manner = Manner(discreet=settings.telegram_discreet, protect=settings.telegram_protect)
        self._lanes: dict[int, _Lane] = {}
        self._news: set[UUID] = set()
        self._look_at_all = True
        self._woken = asyncio.Event()
        self._chats: OrderedDict[UUID, int | None] = OrderedDict()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._under_way: set[asyncio.Task[bool]] = set()
        self._typing: dict[int, float] = {}

    # ---- what is new ----

    def heard(self, channel: str, payload: str) -> None:
        """A notice of the database (`Hub.watch`)."""
        if channel == NEW_MESSAGE:
            with contextlib.suppress(ValueError):
                self._news.add(UUID(payload))
                self._woken.set()
        elif channel == TYPING:
            conversation, _, side = payload.partition(":")
            if side == "operator":
                self._spawn(self._show_typing(conversation))
        elif not channel:
            self._look_at_all = True
            self._woken.set()

    async def run(self) -> None:
        """Ends by being cancelled; what is just being sent is sent to the end and written down, see `settle`."""
        while True:
            self._woken.clear()
            try:
                await self._look()
            except Unavailable:
                self._look_at_all = True
                await asyncio.sleep(_DATABASE_S)
                continue
            if not await happens(self._woken, LOOK_AGAIN_S):
                self._look_at_all = True

    async def settle(self, seconds: float) -> None:
        """After `run` was cancelled: nobody is sent anything new, and what is under way may end."""
        for task in self._tasks:
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)

    async def _look(self) -> None:
        if self._look_at_all:
            for conversation, waiting in (await outbox.list_waiting_chats(self._services.engine)).items():
                self._remember(conversation, waiting)
                self._wake(conversation, waiting)
            self._look_at_all = False
        news, self._news = self._news, set()
        unknown = [one for one in news if one not in self._chats]
        if unknown:
            found = await outbox.find_chats(self._services.engine, unknown)
            for one in unknown:
                self._remember(one, found.get(one))
        for one in news:
            chat = self._chats.get(one)
            if chat is not None:
                self._wake(one, chat)

    def _remember(self, conversation: UUID, chat: int | None) -> None:
        self._chats[conversation] = chat
        self._chats.move_to_end(conversation)
        if len(self._chats) > _REMEMBERED:
            self._chats.popitem(last=False)

    def _wake(self, conversation: UUID, chat: int) -> None:
        lane = self._lanes.get(chat)
        if lane is None:
            lane = self._lanes[chat] = _Lane()
            self._spawn(self._walk(chat, lane))
        lane.conversations.add(conversation)
        lane.woken = True

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- one chat ----

    async def _walk(self, chat: int, lane: _Lane) -> None:
        try:
            while lane.woken:
                lane.woken = False
                while await self._once(chat, lane):
                    pass
        finally:
            del self._lanes[chat]

    async def _once(self, chat: int, lane: _Lane) -> bool:
        """The next message; False when there is none."""
        await self._line.open()
        await self._pace.chat(chat)
        one: Outgoing | None = None
        try:
            one = await outbox.find_next(self._services.engine, sorted(lane.conversations))
            if one is None:
                return False
            if one.chat != chat:  # it has moved
                self._remember(one.conversation_id, one.chat)
                self._wake(one.conversation_id, one.chat)
                lane.conversations.discard(one.conversation_id)
                return bool(lane.conversations)
            if one.wait_s:
                await asyncio.sleep(one.wait_s)
            elif await self._send(one) and one.last and lane.conversations == {one.conversation_id}:
                return False  # whatever comes now wakes the lane
        except Unavailable:
            await asyncio.sleep(_DATABASE_S)
        except Exception as error:  # one message must not keep the others from being sent
            log.error("a message could not be sent (%s)", type(error).__name__, exc_info=error)
            await self._stumbled(one)
        return True

    async def _stumbled(self, one: Outgoing | None) -> None:
        """Over a mistake of ours: it is tried a few times, and then makes room for the next one."""
        await asyncio.sleep(_PAUSES_S[0])
        with contextlib.suppress(Unavailable):
            if one is not None and one.attempts >= _MOST_MISTAKES:
                await outbox.given_up(self._services.sessions, one, "refused")
            elif one is not None:
                await outbox.wait(self._services.sessions, one, _PAUSES_S[one.attempts], failed=True)

    async def _send(self, one: Outgoing) -> bool:
        """True when all of it has gone."""
        calls = self._calls(one)
        for number in range(one.calls_made, len(calls)):
            if number > one.calls_made:
                await self._pace.chat(one.chat)
            if not await self._make(one, calls[number], number + 1, last=number + 1 == len(calls)):
                return False
        if one.calls_made >= len(calls):  # nothing to show, or its last call was made by a process that died then
            await outbox.sent(self._services.engine, one)
        return True

    def _calls(self, one: Outgoing) -> tuple[Call, ...]:
        view = message_view(one.message, self._services.shelf, now=self._services.now())
        return render(view, manner=self._manner, asked=_asked(one))

    async def _make(self, one: Outgoing, call: Call, count: int, *, last: bool) -> bool:
        """One call, and what comes of it written down. False: the rest has to wait, or is not wanted any more."""
        came = time.monotonic()
        async with self._pace.everybody(one.chat, asked=_asked(one)):
            await self._line.open()
            if time.monotonic() > came + _LONG_S and not await outbox.is_wanted(self._services.engine, one):
                return False
            under_way = asyncio.create_task(self._call(one, call, count, last=last))
            self._under_way.add(under_way)
            under_way.add_done_callback(self._under_way.discard)
            await asyncio.wait({under_way}, timeout=Pace.APART_S)
        return await asyncio.shield(under_way)

    async def _call(self, one: Outgoing, call: Call, count: int, *, last: bool) -> bool:
        fields = await self._fields(one, call)
        if fields is not None:
            try:
                await self._api.call(call.method, fields)
            except TelegramError as error:
                if not await self._failed(one, call, fields, error):
                    return False
            self._line.works()
        while True:
            try:
                if last:
                    await outbox.sent(self._services.engine, one)
                else:
                    await outbox.call_made(self._services.engine, one, count)
                return True
            except Unavailable:  # it was sent: it must not be sent again because of this
                await asyncio.sleep(_DATABASE_S)

    async def _fields(self, one: Outgoing, call: Call) -> dict[str, Any] | None:
        """None: what was to be sent is there no more."""
        fields = {"chat_id": one.chat, **call.fields}
        try:
            for name, file in call.files.items():
                fields[name] = await load(self._services, one.conversation_id, one.message.language, file)
        except NotFound:
            return None
        return fields

    # ---- when it fails ----

    async def _failed(self, one: Outgoing, call: Call, fields: dict[str, Any], error: TelegramError) -> bool:
        """True: go on as if it had been made."""
        failure, sessions = failure_of(error), self._services.sessions
        if failure.what == "wait":
            await outbox.wait(sessions, one, failure.wait_s, failed=False)
        elif failure.what == "moved":
            await outbox.moved(sessions, self._state, one, failure.chat)
        elif failure.what == "gone":
            await self._unreachable(one, "blocked")
        elif failure.what == "refused":
            return await self._refused(one, call, fields)
        elif one.age_s > GIVE_UP_S:
            await outbox.given_up(sessions, one, "expired")
            log.warning("message %d was tried for a day and is given up", one.message.id)
        elif failure.what in ("away", "token"):
            self._line.failed("token" if failure.what == "token" else "away")
        else:
            pause = _PAUSES_S[min(one.attempts, len(_PAUSES_S) - 1)]
            await outbox.wait(sessions, one, pause, failed=True)
        return False

    async def _refused(self, one: Outgoing, call: Call, fields: dict[str, Any]) -> bool:
        """Better as a file, or without bold letters, than not at all; without a map rather than silent."""
        log.warning("Telegram refused %s of message %d", call.method, one.message.id)
        if call.method in _EXTRAS and one.message.author != "operator":
            return True
        other = _otherwise(call.method, fields)
        if other is not None:
            method, fields = other
            try:
                await self._api.call(method, fields)
                return True
            except TelegramError as error:
                return await self._failed(one, replace(call, method=method), fields, error)
        await self._unreachable(one, "refused")
        return False

    async def _unreachable(self, one: Outgoing, failure: str) -> None:
        await outbox.unreachable(self._services.sessions, one, failure)
        log.info("conversation %s cannot be reached on Telegram (%s)", one.conversation_id, failure)

    # ---- somebody at the desk writes ----

    async def _show_typing(self, conversation: str) -> None:
        now = asyncio.get_running_loop().time()
        with contextlib.suppress(ValueError, TelegramError, Unavailable):
            wanted = UUID(conversation)
            chat = self._chats.get(wanted)
            if chat is None and wanted not in self._chats:
                chat = (await outbox.find_chats(self._services.engine, [wanted])).get(wanted)
                self._remember(wanted, chat)
            if chat is None or now < self._typing.get(chat, -_TYPES_S) + _TYPES_S:
                return
            self._typing = {one: at for one, at in self._typing.items() if at > now - _TYPES_S} | {chat: now}
            call = typing()
            await self._api.call(call.method, {"chat_id": chat, **call.fields})


def _asked(one: Outgoing) -> bool:
    """The person has just written or pressed what this answers."""
    return one.message.author == "bot" or one.answers or one.message.payload.get("intent") == NOTICE


def _otherwise(method: str, fields: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """How else to send what was refused; None when there is no other way."""
    if method == "sendPhoto":  # too long and narrow for a picture
        kept = {name: value for name, value in fields.items() if name not in ("photo", "has_spoiler")}
        return "sendDocument", {**kept, "document": fields["photo"]}
    return (method, _plain(fields)) if "parse_mode" in fields else None


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """The same without anything that Telegram would have to read."""
    plain = {name: value for name, value in fields.items() if name != "parse_mode"}
    for name in ("text", "caption"):
        if name in plain:
            plain[name] = html.unescape(_TAG.sub("", str(plain[name])))
    return plain
