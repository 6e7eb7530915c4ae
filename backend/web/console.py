"""The operators' console: the queue, a conversation, and what can be done with it. Every step is a form."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend import handover, replies
from backend.access import Staff, access_console, access_conversation, desks_within
from backend.attachments import make_safe
from backend.errors import AppError, Forbidden, InvalidRequest, NotFound, Unauthorized
from backend.models import Desk
from backend.operators import ReadConversation, read_conversation, show_attachment, show_message
from backend.presence import begin_shift, find_presence
from backend.queue_list import PAGE, Filter, list_queue
from backend.saved_replies import fields_of, list_replies
from backend.services import Services
from backend.web.admin_page import Field, PageNumber, RowId, attempt
from backend.web.api import ServicesHere
from backend.web.attachments import FileForm, served
from backend.web.local_time import ROME, local_moment
from backend.web.pages import render
from backend.web.staff import StaffHere, own_form, problem_page, staff_language, staff_page
from bot.phrases import SOURCE, SPOKEN, say

router = APIRouter(prefix="/console", include_in_schema=False, dependencies=[Depends(own_form)])

MessageId = Annotated[int, Path(ge=1, le=2**62)]
Words = Annotated[str, Form(max_length=20_000)]
Key = Annotated[str, Form(pattern=r"^[A-Za-z0-9_-]{0,64}$")]
DeskFilter = Annotated[str, Query(max_length=10)]
LanguageFilter = Annotated[str, Query(max_length=10, alias="speaks")]
_MOST_FOUND = 8


class FieldsOpen(AppError):
    """A saved reply with a field that nobody has filled in."""

    status = 422
    code = "fields_open"


# ---- the queue ----


def _filter(desk: str, speaks: str, mine: str) -> Filter:
    """What cannot be meant is passed over."""
    number = int(desk) if desk.isdecimal() and len(desk) < 10 else None
    return Filter(number, speaks if speaks in SPOKEN else None, mine == "yes")


@router.get("")
async def show_queue(
    request: Request,
    staff: StaffHere,
    services: ServicesHere,
    desk: DeskFilter = "",
    speaks: LanguageFilter = "",
    mine: DeskFilter = "",
    page: PageNumber = 1,
) -> HTMLResponse:
    async with services.sessions.begin() as session:
        values = await _queue_values(request, session, staff, _filter(desk, speaks, mine), page)
        desks = await desks_within(session, staff)
        presence = await find_presence(session, staff.account_id)
    if request.query_params.get("done") == "moved":
        values["done"] = say(staff_language(request, staff), "console.done.moved")
    return staff_page(request, "console/queue.html", staff=staff, desks=desks, presence=presence, **values)


@router.get("/queue")
async def show_queue_rows(
    request: Request,
    staff: StaffHere,
    services: ServicesHere,
    desk: DeskFilter = "",
    speaks: LanguageFilter = "",
    mine: DeskFilter = "",
    page: PageNumber = 1,
) -> HTMLResponse:
    """The rows alone, for the page that is open."""
    async with services.sessions.begin() as session:
        values = await _queue_values(request, session, staff, _filter(desk, speaks, mine), page)
    return staff_page(request, "console/_queue.html", staff=staff, **values)


async def _queue_values(
    request: Request, session: AsyncSession, staff: Staff, wanted: Filter, page: int
) -> dict[str, Any]:
    services: Services = request.app.state.services
    asked: dict[str, Any] = {"language": staff_language(request, staff), "actions": services.shelf}
    queue, total = await list_queue(session, staff, wanted, page=page, **asked)
    if total and not queue:  # it has become shorter
        page = 1
        queue, total = await list_queue(session, staff, wanted, **asked)
    now = services.now()
    return {"queue": queue, "total": total, "wanted": wanted, "page_number": page, "page_size": PAGE, "now": now}


# ---- a conversation ----


async def conversation_page(
    request: Request,
    staff: Staff,
    conversation_id: UUID,
    *,
    problem: AppError | None = None,
    shown: tuple[int, str] | None = None,
    draft: dict[str, str] | None = None,
    preview: replies.Preview | None = None,
) -> HTMLResponse:
    services: Services = request.app.state.services
    language = staff_language(request, staff)
    async with services.sessions.begin() as session:
        conversation = await read_conversation(
            session, staff, conversation_id, language=language, actions=services.shelf
        )
        stored = await access_conversation(session, staff, conversation_id)
        colleagues = await handover.list_colleagues(session, stored)
        desks = list((await session.execute(select(Desk.id, Desk.name).order_by(Desk.name))).all())
        saved = await list_replies(session, staff, conversation.desk_id)
    if shown is not None:
        conversation = _with_shown(conversation, *shown)
    values: dict[str, Any] = {
        "conversation": conversation,
        "shown": shown[0] if shown else None,
        "colleagues": [row for row in colleagues if row.id != staff.account_id],
        "desks": [desk for desk in desks if desk[0] != conversation.desk_id],
        "saved": saved,
        "draft": draft or {"key": secrets.token_urlsafe(12), "words": "", "text": "", "entry": ""},
        "preview": preview,
        "can_translate": conversation.language == SOURCE or services.translator.can(SOURCE, conversation.language),
        "entry_title": _title(services, (draft or {}).get("entry", "")),
        "tomorrow": services.now().astimezone(ROME),
    }
    if problem is not None:
        return problem_page(request, "console/conversation.html", problem, staff=staff, **values)
    return staff_page(request, "console/conversation.html", staff=staff, **values)


def _title(services: Services, entry_id: str) -> str:
    entry = services.shelf.find_entry(entry_id) if entry_id else None
    found = entry.text_for(SOURCE) if entry and entry.shown else None
    return found[1].title if found else ""


@router.get("/conversations/{conversation_id}")
async def show_conversation(request: Request, conversation_id: UUID, staff: StaffHere) -> HTMLResponse:
    return await conversation_page(request, staff, conversation_id)


async def _changed(
    request: Request,
    staff: Staff,
    conversation_id: UUID,
    change: Callable[[AsyncSession, Staff], Awaitable[object]],
    *,
    then: str = "",
    draft: dict[str, str] | None = None,
) -> Response:
    """Makes the change and leads to the page that is named, else back to the conversation; shows the conversation with
    what is in the way."""
    problem = await attempt(request, staff, change)
    if problem is not None:
        return await conversation_page(request, staff, conversation_id, problem=problem, draft=draft)
    return RedirectResponse(then or f"/console/conversations/{conversation_id}", status_code=303)


@router.post("/conversations/{conversation_id}/claim")
async def claim(request: Request, conversation_id: UUID, staff: StaffHere) -> Response:
    """Whoever takes a conversation is on duty."""

    async def change(session: AsyncSession, by: Staff) -> None:
        await handover.claim(session, by, conversation_id)
        if not (await find_presence(session, by.account_id)).on_duty:
            await begin_shift(session, by)

    return await _changed(request, staff, conversation_id, change)


@router.post("/conversations/{conversation_id}/release")
async def release(request: Request, conversation_id: UUID, staff: StaffHere, services: ServicesHere) -> Response:
    now = services.now()
    return await _changed(
        request, staff, conversation_id, lambda session, by: handover.release(session, by, conversation_id, now)
    )


@router.post("/conversations/{conversation_id}/resolve")
async def resolve(request: Request, conversation_id: UUID, staff: StaffHere) -> Response:
    return await _changed(
        request, staff, conversation_id, lambda session, by: handover.resolve(session, by, conversation_id)
    )


@router.post("/conversations/{conversation_id}/reopen")
async def reopen(request: Request, conversation_id: UUID, staff: StaffHere, services: ServicesHere) -> Response:
    now = services.now()
    return await _changed(
        request, staff, conversation_id, lambda session, by: handover.reopen(session, by, conversation_id, now)
    )


@router.post("/conversations/{conversation_id}/transfer")
async def transfer(
    request: Request, conversation_id: UUID, staff: StaffHere, services: ServicesHere, to: Field = ""
) -> Response:
    """`to` is `desk:<id>` or `person:<account id>`."""
    kind, _, rest = to.partition(":")

    async def change(session: AsyncSession, by: Staff) -> None:
        now = services.now()
        if kind == "desk" and rest.isdecimal() and len(rest) < 10:
            await handover.move_to_desk(session, by, conversation_id, int(rest), now)
        elif kind == "person":
            await handover.pass_on(session, by, conversation_id, _account(rest), now)
        else:
            raise InvalidRequest

    return await _changed(request, staff, conversation_id, change, then="/console?done=moved")


def _account(raw: str) -> UUID:
    """Raises InvalidRequest."""
    try:
        return UUID(raw)
    except ValueError as error:
        raise InvalidRequest from error


@router.post("/conversations/{conversation_id}/promise")
async def promise(
    request: Request,
    conversation_id: UUID,
    staff: StaffHere,
    services: ServicesHere,
    at: Field = "",
    back: Field = "",
) -> Response:
    """`at` is a local day and hour, as the browser's own field gives it."""

    async def change(session: AsyncSession, by: Staff) -> None:
        await handover.promise_at(session, by, conversation_id, local_moment(at), services.now())

    then = "/console/shift" if back == "shift" else ""
    return await _changed(request, staff, conversation_id, change, then=then)


