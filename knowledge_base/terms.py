"""What words are compared by: stems, prefixes and character n-grams, counted in sparse matrices.

A feature of a text is a feature of its words, so each distinct word is taken apart once and texts follow by one
sparse product: (texts x words) @ (words x features).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from knowledge_base.normalise import is_han, light_stem, stem
from knowledge_base.romanise import roman
from knowledge_base.sound import sound

Matrix = Any
"""A `scipy.sparse.csr_array` of float32; scipy ships no types."""

Analyser = Callable[[str], Sequence[str]]
"""A normalised word -> the features it is compared by."""

GRAMS = (2, 5)
"""Shortest and longest character n-gram, within a word and its boundaries."""

ARABIC_SCRIPT = frozenset({"ar", "fa", "ur"})
ROMANISED = frozenset({"bn", "ru", "uk"})
"""Languages whose words are compared in Latin letters, so that it does not matter which ones somebody types."""

ROMAN_STEM = 6
"""Letters kept of a stem in Latin letters."""

FEWEST_CONSONANTS = 3
"""Fewer say too little: every other word has them."""


class Features(NamedTuple):
    """The features of one query: distinct ids, how often each, and how many distinct ones no text has."""

    ids: NDArray[np.int32]
    counts: NDArray[np.float32]
    unseen: int


class Words:
    """Texts as counts of distinct words, shape (texts, words)."""

    def __init__(self, texts: Iterable[Sequence[str]]) -> None:
        self.counts, self.ids = _count(texts)


class Space:
    """One kind of feature, with a number for each that occurs in the texts it was made of."""

    def __init__(self, analyser: Analyser, words: Words) -> None:
        self._analyser = analyser
        self._of_words, self._ids = _count(map(analyser, words.ids))
        self._words = words.counts

    def count(self) -> Matrix:
        """Counts of the features in those texts, shape (texts, features); can be asked for once."""
        counts = sparse.csr_array(self._words @ self._of_words)
        del self._words, self._of_words
        return counts

    def count_others(self, words: Words) -> Matrix:
        """Counts of the known features in other texts, shape (texts, features)."""
        known = [
            [number for feature in self._analyser(word) if (number := self._ids.get(feature)) is not None]
            for word in words.ids
        ]
        return sparse.csr_array(words.counts @ _matrix(known, len(self._ids)))

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


def _count(texts: Iterable[Sequence[str]]) -> tuple[Matrix, dict[str, int]]:
    """How often each item stands in each text, and the column of each item."""
    ids: defaultdict[str, int] = defaultdict()
    ids.default_factory = ids.__len__
    numbers = [[ids[item] for item in text] for text in texts]
    return _matrix(numbers, len(ids)), dict(ids)


def _matrix(rows: Sequence[Sequence[int]], columns: int) -> Matrix:
    starts = np.cumsum([0, *map(len, rows)], dtype=np.int32)
    indices = np.fromiter(chain.from_iterable(rows), np.int32, starts[-1])
    ones = np.ones(len(indices), np.float32)
    counts = sparse.csr_array((ones, indices, starts), shape=(len(rows), columns))
    counts.sum_duplicates()
    return counts


def grams(word: str) -> Sequence[str]:
    """Character n-grams of a word between its boundaries; of a Chinese pair its single characters."""
    if is_han(word):
        return word
    padded = f" {word} "
    longest = min(GRAMS[1], len(padded))
    return [padded[i : i + size] for size in range(GRAMS[0], longest + 1) for i in range(len(padded) - size + 1)]


def grams_of(language: str) -> Analyser:
    """The n-grams by which words of a language are compared."""
    return _roman_grams if language in ROMANISED else grams


def heard_grams(word: str) -> Sequence[str]:
    """N-grams of the word in Latin letters, and its consonants as they are heard: the same across languages."""
    heard = sound(word)
    whole = ("~" + heard,) if len(heard) >= FEWEST_CONSONANTS and not heard.isdigit() else ()
    return (*_roman_grams(word), *whole)


def _roman_grams(word: str) -> Sequence[str]:
    return grams(roman(word))


def stems(language: str) -> Analyser:
    """One stem a word; in languages written in Arabic letters its consonants, so that Latin ones say the same."""
    if language in ROMANISED:
        return partial(_romanised, language)
    return partial(_heard if language in ARABIC_SCRIPT else _stemmed, language)


def prefixes(language: str, letters: int) -> Analyser:
    """The first letters of a word; in Arabic those of its stem, where the article would come first."""
    return partial(_begun, language, letters)


def _stemmed(language: str, word: str) -> Sequence[str]:
    return (stem(word, language),)


def _romanised(language: str, word: str) -> Sequence[str]:
    return (roman(stem(word, language))[:ROMAN_STEM],)


def _heard(language: str, word: str) -> Sequence[str]:
    heard = sound(word)
    return (heard if len(heard) > 1 else stem(word, language),)


def _begun(language: str, letters: int, word: str) -> Sequence[str]:
    return ((light_stem(word) if language == "ar" else word)[:letters],)
