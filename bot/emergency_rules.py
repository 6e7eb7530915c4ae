"""The fixed phrases of danger: `emergency_phrases/<code>.txt`, and how they are found in a message.

Every word of a message gets one bit, so the places of a word, of a list of words and of a whole phrase are integers,
and "b within four words after a" is a shift and an AND. Nothing backtracks, so no message can make it slow.
"""

import functools
import operator
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from bot.emergency_kinds import KINDS
from bot.emergency_words import (
    KEY,
    TOKEN,
    Atom,
    Vocabulary,
    forms_of,
    letters_of,
    places_of,
    spell,
    with_letters_for_figures,
    written_by_ear,
)

PHRASES = Path(__file__).with_name("emergency_phrases")

_GAP = 3
_GAPS = {".": 0, "..": 2, "&": 5, "...": 9, "....": 25}
"""How many words may stand in between, unless it is the usual number."""


@dataclass(frozen=True, slots=True)
class Pattern:
    kind: str
    """Empty for a look-alike: its words count for nothing."""
    elements: tuple[int, ...]
    gaps: tuple[int, ...]
    """How many words may stand before each element but the first."""
    source: str
    """File and line, for whoever reviews an alarm."""

    @property
    def file(self) -> str:
        return self.source.partition(":")[0]

    def ends(self, masks: Mapping[int, int]) -> list[int]:
        """Where the phrase can have come to, element by element; the last one is 0 when it does not occur."""
        reached = [masks.get(self.elements[0], 0)]
        for element, gap in zip(self.elements[1:], self.gaps, strict=True):
            if not reached[-1]:
                return [0]
            reached.append(_window(reached[-1], gap + 1) & masks.get(element, 0))
        return reached

    def covers(self, masks: Mapping[int, int]) -> int:
        """Places of all the words of all its occurrences."""
        reached = self.ends(masks)
        covered = here = reached[-1]
        if not here:
            return 0
        for before, gap in zip(reached[-2::-1], self.gaps[::-1], strict=True):
            width = gap + 1
            here = before & (_window(here, width) >> (width + 1))
            covered |= here
        return covered


def _window(mask: int, width: int) -> int:
    """The next `width` places after each."""
    mask, done = mask << 1, 1
    while done < width:
        step = min(done, width - done)
        mask |= mask << step
        done += step
    return mask


@dataclass(frozen=True, slots=True)
class _Line:
    section: str
    text: str
    source: str


def _lines(path: Path) -> Iterator[_Line]:
    section = ""
    for number, raw in enumerate(path.read_text("utf-8").splitlines(), 1):
        text = raw.partition("#")[0].strip()
        if text.startswith("["):
            section = text.strip("[]")
        elif text:
            yield _Line(section, text, f"{path.name}:{number}")


