"""How sure the search is: probabilities from several kinds of evidence, and the thresholds of the three bands.

A conditional logit (McFadden 1974): every entry's logit is a weighted sum of its evidence, "none of them" has one of
its own, and the probabilities are their softmax. The weights are learnt from each written question as if it had not
been written, and from the outside questions likewise; with little to learn from they stay near the weights below.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import softmax

Numbers = NDArray[np.float64]

EVIDENCE = ("stems", "grams", "passage", "question", "elsewhere", "classifier")
"""What is known of an entry for a query, each about 0..1: three scores of its texts, its nearest question, the score of
its texts in all languages, the trained classifier."""

MOST_WEIGHT = (None, None, None, None, 10.0, None)
"""Of each kind of evidence. The questions of one language are often written after those of another, so that learning
from them overrates how much the other languages say of a question nobody has written."""

TEXT_WEIGHTS = (10.0, 10.0, 15.0, 10.0, 0.0, 0.0)
"""One weight for each kind of evidence where nothing was trained; their ratios from eight BEIR sets."""
TEXT_NONE = (9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""Weights of what speaks for "none of them": always, the classifier, the best of each kind of evidence."""

TRAINED_WEIGHTS = (4.0, 3.0, 6.0, 0.5, 8.0, 6.0)
TRAINED_NONE = (3.0, 15.0, 0.0, 0.0, 6.0, 2.0, 0.0, 3.0)
"""The same with a classifier, from Italian, English, French and Arabic questions. What no entry explains although much
of it sounds familiar is more likely to be outside: so the last ones speak for "none"."""

CANDIDATES = 20
"""Best entries a question is learnt with; the others' probabilities are next to nothing."""

OUTSIDE_SHARE = 0.25
"""Outside questions count together as this share of the known ones, however many somebody wrote …"""
MOST_IMPORTANT = 8.0
"""… but one of them never as more than this many known ones."""

PRIOR_STRENGTH = 1.0
"""Pull towards the default weights, in questions per squared unit of weight."""

STEPS = {"maxiter": 40, "ftol": 1e-6}
"""Of learning the weights; more change the thousandths."""

RIGHT_WHEN_SURE = 0.9
OUTSIDE_NOT_SURE = 0.93
OUTSIDE_UNKNOWN = 0.88
"""What the thresholds aim at, as shares of the questions learnt from, each as if it had not been written. Of the wrong
ones among those left out about half are near twins (two entries on the same doctor, the same desk), so a person is
misled less often; at 0.955 a third of all clear questions cost a needless tap."""

FEW_KNOWN, FEW_OUTSIDE = 100, 20
"""With fewer questions the default thresholds stay."""


class Band(StrEnum):
    SURE = "sure"
    UNSURE = "unsure"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Thresholds:
    sure: float = 0.85
    """Least probability of the first entry for it to be the answer."""
    unknown: float = 0.5
    """Least `doubt` to say that nothing is known. Less is lost than by the probability of "none of them" alone."""

    def band(self, first: float, none: float) -> Band:
        if first >= self.sure:
            return Band.SURE
        return Band.UNKNOWN if none >= self.unknown * (none + first) else Band.UNSURE


def doubt(first: Numbers, none: Numbers) -> Numbers:
    """Probability of "none of them" where only it and the first entry are left."""
    return none / (none + first)


@dataclass(frozen=True)
class Judge:
    """Turns evidence into probabilities."""

    weights: Numbers
    """Shape (6,)."""
    none_weights: Numbers
    """Shape (8,)."""
    thresholds: Thresholds = Thresholds()

    @classmethod
    def untaught(cls, trained: bool) -> "Judge":
        weights, none = (TRAINED_WEIGHTS, TRAINED_NONE) if trained else (TEXT_WEIGHTS, TEXT_NONE)
        return cls(np.array(weights), np.array(none))

    def probabilities(self, evidence: Numbers, outside: Numbers) -> Numbers:
        """Evidence, shape (…, entries, 6), and the classifier's score for "outside", shape (…) -> (…, entries + 1).

        The last probability is that of "none of them".
        """
        none = _for_none(evidence, outside) @ self.none_weights
        result: Numbers = softmax(np.concatenate([evidence @ self.weights, none[..., None]], axis=-1), axis=-1)
        return result


