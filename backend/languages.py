"""How far each language is, and how one is added: `elp language table|add|check|publish`."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import write_po

from backend.catalogue_checks import Sentences, left_over, read_catalogue, said_in, sentences_of, unfit
from backend.config import ROOT
from backend.content_checks import text_problems
from bot.phrases import FALLBACK, KNOWN, LOCALES, SPOKEN
from knowledge_base.entry import TextState
from knowledge_base.files import DRAFT, Content, load_content

TABLE = ROOT / "docs" / "languages.md"
_HEAD = """# Languages

What there is in each language. Made by `elp language table`; `elp check` fails when it is not up to date. A text counts as
reviewed when a native speaker has signed it; none of the others claims to be. A language that is *not published* is being
prepared: nobody can choose it, and `elp language check` says what it still lacks.

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
        name = f"{KNOWN[self.code].name} (`{self.code}`)" + ("" if self.code in SPOKEN else ", *not published*")
        return (
            f"| {name} | {self.sentences} | {there} of {sum(self.texts.values())} | "
            f"{self.texts[TextState.REVIEWED]} | {self.questions} ({self.fewest}) | {self.outside} | {self.phrases} | "
            f"{self.emergencies} | {self.measured} |"
        )


def standings(content: Content | None = None) -> list[Standing]:
    """Every known language, in the order of the list."""
    content = content or load_content(drafts=True)
    measured = _messages_to_measure()
    return [_standing(code, content, measured[code]) for code in KNOWN]


def _messages_to_measure() -> Counter[str]:
    lines = (ROOT / "tests" / "evaluation" / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    return Counter(json.loads(line)["language"] for line in lines)


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
        phrases=_lines(f"nlu/data/{code}/*.yml*", _PHRASE),
        emergencies=_lines(f"bot/emergency_phrases/{code}*.txt", _PATTERN),
        measured=measured,
    )


def _sentences(code: str) -> int:
    if code in SPOKEN:
        return len(sentences_of(read_catalogue(LOCALES / code / "LC_MESSAGES" / "elp.po", code)))
    return len(_english()) - len(list(_missing_sentences(code, LOCALES / code / "LC_MESSAGES" / DRAFT_CATALOGUE)))


def _lines(files: str, beginning: str) -> int:
    begins = re.compile(beginning)
    return sum(
        1 for path in ROOT.glob(files) for line in path.read_text(encoding="utf-8").splitlines() if begins.match(line)
    )


DRAFT_CATALOGUE = "draft.po"
"""The catalogue of a language nobody can choose yet; `publish` gives it its name."""
_HEAD_OF_DRAFT = "# Sentences of the ELP Assistant, not published yet. Keys are dotted names; the English stands above each.\n# EUPL-1.2"
SAME = "same"
"""Comment above a sentence of a draft that is as it should be although it is the English one."""
_PHRASE, _PATTERN = r"      - ", r"[^#\s\[]"


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
    draft = LOCALES / code / "LC_MESSAGES" / DRAFT_CATALOGUE
    if draft.exists():
        raise LanguageError(f"{draft.relative_to(ROOT)} is there already: elp language check {code}")
    draft.parent.mkdir(parents=True, exist_ok=True)
    with draft.open("wb") as file:
        write_po(file, _blank(code), width=0, omit_header=False)
    outside = _content() / f"{code}{DRAFT}" / "outside.txt"
    outside.parent.mkdir(exist_ok=True)
    outside.touch()
    return [draft, outside, *_prepare_phrases(code)]


def _blank(code: str) -> Catalog:
    """Every sentence, with the English beside it."""
    made = Catalog(
        locale=code,
        project="ELP Assistant",
        version="1",
        charset="utf-8",
        header_comment=_HEAD_OF_DRAFT,
        msgid_bugs_address="see CONTRIBUTING.md",
        last_translator="ELP Assistant",
        language_team=code,
        fuzzy=False,
    )
    for message in _english().values():
        english = " / ".join(said_in(message).splitlines())
        made.add(
            message.id, ("",) * made.num_plurals if message.pluralizable else "", auto_comments=[f"English: {english}"]
        )
    return made


def _prepare_phrases(code: str) -> Iterator[Path]:
    """The intents of the English files, without phrases."""
    phrase = re.compile(_PHRASE)
    for path in sorted((ROOT / "nlu" / "data" / FALLBACK).glob("*.yml")):
        draft = ROOT / "nlu" / "data" / code / f"{path.name}{DRAFT}"
        draft.parent.mkdir(exist_ok=True)
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        draft.write_text("".join(line for line in lines if not phrase.match(line)), encoding="utf-8")
        yield draft


