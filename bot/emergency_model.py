"""Hears the danger that no phrase of `emergency_phrases` knows: a linear model over letters and words (decision 24).

It has learnt from reviewed messages, `emergency_examples/<code>.tsv` with `kind<TAB>message` and the kind `none` for
what only looks alike, and from the questions of the knowledge base. One model for all languages: pieces of words seldom
mean danger in one and not in another, and nobody has to know first which language it is.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bot.emergency_kinds import KINDS
from bot.emergency_words import letters_of
from knowledge_base.classifier import Logistic
from knowledge_base.entry import Kind
from knowledge_base.files import load_content
from knowledge_base.ngrams import Weights
from knowledge_base.normalise import sentences

EXAMPLES = Path(__file__).with_name("emergency_examples")
NONE = "none"

_EVERY = 2
"""Of the questions of an entry one in so many is learnt; false alarms are measured with the others."""
_LONG = 120
"""Letters; in a longer message the danger can stand in one sentence among others, so each is heard by itself too."""
_MOST_SENTENCES = 30
_FEWEST_LETTERS = 4
_CHINESE = re.compile("[\u3400-\u9fff]")
_NO_LETTER = re.compile(r"[^\w\u0900-\u0dff]+")
_KIND_IS_SURE = 0.5


@dataclass(frozen=True, slots=True)
class Opinion:
    chance: float
    """That there is danger."""
    kind: str | None
    """None when it could be several."""


_NO_OPINION = Opinion(0.0, None)


class Listener:
    """The trained model."""

    def __init__(self, examples: Sequence[tuple[str, str]], harmless: Iterable[str]) -> None:
        """`examples`: kind and message; of every kind at least one. Takes seconds."""
        texts = [_words(text) for _, text in examples] + [_words(text) for text in harmless]
        kinds = np.array([kind for kind, _ in examples] + [NONE] * (len(texts) - len(examples)))
        self._weights = Weights(texts)
        rows, danger = self._weights.rows(texts), kinds != NONE
        self._danger = Logistic(rows, danger)
        rows, kinds = rows.take(np.flatnonzero(danger)), kinds[danger]
        self._kinds = [Logistic(rows, kinds == kind) for kind in KINDS]

    def opinion(self, text: str) -> Opinion:
        """Of the sentence that sounds most like danger."""
        parts = [part for part in map(_words, _parts(text)) if _says_something(part)]
        if not parts:
            return _NO_OPINION
        rows = self._weights.rows(parts)
        chances = self._danger.chances(rows)
        worst = int(np.argmax(chances))
        row = rows.part(worst, worst + 1)
        kinds = [kind.chances(row)[0] for kind in self._kinds]
        likeliest = int(np.argmax(kinds))
        return Opinion(float(chances[worst]), KINDS[likeliest] if kinds[likeliest] >= _KIND_IS_SURE else None)


def train() -> Listener:
    """Raises ValueError for an example that cannot be read."""
    return Listener([example for path in sorted(EXAMPLES.glob("*.tsv")) for example in read(path)], list(_harmless()))


def read(path: Path) -> Iterator[tuple[str, str]]:
    """Kind and message. Raises ValueError for a line that cannot be read."""
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        kind, tab, text = line.partition("\t")
        if not tab or kind not in (*KINDS, NONE):
            raise ValueError(f"{path.name}:{number}: cannot read {line!r}")
        yield kind, text


def _harmless() -> Iterator[str]:
    """Questions of entries that are not there for people in danger, and those that no entry answers."""
    content = load_content()
    for entry in content.entries:
        if not entry.facts.danger and entry.kind is not Kind.EMERGENCY_LINE:
            for text in entry.texts.values():
                yield from text.questions[::_EVERY]
    for questions in content.outside.values():
        yield from questions


def _words(text: str) -> str:
    return _NO_LETTER.sub(" ", letters_of(text)).strip()


def _parts(text: str) -> list[str]:
    return [text, *sentences(text)[:_MOST_SENTENCES]] if len(text) > _LONG else [text]


def _says_something(words: str) -> bool:
    return len(words) >= _FEWEST_LETTERS or len(_CHINESE.findall(words)) > 1
