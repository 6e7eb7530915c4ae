"""Letters and words of short texts as numbers, many texts at once: what a linear model learns from.

Features have no names: each is hashed to one of `COLUMNS` places, so nothing has to be looked up and text of any script
and language goes the same way. NumPy looks at all letters of all texts together, which is fast for tens of thousands
of texts and still takes only a fraction of a millisecond for one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowledge_base.ranking import Scores

_BITS = 18
COLUMNS = 1 << _BITS

LONGEST = 5
"""Letters of the longest piece of a word; six, or pieces that go on over the space, find no more."""

_LETTERS_OF_A_WORD = 40
_END, _SPACE = ord("\n"), ord(" ")
_STEP = np.uint64(1_099_511_628_211)
_STIR = np.uint64(0x9E3779B97F4A7C15)
"""Of the FNV hash and of Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4)."""

Hashes = NDArray[np.uint64]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Rows:
    """A sparse matrix with a row for each text; none is empty. Row i has the columns and values from `starts[i]` to
    `starts[i + 1]`."""

    starts: Places
    columns: Places
    values: Scores

    def __len__(self) -> int:
        return len(self.starts) - 1

    def part(self, first: int, last: int) -> "Rows":
        """Rows from `first` to before `last`."""
        starts = self.starts[first : last + 1]
        return Rows(starts - starts[0], self.columns[starts[0] : starts[-1]], self.values[starts[0] : starts[-1]])

    def take(self, rows: Places) -> "Rows":
        """Those rows, in that order."""
        sizes = np.diff(self.starts)[rows]
        starts = np.concatenate(([0], np.cumsum(sizes)))
        at = np.arange(starts[-1]) + np.repeat(self.starts[:-1][rows] - starts[:-1], sizes)
        return Rows(starts, self.columns[at], self.values[at])


class Weights:
    """How much a feature says: TF-IDF with the logarithm of how often it occurs, every row of length 1."""

    def __init__(self, texts: Sequence[str]) -> None:
        """`texts`: those to learn from, as `count` takes them."""
        _, columns, _ = count(texts)
        texts_with_it = np.bincount(columns, minlength=COLUMNS)
        self._rarity = (1 + np.log((1 + len(texts)) / (1 + texts_with_it))).astype(np.float32)

    def rows(self, texts: Sequence[str]) -> Rows:
        rows, columns, counts = count(texts)
        values = (1 + np.log(counts)) * self._rarity[columns]
        lengths = np.sqrt(np.bincount(rows, values * values, minlength=len(texts)))
        starts = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=len(texts)))))
        return Rows(starts, columns, (values / lengths[rows]).astype(np.float32))


def count(texts: Sequence[str]) -> tuple[Places, Places, Places]:
    """Row, column and count of every feature, sorted by row. `texts`: normalised words with one space between them and
    no line break. Every text has at least one feature, also an empty one."""
    together = "".join(f"\n {text} " for text in texts) + "\n"
    letters: Hashes = np.frombuffer(together.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    of_all = (np.arange(len(texts), dtype=np.intp), np.zeros(len(texts), np.uint64))
    found = [of_all, *_pieces(letters), *_words(letters)]
    rows = np.concatenate([row for row, _ in found])
    hashes = np.concatenate([hash_ for _, hash_ in found])
    columns = ((hashes * _STIR) >> np.uint64(64 - _BITS)).astype(np.intp)
    each, counts = np.unique((rows << _BITS) | columns, return_counts=True)
    return each >> _BITS, each & (COLUMNS - 1), counts


def _pieces(letters: Hashes) -> list[tuple[Places, Hashes]]:
    """All that stands side by side in a word, from two letters to `LONGEST`, the spaces around it among them."""
    rows = np.cumsum(letters == _END) - 1
    end, space = letters == _END, letters == _SPACE
    found, hashes, bad = [], letters, end | np.append(space[1:] & space[:-1], [False])
    for size in range(2, LONGEST + 1):
        hashes = hashes[:-1] * _STEP + letters[size - 1 :]
        bad = bad[:-1] | end[size - 1 :]
        if size > 2:
            bad |= space[size - 2 : len(space) - 1]  # a space inside
        at = np.flatnonzero(~bad)
        found.append((rows[at], hashes[at] + np.uint64(size)))
    return found


def _words(letters: Hashes) -> list[tuple[Places, Hashes]]:
    """Every word, and every two neighbours."""
    inside = (letters != _END) & (letters != _SPACE)
    starts = np.flatnonzero(inside & ~np.append([False], inside[:-1]))
    if not len(starts):
        return []
    number = np.cumsum(np.isin(np.arange(len(letters)), starts)) - 1
    at = np.flatnonzero(inside)
    place = np.minimum(at - starts[number[at]], _LETTERS_OF_A_WORD)
    steps = np.cumprod(np.full(_LETTERS_OF_A_WORD + 1, _STEP))
    first = np.flatnonzero(np.append([True], number[at][1:] != number[at][:-1]))
    words = np.add.reduceat(letters[at] * steps[place], first)
    rows = (np.cumsum(letters == _END) - 1)[starts]
    near = rows[1:] == rows[:-1]
    pairs = (words[:-1] * _STEP + words[1:])[near]
    return [(rows, words + np.uint64(LONGEST + 1)), (rows[1:][near], pairs + np.uint64(LONGEST + 2))]