def _for_none(evidence: Numbers, outside: Numbers) -> Numbers:
    return np.concatenate([np.ones_like(outside)[..., None], outside[..., None], evidence.max(axis=-2)], axis=-1)


@dataclass(frozen=True)
class Lessons:
    """Questions whose right answer is known, each with the evidence as if it had not been written."""

    evidence: Numbers
    """Shape (questions, candidates, 6)."""
    outside: Numbers
    """Shape (questions,)."""
    right: NDArray[np.intp]
    """Position of the right candidate; `candidates` for an outside question."""

    @property
    def known(self) -> NDArray[np.bool_]:
        known: NDArray[np.bool_] = self.right < self.evidence.shape[1]
        return known

    def importance(self) -> Numbers:
        known = self.known.sum()
        each = OUTSIDE_SHARE * known / max(len(self.right) - known, 1)
        return np.where(self.known, 1.0, min(each, MOST_IMPORTANT))


def teach(lessons: Lessons, start: Judge) -> Judge:
    """Weights of greatest penalised likelihood, then the thresholds.

    Evidence never speaks against an entry. Without outside questions nothing can be learnt of "none of them".
    """
    kinds, importance = len(start.weights), lessons.importance()
    mean = np.concatenate([start.weights, start.none_weights])
    for_none = _for_none(lessons.evidence, lessons.outside)
    rows = np.arange(len(lessons.right))

    def loss(point: Numbers) -> tuple[float, Numbers]:
        error = Judge(point[:kinds], point[kinds:]).probabilities(lessons.evidence, lessons.outside)
        likelihood = importance @ np.log(error[rows, lessons.right] + 1e-12)
        error[rows, lessons.right] -= 1
        error *= importance[:, None]
        slope = np.concatenate([np.einsum("qc,qck->k", error[:, :-1], lessons.evidence), error[:, -1] @ for_none])
        away = point - mean
        return float(PRIOR_STRENGTH / 2 * away @ away - likelihood), slope + PRIOR_STRENGTH * away

    fixed = (
        [(value, value) for value in start.none_weights]
        if lessons.known.all()
        else [(None, None)] * len(start.none_weights)
    )
    bounds = [(0.0, most) for most in MOST_WEIGHT] + fixed
    found = minimize(loss, mean, jac=True, method="L-BFGS-B", bounds=bounds, options=STEPS)
    judge = Judge(found.x[:kinds], found.x[kinds:])
    return Judge(judge.weights, judge.none_weights, choose_thresholds(lessons, judge))


def choose_thresholds(lessons: Lessons, judge: Judge) -> Thresholds:
    """The lowest "sure" and the highest "unknown" that keep to the three aims above, within sensible limits."""
    probability = judge.probabilities(lessons.evidence, lessons.outside)
    first, none, known = probability[:, :-1].max(axis=1), probability[:, -1], lessons.known
    sure, unknown = Thresholds().sure, Thresholds().unknown
    if known.sum() >= FEW_KNOWN:
        right = probability[known, :-1].argmax(axis=1) == lessons.right[known]
        sure = _lowest_precise(first[known], right)
    if (~known).sum() >= FEW_OUTSIDE:
        sure = max(sure, float(np.quantile(first[~known], OUTSIDE_NOT_SURE)))
        unknown = float(np.quantile(doubt(first, none)[~known], 1 - OUTSIDE_UNKNOWN))
    return Thresholds(sure=float(np.clip(sure, 0.5, 0.95)), unknown=float(np.clip(unknown, 0.25, 0.7)))


def _lowest_precise(scores: Numbers, right: NDArray[np.bool_]) -> float:
    """The lowest score from which on upwards the share of right ones is `RIGHT_WHEN_SURE`."""
    order = np.argsort(-scores)
    share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    last_of_equals = np.append(scores[order[1:]] < scores[order[:-1]], True)
    precise = np.flatnonzero((share >= RIGHT_WHEN_SURE) & last_of_equals)
    return float(scores[order[precise[-1]]]) if precise.size else 1.0
