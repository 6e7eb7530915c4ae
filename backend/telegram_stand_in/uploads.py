"""Files the bot sends: uploaded with the call, or named by an id that Telegram knows."""

import io
from collections.abc import Mapping
from typing import Any

from backend.telegram_stand_in.table import Refused
from backend.telegram_stand_in.world import StoredFile, Uploaded, World

LARGEST_DOWNLOAD = 20 * 1024**2
"""Bytes a bot can fetch."""
LARGEST_PHOTO = 10 * 1024**2
LARGEST_UPLOAD = 50 * 1024**2
_VOICES = (b"OggS", b"ID3", b"\xff\xfb", b"\xff\xf3")


def take(
    world: World, kind: str, given: str, files: Mapping[str, Uploaded], fields: Mapping[str, Any]
) -> tuple[str, StoredFile, dict[str, Any]]:
    """What it is shown as, the file, and what the message holds of it. Raises Refused."""
    stored = _stored(world, kind, given, files)
    if kind == "photo":
        width, height = _size_of_picture(stored.content)
        return "photo", stored, {"photo": [stored.described(width=width, height=height)]}
    if kind == "voice" and _is_voice(stored.content):
        return "voice", stored, {"voice": stored.described(duration=fields.get("duration", 0))}
    return "document", stored, {"document": stored.described()}  # so Telegram shows a voice in another format


def _stored(world: World, kind: str, given: str, files: Mapping[str, Uploaded]) -> StoredFile:
    if not given.startswith("attach://"):
        if given.startswith(("http://", "https://")):
            raise Refused("failed to get HTTP URL content")  # nothing here fetches from anywhere
        if given not in world.files:
            raise Refused("wrong file identifier/HTTP URL specified")
        return world.files[given]
    upload = files.get(given.removeprefix("attach://"))
    if upload is None:
        raise Refused(f"there is no {kind} in the request")
    if not upload.content:
        raise Refused("file must be non-empty")
    if kind == "photo" and len(upload.content) > LARGEST_PHOTO:
        raise Refused("file is too big")
    if len(upload.content) > LARGEST_UPLOAD:
        raise Refused("Request Entity Too Large", 413)
    named = kind == "document"
    return world.keep_file(upload.content, name=upload.name if named else None, mime=upload.mime)


def _is_voice(content: bytes) -> bool:
    return content.startswith(_VOICES) or content[4:8] == b"ftyp"


def _size_of_picture(content: bytes) -> tuple[int, int]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as picture:
            width, height = picture.size
    except (OSError, ValueError):
        raise Refused("IMAGE_PROCESS_FAILED") from None
    if width + height > 10_000 or max(width, height) > 20 * min(width, height):
        raise Refused("PHOTO_INVALID_DIMENSIONS")
    return width, height