# ---- answering ----


@router.post("/conversations/{conversation_id}/preview")
async def preview(
    request: Request,
    conversation_id: UUID,
    staff: StaffHere,
    services: ServicesHere,
    key: Key = "",
    words: Words = "",
    entry: Field = "",
) -> Response:
    """What the person will read, before it goes. Nothing is stored."""
    draft = {"key": key or secrets.token_urlsafe(12), "words": words, "text": "", "entry": entry}
    try:
        async with services.sessions.begin() as session:
            language = (await access_conversation(session, staff, conversation_id)).language
        seen = await replies.preview(services.translator, words, language)
    except (NotFound, Forbidden, Unauthorized):
        raise
    except AppError as error:
        return await conversation_page(request, staff, conversation_id, problem=error, draft=draft)
    draft["text"] = seen.text
    if request.headers.get("hx-request"):
        body = render(
            "console/_preview.html",
            language=staff_language(request, staff),
            preview=seen,
            draft=draft,
            wanted=language,
        )
        return HTMLResponse(body, headers={"cache-control": "no-store"})
    return await conversation_page(request, staff, conversation_id, draft=draft, preview=seen)


@router.post("/conversations/{conversation_id}/reply")
async def send_reply(
    request: Request,
    conversation_id: UUID,
    staff: StaffHere,
    services: ServicesHere,
    key: Key = "",
    words: Words = "",
    text: Words = "",
    language: Field = "",
    machine: Field = "",
    entry: Field = "",
    then: Field = "",
) -> Response:
    """`text` is what was shown before, in `language`, perhaps corrected since; without it the words go as they are."""
    key = key or secrets.token_urlsafe(12)
    drafted = {"key": key, "words": words, "text": text, "entry": entry}
    seen = text.strip() != "" and language in SPOKEN
    written = replies.Written(
        key,
        text if seen else words,
        language if seen else SOURCE,
        words=words if seen else None,
        machine=machine == "yes",
        entry=entry or None,
    )

    async def change(session: AsyncSession, by: Staff) -> None:
        still_open = dict.fromkeys(fields_of(written.text) + fields_of(written.words or ""))
        if still_open:
            raise FieldsOpen(fields=", ".join(still_open))
        await replies.reply(session, by, conversation_id, written, services.shelf)
        if then == "resolve":
            await handover.resolve(session, by, conversation_id)

    end = f"/console/conversations/{conversation_id}#last"
    return await _changed(request, staff, conversation_id, change, then=end, draft=drafted)


