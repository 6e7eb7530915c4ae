"""A message of ours as lines for Telegram: what the chat page shows, for a small screen."""

import re
from collections.abc import Iterable, Sequence

from bot.card import point_of
from bot.phrases import KNOWN, SOURCE, digits, isolate, say
from bot.telegram_buttons import long_titles
from bot.telegram_html import Span, clean, isolate_runs, link, turned
from bot.telegram_shown import Shown, ShownCard, ShownChoice, ShownLine, ShownRow, ShownVisit

Line = list[Span]
_ICONS = {
    "danger": "🆘",
    "who": "👤",
    "bring": "📄",
    "cost": "💶",
    "where": "📍",
    "when": "🕒",
    "phone": "📞",
    "email": "✉️",
    "web": "🌐",
    "spoken": "💬",
    "steps": "👣",
    "map": "🗺",
    "unknown": "❔",
    "desk": "📍",
    "about": "📝",
    "help": "💬",
    "name": "👤",
    "code": "🎫",
    "door": "🚪",
}
_TEXT_ROWS = ("who", "bring", "cost", "steps")
"""In the language of the card's text, which may be another than that of its labels."""
_COLONS = {"zh": "：", "fr": "\u00a0:"}
_SHORT_NUMBER = 6
"""Digits. Telegram makes a number one can tap out of +39 …, a phone out of a long one, nobody out of «112»: that one is
copied by a tap."""
_OF_ITALY = re.compile(r"0|3[0-9]{8}")
"""How numbers begin that are dialled with +39 from everywhere; free and short ones are only reached from inside."""
_DIALLED = re.compile(r"\+?[0-9][0-9 ]*")


def lines_of(message: Shown, *, pinned: bool) -> list[Line]:
    """All of its text; an empty line between paragraphs. `pinned`: what can be a pin on a map comes as one after it."""
    language = message.language if message.language in KNOWN else SOURCE
    blocks = [
        _sender(message, language),
        _numbers(message.emergency, language) if _is_alarm(message) else [],
        *([] if _in_card(message) else _paragraphs(message, language)),
        *(_card(card, message, language, pinned=pinned) for card in message.entries),
        _visit(message.appointment, language, pinned=pinned),
        _listed(message.choices, language),
        _original(message, language),
        *_of_telegram(message, language),
        [] if _is_alarm(message) else _quiet_numbers(message.emergency, language),
    ]
    lines: list[Line] = []
    for block in blocks:
        if block:
            lines += [[], *block] if lines else block
    return lines


def said(text: str, language: str, *tags: str) -> Span:
    return Span(isolate_runs(language, clean(text)), tags)


# ---- the parts of a message ----


def _in_card(message: Shown) -> bool:
    """An answer is its card: the summary that is its text stands in there."""
    return bool(message.entries) and message.intent == "ask"


def _is_alarm(message: Shown) -> bool:
    """Numbers without an alarm are one quiet line under an answer."""
    return bool(message.emergency) and message.intent == "emergency"


def _sender(message: Shown, language: str) -> list[Line]:
    if message.author != "operator" or not message.desk:
        return []
    return [turned([_own(message.desk, language, "b")], language)]


def _numbers(emergency: Sequence[ShownLine], language: str) -> list[Line]:
    """Number and whose it is, without saying «112» twice."""
    return [
        turned([Span("📞 "), *_phone(line.number, language), Span("  "), said(clean(line.label), language)], language)
        for line in emergency
    ]


def _quiet_numbers(emergency: Sequence[ShownLine], language: str) -> list[Line]:
    if not emergency:
        return []
    line = [said(say(language, "emergency.perhaps"), language)]
    for one in emergency:
        line += [Span(" 📞 "), *_phone(one.number, language)]
    return [turned(line, language)]


def _paragraphs(message: Shown, language: str) -> list[list[Line]]:
    """What is held up at a counter begins in Italian, for whoever sits there."""
    parts = [part.split("\n") for part in clean(message.text).split("\n\n") if part.strip()]
    tongues = [SOURCE if message.variant == "show" and not at else language for at in range(len(parts))]
    tags = [("b",) if message.variant == "show" and not at else () for at in range(len(parts))]
    return [
        [turned([said(line, tongue, *tag)], tongue) for line in part]
        for part, tongue, tag in zip(parts, tongues, tags, strict=True)
    ]


def _listed(choices: Sequence[ShownChoice], language: str) -> list[Line]:
    titles = enumerate(long_titles(choices), 1)
    return [_item(digits(language, f"{number}. "), choice.label, language) for number, choice in titles]


def _original(message: Shown, language: str) -> list[Line]:
    if message.author != "operator" or not (message.machine or message.original):
        return []
    told = say(language, "card.machine" if message.machine else "page.original")
    lines = [turned([said(told, language, "i")], language)]
    if message.original:
        lines.append([Span(clean(message.original), ("blockquote",))])
    return lines


