"""Updates on their way to the bot: kept until somebody confirms them, over getUpdates or a webhook."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from backend.telegram_stand_in.table import Refused

Update = dict[str, Any]
ON_REQUEST = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
"""Kinds of updates that come only when they are asked for by name."""
_LONGEST_PAUSE = 5.0
_TERMINATED = "terminated by other getUpdates request; make sure that only one bot instance is running"
_ACTIVE = "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"


@dataclass(frozen=True)
class Webhook:
    url: str
    secret_token: str | None = None
    max_connections: int = 40
    allowed_updates: tuple[str, ...] = ()


class Updates:
    def __init__(self, *, webhook_pause: float, changed: Callable[[], None]) -> None:
        self.waiting: dict[int, Update] = {}
        self.webhook: Webhook | None = None
        self.twice = False
        self.newest_first = False
        self.last_error: str | None = None
        self._pause = webhook_pause
        self._changed = changed
        self._next = int(time.time())  # above those of an earlier run, which the bot may remember
        self._allowed: tuple[str, ...] = ()
        self._again: list[Update] = []  # confirmed, and sent once more all the same
        self._poll: asyncio.Future[bool] | None = None
        self._lines: dict[Any, deque[int]] = {}  # of a chat, for the webhook
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections = asyncio.Semaphore(40)
        self._client: aiohttp.ClientSession | None = None

    def add(self, update: Update, *, whatever: bool = False) -> int:
        """The id it got. A kind that the bot did not ask for is dropped, unless `whatever`."""
        number = update.get("update_id", self._next)
        if isinstance(number, int):
            self._next = max(self._next, number) + 1
        else:
            number, self._next = self._next, self._next + 1
        if not whatever and not self._is_wanted(next(iter(update))):
            return number
        self.waiting[number] = {"update_id": number, **update}
        if self.webhook:
            self._line_up(number)
        self._wake()
        return number

    def _is_wanted(self, kind: str) -> bool:
        return kind in self._allowed if self._allowed else kind not in ON_REQUEST

    # ---- polling ----

    async def take(self, *, offset: int, limit: int, seconds: float, allowed: list[str] | None) -> list[Update]:
        """Waits up to `seconds` for something to hand over. Raises Refused."""
        if self.webhook:
            raise Refused(_ACTIVE, 409)
        if allowed is not None:
            self._allowed = tuple(allowed)
        self._confirm(offset)
        if self._poll and not self._poll.done():
            self._poll.set_result(False)
        mine = self._poll = asyncio.get_running_loop().create_future()
        if not self.waiting and not self._again and seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(mine), seconds)
        if mine.done() and not mine.result():
            raise Refused(_ACTIVE if self.webhook else _TERMINATED, 409)
        if self._poll is mine:
            self._poll = None
        return self._batch(offset, limit)

    def _batch(self, offset: int, limit: int) -> list[Update]:
        ids = sorted(self.waiting)
        batch = [self.waiting[number] for number in (ids[offset:] if offset < 0 else ids)[:limit]]
        if self.newest_first:
            batch.reverse()
        if self.twice:
            batch = [*self._again, *(one for one in batch for _ in range(2))]
            self._again = []
        return batch

    def _confirm(self, offset: int) -> None:
        if offset < 0:
            for number in sorted(self.waiting)[:offset]:
                del self.waiting[number]
        for number in [one for one in self.waiting if one < offset]:
            self._done(number)

    def _done(self, number: int) -> None:
        update = self.waiting.pop(number, None)
        if update and self.twice:
            self._again.append(update)
        self._changed()

    def _wake(self) -> None:
        if self._poll and not self._poll.done():
            self._poll.set_result(True)
        self._changed()

    def forget(self) -> None:
        self.waiting.clear()
        self._changed()

    # ---- webhook ----

    def set_webhook(self, webhook: Webhook | None) -> None:
        self._stop_tasks()
        self.webhook, self.last_error = webhook, None
        if webhook is None:
            return
        self._allowed = webhook.allowed_updates
        self._connections = asyncio.Semaphore(webhook.max_connections)
        if self._poll and not self._poll.done():
            self._poll.set_result(False)
        for number in sorted(self.waiting, reverse=self.newest_first):
            self._line_up(number)

    def _line_up(self, number: int) -> None:
        """Telegram sends what comes from one chat one after the other, and chats beside each other."""
        key: Any = number if self.newest_first else _chat(self.waiting[number])
        if key in self._lines:
            self._lines[key].append(number)
            return
        self._lines[key] = deque([number])
        task = asyncio.get_running_loop().create_task(self._send_line(key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_line(self, key: Any) -> None:
        line = self._lines[key]
        while line:
            update = self.waiting.get(line[0])
            for _ in range(2 if self.twice else 1):
                if update is not None:
                    await self._deliver(update)
            self.waiting.pop(line.popleft(), None)
            self._changed()
        del self._lines[key]

    async def _deliver(self, update: Update) -> None:
        """Until it was accepted."""
        pause = self._pause
        while True:
            async with self._connections:
                self.last_error = await self._post(update)
            if self.last_error is None:
                return
            self._changed()
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _post(self, update: Update) -> str | None:
        """What went wrong."""
        assert self.webhook
        self._client = self._client or aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        secret = self.webhook.secret_token
        headers = {"X-Telegram-Bot-Api-Secret-Token": secret} if secret else {}
        try:
            async with self._client.post(self.webhook.url, json=update, headers=headers) as response:
                if 200 <= response.status < 300:
                    return None
                return f"Wrong response from the webhook: {response.status} {response.reason}"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return f"Connection failed: {type(error).__name__}"

    def _stop_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._lines.clear()

    async def cut(self) -> None:
        """Ends what is under way; what waits goes on waiting."""
        tasks = list(self._tasks)
        self._stop_tasks()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._poll and not self._poll.done():
            self._poll.cancel()
        if self._client:
            await self._client.close()
            self._client = None

    def resume(self) -> None:
        if self.webhook:
            self.set_webhook(self.webhook)


def _chat(update: Update) -> Any:
    """Chat or person an update is about; updates that name none stand alone."""
    for value in update.values():
        if isinstance(value, dict):
            message = value.get("message") if isinstance(value.get("message"), dict) else value
            chat = message.get("chat") if isinstance(message, dict) else None
            if isinstance(chat, dict) and isinstance(chat.get("id"), int):
                return ("chat", chat["id"])
    return update["update_id"]
