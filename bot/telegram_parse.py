"""What Telegram sends, read: one update of the Bot API as a value, whatever stands in it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bot.phrases import FALLBACK, SOURCE, SPOKEN

Kind = Literal[
    "message",
    "choice",
    "start",
    "command",
    "location",
    "contact",
    "files",
    "edited",
    "other",
    "group",
    "blocked",
    "unblocked",
    "migrated",
    "nothing",
]
FileKind = Literal["image", "pdf", "voice", "other"]
COMMANDS = ("book", "person", "language", "mydata", "forget", "help")
ALLOWED_UPDATES = ("message", "edited_message", "callback_query", "my_chat_member")
_WORDLESS = ("sticker", "dice", "poll", "game", "story", "live_photo", "paid_media", "checklist")
"""What somebody sends that is neither words nor a file; everything else without either is news about the chat."""
_COMMAND = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@\w{1,64})?(?:\s+(.*))?", re.DOTALL)
_HALVES = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class FileSent:
    """One file as it was announced; nothing of it has been fetched."""

    file_id: str
    kind: FileKind
    size: int | None = None
    """Bytes; may be wrong."""
    name: str | None = None
    mime: str | None = None
    seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Arrived:
    """One update. What does not belong to its kind is empty."""

    update_id: int | None
    """None: it was no update at all."""
    kind: Kind = "nothing"
    chat_id: int | None = None
    message_id: int | None = None
    """Of the message that was sent or edited, or whose button was pressed."""
    text: str = ""
    """Of a message, also an edited one; under files; after a command. At most 4,096 characters."""
    choice: str | None = None
    callback_id: str | None = None
    """To be answered, whatever the kind: the button shows a clock until then."""
    payload: str | None = None
    """What a deep link began with."""
    command: str | None = None
    """One of `COMMANDS`."""
    location: tuple[float, float] | None = None
    """Latitude and longitude, WGS 84, degrees."""
    phone: str | None = None
    files: tuple[FileSent, ...] = ()
    media_group_id: str | None = None
    """The same for all files of an album, each of which is an update of its own."""
    new_chat_id: int | None = None
    language_code: str | None = None
    """IETF tag, as the person's Telegram says it."""
    date: datetime | None = None
    addressed: bool = False
    """In a group: the bot was added, named, or answered to."""


# ---- the parts of the Bot API that matter here; everything else in an update is passed over ----


def _whole(value: Any) -> Any:
    """JSON can hold half a surrogate pair, and nothing after this can."""
    return _HALVES.sub("\ufffd", value) if isinstance(value, str) else value


_Number = Annotated[int, Field(ge=-(2**63), lt=2**63)]
_Words = Annotated[str, BeforeValidator(_whole)]
_Moment = Annotated[int, Field(ge=0, le=32503680000)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class _User(_Part):
    id: _Number
    is_bot: bool = False
    username: _Words | None = None
    language_code: _Words | None = None


class _Chat(_Part):
    id: _Number
    type: _Words


class _File(_Part):
    file_id: Annotated[_Words, Field(min_length=1, max_length=500)]
    file_size: _Number | None = None
    file_name: _Words | None = None
    mime_type: _Words | None = None
    duration: _Number | None = None
    width: _Number = 0
    height: _Number = 0


class _Location(_Part):
    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]


class _Contact(_Part):
    phone_number: _Words


class _Message(_Part):
    message_id: _Number
    date: _Moment
    chat: _Chat
    sender: _User | None = Field(default=None, alias="from")
    text: _Words | None = None
    caption: _Words | None = None
    media_group_id: _Words | None = None
    migrate_to_chat_id: _Number | None = None
    location: _Location | None = None
    contact: _Contact | None = None
    photo: Annotated[list[_File], Field(min_length=1)] | None = None
    animation: _File | None = None
    audio: _File | None = None
    document: _File | None = None
    video: _File | None = None
    video_note: _File | None = None
    voice: _File | None = None
    wordless: bool = False
    answers: _User | None = None


class _Pressed(_Part):
    id: _Words
    sender: _User = Field(alias="from")
    message: _Message | None = None
    data: _Words | None = None


class _Membership(_Part):
    status: _Words


class _Member(_Part):
    chat: _Chat
    date: _Moment
    sender: _User = Field(alias="from")
    old_chat_member: _Membership
    new_chat_member: _Membership


def parse(raw: object, *, username: str | None = None) -> Arrived:
    """Never raises: what cannot be read is `nothing`, and so is what nobody needs to answer. `username` is the bot's
    own, without @; in a group it tells whether somebody speaks to the bot."""
    if not isinstance(raw, Mapping):
        return Arrived(None)
    number = raw.get("update_id")
    update_id = number if type(number) is int and abs(number) < 2**63 else None
    for name, read in (("message", _message), ("edited_message", _edited)):
        if name in raw:
            found = _read_message(raw[name])
            return replace(read(found, username), update_id=update_id) if found else Arrived(update_id)
    if "callback_query" in raw:
        return replace(_pressed(raw["callback_query"]), update_id=update_id)
    if "my_chat_member" in raw:
        return replace(_member(raw["my_chat_member"]), update_id=update_id)
    return Arrived(update_id)


def _read_message(raw: object) -> _Message | None:
    if not isinstance(raw, Mapping):
        return None
    answered = raw.get("reply_to_message")
    answers = answered.get("from") if isinstance(answered, Mapping) else None
    wordless = any(name in raw for name in _WORDLESS)
    try:
        return _Message.model_validate({**raw, "wordless": wordless, "answers": answers})
    except (ValidationError, RecursionError):
        return None


