"""Turn what people type into words that can be compared, for every script the assistant speaks.

One table maps single characters (case, accents, letter variants, digits, invisible marks), so that a text is
normalised in one pass. Rules that need a neighbour (apostrophes, lengthened letters, Chinese) follow in `words`.
"""

import re
import threading
import unicodedata
from functools import cache, lru_cache
from typing import Any

import snowballstemmer

MAX_CHARACTERS = 100_000
"""Longer texts are cut; nothing an editor writes comes near it."""

MAX_WORD = 32
"""Letters of a word that are looked at; longer ones are noise or have no spaces."""

PREFIX = 5
"""Letters kept of a word where no stemmer knows the language."""

SNOWBALL = {
    "ca": "catalan",
    "de": "german",
    "en": "english",
    "es": "spanish",
    "fr": "french",
    "it": "italian",
    "nl": "dutch",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
}
"""Languages whose Snowball stemmer does better than prefixes on words without accents (not so Turkish, Arabic)."""

# Letters that Unicode does not decompose but people use for one another.
_LETTERS = {
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ł": "l", "ı": "i", "ŋ": "n", "ɗ": "d", "ɓ": "b",
    "ґ": "г",
    # Arabic, Persian and Urdu forms of one letter; hamza on a seat is a mark and falls away by itself.
    "ٱ": "ا", "ى": "ي", "ی": "ي", "ې": "ي", "ے": "ي", "ک": "ك", "ڪ": "ك", "ة": "ه", "ہ": "ه", "ھ": "ه", "ە": "ه",
    "ۃ": "ه", "ں": "ن", "ء": "", "ـ": "",
}  # fmt: skip

# Marks that carry the sound of the letter (Indic vowel killers, kana voicing) are no accents.
_KEPT_MARKS = frozenset({8, 9})
_KEPT = frozenset("йў")

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
# Indic and South-East Asian vowel signs are no "word characters" to `re`, but belong to the word.
_SIGNS = "\u0900-\u0963\u0966-\u0dff\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff"
_WORD = re.compile(rf"[{_HAN}]+|[^\W_{_HAN}{_SIGNS}]+[^\W_{_HAN}{_SIGNS}]*|(?:[^\W_{_HAN}]|[{_SIGNS}])+")
_IS_HAN = re.compile(f"[{_HAN}]")
_INNER_APOSTROPHE = re.compile("(?<=[\u0400-\u052f])['’ʼ`\u2032](?=[\u0400-\u052f])")
_LENGTHENED = re.compile(r"([^\W\d_])\1{2,}")
_VOWELS = frozenset("aeiouyаеиоуыэюяіاويه")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[؟。！？؛۔।])\s*|\s*[\n;；•]+\s*")


class _Characters(dict[int, str]):
    """Character -> what it is compared as; filled as characters turn up (a dict write is atomic)."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = _fold(chr(code))
        return folded


def _fold(character: str) -> str:
    if "가" <= character <= "힣":  # Hangul syllables would fall apart into single sounds
        return character
    if character.lower() in _KEPT:  # letters of their own, which nobody types without their sign
        return character.lower()
    kept: list[str] = []
    for part in unicodedata.normalize("NFKD", character.lower()):
        category = unicodedata.category(part)
        if category == "Cf" or (unicodedata.combining(part) and unicodedata.combining(part) not in _KEPT_MARKS):
            continue
        if category[0] in "CZ":  # controls, unpaired surrogates, unassigned, every kind of space
            kept.append("\n" if part in "\n\r\u2028\u2029" else " ")
        elif category == "Nd":
            kept.append(str(unicodedata.decimal(part)))
        else:
            kept.append(_LETTERS.get(part, part))
    return "".join(kept)


_CHARACTERS = _Characters()


def normalise(text: str) -> str:
    """`text` without case, accents, diacritics, letter variants, invisible marks and Eastern or full-width digits.

    Never raises; at most `MAX_CHARACTERS` are read. Rules: NFKD of Unicode Standard Annex 15; Arabic letter
    variants after Larkey, Ballesteros & Connell, "Light stemming for Arabic information retrieval" (2007).
    """
    folded = unicodedata.normalize("NFC", text[:MAX_CHARACTERS]).translate(_CHARACTERS)
    folded = _INNER_APOSTROPHE.sub("", folded)
    return _LENGTHENED.sub(_shorten, folded)


def _shorten(run: re.Match[str]) -> str:
    letter = run.group(1)
    return letter if letter in _VOWELS else letter * 2


def words(text: str) -> list[str]:
    """Normalised words of `text` in order; a run of Chinese characters becomes its overlapping pairs."""
    found: list[str] = []
    for word in _WORD.findall(normalise(text)):
        if is_han(word):
            found += [word[i : i + 2] for i in range(max(1, len(word) - 1))]
        else:
            found.append(word[:MAX_WORD])
    return found


def sentences(text: str) -> list[str]:
    """The sentences and lines of `text` as they are written, without the empty ones."""
    return [part for part in _SENTENCE_END.split(text[:MAX_CHARACTERS]) if part and not part.isspace()]


def is_han(word: str) -> bool:
    """Whether a word of `words` is made of Chinese characters."""
    return word >= "\u3400" and _IS_HAN.match(word) is not None


@lru_cache(maxsize=200_000)
def stem(word: str, language: str) -> str:
    """The stem of a normalised word: Snowball where it helps, else the first `PREFIX` letters."""
    if is_han(word):
        return word
    name = SNOWBALL.get(language)
    if name is None:
        return (light_stem(word) if language == "ar" else word)[:PREFIX]
    with _stemming:
        return str(_stemmer(name).stemWord(word))


_stemming = threading.Lock()  # a stemmer keeps the word it works on


@cache
def _stemmer(name: str) -> Any:
    return snowballstemmer.stemmer(name)


def light_stem(word: str) -> str:
    """A normalised Arabic word without "and", article and frequent endings ("light10", Larkey et al. 2007)."""
    if len(word) > 3 and word[0] == "و":
        word = word[1:]
    for article in ("بال", "كال", "فال", "وال", "لل", "ال"):
        if word.startswith(article) and len(word) - len(article) >= 2:
            word = word[len(article) :]
            break
    for ending in ("ها", "ان", "ات", "ون", "ين", "يه", "ه", "ي"):
        if word.endswith(ending) and len(word) - len(ending) >= 2:
            word = word[: -len(ending)]
    return word
