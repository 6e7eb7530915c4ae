"""Which language a text is written in. It only ever suggests: what the person chose holds (design section 4.3)."""

import re
import unicodedata
from collections import Counter
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from bot.phrases import KNOWN, SPOKEN, language_name

_FEWEST_WORDS = 3
_SURE = 0.9
_SCRIPTS = {"CYRILLIC": ("uk", "ru"), "ARABIC": ("ar", "ur", "fa"), "BENGALI": ("bn",), "CJK": ("zh",)}
_LATIN = tuple(code for code in KNOWN if not any(code in codes for codes in _SCRIPTS.values()))
# Letters that only one of the languages of a script uses; they decide where statistics waver on short texts.
_TELLING = {
    "uk": re.compile("[іїєґІЇЄҐ]"),
    "ru": re.compile("[ыэъёЫЭЪЁ]"),
    "ur": re.compile("[ٹڈڑںےہھ]"),
    "fa": re.compile("[پچژگ](?!.*[ٹڈڑںے])"),
}
# Arabic typed on a Latin keyboard: digits inside words stand for letters ("3andi", "so2al", "7a9").
_ARABIZI = re.compile(r"\b(?=\w*[a-z])\w*(?:[a-z][23579]|[23579][a-z])\w*\b")
_ARABIZI_WORDS = re.compile(
    r"\b(fin|fein|feen|wayn|kifash|kifach|kif|kayf|wach|wash|chno|shno|shu|bghit|bghina|bidi|bdi|ana|ayez|aywa|dyal|dial|"
    r"mashi|mabghitch|m3a|wlad|wladi|khdma|khedma|lkhedma|chghol|shughl|dar|sakan|tbib|tabib|salam|marhaba|shukran|"
    r"choukran|kan9alleb|kanqelleb|andi|endi|lwra9|wra9|awra9|iqama|ila|lli|illi|hna|hnaya|daba|fluss|flous|mra|mrati|"
    r"rajli|jawzi|zawji|bent|weld|mosa3ada|musaada|3awni|auni|mumkin|momkin|3lach|3ala|min|inta|enta|enti|howa|hiya)\b"
)
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
def _script(letter: str) -> str:
    return unicodedata.name(letter, "").split(" ")[0]


def warm_up() -> None:
    _identifier()
    _names()


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


def looks_arabizi(text: str) -> bool:
    """Arabic in Latin letters, which no packaged detector knows."""
    lowered = text.lower()
    marks = len(_ARABIZI.findall(lowered)) * 2 + len(_ARABIZI_WORDS.findall(lowered))
    return marks >= 2 and marks * 4 >= len(lowered.split())


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
    if script == "LATIN" and looks_arabizi(text):
        return "ar", _SURE
    for code in candidates:
        if code in _TELLING and _TELLING[code].search(text):
            return code, 0.95
    ranked = [(code, float(score)) for code, score in _identifier().rank(" ".join(words).lower()) if code in candidates]
    total = sum(score for _, score in ranked) or 1.0
    return ranked[0][0], ranked[0][1] / total


def suggest(text: str, current: str) -> str | None:
    """A language other than the current one that the text is surely written in, and that people can choose; or None.

    Never on fewer than three words; Chinese, written without spaces, counts letters instead.
    """
    if len(text.split()) < _FEWEST_WORDS and not (script_of(text) == "CJK" and len(text) >= 2 * _FEWEST_WORDS):
        return None
    found = detect(text)
    if found is None or found[0] == current or found[0] not in SPOKEN:
        return None
    return found[0] if found[1] >= _SURE else None


@cache
def _names() -> tuple[tuple[str, str], ...]:
    """Every known language under its own name and its name in each spoken language, longest first."""
    pairs = {(language.name.lower(), code) for code, language in KNOWN.items()}
    pairs |= {(language_name(code, shown_in).lower(), code) for code in KNOWN for shown_in in SPOKEN}
    return tuple(sorted(pairs, key=lambda pair: -len(pair[0])))


def named(text: str) -> str | None:
    """The code of a language that the text names («en français», «parli arabo?»), or None."""
    lowered = text[:200].lower()
    return next((code for name, code in _names() if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", lowered)), None)