class Rules:
    """All phrase files, ready to be looked up. A line that cannot be read is in `unread`, with its file and number, and
    silences no other."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.unread: list[str] = []
        self._close_to: dict[str, list[str]] = defaultdict(list)
        self._vocabulary = Vocabulary()
        self._phrases: dict[int, tuple[int, ...]] = {}
        self._atoms: dict[Atom, int] = {}
        self._read_before: dict[tuple[str, bool], int] = {}
        self._lists: dict[tuple[str, str, bool], tuple[int, frozenset[int]]] = {}
        self._elements: dict[frozenset[int], int] = {}
        patterns = [pattern for path in paths for pattern in self._read(path)]
        self._lists_of = _members(self._lists.values())
        self._elements_of = _members((element, atoms) for atoms, element in self._elements.items())
        used = Counter(part for parts in self._phrases.values() for part in parts)
        rarest = {phrase: min(parts, key=used.__getitem__) for phrase, parts in self._phrases.items()}
        self._phrases_of = _members((phrase, (part,)) for phrase, part in rarest.items())
        self._alarms = _by_rarest([pattern for pattern in patterns if pattern.kind])
        self._look_alikes = _by_rarest([pattern for pattern in patterns if not pattern.kind])

    def matches(self, text: str) -> list[Pattern]:
        """The phrases of danger in a text, when the words of look-alikes have been taken out."""
        places = places_of(text)
        words = [word for word in places if word]
        known = {
            word: found
            for word, sound in zip(words, written_by_ear(words), strict=True)
            if (found := self._vocabulary.find(word, sound))
        }
        masks = self._element_masks(known, places)
        alarms = [pattern for pattern in _candidates(self._alarms, masks) if pattern.ends(masks)[-1]]
        covered = self._covered(masks) if alarms else {}
        everywhere = functools.reduce(operator.or_, covered.values(), 0)
        # Of another language a look-alike counts only when the whole alarm is in it: «tocca a», it is the turn of, must
        # not hide «el padrastro toca a la niña».
        alarms = [one for one in alarms if not covered or one.covers(masks) & ~everywhere]
        # A phrase of several words may go on past the place where it was reached.
        sure = [one for one in alarms if not covered.get(one.file, 0) & _window(one.covers(masks) >> 1, 6)]
        kinds = {pattern.kind for pattern in sure}
        doubtful = [pattern for pattern in alarms if pattern.kind not in kinds]
        for file in {pattern.file for pattern in doubtful}:
            left = {word: mask & ~covered[file] for word, mask in places.items()}
            masks = self._element_masks(known, left)
            sure += [pattern for pattern in doubtful if pattern.file == file and pattern.ends(masks)[-1]]
        return sure

    def _covered(self, masks: Mapping[int, int]) -> Mapping[str, int]:
        """Places of the words of look-alikes, by file; those of a close language count as its own."""
        covered: dict[str, int] = defaultdict(int)
        for pattern in _candidates(self._look_alikes, masks):
            if here := pattern.covers(masks):
                for file in (pattern.file, *self._close_to[pattern.file]):
                    covered[file] |= here
        return covered

    def _element_masks(self, known: Mapping[str, set[int]], places: Mapping[str, int]) -> Mapping[int, int]:
        """Where each element of a phrase occurs: from words to phrases of words, to lists, to elements."""
        atoms = _spread(((places[text], numbers) for text, numbers in known.items()))
        atoms.update(self._phrase_masks(atoms))
        atoms.update(_spread((mask, self._lists_of.get(atom, ())) for atom, mask in atoms.items()))
        return _spread((mask, self._elements_of.get(atom, ())) for atom, mask in atoms.items())

    def _phrase_masks(self, words: Mapping[int, int]) -> Iterator[tuple[int, int]]:
        """Alternatives of several words in a row; all their places count, so that both neighbours are next to them."""
        for phrase in [phrase for word in words for phrase in self._phrases_of.get(word, ())]:
            parts = self._phrases[phrase]
            here = words.get(parts[0], 0)
            for part in parts[1:]:
                here = (here << 1) & words.get(part, 0) if here else 0
            if here:
                for _ in parts[1:]:
                    here |= here >> 1
                yield phrase, here

    def _read(self, path: Path) -> Iterator[Pattern]:
        lists: dict[str, list[str]] = defaultdict(list)
        by_ear = False
        for line in _lines(path):
            try:
                if line.section == "options" and line.text.startswith("look-alikes of = "):
                    self._close_to[line.text.removeprefix("look-alikes of = ")].append(path.name)
                elif line.section == "options":
                    by_ear = {"spelling = by ear": True}[line.text]
                elif line.section == "words":
                    name, _, words = line.text.partition(" = ")
                    lists[name] += words.split()
                elif line.section == "not typos":
                    forms = (form for word in line.text.split() for form in forms_of(spell(letters_of(word))))
                    self._vocabulary.not_typos.update(forms)
                elif line.section in KINDS:
                    yield from list(self._patterns(line, lists, by_ear))
                else:
                    raise ValueError(f"unknown section {line.section!r}")
            except (KeyError, ValueError) as error:
                self.unread.append(f"{line.source}: cannot read {line.text!r}: {error}")

    def _patterns(self, line: _Line, lists: Mapping[str, list[str]], by_ear: bool) -> Iterator[Pattern]:
        kind = "" if line.text.startswith("!") else line.section
        for parts in permutations(line.text.removeprefix("!").split(" & ")):
            for specs in _with_and_without(" & ".join(parts).split()):
                elements: list[int] = []
                gaps: list[int] = []
                gap: int | None = None
                # By ear "I took" and "she took" are the same: not for look-alikes, nor for a single word.
                heard = by_ear and bool(kind) and len([spec for spec in specs if spec not in _GAPS]) > 1
                for spec in specs:
                    if spec in _GAPS:
                        gap = max(gap or 0, _GAPS[spec])
                        continue
                    atoms = frozenset(self._alternative(part, line, lists, heard) for part in spec.split("|"))
                    elements.append(self._elements.setdefault(atoms, len(self._elements)))
                    gaps.append(_GAP if gap is None else gap)
                    gap = None
                yield Pattern(kind, tuple(elements), tuple(gaps[1:]), line.source)

    def _alternative(self, part: str, line: _Line, lists: Mapping[str, list[str]], by_ear: bool) -> int:
        if not part.startswith("@"):
            return self._atom(part, by_ear)
        key = (line.source.partition(":")[0], part, by_ear)
        if key not in self._lists:
            if part[1:] not in lists:
                raise ValueError(f"no list {part}")
            atoms = frozenset(self._atom(word, by_ear) for word in lists[part[1:]])
            self._lists[key] = (self._atoms.setdefault((str(key),), len(self._atoms)), atoms)
        return self._lists[key][0]

    def _atom(self, spec: str, by_ear: bool) -> int:
        if (spec, by_ear) in self._read_before:
            return self._read_before[spec, by_ear]
        words = [word for part in re.split("[_-]", spec) for word in _marked(part, by_ear)]
        numbers = tuple(self._atoms.setdefault((word,), len(self._atoms)) for word, _ in words)
        for number, (word, raw) in zip(numbers, words, strict=True):
            self._vocabulary.add(word, number, raw)
        atom = self._atoms.setdefault(tuple(word for word, _ in words), len(self._atoms))
        if len(numbers) > 1:
            self._phrases[atom] = numbers
        self._read_before[spec, by_ear] = atom
        return atom


def _members(groups: Iterable[tuple[int, Iterable[int]]]) -> Mapping[int, list[int]]:
    """The groups each member is in."""
    found: dict[int, list[int]] = defaultdict(list)
    for group, members in groups:
        for member in members:
            found[member].append(group)
    return found


def _spread(masks: Iterable[tuple[int, Iterable[int]]]) -> dict[int, int]:
    """Every mask to all its groups."""
    found: dict[int, int] = defaultdict(int)
    for mask, groups in masks:
        if mask:
            for group in groups:
                found[group] |= mask
    return found


def _with_and_without(specs: list[str]) -> Iterator[list[str]]:
    """A word with a question mark may be missing: then the phrase is read once with it and once without."""
    at = next((at for at, spec in enumerate(specs) if spec.endswith("?")), None)
    if at is None:
        yield specs
        return
    yield from _with_and_without([*specs[:at], specs[at][:-1], *specs[at + 1 :]])
    yield from _with_and_without(specs[:at] + specs[at + 1 :])


def _marked(part: str, by_ear: bool) -> Iterator[tuple[str, str]]:
    """The words of a phrase as messages are spelled, marked as in `Atom`; and as they were written."""
    if part in ("^", "$"):
        yield "=" + part, part
        return
    bare = part.strip("*")
    by_ear = by_ear and bare.isascii()
    whole = "~" if by_ear else "="
    mark = {(True, False): ">", (False, True): "<", (True, True): "@" if by_ear else "+"}.get(
        (part.startswith("*"), part.endswith("*")), whole
    )
    raws = [with_letters_for_figures(token.replace("'", "")) for token in TOKEN.findall(letters_of(bare))]
    for raw in raws:
        word = spell(raw)
        if mark == "@":
            word = written_by_ear([word])[0].strip("a")
        if mark != whole and len(word) < KEY:
            raise ValueError(f"{part!r} has too few letters")
        yield mark + word, raw.removeprefix("ال")
    if not raws:
        raise ValueError(f"{part!r} has no letters")


def _by_rarest(patterns: Iterable[Pattern]) -> Mapping[int, list[Pattern]]:
    """Each phrase under the one of its elements that fewest phrases have."""
    patterns = list(patterns)
    used = Counter(element for pattern in patterns for element in pattern.elements)
    index: dict[int, list[Pattern]] = defaultdict(list)
    for pattern in patterns:
        index[min(pattern.elements, key=lambda element: used[element])].append(pattern)
    return index


def _candidates(index: Mapping[int, list[Pattern]], masks: Mapping[int, int]) -> Iterator[Pattern]:
    for element in masks:
        for pattern in index.get(element, ()):
            if all(other in masks for other in pattern.elements):
                yield pattern
