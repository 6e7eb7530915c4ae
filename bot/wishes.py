"""«Domani mattina», «marți după-amiază», «24 نوفمبر»: a day, or a part of one, that somebody names in their words.

Days of the week are CLDR's, a few words for «tomorrow» and «morning» stand in the catalogues (`wish.…`, with `|`
between them), everything else is for dateparser. What is understood is always confirmed before it is used.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache

from babel.dates import get_day_names, get_month_names

from bot.bookings import AFTERNOON, MORNING, NOON
from bot.phrases import SOURCE, locale, say

LONGEST = 100
"""Characters that are looked at."""
_AHEAD = {"today": 0, "tomorrow": 1, "after_tomorrow": 2}
_FARTHEST = timedelta(days=366)
_HOUR = re.compile(r"(?<![\d/.:-])([01]?\d|2[0-3])[:.h]([0-5]\d)(?![\d/.:-])")
_CHINESE_DATE = re.compile(r"(\d{1,2})月(\d{1,2})[日号]?")
_NUMBERS = re.compile(r"(?<![\d/.-])\d{1,2}[/.-]\d{1,2}(?:[/.-]\d{2,4})?(?![\d/.-])")
_LOOK_ALIKE = {ord("ı"): "i", ord("’"): "'", ord("ʼ"): "'"}
_DATE_WORDS = 4
"""Words a date is written with at most: «martedì 1 dicembre 2026»."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A day, a part of the day, or both."""

    day: date | None
    part: str | None
    others: int = 0
    """Words beside it: the more, the likelier something else is meant."""

    @property
    def code(self) -> str:
        return f"{f'{self.day:%Y%m%d}' if self.day else ''}:{self.part or ''}"


def understand(text: str, language: str, today: date) -> Wish | None:
    """`today` at the desk. Takes some milliseconds, with the first text of a language up to a fifth of a second; never
    raises on what a person wrote."""
    view = _plain(text[:LONGEST])
    day, view = _written_date(view, language, today)
    meanings, view = _known_words(view, language)
    part = next((name for name in (MORNING, AFTERNOON) if name in meanings), None)
    if hour := _HOUR.search(view):
        part = MORNING if time(int(hour[1])) < NOON else AFTERNOON
        view = view.replace(hour[0], " ")
    day = day or _meant_day(meanings, today)
    if day is None and part is None:
        day, view = _by_dateparser(view, language, today), ""
    if day is None and part is None:
        return None
    return Wish(day, part, _count_words(view))


def _plain(text: str) -> str:
    """One kind of digits and spaces, no invisible signs; letters as they were written."""
    kept = (sign for sign in unicodedata.normalize("NFKC", text) if unicodedata.category(sign) != "Cf")
    digits = "".join(str(unicodedata.decimal(sign)) if sign.isdecimal() else sign for sign in kept)
    return " ".join(_CHINESE_DATE.sub(r" \2/\1 ", digits).casefold().split())


def _folded(text: str) -> str:
    """Without accents and other marks, as people in a hurry write."""
    bare = "".join(sign for sign in unicodedata.normalize("NFKD", text) if unicodedata.category(sign) != "Mn")
    return bare.translate(_LOOK_ALIKE)


