"""Words of other scripts in Latin letters, folded so that spellings of one sound are one.

«квестура», "kvestura" and "questura" become alike, and so do Ukrainian and Russian words that differ in a vowel: what
is written in one language then says something of a question in another, and in Cyrillic of one in Latin letters. On
questions left out, the right entry came first this much more often: Russian and Ukrainian +8 of a hundred, Bengali +4,
the others up to +1. Vowels are not written in Arabic letters; their words meet by their consonants (`sound`).
"""

import re

_SOUNDS = {
    "a": "аাআ",
    "b": "бব",
    "c": "чচছ",
    "d": "дডঢদধ",
    "e": "еєэёেএ",
    "f": "фফ",
    "g": "гґগঘ",
    "h": "хহ",
    "i": "иіїыйিীজঝযইঈ",
    "k": "кকখ",
    "l": "лল",
    "m": "мম",
    "n": "нঙঞণনং",
    "o": "оোঅও",
    "p": "пপ",
    "r": "рর",
    "s": "сшщশষস",
    "t": "тটঠতথৎ",
    "u": "уўুূৌউঊঔ",
    "v": "вভ",
    "z": "жз",
    "ia": "я",
    "iu": "ю",
    "oi": "ৈঐ",
    "ri": "ৃঋ",
    "ts": "ц",
    "": "ъьঃঁ্\u09bc",
}
"""Sound -> the Cyrillic and Bengali letters that stand for it."""
_LETTERS = {ord(letter): heard for heard, letters in _SOUNDS.items() for letter in letters}
_SPELLINGS = {
    "shch": "s", "sch": "s", "zh": "z", "sh": "s", "ch": "c", "kh": "h", "gh": "g", "ph": "f", "th": "t", "dh": "d",
    "bh": "b", "y": "i", "j": "i", "w": "v", "ou": "u", "ck": "k", "q": "k",
}  # fmt: skip
_SPELLING = re.compile("|".join(_SPELLINGS))


def roman(word: str) -> str:
    """A normalised word in folded Latin letters; letters of scripts not told of above stay."""
    return _SPELLING.sub(lambda found: _SPELLINGS[found[0]], word.translate(_LETTERS))
