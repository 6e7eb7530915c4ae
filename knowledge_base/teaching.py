"""Teaches an index with its own questions: the classifier, and how far each kind of evidence is to be trusted."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowledge_base.classifier import KernelRidge, one_hot
from knowledge_base.confidence import CANDIDATES, Judge, Lessons, Numbers, teach
from knowledge_base.elsewhere import View
from knowledge_base.evidence import Evidence, Texts
from knowledge_base.ranking import Scores

MOST_COMPARISONS = 16_000_000
"""Numbers in one step of learning: questions times the texts they are compared with."""

MOST_LESSONS = 600
"""Questions that the judge learns from where there is no classifier, which would need all of them."""


class Taught(NamedTuple):
    classifier: KernelRidge | None
    judge: Judge


def untrained() -> Taught:
    """For texts without questions, and for the moment before the questions are learnt."""
    return Taught(None, Judge.untaught(trained=False))


def train(texts: Texts, evidence: Evidence, elsewhere: View | None) -> Taught:
    """Learns from every question and outside question as if it had not been written (see `KernelRidge.learn`)."""
    rows = questions_of(texts)
    if not texts.questions or not rows.size:
        return untrained()
    owners, entries = texts.owners, len(texts.entries)
    classifier = cosines = None
    if texts.can_teach:
        cosines = evidence.likeness.among_themselves()
        classifier = KernelRidge(cosines)
        learnt = classifier.learn(one_hot(np.where(owners < 0, entries, owners), entries + 1))[rows]
    else:
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:MOST_LESSONS])
        learnt = np.zeros((len(rows), entries + 1), np.float32)
    found = left_out(evidence, rows, owners, cosines)
    other = _elsewhere(texts, rows, owners, elsewhere)
    start = Judge.untaught(trained=classifier is not None)
    return Taught(classifier, teach(lessons_of(*join(found, other, learnt), owners[rows], start), start))


def questions_of(texts: Texts) -> NDArray[np.intp]:
    """Rows of `Texts.owners` that are questions with words: neither titles nor bodies."""
    has_words = np.array([bool(text) for text in (*texts.asked, *texts.outside)], bool)
    has_words[texts.asked_starts] = False
    return np.flatnonzero(has_words)


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


def _elsewhere(texts: Texts, rows: NDArray[np.intp], owners: NDArray[np.intp], elsewhere: View | None) -> Scores:
    if elsewhere is None:
        return np.zeros((len(rows), len(texts.entries)), np.float32)
    asked = [*texts.asked, *texts.outside]
    return elsewhere.left_out([asked[row] for row in rows], owners[rows])


def join(found: Scores, elsewhere: Scores, learnt: Scores) -> tuple[Numbers, Numbers]:
    """Shapes (…, entries, 4), (…, entries) and (…, entries + 1) -> all evidence (…, entries, 6) and outside (…)."""
    evidence = np.concatenate([found, elsewhere[..., None], learnt[..., :-1, None]], axis=-1)
    return evidence.astype(np.float64), learnt[..., -1].astype(np.float64)


def lessons_of(evidence: Numbers, outside: Numbers, owners: NDArray[np.intp], start: Judge) -> Lessons:
    """Of each question its `CANDIDATES` best entries, the right one first if it has one."""
    logits = evidence @ start.weights
    known = np.flatnonzero(owners >= 0)
    logits[known, owners[known]] = np.inf
    chosen = np.argsort(-logits, axis=1)[:, :CANDIDATES]
    right = np.where(owners >= 0, 0, chosen.shape[1])
    return Lessons(np.take_along_axis(evidence, chosen[..., None], axis=1), outside, right)
