"""The chat page. Every step is a form and works without JavaScript; htmx and an event stream make it live."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.background import BackgroundTask

from backend.chat import Answered, ErasedMeanwhile, Sent, receive
from backend.chat_booking import last_visit_ends
from backend.conversations import (
    Access,
    StoredMessage,
    check_access,
    check_language,
    list_messages,
    mark_delivered,
    open_conversation,
)
from backend.erasure import HELD
from backend.errors import AppError, Forbidden, NotFound
from backend.services import Services
from backend.web.api import ServicesHere, count_conversation, count_message
from backend.web.pages import LANGUAGE_COOKIE, page, reader_language, render, retry_header
from backend.web.staff import address_of
from backend.web.status import HandoverView, find_status, person_is_writing
from backend.web.stream import Told, events, last_seen, streaming
from backend.web.tokens import CHAT_COOKIE, Caller, caller_of_page, cookie_value
from backend.web.views import MessageView, message_view
from bot.buttons import label_of
from bot.dialogue import welcome
from bot.phrases import SPOKEN

router = APIRouter(include_in_schema=False)
_YEAR_S = 365 * 24 * 3600
KEPT_WHILE_HELD = timedelta(days=30)
"""Whoever waits for a person may close the browser and find the answer later; else its cookie goes with the browser."""
KEPT_AFTER_VISIT = timedelta(days=1)
"""Whoever has an appointment finds it and its reminders here until it is over."""
_ANSWERS = ("bot", "operator")


def check_same_site(request: Request) -> None:
    """Raises Forbidden for a form sent from another site's page (OWASP, Fetch Metadata; Origin for older browsers)."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise Forbidden
        return
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise Forbidden


@dataclass(frozen=True, slots=True)
class _Log:
    """What a page of this browser's conversation shows."""

    caller: Caller | None
    language: str
    rows: Sequence[StoredMessage] = ()
    handover: HandoverView | None = None


async def _find_log(request: Request, services: Services) -> _Log:
    """Raises Unavailable."""
    caller = caller_of_page(request)
    if caller is None:
        return _Log(None, reader_language(request))
    try:
        access, rows = await list_messages(services.sessions, caller.conversation_id, caller.token)
        _, view = await find_status(services, access.id, access.state, access.language)
    except NotFound:
        return _Log(None, reader_language(request))
    return _Log(caller, access.language, rows, view)


def _view(row: StoredMessage, services: Services) -> MessageView:
    view = message_view(row, services.shelf, now=services.now())
    if view.choice is not None:
        label = row.payload.get("label")
        view.text = label or label_of(view.choice, view.language, services.shelf.find_entry)
    return view


def _for_the_desk(row: StoredMessage) -> bool:
    return row.author == "person" and row.payload.get("choice") in (None, "attachment")


def _unanswered(rows: Sequence[StoredMessage]) -> set[int]:
    """What was sent to the desk and waits for an answer there."""
    last = max((row.id for row in rows if row.author in _ANSWERS), default=0)
    return {row.id for row in rows if row.id > last and _for_the_desk(row)}


def _fragment(view: MessageView, language: str, *, waits: bool) -> str:
    waiting = {view.id} if waits else ()
    nonce = secrets.token_urlsafe(8)
    return render("_message.html", language=language, message=view, nonce=nonce, waiting=waiting)


def _chat_page(
    request: Request, services: Services, log: _Log, *, draft: str = "", problem: AppError | None = None
) -> HTMLResponse:
    views = [_view(row, services) for row in log.rows]
    response = page(
        request,
        "chat.html",
        language=log.language,
        status_code=problem.status if problem else 200,
        messages=views,
        waiting=_unanswered(log.rows) if log.handover else (),
        welcome=None if views else welcome(log.language, services.chat.keeping),
        exit_url=services.settings.exit_url,
        last_id=views[-1].id if views else 0,
        live=log.caller is not None,
        nonce=secrets.token_urlsafe(8),
        handover=log.handover,
        draft=draft,
        problem=problem,
    )
    if log.caller is not None:
        _mark_afterwards(response, services, log.caller, log.rows)
    return response


