"""Files that people send, letters they do not understand above all, and that are sent to them. What a file is, its
content says.

Images are made anew, without anything but the picture; the rest is kept as it is and only ever served as a download.
"""

import asyncio
import io
import re
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from PIL import Image, ImageOps
from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.ext.asyncio import AsyncSession

from backend.conversations import Access, StoredMessage, access_conversation, token_hash
from backend.db import Sessions, notify, retried
from backend.errors import AppError, NotFound
from backend.models import Attachment, Conversation, Message
from bot.phrases import say

LARGEST_FILE = 10 * 1024 * 1024
"""Bytes."""
LONGEST_SIDE = 2560
"""Pixels; a page of a letter stays readable."""
CHOICE = "attachment"
"""What the dialogue answers a file with."""

Image.MAX_IMAGE_PIXELS = 50_000_000
warnings.simplefilter("error", Image.DecompressionBombWarning)
_ONE_AT_A_TIME = ThreadPoolExecutor(max_workers=1, thread_name_prefix="images")
"""A large picture takes some two hundred megabytes while it is open."""
_EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "application/pdf": "pdf",
    "audio/ogg": "ogg",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/webm": "weba",
}


class FileTooLarge(AppError):
    status = 413
    code = "file_too_large"

    def __init__(self) -> None:
        super().__init__(limit=LARGEST_FILE // 1024**2)


class EmptyFile(AppError):
    status = 422
    code = "empty_file"


class UnknownFileType(AppError):
    status = 422
    code = "unknown_file_type"


class BrokenFile(AppError):
    status = 422
    code = "broken_file"


@dataclass(frozen=True, slots=True)
class SafeFile:
    kind: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What was sent: the message, and whether it was answered already when it came a second time."""

    access: Access
    message: StoredMessage
    answered: bool


# ---- what a file is ----


def _has_opus(data: bytes) -> bool:
    return data.startswith(b"OggS") and b"OpusHead" in data[:64]


def _is_mp3(data: bytes) -> bool:
    """An ID3 tag, or the header of a frame of layer III (ISO/IEC 11172-3 section 2.4.1.3)."""
    if data.startswith(b"ID3"):
        return True
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return False
    version, layer, rate, sampling = data[1] >> 3 & 3, data[1] >> 1 & 3, data[2] >> 4, data[2] >> 2 & 3
    return version != 1 and layer == 1 and rate not in (0, 15) and sampling != 3


def _is_mp4_audio(data: bytes) -> bool:
    """The handlers of all tracks are in the file (ISO/IEC 14496-12 section 8.4.3): sound, and no picture."""
    handlers = {match[1] for match in re.finditer(rb"hdlr.{8}(soun|vide)", data, re.DOTALL)}
    return data[4:8] == b"ftyp" and handlers == {b"soun"}


def _is_webm_audio(data: bytes) -> bool:
    head = data[:4096]
    return (
        head.startswith(b"\x1a\x45\xdf\xa3")
        and b"webm" in head[:64]
        and re.search(rb"A_(?:OPUS|VORBIS)", head) is not None
        and b"V_" not in head
    )


_VOICES: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("audio/ogg", _has_opus),
    ("audio/mp4", _is_mp4_audio),
    ("audio/webm", _is_webm_audio),
    ("audio/mpeg", _is_mp3),
)


def _is_image(data: bytes) -> bool:
    return data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")) or (
        data.startswith(b"RIFF") and data[8:12] == b"WEBP"
    )


async def make_safe(data: bytes) -> SafeFile:
    """Raises EmptyFile, FileTooLarge, UnknownFileType, BrokenFile."""
    if not data:
        raise EmptyFile
    if len(data) > LARGEST_FILE:
        raise FileTooLarge
    if _is_image(data):
        return await asyncio.get_running_loop().run_in_executor(_ONE_AT_A_TIME, _make_image, data)
    if data.startswith(b"%PDF-"):
        if b"%%EOF" not in data[-1024:]:
            raise BrokenFile
        return SafeFile("pdf", "application/pdf", data)
    for media_type, is_it in _VOICES:
        if is_it(data):
            return SafeFile("voice", media_type, data)
    raise UnknownFileType


def _make_image(data: bytes) -> SafeFile:
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP", "GIF")) as image:
            image.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))  # a large JPEG is not even decoded at its full size
            picture = _plain_picture(image)
            return _encode(picture, lossless=image.format in ("PNG", "GIF") or picture.mode in ("LA", "RGBA"))
    except Exception as error:  # Pillow raises whatever its decoders run into
        raise BrokenFile from error


def _plain_picture(image: Image.Image) -> Image.Image:
    """The right way up, small enough, and without anything that is not picture."""
    image.load()
    turned = ImageOps.exif_transpose(image)
    if turned.mode.startswith("I"):  # sixteen bits of grey, as scanners write them
        turned = turned.convert("I").point(lambda grey: grey * (1 / 256)).convert("L")
    see_through = "transparency" in turned.info or turned.mode in ("LA", "La", "PA", "RGBA", "RGBa")
    if turned.mode != "L" or see_through:
        turned = turned.convert("RGBA" if see_through else "RGB")
    turned.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    turned.info.clear()  # comments, colour profiles, positions
    return turned


def _encode(picture: Image.Image, *, lossless: bool) -> SafeFile:
    out = io.BytesIO()
    if lossless:
        picture.save(out, "PNG", optimize=True)
        if out.tell() <= LARGEST_FILE:
            return SafeFile("image", "image/png", out.getvalue())
        out = io.BytesIO()
    _on_white(picture).save(out, "JPEG", quality=88)
    return SafeFile("image", "image/jpeg", out.getvalue())


PREVIEW_SIDE = 480
"""Pixels."""


async def make_preview(data: bytes) -> bytes:
    """A small JPEG of an image that was made safe before: a page with ten letters on it is read on a phone."""
    return await asyncio.get_running_loop().run_in_executor(_ONE_AT_A_TIME, _shrink, data)


def _shrink(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
        image.draft("RGB", (PREVIEW_SIDE, PREVIEW_SIDE))
        image.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), reducing_gap=2.0)
        out = io.BytesIO()
        _on_white(image.convert("RGBA" if image.mode in ("LA", "RGBA") else "RGB")).save(out, "JPEG", quality=75)
        return out.getvalue()


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA":
        return picture
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    return white


# ---- in the database ----


async def store_file(
    sessions: Sessions, conversation_id: UUID, token: str, external_id: str, file: SafeFile
) -> StoredFile:
    """Message and attachment in one transaction, once for each id of the sender's own making.

    Raises Unauthorized, NotFound, Unavailable.
    """
    key = token_hash(token)

    async def work() -> StoredFile:
        async with sessions.begin() as session:
            return await _store(session, conversation_id, key, external_id, file)

    return await retried(work)


async def _store(
    session: AsyncSession, conversation_id: UUID, key: bytes, external_id: str, file: SafeFile
) -> StoredFile:
    columns = (Conversation.language, Conversation.place, Conversation.state, Conversation.forget_on_close)
    query = select(*columns).where(Conversation.id == conversation_id, Conversation.token_hash == key)
    # Locked as every message does it, so that ids grow in the order of commits.
    row = (await session.execute(query.with_for_update(key_share=True))).one_or_none()
    if row is None:
        raise NotFound
    access = Access(conversation_id, *row)
    return await store_in(session, access, external_id, [file])


async def store_in(session: AsyncSession, access: Access, external_id: str, files: Sequence[SafeFile]) -> StoredFile:
    """A person's files as one message of a conversation whose row is locked, once for each id."""
    kept = keep(access.id, files)
    text, payload = say(access.language, f"choice.{CHOICE}"), {"choice": CHOICE, "attachments": described(kept)}
    values = {"conversation_id": access.id, "external_id": external_id, "author": "person", "payload": payload}
    made = await session.execute(
        insert_or_skip(Message)
        .values(**values, language=access.language, text=text)
        .on_conflict_do_nothing(index_elements=["conversation_id", "external_id"])
        .returning(Message.id, Message.created_at)
    )
    stored = made.one_or_none()
    if stored is None:
        return await _known(session, access, external_id)
    await attach(session, stored.id, kept)
    await notify(session, access.id)
    message = StoredMessage(stored.id, "person", access.language, text, None, payload, stored.created_at)
    return StoredFile(access, message, answered=False)


@dataclass(frozen=True, slots=True)
class Kept:
    """A file with the id under which it will be found in its conversation."""

    id: UUID
    conversation_id: UUID
    file: SafeFile


def keep(conversation_id: UUID, files: Sequence[SafeFile]) -> list[Kept]:
    return [Kept(uuid4(), conversation_id, file) for file in files]


def described(kept: Sequence[Kept]) -> list[dict[str, Any]]:
    """As the payload of their message names them."""
    return [
        {
            "id": str(one.id),
            "kind": one.file.kind,
            "media_type": one.file.media_type,
            "size": len(one.file.data),
            "conversation": str(one.conversation_id),
        }
        for one in kept
    ]


async def attach(session: AsyncSession, message_id: int, kept: Sequence[Kept]) -> None:
    for one in kept:
        file = one.file
        values = {"id": one.id, "kind": file.kind, "media_type": file.media_type, "data": file.data}
        await session.execute(insert(Attachment).values(**values, message_id=message_id, size=len(file.data)))


async def _known(session: AsyncSession, access: Access, external_id: str) -> StoredFile:
    query = select(Message).where(Message.conversation_id == access.id, Message.external_id == external_id)
    row = (await session.execute(query)).scalar_one()
    message = StoredMessage(row.id, row.author, row.language, row.text, row.original, row.payload, row.created_at)
    return StoredFile(access, message, answered=row.answered_at is not None)


async def get_attachment(session: AsyncSession, conversation_id: UUID, attachment_id: UUID) -> Attachment:
    """For whoever was let into the conversation. Raises NotFound."""
    query = (
        select(Attachment)
        .join(Message, Message.id == Attachment.message_id)
        .where(Attachment.id == attachment_id, Message.conversation_id == conversation_id)
    )
    found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound
    return found


async def read_file(sessions: Sessions, conversation_id: UUID, token: str, attachment_id: UUID) -> Attachment:
    """For the person who sent it. Raises Unauthorized, NotFound, Unavailable."""

    async def work() -> Attachment:
        async with sessions.begin() as session:
            await access_conversation(session, conversation_id, token)
            return await get_attachment(session, conversation_id, attachment_id)

    return await retried(work)


def file_name(attachment: Attachment) -> str:
    """Our own: the sender's may say who they are, or pretend to be something else."""
    return f"{attachment.kind}-{attachment.id.hex[:8]}.{_EXTENSIONS[attachment.media_type]}"
