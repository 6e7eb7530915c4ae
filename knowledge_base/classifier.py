"""Which entry a question belongs to, learnt from written questions: kernel ridge regression with exact leave-one-out.

A linear SVM on the same features ranks as well but must be trained again and again to know how it does on questions
it has not seen. Here one matrix inverse gives both the weights and every left-out score.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from knowledge_base.ranking import Scores

SHARPNESS = 2.0
"""Of the kernel exp(-SHARPNESS * (1 - cosine)); chosen by leave-one-out on Italian questions, flat from 1 to 3."""

RIDGE = 0.1
"""Added to the kernel's diagonal; flat from 0.05 to 0.3."""

MOST_EXAMPLES = 6_000
"""Training takes time with the cube of the examples (3,500: half a second on two cores) and memory with the square."""

MOST_WEIGHTS = 4_000_000
"""Examples times targets; every query multiplies as many numbers."""


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
