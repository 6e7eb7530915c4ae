"""Words that mean one thing by themselves: which of the choices is meant, and acts while the classifier is away.

`keywords/<language>.txt` holds a line a meaning, its phrases between semicolons. A phrase of one word counts in a
message of two words at most, a longer one in six: in more words it may be part of a question.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from bot.phrases import FALLBACK, SOURCE
from bot.turn import Guess, Intent
from knowledge_base.normalise import normalise

_FOLDER = Path(__file__).parent / "keywords"
_PLACES = ("first", "second", "third")
_OTHERS = ("last", "none", "not_that")
MEANINGS = (*_PLACES, *_OTHERS, *(intent.value for intent in Intent if intent is not Intent.ASK))
_WORDS_BESIDE_ONE = 2
_WORDS_BESIDE_MANY = 6
_CHINESE_BESIDE = 3
"""Chinese is written without spaces: so many signs may stand beside a phrase."""
WHOLE, _PART = 0.9, 0.6
"""How sure an act is when the message is nothing else, and when the phrase is part of it."""
_BETWEEN = re.compile(r"[\W_]+")
_CHINESE = re.compile("[\u3400-\u9fff]")
_NUMBER = re.compile(r"(?:\D{0,8}\s)?([1-9])\W{0,2}")
_LINK = re.compile(r"\S+(?:://|\.\w+/)\S*|www\.\S+")
_NODS = {"👍": Intent.YES, "👌": Intent.YES, "✅": Intent.YES, "👎": Intent.NO, "❌": Intent.NO}


def is_wordless(text: str) -> bool:
    """Nothing but signs, numbers, pictures or a link: there is no question in it to look up or to keep."""
    return not any(letter.isalpha() for letter in _LINK.sub("", text))


def nod(text: str) -> Guess | None:
    """Yes or no in a picture."""
    meant = {_NODS[sign] for sign in text if sign in _NODS}
    return Guess(meant.pop(), WHOLE) if is_wordless(text) and len(meant) == 1 else None


def _plain(text: str) -> str:
    return _BETWEEN.sub(" ", normalise(text)).strip()


def read(language: str) -> Iterator[tuple[str, str]]:
    """(meaning, phrase) pairs as written; nothing for a language without a file."""
    path = _FOLDER / f"{language}.txt"
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        meaning, _, phrases = line.partition(":")
        for phrase in phrases.split(";"):
            yield meaning.strip(), phrase.strip()


@cache
def _phrases(language: str) -> dict[str, str]:
    """Phrase -> meaning; of a phrase with two meanings the first counts."""
    found: dict[str, str] = {}
    for meaning, phrase in read(language):
        found.setdefault(_plain(phrase), meaning)
    return found


def _meanings(text: str, language: str) -> Iterator[tuple[str, bool]]:
    """What the text means, the longest phrase first, and whether it is all of the text."""
    asked, known = _plain(text[:200]), _phrases(language)
    if asked in known:
        yield known[asked], True
    words = asked.split()
    for phrase in sorted(known, key=lambda phrase: -len(phrase)):
        if _CHINESE.search(phrase):
            within = phrase in asked and len(asked) <= len(phrase) + _CHINESE_BESIDE
        else:
            most = _WORDS_BESIDE_MANY if " " in phrase else _WORDS_BESIDE_ONE
            within = len(words) <= most and f" {phrase} " in f" {asked} "
        if within:
            yield known[phrase], False


def _languages(language: str) -> tuple[str, ...]:
    """People answer in Italian or English too, whatever language they read."""
    return tuple(dict.fromkeys((language, SOURCE, FALLBACK)))


def pointed_at(text: str, language: str, *, choices: int) -> int | str | None:
    """Which of the `choices` shown is meant, counted from 0; `none` or `not_that`; None when the words say neither."""
    number = _NUMBER.fullmatch(normalise(text[:20]).strip())
    if number:
        return int(number[1]) - 1 if int(number[1]) <= choices else None
    for code in _languages(language):
        for meaning, _ in _meanings(text, code):
            if meaning in ("none", "not_that"):
                return meaning
            if meaning == "last" and choices:
                return choices - 1
            if meaning in _PLACES and _PLACES.index(meaning) < choices:
                return _PLACES.index(meaning)
    return None


def guess(text: str, language: str) -> Guess | None:
    """What somebody wants, where only a few words can say it; for the time the classifier does not answer."""
    for code in _languages(language):
        for meaning, whole in _meanings(text, code):
            if meaning not in (*_PLACES, *_OTHERS):
                return Guess(Intent(meaning), WHOLE if whole else _PART)
    return None
