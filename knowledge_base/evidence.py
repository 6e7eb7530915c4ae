"""What is compared with a question, and what each comparison says of each entry."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from knowledge_base.classifier import can_be_trained
from knowledge_base.normalise import sentences, words
from knowledge_base.ranking import Likeness, Saturation, Scores, TextScore, best_of
from knowledge_base.terms import Matrix, Space, Words, grams_of, prefixes, stems

ENTRY = Saturation(k1=1.2, b=0.75)
PASSAGE = Saturation(k1=1.2, b=0.5)
PASSAGE_LETTERS = 4
TITLE_COUNTS = 2
"""A title's words count this often in the entry's text."""

MANY_TEXTS = 20_000
"""From here on n-grams that many texts share are left out: they cost the most time and say the least."""
COMMON_IN_MANY = 0.1


@dataclass(frozen=True, slots=True)
class Document:
    """What is indexed of one entry in one language."""

    id: str
    language: str
    title: str
    body: str
    questions: tuple[str, ...] = ()
    places: frozenset[str] = frozenset()
    """Where it is offered; empty means everywhere."""


def distinct_words(question: str) -> list[str]:
    return list(dict.fromkeys(words(question)))


class Texts:
    """The texts of documents as words, in blocks; in the first three, the texts of one entry stand together."""

    def __init__(self, documents: Sequence[Document], outside: Sequence[str]) -> None:
        self.entries: list[list[str]] = []
        self.passages: list[list[str]] = []
        self.asked: list[list[str]] = []
        """Of each entry, its title and its questions."""
        self.outside = [distinct_words(question) for question in outside]
        self.bodies: list[list[str]] = []
        """Empty where no classifier is trained."""
        self._passage_starts: list[int] = []
        self._asked_starts: list[int] = []
        for document in documents:
            self._read(document)
        if not self.can_teach:
            self.bodies.clear()  # only examples for the classifier

    def _read(self, document: Document) -> None:
        title = words(document.title)
        passages = [words(sentence) for sentence in sentences(document.body)]
        body = list(chain.from_iterable(passages))
        questions = [distinct_words(question) for question in document.questions]
        self.entries.append([*title * TITLE_COUNTS, *body, *chain.from_iterable(questions)])
        self._passage_starts.append(len(self.passages))
        self.passages += [title, *passages]
        self._asked_starts.append(len(self.asked))
        self.asked += [title, *questions]
        self.bodies.append(body)

    @property
    def passage_starts(self) -> NDArray[np.intp]:
        return np.array(self._passage_starts, np.intp)

    @property
    def asked_starts(self) -> NDArray[np.intp]:
        return np.array(self._asked_starts, np.intp)

    @property
    def questions(self) -> int:
        """How many there are, without the titles."""
        return len(self.asked) - len(self.entries)

    @property
    def can_teach(self) -> bool:
        """Whether there are questions for a classifier, and not too many."""
        examples = len(self.asked) + len(self.outside) + len(self.entries)
        return self.questions > 0 and can_be_trained(examples, len(self.entries) + 1)

    @property
    def owners(self) -> NDArray[np.intp]:
        """The entry of each text of `asked`, then -1 for each of `outside`, then the entry of each of `bodies`."""
        entries = np.arange(len(self.entries))
        asked = np.repeat(entries, np.diff(np.append(self.asked_starts, len(self.asked))))
        return np.concatenate([asked, np.full(len(self.outside), -1), entries[: len(self.bodies)]])


@dataclass(frozen=True)
class Counts:
    """Features of one kind in each block of texts, shape (texts, features); `compared` is asked, outside, bodies."""

    entries: Matrix
    passages: Matrix
    compared: Matrix

    @classmethod
    def of(cls, space: Space, texts: Texts) -> "Counts":
        everything = space.count()
        entries, passages = len(texts.entries), len(texts.entries) + len(texts.passages)
        counts = cls(everything[:entries], everything[entries:passages], everything[passages:])
        if texts.can_teach:
            counts.entries.sort_indices()  # every question's features are looked up in it
        return counts


class Evidence:
    """Four comparisons of a question with the entries of one language (the first four of `EVIDENCE`)."""

    def __init__(self, texts: Texts, language: str) -> None:
        blocks = (texts.entries, texts.passages, texts.asked, texts.outside, texts.bodies)
        vocabulary = Words(chain.from_iterable(blocks))
        self._stems = Space(stems(language), vocabulary)
        self._grams = Space(grams_of(language), vocabulary)
        self._prefixes = Space(prefixes(language, PASSAGE_LETTERS), vocabulary)
        self._passage_starts, self._asked_starts = texts.passage_starts, texts.asked_starts
        self._asked = len(texts.asked)

        stemmed, gram, prefix = (Counts.of(space, texts) for space in (self._stems, self._grams, self._prefixes))
        self._by_stems = TextScore(stemmed.entries, ENTRY)
        self._by_grams = TextScore(gram.entries, ENTRY)
        self._by_passage = TextScore(prefix.passages, PASSAGE)
        most_common = COMMON_IN_MANY if len(texts.asked) > MANY_TEXTS else 1.0
        self.likeness = Likeness((gram.compared, stemmed.compared), most_common)
        self._counts: tuple[Counts, Counts, Counts] | None = (stemmed, gram, prefix)

    def of(self, query: Sequence[str]) -> tuple[Scores, Scores]:
        """Distinct words -> what each comparison says, shape (entries, 4); likeness to each text of `compared`."""
        stemmed, gram, prefix = (space.features(query) for space in (self._stems, self._grams, self._prefixes))
        likeness = self.likeness.score((gram, stemmed))
        found = (
            self._by_stems.score(stemmed),
            self._by_grams.score(gram),
            best_of(self._by_passage.score(prefix), self._passage_starts),
            best_of(likeness[: self._asked], self._asked_starts),
        )
        return np.stack(found, axis=1), likeness

    def left_out(self, rows: NDArray[np.intp], owners: NDArray[np.intp], likeness: Scores) -> Scores:
        """The same for texts of `compared` as if nobody had written them, shape (rows, entries, 4).

        `owners`: of those rows, -1 for outside ones; `likeness`: rows x compared, their own column included.
        """
        assert self._counts is not None, "the index has been finished"
        stemmed, gram, prefix = self._counts
        others = likeness[:, : self._asked].copy()
        own = np.flatnonzero(rows < self._asked)
        others[own, rows[own]] = 0
        nobody = np.full(len(rows), -1)
        found = (
            self._by_stems.score_known(stemmed.compared[rows], stemmed.entries, owners),
            self._by_grams.score_known(gram.compared[rows], gram.entries, owners),
            best_of(self._by_passage.score_known(prefix.compared[rows], prefix.passages, nobody), self._passage_starts),
            best_of(others, self._asked_starts),
        )
        return np.stack(found, axis=-1)

    def finish(self) -> None:
        """Let go of what only learning needs."""
        self._counts = None
        self.likeness.finish()
