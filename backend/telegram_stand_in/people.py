"""People on Telegram: what they do becomes updates, and what the bot sends is what they see."""

import asyncio
import time
from typing import Any

from backend.telegram_stand_in import entities, samples
from backend.telegram_stand_in.world import Button, Shown, World


def unix_now() -> int:
    return int(time.time())


class Chat:
    """Something the bot can send to."""

    def __init__(self, world: World, chat_id: int, type_: str) -> None:
        self.id = chat_id
        self.type = type_
        self.messages: list[Shown] = []
        self.actions: list[str] = []
        self.typing_until = 0.0
        self.refusal: str | None = None
        """Why the bot may not write here, in Telegram's words."""
        self._world = world
        self._taken = 0
        self._arrived = asyncio.Event()

    @property
    def described(self) -> dict[str, Any]:
        return {"id": self.id, "type": self.type}

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.messages]

    def act(self, action: str) -> None:
        """Telegram shows it for five seconds, or until a message comes."""
        self.actions.append(action)
        self.typing_until = time.monotonic() + 5

    def show(self, message: Shown) -> None:
        self.typing_until = 0.0
        self.messages.append(message)
        self._arrived.set()

    def find(self, message_id: int) -> Shown | None:
        return next((one for one in reversed(self.messages) if one.id == message_id), None)

    def remove(self, message: Shown) -> None:
        self._taken -= self.messages.index(message) < self._taken
        self.messages.remove(message)

    async def next_message(self, timeout: float = 5) -> Shown:  # noqa: ASYNC109 - a test says how patient it is
        """The next one that was not taken yet. Raises TimeoutError."""
        try:
            async with asyncio.timeout(timeout):
                while self._taken >= len(self.messages):
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            seen = f"{len(self.messages)} before" if self.messages else "none at all"
            raise TimeoutError(f"chat {self.id} got no message within {timeout} s ({seen})") from None
        self._taken += 1
        return self.messages[self._taken - 1]

    async def next_messages(self, count: int, timeout: float = 5) -> list[Shown]:  # noqa: ASYNC109 - as above
        async with asyncio.timeout(timeout):
            return [await self.next_message(timeout) for _ in range(count)]

    async def no_message(self, seconds: float = 0.3) -> None:
        """Raises AssertionError when one comes."""
        try:
            message = await self.next_message(seconds)
        except TimeoutError:
            return
        raise AssertionError(f"chat {self.id} got a message: {message.text!r}")


