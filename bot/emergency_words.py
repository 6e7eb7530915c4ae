"""Spelling and vocabulary of the emergency rules: which words of the phrase files a typed word can be."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from knowledge_base.normalise import normalise

_LONGEST = 20_000
"""Letters looked at; of a longer message the beginning and the end."""

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
_AROUND = " \n\t.?!;,:…·'\"()*-"
TOKEN = re.compile(rf"[\w{_INDIC}]+(?:'[\w{_INDIC}]+)*|[.?!;\n][.?!;\s]*")


def letters_of(text: str) -> str:
    """Further than search goes: letters that sound alike are one."""
    if len(text) > _LONGEST:
        text = text[: _LONGEST // 2] + "\n" + text[-_LONGEST // 2 :]
    text = normalise(_HEAP.sub(r"\1", text).translate(_APOSTROPHES)).translate(_SAME_LETTER)[:_LONGEST]
    return _CHINESE.sub(r" \g<0> ", text) if _CHINESE.search(text) else text


def with_letters_for_figures(word: str) -> str:
    """Latin-script Arabic writes letters as digits; figures stay figures."""
    mixed = not (word.isalpha() or word.isdigit()) and any("a" <= letter <= "z" for letter in word)
    return (word.translate(_LETTER_DIGITS) if mixed else word)[:40]


@lru_cache(maxsize=50_000)
def spell(word: str) -> str:
    """Double letters, which are misspelled more than anything else, are written once; a word of two letters would
    become another («її», her, is not «і», and)."""
    word = with_letters_for_figures(word)
    return _TWICE.sub(r"\1", word) if len(word) > 2 else word


def places_of(text: str) -> dict[str, int]:
    """Every word with its places as bits. A word with an apostrophe counts as its parts and as one word."""
    places: dict[str, int] = defaultdict(int)
    places["^"] = position = 1
    # «Help!!!» begins and ends with the word, whatever marks stand around it.
    for token in TOKEN.findall(letters_of(text).strip(_AROUND)):
        position <<= 1
        if token[0] in ".?!;\n":
            continue
        if "'" not in token:
            places[spell(token)] |= position
            continue
        whole, parts = 0, token.split("'")
        for part in parts:
            places[spell(part)] |= position
            whole |= position
            position <<= 1
        position >>= 1
        places[spell("".join(parts))] |= whole
    places["$"] |= position << 1
    return places


_BY_EAR = (
    ("ch", "s"), ("sh", "s"), ("kh", "x"), ("gh", "g"), ("th", "t"), ("dh", "d"), ("dj", "j"), ("q", "k"), ("c", "k"),
    ("p", "b"), ("h ", " "),
)  # fmt: skip
_VOWELS = "aeiouyw"
_INNER_VOWELS = re.compile(f"(?<! )[{_VOWELS}]+(?! )")
_OUTER_VOWELS = re.compile(f"[{_VOWELS}]+")


def written_by_ear(words: Iterable[str]) -> list[str]:
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

KEY = 3
"""Letters that a beginning, an ending or a word compared by ear has at least."""
_FUZZY = 6
"""Letters a word of a phrase must have for a typo to be forgiven."""
_STARTS = {">": ("", "ي", "ت", "بي", "كي"), "+": (), "=": ("", "ال")}
"""What Arabic puts before a word, which counts among its letters."""
_ARABIC_PREFIXES = ("و", "ف", "ال", "وال", "بال", "لل", "ولل", "عال")

Atom = tuple[str, ...]
"""One alternative of a phrase: its words in a row, each with its mark: `=word`, `<beginning`, `>end`,
`+inside`, `~by ear`, `@inside by ear`."""


def forms_of(word: str) -> list[str]:
    """The word, and in Arabic script the word without "and", "the", "with the", "to the"."""
    if not "\u0600" <= word[0] <= "\u06ff":
        return [word]
    rest = [word[len(start) :] for start in _ARABIC_PREFIXES if word.startswith(start)]
    return [word, *(form for form in rest if len(form) > 2 or (word[0] == "و" and len(form) == 2))]


def _inside(word: str, index: Mapping[str, set[tuple[str, int]]]) -> set[int]:
    found: set[int] = set()
    for at in range(len(word) - KEY + 1):
        for part, number in index.get(word[at : at + KEY], ()):
            if word.startswith(part, at):
                found.add(number)
    return found


class Vocabulary:
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

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "find"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.find = lru_cache(maxsize=50_000)(self._find)

    def add(self, word: str, number: int, raw: str) -> None:
        """`raw`: the word before double letters were written once."""
        mark, word = word[0], word[1:]
        if mark in "<>+@":
            index = {"<": self._starts, ">": self._ends, "+": self._inside, "@": self._inside_by_ear}[mark]
            index[word[-KEY:] if mark == ">" else word[:KEY]].add((word, number))
        else:
            self._exact[word].add(number)
        if mark == "~" and len((sound := written_by_ear([word])[0]).strip("a")) >= KEY:
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
        for form in forms_of(word):
            known = form in self._exact
            if known:
                found |= self._exact[form]
            if form[:KEY] in self._starts:
                found.update(number for start, number in self._starts[form[:KEY]] if form.startswith(start))
            if form[-KEY:] in self._ends:
                found.update(number for end, number in self._ends[form[-KEY:]] if form.endswith(end))
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
