"""Hides what would identify somebody in a text that a person wrote, for readers who need not see it.

Found, in the digits of any script and with spaces, dots or dashes between the characters:

- codice fiscale: by its shape even when a letter was mistyped, with omocodia when its check character is right
  (DM 23 December 1976); the provisional one of eleven digits with its check digit, after words that announce it;
- IBAN: check digits modulo 97 (ISO 13616); an Italian one by its shape even when it was mistyped;
- payment cards: 13 to 19 digits, the first from 2 to 6, with the check digit of ISO/IEC 7812 (Luhn);
- permesso di soggiorno: «I» and eight digits, as on the electronic card (annex A of its technical rules, Gazzetta
  Ufficiale, Serie generale, 22 of 28 January 2010);
- numbers of paper permits, of applications (ten characters) and of registered letters (twelve digits, as the site of
  the Polizia di Stato asks for them), passports and identity cards of any country: seven to twelve digits, or five and
  more with up to four letters, only beside a word that says what they are;
- telephone numbers: international ones with «+» or «00», Italian mobile ones (3…, nine or ten digits), ones that begin
  with 0 (eight to eleven digits), others after a word that announces them.

Not hidden: public numbers (112, 1522, 116117, 800…), dates, times, amounts with a currency, postcodes, laws, years.
Not found: names, addresses, e-mail, documents' numbers that nothing announces, numbers written out in words.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from backend.check_digits import has_luhn_digit, is_fiscal_code, is_iban
from bot.phrases import SPOKEN, say

KINDS = ("fiscal_code", "iban", "card", "permit", "document", "phone")
_HIDDEN, _KEPT, _WALL = "\x00", "\x01", "\x02"
"""In the working copy of a text: hidden already, never to be hidden, nothing that matters here."""
_BEFORE, _AFTER = 40, 25
"""Characters between a word and the code it announces, or names behind."""
_DIGIT = re.compile("[0-9]")
_FSI, _PDI = "\u2068", "\u2069"
"""Isolates, so that a label keeps its order inside a text of the other direction (Unicode Standard Annex 9)."""


@dataclass(frozen=True, slots=True)
class Masked:
    text: str
    hidden: bool


@dataclass(frozen=True, slots=True)
class _Hit:
    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class _Token:
    """Letters and digits without anything between them."""

    start: int
    end: int
    text: str


def mask(text: str, language: str) -> Masked:
    """The text with a short label, in the reader's language, for each hit. Never raises on what a person wrote, takes
    time in proportion to the length, and leaves its own output as it is."""
    view = _plain(text)
    if not _DIGIT.search(view):  # as most texts are; all that is looked for has digits
        return Masked(text, hidden=False)
    view = _keep(_labels().sub(_blank(_HIDDEN), view))
    hits: list[_Hit] = []
    for find in (_codes, _plain_numbers, _announced):
        found = list(find(view))
        hits += found
        view = _hide(view, found)
    return Masked(_labelled(text, sorted(hits, key=lambda hit: hit.start), language), bool(hits))


def warm_up() -> None:
    """What the first text with a number would wait for, most of a second: the words in all languages."""
    _labels()


def _labelled(text: str, hits: list[_Hit], language: str) -> str:
    parts, at = [], 0
    for hit in hits:
        last = [char for char in text[hit.start : hit.end] if _plain_char(char).isalnum()][-2:]
        parts += [text[at : hit.start], _FSI, f"[{say(language, f'mask.{hit.kind}')} …{''.join(last).upper()}]", _PDI]
        at = hit.end
    return "".join([*parts, text[at:]])


# ---- the working copy: as long as the text, in small Latin letters and ASCII digits ----

_SAME = {"٫": ",", "٬": ".", "’": "'", "\u00ad": "\u200b"}


@cache
def _plain_char(char: str) -> str:
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    if char in _SAME:
        return _SAME[char]
    match unicodedata.category(char):
        case "Pd":
            return "-"
        case "Zs" | "Cf":
            return " "
        case "Cc":
            return "\n" if char in "\n\r" else " " if char == "\t" else _WALL
        case "Cs" | "Co" | "Cn":
            return _WALL
    small = unicodedata.normalize("NFKC", char).lower()
    return small if len(small) == 1 and small.isascii() else char.lower() if len(char.lower()) == 1 else char


def _plain(text: str) -> str:
    return "".join(map(_plain_char, text))


@cache
def _labels() -> re.Pattern[str]:
    """What this module wrote before."""
    words = sorted({_plain(say(language, f"mask.{kind}")) for language in SPOKEN for kind in KINDS})
    return re.compile(rf"\[(?:{'|'.join(map(re.escape, words))}) …[0-9a-z]{{1,2}}\]")


def _blank(char: str) -> Callable[[re.Match[str]], str]:
    return lambda found: char * len(found[0])


def _hide(view: str, hits: Iterable[_Hit]) -> str:
    parts, at = [], 0
    for hit in sorted(hits, key=lambda hit: hit.start):
        parts += [view[at : hit.start], _HIDDEN * (hit.end - hit.start)]
        at = hit.end
    return "".join([*parts, view[at:]])


# ---- what is never hidden ----

_DAY, _MONTH, _YEAR = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])", r"(?:19|20)\d\d"
_AMOUNT = r"(?:\d{1,3}(?:[., ']\d{3}){1,3}|\d{1,7})(?:[.,]\d{1,2})?"
_CURRENCY = (
    r"(?:€|\$|£|eur(?![a-z])|euros?(?![a-z])|dollar|dirham|dinar|cfa(?![a-z])|[يأا]ورو|درهم|دينار|دولار|یورو|ইউরো)"
)
_FROM, _TO = r"(?<![0-9a-z])", r"(?![0-9a-z])"
_DATE = rf"(?:{_DAY}([./-]){_MONTH}\1(?:{_YEAR}|\d\d)|{_YEAR}([./-]){_MONTH}\2{_DAY})"
_TIME = r"(?:[01]?\d|2[0-4])\.[0-5][05]"
"""With a dot, as Italians write it; over «:» nothing joins."""
_KEEP = re.compile(
    "|".join(
        (
            rf"{_FROM}(?<!\d[./-]){_DATE}{_TO}(?![./-]\d)",
            rf"{_FROM}(?<!\d\.){_TIME}{_TO}(?!\.\d)",
            rf"{_FROM}(?<!\d[ ./-]){_YEAR}(?:[ /-]{{1,3}}{_YEAR})+{_TO}(?![ ./-]\d)",
            rf"{_FROM}(?<!\d[., ]){_AMOUNT} ?{_CURRENCY}",
            rf"{_CURRENCY} {{0,2}}{_AMOUNT}{_TO}",
            rf"{_FROM}\d{{1,3}}(?:[.']\d{{3}}){{0,3}}[.']000{_TO}(?![.']\d)",
            rf"{_FROM}80[03][ .-]?\d{{3}}[ .-]?\d{{2,3}}{_TO}",
        )
    )
)


def _keep(view: str) -> str:
    return _KEEP.sub(_blank(_KEPT), view)


# ---- codes with a check character ----

_TOKEN = re.compile(r"[0-9a-z]+")
_JOINT = re.compile(r"[ .-]{1,3}")
_FISCAL_CODE_PLAIN = re.compile(r"[a-z]{6}\d\d[abcdehlmprst]\d\d[a-z]\d{3}[a-z]")
_ITALIAN_IBAN = re.compile(r"it\d\d[a-z]\d{10}[0-9a-z]{12}")


def _runs(view: str, joint: re.Pattern[str], token: re.Pattern[str] = _TOKEN) -> Iterator[list[_Token]]:
    """Tokens with nothing but a joint between them."""
    run: list[_Token] = []
    for found in token.finditer(view):
        if run and not joint.fullmatch(view, run[-1].end, found.start()):
            yield run
            run = []
        run.append(_Token(found.start(), found.end(), found[0]))
    if run:
        yield run


def _windows(run: list[_Token], check: Callable[[str, list[_Token]], str | None], longest: int) -> Iterator[_Hit]:
    """Whole tokens that together pass the check, from left to right, the longest first, none over another."""
    start = 0
    while start < len(run):
        end, length = start, 0
        while end < len(run) and length + len(run[end].text) <= longest:
            length += len(run[end].text)
            end += 1
        code = "".join(token.text for token in run[start:end])
        step = 1
        for stop in range(end, start, -1):
            kind = check(code, run[start:stop])
            if kind:
                yield _Hit(run[start].start, run[stop - 1].end, kind)
                step = stop - start
                break
            code = code[: len(code) - len(run[stop - 1].text)]
        start += step


def _codes(view: str) -> Iterator[_Hit]:
    for run in _runs(view, _JOINT):
        yield from _windows(run, _code, 34)


def _code(code: str, part: list[_Token]) -> str | None:
    if len(code) < 9:
        return None
    if code[0].isdigit():
        return "card" if _is_card(code) else None
    if len(code) == 16 and _count_digits(code) >= (1 if len(part) == 1 else 4):
        return "fiscal_code" if _FISCAL_CODE_PLAIN.fullmatch(code) or is_fiscal_code(code) else None
    if _ITALIAN_IBAN.fullmatch(code) or is_iban(code):
        return "iban"
    return "permit" if len(part) == 1 and re.fullmatch(r"i\d{8}", code) else None


def _count_digits(code: str) -> int:
    return sum(map(str.isdigit, code))


def _is_card(code: str) -> bool:
    return 13 <= len(code) <= 19 and code[0] in "23456" and code.isdecimal() and has_luhn_digit(code)


# ---- telephone numbers ----

_PHONE_JOINT = re.compile(r"[ ./()-]{1,3}")
_DIGITS = re.compile(r"(?<![0-9a-z])\d+(?![0-9a-z])")
_ANNOUNCED_BY_LETTERS = re.compile(r"(?<![0-9a-z])(?:tel|cel|cell|wa|whatsapp|n|nr|num)(?=[\d\x00])")
_LONGEST_PHONE = 15
"""Recommendation ITU-T E.164, with the country code."""


def _plain_numbers(view: str) -> Iterator[_Hit]:
    """Telephone numbers that say themselves where they belong: with «+» or «00»."""
    view = _ANNOUNCED_BY_LETTERS.sub(_blank(_WALL), view)
    for run in _runs(view, _PHONE_JOINT, _DIGITS):
        for hit in _windows(run, lambda code, part: _international(view, code, part), _LONGEST_PHONE + 2):
            plus = _plus(view, hit.start)
            yield _Hit(hit.start if plus is None else plus, hit.end, hit.kind)


def _plus(view: str, start: int) -> int | None:
    """Where the sign stands that makes an international number of the digits that begin here."""
    before = view[max(0, start - 3) : start]
    found = re.search(r"\+[ (]{0,2}\Z", before) if "+" in before else None
    return None if found is None else max(0, start - 3) + found.start()


def _international(view: str, digits: str, part: list[_Token]) -> str | None:
    if len(digits) < 8:
        return None
    if _plus(view, part[0].start) is None:
        if not re.match(r"00[1-9]", digits):
            return None
        digits = digits[2:]
    if digits.startswith("39"):
        return "phone" if _is_italian(digits[2:]) else None
    return "phone" if 8 <= len(digits) <= _LONGEST_PHONE and digits[0] != "0" else None


def _is_italian(digits: str) -> bool:
    """A mobile number or one with a prefix; nothing that is free of charge, short or a service."""
    return bool(re.fullmatch(r"3\d{8,9}|0[1-9]\d{6,9}", digits))


def _is_national(digits: str, part: list[_Token]) -> bool:
    if not digits.isdecimal():
        return False
    if re.fullmatch(r"393\d{8,9}", digits):
        return True
    sizes = {len(token.text) for token in part}
    usual = len(part[0].text) >= (3 if digits[0] == "3" else 2) or sizes in ({1}, {2})
    return usual and _is_italian(digits)


# ---- numbers that words announce ----

_WORDS = {
    "fiscal_code": r"codice fiscale|codici fiscali|\bc\.? ?f(?![a-z])|tax code|fiscal code|code fiscal|"
    r"(?:ال)?(?:رقم|رمز) (?:ال)?(?:ضريبي|جبائي)|codice provvisorio",
    "permit": r"permess[oi]|soggiorno|residence permit|stay permit|permit of stay|titre de s[ée]jour|"
    r"carte de s[ée]jour|permis de s[ée]jour|r[ée]c[ée]piss[ée]|ricevut[ae]|assicurata|raccomandata|pratica|questura|"
    r"[إا]قامة|تصريح|وصل|اقامت|পারমিট|permiso de residencia|permis de ședere|посвідк|вид на жительство",
    "document": r"passaport[oi]|passaporte|pasaporte|passeport|passport|pa[sșş]aport|паспорт|护照|পাসপোর্ট|জাতীয় পরিচয়|"
    r"جواز|پاسپورت|پاسپورٹ|گذرنامه|carta d'? ?identit|carta di identit|carte d'? ?identit|identity card|"
    r"\bid card|\bid number|\bdocument|identit[àa]|patente|بطاقة|هوية|شناختی|идентичност",
    "phone": r"\btel(?![a-z])|telefon|t[ée]l[ée]phone|\bcell?(?![a-z])|cellulare|whats ?app|\bphone|mobile|portable|"
    r"chiamami|chiamare|chiamate|\bcall|appele|هاتف|تلفون|تليفون|جوال|موبايل|واتس|اتصل|ফোন|فون|موبائل|تماس",
}
_SHORTEST = 7
"""Characters of a number that is hidden because of a word beside it."""
_WORD = re.compile("|".join(f"(?P<{kind}>{words})" for kind, words in _WORDS.items()))
_LITTLE = re.compile(r"il?|lo|la|le|gli|un|e|o|d[aieu]|al|del|ne|nr?|num|is|my|of|and|or|et|est|the|in|a")
"""Words that may stand before a number without being its letters."""


class _Announced:
    """One walk over the text: numbers of documents and national telephone numbers, the nearest word decides.

    What is hidden counts for nothing in a distance, so that a text measures the same before and after.
    """

    def __init__(self, view: str) -> None:
        found = list(_WORD.finditer(view))
        self.starts = [word.start() for word in found]
        self.words = [(word.start(), word.end(), str(word.lastgroup)) for word in found]
        self.hidden_before = [0, *accumulate(char == _HIDDEN for char in view)]
        # What announces is no part of a code, whatever letters it has.
        self.view = _ANNOUNCED_BY_LETTERS.sub(_blank(_WALL), _WORD.sub(_blank(_WALL), view))
        self.ends, self.lengths = [0], [0]
        """Of hits in this walk: where each ended, and how much was hidden up to there."""

    def hits(self) -> Iterator[_Hit]:
        for run in _runs(self.view, _PHONE_JOINT):
            for hit in _windows(run, self._kind, 12):
                self.ends.append(hit.end)
                self.lengths.append(self.lengths[-1] + hit.end - hit.start)
                yield hit

    def _kind(self, code: str, part: list[_Token]) -> str | None:
        if len(code) < _SHORTEST or (len(part) > 1 and _LITTLE.fullmatch(part[0].text)):
            return None
        start, end = part[0].start, part[-1].end
        next_word = bisect_left(self.starts, start)
        for kind in (self._said_before(start, next_word), "national", self._said_behind(end, next_word)):
            if kind == "national" and _is_national(code, part):
                return "phone"
            if kind in _WORDS and _fits(kind, code, part, self.view[start:end]):
                return kind
        return None

    def _said_before(self, start: int, next_word: int) -> str | None:
        if next_word == 0:
            return None
        _, end, kind = self.words[next_word - 1]
        return kind if start - end - self._hidden(end, start) <= _BEFORE else None

    def _said_behind(self, end: int, next_word: int) -> str | None:
        if next_word == len(self.words):
            return None
        start, _, kind = self.words[next_word]
        near = start - end <= _AFTER and not re.search(r"[\d\x00\x01]", self.view[end:start])
        return kind if near else None

    def _hidden(self, start: int, end: int) -> int:
        earlier = self.lengths[bisect_right(self.ends, start) - 1]
        return self.hidden_before[end] - self.hidden_before[start] + self.lengths[-1] - earlier


def _announced(view: str) -> Iterator[_Hit]:
    return _Announced(view).hits()


def _fits(kind: str, code: str, part: list[_Token], written: str) -> bool:
    digits = _count_digits(code)
    letters = len(code) - digits
    if kind == "fiscal_code":
        return len(code) == 11 and not letters and has_luhn_digit(code)
    if kind == "phone":
        return not letters and code[0] not in "18"
    if re.search(r"[/()]", written) or letters > 4 or digits < 5:
        return False
    if len(part) > 1 and letters:  # «AB 123456»; neither «TO 10015» nor «10015 TO»
        return digits >= 6 and len(part[0].text) == letters
    return True
