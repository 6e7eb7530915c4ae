"""Recognises that somebody is in danger, before anything else is done with a message (design section 4.2).

Fixed phrases that people can review line by line, in `emergency_phrases/<code>.txt`; adding a language is adding one
file. All files hold at once, for people do not always write in the language they chose. How it works: every word of a
message gets one bit, so the places of a word, of a list of words and of a whole phrase are integers, and "b within
four words after a" is a shift and an AND. Nothing backtracks, so no message can make it slow.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import permutations
from pathlib import Path

from bot.turn import Emergency
from knowledge_base.normalise import normalise

PHRASES = Path(__file__).with_name("emergency_phrases")

NUMBERS: Mapping[str, tuple[str, ...]] = {
    "violence": ("112", "1522"),
    "attack": ("112",),
    "suicide": ("112",),
    "child": ("114", "112"),
    "missing": ("116000", "112"),
    "trafficking": ("numero-verde-antitratta", "112"),
    "medical": ("112",),
    "fire": ("112",),
}
"""Every kind, most urgent first, with the entries whose numbers it needs."""

_LONGEST = 20_000
"""Letters looked at; of a longer message the beginning and the end."""


def detect(text: str) -> Emergency | None:
    """The most urgent kind of danger a message speaks of, with the numbers of every kind it speaks of."""
    found = {pattern.kind for pattern in _rules().matches(text)}
    kinds = [kind for kind in NUMBERS if kind in found]
    if not kinds:
        return None
    lines = dict.fromkeys(line for kind in kinds for line in NUMBERS[kind])
    if any(NUMBERS[kind][0] == "112" for kind in kinds):
        lines = {"112": None} | lines
    return Emergency(kinds[0], tuple(lines))


# --- Spelling: the same for messages and for phrases ------------------------------------------------------------------

_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼ`´ʿʾ′", "'"))
_SAME = (
    ("گڭ", "ك"), ("پ", "ب"), ("چ", "ج"), ("ڤ", "ف"), ("ژ", "ز"), ("ٹ", "ت"), ("ڈ", "د"), ("ڑ", "ر"),
    ("_", " "), ("؟。؛！？；۔।", "."), ("🆘", " sos "),
)  # fmt: skip
_SAME_LETTER = str.maketrans({letter: same for letters, same in _SAME for letter in letters})
_LETTER_DIGITS = str.maketrans({"2": "", "3": "a", "5": "kh", "6": "t", "7": "h", "8": "gh", "9": "q"})
_TWICE = re.compile(r"([^\W\d\u0620-\u06ff]|[اوي])\1+")
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_INDIC = "\u0900-\u0dff"  # vowel signs are not \w
_HEAP = re.compile("([\u0300-\u036f])[\u0300-\u036f]+")  # sorting thousands of marks on one letter would be slow
_TOKEN = re.compile(rf"[\w{_INDIC}]+(?:'[\w{_INDIC}]+)*|[.?!;\n][.?!;\s]*")


def _letters(text: str) -> str:
    """Further than search goes: letters that sound alike are one."""
    if len(text) > _LONGEST:
        text = text[: _LONGEST // 2] + "\n" + text[-_LONGEST // 2 :]
    text = normalise(_HEAP.sub(r"\1", text).translate(_APOSTROPHES)).translate(_SAME_LETTER)[:_LONGEST]
    return _CHINESE.sub(r" \g<0> ", text) if _CHINESE.search(text) else text


def _figures(word: str) -> str:
    """Latin-script Arabic writes letters as digits; figures stay figures."""
    mixed = not (word.isalpha() or word.isdigit()) and any("a" <= letter <= "z" for letter in word)
    return (word.translate(_LETTER_DIGITS) if mixed else word)[:40]


@lru_cache(maxsize=50_000)
def _spell(word: str) -> str:
    """Double letters, which are misspelled more than anything else, are written once."""
    return _TWICE.sub(r"\1", _figures(word))


def _places(text: str) -> dict[str, int]:
    """Every word with its places as bits. A word with an apostrophe counts as its parts and as one word."""
    places: dict[str, int] = defaultdict(int)
    places["^"] = position = 1
    for token in _TOKEN.findall(_letters(text)):
        position <<= 1
        if token[0] in ".?!;\n":
            continue
        if "'" not in token:
            places[_spell(token)] |= position
            continue
        whole, parts = 0, token.split("'")
        for part in parts:
            places[_spell(part)] |= position
            whole |= position
            position <<= 1
        position >>= 1
        places[_spell("".join(parts))] |= whole
    places["$"] |= position << 1
    return places


_BY_EAR = (
    ("ch", "s"), ("sh", "s"), ("kh", "x"), ("gh", "g"), ("th", "t"), ("dh", "d"), ("dj", "j"), ("q", "k"), ("c", "k"),
    ("p", "b"), ("h ", " "),
)  # fmt: skip
_VOWELS = "aeiouyw"
_INNER_VOWELS = re.compile(f"(?<! )[{_VOWELS}]+(?! )")
_OUTER_VOWELS = re.compile(f"[{_VOWELS}]+")


def _by_ear(words: Iterable[str]) -> list[str]:
    """What is left of Arabic in Latin letters when everybody writes it differently: the consonants, and whether a
    vowel comes before or after them."""
    text = " " + " ".join(words) + " "
    for written, heard in _BY_EAR:
        text = text.replace(written, heard)
    text = _OUTER_VOWELS.sub("a", _INNER_VOWELS.sub("", _OUTER_VOWELS.sub("a", text)))
    return _TWICE.sub(r"\1", text).split(" ")[1:-1]


def _one_edit(word: str, typed: str, *, prefix: bool) -> bool:
    """Whether one letter was added, left out, changed, or swapped with the next; `prefix`: typed may go on."""
    same = 0
    while same < len(word) and same < len(typed) and word[same] == typed[same]:
        same += 1
    pairs = [(word[same + 1 :], typed[same + 1 :]), (word[same:], typed[same + 1 :]), (word[same + 1 :], typed[same:])]
    if word[same : same + 2] == typed[same : same + 2][::-1]:
        pairs.append((word[same + 2 :], typed[same + 2 :]))
    return any(rest.startswith(wanted) if prefix else rest == wanted for wanted, rest in pairs)


# --- Vocabulary: which words of the phrase files a word of a message can be ------------------------------------------

_KEY = 3
"""Letters that a beginning, an ending or a word compared by ear has at least."""
_FUZZY = 6
"""Letters a word of a phrase must have for a typo to be forgiven."""
_STARTS = {">": ("", "ي", "ت", "بي", "كي"), "+": (), "=": ("", "ال")}
"""What Arabic puts before a word, which counts among its letters."""
_ARABIC_PREFIXES = ("و", "ف", "ال", "وال", "بال", "لل", "ولل", "عال")

Atom = tuple[str, ...]
"""One alternative of a phrase: its words in a row, each with its mark: `=word`, `<beginning`, `>end`,
`+inside`, `~by ear`, `@inside by ear`."""


def _forms(word: str) -> list[str]:
    """The word, and in Arabic script the word without "and", "the", "with the", "to the"."""
    if not "\u0600" <= word[0] <= "\u06ff":
        return [word]
    rest = [word[len(start) :] for start in _ARABIC_PREFIXES if word.startswith(start)]
    return [word, *(form for form in rest if len(form) > 2 or (word[0] == "و" and len(form) == 2))]


def _inside(word: str, index: Mapping[str, set[tuple[str, int]]]) -> set[int]:
    found: set[int] = set()
    for at in range(len(word) - _KEY + 1):
        for part, number in index.get(word[at : at + _KEY], ()):
            if word.startswith(part, at):
                found.add(number)
    return found


class _Vocabulary:
    """Which words of the phrases a word can stand for; words are numbered."""

    def __init__(self) -> None:
        self._exact: dict[str, set[int]] = defaultdict(set)
        self._by_ear: dict[str, set[int]] = defaultdict(set)
        self._starts: dict[str, set[tuple[str, int]]] = defaultdict(set)
        self._ends: dict[str, set[tuple[str, int]]] = defaultdict(set)
        self._inside: dict[str, set[tuple[str, int]]] = defaultdict(set)
        self._inside_by_ear: dict[str, set[tuple[str, int]]] = defaultdict(set)
        self._near: dict[str, set[tuple[str, bool, int]]] = defaultdict(set)
        self.not_typos: set[str] = set()
        self.find = lru_cache(maxsize=50_000)(self._find)

    def add(self, word: str, number: int, raw: str) -> None:
        """`raw`: the word before double letters were written once."""
        mark, word = word[0], word[1:]
        if mark in "<>+@":
            index = {"<": self._starts, ">": self._ends, "+": self._inside, "@": self._inside_by_ear}[mark]
            index[word[-_KEY:] if mark == ">" else word[:_KEY]].add((word, number))
        else:
            self._exact[word].add(number)
        if mark == "~" and len((sound := _by_ear([word])[0]).strip("a")) >= _KEY:
            self._by_ear[sound].add(number)
        for start in _STARTS.get(mark, ("",)) if "\u0600" <= word[0] <= "\u06ff" else ("",) * (mark not in ">+@"):
            self._forgive(start + word, start + raw, number, prefix=mark == "<")

    def _forgive(self, word: str, raw: str, number: int, *, prefix: bool) -> None:
        """Typos in long words. One inside a double letter is seen only where it is still double."""
        if len(raw) < _FUZZY or len(word) < _FUZZY - (not prefix):
            return
        for spelling in {word, raw}:
            for key in {spelling[:5], *(spelling[:at] + spelling[at + 1 : 6] for at in range(6))}:
                self._near[key].add((spelling, prefix, number))

    def _find(self, word: str, sound: str) -> set[int]:
        found: set[int] = set()
        if word not in self.not_typos:
            found |= self._by_ear.get(sound, set())
            found |= _inside(sound, self._inside_by_ear)
            found |= _inside(word, self._inside)
        for form in _forms(word):
            known = form in self._exact
            if known:
                found |= self._exact[form]
            if form[:_KEY] in self._starts:
                found.update(number for start, number in self._starts[form[:_KEY]] if form.startswith(start))
            if form[-_KEY:] in self._ends:
                found.update(number for end, number in self._ends[form[-_KEY:]] if form.endswith(end))
            if not known and len(form) >= _FUZZY - 2 and form not in self.not_typos:
                self._find_typo(form, found)
        return found

    def _find_typo(self, word: str, found: set[int]) -> None:
        """Two words one edit apart share five of their first six letters, in order."""
        size = len(word)
        for key in {word[:5], *(word[:at] + word[at + 1 : 6] for at in range(min(5, size)))}:
            for wanted, prefix, number in self._near.get(key, ()):
                if (prefix or -2 < size - len(wanted) < 2) and _one_edit(wanted, word, prefix=prefix):
                    found.add(number)


# --- Phrases ----------------------------------------------------------------------------------------------------------

_GAP = 3
_GAPS = {".": 0, "..": 2, "&": 5, "...": 9}
"""How many words may stand in between, unless it is the usual number."""
_SECTIONS = ("options", "words", "not typos", *NUMBERS)


@dataclass(frozen=True, slots=True)
class Pattern:
    kind: str
    """Empty for a look-alike: its words count for nothing."""
    elements: tuple[int, ...]
    gaps: tuple[int, ...]
    """How many words may stand before each element but the first."""
    source: str
    """File and line, for whoever reviews an alarm."""

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
        elif text and section not in _SECTIONS:
            raise ValueError(f"{path.name}:{number}: unknown section {section!r}")
        elif text:
            yield _Line(section, text, f"{path.name}:{number}")


class _Rules:
    """All phrase files, ready to be looked up. Raises ValueError with file and line for a line it cannot read."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._vocabulary = _Vocabulary()
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
        places = _places(text)
        words = [word for word in places if word]
        known = {
            word: found
            for word, sound in zip(words, _by_ear(words), strict=True)
            if (found := self._vocabulary.find(word, sound))
        }
        masks = self._element_masks(known, places)
        alarms = [pattern for pattern in _candidates(self._alarms, masks) if pattern.ends(masks)[-1]]
        covered = 0
        for pattern in _candidates(self._look_alikes, masks) if alarms else ():
            covered |= pattern.covers(masks)
        # A phrase of several words may go on past the place where it was reached.
        sure = [pattern for pattern in alarms if not covered or not covered & _window(pattern.covers(masks) >> 1, 6)]
        kinds = {pattern.kind for pattern in sure}
        if doubtful := [pattern for pattern in alarms if pattern.kind not in kinds]:
            masks = self._element_masks(known, {word: mask & ~covered for word, mask in places.items()})
            sure += [pattern for pattern in doubtful if pattern.ends(masks)[-1]]
        return sure

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
                if line.section == "options":
                    by_ear = {"spelling = by ear": True}[line.text]
                elif line.section == "words":
                    name, _, words = line.text.partition(" = ")
                    lists[name] += words.split()
                elif line.section == "not typos":
                    forms = (form for word in line.text.split() for form in _forms(_spell(_letters(word))))
                    self._vocabulary.not_typos.update(forms)
                else:
                    yield from self._patterns(line, lists, by_ear)
            except (KeyError, ValueError) as error:
                raise ValueError(f"{line.source}: cannot read {line.text!r}") from error

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
    raws = [_figures(token.replace("'", "")) for token in _TOKEN.findall(_letters(bare))]
    for raw in raws:
        word = _spell(raw)
        if mark == "@":
            word = _by_ear([word])[0].strip("a")
        if mark != whole and len(word) < _KEY:
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


@cache
def _rules() -> _Rules:
    return _Rules(sorted(PHRASES.glob("*.txt")))