def missing(code: str) -> list[str]:
    """What a language still lacks before people can choose it, one line each. Raises LanguageError."""
    path = LOCALES / code / "LC_MESSAGES" / ("elp.po" if code in SPOKEN else DRAFT_CATALOGUE)
    if not path.exists():
        raise LanguageError(f"{code} was not begun: elp language add {code}")
    content = load_content(_content(), drafts=True)
    return [*_missing_sentences(code, path), *_missing_texts(code, content), *_missing_lists(code, content)]


def _missing_sentences(code: str, path: Path) -> Iterator[str]:
    own, english = sentences_of(read_catalogue(path, code)), _english()
    for key, message in english.items():
        if problem := _untranslated(code, own.get(key), message, english):
            yield f"sentence {key}: {problem}"
    yield from (f"sentence {key}: is not in English any more" for key in own.keys() - english.keys())


def _untranslated(code: str, own: Message | None, message: Message, english: Sentences) -> str | None:
    """A new sentence gets into every catalogue in English first. One that is meant to be like the English says so."""
    if own is None or (problem := unfit(own, message)):
        return problem if own else "not translated"
    same = said_in(own) == said_in(message) and re.search(r"[^\W\d_]{2}", re.sub(r"\{\w*\}", "", said_in(own)))
    if same and code not in SPOKEN and SAME not in own.user_comments:
        return f"still the English one (or is it the same? Then write «# {SAME}» above it)"
    return left_over(code, own, {FALLBACK: english})


def _missing_texts(code: str, content: Content) -> Iterator[str]:
    for entry in content.entries:
        if entry.shown and entry.text_state(code) is TextState.MISSING:
            yield f"text {entry.id}: missing"
        elif entry.shown:
            yield from (f"text {problem}" for problem in text_problems(entry, code))


def _missing_lists(code: str, content: Content) -> Iterator[str]:
    """What other files of the check-list in CONTRIBUTING.md lack."""
    counts = {
        "questions outside": (len(content.outside.get(code, ())), 200),
        f"phrases of acts (nlu/data/{code})": (_lines(f"nlu/data/{code}/*.yml*", _PHRASE), 400),
        "phrases to measure with (nlu/tests/held_out.tsv)": (_lines("nlu/tests/held_out.tsv", rf"\w+\t{code}\t"), 130),
        f"emergency phrases (bot/emergency_phrases/{code}.txt)": (
            _lines(f"bot/emergency_phrases/{code}*.txt", _PATTERN),
            100,
        ),
        f"messages about emergencies to test (tests/bot/emergencies/{code}.tsv)": (
            _lines(f"tests/bot/emergencies/{code}*.tsv", r"\w"),
            180,
        ),
        "messages to measure (tests/evaluation/answers.jsonl)": (
            _lines("tests/evaluation/answers.jsonl", rf'.*"language": "{code}"'),
            50,
        ),
        "names of the language (nlu/data/languages.yml)": (
            _lines("nlu/data/languages.yml", rf"  - synonym: {code}$"),
            1,
        ),
        "its code in availableLanguages (publiccode.yml)": (_lines("publiccode.yml", rf"    - {code}$"), 1),
    }
    yield from (f"{what}: {have} of {wanted}" for what, (have, wanted) in counts.items() if have < wanted)


def publish(code: str) -> None:
    """From now on people can choose it. Raises LanguageError when something is missing."""
    if code in SPOKEN:
        raise LanguageError(f"{code} is there already.")
    lacks = missing(code)
    if lacks:
        raise LanguageError(f"{code} is not complete, {len(lacks)} things are missing: elp language check {code}")
    for path in (_content() / f"{code}{DRAFT}", *(ROOT / "nlu" / "data" / code).glob(f"*{DRAFT}")):
        path.rename(path.with_name(path.name.removesuffix(DRAFT)))
    folder = LOCALES / code / "LC_MESSAGES"
    (folder / DRAFT_CATALOGUE).rename(folder / "elp.po")


def _content() -> Path:
    return ROOT / "knowledge_base" / "content"


def _english() -> Sentences:
    return sentences_of(read_catalogue(LOCALES / FALLBACK / "LC_MESSAGES" / "elp.po", FALLBACK))


def table() -> str:
    return _HEAD + "".join(f"{standing.row}\n" for standing in standings())


def table_is_old() -> bool:
    return not TABLE.exists() or TABLE.read_text(encoding="utf-8") != table()
