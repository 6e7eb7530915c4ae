"""How far each language is, and how one is added: `elp language table|add|check|publish`."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po

from backend.config import ROOT
from bot.phrases import KNOWN, LOCALES, SPOKEN
from knowledge_base.entry import TextState
from knowledge_base.files import Content, load_content

TABLE = ROOT / "docs" / "languages.md"
_HEAD = """# Languages

What there is in each language. Made by `elp language table`; `elp check` fails when it is not up to date. People can
choose a language as soon as its catalogue is there. A text counts as reviewed when a native speaker has signed it; none of
the others claims to be.

| language | sentences | texts | of them reviewed | questions (fewest an entry) | outside | phrases of acts | emergencies | messages to measure |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True, slots=True)
class Standing:
    code: str
    sentences: int
    texts: Counter[TextState]
    questions: int
    fewest: int
    outside: int
    phrases: int
    emergencies: int
    measured: int

    @property
    def row(self) -> str:
        there = sum(count for state, count in self.texts.items() if state is not TextState.MISSING)
        name = KNOWN[self.code].name
        return (
            f"| {name} (`{self.code}`) | {self.sentences} | {there} of {sum(self.texts.values())} | "
            f"{self.texts[TextState.REVIEWED]} | {self.questions} ({self.fewest}) | {self.outside} | {self.phrases} | "
            f"{self.emergencies} | {self.measured} |"
        )


def standings(content: Content | None = None) -> list[Standing]:
    """Every known language, in the order of the list."""
    content = content or load_content()
    measured = Counter(
        json.loads(line)["language"]
        for line in (ROOT / "tests" / "evaluation" / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    )
    return [_standing(code, content, measured[code]) for code in KNOWN]


def _standing(code: str, content: Content, measured: int) -> Standing:
    shown = [entry for entry in content.entries if entry.shown]
    questions = [len(entry.texts[code].questions) for entry in shown if code in entry.texts]
    return Standing(
        code=code,
        sentences=_sentences(code),
        texts=Counter(entry.text_state(code) for entry in shown),
        questions=sum(questions),
        fewest=min(questions, default=0),
        outside=len(content.outside.get(code, ())),
        phrases=_lines(f"nlu/data/{code}/*.yml", r"      - "),
        emergencies=_lines(f"bot/emergency_phrases/{code}*.txt", r"[^#\s\[]"),
        measured=measured,
    )


def _sentences(code: str) -> int:
    if code not in SPOKEN:
        return 0
    return sum(1 for message in _catalogue(code) if message.string)


def _lines(files: str, beginning: str) -> int:
    begins = re.compile(beginning)
    return sum(
        1 for path in ROOT.glob(files) for line in path.read_text(encoding="utf-8").splitlines() if begins.match(line)
    )


DRAFT = "draft.po"
"""The catalogue of a language nobody can choose yet; `publish` gives it its name."""
_PLACEHOLDER = re.compile(r"\{\w+\}")


class LanguageError(ValueError):
    """What cannot be done with a language, in one sentence."""


def add(code: str) -> list[Path]:
    """Prepares the files of a new language; returns those it made. Raises LanguageError."""
    try:
        Locale.parse(code)
    except (UnknownLocaleError, ValueError) as error:
        raise LanguageError(f"CLDR knows no language {code!r}.") from error
    if code in SPOKEN:
        raise LanguageError(f"{code} is there already.")
    draft = LOCALES / code / "LC_MESSAGES" / DRAFT
    if draft.exists():
        raise LanguageError(f"{draft.relative_to(ROOT)} is there already: elp language check {code}")
    made = Catalog(locale=code, project="ELP Assistant", version="1", charset="utf-8")
    for message in _catalogue("en"):
        made.add(message.id, "", auto_comments=[f"English: {' / '.join(str(message.string).splitlines())}"])
    draft.parent.mkdir(parents=True, exist_ok=True)
    with draft.open("wb") as file:
        write_po(file, made, width=0, omit_header=False)
    lists = ROOT / "knowledge_base" / "content" / code / "outside.txt", ROOT / "nlu" / "data" / code / "ask.yml"
    lists[0].parent.mkdir(exist_ok=True)
    lists[0].touch()
    lists[1].parent.mkdir(exist_ok=True)
    lists[1].write_text('version: "3.1"\nnlu: []\n', encoding="utf-8")
    return [draft, *lists]


def missing(code: str) -> list[str]:
    """What a language still lacks before people can choose it, one line each. Raises LanguageError."""
    name = "elp.po" if code in SPOKEN else DRAFT
    path = LOCALES / code / "LC_MESSAGES" / name
    if not path.exists():
        raise LanguageError(f"{code} was not begun: elp language add {code}")
    with path.open("rb") as file:
        own = {message.id: message for message in read_po(file, locale=code) if message.id}
    lines = [f"sentence {m.id}: {problem}" for m in _catalogue("en") if (problem := _unfit(own.get(m.id), m))]
    content = load_content()
    shown = [entry for entry in content.entries if entry.shown]
    lines += [f"text {entry.id}: missing" for entry in shown if entry.text_state(code) is TextState.MISSING]
    counts = {
        "questions outside": (len(content.outside.get(code, ())), 200),
        "phrases of acts": (_lines(f"nlu/data/{code}/*.yml", r"      - "), 400),
        "emergency phrases": (_lines(f"bot/emergency_phrases/{code}*.txt", r"[^#\s\[]"), 100),
        "messages about emergencies to test": (_lines(f"tests/bot/emergencies/{code}*.tsv", r"\w"), 180),
    }
    return lines + [f"{what}: {have} of {wanted}" for what, (have, wanted) in counts.items() if have < wanted]


def publish(code: str) -> None:
    """From now on people can choose it. Raises LanguageError when something is missing."""
    if code in SPOKEN:
        raise LanguageError(f"{code} is there already.")
    lacks = missing(code)
    if lacks:
        raise LanguageError(f"{code} is not complete, {len(lacks)} things are missing: elp language check {code}")
    folder = LOCALES / code / "LC_MESSAGES"
    (folder / DRAFT).rename(folder / "elp.po")


def _catalogue(code: str) -> list[Message]:
    with (LOCALES / code / "LC_MESSAGES" / "elp.po").open("rb") as file:
        return [message for message in read_po(file, locale=code) if message.id]


def _unfit(own: Message | None, english: Message) -> str | None:
    if own is None or not own.string or own.fuzzy:
        return "not translated"
    said, wanted = _PLACEHOLDER.findall(str(own.string)), _PLACEHOLDER.findall(str(english.string))
    return None if set(said) == set(wanted) else "other placeholders than the English"


def table() -> str:
    return _HEAD + "".join(f"{standing.row}\n" for standing in standings())


def table_is_old() -> bool:
    return not TABLE.exists() or TABLE.read_text(encoding="utf-8") != table()
