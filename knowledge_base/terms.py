"""What words are compared by: stems, prefixes and character n-grams, counted in sparse matrices.

A feature of a text is a feature of its words, so each distinct word is taken apart once and texts follow by one
sparse product: (texts x words) @ (words x features).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from knowledge_base.normalise import is_han, light_stem, stem

Matrix = Any
"""A `scipy.sparse.csr_array` of float32; scipy ships no types."""

Analyser = Callable[[str], Sequence[str]]
"""A normalised word -> the features it is compared by."""

GRAMS = (2, 5)
"""Shortest and longest character n-gram, within a word and its boundaries."""


class Features(NamedTuple):
    """The features of one query: distinct ids, how often each, and how many distinct ones no text has."""

    ids: NDArray[np.int32]
    counts: NDArray[np.float32]
    unseen: int


class Words:
    """Texts as counts of distinct words, shape (texts, words)."""

    def __init__(self, texts: Iterable[Sequence[str]]) -> None:
        self.ids: dict[str, int] = {}
        self.counts = _count(texts, self.ids)


class Space:
    """One kind of feature, with a number for each that occurs in the texts."""

    def __init__(self, analyser: Analyser) -> None:
        self._analyser = analyser
        self._ids: dict[str, int] = {}

    def count(self, words: Words) -> Matrix:
        """Counts of the features in the texts, shape (texts, features)."""
        of_words = _count(map(self._analyser, words.ids), self._ids)
        counts = sparse.csr_array(words.counts @ of_words)
        counts.sort_indices()  # single numbers are looked up in it
        return counts

    def features(self, words: Iterable[str]) -> Features:
        """Of a query; thread-safe."""
        known: dict[int, int] = {}
        unseen: set[str] = set()
        for word in words:
            for feature in self._analyser(word):
                if (number := self._ids.get(feature)) is None:
                    unseen.add(feature)
                else:
                    known[number] = known.get(number, 0) + 1
        size = len(known)
        return Features(np.fromiter(known, np.int32, size), np.fromiter(known.values(), np.float32, size), len(unseen))


def _count(texts: Iterable[Sequence[str]], ids: dict[str, int]) -> Matrix:
    """How often each item stands in each text; `ids` gives items their column and grows."""
    columns: list[int] = []
    starts = [0]
    for text in texts:
        columns.extend([ids.setdefault(item, len(ids)) for item in text])
        starts.append(len(columns))
    ones = np.ones(len(columns), np.float32)
    shape = (len(starts) - 1, len(ids))
    counts = sparse.csr_array((ones, np.array(columns, np.int32), np.array(starts, np.int32)), shape=shape)
    counts.sum_duplicates()
    return counts


def grams(word: str) -> Sequence[str]:
    """Character n-grams of a word between its boundaries; of a Chinese pair its single characters."""
    if is_han(word):
        return word
    padded = f" {word} "
    longest = min(GRAMS[1], len(padded))
    return [padded[i : i + size] for size in range(GRAMS[0], longest + 1) for i in range(len(padded) - size + 1)]


def stems(language: str) -> Analyser:
    return lambda word: (stem(word, language),)


def prefixes(language: str, letters: int) -> Analyser:
    """The first letters of a word; in Arabic those of its stem, where the article would come first."""
    if language == "ar":
        return lambda word: (light_stem(word)[:letters],)
    return lambda word: (word[:letters],)
