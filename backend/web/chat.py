"""The chat page. Every step is a form and works without JavaScript; htmx and an event stream make it live."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from backend.chat import Answered, ErasedMeanwhile, Sent, receive
from backend.conversations import StoredMessage, check_language, list_messages, open_conversation
from backend.errors import AppError, Forbidden, NotFound
from backend.services import Services
from backend.web.api import ServicesHere, count_conversation, count_message
from backend.web.pages import LANGUAGE_COOKIE, page, reader_language, render, retry_header
from backend.web.stream import events, last_seen, streaming
from backend.web.tokens import CHAT_COOKIE, Caller, caller_of_page, cookie_value
from backend.web.views import MessageView, message_view
from bot.buttons import label_of
from bot.dialogue import welcome
from bot.phrases import SPOKEN

router = APIRouter(include_in_schema=False)
_YEAR_S = 365 * 24 * 3600


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


def _view(row: StoredMessage, services: Services) -> MessageView:
    view = message_view(row, services.shelf, now=services.now())
    if view.choice is not None:
        view.text = label_of(view.choice, view.language, services.shelf.find_entry)
    return view


def _fragment(view: MessageView, language: str) -> str:
    return render("_message.html", language=language, message=view, nonce=secrets.token_urlsafe(8))


@router.get("/")
async def show_chat(request: Request, services: ServicesHere) -> Response:
    language, rows = reader_language(request), []
    caller = caller_of_page(request)
    if caller is not None:
        try:
            access, found = await list_messages(services.sessions, caller.conversation_id, caller.token)
            language, rows = access.language, list(found)
        except NotFound:
            caller = None
    views = [_view(row, services) for row in rows]
    response = page(
        request,
        "chat.html",
        language=language,
        messages=views,
        welcome=None if views else welcome(language, services.chat.keeping),
        exit_url=services.settings.exit_url,
        last_id=views[-1].id if views else 0,
        live=caller is not None,
        nonce=secrets.token_urlsafe(8),
        draft=request.query_params.get("draft", "")[:500],
        problem=None,
    )
    # The chosen language is kept only when it was chosen here, by a link of this page.
    if request.query_params.get("language") in SPOKEN:
        _set_cookie(response, LANGUAGE_COOKIE, language, request, max_age=_YEAR_S)
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
    language = reader_language(request)
    try:
        caller, answered, opened = await _receive_or_open(request, services, sent, language)
    except AppError as error:
        if isinstance(error, Forbidden):
            raise
        kept = await _kept(request, services, error, text)
        kept.headers.update(retry_header(error))
        return kept
    if request.headers.get("hx-request"):
        response: Response = _live_answer(answered, services, caller, opened=opened)
    else:
        response = RedirectResponse(f"/#m{answered.messages[0].id}", status_code=303)
    if opened:
        _set_cookie(response, CHAT_COOKIE, cookie_value(caller), request, max_age=None)
    return response


async def _receive_or_open(
    request: Request, services: Services, sent: Sent, language: str
) -> tuple[Caller, Answered, bool]:
    """In this browser's conversation; in a new one when it has none or its own was erased."""
    caller = caller_of_page(request)
    await count_message(request, services, caller)
    if caller is not None:
        try:
            return caller, await receive(services.chat, caller.conversation_id, caller.token, sent), False
        except ErasedMeanwhile:  # by the same person, a moment after sending: the words are not stored anew
            raise
        except NotFound:
            pass
    await count_conversation(request, services)
    opened = await open_conversation(services.sessions, channel="web", language=language, keeping=services.chat.keeping)
    caller = Caller(opened.id, opened.token)
    return caller, await receive(services.chat, opened.id, opened.token, sent), True


def _live_answer(answered: Answered, services: Services, caller: Caller, *, opened: bool) -> HTMLResponse:
    views = [_view(row, services) for row in answered.messages]
    language = views[-1].language
    body = "".join(_fragment(view, language) for view in views)
    headers = {}
    spoken_before = views[0].language
    if (
        any(view.intent == "forget" and view.author == "bot" and len(views) == 1 for view in views)
        or language != spoken_before
    ):
        headers["HX-Redirect"] = "/"
    elif opened:
        body += render("_live.html", language=language, last_id=views[-1].id, live=True, swap=True)
    return HTMLResponse(body, headers=headers)


async def _kept(request: Request, services: Services, error: AppError, draft: str) -> Response:
    """A message that could not be taken: the page again, a kind sentence, and the words still in the field."""
    caller, rows, language = caller_of_page(request), [], reader_language(request)
    if caller is not None:
        try:
            access, found = await list_messages(services.sessions, caller.conversation_id, caller.token)
            language, rows = access.language, list(found)
        except AppError:
            caller = None
    sentence = render("_problem.html", language=language, error=error)
    if request.headers.get("hx-request"):
        headers = {"HX-Retarget": "#problem", "HX-Reswap": "innerHTML"}
        return HTMLResponse(sentence, error.status, headers)
    views = [_view(row, services) for row in rows]
    return page(
        request,
        "chat.html",
        language=language,
        status_code=error.status,
        messages=views,
        welcome=None if views else welcome(language, services.chat.keeping),
        exit_url=services.settings.exit_url,
        last_id=views[-1].id if views else 0,
        live=caller is not None,
        nonce=secrets.token_urlsafe(8),
        draft=draft,
        problem=error,
    )


@router.get("/events")
async def live(request: Request, services: ServicesHere, after: Annotated[int, Query(ge=0, le=2**62)] = 0) -> Response:
    caller = caller_of_page(request)
    if caller is None:
        raise NotFound
    access, _ = await list_messages(services.sessions, caller.conversation_id, caller.token, after=2**62)
    seen = last_seen(request, after)
    return streaming(events(services, caller, seen, lambda row: _fragment(_view(row, services), access.language)))


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
