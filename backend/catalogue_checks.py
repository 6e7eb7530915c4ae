"""What can be wrong with the sentences in `locales/`: missing, superfluous, not translated, with other placeholders."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.plurals import get_plural
from babel.messages.pofile import read_po

from backend.config import ROOT
from bot.language import in_own_script
from bot.phrases import FALLBACK, LOCALES, SOURCE, SPOKEN

Sentences = Mapping[str, Message]
"""By key."""
_PLACEHOLDER = re.compile(r"\{\w*\}")
_LETTERS = re.compile(r"[^\W\d_]+")
_SHORT = 3
"""Words; what is shorter may well be the same in two languages («Browser», «Notes»)."""
_NAMES = {"IBAN"}
"""The same in every script."""


def catalogue_problems(locales: Path = LOCALES) -> list[str]:
    """One line each; `locales` has a folder for every spoken language. What is still in English: `untranslated`."""
    catalogues = {code: read_catalogue(locales / code / "LC_MESSAGES" / "elp.po", code) for code in SPOKEN}
    sentences = {code: sentences_of(catalogue) for code, catalogue in catalogues.items()}
    english = sentences[FALLBACK]
    problems = []
    for code, own in sentences.items():
        problems += [f"{code}: {key} is missing" for key in english.keys() - own.keys()]
        problems += [f"{code}: {key} is not in English" for key in own.keys() - english.keys()]
        problems += [f"{code}: {problem}" for problem in _plural_problems(catalogues[code], code)]
        for key, message in own.items():
            if problem := unfit(message, english.get(key, message)):
                problems.append(f"{code}: {key}: {problem}")
    problems += [f"{key} is used and in no catalogue" for key in _said_outright() - english.keys()]
    problems += [f"{key} is in the catalogues, and nothing says it" for key in english if not _is_said(key)]
    return sorted(problems)


def untranslated(locales: Path = LOCALES) -> list[str]:
    """Sentences that still stand in English or Italian, one line each: they are shown, and must not be published."""
    read = {code: sentences_of(read_catalogue(locales / code / "LC_MESSAGES" / "elp.po", code)) for code in SPOKEN}
    foreign = {SOURCE: read[SOURCE], FALLBACK: read[FALLBACK]}
    return sorted(
        f"{code}: {key}: {problem}"
        for code, own in read.items()
        for key, message in own.items()
        if (problem := left_over(code, message, foreign))
    )


def read_catalogue(path: Path, code: str) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=code)


def sentences_of(catalogue: Catalog) -> dict[str, Message]:
    """By key; of a sentence with plural forms the key is the first of its two ids."""
    return {_key(message): message for message in catalogue if message.id}


def _key(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def forms_of(message: Message) -> tuple[str, ...]:
    """One, or as many as there are plural forms."""
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ("",))


def said_in(message: Message) -> str:
    """All forms together."""
    return "\n".join(forms_of(message))


def unfit(own: Message | None, english: Message) -> str | None:
    """Why a sentence cannot be said; None when it can."""
    if own is None or own.fuzzy or not all(forms_of(own)):
        return "not translated"
    if _placeholders(own) != _placeholders(english):
        return "other placeholders than the English"
    return None


def _placeholders(message: Message) -> set[str]:
    return set(_PLACEHOLDER.findall(said_in(message)))


def _plural_problems(catalogue: Catalog, code: str) -> Iterator[str]:
    """The head of the file says how many forms there are, and which is chosen; one that is missing reads as empty."""
    wanted = get_plural(code)
    if catalogue.num_plurals != wanted.num_plurals or _bare(catalogue.plural_expr) != _bare(wanted.plural_expr):
        yield f"Plural-Forms should be {wanted}"


def _bare(rule: str) -> str:
    return rule.replace(" ", "").strip("()")


def left_over(code: str, own: Message, foreign: Mapping[str, Sentences]) -> str | None:
    """That a sentence stands in one of the `foreign` languages still; short ones are compared by their script alone."""
    text = _PLACEHOLDER.sub(" ", said_in(own))
    words = [word for word in _LETTERS.findall(text) if word not in _NAMES]
    if words and not in_own_script("".join(words), code):
        return "not in the script of the language"
    for other, sentences in foreign.items():
        same = sentences.get(_key(own))
        if other != code and same is not None and len(words) > _SHORT and said_in(same) == said_in(own):
            return f"still the sentence of {other!r}"
    return None


# ---- which sentences the program says ----

_SAID = re.compile(r"""(?<![.\w])say(?:_count)?\(\s*(?:[\w.]+,\s*)?["']([a-z_]+\.?[\w.-]*)["']""")
_IN_TEMPLATE = re.compile(r"""([~+]\s*)?(["'])([\w. :-]{1,80})\2(\s*[~+])?""")
_HOLE = "(.+)"
_FEWEST_LETTERS, _FEWEST_INSIDE = 2, 5
"""Of a pattern's fixed part: what has fewer would fit anything. Second, of a pattern that fills another one's hole."""


def _programs() -> list[Path]:
    return [path for part in ("backend", "bot", "knowledge_base") for path in sorted((ROOT / part).glob("**/*.py"))]


def _templates() -> list[Path]:
    return sorted((ROOT / "backend" / "web" / "templates").glob("**/*.*"))


def _said_outright() -> set[str]:
    files = [*_programs(), *_templates()]
    keys = {key for file in files for key in _SAID.findall(file.read_text(encoding="utf-8"))}
    return {key for key in keys if key[-1] not in ".-"}


@cache
def _is_said(key: str, inside: int = 0) -> bool:
    """Whether the program can come to this key: it stands there, or is put together from words that stand there."""
    words, patterns = _literals()
    if key in words:
        return True
    for letters, pattern in patterns if inside < 2 else ():
        found = pattern.fullmatch(key) if letters >= (_FEWEST_INSIDE if inside else _FEWEST_LETTERS) else None
        if found and all(_is_said(hole, inside + 1) for hole in found.groups()):
            return True
    return False


@cache
def _literals() -> tuple[frozenset[str], tuple[tuple[int, re.Pattern[str]], ...]]:
    """Every short string and name of the program; and what it puts together, with the letters of the fixed part."""
    words: set[str] = set()
    patterns: set[str] = set()
    for path in _programs():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            words.update(_words_of(node))
            if isinstance(node, ast.JoinedStr):
                parts = (re.escape(str(v.value)) if isinstance(v, ast.Constant) else _HOLE for v in node.values)
                patterns.add("".join(parts))
    for path in _templates():
        for before, _, text, after in _IN_TEMPLATE.findall(path.read_text(encoding="utf-8")):
            words.add(text)
            if before or after:
                patterns.add((_HOLE if before else "") + re.escape(text) + (_HOLE if after else ""))
    counted = ((sum(c.isalpha() for c in pattern.replace(_HOLE, "")), pattern) for pattern in patterns)
    return frozenset(words), tuple((letters, re.compile(p)) for letters, p in counted if letters >= _FEWEST_LETTERS)


def _words_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 80:
        yield node.value
    elif isinstance(node, ast.arg | ast.keyword) and node.arg:
        yield node.arg
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
