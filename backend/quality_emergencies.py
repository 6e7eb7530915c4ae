"""`elp evaluate emergencies`: whether the whole bot hears danger, and stays quiet where there is none."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.config import Settings
from backend.quality import Case, hold, with_nlu
from bot import emergency
from bot.dialogue import emergency_lines
from bot.emergency import KINDS, NUMBERS
from bot.turn import Emergency
from bot.understand import Parser
from knowledge_base.files import load_content
from knowledge_base.library import Library

_NONE = "none"


@dataclass(frozen=True, slots=True)
class _Result:
    case: Case
    intent: str
    alarm: bool
    quiet: bool
    """Numbers in one line under another answer."""
    right_numbers: bool
    """All those of its kind are shown."""


def evaluate_emergencies(settings: Settings, file: Path, *, show_failures: bool = False) -> dict[str, Any]:
    """Lines of language<TAB>kind<TAB>message, the kind `none` for what is harmless. Percent of the dangers with an
    alarm, a quiet line, nothing, and all numbers of their kind; of the others with an alarm and with a line.

    Raises ValueError for a line that cannot be read."""
    cases, index = list(read_dangers(file)), settings.data_dir / "index"
    results = with_nlu(settings, lambda nlu: _measure(cases, nlu, index))
    if show_failures:
        for one in results:
            if (one.alarm or one.quiet) != (one.case.kind != _NONE):
                print(f"{one.case.language}\t{one.case.kind}\t{one.case.turns[0]}\tsaid {one.intent}")
    groups: dict[str, list[_Result]] = defaultdict(list)
    for one in results:
        groups[one.case.language].append(one)
    return {language: _figures(groups[language]) for language in sorted(groups)} | {"all": _figures(results)}


def read_dangers(file: Path) -> Iterator[Case]:
    """Raises ValueError naming the first line that cannot be read."""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        parts = line.split("\t")
        if len(parts) != 3 or parts[1] not in (*KINDS, _NONE):
            raise ValueError(f"{file}, line {number}: not language, kind and message: {line!r}")
        yield Case(str(number), parts[0], parts[1], (parts[2],), {})


async def _measure(cases: Sequence[Case], parser: Parser, index: Path) -> list[_Result]:
    emergency.warm_up(index)
    content = load_content()
    library = Library.build(content.entries, content.outside, cache=index)
    return [await _result(case, library, parser) for case in cases]


async def _result(case: Case, library: Library, parser: Parser) -> _Result:
    reply = await hold(case, library, parser)
    wanted = emergency_lines(Emergency(case.kind, NUMBERS.get(case.kind, ())), case.language, library)
    shown, alarm = {line.number for line in reply.emergency}, reply.intent == "emergency"
    numbers = {line.number for line in wanted} <= shown
    return _Result(case, reply.intent, alarm, bool(shown) and not alarm, right_numbers=bool(shown) and numbers)


def _figures(results: Sequence[_Result]) -> dict[str, float]:
    dangers = [one for one in results if one.case.kind != _NONE]
    harmless = [one for one in results if one.case.kind == _NONE]
    return {
        "dangers": len(dangers),
        "alarm": _percent([one.alarm for one in dangers]),
        "quiet": _percent([one.quiet for one in dangers]),
        "missed": _percent([not (one.alarm or one.quiet) for one in dangers]),
        "numbers": _percent([one.right_numbers for one in dangers]),
        "harmless": len(harmless),
        "false_alarm": _percent([one.alarm for one in harmless]),
        "false_quiet": _percent([one.quiet for one in harmless]),
    }


def _percent(those: Sequence[bool]) -> float:
    return round(100 * sum(those) / len(those), 1) if those else 0.0
