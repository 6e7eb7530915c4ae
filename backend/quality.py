"""`elp evaluate answers`: the whole bot, with the real NLU and the real index, on questions nobody trained on."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from backend.config import Settings
from backend.local_nlu import local_nlu
from backend.quality_report import commit_of_this, put_into, report
from bot.dialogue import respond
from bot.nlu import RasaClient
from bot.phrases import SPOKEN
from bot.turn import DialogueState, Incoming, Reply, Turn
from bot.understand import Parser, Understander
from knowledge_base.files import load_content
from knowledge_base.library import Library

T = TypeVar("T")
_PATIENCE_S = 5.0
"""Longer than a person would wait: quality is measured apart from speed."""


@dataclass(frozen=True, slots=True)
class Case:
    id: str
    language: str
    kind: str
    turns: tuple[str, ...]
    expect: dict[str, Any]


def read_cases(file: Path) -> list[Case]:
    """Raises ValueError naming the first line that cannot be read."""
    cases = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            raw = json.loads(line)
            turns = tuple(raw["turns"]) if "turns" in raw else (raw["text"],)
            case = Case(
                str(raw.get("id", number)),
                raw["language"],
                raw.get("kind") or _kind(raw["expect"]),
                turns,
                raw["expect"],
            )
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{file}, line {number}: {error}") from None
        cases.append(case)
    return cases


def _kind(expect: dict[str, Any]) -> str:
    keys = {"entries": "entry", "act": "act", "emergency": "emergency", "none": "none", "entry_any": "facet"}
    return next(kind for key, kind in keys.items() if key in expect)


async def hold(case: Case, library: Library, parser: Parser | None) -> Reply:
    """The whole conversation of a case; returns the last reply."""
    understander = Understander(lambda: library, parser)
    state, language = DialogueState(), case.language
    for number, text in enumerate(case.turns, 1):
        incoming = Incoming(language, text, message_id=number)
        reply = respond(Turn(incoming, await understander.understand(incoming), state), library)
        state, language = reply.state, reply.language
    return reply


def is_right(expect: dict[str, Any], reply: Reply) -> bool:
    if "entries" in expect:
        return reply.entry in expect["entries"]
    if "act" in expect:
        return reply.intent == str(expect["act"])
    if "emergency" in expect:
        numbers = {line.number.replace(" ", "") for line in reply.emergency}
        wanted = {number.replace(" ", "") for number in expect.get("numbers", ())}
        return bool(reply.emergency) == bool(expect["emergency"]) and wanted <= numbers
    if "entry_any" in expect:
        return reply.entry in expect["entry_any"] and reply.intent == f"facet:{expect['facet']}"
    return reply.intent == "none" and reply.entry is None


def is_first(expect: dict[str, Any], reply: Reply) -> bool:
    """The right entry is the answer, or the first of the suggestions."""
    return is_right(expect, reply) or not set(_offered(reply)[:1]).isdisjoint(expect.get("entries", ()))


def is_shown(expect: dict[str, Any], reply: Reply) -> bool:
    """The right entry is the answer or among the suggestions."""
    return is_right(expect, reply) or not set(_offered(reply)).isdisjoint(expect.get("entries", ()))


def _offered(reply: Reply) -> list[str]:
    return [choice.id.removeprefix("entry:") for choice in reply.choices if choice.id.startswith("entry:")]


def _said(reply: Reply) -> str:
    choices = " ".join(f"entry:{entry_id}" for entry_id in _offered(reply))
    return f"{reply.intent} {reply.entry or ''} {choices}".strip()


async def _measure(
    cases: list[Case], parser: Parser | None, cache: Path, *, show_failures: bool, into: Path | None
) -> dict[str, Any]:
    content = load_content()
    library = Library.build(content.entries, content.outside, cache=cache)
    results = [(case, await hold(case, library, parser)) for case in cases]
    if show_failures:
        for case, reply in results:
            if not is_right(case.expect, reply):
                print(f"{case.id}\t{' / '.join(case.turns)}\texpected {json.dumps(case.expect)}\tsaid {_said(reply)}")
    figures = summary(results)
    if into:
        today = datetime.now(UTC).date()
        put_into(into, report(figures, _confusions(results), day=today, commit=commit_of_this()))
    return figures


def _confusions(results: list[tuple[Case, Reply]]) -> Iterator[tuple[str, str]]:
    """What was expected and what was said, of each case that went wrong; entries by name where one was the answer."""
    for case, reply in results:
        if is_right(case.expect, reply):
            continue
        wanted = case.expect.get("entries", [case.expect.get("act", case.kind)])
        if case.kind != "entry":
            yield str(wanted[0]), reply.intent
        elif reply.entry:
            yield str(wanted[0]), reply.entry
        else:
            yield "an entry", "choices" if _offered(reply) else reply.intent


def summary(results: list[tuple[Case, Reply]]) -> dict[str, Any]:
    """Percent right per language and kind; for entries also how often the right one was at least shown."""
    groups: dict[str, dict[str, list[tuple[Case, Reply]]]] = defaultdict(lambda: defaultdict(list))
    for case, reply in results:
        for language in (case.language, "all"):
            groups[language][case.kind].append((case, reply))
            groups[language]["all"].append((case, reply))
    return {
        language: dict(_figures(kinds)) for language, kinds in sorted(groups.items(), key=lambda pair: pair[0] == "all")
    }


def _figures(kinds: dict[str, list[tuple[Case, Reply]]]) -> Iterator[tuple[str, Any]]:
    for kind, pairs in sorted(kinds.items()):
        right = sum(is_right(case.expect, reply) for case, reply in pairs)
        yield kind, {"cases": len(pairs), "right": round(100 * right / len(pairs), 1)}
        if kind == "entry":
            for name, counts in (("entry_first", is_first), ("entry_shown", is_shown)):
                share = sum(counts(case.expect, reply) for case, reply in pairs) / len(pairs)
                yield name, {"cases": len(pairs), "right": round(100 * share, 1)}


def evaluate_answers(
    settings: Settings, file: Path, *, show_failures: bool = False, into: Path | None = None
) -> dict[str, Any]:
    """Starts the NLU for the time of the measurement when no address of a running one is set. `into`: a page with a
    place for the figures. Raises ValueError when it has none, or for a line that cannot be read."""
    cases = [case for case in read_cases(file) if case.language in SPOKEN]
    index = settings.data_dir / "index"
    return with_nlu(settings, lambda nlu: _measure(cases, nlu, index, show_failures=show_failures, into=into))


def with_nlu(settings: Settings, measure: Callable[[Parser], Awaitable[T]]) -> T:
    """Starts it when no address of a running one is set."""

    async def measured(url: str) -> T:
        parser = RasaClient(url, timeout_s=_PATIENCE_S)
        try:
            return await measure(parser)
        finally:
            await parser.close()

    if settings.nlu_url:
        return asyncio.run(measured(settings.nlu_url))
    with local_nlu(settings) as url:
        return asyncio.run(measured(url))
