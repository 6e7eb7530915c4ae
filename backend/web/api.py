"""HTTP API, version 1 (design section 8)."""

import json
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from backend.chat import Sent, receive
from backend.conversations import (
    Access,
    StoredMessage,
    check_access,
    check_language,
    erase_conversation,
    export_conversation,
    list_messages,
    mark_delivered,
    open_conversation,
)
from backend.errors import NotFound
from backend.services import Services
from backend.web.pages import reader_language
from backend.web.staff import address_of
from backend.web.status import HandoverView, find_status, person_is_writing
from backend.web.stream import Told, events, last_seen, streaming
from backend.web.tokens import BearerToken, Caller, cookie_value
from backend.web.views import CardView, MessageView, card_view, message_view, message_views
from bot.bookings import takes_time
from bot.card import build_card
from bot.phrases import SPOKEN

PAGE = 20


async def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesHere = Annotated[Services, Depends(services_of)]


class Problem(BaseModel):
    """RFC 9457, `application/problem+json`; `code` is stable, `title` is in the reader's language."""

    type: str
    title: str
    status: int
    code: str
    fields: list[str] | None = None


_WAIT: dict[str, Any] = {
    "Retry-After": {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer", "minimum": 1}}
}
_MEANINGS = {
    400: "The request cannot be read.",
    401: "The token is missing.",
    403: "Not allowed.",
    404: "There is no such thing, or the token is not its own.",
    409: "Something else happened meanwhile.",
    413: "The request is too large.",
    422: "Something in the request cannot be used; `fields` names it.",
    429: "Too many requests in a short time.",
    503: "Not for now; the same request may be sent again.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For `responses=`: what else an operation may answer, in the one form that all problems have."""
    content = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {
        status: {"description": _MEANINGS[status], "content": content, **({"headers": _WAIT} if status == 429 else {})}
        for status in statuses
    }


PROBLEMS = problems(400, 401, 404, 413, 422, 429, 503)
"""Of an operation that takes something from a person."""
_READING = problems(401, 404, 422, 503)
router = APIRouter(prefix="/api/v1")


async def count_conversation(request: Request, services: Services) -> None:
    """Raises TooManyRequests."""
    await services.limits.check("conversation", address=address_of(request))


async def count_message(request: Request, services: Services, caller: Caller | None, choice: str | None = None) -> None:
    """By address, and by conversation with its token: a stranger who knows an id uses up nobody's share. A button
    that takes a time from others counts as a booking, too: nobody fills a desk's diary from many conversations.

    Raises TooManyRequests."""
    who = {"address": address_of(request)}
    if caller is not None:
        who["conversation"] = cookie_value(caller)
    await services.limits.check("message", **who)
    if choice is not None and takes_time(choice):
        await services.limits.check("booking", address=who["address"])


class NewConversation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    language: str | None = Field(
        default=None, description="One of `GET /languages`; else from Accept-Language.", max_length=35
    )
    channel: str = Field(default="api", pattern="^api$")
    place: str | None = Field(default=None, description="Municipality the person lives in.", max_length=80)


class OpenedConversation(BaseModel):
    id: UUID
    token: str
    language: str
    state: str
    handover: HandoverView | None
    messages: list[MessageView]


class NewMessage(BaseModel):
    model_config = ConfigDict(extra="forbid")

    client_message_id: str = Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$", description="Sent twice, answered once.")
    text: str | None = Field(default=None, max_length=100_000)
    choice: str | None = Field(default=None, min_length=1, max_length=200)

    @model_validator(mode="after")
    def check_one(self) -> "NewMessage":
        if (self.text is None) == (self.choice is None):
            raise ValueError("either text or choice")
        return self


class Messages(BaseModel):
    messages: list[MessageView]
    state: str
    handover: HandoverView | None


class LanguageView(BaseModel):
    code: str
    name: str
    direction: str


class EntryPage(BaseModel):
    entries: list[CardView]
    total: int
    page: int


@router.post("/conversations", status_code=201, responses=problems(400, 413, 422, 429, 503))
async def create_conversation(
    request: Request, services: ServicesHere, body: NewConversation | None = None
) -> OpenedConversation:
    await count_conversation(request, services)
    wanted = body or NewConversation()
    language = wanted.language or reader_language(request)
    opened = await open_conversation(
        services.sessions, channel="api", language=language, place=wanted.place, keeping=services.chat.keeping
    )
    access, rows = await list_messages(services.sessions, opened.id, opened.token)
    state, view = await find_status(services, access.id, access.state, access.language)
    return OpenedConversation(
        id=opened.id,
        token=opened.token,
        language=opened.language,
        state=state,
        handover=view,
        messages=message_views(rows, services.shelf),
    )


@router.post("/conversations/{conversation_id}/messages", responses=PROBLEMS)
async def send_message(
    request: Request,
    conversation_id: UUID,
    body: NewMessage,
    token: BearerToken,
    services: ServicesHere,
    afterwards: BackgroundTasks,
) -> Messages:
    await count_message(request, services, Caller(conversation_id, token), body.choice)
    sent = Sent(body.client_message_id, text=body.text or "", choice=body.choice)
    turn = await receive(services.chat, conversation_id, token, sent)
    answers = [row for row in turn.messages if row.author != "person"]
    afterwards.add_task(mark_delivered, services.sessions, conversation_id, answers)
    state, view = await find_status(services, conversation_id, turn.state, turn.messages[-1].language)
    return Messages(messages=message_views(answers, services.shelf), state=state, handover=view)


@router.get("/conversations/{conversation_id}/messages", responses=_READING)
async def read_messages(
    conversation_id: UUID,
    token: BearerToken,
    services: ServicesHere,
    afterwards: BackgroundTasks,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
) -> Messages:
    access, rows = await list_messages(services.sessions, conversation_id, token, after=after)
    afterwards.add_task(mark_delivered, services.sessions, conversation_id, rows)
    state, view = await find_status(services, access.id, access.state, access.language)
    return Messages(messages=message_views(rows, services.shelf), state=state, handover=view)


@router.get(
    "/conversations/{conversation_id}/events",
    response_class=Response,
    responses={
        200: {
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
            "description": "Events `message`, with a message as data; `status`, with `state` and `handover` as reading "
            "messages answers them, whenever they are other than before; `typing`, when somebody at the desk writes; "
            "`gone`, when the conversation is erased.",
        },
        **_READING,
    },
)
async def stream_messages(
    request: Request,
    conversation_id: UUID,
    token: BearerToken,
    services: ServicesHere,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
) -> Response:
    await check_access(services.sessions, conversation_id, token)

    def message(row: StoredMessage, access: Access) -> str:
        return message_view(row, services.shelf).model_dump_json()

    def status(state: str, view: HandoverView | None, language: str) -> str:
        return json.dumps({"state": state, "handover": view.model_dump(mode="json") if view else None})

    told = Told(message, status, typing='{"author": "operator"}', status_first=False)
    return streaming(events(services, Caller(conversation_id, token), last_seen(request, after), told))


@router.post("/conversations/{conversation_id}/typing", status_code=204, responses=problems(401, 404, 422, 429, 503))
async def typing(request: Request, conversation_id: UUID, token: BearerToken, services: ServicesHere) -> Response:
    """The person is writing; whoever answers at the desk sees it for a few seconds. Every three seconds is enough."""
    await person_is_writing(services, Caller(conversation_id, token), address_of(request))
    return Response(status_code=204)


@router.get("/conversations/{conversation_id}/export", responses=_READING)
async def export(conversation_id: UUID, token: BearerToken, services: ServicesHere) -> dict[str, Any]:
    return await export_conversation(services.sessions, conversation_id, token)


@router.delete(
    "/conversations/{conversation_id}",
    status_code=204,
    responses={
        204: {
            "description": "All of it is erased.",
            "headers": {
                "Erasure-Receipt": {
                    "description": "Number of the receipt.",
                    "required": True,
                    "schema": {"type": "string"},
                }
            },
        },
        **_READING,
    },
)
async def erase(conversation_id: UUID, token: BearerToken, services: ServicesHere) -> Response:
    receipt = await erase_conversation(services.sessions, conversation_id, token)
    return Response(status_code=204, headers={"Erasure-Receipt": receipt})


@router.get("/languages")
async def languages() -> list[LanguageView]:
    return [LanguageView(code=one.code, name=one.name, direction=one.direction) for one in SPOKEN.values()]


@router.get("/entries", responses=problems(422))
async def list_entries(
    request: Request,
    services: ServicesHere,
    language: Annotated[str | None, Query(max_length=35)] = None,
    q: Annotated[str | None, Query(max_length=500)] = None,
    category: Annotated[str | None, Query(max_length=40)] = None,
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> EntryPage:
    code = check_language(language) if language else reader_language(request)
    library = services.shelf.library
    if q:
        hits = library.index.search(q, code, limit=PAGE).hits
        found = [entry for hit in hits if (entry := library.find_entry(hit.id)) and category in (None, entry.category)]
    else:
        found = [entry for entry in library.entries.values() if entry.shown and category in (None, entry.category)]
    shown = found[(page - 1) * PAGE : page * PAGE]
    cards = (build_card(entry, code, now=services.now()) for entry in shown)
    return EntryPage(entries=[card_view(card) for card in cards if card], total=len(found), page=page)


@router.get("/entries/{entry_id}", responses=problems(404, 422))
async def read_entry(
    request: Request,
    entry_id: str,
    services: ServicesHere,
    language: Annotated[str | None, Query(max_length=35)] = None,
) -> CardView:
    code = check_language(language) if language else reader_language(request)
    entry = services.shelf.library.find_entry(entry_id)
    card = build_card(entry, code, now=services.now()) if entry and entry.shown else None
    if card is None:
        raise NotFound
    return card_view(card)