def _mark_afterwards(response: Response, services: Services, caller: Caller, rows: Sequence[StoredMessage]) -> None:
    response.background = BackgroundTask(mark_delivered, services.sessions, caller.conversation_id, rows)


@router.get("/")
async def show_chat(request: Request, services: ServicesHere) -> Response:
    log = await _find_log(request, services)
    response = _chat_page(request, services, log, draft=request.query_params.get("draft", "")[:500])
    # The chosen language is kept only when it was chosen here, by a link of this page.
    if request.query_params.get("language") in SPOKEN:
        _set_cookie(response, LANGUAGE_COOKIE, log.language, request, max_age=_YEAR_S)
    response.headers["cache-control"] = "no-store"
    return response


@router.post("/messages")
async def send(
    request: Request,
    services: ServicesHere,
    text: Annotated[str, Form()] = "",
    choice: Annotated[str | None, Form()] = None,
    client_message_id: Annotated[str, Form(pattern=r"^[A-Za-z0-9_.:-]{0,64}$")] = "",
) -> Response:
    check_same_site(request)
    sent = Sent(client_message_id or secrets.token_urlsafe(12), text=text, choice=choice)
    try:
        await count_message(request, services, caller_of_page(request), choice)
        turn = await in_conversation(request, services, lambda caller: _receive(services, caller, sent))
    except AppError as error:
        if isinstance(error, Forbidden):
            raise
        return await refused(request, services, error, text)
    return await answer(request, services, turn, back=choice == "bot")


async def _receive(services: Services, caller: Caller, sent: Sent) -> Answered:
    return await receive(services.chat, caller.conversation_id, caller.token, sent)


@dataclass(frozen=True, slots=True)
class PageTurn:
    """Something was sent from the page, and answered."""

    caller: Caller
    answered: Answered
    opened: bool
    """In a conversation that was opened for it."""


async def in_conversation(
    request: Request, services: Services, work: Callable[[Caller], Awaitable[Answered]]
) -> PageTurn:
    """In this browser's conversation; in a new one when it has none or its own was erased."""
    caller = caller_of_page(request)
    if caller is not None:
        try:
            return PageTurn(caller, await work(caller), opened=False)
        except ErasedMeanwhile:  # by the same person, a moment after sending: the words are not stored anew
            raise
        except NotFound:
            pass
    await count_conversation(request, services)
    language = reader_language(request)
    opened = await open_conversation(services.sessions, channel="web", language=language, keeping=services.chat.keeping)
    caller = Caller(opened.id, opened.token)
    return PageTurn(caller, await work(caller), opened=True)


async def answer(request: Request, services: Services, turn: PageTurn, *, back: bool = False) -> Response:
    """What is new as a fragment for htmx, else the way to the page. `back`: the person waits for nobody any more."""
    if request.headers.get("hx-request"):
        response: Response = _live_answer(turn, services)
    else:
        response = RedirectResponse(f"/#m{turn.answered.messages[0].id}", status_code=303)
    held, booked = turn.answered.state in HELD, any("visit" in row.payload for row in turn.answered.messages)
    keep = await _keep_for(services, turn.caller, held=held) if held or booked or back else None
    if turn.opened or keep or back:
        max_age = int(keep.total_seconds()) if keep else None
        _set_cookie(response, CHAT_COOKIE, cookie_value(turn.caller), request, max_age=max_age)
    return response


async def _keep_for(services: Services, caller: Caller, *, held: bool) -> timedelta | None:
    """How long this browser remembers its conversation after it was closed; None: it does not."""
    access = await check_access(services.sessions, caller.conversation_id, caller.token)
    if access.forgets:
        return None
    async with services.sessions.begin() as session:
        last = await last_visit_ends(session, access.id, services.now())
    coming = last - services.now() + KEPT_AFTER_VISIT if last else None
    return max(coming or timedelta(), KEPT_WHILE_HELD) if held else coming


