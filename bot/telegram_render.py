"""A stored message as calls of the Bot API, in the order in which they are made."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bot.phrases import KNOWN, SOURCE, say
from bot.telegram_buttons import keyboards
from bot.telegram_card import Line, lines_of, pin_of, said
from bot.telegram_html import SPOILER, Span, clean, html, split, turned, within
from bot.telegram_shown import Call, FileToSend, Shown, ShownCard, ShownFile, ShownVisit

_VOICE = ("audio/ogg", "audio/mpeg", "audio/mp4")
"""What Telegram plays as a voice message."""
_ENDINGS = {"audio/ogg": "ogg", "audio/mpeg": "mp3", "audio/mp4": "m4a", "audio/webm": "weba", "image/png": "png"}
_LONGEST_PLACE = 250
_REMINDS = ("visit:comes:", "visit:late:")
"""What a reminder asks."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How this service wants it."""

    discreet: bool = True
    """What nobody asked for at this moment is covered until it is tapped, and shown on no locked screen."""
    protect: bool = False
    """Emergencies and what is dangerous to be found with cannot be forwarded or saved."""


_USUAL = Manner()


def render(message: Shown, *, manner: Manner = _USUAL, asked: bool = True) -> tuple[Call, ...]:
    """The text first, so that the numbers of an emergency are what is sent first; then places and files. `asked`: the
    person has just written or pressed what this answers. The same message gives the same calls, unless a fact on its
    card has changed meanwhile. Nothing for what a person wrote."""
    if message.author == "person":
        return ()
    language = message.language if message.language in KNOWN else SOURCE
    covered = manner.discreet and not asked
    calls = [*_texts(message, language, covered)]
    if not covered:
        calls += _venues(message)
    calls += [*_calendar(message, language, asked=asked, covered=covered), *_export(message), *_files(message, covered)]
    if manner.protect and _is_sensitive(message):
        calls = [Call(call.method, {**call.fields, "protect_content": True}, call.files) for call in calls]
    return tuple(calls)


def _is_sensitive(message: Shown) -> bool:
    return bool(message.emergency) or any(row.key == "danger" for card in message.entries for row in card.rows)


# ---- words and buttons ----


def _texts(message: Shown, language: str, covered: bool) -> Iterator[Call]:
    spans = _joined(lines_of(message, pinned=not covered))
    if covered and spans:
        neutral = turned([said(say(language, "telegram.covered"), language)], language)
        spans = [*neutral, Span("\n\n"), *within(SPOILER, spans)]
    parts, buttons = split(spans), keyboards(message.choices, language, message.id)
    if buttons and not parts:
        parts = [[Span("…")]]
    for part in parts[:-1]:
        yield _text(part)
    if parts:
        yield _text(parts[-1], buttons[0] if buttons else None)
    for more in buttons[1:]:
        yield _text([said(say(language, "telegram.more_choices"), language)], more)


def _joined(lines: list[Line]) -> list[Span]:
    spans: list[Span] = []
    for line in lines:
        spans += [Span("\n"), *line] if spans else line
    return spans


def _text(spans: list[Span], rows: list[list[dict[str, Any]]] | None = None) -> Call:
    fields: dict[str, Any] = {
        "text": html(spans),
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
    }
    if rows:
        fields["reply_markup"] = {"inline_keyboard": rows}
    return Call("sendMessage", fields)


# ---- places and files ----


def _venues(message: Shown) -> Iterator[Call]:
    """Instead of a link to a map."""
    shown: list[ShownCard | ShownVisit] = [*message.entries]
    if message.appointment:
        shown.append(message.appointment)
    for card in shown:
        point = next((point for row in card.rows if (point := pin_of(row))), None)
        if point:
            place = next((row.values[0] for row in card.rows if row.key == "where"), card.title)
            names = {"title": clean(card.title)[:_LONGEST_PLACE], "address": clean(place)[:_LONGEST_PLACE]}
            yield Call("sendVenue", {"latitude": point[0], "longitude": point[1], **names})


def _calendar(message: Shown, language: str, *, asked: bool, covered: bool) -> Iterator[Call]:
    """A reminder is of a visit that stands in the calendar already."""
    visit = message.appointment
    reminds = not asked and any(choice.id.startswith(_REMINDS) for choice in message.choices)
    if visit is None or not visit.calendar or reminds:
        return
    caption = say(language, "visit.calendar_remove" if visit.cancelled else "visit.calendar")
    file = FileToSend("calendar", str(visit.id), "elp.ics", "text/calendar")
    yield _document(file, **({} if covered else {"caption": clean(caption)}))


def _export(message: Shown) -> Iterator[Call]:
    if message.variant == "export":
        yield _document(FileToSend("export", "", "elp.json", "application/json"))


def _files(message: Shown, covered: bool) -> Iterator[Call]:
    for number, attached in enumerate(message.attachments, 1):
        yield _file(attached, number, covered)


def _file(attached: ShownFile, number: int, covered: bool) -> Call:
    kind, fallback = attached.media_type, "pdf" if attached.kind == "pdf" else "jpg"
    name = f"{number}.{_ENDINGS.get(kind, fallback)}"
    file = FileToSend("attachment", str(attached.id), name, kind)
    if attached.kind == "image":
        return Call("sendPhoto", {"has_spoiler": True} if covered else {}, {"photo": file})
    if attached.kind == "voice" and kind in _VOICE:
        return Call("sendVoice", {}, {"voice": file})
    return _document(file)


def _document(file: FileToSend, **fields: Any) -> Call:
    return Call("sendDocument", {"disable_content_type_detection": True, **fields}, {"document": file})
