"""Text with tags as Telegram reads them: escaped, cut where a message would be too long, right in both directions."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from html import escape

import regex
from telegram.constants import MessageLimit

from bot.phrases import KNOWN

LONGEST = int(MessageLimit.MAX_TEXT_LENGTH)
"""UTF-16 units of one message, after its tags were taken out."""
SPOILER = "tg-spoiler"
_ISOLATE, _END, _RIGHT_TO_LEFT = "\u2068", "\u2069", "\u200f"
_RTL_LETTERS = ("R", "AL")
_GRAPHEME = regex.compile(r"\X")
_BREAKS = (
    re.compile(r"\n\n+"),
    re.compile(r"\n"),
    re.compile(r"(?<=[.!?。！？؟।])\s"),
    re.compile(r"[^\S\u00a0\u202f]"),
)
"""Where a text is cut, the best place first."""
_FULLEST = 0.5
"""A better place is taken only when the message becomes at least this full."""
# Letters and digits that are written from left to right, with what stands between them.
_LATIN = r"A-Za-z\u00c0-\u024f"
_WORD, _BETWEEN = rf"[{_LATIN}0-9]+", r" .,:;/@&'’_+%#=?!-"
_RUN = re.compile(
    rf"{_ISOLATE}[^{_END}]*{_END}?"
    rf"|(?<!\w)\+?{_WORD}(?:[{_BETWEEN}]*(?:{_WORD}|\([{_LATIN}0-9{_BETWEEN}]*\)))*"
)
_NEEDS_ONE = re.compile(rf"[{_LATIN}]|\d[\d ]*[ ]\d|\+\d")
_SHOWN = regex.compile(r"[^\p{C}\p{Z}\u115f\u1160\u2800\u3164\uffa0]")
_UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\ufffe\uffff]")
"""What Telegram takes out by itself, before it counts."""
_SPACE = re.compile(r"\s")
_HALVES = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of text, not escaped, and the tags around it, the outermost first: `b`, `a href="…"`."""

    text: str
    tags: tuple[str, ...] = ()


def units(text: str) -> int:
    """UTF-16 code units, which is what Telegram counts."""
    return len(text.encode("utf-16-le")) // 2


def clean(text: str) -> str:
    """Without what Telegram would drop or refuse."""
    return _UNWANTED.sub("", _HALVES.sub("\ufffd", text.replace("\r\n", "\n")))


def is_shown(text: str) -> bool:
    """Telegram refuses a message in which there is nothing to see."""
    return _SHOWN.search(text) is not None


def link(address: str) -> str:
    """The tag of a link; Telegram makes none of an address with a space in it."""
    return f'a href="{escape(_SPACE.sub("%20", clean(address)))}"'


def html(spans: Iterable[Span]) -> str:
    """Tags that two neighbours share stay open between them."""
    written: list[str] = []
    opened: tuple[str, ...] = ()
    for span in (*spans, Span("")):
        shared = _shared(opened, span.tags)
        written += [f"</{tag.split()[0]}>" for tag in reversed(opened[shared:])]
        written += [f"<{tag}>" for tag in span.tags[shared:]]
        written.append(escape(span.text, quote=False))
        opened = span.tags
    return "".join(written)


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = zip(one, other, strict=False)
    return next((at for at, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other)))


def within(tag: str, spans: Iterable[Span]) -> list[Span]:
    return [replace(span, tags=(tag, *span.tags)) for span in spans]


# ---- cut ----


def split(spans: Sequence[Span], limit: int = LONGEST) -> list[list[Span]]:
    """Parts of at most `limit` units, none of them without anything to see. Between paragraphs rather than lines, lines
    than sentences, sentences than words; a word that is longer than a message between what reads as one letter."""
    text = "".join(span.text for span in spans)
    parts = []
    for start, end in _cuts(text, limit):
        part = _slice(spans, start, end)
        if is_shown(text[start:end]):
            parts.append(part)
    return parts


def _cuts(text: str, limit: int) -> list[tuple[int, int]]:
    """Where each part begins and ends, without the white space around it."""
    found, start = [], 0
    while start < len(text):
        if text[start].isspace():
            start += 1
            continue
        end = _end(text, start, limit)
        found.append((start, start + len(text[start:end].rstrip())))
        start = end
    return found


def _end(text: str, start: int, limit: int) -> int:
    most = _fitting(text, start, limit)
    if most == len(text):
        return most
    window = text[start : most + 1]
    for place in _BREAKS:
        ends = [found.start() for found in place.finditer(window) if found.start() > 0]
        if ends and (ends[-1] >= (most - start) * _FULLEST or place is _BREAKS[-1]):
            return start + ends[-1]
    return start + _letters(text[start:most], text[most])


def _fitting(text: str, start: int, limit: int) -> int:
    """The last place up to which it is short enough."""
    end = min(len(text), start + limit)
    while (too_many := units(text[start:end]) - limit) > 0:
        end -= max(1, too_many // 2)
    while end < len(text) and units(text[start : end + 1]) <= limit:
        end += 1
    return end


def _letters(text: str, following: str) -> int:
    """Up to the last whole letter: an emoji of several signs, a letter with its marks. All of it when it is one."""
    ends = [found.start() for found in _GRAPHEME.finditer(text + following)]
    return next((end for end in reversed(ends) if 0 < end <= len(text)), len(text))


def _slice(spans: Sequence[Span], start: int, end: int) -> list[Span]:
    part, at = [], 0
    for span in spans:
        piece = span.text[max(0, start - at) : max(0, end - at)]
        if piece:
            part.append(replace(span, text=piece))
        at += len(span.text)
    return part


# ---- from right to left ----


def isolate_runs(language: str, text: str) -> str:
    """In a language written from right to left: names, addresses and telephone numbers in other letters keep their
    order, and nothing around them moves (UAX #9, isolates)."""
    if not KNOWN[language].right_to_left:
        return text
    return _RUN.sub(lambda run: _isolated(run[0]), text)


def _isolated(run: str) -> str:
    is_one = run.startswith(_ISOLATE) or not _NEEDS_ONE.search(run)
    return run if is_one else f"{_ISOLATE}{run}{_END}"


def turned(line: Sequence[Span], language: str) -> list[Span]:
    """A line of a language written from right to left begins at the right, also when its first word is Latin: Telegram
    asks each line for its first letter."""
    if not line or not KNOWN[language].right_to_left or _starts_right(line):
        return list(line)
    return [Span(_RIGHT_TO_LEFT), *line]


def has_rtl_letters(text: str) -> bool:
    return any(_direction(letter) in _RTL_LETTERS for letter in text)


def _starts_right(line: Iterable[Span]) -> bool:
    inside = 0
    for letter in "".join(span.text for span in line):
        inside += (letter == _ISOLATE) - (letter == _END)
        kind = _direction(letter)
        if not inside and kind in (*_RTL_LETTERS, "L"):
            return kind in _RTL_LETTERS
    return False


@cache
def _direction(letter: str) -> str:
    return unicodedata.bidirectional(letter)
