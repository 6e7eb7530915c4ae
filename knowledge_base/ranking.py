"""Scores of texts for a query: BM25 as a share of what the query could get, and likeness to written questions."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from knowledge_base.terms import Features, Matrix

Scores = NDArray[np.float32]

COMMON = 0.02
"""Share of the texts from which on a feature is multiplied densely when all texts are compared."""


class Saturation(NamedTuple):
    """BM25's two constants (Robertson & Zaragoza, "The Probabilistic Relevance Framework", 2009)."""

    k1: float
    b: float


class TextScore:
    """How much of a query each text covers, 0 (nothing) to 1 (every feature, often).

    BM25 divided by the score of a text in which the query's features never end. Unlike division by the best text's
    score this says how good the best one is, and ranks as well (measured on eight BEIR sets).
    """

    def __init__(self, counts: Matrix, saturation: Saturation) -> None:
        """`counts`: texts x features."""
        self._k1, b = saturation
        lengths = np.asarray(counts.sum(axis=1), np.float32)
        self._pressure = self._k1 * (1 - b + b * lengths / max(float(lengths.mean()), 1.0)).astype(np.float32)
        self._texts = counts.shape[0]
        self._in_texts = np.bincount(counts.indices, minlength=counts.shape[1]).astype(np.float32)
        self._rarity = self._rarity_of(self._in_texts)
        self._unseen = float(self._rarity_of(np.zeros(1, np.float32))[0])
        rows = np.repeat(self._pressure, np.diff(counts.indptr))
        weights = counts.data / (counts.data + rows) * self._rarity[counts.indices]
        self._weights = sparse.csr_array((weights, counts.indices, counts.indptr), shape=counts.shape).T.tocsr()

    def _rarity_of(self, in_texts: Scores) -> Scores:
        share: Scores = np.log1p((self._texts - in_texts + 0.5) / (in_texts + 0.5))
        return share

    def score(self, query: Features) -> Scores:
        """One score a text, shape (texts,)."""
        possible = float(self._rarity[query.ids].sum()) + query.unseen * self._unseen
        if not query.ids.size:
            return np.zeros(self._texts, np.float32)
        return sum_of_rows(self._weights, query.ids) / np.float32(possible)

    def score_known(self, queries: Matrix, counts: Matrix, owners: NDArray[np.intp]) -> Scores:
        """Scores of questions that texts were built from, as if they had not been: shape (queries, texts).

        `queries`: queries x features, `counts` as given to the constructor, `owners[i]` the text that query i is part
        of, or -1. Only the owner's own score is corrected: what a question adds to other texts' scores, by making its
        words more common, is below a hundredth.
        """
        asked = sparse.csr_array((np.ones_like(queries.data), queries.indices, queries.indptr), shape=queries.shape)
        scores = (asked @ self._weights).toarray()
        of_query = np.repeat(np.arange(queries.shape[0]), np.diff(queries.indptr))
        of_text = owners[of_query]
        mine = of_text >= 0
        here = np.asarray(counts[of_text[mine], queries.indices[mine]]).ravel()
        left = np.maximum(here - queries.data[mine], 0)
        rarity = self._rarity[queries.indices]
        rarity[mine] = self._rarity_of(self._in_texts[queries.indices[mine]] - (left == 0))
        own = np.bincount(
            of_query[mine], left / (left + self._pressure[of_text[mine]]) * rarity[mine], minlength=len(owners)
        )
        known = np.flatnonzero(owners >= 0)
        scores[known, owners[known]] = own[known]
        possible = np.bincount(of_query, rarity, minlength=len(owners))
        normalised: Scores = (scores / np.maximum(possible, 1e-6)[:, None]).astype(np.float32)
        return normalised


MANY_COLUMNS = 5_000


