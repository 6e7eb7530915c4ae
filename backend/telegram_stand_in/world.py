"""What exists behind the stand-in: chats, messages, files, questions of pressed buttons, and what the bot is called."""

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backend.telegram_stand_in.entities import Entity, cut
from backend.telegram_stand_in.updates import Updates

if TYPE_CHECKING:
    from backend.telegram_stand_in.people import Chat

BOT_ID = 4_200_000_042
_BLOT = "▒".encode("utf-16-le")


@dataclass(frozen=True)
class StoredFile:
    id: str
    content: bytes
    name: str | None = None
    mime: str | None = None
    size: int = 0
    """Bytes, as Telegram says; a test may say more than there is."""

    @property
    def path(self) -> str:
        return f"files/{self.id}"

    def described(self, **more: Any) -> dict[str, Any]:
        known = {"file_name": self.name, "mime_type": self.mime, "file_size": self.size, **more}
        said = {name: value for name, value in known.items() if value is not None}
        return {"file_id": self.id, "file_unique_id": f"u{self.id[-12:]}", **said}


@dataclass(frozen=True)
class Uploaded:
    name: str
    content: bytes
    mime: str | None = None


@dataclass
class Called:
    """One call that came in."""

    at: float
    method: str
    chat: int | None
    fields: dict[str, Any]
    files: dict[str, Uploaded]
    status: int = 0
    error: str | None = None
    result: Any = None


@dataclass(frozen=True)
class Button:
    text: str
    data: str | None = None
    url: str | None = None
    copies: str | None = None


@dataclass
class Shown:
    """One message of the bot as a person sees it."""

    id: int
    at: float
    kind: str
    raw: dict[str, Any]
    text: str = ""
    entities: list[Entity] = field(default_factory=list)
    html: str | None = None
    buttons: list[list[Button]] = field(default_factory=list)
    keyboard: dict[str, Any] | None = None
    file: StoredFile | None = None
    venue: dict[str, Any] | None = None
    location: dict[str, Any] | None = None
    contact: dict[str, Any] | None = None
    protected: bool = False
    silent: bool = False
    preview: bool = True
    reply_to: int | None = None
    album: str | None = None

    @property
    def labels(self) -> list[str]:
        return [button.text for row in self.buttons for button in row]

    @property
    def notification(self) -> str:
        """What a locked phone shows of it: Telegram blots out what stands under a spoiler."""
        units = self.text.encode("utf-16-le", "surrogatepass")
        for one in self.entities:
            if one["type"] == "spoiler":
                start, end = 2 * one["offset"], 2 * (one["offset"] + one["length"])
                units = units[:start] + _BLOT * one["length"] + units[end:]
        return units.decode("utf-16-le", "replace") or self.kind

    def entity_texts(self, kind: str) -> list[str]:
        return [cut(self.text, one) for one in self.entities if one["type"] == kind]


@dataclass
class Question:
    """A button was pressed, and the phone shows a spinning wheel until the bot answers."""

    id: str
    chat: "Chat"
    asked: float


class World:
    def __init__(self, *, username: str, query_life: float, webhook_pause: float) -> None:
        self.bot = {"id": BOT_ID, "is_bot": True, "first_name": "ELP", "username": username}
        self.query_life = query_life
        self.updates = Updates(webhook_pause=webhook_pause, changed=self.changed)
        self.chats: dict[int, Chat] = {}
        self.moved: dict[int, int] = {}
        self.files: dict[str, StoredFile] = {}
        self.questions: dict[str, Question] = {}
        self.violations: list[str] = []
        self.commands: dict[str, list[dict[str, Any]]] = {}
        self.names: dict[str, str] = {}
        self.descriptions: dict[str, str] = {}
        self.short_descriptions: dict[str, str] = {}
        self.shown = 0
        self.message_ids = itertools.count(1)
        self._numbers = itertools.count(1)
        self.version = 0
        """Grows with everything that happens."""
        self._waiting: list[asyncio.Future[None]] = []

    def number(self) -> int:
        return next(self._numbers)

    def find_chat(self, chat_id: int) -> "Chat | None":
        return self.chats.get(chat_id)

    def keep_file(
        self, content: bytes, *, name: str | None = None, mime: str | None = None, size: int | None = None
    ) -> StoredFile:
        file_id = f"AgACAgQAAx{self.number():06d}{secrets.token_urlsafe(24)}"
        stored = StoredFile(file_id, content, name, mime, len(content) if size is None else size)
        self.files[file_id] = stored
        return stored

    def ask(self, chat: "Chat") -> Question:
        question = Question(f"{BOT_ID}{self.number():09d}", chat, time.monotonic())
        self.questions[question.id] = question
        return question

    # ---- waiting for something to be true ----

    def changed(self) -> None:
        self.version += 1
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    async def wait_for(self, condition: Callable[[], bool], seconds: float) -> None:
        """Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not condition():
                waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.append(waiting)
                await waiting
