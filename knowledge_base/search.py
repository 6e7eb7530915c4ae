"""Finds the entry somebody asks for, in the language they ask in; says when it is not sure and when it does not know."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from knowledge_base.confidence import Band
from knowledge_base.evidence import Document
from knowledge_base.language_index import LanguageIndex

__all__ = ["Band", "Document", "Hit", "Index", "SearchResult"]

LEAST_SCORE = 0.02
"""A choice less probable than this is none."""


@dataclass(frozen=True, slots=True)
class Hit:
    id: str
    score: float
    """Probability from 0 to 1 that this entry is meant; comparable within a language."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    band: Band
    hits: tuple[Hit, ...]
    """Best first: the answer (and what else came near) when sure, choices when unsure, nothing when unknown."""
    language: str
    """Of the index that was searched."""


class Index:
    """One immutable index a language. Any number of threads may search it; an edit makes a new `Index`."""

    def __init__(self, languages: Mapping[str, LanguageIndex]) -> None:
        self._languages = dict(languages)

    @classmethod
    def build(cls, documents: Iterable[Document], outside: Mapping[str, Sequence[str]] | None = None) -> Self:
        """`outside`: by language, questions that no entry answers. Of two documents of an entry the later counts."""
        outside = outside or {}
        return cls(
            {
                language: LanguageIndex(list(some.values()), outside.get(language, ()))
                for language, some in _by_language(documents).items()
            }
        )

    @property
    def languages(self) -> frozenset[str]:
        return frozenset(self._languages)

    def search(self, query: str, language: str, *, place: str | None = None, limit: int = 3) -> SearchResult:
        """The entries offered in `place` (anywhere when None) that `query` asks for, at most `limit`.

        Never raises: a language without entries, a query without words and nonsense are unknown, without hits.
        """
        index = self._languages.get(language)
        found = index.probabilities(query, place) if index else None
        if index is None or found is None:
            return SearchResult(Band.UNKNOWN, (), language)
        hits = self._best(index, *found, limit=max(limit, 1))
        band = index.judge.thresholds.band(hits[0].score, float(found[1][-1]))
        if band is Band.UNKNOWN:
            return SearchResult(band, (), language)
        return SearchResult(band, (hits[0], *(hit for hit in hits[1:] if hit.score >= LEAST_SCORE)), language)

    def rank(self, query: str, language: str, *, place: str | None = None, limit: int = 10) -> tuple[Hit, ...]:
        """The best entries however unlikely, for whoever looks behind an answer: editors and evaluation."""
        index = self._languages.get(language)
        found = index.probabilities(query, place) if index else None
        return self._best(index, *found, limit=limit) if index and found else ()

    def replace(
        self,
        documents: Iterable[Document],
        *,
        ids: Collection[str] = (),
        outside: Mapping[str, Sequence[str]] | None = None,
        train: bool = True,
    ) -> "Index":
        """A new index in which `documents` are all there is of their entries and of `ids`, in every language.

        An entry taken off is one of `ids` without a document. `outside` replaces the outside questions of its
        languages. Languages that do not change are taken over. Without `train` a changed language is ready in a
        fraction of the time and searched by its texts alone: for the second until the trained one is built.
        """
        ...


def _by_language(documents: Iterable[Document]) -> dict[str, dict[str, Document]]:
    languages: dict[str, dict[str, Document]] = {}
    for document in documents:
        languages.setdefault(document.language, {})[document.id] = document
    return languages
