"""The part of `docs/quality.md` that `elp evaluate answers --report` writes: figures by language and kind, what is
mixed up with what, when, and of which commit."""

import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from backend.config import ROOT

BEGIN, END = "<!-- answers: written by `elp evaluate answers --report` -->", "<!-- answers: end -->"
KINDS = {
    "entry_first": "the right entry first: the answer, or the first of the choices",
    "entry_shown": "the right entry among what is shown",
    "entry": "the right entry as the only answer",
    "act": "what the person wants to do",
    "emergency": "recognised, and not where there is none",
    "none": "says that it does not know",
    "facet": "a follow-up about the last answer",
    "all": "everything right",
}
_MOST_CONFUSIONS = 12

Figures = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Language (or `all`) -> kind -> `cases` and `right`, in percent (`quality.summary`)."""


def report(figures: Figures, confusions: Iterable[tuple[str, str]], *, day: date, commit: str) -> str:
    """Markdown, the worst language first; `confusions` are (expected, said) pairs of what went wrong."""
    languages = sorted((code for code in figures if code != "all"), key=lambda code: figures[code]["all"]["right"])
    cases = int(figures["all"]["all"]["cases"])
    head = ["kind", *languages, "all (cases)"]
    lines = [
        f"{cases} messages, {day:%d.%m.%Y}, commit {commit}. Percent right, the weakest language first:",
        "",
        _row(head),
        _row(["---"] * len(head)),
    ]
    for kind, meaning in KINDS.items():
        if kind in figures["all"]:
            whole = figures["all"][kind]
            each = [_percent(figures[code].get(kind)) for code in languages]
            lines.append(_row([f"`{kind}`: {meaning}", *each, f"{whole['right']:g} ({whole['cases']:g})"]))
    mixed = Counter(confusions).most_common(_MOST_CONFUSIONS)
    if mixed:
        lines += ["", "What is taken for what most often:", "", _row(["expected", "said", "times"]), _row(["---"] * 3)]
        lines += [_row([f"`{expected}`", f"`{said}`", str(times)]) for (expected, said), times in mixed]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _percent(figure: Mapping[str, float] | None) -> str:
    return f"{figure['right']:g}" if figure else "–"


def put_into(file: Path, written: str) -> None:
    """Replaces what stands between the two marks of the file. Raises ValueError when it has none."""
    text = file.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{file} has no place for the figures: {BEGIN} … {END}")
    file.write_text(f"{before}{BEGIN}\n{written}\n{END}{after}", encoding="utf-8")


def commit_of_this() -> str:
    """Short name of the commit, with a plus when there are changes after it; `unknown` outside a repository."""
    asked: list[Any] = ["git", "-C", ROOT, "describe", "--always", "--dirty=+"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"
