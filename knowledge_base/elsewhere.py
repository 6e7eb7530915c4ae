"""What the texts of all languages together say: people mix languages, and many words are alike in several.

A French question is often clear from the Italian text, and "residenza" stands in no Arabic dictionary. An index of one
language has nothing to learn here. Measured on questions left out, the right entry came first this much more often:
French +6 of a hundred, English +4, Arabic +2, Italian +1.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowledge_base.evidence import ENTRY
from knowledge_base.ranking import Scores, TextScore
from knowledge_base.terms import Matrix, Space, Words, heard_grams

MOST_DOCUMENTS = 5_000
"""With more of them the languages are searched each on its own, to keep to the memory an index may take."""


class Pool:
    """The words of every entry in all languages; immutable."""

    def __init__(self, entries: Mapping[str, Iterable[Sequence[str]]], outside: Iterable[Sequence[str]] = ()) -> None:
        """Id -> its words, one sequence a language; `outside` questions, whose words no entry explains."""
        self._positions = {entry: position for position, entry in enumerate(entries)}
        texts = chain((list(chain.from_iterable(each)) for each in entries.values()), outside)
        self._space = Space(heard_grams, Words(texts))
        self.counts: Matrix = self._space.count()[: len(self._positions)]
        self.counts.sort_indices()  # every question's features are looked up in it
        self.scores = TextScore(self.counts, ENTRY)

    def view(self, ids: Iterable[str]) -> "View":
        return View(self, np.array([self._positions[entry] for entry in ids], np.intp))

    def score(self, query: Sequence[str]) -> Scores:
        """Distinct words -> one score an entry of the pool."""
        return self.scores.score(self._space.features(query))

    def count(self, questions: Iterable[Sequence[str]]) -> Matrix:
        """Counts of the pool's features in questions that it holds, shape (questions, features)."""
        return self._space.count_others(Words(questions))


class View(NamedTuple):
    """The entries of one language in the pool."""

    pool: Pool
    positions: NDArray[np.intp]

    def of(self, query: Sequence[str]) -> Scores:
        """Distinct words -> one score an entry, shape (entries,)."""
        return self.pool.score(query)[self.positions]

    def left_out(self, questions: Iterable[Sequence[str]], owners: NDArray[np.intp]) -> Scores:
        """The same for questions of this language as if nobody had written them, shape (questions, entries)."""
        in_pool = np.where(owners >= 0, self.positions[owners], -1)
        return self.pool.scores.score_known(self.pool.count(questions), self.pool.counts, in_pool)[:, self.positions]