@router.post("/conversations/{conversation_id}/files")
async def send_file(request: Request, conversation_id: UUID, staff: StaffHere) -> Response:
    """A picture or a PDF. It is read only when the operator may send it: a stranger's file is not even looked at."""
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        await access_conversation(session, staff, conversation_id)
    try:
        data, key = await FileForm(request, fields=1).read()
        file = await make_safe(data)
    except AppError as error:
        return await conversation_page(request, staff, conversation_id, problem=error)

    async def change(session: AsyncSession, by: Staff) -> None:
        await replies.send_file(session, by, conversation_id, key, file)

    return await _changed(
        request, staff, conversation_id, change, then=f"/console/conversations/{conversation_id}#last"
    )


@router.get("/entries")
async def find_entries(
    request: Request, staff: StaffHere, services: ServicesHere, q: Annotated[str, Query(max_length=200)] = ""
) -> HTMLResponse:
    """Entries of the knowledge base that can be put into a reply as a card."""
    access_console(staff)
    library = services.shelf.library
    hits = library.index.search(q, SOURCE, limit=_MOST_FOUND).hits if q.strip() else []
    found = [(hit.id, _title(services, hit.id)) for hit in hits]
    return staff_page(request, "console/_entries.html", staff=staff, found=[one for one in found if one[1]], q=q)


# ---- beside it ----


@router.post("/conversations/{conversation_id}/notes")
async def add_note(request: Request, conversation_id: UUID, staff: StaffHere, note: Words = "") -> Response:
    return await _changed(
        request, staff, conversation_id, lambda session, by: replies.add_note(session, by, conversation_id, note)
    )


@router.post("/conversations/{conversation_id}/notes/{note_id}/delete")
async def delete_note(request: Request, conversation_id: UUID, note_id: RowId, staff: StaffHere) -> Response:
    return await _changed(
        request, staff, conversation_id, lambda session, by: replies.delete_note(session, by, conversation_id, note_id)
    )


@router.post("/conversations/{conversation_id}/messages/{message_id}/mark")
async def mark(request: Request, conversation_id: UUID, message_id: MessageId, staff: StaffHere) -> Response:
    """For the editors: this should be in the knowledge base."""
    return await _changed(
        request,
        staff,
        conversation_id,
        lambda session, by: replies.mark_for_editors(session, by, conversation_id, message_id),
    )


@router.post("/conversations/{conversation_id}/messages/{message_id}/show")
async def show_hidden(
    request: Request, conversation_id: UUID, message_id: MessageId, staff: StaffHere, services: ServicesHere
) -> HTMLResponse:
    """One message as it was written; this page is the only place that holds it."""
    async with services.sessions.begin() as session:
        text = await show_message(session, staff, conversation_id, message_id, actions=services.shelf)
    return await conversation_page(request, staff, conversation_id, shown=(message_id, text))


def _with_shown(conversation: ReadConversation, message_id: int, text: str) -> ReadConversation:
    messages = tuple(
        replace(message, text=text, hidden=False) if message.id == message_id else message
        for message in conversation.messages
    )
    return replace(conversation, messages=messages)


@router.get("/conversations/{conversation_id}/attachments/{attachment_id}")
async def open_attachment(
    conversation_id: UUID, attachment_id: UUID, staff: StaffHere, services: ServicesHere
) -> Response:
    async with services.sessions.begin() as session:
        return served(await show_attachment(session, staff, conversation_id, attachment_id))