def _message(message: _Message, username: str | None) -> Arrived:
    came = _came(message)
    if message.migrate_to_chat_id is not None:
        return replace(came, kind="migrated", new_chat_id=message.migrate_to_chat_id)
    if message.chat.type != "private":
        return _in_group(message, username)
    if message.sender is None or message.sender.is_bot:
        return Arrived(None)
    if message.location:
        return replace(came, kind="location", location=(message.location.latitude, message.location.longitude))
    if message.contact:
        return replace(came, kind="contact", phone=message.contact.phone_number)
    if file := _file(message):
        caption = message.caption or ""
        return replace(came, kind="files", files=(file,), text=caption, media_group_id=message.media_group_id)
    if message.text is not None:
        return _words(came, message.text)
    return replace(came, kind="other") if message.wordless else Arrived(None)


def _came(message: _Message) -> Arrived:
    return Arrived(
        None,
        chat_id=message.chat.id,
        message_id=message.message_id,
        language_code=message.sender.language_code if message.sender else None,
        date=datetime.fromtimestamp(message.date, UTC),
    )


def _words(came: Arrived, text: str) -> Arrived:
    found = _COMMAND.fullmatch(text)
    name, rest = (found[1].lower(), (found[2] or "").strip()) if found else ("", "")
    if name == "start":
        return replace(came, kind="start", payload=rest or None)
    if name in COMMANDS:
        return replace(came, kind="command", command=name, text=rest)
    return replace(came, kind="message", text=text)


def _edited(message: _Message, username: str | None) -> Arrived:
    """Words only: a shared location that moves on comes as an edited message every few seconds."""
    text = message.text or message.caption
    if message.chat.type != "private":
        return replace(_in_group(message, None), addressed=False)
    if not text or message.location or message.sender is None or message.sender.is_bot:
        return Arrived(None)
    return replace(_came(message), kind="edited", text=text)


def _in_group(message: _Message, username: str | None) -> Arrived:
    """Nothing of what is said in a group is taken along."""
    came = replace(_came(message), kind="group", message_id=None)
    if message.sender is None or message.sender.is_bot or message.chat.type == "channel":
        return came
    own = (username or "").lower()
    words = (message.text or message.caption or "").lower()
    named = bool(own) and re.search(rf"@{re.escape(own)}\b", words) is not None
    command = _COMMAND.fullmatch(words)
    meant = command is not None and "@" not in words.split()[0] and command[1] in ("start", *COMMANDS)
    answers = message.answers
    answered = bool(own) and answers is not None and answers.is_bot and (answers.username or "").lower() == own
    return replace(came, addressed=named or meant or answered)


def _file(message: _Message) -> FileSent | None:
    if message.photo:
        largest = max(message.photo, key=lambda one: one.width * one.height)
        return _sent(largest, "image", mime="image/jpeg")
    if message.animation or message.video or message.video_note:
        return _sent(message.animation or message.video or message.video_note, "other")
    if message.voice or message.audio:
        return _sent(message.voice or message.audio, "voice")
    if message.document:
        return _sent(message.document, _kind_of(message.document))
    return None


def _kind_of(file: _File) -> FileKind:
    """By what the sender's program says; whoever opens it looks for itself."""
    mime, name = (file.mime_type or "").lower(), (file.file_name or "").lower()
    if mime == "application/pdf" or name.endswith(".pdf"):
        return "pdf"
    if mime.startswith("image/"):
        return "image"
    return "voice" if mime.startswith("audio/") else "other"


def _sent(file: _File | None, kind: FileKind, *, mime: str | None = None) -> FileSent | None:
    if file is None:
        return None
    return FileSent(file.file_id, kind, file.file_size, file.file_name, file.mime_type or mime, file.duration)


def _pressed(raw: object) -> Arrived:
    """Of a message that is too old Telegram only says which one it was; that is enough."""
    try:
        pressed = _Pressed.model_validate(raw)
    except (ValidationError, RecursionError):
        return Arrived(None)
    answer, message = Arrived(None, callback_id=pressed.id), pressed.message
    if message is None or message.chat.type != "private" or pressed.data is None or pressed.sender.is_bot:
        return answer
    return replace(
        answer,
        kind="choice",
        chat_id=message.chat.id,
        message_id=message.message_id,
        choice=pressed.data,
        language_code=pressed.sender.language_code,
    )


def _member(raw: object) -> Arrived:
    try:
        member = _Member.model_validate(raw)
    except (ValidationError, RecursionError):
        return Arrived(None)
    date = datetime.fromtimestamp(member.date, UTC)
    came = Arrived(None, chat_id=member.chat.id, language_code=member.sender.language_code, date=date)
    out = ("left", "kicked")
    was_out, is_out = member.old_chat_member.status in out, member.new_chat_member.status in out
    if member.chat.type != "private":
        return replace(came, kind="group", addressed=was_out and not is_out and member.chat.type != "channel")
    return replace(came, kind="blocked" if is_out else "unblocked")


def album(parts: Sequence[Arrived]) -> Arrived:
    """The files of one album as one, in the order they were sent. `parts` are at least one, all of kind `files`."""
    ordered = sorted(parts, key=lambda part: part.message_id or 0)
    files = tuple(file for part in ordered for file in part.files)
    text = "\n".join(part.text for part in ordered if part.text)
    return replace(ordered[0], files=files, text=text)


def guess_language(language_code: str | None) -> str:
    """One of `SPOKEN`. Telegram's own language is a first guess: whoever has it in one we do not speak rather reads
    English than Italian; of whoever has none nothing is known."""
    code = re.split("[-_]", language_code or "")[0].lower()
    if not code:
        return SOURCE
    return code if code in SPOKEN else FALLBACK
