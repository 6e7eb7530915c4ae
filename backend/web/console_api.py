"""The console for another help-desk program: the same steps, by key instead of by browser (`docs/console-api.md`).

No cookie counts here, so no other site can make a browser ask for anything.
"""

import hashlib
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import select

from backend import handover, presence, replies
from backend.access import Staff, access_console, access_conversation, desks_within
from backend.console_feed import PAGE as MESSAGES
from backend.console_feed import read_after
from backend.console_keys import find_key_staff
from backend.conversations import check_language
from backend.errors import Unauthorized
from backend.figures import read_figures
from backend.models import Desk
from backend.operators import read_conversation, show_attachment
from backend.queue_list import PAGE, Filter, list_queue
from backend.saved_replies import fields_of
from backend.services import Services
from backend.web.api import ServicesHere, problems
from backend.web.attachments import served
from backend.web.console import FieldsOpen
from backend.web.console_stream import stream
from backend.web.console_views import (
    ConversationView,
    DeskView,
    FiguresView,
    MessagePage,
    NewNote,
    NewPresence,
    NewPreview,
    NewPromise,
    NewReply,
    NotesView,
    NoteView,
    PresenceView,
    PreviewView,
    QueueItem,
    QueuePage,
    SentReply,
    Transfer,
    conversation_view,
    group_view,
    message_view,
)
from backend.web.stream import last_seen, streaming
from bot.phrases import SOURCE, SPOKEN

_bearer = HTTPBearer(
    auto_error=False, scheme_name="ConsoleKey", description="A key made on the account page of an operator."
)


class KeyRefused(Unauthorized):
    """Missing, made up, expired or deleted, or of an account that is disabled: all look the same."""

    code = "key_refused"


