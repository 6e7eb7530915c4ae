"""Files that people send: letters they do not understand, above all."""

import re
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from backend.attachments import LARGEST_FILE, FileTooLarge, check_access, file_name, make_safe, read_file, store_file
from backend.chat import Stored, finish_turn
from backend.errors import InvalidRequest
from backend.models import Attachment
from backend.web.api import PROBLEMS, ServicesHere, problems
from backend.web.staff import address_of
from backend.web.tokens import BearerToken, Caller, cookie_value
from backend.web.views import MessageView, message_view

router = APIRouter(prefix="/api/v1")

_FORM_AROUND = 64 * 1024
"""Bytes of a multipart form that are not the file."""
_CLIENT_MESSAGE_ID = r"^[A-Za-z0-9_.:-]{1,64}$"
_INLINE = frozenset({"image/jpeg", "image/png"})
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "client_message_id"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "JPEG, PNG, WebP, GIF, PDF, or a voice message (Ogg/Opus, MP3, M4A, WebM); "
                            "10 MB at most.",
                        },
                        "client_message_id": {
                            "type": "string",
                            "pattern": _CLIENT_MESSAGE_ID,
                            "description": "Sent twice, answered once.",
                        },
                    },
                }
            }
        },
    }
}
_FILE = {
    "description": "The file as it is kept; everything but images as a download.",
    "content": {
        media_type: {"schema": {"type": "string", "format": "binary"}}
        for media_type in ("image/*", "application/pdf", "audio/*")
    },
}


class _InMemory(MultiPartParser):
    """A person's file is never written to a disk as it came."""

    spool_max_size = LARGEST_FILE + _FORM_AROUND

    def close(self) -> None:
        """Also the part that a form which ends in its middle has begun; Starlette leaves that one open."""
        for file in self._files_to_close_on_error:
            file.close()


async def _limited(request: Request) -> AsyncGenerator[bytes, None]:
    """The body, as long as it can still be a file that is small enough."""
    read = 0
    async for chunk in request.stream():
        read += len(chunk)
        if read > LARGEST_FILE + _FORM_AROUND:
            raise FileTooLarge
        yield chunk


async def read_form(request: Request) -> tuple[bytes, str]:
    """File and client_message_id. Raises FileTooLarge, InvalidRequest."""
    said = request.headers.get("content-length", "")
    if said.isdecimal() and len(said) < 19 and int(said) > LARGEST_FILE + _FORM_AROUND:
        raise FileTooLarge
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise InvalidRequest
    parser = _InMemory(request.headers, _limited(request), max_files=1, max_fields=1, max_part_size=_FORM_AROUND)
    try:
        form = await parser.parse()
        file, client_message_id = form.get("file"), form.get("client_message_id")
        if not isinstance(file, UploadFile) or not isinstance(client_message_id, str):
            raise InvalidRequest
        if not re.fullmatch(_CLIENT_MESSAGE_ID, client_message_id):
            raise InvalidRequest
        return await file.read(), client_message_id
    except (MultiPartException, ClientDisconnect, UnicodeError) as error:
        raise InvalidRequest from error
    finally:
        parser.close()


def served(attachment: Attachment) -> Response:
    """Under our own name, sandboxed, and kept by no browser: a file may try to be a page."""
    inline = attachment.media_type in _INLINE
    headers = {
        "content-disposition": f'{"inline" if inline else "attachment"}; filename="{file_name(attachment)}"',
        "content-security-policy": "sandbox; default-src 'none'",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }
    return Response(attachment.data, media_type=attachment.media_type, headers=headers)


@router.post("/conversations/{conversation_id}/attachments", status_code=201, responses=PROBLEMS, openapi_extra=_BODY)
async def send_attachment(
    request: Request, conversation_id: UUID, token: BearerToken, services: ServicesHere
) -> MessageView:
    """The message that holds the file; the answer follows as a message of its own."""
    # By conversation with its token: a stranger who knows an id uses up nobody's share.
    caller = cookie_value(Caller(conversation_id, token))
    await services.limits.check("attachment", conversation=caller, address=address_of(request))
    await check_access(services.sessions, conversation_id, token)
    data, client_message_id = await read_form(request)
    file = await make_safe(data)
    stored = await store_file(services.sessions, conversation_id, token, client_message_id, file)
    if not stored.answered and stored.access.state == "BOT":
        await finish_turn(services.chat, Stored(stored.access, stored.message, answered=False))
    return message_view(stored.message, services.shelf, now=services.now())


@router.get(
    "/conversations/{conversation_id}/attachments/{attachment_id}",
    response_class=Response,
    responses={200: _FILE, **problems(401, 404, 422, 503)},
)
async def read_attachment(
    conversation_id: UUID, attachment_id: UUID, token: BearerToken, services: ServicesHere
) -> Response:
    return served(await read_file(services.sessions, conversation_id, token, attachment_id))
