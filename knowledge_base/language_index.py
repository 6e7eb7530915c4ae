"""The index of one language: immutable, so that any number of threads may search it while a new one is built."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowledge_base.confidence import Numbers
from knowledge_base.elsewhere import View
from knowledge_base.evidence import Document, Evidence, Texts, distinct_words
from knowledge_base.ranking import Scores
from knowledge_base.teaching import join, train, untrained

MAX_QUERY = 1_000
"""Characters of a query that are read; a longer message says what it wants at its beginning."""


class Found(NamedTuple):
    """Probabilities of the documents that are offered in a place."""

    documents: NDArray[np.intp]
    """Positions in `LanguageIndex.documents`."""
    scores: Numbers
    none: float
    """That none of them is meant; with `scores` it sums to one."""

    def best(self, limit: int) -> list[tuple[int, float]]:
        """Positions and probabilities, best first; of two equals the earlier document."""
        some = np.arange(len(self.scores))
        if limit < len(some):
            some = np.flatnonzero(self.scores >= np.partition(self.scores, -limit)[-limit])
        order = some[np.argsort(-self.scores[some], kind="stable")][:limit]
        return [(int(self.documents[position]), float(self.scores[position])) for position in order]


class LanguageIndex:
    """At least one document, all of one language and of distinct ids."""

    def __init__(
        self,
        texts: Texts,
        documents: Sequence[Document],
        outside: Sequence[str],
        *,
        elsewhere: View | None,
        learn: bool,
    ) -> None:
        """`texts` are those of `documents` and `outside`, read before because `elsewhere` is made of them too."""
        self.documents = tuple(documents)
        self.outside = tuple(outside)
        self.words = texts.entries
        self._evidence = Evidence(texts, documents[0].language)
        self._classifier, self.judge = train(texts, self._evidence, elsewhere) if learn else untrained()
        self._evidence.finish()
        self._offered_everywhere = np.array([not document.places for document in documents])
        named = frozenset[str]().union(*(document.places for document in documents))
        self._offered = {
            place: self._offered_everywhere | np.array([place in document.places for document in documents])
            for place in named
        }

    def find(self, query: str, place: str | None, elsewhere: View | None) -> Found | None:
        """None when the query has no word, or nothing in it is known, or no document is offered in `place`."""
        asked = distinct_words(query[:MAX_QUERY])
        candidates = self._candidates(place)
        if not asked or not candidates.size:
            return None
        found, likeness = self._evidence.of(asked)
        other = elsewhere.of(asked) if elsewhere else np.zeros(len(self.documents), np.float32)
        if not found.any() and not other.any():
            return None
        evidence, outside = join(found, other, self._classified(likeness))
        chosen = evidence if candidates.size == len(evidence) else evidence[candidates]
        probabilities = self.judge.probabilities(chosen, outside)
        return Found(candidates, probabilities[:-1], float(probabilities[-1]))

    def _candidates(self, place: str | None) -> NDArray[np.intp]:
        if place is None:
            return np.arange(len(self.documents))
        return np.flatnonzero(self._offered.get(place, self._offered_everywhere))

    def _classified(self, likeness: Scores) -> Scores:
        if self._classifier is None:
            return np.zeros(len(self.documents) + 1, np.float32)
        return self._classifier.score(likeness)