class User(Chat):
    """A person and their chat with the bot; both have the same id."""

    def __init__(
        self, world: World, user_id: int, *, name: str, username: str | None, language_code: str | None
    ) -> None:
        super().__init__(world, user_id, "private")
        self.name = name
        self.username = username
        self.language_code = language_code
        self.answers: list[tuple[str, str | None]] = []
        self.refusal = "bot can't initiate conversation with a user"
        self.sent: dict[int, dict[str, Any]] = {}
        """Messages of the person, as Telegram keeps them."""
        self.user_id = user_id

    @property
    def person(self) -> dict[str, Any]:
        known = {"username": self.username, "language_code": self.language_code}
        said = {key: value for key, value in known.items() if value}
        return {"id": self.user_id, "is_bot": False, "first_name": self.name, **said}

    @property
    def described(self) -> dict[str, Any]:
        more = {"username": self.username} if self.username else {}
        return {"id": self.id, "first_name": self.name, "type": "private", **more}

    # ---- words ----

    def starts(self, payload: str = "") -> int:
        """Every action returns the id of its update."""
        return self.sends(f"/start {payload}".strip())

    def sends(self, text: str, *, reply_to: int | None = None) -> int:
        if len(text) > 4096:
            raise ValueError("Telegram's apps make several messages of a text this long")
        more: dict[str, Any] = {}
        if reply_to is not None:
            answered = self.find(reply_to)
            more["reply_to_message"] = answered.raw if answered else self.sent[reply_to]
        return self.raw(_with_entities("text", text) | more)

    def edits(self, text: str, *, message_id: int | None = None) -> int:
        before = self.sent[message_id or max(self.sent)]
        message = before | _with_entities("text", text) | {"edit_date": unix_now()}
        self.sent[message["message_id"]] = message
        return self._world.updates.add({"edited_message": message})

    def raw(self, message: dict[str, Any]) -> int:
        """A message with these fields."""
        if self.refusal and "initiate" in self.refusal:
            self.refusal = None
        whole = {
            "message_id": next(self._world.message_ids),
            "from": self.person,
            "chat": self.described,
            "date": unix_now(),
            **message,
        }
        self.sent[whole["message_id"]] = whole
        return self._world.updates.add({"message": whole})

    # ---- buttons ----

    def presses(self, button: str, *, message: Shown | None = None) -> int:
        """By its label or its data, on the newest message that has it. Raises LookupError."""
        for shown in [message] if message else reversed(self.messages):
            for one in (one for row in shown.buttons for one in row):
                if button in (one.text, one.data):
                    return self._press(shown, one)
        seen = [label for shown in self.messages for label in shown.labels]
        raise LookupError(f"there is no button {button!r}; there are {seen}")

    def _press(self, shown: Shown, button: Button) -> int:
        if button.data is None:
            raise LookupError(f"button {button.text!r} tells the bot nothing")
        return self._asks(shown.raw, button.data)

    def presses_data(self, data: str, *, message_id: int = 1) -> int:
        """Data of a button that nobody made."""
        shown = self.find(message_id)
        gone = {"message_id": message_id, "chat": self.described, "date": 0}
        return self._asks(shown.raw if shown else gone, data)

    def _asks(self, message: dict[str, Any], data: str) -> int:
        question = self._world.ask(self)
        query = {
            "id": question.id,
            "from": self.person,
            "message": message,
            "chat_instance": str(self.id),
            "data": data,
        }
        return self._world.updates.add({"callback_query": query})

    # ---- files and the rest ----

    def sends_photo(self, content: bytes | None = None, *, caption: str = "", size: int | None = None) -> int:
        return self.raw(self._photo(samples.photo() if content is None else content, size) | _caption(caption))

    def _photo(self, content: bytes, size: int | None = None) -> dict[str, Any]:
        sizes = []
        for edge, claimed in ((90, 1_200), (800, size)):
            stored = self._world.keep_file(content, size=claimed)
            described = stored.described(width=edge, height=edge * 3 // 4)
            sizes.append(described)
        return {"photo": sizes}

    def sends_document(
        self,
        content: bytes = samples.DOCUMENT,
        *,
        name: str = "documento.pdf",
        mime: str = "application/pdf",
        caption: str = "",
        size: int | None = None,
    ) -> int:
        stored = self._world.keep_file(content, name=name, mime=mime, size=size)
        return self.raw({"document": stored.described()} | _caption(caption))

    def sends_voice(
        self, content: bytes | None = None, *, seconds: int = 3, caption: str = "", size: int | None = None
    ) -> int:
        return self._sends_media("voice", content or samples.voice(), "audio/ogg", seconds, caption, size)

    def sends_audio(
        self, content: bytes = b"ID3\x03\x00", *, seconds: int = 3, caption: str = "", size: int | None = None
    ) -> int:
        return self._sends_media("audio", content, "audio/mpeg", seconds, caption, size)

    def sends_video(
        self, content: bytes = b"video", *, seconds: int = 3, caption: str = "", size: int | None = None
    ) -> int:
        return self._sends_media("video", content, "video/mp4", seconds, caption, size, width=640, height=480)

    def sends_video_note(self, content: bytes = b"video", *, seconds: int = 3) -> int:
        return self._sends_media("video_note", content, None, seconds, "", None, length=240)

    def _sends_media(
        self, kind: str, content: bytes, mime: str | None, seconds: int, caption: str, size: int | None, **more: Any
    ) -> int:
        stored = self._world.keep_file(content, mime=mime, size=size)
        return self.raw({kind: stored.described(duration=seconds, **more)} | _caption(caption))

    def sends_album(self, *files: tuple[str, bytes], caption: str = "") -> list[int]:
        """Pairs of `photo` or `document` and a content; the caption stands under the first."""
        album = {"media_group_id": str(self._world.number() + 13_000_000)}
        numbers = []
        for place, (kind, content) in enumerate(files):
            if kind == "photo":
                body = self._photo(content)
            else:
                stored = self._world.keep_file(content, name=f"documento-{place + 1}.pdf", mime="application/pdf")
                body = {"document": stored.described()}
            numbers.append(self.raw(body | album | _caption("" if place else caption)))
        return numbers

    def sends_sticker(self, emoji: str = "👍") -> int:
        stored = self._world.keep_file(b"RIFF", size=9_000)
        about = {"type": "regular", "width": 512, "height": 512, "is_animated": False, "is_video": False}
        return self.raw({"sticker": stored.described(emoji=emoji, **about)})

    def sends_other(self, kind: str, value: Any) -> int:
        return self.raw({kind: value})

    def shares_location(self, latitude: float, longitude: float) -> int:
        return self.raw({"location": {"latitude": latitude, "longitude": longitude}})

    def shares_contact(self, phone: str = "+393331234567", *, own: bool = True) -> int:
        who = {"first_name": self.name, "user_id": self.user_id} if own else {"first_name": "Somebody else"}
        return self.raw({"contact": {"phone_number": phone, **who}})

    def blocks_bot(self) -> int:
        return self._member("member", "kicked", "bot was blocked by the user")

    def unblocks_bot(self) -> int:
        return self._member("kicked", "member", None)

    def _member(self, old: str, new: str, refusal: str | None) -> int:
        self.refusal = refusal
        return self._world.updates.add(
            {"my_chat_member": _membership(self.described, self.person, self._world, old, new)}
        )

    def deletes_account(self) -> None:
        self.refusal = "user is deactivated"


class Group(Chat):
    def __init__(self, world: World, chat_id: int, *, title: str, type_: str) -> None:
        super().__init__(world, chat_id, type_)
        self.title = title

    @property
    def described(self) -> dict[str, Any]:
        return {"id": self.id, "title": self.title, "type": self.type}

    def says(self, user: User, text: str) -> int:
        """A channel has no authors."""
        author = {} if self.type == "channel" else {"from": user.person}
        message = {"message_id": next(self._world.message_ids), "chat": self.described, "date": unix_now(), **author}
        kind = "channel_post" if self.type == "channel" else "message"
        return self._world.updates.add({kind: message | _with_entities("text", text)})

    def adds_bot(self, user: User) -> int:
        self.refusal = None
        return self._member(user, "left", "member")

    def removes_bot(self, user: User) -> int:
        self.refusal = f"bot was kicked from the {self.type} chat"
        return self._member(user, "member", "kicked")

    def _member(self, user: User, old: str, new: str) -> int:
        return self._world.updates.add(
            {"my_chat_member": _membership(self.described, user.person, self._world, old, new)}
        )


def _membership(chat: dict[str, Any], person: dict[str, Any], world: World, old: str, new: str) -> dict[str, Any]:
    def member(status: str) -> dict[str, Any]:
        return {"user": world.bot, "status": status} | ({"until_date": 0} if status == "kicked" else {})

    about = {"chat": chat, "from": person, "date": unix_now()}
    return {**about, "old_chat_member": member(old), "new_chat_member": member(new)}


def _with_entities(name: str, text: str) -> dict[str, Any]:
    text, found = entities.parse(text, None)
    prefix = "caption_" if name == "caption" else ""
    return {name: text} | ({f"{prefix}entities": found} if found else {})


def _caption(text: str) -> dict[str, Any]:
    return _with_entities("caption", text) if text else {}
