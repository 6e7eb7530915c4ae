"""`elp check`, `elp fix`, `elp test`: the same commands for a developer and for CI."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import typer
from babel.messages.pofile import read_po

from backend.config import ROOT, Settings
from backend.languages import table_is_old
from bot.language import script_of
from bot.phrases import KNOWN, LOCALES, SPOKEN, language_name
from knowledge_base.entry import SOURCE_LANGUAGE, Entry, Text, TextState
from knowledge_base.files import ContentError, load_content

CODE = ("backend", "bot", "knowledge_base", "tests", "nlu")
_PLACEHOLDER = re.compile(r"\{\w+\}")
_KEY_IN_CODE = re.compile(r"""(?<![.\w])say(?:_count)?\(\s*(?:[\w.]+,\s*)?["']([a-z_]+\.?[\w.-]*)["']""")
_CONTACT = re.compile(r"https?://|www\.|@")

CHECKS = (
    ("ruff", "format", "--check", "."),
    ("ruff", "check", "."),
    ("mypy", "--strict", "backend", "bot", "knowledge_base"),
    ("lint-imports",),
    ("djlint", "backend/web/templates", "--lint", "--quiet"),
)
FIXES = (("ruff", "check", "--fix", "."), ("ruff", "format", "."))


def _call(command: tuple[str, ...]) -> int:
    typer.echo(f"● {' '.join(command)}")
    return subprocess.call([str(Path(sys.executable).with_name(command[0])), *command[1:]], cwd=ROOT)


def run_checks() -> int:
    """All of them, even after one has failed; 0 when all passed."""
    failed = [" ".join(command) for command in CHECKS if _call(command)]
    tables = ["docs/languages.md is old: elp language table"] if table_is_old() else []
    parts = (("catalogues", catalogue_problems()), ("content", content_problems()), ("tables", tables))
    for name, problems in parts:
        typer.echo(f"● {name}")
        for problem in problems:
            typer.echo(f"  {problem}")
        failed += [name] if problems else []
    typer.echo(f"failed: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0


def run_fixes() -> int:
    return max(_call(command) for command in FIXES)


def run_tests(arguments: list[str]) -> int:
    """The checks, then pytest with what it needs (front-end libraries, index, NLU environment and model)."""
    from backend.start import prepare_tests

    prepare_tests(Settings())
    if arguments:
        return _pytest(*arguments)
    # Chromium's driver keeps an event loop running in its process, where no other asynchronous test could run.
    return run_checks() or _pytest("-n", "2", "-m", "not browser") or _pytest("-m", "browser")


def _pytest(*arguments: str) -> int:
    return subprocess.call([sys.executable, "-m", "pytest", *arguments], cwd=ROOT)


def catalogue_problems() -> list[str]:
    """Missing, superfluous and fuzzy sentences, and placeholders that differ from the English."""
    catalogues = {}
    for code in SPOKEN:
        with (LOCALES / code / "LC_MESSAGES" / "elp.po").open("rb") as file:
            catalogues[code] = {message.id: message for message in read_po(file, locale=code) if message.id}
    english = catalogues["en"]
    problems = []
    for code, catalogue in catalogues.items():
        problems += [f"{code}: {key} is missing" for key in english.keys() - catalogue.keys()]
        problems += [f"{code}: {key} is not in English" for key in catalogue.keys() - english.keys()]
        for key, message in catalogue.items():
            if not message.string or message.fuzzy:
                problems.append(f"{code}: {key} is not translated")
            elif key in english and _placeholders(str(message.string)) != _placeholders(str(english[key].string)):
                problems.append(f"{code}: {key} has other placeholders than the English")
    return sorted(problems + [f"{key} is used and in no catalogue" for key in _used_keys() - english.keys()])


def _placeholders(text: str) -> set[str]:
    return set(_PLACEHOLDER.findall(text))


def _used_keys() -> set[str]:
    files = [*ROOT.glob("bot/*.py"), *ROOT.glob("backend/**/*.py"), *ROOT.glob("backend/web/templates/*.html")]
    return {
        key for file in files for key in _KEY_IN_CODE.findall(file.read_text(encoding="utf-8")) if key[-1] not in ".-"
    }


def content_problems() -> list[str]:
    """What is wrong with the content files; an empty list when nothing is."""
    try:
        content = load_content()
    except ContentError as error:
        return [str(error)]
    shown = [entry for entry in content.entries if entry.shown]
    problems = [problem for entry in shown for problem in _entry_problems(entry)]
    return problems + _shared_questions(shown)


def _entry_problems(entry: Entry) -> Iterator[str]:
    for language in SPOKEN:
        state = entry.text_state(language)
        if state in (TextState.MISSING, TextState.OUTDATED):
            yield f"{entry.id}: the text in {language} is {state.value}"
        if state is not TextState.MISSING:
            yield from _text_problems(entry, language)
    digits = {"".join(c for c in part if c.isdigit()) for part in re.split(r"[;,]", entry.record.phone or "")}
    for phone in entry.facts.phones:
        if "".join(c for c in phone.number if c.isdigit()) not in digits:
            yield f"{entry.id}: the phone {phone.number} is not in the record"


def _text_problems(entry: Entry, language: str) -> Iterator[str]:
    text, where = entry.texts[language], f"{entry.id} ({language})"
    source = entry.texts.get(SOURCE_LANGUAGE)
    if numbers := entry.unsupported_numbers(language):
        yield f"{where}: numbers that the record does not hold: {', '.join(numbers)}"
    if any(_CONTACT.search(part) for part in text.paragraphs()):
        yield f"{where}: links and e-mail addresses belong to the facts"
    if len(text.questions) < 12:
        yield f"{where}: only {len(text.questions)} questions"
    if (share := _own_script(text, language)) < _FEWEST_OWN_LETTERS:
        yield f"{where}: only {share:.0%} of the letters are in the language's script"
    yield from (f"{where}: {name} has {length} characters" for name, length in _too_long(text))
    if source and language != SOURCE_LANGUAGE:
        yield from (f"{where}: {name} differs from the Italian" for name in _unlike(text, source))


_FEWEST_OWN_LETTERS = 0.6
"""The rest are Italian names and official words, which stay as they stand on doors and forms."""
_LONGEST = {"title": 70, "summary": 400, "step": 180}


def _own_script(text: Text, language: str) -> float:
    wanted = {script_of(language_name(language, language)), script_of(KNOWN[language].name)}
    letters = [letter for part in text.paragraphs() for letter in part if letter.isalpha()]
    own = sum(script_of(letter) in wanted for letter in letters)
    return own / len(letters) if letters else 1.0


def _too_long(text: Text) -> Iterator[tuple[str, int]]:
    parts = [("title", text.title), ("summary", text.summary), *(("step", step) for step in text.steps)]
    yield from ((name, len(part)) for name, part in parts if len(part) > _LONGEST[name])


def _unlike(text: Text, source: Text) -> Iterator[str]:
    for name in ("who", "cost", "hours"):
        if (getattr(text, name) is None) != (getattr(source, name) is None):
            yield name
    for name in ("bring", "steps"):
        if len(getattr(text, name)) != len(getattr(source, name)):
            yield name


def _shared_questions(entries: list[Entry]) -> list[str]:
    owner: dict[tuple[str, str], str] = {}
    problems = []
    for entry in entries:
        for language, text in entry.texts.items():
            for question in text.questions:
                key = language, re.sub(r"\W+", " ", question.lower()).strip()
                if owner.setdefault(key, entry.id) != entry.id:
                    problems.append(f"{entry.id} ({language}): also a question of {owner[key]}: {question}")
    return problems
