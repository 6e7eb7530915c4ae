"""Which language a message names («en français», «parli arabo?»), however it is called and inflected."""

import re
from functools import cache
from pathlib import Path

from bot.phrases import KNOWN, SPOKEN, language_name
from knowledge_base.normalise import is_han, normalise

_BEGINNINGS = Path(__file__).parent / "keywords" / "languages.txt"
_NOT = "not"
_LONGEST = 200
_WORD = re.compile(r"[^\s.,;:!?؟،؛。！？…()\-\[\]\"«»“”/]+")
_BEFORE = ("", "l'", "l’", "d'", "d’", "ال", "بال", "لل", "ب", "وال")
"""Articles and prepositions that are written together with a name."""


@cache
def _listed() -> dict[str, tuple[str, ...]]:
    """Code (or `not`) -> beginnings, as they are compared."""
    lines = _BEGINNINGS.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition(":") for line in lines if not line.startswith("#"))
    return {code: tuple(normalise(word) for word in words.split()) for code, _, words in pairs}


@cache
def _full_names() -> tuple[tuple[str, str], ...]:
    """Every known language under its own name and its name in each spoken language, longest first."""
    pairs = {(language.name.lower(), code) for code, language in KNOWN.items()}
    pairs |= {(language_name(code, shown_in).lower(), code) for code in KNOWN for shown_in in SPOKEN}
    return tuple(sorted(pairs, key=lambda pair: -len(pair[0])))


@cache
def _written() -> dict[str, tuple[str, ...]]:
    """Code -> how a word may begin that names it."""
    names = {code: words for code, words in _listed().items() if code != _NOT}
    return {
        code: tuple(before + word for word in words if not is_han(word) for before in _BEFORE)
        for code, words in names.items()
    }


def _named_in_order(text: str) -> list[str]:
    found = {
        match.start(): code
        for match in _WORD.finditer(text)
        for code, beginnings in _written().items()
        if match[0].startswith(beginnings)
    }
    for code, beginnings in _listed().items():
        found |= {text.index(one): code for one in beginnings if is_han(one) and code != _NOT and one in text}
    return [found[place] for place in sorted(found)]


def _denies(text: str) -> bool:
    """Whether the text says of something that it is not so: of a language, that one does not speak it."""
    words = _WORD.findall(text)
    for one in _listed()[_NOT]:
        if is_han(one):
            denied = one in text
        elif one.startswith("-"):
            denied = any(word.endswith(one[1:]) for word in words)
        elif one.endswith("-"):
            denied = any(word.startswith(one[:-1]) for word in words)
        else:
            denied = one in words
        if denied:
            return True
    return False


def named(text: str) -> str | None:
    """The code of the language that is wished for; None when the text names none, or only one that is not spoken."""
    folded = normalise(text[:_LONGEST])
    found = _named_in_order(folded)
    if found and _denies(folded):
        return found[-1] if len(set(found)) > 1 else None
    if found:
        return found[0]
    lowered = text[:_LONGEST].lower()
    return next((code for name, code in _full_names() if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", lowered)), None)
