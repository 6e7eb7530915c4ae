"""Which entry a question belongs to, learnt from written questions: kernel ridge regression with exact leave-one-out;
and whether a message is of one kind, learnt from tens of thousands: logistic regression.

A linear SVM on the same features ranks as well but must be trained again and again to know how it does on questions
it has not seen. Here one matrix inverse gives both the weights and every left-out score.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from knowledge_base.ngrams import COLUMNS, Rows
from knowledge_base.ranking import Scores

SHARPNESS = 2.0
"""Of the kernel exp(-SHARPNESS * (1 - cosine)); chosen by leave-one-out on Italian questions, flat from 1 to 3."""

RIDGE = 0.1
"""Added to the kernel's diagonal; flat from 0.05 to 0.3."""

MOST_EXAMPLES = 6_000
"""Training takes time with the cube of the examples (3,500: half a second on two cores) and memory with the square."""

MOST_WEIGHTS = 4_000_000
"""Examples times targets; every query multiplies as many numbers."""

_TURNS = 6
"""Of all examples; three find less, ten no more."""
_BATCH = 512
_STRIDE = 0.3
_DECAY = 1e-6
"""With 0.1 and with 1e-5 two in a hundred fewer messages are recognised at the same number of false alarms."""


def can_be_trained(examples: int, targets: int) -> bool:
    """Whether a classifier of that size keeps to the time and memory an index may take."""
    return 0 < examples <= MOST_EXAMPLES and examples * targets <= MOST_WEIGHTS


class KernelRidge:
    """Targets as smooth functions of the likeness to the examples."""

    def __init__(self, cosines: Scores) -> None:
        """`cosines`: examples x examples, not kept. Raises `numpy.linalg.LinAlgError` unless positive definite."""
        kernel = _kernel(cosines).T  # symmetric; LAPACK wants columns
        kernel[np.diag_indices_from(kernel)] += np.float32(RIDGE)
        self._factor, failed = lapack.spotrf(kernel, lower=1, overwrite_a=1)
        if failed:
            raise np.linalg.LinAlgError("the kernel is not positive definite")
        self._weights: Scores = np.empty((len(cosines), 0), np.float32)

    def learn(self, targets: Scores) -> Scores:
        """Fit `targets` (examples x n), once; returns each example's scores when it is itself left out, same shape.

        Leave-one-out of ridge regression: y_i - (G y)_i / G_ii with G the inverse (Rifkin & Lippert, "Notes on
        Regularized Least Squares", 2007).
        """
        weights, _ = lapack.spotrs(self._factor, targets, lower=1)
        inverse_factor, _ = lapack.strtri(self._factor, lower=1, overwrite_c=1)
        del self._factor
        diagonal = np.einsum("ij,ij->j", inverse_factor, inverse_factor)
        self._weights = np.ascontiguousarray(weights)
        left_out: Scores = targets - weights / diagonal[:, None]
        return left_out

    def score(self, cosines: Scores) -> Scores:
        """Likeness of a query to the examples, shape (examples,) -> its targets, shape (n,)."""
        scored: Scores = _kernel(cosines) @ self._weights
        return scored


def _kernel(cosines: Scores) -> Scores:
    kernel: Scores = np.exp(np.float32(SHARPNESS) * (cosines - np.float32(1)))
    return kernel


def one_hot(labels: NDArray[np.intp], classes: int) -> Scores:
    """Shape (labels, classes); a label outside the classes gives a row of zeros."""
    targets = np.zeros((len(labels), classes), np.float32)
    inside = np.flatnonzero((labels >= 0) & (labels < classes))
    targets[inside, labels[inside]] = 1
    return targets


class Logistic:
    """Whether a text is of one kind: logistic regression on many sparse features, for more examples than a kernel can
    take. Trained by AdaGrad (Duchi, Hazan & Singer, "Adaptive Subgradient Methods", 2011), which is as good here as
    L-BFGS in a fifth of the time; always in the same order, so that the same examples give the same model."""

    def __init__(self, rows: Rows, wanted: NDArray[np.bool_]) -> None:
        """Both sides weigh the same in all, however many examples they have. `wanted`: shape (rows,), with at least
        one example on each side."""
        self._weights: Scores = np.zeros(COLUMNS, np.float32)
        self._offset = 0.0
        share = wanted.mean()
        self._learn(rows, np.where(wanted, 1, -1), np.where(wanted, 0.5 / share, 0.5 / (1 - share)))

    def _learn(self, rows: Rows, sides: NDArray[np.intp], importance: NDArray[np.float64]) -> None:
        dice = np.random.default_rng(7)
        order = dice.permutation(len(rows))
        rows, sides, importance = rows.take(order), sides[order], importance[order]
        squares, offset_squares = np.full(COLUMNS, 1e-8, np.float32), 1e-8
        mean, mean_offset = np.zeros(COLUMNS, np.float32), 0.0
        for turn in range(_TURNS):
            for first in dice.permutation(np.arange(0, len(rows), _BATCH)):
                part, side = rows.part(first, first + _BATCH), sides[first : first + _BATCH]
                pull = -side * importance[first : first + _BATCH] / (1 + np.exp(side * self._margins(part)))
                spread = part.values * np.repeat(pull, np.diff(part.starts)).astype(np.float32)
                slope = np.bincount(part.columns, spread, COLUMNS).astype(np.float32)
                slope += np.float32(_DECAY * _BATCH) * self._weights
                squares += slope * slope
                self._weights -= np.float32(_STRIDE) * slope / np.sqrt(squares)
                offset_squares += pull.sum() ** 2
                self._offset -= _STRIDE * float(pull.sum()) / offset_squares**0.5
            if turn >= _TURNS // 2:  # the mean of the later turns swings less than the last
                mean += self._weights
                mean_offset += self._offset
        later = _TURNS - _TURNS // 2
        self._weights, self._offset = mean / np.float32(later), mean_offset / later

    def chances(self, rows: Rows) -> NDArray[np.float64]:
        """Shape (rows,), between 0 and 1; 0.5 is as likely as not when both sides are equally common."""
        chances: NDArray[np.float64] = 1 / (1 + np.exp(-self._margins(rows)))
        return chances

    def _margins(self, rows: Rows) -> NDArray[np.float64]:
        products = rows.values * self._weights[rows.columns]
        margins: NDArray[np.float64] = np.add.reduceat(products, rows.starts[:-1]).astype(float) + self._offset
        return margins