def _live_answer(turn: PageTurn, services: Services) -> HTMLResponse:
    rows, held = turn.answered.messages, turn.answered.state in HELD
    waiting = _unanswered(rows) if held else set()
    views = [_view(row, services) for row in rows]
    language = views[-1].language
    body = "".join(_fragment(view, language, waits=view.id in waiting) for view in views)
    headers = {}
    spoken_before = views[0].language
    if (
        any(view.intent == "forget" and view.author == "bot" and len(views) == 1 for view in views)
        or language != spoken_before
    ):
        headers["HX-Redirect"] = "/"
    elif turn.opened:
        body += render("_live.html", language=language, last_id=views[-1].id, live=True, swap=True)
    response = HTMLResponse(body, headers=headers)
    _mark_afterwards(response, services, turn.caller, rows)
    return response


async def refused(request: Request, services: Services, error: AppError, draft: str) -> Response:
    """What could not be taken: the page again, a kind sentence, and the words still in the field."""
    try:
        log = await _find_log(request, services)
    except AppError:
        log = _Log(None, reader_language(request))
    if request.headers.get("hx-request"):
        sentence = render("_problem.html", language=log.language, error=error)
        headers = {"HX-Retarget": "#problem", "HX-Reswap": "innerHTML"}
        response = HTMLResponse(sentence, error.status, headers)
    else:
        response = _chat_page(request, services, log, draft=draft, problem=error)
    response.headers.update(retry_header(error))
    return response


@router.get("/events")
async def live(request: Request, services: ServicesHere, after: Annotated[int, Query(ge=0, le=2**62)] = 0) -> Response:
    caller = caller_of_page(request)
    if caller is None:
        raise NotFound
    await check_access(services.sessions, caller.conversation_id, caller.token)

    def message(row: StoredMessage, access: Access) -> str:
        waits = access.state in HELD and _for_the_desk(row)
        return _fragment(_view(row, services), access.language, waits=waits)

    def status(_: str, view: HandoverView | None, language: str) -> str:
        return render("_status.html", language=language, handover=view)

    told = Told(message, status, typing="operator", status_first=True)
    return streaming(events(services, caller, last_seen(request, after), told))


@router.post("/typing", status_code=204)
async def typing(request: Request, services: ServicesHere) -> Response:
    """Whoever answers at the desk sees for a few seconds that the person is writing."""
    check_same_site(request)
    caller = caller_of_page(request)
    if caller is None:
        raise NotFound
    await person_is_writing(services, caller, address_of(request))
    return Response(status_code=204)


@router.post("/language")
async def change_language(
    request: Request, services: ServicesHere, language: Annotated[str, Form(max_length=35)]
) -> Response:
    check_same_site(request)
    check_language(language)
    caller = caller_of_page(request)
    if caller is not None:
        await count_message(request, services, caller)
        sent = Sent(secrets.token_urlsafe(12), choice=f"language:{language}")
        try:
            await receive(services.chat, caller.conversation_id, caller.token, sent)
        except NotFound:
            caller = None
    response = RedirectResponse("/#last", status_code=303)
    _set_cookie(response, LANGUAGE_COOKIE, language, request, max_age=_YEAR_S)
    return response


def _secure(request: Request) -> bool:
    services: Services = request.app.state.services
    return services.settings.https or request.url.scheme == "https"


def _set_cookie(response: Response, name: str, value: str, request: Request, *, max_age: int | None) -> None:
    secure = _secure(request)
    response.set_cookie(name, value, max_age=max_age, httponly=True, samesite="lax", secure=secure, path="/")


def clear_cookie(response: Response, name: str, request: Request) -> None:
    response.delete_cookie(name, httponly=True, samesite="lax", secure=_secure(request), path="/")
