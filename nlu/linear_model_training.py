"""Fits a `LinearModel`; the only place that needs scikit-learn."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix
from sklearn.svm import LinearSVC

from linear_model import Floats, LinearModel, weigh
from ngrams import blocks

# Every fifth phrase is kept back once, to learn how sure a margin is; the model itself sees all.
_KEPT_BACK = 5
_SEED = 7
Labels = npt.NDArray[np.int64]
Margins = npt.NDArray[np.float64]


def fit(
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    cost: float,
    balance: float,
    max_features: int,
) -> LinearModel:
    """Raises ValueError when fewer than two intents have phrases."""
    intents = sorted(set(labels))
    if len(intents) < 2:
        raise ValueError("training needs phrases of at least two intents")
    extracted = [blocks(text) for text in texts]
    positions, rarity = _vocabulary(extracted, max_features)
    matrix = _matrix(extracted, positions, rarity)
    numbers = np.asarray([intents.index(label) for label in labels], dtype=np.int64)
    machine = _fit_machine(matrix, numbers, cost, balance)
    weights, offsets = _columns(machine, len(intents))
    return LinearModel(
        intents=intents,
        positions=positions,
        rarity=rarity,
        weights=weights,
        offsets=offsets,
        temperature=_temperature(matrix, numbers, cost, balance),
    )


def _vocabulary(extracted: Sequence[tuple[list[str], ...]], max_features: int) -> tuple[dict[str, int], Floats]:
    seen_in: Counter[str] = Counter()
    for feature_blocks in extracted:
        seen_in.update({feature for block in feature_blocks for feature in block})
    kept = sorted(sorted(seen_in), key=lambda feature: -seen_in[feature])[:max_features]
    rarity = [math.log((1 + len(extracted)) / (1 + seen_in[feature])) + 1 for feature in kept]
    return {feature: row for row, feature in enumerate(kept)}, np.asarray(rarity, dtype=np.float32)


def _matrix(extracted: Sequence[tuple[list[str], ...]], positions: dict[str, int], rarity: Floats) -> csr_matrix:
    columns: list[int] = []
    values: list[float] = []
    ends = [0]
    for feature_blocks in extracted:
        rows, weighed = weigh(feature_blocks, positions, rarity)
        columns.extend(rows)
        values.extend(weighed)
        ends.append(len(columns))
    return csr_matrix((values, columns, ends), shape=(len(extracted), len(positions)))


def _fit_machine(matrix: csr_matrix, labels: Labels, cost: float, balance: float) -> LinearSVC:
    sizes = Counter(labels.tolist())
    largest = max(sizes.values())
    # Thousands of `ask` phrases must not drown eighty of `cancel_booking`, nor the other way round.
    weights = {label: (largest / size) ** balance for label, size in sizes.items()}
    machine = LinearSVC(C=cost, class_weight=weights, random_state=_SEED)
    return machine.fit(matrix, labels)


def _columns(machine: LinearSVC, intents: int) -> tuple[Floats, Floats]:
    """Weights as feature × intent; of two intents scikit-learn keeps one column, the other mirrors it."""
    coefficients, offsets = machine.coef_, machine.intercept_
    if intents == 2:
        coefficients = np.vstack([-coefficients, coefficients])
        offsets = np.concatenate([-offsets, offsets])
    weights = np.ascontiguousarray(coefficients.T, dtype=np.float32)
    return weights, np.asarray(offsets, dtype=np.float32)


def _temperature(matrix: csr_matrix, labels: Labels, cost: float, balance: float) -> float:
    """The softmax temperature with the least log loss on phrases the machine has not seen."""
    kept_back = np.random.default_rng(_SEED).permutation(len(labels)) % _KEPT_BACK == 0
    known = set(labels[~kept_back].tolist())
    judged = kept_back & np.isin(labels, list(known))
    if len(known) < 2 or not judged.any():
        return 1.0
    machine = _fit_machine(matrix[~kept_back], labels[~kept_back], cost, balance)
    weights, offsets = _columns(machine, len(known))
    margins = matrix[judged] @ weights.astype(np.float64) + offsets
    truth = np.searchsorted(machine.classes_, labels[judged])
    best = minimize_scalar(
        lambda temperature: _log_loss(margins / temperature, truth), bounds=(0.02, 5), method="bounded"
    )
    return float(best.x)


def _log_loss(scaled: Margins, truth: Labels) -> float:
    shifted = scaled - scaled.max(axis=1, keepdims=True)
    normaliser = np.log(np.exp(shifted).sum(axis=1))
    return float(np.mean(normaliser - shifted[np.arange(len(truth)), truth]))
