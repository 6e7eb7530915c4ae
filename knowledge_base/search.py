"""Finds the entry somebody asks for, in their language; says when it is not sure and when it does not know."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

from threadpoolctl import threadpool_limits

from knowledge_base.confidence import Band
from knowledge_base.elsewhere import MOST_DOCUMENTS, Pool, View
from knowledge_base.evidence import Document, Texts, distinct_words
from knowledge_base.language_index import Found, LanguageIndex

__all__ = ["Band", "Document", "Hit", "Index", "SearchResult"]

LEAD = 2.0
"""An answer is this many times as probable as the next entry."""
LEAST_SCORE = 0.02
"""A further choice less probable than this is none."""


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

    def __init__(self, languages: Mapping[str, LanguageIndex], pool: Pool | None) -> None:
        self._languages = dict(languages)
        self._views: dict[str, View | None] = {
            language: pool.view(document.id for document in index.documents) if pool else None
            for language, index in languages.items()
        }

    @classmethod
    def build(cls, documents: Iterable[Document], outside: Mapping[str, Sequence[str]] | None = None) -> Self:
        """`outside`: by language, questions that no entry answers. Of two documents of an entry the later counts."""
        return cls._made_of(_by_language(documents), outside or {}, {}, train=True)

    @classmethod
    def _made_of(
        cls,
        documents: Mapping[str, Sequence[Document]],
        outside: Mapping[str, Sequence[str]],
        kept: Mapping[str, LanguageIndex],
        *,
        train: bool,
    ) -> Self:
        """`kept`: the languages whose documents and outside questions are as they were."""
        texts = {
            language: Texts(some, outside.get(language, ()))
            for language, some in documents.items()
            if language not in kept
        }
        words = {
            language: texts[language].entries if language in texts else kept[language].words for language in documents
        }
        strange = [distinct_words(question) for language in documents for question in outside.get(language, ())]
        pool = _pool_of(documents, words, strange)

        def make(language: str) -> LanguageIndex:
            some = documents[language]
            view = pool.view(document.id for document in some) if pool else None
            return LanguageIndex(texts[language], some, outside=outside.get(language, ()), elsewhere=view, learn=train)

        # One core a language: linear algebra that takes all cores at once slows down whatever else runs, itself most.
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as threads:
            made = dict(zip(texts, threads.map(make, texts), strict=True))
        return cls({language: made.get(language) or kept[language] for language in documents}, pool)

    @property
    def languages(self) -> frozenset[str]:
        return frozenset(self._languages)

    def search(self, query: str, language: str, *, place: str | None = None, limit: int = 3) -> SearchResult:
        """The entries offered in `place` (anywhere when None) that `query` asks for, at most `limit`.

        Never raises: a language without entries, a query without words and nonsense are unknown, without hits.
        """
        found = self._find(query, language, place)
        if found is None:
            return SearchResult(Band.UNKNOWN, (), language)
        first, *others = self._hits(found, language, max(limit, 1))
        band = self._languages[language].judge.thresholds.band(first.score, found.none)
        if band is Band.SURE and others and first.score < LEAD * others[0].score:
            band = Band.UNSURE  # the question stands between two entries: the person knows which one is meant
        if band is Band.UNKNOWN:
            return SearchResult(band, (), language)
        return SearchResult(band, (first, *(hit for hit in others if hit.score >= LEAST_SCORE)), language)

    def rank(self, query: str, language: str, *, place: str | None = None, limit: int = 10) -> tuple[Hit, ...]:
        """The best entries however unlikely, for whoever looks behind an answer: editors and evaluation."""
        found = self._find(query, language, place)
        return tuple(self._hits(found, language, max(limit, 1))) if found else ()

    def replace(
        self,
        documents: Iterable[Document],
        *,
        ids: Collection[str] = (),
        outside: Mapping[str, Sequence[str]] | None = None,
        train: bool = True,
    ) -> "Index":
        """A new index in which `documents` are all there is of their entries and of `ids`, in every language.

        An entry taken off is one of `ids` without a document. `outside` replaces the outside questions of the languages
        it names. Languages that stay as they were are taken over. Without `train` a changed language is ready in a
        fraction of the time and searched by its texts alone, for the second until the trained one is built.
        """
        changed = list(documents)
        gone = {*ids, *(document.id for document in changed)}
        before = [document for index in self._languages.values() for document in index.documents]
        after = _in_order([document for document in before if document.id not in gone] + changed, before)
        asked_outside = {language: index.outside for language, index in self._languages.items()}
        asked_outside.update({language: tuple(questions) for language, questions in (outside or {}).items()})
        by_language = _by_language(after)
        kept = {
            language: index
            for language, index in self._languages.items()
            if by_language.get(language) == index.documents and asked_outside[language] == index.outside
        }
        return self._made_of(by_language, asked_outside, kept, train=train)

    def _find(self, query: str, language: str, place: str | None) -> Found | None:
        index = self._languages.get(language)
        return index.find(query, place, self._views[language]) if index else None

    def _hits(self, found: Found, language: str, limit: int) -> list[Hit]:
        documents = self._languages[language].documents
        return [Hit(documents[position].id, score) for position, score in found.best(limit)]


def _by_language(documents: Iterable[Document]) -> dict[str, tuple[Document, ...]]:
    languages: dict[str, dict[str, Document]] = {}
    for document in documents:
        languages.setdefault(document.language, {})[document.id] = document
    return {language: tuple(some.values()) for language, some in languages.items()}


def _in_order(documents: Iterable[Document], before: Iterable[Document]) -> list[Document]:
    """An edited document keeps its place, so that a language in which nothing changed is seen to be unchanged."""
    places = {(document.language, document.id): place for place, document in enumerate(before)}
    return sorted(documents, key=lambda document: places.get((document.language, document.id), len(places)))


def _pool_of(
    documents: Mapping[str, Sequence[Document]],
    words: Mapping[str, Sequence[Sequence[str]]],
    outside: Sequence[Sequence[str]],
) -> Pool | None:
    """None for one language, which has nothing to learn from itself, and for too many documents."""
    if len(documents) < 2 or sum(map(len, documents.values())) > MOST_DOCUMENTS:
        return None
    entries: dict[str, list[Sequence[str]]] = {}
    for language, some in documents.items():
        for document, text in zip(some, words[language], strict=True):
            entries.setdefault(document.id, []).append(text)
    return Pool(entries, outside)
