"""Answering many people who wait with the same question: groups, then a preview in each language, then what became of
each. Three pages of forms; nothing is kept between them but what the forms hold."""

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from backend import replies, together
from backend.access import Staff, access_console
from backend.errors import AppError, InvalidRequest
from backend.services import Services
from backend.together import MOST_IN_GROUP, Answer, Chosen, ReplyText, Waiting
from backend.web.console_api import check_filled
from backend.web.staff import StaffHere, own_form, problem_page, staff_language, staff_page
from bot.phrases import SPOKEN

router = APIRouter(prefix="/console/together", include_in_schema=False, dependencies=[Depends(own_form)])
_MOST_FIELDS = 300
_LONGEST_FIELD = 20_000
_PAGE = "console/together.html"


class NobodyChosen(AppError):
    status = 422
    code = "nobody_chosen"


class Sent:
    """A form as it came: fields that are texts, and who was chosen."""

    def __init__(self, fields: Mapping[str, str], who: Sequence[str]) -> None:
        self._fields = fields
        self.chosen = _chosen(who)

    def __getitem__(self, name: str) -> str:
        return self._fields.get(name, "")[:_LONGEST_FIELD]

    @property
    def entry(self) -> str | None:
        """That is to be sent as a card."""
        return self["group"] if self["card"] == "yes" else None


async def _read(request: Request) -> Sent:
    async with request.form(max_files=0, max_fields=_MOST_FIELDS) as form:
        texts = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    return Sent(dict(texts), [value for name, value in texts if name == "who"])


def _chosen(who: Sequence[str]) -> list[Chosen]:
    """`<conversation>.<last message>`, each once. Raises InvalidRequest."""
    found = {}
    for one in who:
        raw, _, last = one.partition(".")
        if not (last.isascii() and last.isdecimal() and len(last) < 19):
            raise InvalidRequest
        try:
            found[UUID(raw)] = int(last)
        except ValueError as error:
            raise InvalidRequest from error
    if len(found) > MOST_IN_GROUP:
        raise InvalidRequest
    return [Chosen(conversation_id, last) for conversation_id, last in found.items()]


# ---- who waits with the same question ----


@router.get("")
async def show_groups(request: Request, staff: StaffHere) -> HTMLResponse:
    return await _groups_page(request, staff)


async def _groups_page(
    request: Request, staff: Staff, *, problem: AppError | None = None, sent: Sent | None = None
) -> HTMLResponse:
    services: Services = request.app.state.services
    groups = await together.list_groups(
        services.sessions,
        staff,
        index=services.shelf.library.index,
        actions=services.shelf,
        language=staff_language(request, staff),
    )
    draft = {name: sent[name] if sent else "" for name in ("group", "words", "card")}
    values: dict[str, Any] = {
        "stage": "groups",
        "groups": groups,
        "draft": draft,
        "ticked": {one.id for one in sent.chosen} if sent else None,
        "now": services.now(),
    }
    if problem is not None:
        return problem_page(request, _PAGE, problem, staff=staff, **values)
    return staff_page(request, _PAGE, staff=staff, **values)


# ---- what they will read ----


@router.post("/preview")
async def preview(request: Request, staff: StaffHere) -> HTMLResponse:
    access_console(staff)
    sent = await _read(request)
    try:
        if not sent.chosen:
            raise NobodyChosen
        check_filled(sent["words"])
        return await _preview_page(request, staff, sent, previews=await _previews(request, staff, sent))
    except InvalidRequest:
        raise
    except AppError as error:
        return await _groups_page(request, staff, problem=error, sent=sent)


async def _people(request: Request, staff: Staff, sent: Sent) -> list[Waiting]:
    services: Services = request.app.state.services
    return await together.list_chosen(services.sessions, staff, sent.chosen, language=staff_language(request, staff))


async def _previews(request: Request, staff: Staff, sent: Sent) -> dict[str, replies.Preview]:
    """By language of those who are to read it; none for a card alone. Raises EmptyMessage, TooLong."""
    services: Services = request.app.state.services
    if sent.entry is not None and not sent["words"].strip():
        return {}
    replies.clean_words(sent["words"])
    counted = Counter(one.language for one in await _people(request, staff, sent))
    return {
        language: await replies.preview(services.translator, sent["words"], language)
        for language, _ in counted.most_common()
    }


async def _preview_page(
    request: Request,
    staff: Staff,
    sent: Sent,
    *,
    previews: Mapping[str, replies.Preview],
    key: str = "",
    problem: AppError | None = None,
) -> HTMLResponse:
    services: Services = request.app.state.services
    people = await _people(request, staff, sent)
    values: dict[str, Any] = {
        "stage": "preview",
        "people": people,
        "people_of": Counter(one.language for one in people),
        "chosen": sent.chosen,
        "previews": previews,
        "sent": sent,
        "key": key or secrets.token_urlsafe(12),
        "title": together.title_of(services.shelf, sent["group"], staff_language(request, staff)),
    }
    if problem is not None:
        return problem_page(request, _PAGE, problem, staff=staff, **values)
    return staff_page(request, _PAGE, staff=staff, **values)


# ---- to whom it went ----


@router.post("/send")
async def send(request: Request, staff: StaffHere) -> Response:
    """No redirect: what became of each is kept nowhere. The same form again sends nothing again."""
    services: Services = request.app.state.services
    access_console(staff)
    sent = await _read(request)
    texts = _texts(sent)
    try:
        if not sent.chosen:
            raise NobodyChosen
        answer = _checked(services, sent, texts)
    except NobodyChosen as error:
        return await _groups_page(request, staff, problem=error, sent=sent)
    except InvalidRequest:
        raise
    except AppError as error:
        previews = {
            code: replies.Preview(sent["words"], text.text, text.language, "machine" if text.machine else "same")
            for code, text in texts.items()
        }
        return await _preview_page(request, staff, sent, previews=previews, key=sent["key"], problem=error)
    people = {one.id: one for one in await _people(request, staff, sent)}
    results = await together.send_to_all(
        services.sessions, staff, sent.chosen, answer, actions=services.shelf, now=services.now()
    )
    went = [result for result in results if result.outcome in ("sent", "again")]
    left = [result for result in results if result not in went]
    return staff_page(request, _PAGE, staff=staff, stage="result", went=went, left=left, people=people)


def _texts(sent: Sent) -> dict[str, ReplyText]:
    """What was shown for each language, perhaps corrected since; its own language or Italian."""
    found = {}
    for code in SPOKEN:
        if sent[f"text_{code}"].strip():
            written_in = sent[f"in_{code}"]
            language = written_in if written_in in (code, "it") else "it"
            machine = sent[f"machine_{code}"] == "yes" and language == code
            found[code] = ReplyText(sent[f"text_{code}"], language, machine)
    return found


def _checked(services: Services, sent: Sent, texts: Mapping[str, ReplyText]) -> Answer:
    """Before anybody gets it. Raises EmptyMessage, TooLong, FieldsOpen, UnknownEntry, InvalidRequest."""
    key = sent["key"]
    if not key or len(key) > 64 or not key.replace("-", "").replace("_", "").isalnum() or not key.isascii():
        raise InvalidRequest
    if sent.entry is not None and together.title_of(services.shelf, sent.entry, "it") is None:
        raise replies.UnknownEntry
    words = sent["words"].strip()
    if not words and sent.entry is None:
        replies.clean_words(words)
    for text in (words, *(one.text for one in texts.values())):
        if text:
            replies.clean_words(text)
        check_filled(text)
    return Answer(key, words, texts, sent.entry, close=sent["then"] != "leave")