def _count_words(view: str) -> int:
    """Chinese has no spaces: two signs are a word."""
    return sum((len(word) + 1) // 2 if _is_chinese(word) else 1 for word in view.split() if any(map(str.isalnum, word)))


def _is_chinese(word: str) -> bool:
    return any("\u4e00" <= sign <= "\u9fff" for sign in word)


# ---- words we know ----


def _known_words(view: str, language: str) -> tuple[set[str], str]:
    """What they mean, and the rest of the text."""
    pattern, meant = _vocabulary(language)
    meanings: set[str] = set()

    def take(found: re.Match[str]) -> str:
        meanings.update(meant[found.lastgroup or ""])
        return " "

    return meanings, pattern.sub(take, _folded(view))


def _meant_day(meanings: set[str], today: date) -> date | None:
    for name, ahead in _AHEAD.items():
        if name in meanings:
            return today + timedelta(days=ahead)
    weekday = next((int(one) for one in sorted(meanings) if one.isdigit()), None)
    return None if weekday is None else today + timedelta(days=(weekday - today.weekday() - 1) % 7 + 1)


@cache
def _vocabulary(language: str) -> tuple[re.Pattern[str], dict[str, set[str]]]:
    """One pattern for all words of a language and of Italian, the longest first, and what each of its groups means."""
    words: dict[str, set[str]] = {}
    for code in dict.fromkeys((language, SOURCE)):
        for name in (*_AHEAD, MORNING, AFTERNOON):
            for word in say(code, f"wish.{name}").split("|"):
                words.setdefault(re.escape(_folded(_plain(word))), set()).add(name)
        for weekday, word in _weekdays(code):
            words.setdefault(word, set()).add(str(weekday))
    ordered = sorted((word for word in words if word), key=len, reverse=True)
    # Chinese words stand inside others; all other words stand alone.
    bounded = (word if _is_chinese(word) else rf"(?<!\w){word}(?!\w)" for word in ordered)
    pattern = "|".join(f"(?P<w{number}>{word})" for number, word in enumerate(bounded))
    return re.compile(pattern), {f"w{number}": words[word] for number, word in enumerate(ordered)}


def _weekdays(code: str) -> Iterator[tuple[int, str]]:
    """Patterns. A long name may have another ending («середа», «середу»), and some are said in part («terça»)."""
    for context in ("format", "stand-alone"):
        for weekday, name in get_day_names("wide", context, locale(code)).items():
            plain = _folded(_plain(name))
            if _is_chinese(plain):
                yield from ((weekday, plain.replace("星期", other)) for other in ("星期", "周", "礼拜"))
                continue
            for said in {plain, plain.split(" ")[-1], plain.split("-")[0]}:
                stem = said[:-1] if len(said) > 4 else said
                yield weekday, re.escape(stem) + (r"\w{0,3}" if stem != said else "")
            if "\u200c" in name:  # written as one word, as two, or with the sign between that few keyboards have
                yield weekday, re.escape(_folded(name.replace("\u200c", " ")))


# ---- dates ----


def _written_date(view: str, language: str, today: date) -> tuple[date | None, str]:
    """«24 novembre», «24/11», and the rest of the text."""
    for found in _NUMBERS.finditer(view):
        if day := _by_dateparser(found[0].replace(".", "/").replace("-", "/"), language, today):
            return day, view.replace(found[0], " ")
    words = [word.strip(",;:!?") for word in view.split()]
    for length in range(_DATE_WORDS, 1, -1):
        for first in range(len(words) - length + 1):
            window = words[first : first + length]
            if _names_month(window, language) and (day := _by_dateparser(" ".join(window), language, today)):
                return day, " ".join((*words[:first], *words[first + length :]))
    return None, view


def _names_month(window: list[str], language: str) -> bool:
    """A number, and a word that begins as a month does: nothing else is worth asking dateparser."""
    numbered = any(word.rstrip(".º°").isdigit() and len(word) <= 4 for word in window)
    return numbered and any(_folded(word)[:3] in _months(language) for word in window if len(word) > 2)


@cache
def _months(language: str) -> frozenset[str]:
    names = (
        name
        for code in (language, SOURCE)
        for width in ("wide", "abbreviated")
        for context in ("format", "stand-alone")
        for name in get_month_names(width, context, locale(code)).values()
    )
    return frozenset(_folded(_plain(name))[:3] for name in names if not name.isdigit())


def _by_dateparser(text: str, language: str, today: date) -> date | None:
    import dateparser

    settings = {
        "PREFER_DATES_FROM": "future",
        "RELATIVE_BASE": datetime.combine(today, time(12)),
        "DATE_ORDER": "DMY",
        "REQUIRE_PARTS": ["day"],
    }
    if not any(map(str.isalnum, text)):
        return None
    try:
        found = dateparser.parse(text, languages=_parsed_languages(language), settings=settings)
    except Exception:  # it is made of many guesses, and no text of a person may stop the conversation
        return None
    day: date | None = found.date() if found else None
    return day if day and today <= day <= today + _FARTHEST else None


@cache
def _parsed_languages(language: str) -> list[str]:
    from dateparser.data.languages_info import language_order

    return [code for code in dict.fromkeys((language, SOURCE)) if code in language_order]
