"""How far each language is: `elp language list`, and the table in docs/languages.md."""

import json
import re
from collections import Counter
from dataclasses import dataclass

from babel.messages.pofile import read_po

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
    with (LOCALES / code / "LC_MESSAGES" / "elp.po").open("rb") as file:
        return sum(1 for message in read_po(file, locale=code) if message.id and message.string)


def _lines(files: str, beginning: str) -> int:
    begins = re.compile(beginning)
    return sum(
        1 for path in ROOT.glob(files) for line in path.read_text(encoding="utf-8").splitlines() if begins.match(line)
    )


def table() -> str:
    return _HEAD + "".join(f"{standing.row}\n" for standing in standings())


def table_is_old() -> bool:
    return not TABLE.exists() or TABLE.read_text(encoding="utf-8") != table()
