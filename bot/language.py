"""Which language a text is written in. It only ever suggests: what the person chose holds (design section 4.3)."""

import re
import unicodedata
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from bot.other_languages import BY_LETTERS, BY_SCRIPT, SAME
from bot.phrases import KNOWN, SPOKEN, language_name

_FEWEST_WORDS = 3
_SURE = 0.9
_FEWEST_WORDS_OF_ANOTHER = 4
_SCRIPTS = {"CYRILLIC": ("uk", "ru"), "ARABIC": ("ar", "ur", "fa"), "BENGALI": ("bn",), "CJK": ("zh",)}
_LATIN = tuple(code for code in KNOWN if not any(code in codes for codes in _SCRIPTS.values()))
# Letters that only one of the languages of a script uses; they decide where statistics waver on short texts.
_TELLING = {
    "uk": re.compile("[іїєґІЇЄҐ]"),
    "ru": re.compile("[ыэъёЫЭЪЁ]"),
    "ur": re.compile("[ٹڈڑںےہھ]"),
    "fa": re.compile("[پچژگ](?!.*[ٹڈڑںے])"),
}
# Digits inside words stand for Arabic letters ("3andi", "so2al", "7a9"); "a2" and "art32" are an exam and a law.
_FIGURE_LETTERS = re.compile(
    r"\b(?![a-z]\d{1,2}\b|art\d+\b|\d+[a-z]\b)(?=\w*[a-z])\w*(?:[a-z][23579]|[23579][a-z])\w*\b"
)
_LATIN_WORDS = Path(__file__).parent / "keywords" / "latin.txt"
_FEWEST_MARKS = 2
_MARKED_SHARE = 0.3
_FILLER = re.compile(r"[\W\d_]+")


@cache
def _identifier() -> LanguageIdentifier:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([code for code in KNOWN if code in identifier.nb_classes])
    return identifier


def recognises(code: str) -> bool:
    """Whether `detect` can come to this language."""
    return code in _identifier().nb_classes


@cache
def _of_all() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@cache
def _script(letter: str) -> str:
    return unicodedata.name(letter, "").split(" ")[0]


def warm_up() -> None:
    _identifier()
    _of_all()


def script_of(text: str) -> str | None:
    """The Unicode script most letters belong to, by the first word of their names; None without letters."""
    letters = [letter for letter in text[:2000] if letter.isalpha()]
    if not letters:
        return None
    if text.isascii():
        return "LATIN"
    return Counter(map(_script, letters)).most_common(1)[0][0]


@cache
def _own_script(code: str) -> str | None:
    """The script its own name is written in."""
    return script_of(language_name(code, code))


def in_own_script(text: str, code: str) -> float:
    """Which part of the letters are in the script of the language, 0 to 1; 1 for a text without letters."""
    letters = [letter for letter in text if letter.isalpha()]
    own = sum(_script(letter) == _own_script(code) for letter in letters)
    return own / len(letters) if letters else 1.0


@cache
def _latin_words() -> dict[str, list[str]]:
    """Word -> the languages that it shows."""
    found: dict[str, list[str]] = {}
    for line in _LATIN_WORDS.read_text(encoding="utf-8").splitlines():
        code, _, listed = line.partition(":")
        for word in () if line.startswith("#") else listed.split():
            found.setdefault(word, []).append(code)
    return found


def in_latin_letters(text: str) -> str | None:
    """A language with letters of its own that the text is typed in with Latin ones; no packaged detector knows that."""
    words = re.findall(r"\w+", text[:2000].lower())
    marks = Counter(code for word in words for code in _latin_words().get(word, ()))
    marks["ar"] += 2 * sum(bool(_FIGURE_LETTERS.fullmatch(word)) for word in words)
    (first, most), (_, next_most) = (*marks.most_common(2), ("", 0))[:2]
    clear = most >= max(_FEWEST_MARKS, _MARKED_SHARE * len(words)) and most > next_most
    return first if clear else None


def detect(text: str) -> tuple[str, float] | None:
    """The likeliest of the known languages and how sure we are, 0 to 1; None when there is nothing to go on."""
    words = [word for word in _FILLER.split(text[:2000]) if word]
    script = script_of(text)
    if not words or script is None:
        return None
    candidates = _SCRIPTS.get(script, _LATIN if script == "LATIN" else ())
    if not candidates:
        return None
    if len(candidates) == 1:
        return candidates[0], 1.0
    if script == "LATIN" and (typed := in_latin_letters(text)):
        return typed, _SURE
    for code in candidates:
        if code in _TELLING and _TELLING[code].search(text):
            return code, 0.95
    ranked = [(code, float(score)) for code, score in _identifier().rank(" ".join(words).lower()) if code in candidates]
    total = sum(score for _, score in ranked) or 1.0
    return ranked[0][0], ranked[0][1] / total


def another(text: str) -> str | None:
    """A language we do not speak that the text is surely written in, of those we can say so in; or None."""
    script = script_of(text)
    if script in BY_SCRIPT:
        return BY_SCRIPT[script]
    words = [word for word in _FILLER.split(text[:2000]) if word]
    if script not in BY_LETTERS or len(words) < _FEWEST_WORDS_OF_ANOTHER:
        return None
    shares: defaultdict[str, float] = defaultdict(float)
    for code, score in _of_all().rank(" ".join(words).lower()):
        shares[SAME.get(code, code)] += float(score)
    code, share = max(shares.items(), key=lambda pair: pair[1])
    return code if code in BY_LETTERS[script] and code not in SPOKEN and share >= _SURE else None


def suggest(text: str, current: str) -> str | None:
    """A language other than the current one that the text is surely written in: one that people can choose, or one
    that we can only say we do not speak; or None.

    Never on fewer than three words; Chinese, written without spaces, counts letters instead.
    """
    unspoken = another(text)
    if unspoken:
        return unspoken
    if len(text.split()) < _FEWEST_WORDS and not (script_of(text) == "CJK" and len(text) >= 2 * _FEWEST_WORDS):
        return None
    found = detect(text)
    if found is None or found[0] == current or found[0] not in SPOKEN:
        return None
    return found[0] if found[1] >= _SURE else None
