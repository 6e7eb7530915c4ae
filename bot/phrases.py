"""The one list of languages, and every sentence in each of them.

Catalogues are gettext `.po` files under `locales/`; they are compiled in memory, so a stale `.mo` cannot exist.
"""

import io
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from gettext import GNUTranslations
from pathlib import Path
from typing import Any

from babel import Locale
from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

LOCALES = Path(__file__).parent.parent / "locales"
SOURCE = "it"
FALLBACK = "en"


_ZEROS = {"arab": "ARABIC-INDIC", "arabext": "EXTENDED ARABIC-INDIC", "beng": "BENGALI", "deva": "DEVANAGARI"}
"""CLDR's names of numbering systems, and those of their digits in Unicode: Babel writes dates with Latin digits."""


@dataclass(frozen=True, slots=True)
class Language:
    code: str
    name: str
    """Its own name, as its speakers write it."""
    right_to_left: bool = False

    @property
    def direction(self) -> str:
        return "rtl" if self.right_to_left else "ltr"


_ALL = (
    Language("it", "Italiano"),
    Language("en", "English"),
    Language("fr", "Français"),
    Language("es", "Español"),
    Language("pt", "Português"),
    Language("ro", "Română"),
    Language("sq", "Shqip"),
    Language("ar", "العربية", right_to_left=True),
    Language("uk", "Українська"),
    Language("ru", "Русский"),
    Language("zh", "中文"),
    Language("bn", "বাংলা"),
    Language("ur", "اردو", right_to_left=True),
    Language("fa", "فارسی", right_to_left=True),
    Language("tr", "Türkçe"),
)


def _added() -> Iterator[Language]:
    """Languages that have a folder and no line above (`elp language add`): named and written as CLDR says."""
    for folder in sorted(LOCALES.iterdir()):
        if folder.is_dir() and folder.name not in {language.code for language in _ALL}:
            found = Locale.parse(folder.name)
            yield Language(folder.name, found.get_display_name() or folder.name, found.text_direction == "rtl")


KNOWN = {language.code: language for language in (*_ALL, *_added())}
"""Languages we can name and recognise, whether or not the bot speaks them yet."""


def _catalogue_path(code: str) -> Path:
    return LOCALES / code / "LC_MESSAGES" / "elp.po"


SPOKEN = {code: language for code, language in KNOWN.items() if _catalogue_path(code).exists()}
"""Languages with a catalogue: the ones a person can choose."""


@cache
def catalogue(code: str) -> GNUTranslations:
    with _catalogue_path(code).open("rb") as file:
        parsed = read_po(file, locale=code)
    compiled = io.BytesIO()
    write_mo(compiled, parsed)
    compiled.seek(0)
    return GNUTranslations(compiled)


def say(language: str, key: str, /, **values: Any) -> str:
    """The sentence for a key, filled in; whole numbers as the language writes them. A missing key is a defect the tests
    catch; it shows the fallback's text."""
    text = catalogue(language).gettext(key)
    if text == key and language != FALLBACK:
        text = catalogue(FALLBACK).gettext(key)
    return text.format(**_written(language, values)) if values else text


def say_count(language: str, key: str, count: int, /, **values: Any) -> str:
    """The plural form that CLDR asks for with this count; the catalogue holds `<key>` with all its forms."""
    return catalogue(language).ngettext(key, key, count).format(**_written(language, {"count": count, **values}))


def _written(language: str, values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: number(language, value) if type(value) is int else value  # True is an int too, and no number
        for name, value in values.items()
    }


def number(language: str, value: int) -> str:
    """«4.000»: a number that counts something."""
    return digits(language, str(format_decimal(value, locale=locale(language), numbering_system="default")))


def digits(language: str, text: str) -> str:
    """A date, time or count with the figures of the language (decision 20). Never for what somebody dials, types or
    compares with a paper: telephone numbers, codes, addresses, amounts."""
    return text.translate(_figures(language))


def isolate(language: str, text: str) -> str:
    """What is read from left to right as one piece, such as a number with letters, keeps its order in a sentence
    written from right to left (UAX #9, isolates)."""
    return f"\u2068{text}\u2069" if KNOWN[language].right_to_left else text


@cache
def _figures(language: str) -> dict[int, str]:
    script = _ZEROS.get(locale(language).default_numbering_system)
    if script is None:
        return {}
    zero = ord(unicodedata.lookup(f"{script} DIGIT ZERO"))
    return {ord("0") + figure: chr(zero + figure) for figure in range(10)}


@cache
def locale(code: str) -> Locale:
    return Locale.parse(code)


def join(language: str, parts: list[str]) -> str:
    """A list in the language's own punctuation: «a, b e c»."""
    return str(format_list(parts, locale=locale(language)))


def language_name(code: str, shown_in: str) -> str:
    """The name of a language in another one; its own code when CLDR has no name for it."""
    return locale(shown_in).languages.get(code) or code


def best_spoken(accept_language: str, default: str = SOURCE) -> str:
    """The spoken language a browser asks for first (RFC 9110 section 12.5.4); malformed parts are passed over."""
    wanted: list[tuple[float, int, str]] = []
    for position, part in enumerate(accept_language[:1000].split(",")):
        tag, _, weight = part.strip().partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            continue
        wanted.append((-quality, position, tag.split("-")[0].lower()))
    return next((code for quality, _, code in sorted(wanted) if code in SPOKEN and quality < 0), default)
