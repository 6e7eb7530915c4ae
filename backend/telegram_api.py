"""The Bot API of Telegram as the channel uses it: raw updates in, calls out, and what each failure means.

Of python-telegram-bot the client, its files and errors are used. Updates stay the JSON they came as: they are stored
before anybody reads them, and one that cannot be read must not take the others of its batch along.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

os.environ.setdefault("PTB_TIMEDELTA", "1")  # how long to wait, as the library will say it from its next version on

from telegram import Bot, InputFile
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    RetryAfter,
    TelegramError,
)

from backend.config import Settings
from backend.telegram_http import Request, Unreachable

DEFAULT_URL = "https://api.telegram.org"
POLL_S = 25
"""How long a question for updates may wait for an answer."""
_ANSWER_S, _FILE_S = 15.0, 60.0
_AT_ONCE = 40

Trouble = Literal["wait", "away", "error", "token", "conflict", "moved", "gone", "refused"]
"""`wait`: too much was sent to this chat. `away`: nobody can reach Telegram. `error`: this call failed in a way that
may pass. `token`: not or no longer the token of a bot. `conflict`: somebody else asks for the updates. `moved`: the
chat has another number now. `gone`: the person blocked the bot, or is there no more. `refused`: Telegram does not take
what was sent."""

# What of the 400s says that there is nobody to write to, as Telegram words it; all other 400s are about the message.
_NOBODY = ("chat not found", "user not found", "user is deactivated", "peer_id_invalid", "chat_id_invalid", "blocked")


@dataclass(frozen=True, slots=True)
class Failure:
    what: Trouble
    wait_s: float = 0.0
    """With `wait`: as Telegram asked for."""
    chat: int = 0
    """With `moved`: where the chat is now."""


def failure_of(error: TelegramError) -> Failure:
    """What a failed call means for the next one."""
    if isinstance(error, RetryAfter):
        wait = error.retry_after
        return Failure("wait", wait.total_seconds() if isinstance(wait, timedelta) else float(wait))
    if isinstance(error, ChatMigrated):
        return Failure("moved", chat=int(error.new_chat_id))
    if isinstance(error, Forbidden):
        return Failure("gone")
    if isinstance(error, InvalidToken):
        return Failure("token")
    if isinstance(error, Conflict):
        return Failure("conflict")
    if isinstance(error, BadRequest):
        nobody = any(words in error.message.lower() for words in _NOBODY)
        return Failure("gone" if nobody else "refused")
    # Everything but a connection that could not be made may be about this one message.
    return Failure("away" if isinstance(error, Unreachable) else "error")


class Api(Bot):
    """One for each process that talks to Telegram; `close` it."""

    def __init__(self, settings: Settings) -> None:
        """Raises ValueError without a token."""
        if settings.telegram_token is None:
            raise ValueError("ELP_TELEGRAM_TOKEN is not set")
        asking = Request(connections=2, answer_s=POLL_S + _ANSWER_S)
        sending = Request(connections=_AT_ONCE, answer_s=_ANSWER_S)
        super().__init__(
            settings.telegram_token.get_secret_value(),
            base_url=settings.telegram_api_url + "/bot",
            base_file_url=settings.telegram_api_url + "/file/bot",
            get_updates_request=asking,
            request=sending,
        )
        self._opened = (asking, sending)

    async def close(self) -> None:  # type: ignore[override]  # the method of this name is for moving a bot
        for request in self._opened:
            await request.shutdown()

    async def call(self, method: str, fields: Mapping[str, Any]) -> Any:
        """`result` of the answer. Raises TelegramError."""
        return await self._post(method, dict(fields))

    async def username_here(self) -> str:
        """The bot's own name, without @. Raises TelegramError."""
        return str((await self.call("getMe", {})).get("username", ""))

    async def updates(self, offset: int | None, allowed: Iterable[str]) -> list[Any]:
        """Those from `offset` on, which confirms all before; [] when none came for as long as one waits.

        Raises TelegramError."""
        fields = {"offset": offset, "timeout": POLL_S, "limit": 100, "allowed_updates": list(allowed)}
        found = await self.call("getUpdates", fields)
        return found if isinstance(found, list) else []

    async def download(self, file_id: str, *, most: int) -> bytes | None:
        """What is behind a file id; None when Telegram says that it is larger than `most` bytes, or has it no more.

        Raises TelegramError."""
        try:
            found = await self.call("getFile", {"file_id": file_id})
        except BadRequest:  # «file is too big», which for a bot begins at 20 MB, or an id of long ago
            return None
        size, path = found.get("file_size"), found.get("file_path")
        if not path or (isinstance(size, int) and size > most):
            return None
        data = await self._opened[1].retrieve(f"{self.base_file_url}/{path}", read_timeout=_FILE_S)
        return data if len(data) <= most else None


def upload(data: bytes, name: str) -> InputFile:
    """A file to be sent, under our own name."""
    return InputFile(data, filename=name)


__all__ = ["DEFAULT_URL", "POLL_S", "Api", "Failure", "TelegramError", "failure_of", "upload"]