def _of_telegram(message: Shown, language: str) -> list[list[Line]]:
    """What is only true here: others carry the messages, and the phone keeps what we have erased."""
    keys = []
    if message.intent == "privacy":
        keys = ["telegram.notice"]
    elif message.intent == "forget" and not message.choices:
        keys = ["telegram.forgotten"]
    return [[turned([said(say(language, key), language)], language)] for key in keys]


# ---- cards ----


def _card(card: ShownCard, message: Shown, language: str, *, pinned: bool) -> list[Line]:
    intent = message.intent or ""
    leads = intent in ("ask", "operator") or intent.startswith("change_language") or _is_alarm(message)
    named = intent.startswith("facet:") and card.title in message.text  # in the sentence before it
    lines = [] if named else [turned([said(card.title, card.language, "b")], card.language)]
    if leads:
        lines += [turned([said(line, card.language)], card.language) for line in card.lead.split("\n")]
    rows = [row for row in card.rows if not (pinned and pin_of(row))]
    lines += [*([[]] if lines else []), *_rows(rows, language, card.language, open_now=card.open_now)] if rows else []
    checked = [said(say(language, "card.checked", month=card.checked), language, "i")]
    if card.sources:
        checked += [Span(" · ", ("i",)), said(say(language, "card.source"), language, "i", link(card.sources[0]))]
    notes = [turned([said(note, language, "i")], language) for note in card.notes]
    return [*lines, [], *notes, turned(checked, language)]


def _visit(visit: ShownVisit | None, language: str, *, pinned: bool) -> list[Line]:
    if visit is None:
        return []
    notes = [turned([said(note, language, "i")], language) for note in visit.notes]
    rows = [row for row in visit.rows if not (pinned and pin_of(row))]
    return [turned([_own(visit.title, language, "b")], language), *notes, *_rows(rows, language, language)]


def pin_of(row: ShownRow) -> tuple[float, float] | None:
    """Latitude and longitude of a map that shows a point."""
    return point_of(row.links[0]) if row.key == "map" and row.links else None


def _rows(rows: Iterable[ShownRow], language: str, text_language: str, *, open_now: bool | None = None) -> list[Line]:
    lines: list[Line] = []
    for row in rows:
        tongue = text_language if row.known and row.key in _TEXT_ROWS else language
        label = _label(row, language, open_now)
        values = [_value(row, at, tongue) for at in range(len(row.values))]
        if len(values) == 1 and tongue == language and not row.numbered:
            lines.append(turned([*label, Span(" "), *values[0]], language))
            continue
        lines.append(turned(label, language))
        for number, value in enumerate(values, 1):
            mark = digits(tongue, f"{number}. ") if row.numbered else "• " if len(values) > 1 else ""
            lines.append(turned([Span(mark), *value] if mark else value, tongue))
    return lines


def _label(row: ShownRow, language: str, open_now: bool | None) -> Line:
    icon = ("🟢" if open_now else "🔴") if row.key == "open" else _ICONS.get(row.key, "•")
    return [Span(f"{icon} "), said(f"{row.label}{_COLONS.get(language, ':')}", language, "b")]


def _value(row: ShownRow, at: int, language: str) -> Line:
    value, address = row.values[at], row.links[at] if row.links else ""
    if address.startswith("tel:"):
        return _phone(value, language)
    if address.startswith(("http://", "https://")):
        own = _own(value, language, link(address)) if row.italian and row.key != "map" else None
        return [own or said(value, language, link(address))]
    if row.key == "code":
        return [Span(clean(value), ("code",))]
    return [_own(value, language) if row.italian and row.known else said(value, language)]


def _item(mark: str, text: str, language: str) -> Line:
    return turned([Span(mark), said(text, language)], language)


def _own(text: str, language: str, *tags: str) -> Span:
    """An Italian name: it keeps its own direction as a whole."""
    return Span(isolate(language, clean(text)), tags)


def _phone(value: str, language: str) -> Line:
    """The number so that a tap calls it or, where Telegram knows no way to, copies it; then what stands behind it."""
    value = clean(value)
    found = _DIALLED.match(value)
    number = found[0].strip() if found else value
    rest = value[len(number) :] if found else ""
    plain = number.replace(" ", "")
    if _OF_ITALY.match(plain):
        number = f"+39 {number}"
    short = len(plain) <= _SHORT_NUMBER and not number.startswith("+")
    before, after = isolate(language, " ").split(" ")  # outside the tag: what is copied is the number alone
    spans = [Span(before), Span(number, ("code" if short else "b",)), Span(after), Span(clean(rest))]
    return [span for span in spans if span.text]
