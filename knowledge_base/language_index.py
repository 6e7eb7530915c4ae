"""The index of one language: immutable, so that any number of threads may search it while a new one is built."""

from collections.abc import Sequence

import numpy as np

from knowledge_base.confidence import Numbers
from knowledge_base.evidence import Document, Evidence, Texts, distinct_words
from knowledge_base.ranking import Scores
from knowledge_base.teaching import train, with_classifier

MAX_QUERY = 1_000
"""Characters of a query that are read; a longer message says what it wants at its beginning."""


class LanguageIndex:
    """At least one document; ids are distinct."""

    def __init__(self, documents: Sequence[Document], outside: Sequence[str]) -> None:
        self.documents = tuple(documents)
        self.outside = tuple(outside)
        texts = Texts(documents, outside)
        self._evidence = Evidence(texts, documents[0].language)
        self._classifier, self.judge = train(texts, self._evidence)
        self._evidence.finish()
        everywhere = np.array([not document.places for document in documents])
        named = frozenset().union(*(document.places for document in documents))
        self._everywhere = everywhere
        self._offered = {
            place: everywhere | np.array([place in document.places for document in documents]) for place in named
        }

    def probabilities(self, query: str, place: str | None = None) -> tuple[list[int], Numbers] | None:
        """Positions of the documents offered in `place`, and the probability that each is meant, then that none is.

        None when the query has no word or no document is offered there.
        """
        asked = distinct_words(query[:MAX_QUERY])
        offered = self._offered.get(place, self._everywhere) if place is not None else np.ones_like(self._everywhere)
        candidates = np.flatnonzero(offered)
        if not asked or not candidates.size:
            return None
        found, likeness = self._evidence.of(asked)
        evidence, outside = with_classifier(found, self._classified(likeness))
        return candidates.tolist(), self.judge.probabilities(evidence[candidates], outside)

    def _classified(self, likeness: Scores) -> Scores:
        if self._classifier is None:
            return np.zeros(len(self.documents) + 1, np.float32)
        return self._classifier.score(likeness)
