"""Teaches an index with its own questions: the classifier, and how far each kind of evidence is to be trusted."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowledge_base.classifier import KernelRidge, can_be_trained, one_hot
from knowledge_base.confidence import CANDIDATES, Judge, Lessons, Numbers, teach
from knowledge_base.evidence import Evidence, Texts
from knowledge_base.ranking import Scores

MOST_COMPARISONS = 16_000_000
"""Numbers in one step of learning: questions times the texts they are compared with."""

MOST_LESSONS = 600
"""Questions that the judge learns from where there is no classifier, which would need all of them."""


class Taught(NamedTuple):
    classifier: KernelRidge | None
    judge: Judge


def train(texts: Texts, evidence: Evidence) -> Taught:
    """Learns from every question and outside question as if it had not been written (see `KernelRidge.learn`)."""
    if not texts.questions:
        return Taught(None, Judge.untaught(trained=False))
    owners, entries = texts.owners, len(texts.entries)
    rows = questions_of(texts)
    if not can_be_trained(len(owners), entries + 1):
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:MOST_LESSONS])
        found = left_out(evidence, rows, owners, None)
        nothing = np.zeros((len(rows), entries + 1), np.float32)
        return Taught(None, teach(lessons_of(found, nothing, owners[rows]), Judge.untaught(trained=False)))
    cosines = evidence.likeness.among_themselves()
    classifier = KernelRidge(cosines)
    learnt = classifier.learn(one_hot(np.where(owners < 0, entries, owners), entries + 1))
    found = left_out(evidence, rows, owners, cosines)
    return Taught(classifier, teach(lessons_of(found, learnt[rows], owners[rows]), Judge.untaught(trained=True)))


def questions_of(texts: Texts) -> NDArray[np.intp]:
    """Rows of `Texts.owners` that are questions: neither titles nor bodies, nor empty."""
    rows = np.arange(len(texts.asked) + len(texts.outside))
    texts_of_rows = [*texts.asked, *texts.outside]
    is_title = np.isin(rows, texts.asked_starts)
    empty = np.array([not text for text in texts_of_rows], bool)
    return rows[~is_title & ~empty]


def left_out(evidence: Evidence, rows: NDArray[np.intp], owners: NDArray[np.intp], cosines: Scores | None) -> Scores:
    """`Evidence.left_out` in steps that fit into memory, shape (rows, entries, 4)."""
    step = max(1, MOST_COMPARISONS // len(owners))
    vectors = evidence.likeness.vectors
    parts = []
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        likeness = (vectors[some] @ vectors.T).toarray() if cosines is None else cosines[some]
        parts.append(evidence.left_out(some, owners[some], likeness))
    return np.concatenate(parts)


def with_classifier(found: Scores, learnt: Scores) -> tuple[Numbers, Numbers]:
    """Evidence of shape (…, entries, 4) and the classifier's (…, entries + 1) -> (…, entries, 5) and outside (…)."""
    evidence = np.concatenate([found, learnt[..., :-1, None]], axis=-1)
    return evidence.astype(np.float64), learnt[..., -1].astype(np.float64)


def lessons_of(found: Scores, learnt: Scores, owners: NDArray[np.intp]) -> Lessons:
    """Of each question its `CANDIDATES` best entries, the right one first if it has one."""
    evidence, outside = with_classifier(found, learnt)
    logits = evidence @ Judge.untaught(trained=bool(learnt.any())).weights
    known = np.flatnonzero(owners >= 0)
    logits[known, owners[known]] = np.inf
    chosen = np.argsort(-logits, axis=1)[:, :CANDIDATES]
    right = np.where(owners >= 0, 0, chosen.shape[1])
    return Lessons(np.take_along_axis(evidence, chosen[..., None], axis=1), outside, right)
