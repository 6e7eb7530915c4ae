"""Files that people send: letters they do not understand, above all."""

import contextlib
import re
from collections.abc import AsyncGenerator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from backend.attachments import (
    LARGEST_FILE,
    FileTooLarge,
    SafeFile,
    file_name,
    make_preview,
    make_safe,
    read_file,
    store_file,
)
from backend.chat import Answered, Sent, Stored, check_sent, finish_turn, receive
from backend.conversations import check_access
from backend.errors import AppError, Forbidden, InvalidRequest, NotFound
from backend.models import Attachment
from backend.services import Services
from backend.web.api import PROBLEMS, ServicesHere, count_message, problems
from backend.web.chat import answer, in_conversation, refused
from backend.web.cookies import check_same_site
from backend.web.staff import address_of
from backend.web.tokens import BearerToken, Caller, caller_of_page, cookie_value
from backend.web.views import MessageView, message_view

router = APIRouter()
page_router = APIRouter(include_in_schema=False)
"""Of the chat page, at home and inside another site's page."""
_API = "/api/v1/conversations/{conversation_id}/attachments"

_FORM_AROUND = 64 * 1024
"""Bytes of a multipart form that are not the file."""
_CLIENT_MESSAGE_ID = r"^[A-Za-z0-9_.:-]{1,64}$"
_INLINE = frozenset({"image/jpeg", "image/png"})
_SANDBOX = {
    "content-security-policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
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


class FileForm(MultiPartParser):
    """A file is never written to a disk as it came."""

    spool_max_size = LARGEST_FILE + _FORM_AROUND

    def __init__(self, request: Request, *, fields: int, most: int = LARGEST_FILE + _FORM_AROUND) -> None:
        stream = _limited(request, most)
        super().__init__(request.headers, stream, max_files=1, max_fields=fields, max_part_size=_FORM_AROUND)
        self._request, self._most = request, most

    async def read(self) -> tuple[bytes, str]:
        """File and client_message_id. Raises FileTooLarge, InvalidRequest."""
        said = self._request.headers.get("content-length", "")
        if said.isdecimal() and len(said) < 19 and int(said) > self._most:
            raise FileTooLarge
        if not self._request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            raise InvalidRequest
        try:
            form = await self.parse()
            file, client_message_id = form.get("file"), form.get("client_message_id")
            if not isinstance(file, UploadFile) or not isinstance(client_message_id, str):
                raise InvalidRequest
            if not re.fullmatch(_CLIENT_MESSAGE_ID, client_message_id):
                raise InvalidRequest
            return await file.read(), client_message_id
        except (MultiPartException, ClientDisconnect, UnicodeError) as error:
            raise InvalidRequest from error
        finally:
            self.close()

    def words(self) -> str:
        """What was typed beside the file, as far as the form was read."""
        return next((value for name, value in self.items if name == "text" and isinstance(value, str)), "")

    def close(self) -> None:
        """Also the part that a form which ends in its middle has begun; Starlette leaves that one open."""
        for file in self._files_to_close_on_error:
            file.close()


async def _limited(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    """The body, as long as it can still be a file that is small enough."""
    read = 0
    async for chunk in request.stream():
        read += len(chunk)
        if read > most:
            raise FileTooLarge
        yield chunk


def served(attachment: Attachment, *, preview: bytes | None = None) -> Response:
    """Under our own name, sandboxed, and kept by no browser: a file may try to be a page."""
    if preview is not None:
        return Response(preview, media_type="image/jpeg", headers=_SANDBOX)
    inline = attachment.media_type in _INLINE
    headers = {
        "content-disposition": f'{"inline" if inline else "attachment"}; filename="{file_name(attachment)}"',
        **_SANDBOX,
    }
    return Response(attachment.data, media_type=attachment.media_type, headers=headers)


async def _count_file(request: Request, services: Services, caller: Caller | None) -> None:
    """By address, and by conversation with its token: a stranger who knows an id uses up nobody's share.

    Raises TooManyRequests."""
    who = {"address": address_of(request)}
    if caller is not None:
        who["conversation"] = cookie_value(caller)
    await services.limits.check("attachment", **who)


@router.post(_API, status_code=201, responses=PROBLEMS, openapi_extra=_BODY)
async def send_attachment(
    request: Request, conversation_id: UUID, token: BearerToken, services: ServicesHere
) -> MessageView:
    """The message that holds the file; the answer follows as a message of its own."""
    await _count_file(request, services, Caller(conversation_id, token))
    await check_access(services.sessions, conversation_id, token)
    data, client_message_id = await FileForm(request, fields=1).read()
    file = await make_safe(data)
    stored = await store_file(services.sessions, conversation_id, token, client_message_id, file)
    if not stored.answered:
        await finish_turn(services.chat, Stored(stored.access, stored.message, answered=False))
    return message_view(stored.message, services.shelf, now=services.now())


@router.get(
    _API + "/{attachment_id}",
    response_class=Response,
    responses={200: _FILE, **problems(401, 404, 422, 503)},
)
async def read_attachment(
    conversation_id: UUID, attachment_id: UUID, token: BearerToken, services: ServicesHere
) -> Response:
    return served(await read_file(services.sessions, conversation_id, token, attachment_id))


# ---- the chat page ----


@page_router.post("/attachments")
async def send_from_page(request: Request, services: ServicesHere) -> Response:
    """A file, and the words that were typed beside it: a page without JavaScript sends both."""
    check_same_site(request)
    form = FileForm(request, fields=2)
    try:
        await _count_file(request, services, caller_of_page(request))
        data, client_message_id = await form.read()
        words = await _words(request, services, form, client_message_id)
        file = await make_safe(data)
        key = f"{client_message_id}.file"
        turn = await in_conversation(request, services, lambda caller: _take(services, caller, key, file, words))
    except AppError as error:
        if isinstance(error, Forbidden):
            raise
        return await refused(request, services, error, form.words() or await _words_of_unread(request))
    return await answer(request, services, turn)


async def _words(request: Request, services: Services, form: FileForm, client_message_id: str) -> Sent | None:
    """Checked before the file is stored. Raises TooLong, TooManyRequests."""
    if not form.words().strip():
        return None
    sent = check_sent(Sent(client_message_id, form.words()))
    await count_message(request, services, caller_of_page(request))
    return sent


async def _take(services: Services, caller: Caller, key: str, file: SafeFile, words: Sent | None) -> Answered:
    """Raises NotFound, Unavailable."""
    stored = await store_file(services.sessions, caller.conversation_id, caller.token, key, file)
    answered = Answered([stored.message], stored.access.state)
    if not stored.answered:
        answered = await finish_turn(services.chat, Stored(stored.access, stored.message, answered=False))
    if words is None:
        return answered
    said = await receive(services.chat, caller.conversation_id, caller.token, words)
    return Answered([*answered.messages, *said.messages], said.state)


async def _words_of_unread(request: Request) -> str:
    """They stand before the file, in a form that was refused before it was read."""
    form = FileForm(request, fields=2, most=1024**2)
    with contextlib.suppress(Exception):  # whatever is wrong with it, something else was wrong before
        await form.parse()
    form.close()
    return form.words()


@page_router.get("/attachments/{attachment_id}")
async def show_own(
    request: Request, attachment_id: UUID, services: ServicesHere, preview: Annotated[bool, Query()] = False
) -> Response:
    """What this browser's person has sent. `preview`: of an image, as small as the page shows it."""
    caller = caller_of_page(request)
    if caller is None:
        raise NotFound
    found = await read_file(services.sessions, caller.conversation_id, caller.token, attachment_id)
    return served(found, preview=await make_preview(found.data) if preview and found.kind == "image" else None)


router.include_router(page_router)
