"""`elp check`, `elp fix`, `elp test`: the same commands for a developer and for CI."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import typer

from backend.catalogue_checks import catalogue_problems, untranslated
from backend.config import ROOT, Settings
from backend.content_checks import content_problems
from backend.languages import table_is_old

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
    failed = [" ".join(command) for command in CHECKS if _call(command)] + check_texts()
    typer.echo(f"failed: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0


def check_texts() -> list[str]:
    """What people read: says what is wrong, line by line; returns the names of the parts something is wrong with."""
    failed = []
    for name, problems in _text_parts():
        typer.echo(f"● {name}")
        for problem in problems:
            typer.echo(f"  {problem}")
        failed += [name] if problems else []
    return failed


def _text_parts() -> Iterator[tuple[str, list[str]]]:
    yield "catalogues", catalogue_problems()
    yield "translations", untranslated()
    yield "content", content_problems()
    yield "tables", ["docs/languages.md is old: elp language table"] if table_is_old() else []


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