def sum_of_rows(matrix: Matrix, rows: NDArray[np.int32], weights: Scores | None = None) -> Scores:
    """The (weighted) sum of some rows of a sparse matrix, shape (columns,).

    The same as `weights @ matrix[rows]`. Over few columns most of that is building the matrix in between, half the time
    of a search; over many it is quicker all the same.
    """
    if matrix.shape[1] > MANY_COLUMNS:
        chosen = matrix[rows]
        many: Scores = chosen.sum(axis=0) if weights is None else chosen.T @ weights
        return many
    starts = matrix.indptr[rows]
    lengths = matrix.indptr[rows + 1] - starts
    ends = np.cumsum(lengths)
    places = np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1])
    values = matrix.data[places] if weights is None else matrix.data[places] * np.repeat(weights, lengths)
    summed: Scores = np.bincount(matrix.indices[places], values, minlength=matrix.shape[1]).astype(np.float32)
    return summed


class Likeness:
    """Cosine of a query and each of many short texts, over several kinds of features at once."""

    def __init__(self, counts: Sequence[Matrix], most_common: float = 1.0) -> None:
        """`counts`: texts x features, one matrix a kind; features in more than `most_common` of the texts are left out.

        Weights are (1 + log tf) * (1 + log idf) / length, the kinds count alike.
        """
        texts = counts[0].shape[0]
        self._rarity: list[Scores] = []
        parts = []
        for count in counts:
            in_texts = np.bincount(count.indices, minlength=count.shape[1])
            rarity = (1 + np.log((1 + texts) / (1 + in_texts))).astype(np.float32)
            rarity[in_texts > most_common * texts] = 0
            self._rarity.append(rarity)
            weights = (1 + np.log(count.data)) * rarity[count.indices]
            part = sparse.csr_array((weights, count.indices, count.indptr), shape=count.shape)
            part.eliminate_zeros()
            parts.append(sparse.diags_array(1 / _lengths(part)) @ part)
        self._unseen = float(1 + np.log(1 + texts))
        self.vectors = sparse.hstack(parts, format="csr", dtype=np.float32) / np.float32(np.sqrt(len(parts)))
        """Texts x all features; rows of length one (or empty)."""
        self._by_feature = self.vectors.T.tocsr()

    def score(self, queries: Sequence[Features]) -> Scores:
        """The query's features of each kind -> cosine with each text, shape (texts,)."""
        ids: list[NDArray[np.int32]] = []
        values: list[Scores] = []
        offset = 0
        for query, rarity in zip(queries, self._rarity, strict=True):
            value = (1 + np.log(query.counts)) * rarity[query.ids]
            length = np.sqrt(float(value @ value) + query.unseen * self._unseen**2)
            ids.append(query.ids + np.int32(offset))
            values.append((value / max(length, 1e-6)).astype(np.float32))
            offset += len(rarity)
        chosen = np.concatenate(ids)
        if not chosen.size:
            return np.zeros(self._by_feature.shape[1], np.float32)
        cosine = sum_of_rows(self._by_feature, chosen, np.concatenate(values))
        return cosine / np.float32(np.sqrt(len(self._rarity)))

    def finish(self) -> None:
        """Let go of what only comparing the texts with one another needs."""
        del self.vectors

    def among_themselves(self) -> Scores:
        """Cosine of each text with each, shape (texts, texts)."""
        # Features that many texts share fill the product: dense for them, sparse for the many others.
        in_texts = np.diff(self._by_feature.indptr)
        common = in_texts > COMMON * self.vectors.shape[0]
        dense = self._by_feature[np.flatnonzero(common)].toarray()
        rare = self._by_feature[np.flatnonzero(~common)]
        product: Scores = dense.T @ dense
        product += (rare.T.tocsr() @ rare).toarray()
        return product


def _lengths(rows: Matrix) -> Scores:
    lengths: Scores = np.sqrt(rows.multiply(rows).sum(axis=1))
    return np.maximum(lengths, np.float32(1e-6))


def best_of(scores: Scores, starts: NDArray[np.intp]) -> Scores:
    """The highest score of each owner's texts; the texts of owner i begin at `starts[i]`, none is without one."""
    best: Scores = np.maximum.reduceat(scores, starts, axis=-1)
    return best
