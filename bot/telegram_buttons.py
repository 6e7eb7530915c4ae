"""Buttons under a message in Telegram: how they stand in rows, and what comes back when one is pressed."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from telegram.constants import InlineKeyboardButtonLimit, InlineKeyboardMarkupLimit

from bot.phrases import digits
from bot.telegram_html import Span, clean, has_rtl_letters, isolate_runs, turned
from bot.telegram_shown import ShownChoice

LONGEST_DATA = int(InlineKeyboardButtonLimit.MAX_CALLBACK_DATA)
MOST = int(InlineKeyboardMarkupLimit.TOTAL_BUTTON_NUMBER)
Rows = list[list[dict[str, Any]]]
_WIDTHS = {4: 6, 3: 10, 2: 17, 1: 36}
"""Letters that can be read on a button of a small phone, by how many stand side by side."""
_ICONS = {
    "languages": "🌐",
    "human": "👤",
    "book": "📅",
    "useful:yes": "👍",
    "useful:no": "👎",
    "topic:pericolo": "🆘",
    "topic:abitare": "🏠",
    "topic:lavoro": "🧰",
    "topic:documenti": "📄",
    "topic:salute": "❤️",
    "topic:formazione": "📖",
    "topic:famiglia": "👪",
    "topic:cibo": "🍲",
}
"""For whoever cannot read the language of the message."""
_LISTED = frozenset(("entry", "about", "pick", "visit"))
"""What is told apart by its whole title, not by its first words."""
_POINTER = re.compile(r"~([0-9]{1,18}):([0-9]{1,3})", re.ASCII)
_NOT_HERE = frozenset(("forget-on-close",))
"""A chat with a bot is never closed."""
_HERE = {"export": "export-file"}
"""On the page a link to a file; here the file comes into the chat."""


def keyboards(choices: Sequence[ShownChoice], language: str, message_id: int) -> list[Rows]:
    """One for as many buttons as a message may have, mostly one; none without buttons."""
    labels = labelled(choices, language)
    buttons = [
        (_kind(choice), {"text": label, "callback_data": _data(choice.id, message_id, position)})
        for position, (choice, label) in enumerate(zip(choices, labels, strict=True))
        if choice.id not in _NOT_HERE
    ]
    return _pages(_in_rows(buttons))


def pointed(choice: str) -> tuple[int, int] | None:
    """Row of the message and position of the choice in it, for a button whose id is too long for Telegram; None for
    every other id."""
    found = _POINTER.fullmatch(choice)
    return (int(found[1]), int(found[2])) if found else None


def _data(choice: str, message_id: int, position: int) -> str:
    choice = _HERE.get(choice, choice)
    return choice if len(choice.encode("utf-8", "replace")) <= LONGEST_DATA else f"~{message_id}:{position}"


# ---- what stands on them ----


def labelled(choices: Sequence[ShownChoice], language: str) -> list[str]:
    """As they stand on the buttons; numbered where `long_titles` lists them."""
    listed = long_titles(choices)
    plain = [f"{_icon(choice)} {clean(choice.label).strip() or '…'}".strip() for choice in choices]
    numbers = {id(choice): digits(language, f"{number}. ") for number, choice in enumerate(listed, 1)}
    labels = [numbers.get(id(choice), "") + label for choice, label in zip(choices, plain, strict=True)]
    return [_turned(label, language) for label in labels]


def _turned(label: str, language: str) -> str:
    """A name in Latin letters within Arabic words; one that stands alone reads well as it is."""
    if label.isascii() or not has_rtl_letters(label):
        return label
    return "".join(span.text for span in turned([Span(isolate_runs(language, label))], language))


def long_titles(choices: Iterable[ShownChoice]) -> list[ShownChoice]:
    """The choices whose titles must stand in the text, because some of them would be cut off on their buttons."""
    listed = [choice for choice in choices if choice.id.partition(":")[0] in _LISTED]
    cut = any(_width(choice.label) > _WIDTHS[1] for choice in listed)
    return listed if cut and len(listed) > 1 else []


def _icon(choice: ShownChoice) -> str:
    name, _, rest = choice.id.partition(":")
    exact = name if name not in ("useful", "topic") else f"{name}:{rest.rpartition(':')[2]}"
    return _ICONS.get(exact, "")


def _kind(choice: ShownChoice) -> str:
    return choice.id.partition(":")[0]


def _width(label: str) -> int:
    """In Latin letters, more or less."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in label)
    return wide + sum(unicodedata.category(letter) not in ("Mn", "Me", "Cf") for letter in label)


# ---- rows ----


def _in_rows(buttons: Sequence[tuple[str, dict[str, Any]]]) -> Rows:
    """Those of one kind stand in columns, the others, and those that are too long for that, two by two where they are
    short. The order stays."""
    kinds = [[button for _, button in group] for _, group in groupby(buttons, key=lambda one: one[0])]
    rows: Rows = []
    for many, groups in groupby(kinds, key=lambda group: len(group) > 1):
        if many:
            rows += [row for group in groups for row in _columns(group)]
        else:
            rows += _pairs([group[0] for group in groups])
    return rows


def _columns(buttons: Sequence[dict[str, Any]]) -> Rows:
    widest = max(_width(button["text"]) for button in buttons)
    most = next((columns for columns, width in _WIDTHS.items() if widest <= width), 1)
    if most == 1:
        return _pairs(buttons)
    even = [columns for columns in range(most, 1, -1) if len(buttons) % columns == 0]
    columns = even[0] if even else most
    return [list(buttons[at : at + columns]) for at in range(0, len(buttons), columns)]


def _pairs(buttons: Sequence[dict[str, Any]]) -> Rows:
    rows: Rows = []
    for button in buttons:
        short = _width(button["text"]) <= _WIDTHS[2]
        if short and rows and len(rows[-1]) == 1 and _width(rows[-1][0]["text"]) <= _WIDTHS[2]:
            rows[-1].append(button)
        else:
            rows.append([button])
    return rows


def _pages(rows: Rows) -> list[Rows]:
    pages: list[Rows] = []
    room = 0
    for row in rows:
        if len(row) > room:
            pages.append([])
            room = MOST
        pages[-1].append(row)
        room -= len(row)
    return pages
