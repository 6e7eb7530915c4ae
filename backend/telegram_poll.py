"""How updates come: asked for again and again (long polling), or brought by Telegram (webhook). Both are stored."""

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from backend.config import Settings
from backend.errors import Unavailable
from backend.telegram_api import Api, TelegramError, failure_of
from backend.telegram_line import Line
from backend.telegram_store import GROUP, LARGEST_UPDATE, store_updates
from bot.telegram import ALLOWED_UPDATES, parse

log = logging.getLogger(__name__)

WEBHOOK = "/telegram/webhook"
_ODD_S, _DATABASE_S, _LONGEST_S = 5.0, 1.0, 30.0
_LOOK_AFTER_WEBHOOK_S = 300.0
_AT_ONCE = 40


def readable(raw: Iterable[object], *, username: str | None = None) -> dict[int, Mapping[str, Any] | None]:
    """What of a batch is to be stored: an update as it came; of a group where one sentence is to go, or nothing but
    its number. What is no update at all is passed over."""
    found: dict[int, Mapping[str, Any] | None] = {}
    for one in raw:
        arrived = parse(one, username=username)
        number = arrived.update_id
        if number is None or not 0 <= number <= LARGEST_UPDATE:
            log.warning("something that is no update came from Telegram; it was passed over")
        elif arrived.kind == "nothing":
            found[number] = None
        elif arrived.kind == "group":
            asked = {GROUP: arrived.chat_id, "language_code": arrived.language_code}
            found[number] = asked if arrived.addressed else None
        else:
            found[number] = _storable(one)
    return found


def _storable(raw: object) -> dict[str, Any]:
    """Halves of characters, which JSON can say and no text can hold, become question marks."""
    clean: dict[str, Any] = json.loads(json.dumps(raw, ensure_ascii=False).encode("utf-8", "replace"))
    return clean


class Poller:
    """Asks for updates for as long as this process leads."""

    def __init__(self, api: Api, engine: AsyncEngine, line: Line, *, username: str | None) -> None:
        self._api, self._engine, self._line, self._username = api, engine, line, username
        self._failures = 0
        self._offset: int | None = None
        """What to confirm; None when all is confirmed: numbers may begin anew, lower, after a week without any."""

    async def run(self) -> None:
        while True:
            await self._line.open()
            try:
                await self._api.call("deleteWebhook", {"drop_pending_updates": False})
                while True:
                    await self._once()
            except TelegramError as error:
                await self._failed(error)
            except Exception as error:  # whatever it was, the next question may be answered
                log.warning("asking Telegram for updates failed (%s)", type(error).__name__)
                await asyncio.sleep(_ODD_S)

    async def _once(self) -> None:
        raw = await self._api.updates(self._offset, ALLOWED_UPDATES)
        self._line.works("conflict")
        self._failures = 0
        found = readable(raw, username=self._username)
        while True:
            try:
                await store_updates(self._engine, found)
                break
            except Unavailable:  # not confirmed: Telegram keeps them, and so do we
                await asyncio.sleep(_DATABASE_S)
        self._offset = max(found) + 1 if found else None

    async def _failed(self, error: TelegramError) -> None:
        failure = failure_of(error)
        if failure.what == "conflict":
            self._line.explain("conflict")
            await asyncio.sleep(self._line.conflict_s)
        elif failure.what == "token":
            self._line.failed("token")
        elif failure.what == "away":
            self._line.failed("away")
        else:  # a long question may be cut off on its way; those who send do not have to wait because of it
            self._failures += 1
            await asyncio.sleep(failure.wait_s or min(2.0**self._failures, _LONGEST_S))


class Webhook:
    """Sees to it that Telegram brings updates to our address, for as long as this process leads."""

    def __init__(self, api: Api, settings: Settings, line: Line) -> None:
        self._api, self._settings, self._line = api, settings, line

    async def run(self) -> None:
        address = f"{self._settings.public_url}{WEBHOOK}"
        wanted = {
            "url": address,
            "secret_token": self._settings.webhook_secret,
            "allowed_updates": list(ALLOWED_UPDATES),
            "max_connections": _AT_ONCE,
            "drop_pending_updates": False,
        }
        await self._until_done("setWebhook", wanted)
        while True:
            await asyncio.sleep(_LOOK_AFTER_WEBHOOK_S)
            info = await self._until_done("getWebhookInfo", {})
            if info.get("url") != address:
                log.warning("Telegram did not bring updates here any more; it is asked to again")
                await self._until_done("setWebhook", wanted)
            elif info.get("last_error_message"):
                log.warning("Telegram could not bring updates here; is %s reachable from outside?", address)

    async def _until_done(self, method: str, fields: dict[str, Any]) -> Any:
        while True:
            await self._line.open()
            try:
                done = await self._api.call(method, fields)
            except TelegramError as error:
                failure = failure_of(error)
                if failure.what == "wait":
                    await asyncio.sleep(failure.wait_s)
                elif failure.what == "refused":
                    log.warning(
                        "Telegram refuses the address %s: it must be https and reachable", self._settings.address
                    )
                    self._line.failed("away")
                else:
                    self._line.failed("token" if failure.what == "token" else "away")
            else:
                self._line.works()
                return done
