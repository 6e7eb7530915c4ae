"""From a stored update to an answered message. Chats go side by side, each strictly in its order."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from backend.chat import ErasedMeanwhile, Stored, find_unanswered, finish_turn
from backend.delivery import happens
from backend.errors import Unavailable
from backend.services import Services
from backend.telegram_api import Api, TelegramError
from backend.telegram_store import (
    GROUP,
    State,
    Waiting,
    count_attempt,
    list_unanswered,
    list_waiting,
    mark_handled,
)
from backend.telegram_taking import Taking
from bot.telegram import Arrived, Call, album, parse, render_group, typing

log = logging.getLogger(__name__)

_LOOK_AGAIN_S = 20.0
"""Without a notice; a notice may be lost with its connection."""
_AT_ONCE = 12
"""Chats whose messages are being answered; the others are next. All at once would each wait for all."""
_FILES_AT_ONCE = 3
"""Each may take a minute, and ten megabytes."""
_MOST_ATTEMPTS = 3
_AGAIN_S = 1.0
_THINKS_LONG_S = 1.0
"""Then the person sees that somebody is writing."""
_GAP_S = 0.15
"""A webhook may bring update 12 a moment before 11: so long 12 waits for it."""
_ALBUM_S = 0.6
"""After each part of an album, for the next one."""
_MOST_PARTS = 10
_GROUP_AGAIN_S = 3600.0


@dataclass
class _Item:
    """One update, or a message whose process died before it answered."""

    updates: list[int]
    arrived: Arrived
    attempts: int = 0
    stored: Stored | None = None


@dataclass
class _Lane:
    """What waits in one chat."""

    items: deque[_Item] = field(default_factory=deque)
    more: asyncio.Event = field(default_factory=asyncio.Event)


class Turns:
    def __init__(self, services: Services, api: Api, state: State, *, settle: bool) -> None:
        """`settle`: updates may come in a wrong order (webhook)."""
        self._services, self._api, self._settle = services, api, settle
        self.username = state.username
        self._taking = Taking(services, api, state)
        self._woken = asyncio.Event()
        self._lanes: dict[int, _Lane] = {}
        self._taken: set[int] = set()
        self._done: set[int] = set()
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._fetching = asyncio.Semaphore(_FILES_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._groups: dict[int, float] = {}
        self._last = -1

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """Ends by being cancelled."""
        try:
            await self._take_up()
            while True:
                self._woken.clear()
                again = _LOOK_AGAIN_S
                try:
                    again = await self._look()
                except Unavailable:
                    again = _AGAIN_S
                await happens(self._woken, again)
        finally:
            for task in self._tasks:
                task.cancel()

    async def _take_up(self) -> None:
        """What was stored and not answered comes before everything newer in the same chat."""
        while True:
            try:
                chats = await list_unanswered(self._services.engine)
                left = await find_unanswered(self._services.engine, older_than_s=0, limit=10_000) if chats else []
                break
            except Unavailable:
                await asyncio.sleep(_AGAIN_S)
        for stored in left:
            chat = chats.get(stored.message.id)
            if chat is not None:
                self._add(chat, _Item([], Arrived(None, chat_id=chat), stored=stored))

    async def _look(self) -> float:
        """Takes what waits; returns in how many seconds to look again."""
        # Only now: what was handled while the last list was read would else be taken a second time.
        self._taken -= self._done
        self._done.clear()
        for waiting in await list_waiting(self._services.engine, but=self._taken):
            follows = waiting.update_id <= self._last + 1
            if self._settle and not follows and waiting.age_s < _GAP_S:
                return _GAP_S / 2
            self._last = max(self._last, waiting.update_id)
            self._take(waiting)
        return _LOOK_AGAIN_S

    def _take(self, waiting: Waiting) -> None:
        self._taken.add(waiting.update_id)
        if GROUP in waiting.body:
            self._spawn(self._answer_group(waiting))
            return
        arrived = parse(dict(waiting.body), username=self.username)
        if arrived.callback_id is not None:  # at once: the button stops turning
            self._spawn(self._softly(Call("answerCallbackQuery", {"callback_query_id": arrived.callback_id}, {})))
        item = _Item([waiting.update_id], arrived, waiting.attempts)
        self._add(arrived.chat_id if arrived.chat_id is not None else 0, item)

    def _add(self, chat: int, item: _Item) -> None:
        lane = self._lanes.get(chat)
        if lane is None:
            lane = self._lanes[chat] = _Lane()
            self._spawn(self._walk(chat, lane))
        lane.items.append(item)
        lane.more.set()

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- one chat ----

    async def _walk(self, chat: int, lane: _Lane) -> None:
        while lane.items:
            item = lane.items.popleft()
            if item.arrived.media_group_id is not None:
                item = await self._whole_album(lane, item)
            async with self._fetching if item.arrived.kind == "files" else self._turn:
                await self._until_done(chat, item)
            self._done.update(item.updates)
        del self._lanes[chat]

    async def _whole_album(self, lane: _Lane, first: _Item) -> _Item:
        """The parts come as updates of their own, one after the other."""
        parts, group = [first], first.arrived.media_group_id
        while len(parts) < _MOST_PARTS:
            if not lane.items:
                lane.more.clear()
                await happens(lane.more, _ALBUM_S)
            if not lane.items or lane.items[0].arrived.media_group_id != group:
                break
            parts.append(lane.items.popleft())
        whole = album([part.arrived for part in parts]) if len(parts) > 1 else first.arrived
        return _Item([number for part in parts for number in part.updates], whole, max(p.attempts for p in parts))

    async def _until_done(self, chat: int, item: _Item) -> None:
        """Whatever goes wrong with one update, the next one is taken up some time."""
        while True:
            try:
                async with self._thinking(chat):
                    await self._handle(item)
                return
            except ErasedMeanwhile:
                return
            except Unavailable:
                await asyncio.sleep(_AGAIN_S)
            except Exception as error:
                item.attempts += 1
                log.error("update %s could not be handled (%s)", item.updates, type(error).__name__, exc_info=error)
                if await self._given_up(item):
                    return
                await asyncio.sleep(_AGAIN_S)

    async def _given_up(self, item: _Item) -> bool:
        with contextlib.suppress(Unavailable):
            if item.attempts >= _MOST_ATTEMPTS:
                await mark_handled(self._services.engine, *item.updates)
                return True
            for number in item.updates:
                await count_attempt(self._services.engine, number)
        return not item.updates

    async def _handle(self, item: _Item) -> None:
        if item.stored is not None:
            await finish_turn(self._services.chat, item.stored)
        else:
            await self._taking.take(item.arrived, item.updates)

    # ---- beside ----

    @contextlib.asynccontextmanager
    async def _thinking(self, chat: int) -> AsyncIterator[None]:
        async def say_so() -> None:
            await asyncio.sleep(_THINKS_LONG_S)
            await self._softly(typing(), chat)

        saying = asyncio.create_task(say_so())
        try:
            yield
        finally:
            saying.cancel()

    async def _answer_group(self, waiting: Waiting) -> None:
        """One sentence and a link, once an hour at most."""
        chat, code = waiting.body.get(GROUP), waiting.body.get("language_code")
        with contextlib.suppress(Unavailable):
            await mark_handled(self._services.engine, waiting.update_id)
        self._done.add(waiting.update_id)
        now = asyncio.get_running_loop().time()
        if (
            not self.username
            or not isinstance(chat, int)
            or now < self._groups.get(chat, -_GROUP_AGAIN_S) + _GROUP_AGAIN_S
        ):
            return
        self._groups = {one: at for one, at in self._groups.items() if at > now - _GROUP_AGAIN_S} | {chat: now}
        for call in render_group(code if isinstance(code, str) else None, self.username):
            await self._softly(call, chat)

    async def _softly(self, call: Call, chat: int | None = None) -> None:
        """Nothing is lost when it fails."""
        fields = call.fields if chat is None else {"chat_id": chat, **call.fields}
        with contextlib.suppress(TelegramError):
            await self._api.call(call.method, fields)