async def key_of(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> str:
    """Raises KeyRefused."""
    if credentials is None or not credentials.credentials:
        raise KeyRefused
    return credentials.credentials[:200]


KeyHere = Annotated[str, Depends(key_of)]


async def staff_of(services: ServicesHere, key: KeyHere) -> Staff:
    """Whoever asks is still there, as an open page of the console is. Raises KeyRefused, Unavailable."""
    staff = await find_key_staff(services.sessions, key)
    if staff is None:
        raise KeyRefused
    async with services.sessions.begin() as session:
        await presence.beat(session, staff)
    return staff


ByKey = Annotated[Staff, Depends(staff_of)]
MessageId = Annotated[int, Path(ge=1, le=2**62)]
After = Annotated[int, Query(ge=0, le=2**62, description="Id of the last message that is known.")]

router = APIRouter(prefix="/api/v1/console", tags=["console"])
_READING = problems(401, 403, 422, 503)
_ONE = problems(401, 403, 404, 422, 503)
_CHANGING = problems(400, 401, 403, 404, 409, 413, 422, 503)


def _language(staff: Staff) -> str:
    """Of the labels that stand where something is hidden."""
    return staff.language if staff.language in SPOKEN else SOURCE


# ---- reading ----


@router.get("/queue", responses=_READING)
async def read_queue(
    staff: ByKey,
    services: ServicesHere,
    desk: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    language: Annotated[str | None, Query(max_length=35)] = None,
    mine: Annotated[bool, Query(description="Only what this account holds or was offered.")] = False,
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> QueuePage:
    """Who waits or is being answered: the urgent first, then by promise."""
    wanted = Filter(desk, check_language(language) if language else None, mine)
    async with services.sessions.begin() as session:
        found, total = await list_queue(
            session, staff, wanted, language=_language(staff), actions=services.shelf, page=page
        )
    items = [QueueItem.model_validate(one) for one in found]
    return QueuePage(conversations=items, total=total, page=page, page_size=PAGE)


@router.get("/desks", responses=_READING)
async def read_desks(staff: ByKey, services: ServicesHere) -> list[DeskView]:
    """All desks, by name; those of others can only be transferred to."""
    async with services.sessions.begin() as session:
        own = {desk_id for desk_id, _ in await desks_within(session, staff)}
        rows = (await session.execute(select(Desk.id, Desk.name).order_by(Desk.name, Desk.id))).all()
    return [DeskView(id=row.id, name=row.name, mine=row.id in own) for row in rows]


@router.get("/conversations/{conversation_id}", responses=_ONE)
async def read_one(conversation_id: UUID, staff: ByKey, services: ServicesHere) -> ConversationView:
    """A conversation with its last messages; what identifies somebody is hidden."""
    async with services.sessions.begin() as session:
        read = await read_conversation(
            session, staff, conversation_id, language=_language(staff), actions=services.shelf
        )
        stored = await access_conversation(session, staff, conversation_id)
        colleagues = await handover.list_colleagues(session, stored)
    return conversation_view(read, colleagues)


@router.get("/conversations/{conversation_id}/messages", responses=_ONE)
async def read_messages(conversation_id: UUID, staff: ByKey, services: ServicesHere, after: After = 0) -> MessagePage:
    """What came after a message, the oldest first."""
    async with services.sessions.begin() as session:
        stored = await access_conversation(session, staff, conversation_id)
        read = await read_after(session, stored.id, language=_language(staff), actions=services.shelf, after=after)
    views = [message_view(message, conversation_id) for message in read]
    return MessagePage(messages=views, more=len(views) == MESSAGES)


@router.get(
    "/conversations/{conversation_id}/attachments/{attachment_id}",
    response_class=Response,
    responses={
        200: {
            "description": "The file as it is kept. That it was opened is recorded.",
            "content": {
                media_type: {"schema": {"type": "string", "format": "binary"}}
                for media_type in ("image/*", "application/pdf", "audio/*")
            },
        },
        **_ONE,
    },
)
async def read_attachment(conversation_id: UUID, attachment_id: UUID, staff: ByKey, services: ServicesHere) -> Response:
    async with services.sessions.begin() as session:
        return served(await show_attachment(session, staff, conversation_id, attachment_id))


# ---- steps ----


@router.post("/conversations/{conversation_id}/claim", status_code=204, responses=_CHANGING)
async def claim(conversation_id: UUID, staff: ByKey, services: ServicesHere) -> None:
    """Takes it from the queue. 409 `taken`: somebody else has it, and `title` says who. Begins a shift."""
    async with services.sessions.begin() as session:
        await handover.claim(session, staff, conversation_id)
        if not (await presence.find_presence(session, staff.account_id)).on_duty:
            await presence.begin_shift(session, staff)


@router.post("/conversations/{conversation_id}/release", status_code=204, responses=_CHANGING)
async def release(conversation_id: UUID, staff: ByKey, services: ServicesHere) -> None:
    """Back to the queue; the person gets a new promise."""
    async with services.sessions.begin() as session:
        await handover.release(session, staff, conversation_id, services.now())


@router.post("/conversations/{conversation_id}/resolve", status_code=204, responses=_CHANGING)
async def resolve(conversation_id: UUID, staff: ByKey, services: ServicesHere) -> None:
    """Closes it; the person is asked whether it helped."""
    async with services.sessions.begin() as session:
        await handover.resolve(session, staff, conversation_id)


@router.post("/conversations/{conversation_id}/reopen", status_code=204, responses=_CHANGING)
async def reopen(conversation_id: UUID, staff: ByKey, services: ServicesHere) -> None:
    """Takes up a closed one again."""
    async with services.sessions.begin() as session:
        await handover.reopen(session, staff, conversation_id, services.now())


@router.post("/conversations/{conversation_id}/transfer", status_code=204, responses=_CHANGING)
async def transfer(conversation_id: UUID, body: Transfer, staff: ByKey, services: ServicesHere) -> None:
    """To the queue of another desk, or back to the queue of this one for a colleague."""
    now = services.now()
    async with services.sessions.begin() as session:
        if body.desk is not None:
            await handover.move_to_desk(session, staff, conversation_id, body.desk, now)
        elif body.account is not None:
            await handover.pass_on(session, staff, conversation_id, body.account, now)


@router.post("/conversations/{conversation_id}/promise", status_code=204, responses=_CHANGING)
async def promise(conversation_id: UUID, body: NewPromise, staff: ByKey, services: ServicesHere) -> None:
    """Names the moment of an answer; it waits in the queue until then."""
    async with services.sessions.begin() as session:
        await handover.promise_at(session, staff, conversation_id, body.at, services.now())


# ---- answering ----


@router.post("/conversations/{conversation_id}/preview", responses=_CHANGING)
async def preview(conversation_id: UUID, body: NewPreview, staff: ByKey, services: ServicesHere) -> PreviewView:
    """What the person would read. Nothing is stored."""
    async with services.sessions.begin() as session:
        language = (await access_conversation(session, staff, conversation_id)).language
    return PreviewView.model_validate(await replies.preview(services.translator, body.text, language))


@router.post("/conversations/{conversation_id}/reply", responses=_CHANGING)
async def reply(conversation_id: UUID, body: NewReply, staff: ByKey, services: ServicesHere) -> SentReply:
    """Sends words, an entry or both to the person. Only whoever holds the conversation can."""
    check_filled(body.text, body.original)
    written = replies.Written(
        _key(staff, body.client_message_id),
        body.text,
        check_language(body.language) if body.language else SOURCE,
        words=body.original,
        machine=body.machine,
        entry=body.entry,
    )
    async with services.sessions.begin() as session:
        return SentReply(id=await replies.reply(session, staff, conversation_id, written, services.shelf))


def check_filled(*texts: str | None) -> None:
    """Raises FieldsOpen for a saved reply with a field that nobody has filled in."""
    still_open = dict.fromkeys(field for text in texts for field in fields_of(text or ""))
    if still_open:
        raise FieldsOpen(fields=", ".join(still_open))


def _key(staff: Staff, client_message_id: str) -> str:
    """Of this account alone: neither another program nor the person can have used the same before."""
    return hashlib.sha256(f"{staff.account_id} {client_message_id}".encode()).hexdigest()[:32]


# ---- beside it ----


@router.get("/conversations/{conversation_id}/notes", responses=_ONE)
async def read_notes(conversation_id: UUID, staff: ByKey, services: ServicesHere) -> NotesView:
    """What colleagues have written about it; never sent."""
    return await _notes(services, staff, conversation_id)


async def _notes(services: Services, staff: Staff, conversation_id: UUID) -> NotesView:
    async with services.sessions.begin() as session:
        read = await read_conversation(
            session, staff, conversation_id, language=_language(staff), actions=services.shelf
        )
    return NotesView(notes=[NoteView.model_validate(note) for note in read.notes])


@router.post("/conversations/{conversation_id}/notes", status_code=201, responses=_CHANGING)
async def add_note(conversation_id: UUID, body: NewNote, staff: ByKey, services: ServicesHere) -> NotesView:
    """All notes, with the new one at the end."""
    async with services.sessions.begin() as session:
        await replies.add_note(session, staff, conversation_id, body.text)
    return await _notes(services, staff, conversation_id)


@router.delete("/conversations/{conversation_id}/notes/{note_id}", status_code=204, responses=_ONE)
async def delete_note(conversation_id: UUID, note_id: MessageId, staff: ByKey, services: ServicesHere) -> None:
    """One of one's own."""
    async with services.sessions.begin() as session:
        await replies.delete_note(session, staff, conversation_id, note_id)


@router.post("/conversations/{conversation_id}/messages/{message_id}/mark", status_code=204, responses=_CHANGING)
async def mark(conversation_id: UUID, message_id: MessageId, staff: ByKey, services: ServicesHere) -> None:
    """For the editors: the knowledge base should answer this message of the person."""
    async with services.sessions.begin() as session:
        await replies.mark_for_editors(session, staff, conversation_id, message_id)


# ---- the desk ----


@router.get("/presence", responses=_READING)
async def read_presence(staff: ByKey, services: ServicesHere) -> PresenceView:
    access_console(staff)
    async with services.sessions.begin() as session:
        own = await presence.find_presence(session, staff.account_id)
    return PresenceView(on_duty=own.on_duty, speaks=list(own.speaks), by_mail=own.by_mail)


@router.post("/presence", responses=problems(400, 401, 403, 409, 413, 422, 503))
async def set_presence(body: NewPresence, staff: ByKey, services: ServicesHere) -> PresenceView:
    """Begins or ends the shift, says which languages are spoken. A shift does not end while somebody has neither an
    answer nor a date (409 `people_still_wait`)."""
    access_console(staff)
    spoken = None if body.speaks is None else [check_language(code) for code in body.speaks]
    async with services.sessions.begin() as session:
        own = await presence.find_presence(session, staff.account_id)
        if spoken is not None:
            await presence.set_preferences(session, staff, speaks=spoken, by_mail=own.by_mail)
        if body.on_duty and not own.on_duty:
            await presence.begin_shift(session, staff)
        elif body.on_duty is False and own.on_duty:
            await presence.end_shift(session, staff, services.now())
    return await read_presence(staff, services)


@router.get("/figures", responses=_READING)
async def figures(
    staff: ByKey, services: ServicesHere, days: Annotated[Literal["7", "30", "90"], Query()] = "30"
) -> FiguresView:
    """How one's desks do; nothing is said of fewer than three conversations."""
    async with services.sessions.begin() as session:
        found = await read_figures(session, staff, days=int(days), now=services.now())
    parts: dict[str, Any] = {
        name: [group_view(group) for group in getattr(found, name)] for name in ("desks", "languages", "topics")
    }
    return FiguresView(days=found.days, waiting=found.waiting, active=found.active, all=group_view(found.all), **parts)


# ---- live ----


@router.get(
    "/events",
    response_class=Response,
    responses={
        200: {
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
            "description": "`queue` {waiting, newest}; with `conversation` also `state` (as in the conversation, "
            "without messages) and `message`. A message with an `id` line is new; `Last-Event-ID` resumes after it; "
            "without one it is known and something of it changed. `gone`: nothing more will come.",
        },
        **_ONE,
    },
)
async def read_events(
    request: Request,
    staff: ByKey,
    key: KeyHere,
    services: ServicesHere,
    conversation: Annotated[UUID | None, Query()] = None,
    after: After = 0,
) -> Response:
    async with services.sessions.begin() as session:
        desks = [desk_id for desk_id, _ in await desks_within(session, staff)]
        if conversation is not None:
            await access_conversation(session, staff, conversation)
    return streaming(stream(services, key, desks, conversation, last_seen(request, after), _language(staff)))
