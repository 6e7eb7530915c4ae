"""Recognises that somebody is in danger, before anything else is done with a message (design section 4.2).

First by fixed phrases that people can review line by line, in `emergency_phrases/<code>.txt`; adding a language is
adding one file. All files hold at once, for people do not always write in the language they chose. What the phrases do
not know, a small model hears that has learnt from reviewed messages, in `emergency_examples/<code>.tsv` (decision 24).
"""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from bot.emergency_kinds import KINDS, LINES, NUMBERS, UNSURE, emergency_of
from bot.emergency_model import EXAMPLES, Listener, train
from bot.emergency_rules import PHRASES, Rules
from bot.turn import Emergency
from knowledge_base import classifier, files, ngrams, normalise
from knowledge_base.files import CONTENT
from knowledge_base.kept import kept

__all__ = ["KINDS", "LINES", "NUMBERS", "Heard", "detect", "hear", "warm_up"]

log = logging.getLogger(__name__)

T = TypeVar("T")

_SURELY = 0.85
_PERHAPS = 0.35
"""Chances; how they were chosen stands in decision 24."""
_REMEMBERED = 200


@dataclass(frozen=True, slots=True)
class Heard:
    """What a message says of danger; at most one of the two."""

    surely: Emergency | None = None
    perhaps: Emergency | None = None
    """Too likely to pass over, too unlikely to answer nothing else."""


_NOTHING = Heard()


def hear(text: str) -> Heard:
    """By the phrases, and by the model where they find nothing. Asked again about the same message it still knows."""
    key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    if key not in _HEARD:
        _HEARD[key] = _hear(text)
        if len(_HEARD) > _REMEMBERED:
            _HEARD.popitem(last=False)
    return _HEARD[key]


_HEARD: OrderedDict[bytes, Heard] = OrderedDict()
"""By digest: what people write is not kept in memory."""


def _hear(text: str) -> Heard:
    if found := detect(text):
        return Heard(surely=found)
    opinion = _loaded().listener.opinion(text)
    if opinion.chance < _PERHAPS:
        return _NOTHING
    of_kind = emergency_of([opinion.kind]) if opinion.kind else None
    emergency = replace(of_kind or UNSURE, chance=opinion.chance)
    return Heard(surely=emergency) if opinion.chance >= _SURELY else Heard(perhaps=emergency)


def detect(text: str) -> Emergency | None:
    """By the phrases alone: the most urgent kind of danger, with the numbers of every kind a message speaks of."""
    return emergency_of({pattern.kind for pattern in _loaded().rules.matches(text)})


@dataclass(frozen=True, slots=True)
class _Loaded:
    rules: Rules
    listener: Listener


_LOADED: list[_Loaded] = []
"""Of this process, once they are read."""


def warm_up(folder: Path | None = None) -> None:
    """Reads the phrases and trains the model, which takes seconds; with `folder`, one of our own, once for all
    processes and starts. A line that cannot be read is reported and left out: the others must be heard all the same."""
    if _LOADED:
        return
    phrases = sorted(PHRASES.glob("*.txt"))
    code = [*sorted(Path(__file__).parent.glob("emergency*.py")), Path(normalise.__file__)]
    learnt = [*EXAMPLES.glob("*.tsv"), *CONTENT.rglob("*.json"), *CONTENT.rglob("*.txt")]
    learnt += [Path(module.__file__) for module in (ngrams, classifier, files) if module.__file__]
    rules = _kept(folder, "emergency", [*code, *phrases], Rules, lambda: Rules(phrases))
    listener = _kept(folder, "emergency-model", [*code, *learnt], Listener, train)
    for line in rules.unread:
        log.error("emergency phrase %s", line)
    _LOADED.append(_Loaded(rules, listener))


def _kept(folder: Path | None, name: str, made_of: Iterable[Path], kind: type[T], make: Callable[[], T]) -> T:
    return kept(folder, name, _fingerprint(made_of), kind, make) if folder else make()


def _fingerprint(paths: Iterable[Path]) -> str:
    """Of the files it is made of."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def _loaded() -> _Loaded:
    if not _LOADED:
        warm_up()
    return _LOADED[0]
