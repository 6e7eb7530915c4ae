"""The chat page. Every step is a form and works without JavaScript; htmx and an event stream make it live."""

import re
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
from backend.web.cookies import (
    CHAT_COOKIE,
    LANGUAGE_COOKIE,
    LEFT_COOKIE,
    SITE_LANGUAGE_COOKIE,
    check_same_site,
    clear_cookie,
    home,
    is_embedded,
    set_cookie,
)
from backend.web.leaving import end_visit, left_unheard
from backend.web.pages import page, reader_language, reads_none_of_ours, render, retry_header
from backend.web.staff import address_of
from backend.web.status import HandoverView, find_status, person_is_writing
from backend.web.stream import Told, events, gone, last_seen, streaming
from backend.web.tokens import Caller, caller_of_page, conversation_mark, cookie_value
from backend.web.views import MessageView, message_view
from bot.buttons import label_of
from bot.dialogue import welcome_to
from bot.phrases import SPOKEN, best_spoken

router = APIRouter(include_in_schema=False)
_OPENING = re.compile("[0-9a-f]{64}")
_YEAR_S = 365 * 24 * 3600
KEPT_WHILE_HELD = timedelta(days=30)
"""Whoever waits for a person may close the browser and find the answer later; else its cookie goes with the browser."""
KEPT_AFTER_VISIT = timedelta(days=1)
"""Whoever has an appointment finds it and its reminders here until it is over."""
_ANSWERS = ("bot", "operator")


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


def _fragment(request: Request, view: MessageView, language: str, *, waits: bool) -> str:
    waiting = {view.id} if waits else ()
    nonce = secrets.token_urlsafe(8)
    return render("_message.html", language=language, home=home(request), message=view, nonce=nonce, waiting=waiting)


def _chat_page(
    request: Request, services: Services, log: _Log, *, draft: str = "", problem: AppError | None = None
) -> HTMLResponse:
    views = [_view(row, services) for row in log.rows]
    topic = request.query_params.get("topic", "")
    response = page(
        request,
        "embed.html" if is_embedded(request) else "chat.html",
        language=log.language,
        status_code=problem.status if problem else 200,
        messages=views,
        waiting=_unanswered(log.rows) if log.handover else (),
        welcome=None if views else welcome_to(topic, log.language, services.chat.keeping, services.chat.actions),
        topic=topic,
        choose_language=log.caller is None and "language" not in request.query_params and reads_none_of_ours(request),
        exit_url=services.settings.exit_url,
        last_id=views[-1].id if views else 0,
        live=log.caller is not None,
        mark=conversation_mark(log.caller) if log.caller else "",
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
    if left_unheard(request):
        fresh = _chat_page(request, services, _Log(None, best_spoken(request.headers.get("accept-language", ""))))
        end_visit(request, fresh, services)
        fresh.headers["cache-control"] = "no-store"
        return fresh
    log = await _find_log(request, services)
    response = _chat_page(request, services, log, draft=request.query_params.get("draft", "")[:500])
    # The chosen language is kept only when it was chosen here, by a link of this page.
    if request.query_params.get("language") in SPOKEN:
        set_cookie(response, LANGUAGE_COOKIE, log.language, request, max_age=_YEAR_S)
    wished = request.query_params.get("suggest")
    if is_embedded(request) and wished in SPOKEN:
        set_cookie(response, SITE_LANGUAGE_COOKIE, wished, request, max_age=None)
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
    """In this browser's conversation; in a new one when it has none or its own was erased.

    Raises NotFound when the page shows one that is not this browser's any more: what was written there is for no other.
    """
    caller, meant = caller_of_page(request), request.headers.get("elp-conversation", "")
    if meant and (caller is None or meant != conversation_mark(caller)):
        raise NotFound
    if caller is not None:
        try:
            return PageTurn(caller, await work(caller), opened=False)
        except ErasedMeanwhile:  # by the same person, a moment after sending: the words are not stored anew
            raise
        except NotFound:
            if meant:
                raise
    caller = await _open(request, services)
    return PageTurn(caller, await work(caller), opened=True)


async def _open(request: Request, services: Services) -> Caller:
    """Raises TooManyRequests, Unavailable."""
    await count_conversation(request, services)
    said = request.headers.get("elp-opening", "")
    opened = await open_conversation(
        services.sessions,
        channel="web",
        language=reader_language(request),
        keeping=services.chat.keeping,
        opening=said if _OPENING.fullmatch(said) else None,
    )
    return Caller(opened.id, opened.token)


async def answer(request: Request, services: Services, turn: PageTurn, *, back: bool = False) -> Response:
    """What is new as a fragment for htmx, else the way to the page. `back`: the person waits for nobody any more."""
    if request.headers.get("hx-request"):
        response: Response = _live_answer(request, turn, services)
    else:
        response = RedirectResponse(f"{home(request)}#m{turn.answered.messages[0].id}", status_code=303)
    held, booked = turn.answered.state in HELD, any("visit" in row.payload for row in turn.answered.messages)
    keep = await _keep_for(services, turn.caller, held=held) if held or booked or back else None
    if turn.opened or keep or back:
        max_age = int(keep.total_seconds()) if keep else None
        set_cookie(response, CHAT_COOKIE, cookie_value(turn.caller), request, max_age=max_age)
    if left_unheard(request):  # whoever writes now is somebody else
        clear_cookie(response, LEFT_COOKIE, request)
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


def _live_answer(request: Request, turn: PageTurn, services: Services) -> HTMLResponse:
    rows, held = turn.answered.messages, turn.answered.state in HELD
    waiting = _unanswered(rows) if held else set()
    views = [_view(row, services) for row in rows]
    language = views[-1].language
    body = "".join(_fragment(request, view, language, waits=view.id in waiting) for view in views)
    headers = {}
    spoken_before = views[0].language
    if (
        any(view.intent == "forget" and view.author == "bot" and len(views) == 1 for view in views)
        or language != spoken_before
    ):
        headers["HX-Redirect"] = home(request)
    elif turn.opened:
        line = {"home": home(request), "last_id": views[-1].id, "mark": conversation_mark(turn.caller)}
        body += render("_live.html", language=language, live=True, swap=True, **line)
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
async def live(
    request: Request, services: ServicesHere, after: Annotated[int, Query(ge=0, le=2**62)] = 0, mark: str = ""
) -> Response:
    """`mark`: of the conversation that the page shows; another one is none of its business."""
    caller = caller_of_page(request)
    if caller is None:
        raise NotFound
    if mark and mark != conversation_mark(caller):
        return streaming(gone())
    await check_access(services.sessions, caller.conversation_id, caller.token)

    def message(row: StoredMessage, access: Access) -> str:
        waits = access.state in HELD and _for_the_desk(row)
        return _fragment(request, _view(row, services), access.language, waits=waits)

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
    response = RedirectResponse(f"{home(request)}#last", status_code=303)
    set_cookie(response, LANGUAGE_COOKIE, language, request, max_age=_YEAR_S)
    return response
