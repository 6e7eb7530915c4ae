"""What the classifier sees of a text: n-grams of characters inside words, and of words.

Plain Python on purpose: training and serving run the same code, and serving needs no scikit-learn.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

LONGEST_NGRAM = 4
# Beyond this nothing in a message tells any more what the person wants, and parsing stays quick.
MAX_CHARACTERS = 1_000

# One way to write what people write in several: hamza carriers, final ya, ta marbuta,
# tatweel; the invisible mark that makes a sign an emoji goes.
_ONE_FORM = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ى": "ي", "ة": "ه", "ؤ": "و", "ئ": "ي", "ـ": "", "\ufe0f": ""})

_SIGNS = re.compile("[\u3400-\u9fff]")


def words(text: str) -> list[str]:
    """Lower-case words without accents, and emoji; punctuation is dropped."""
    folded = unicodedata.normalize("NFKD", text[:MAX_CHARACTERS].lower())
    folded = "".join(letter for letter in folded if not unicodedata.combining(letter))
    folded = unicodedata.normalize("NFC", folded).translate(_ONE_FORM)
    return "".join(map(_spaced, folded)).split()


def _spaced(letter: str) -> str:
    category = unicodedata.category(letter)
    if category == "So":
        return f" {letter} "
    # Marks belong to the word: the vowel signs of Bengali are no letters for the `re` module.
    return letter if category[0] in "LNM" else " "


def blocks(text: str) -> tuple[list[str], list[str]]:
    """Character features and word features; each block is weighted and normalised by itself."""
    tokens = words(text)
    return _character_features(tokens), _word_features(tokens)


def _character_features(tokens: list[str]) -> list[str]:
    features: list[str] = []
    for token in tokens:
        features.extend(token)
        padded = f" {token} "
        for size in range(2, LONGEST_NGRAM + 1):
            if size >= len(padded):
                features.append(padded)
                break
            features.extend(padded[at : at + size] for at in range(len(padded) - size + 1))
    return features


def _word_features(tokens: list[str]) -> list[str]:
    """Single words, neighbours, and how the text begins and ends ("where …", "… please")."""
    tokens = [part for token in tokens for part in _SIGNS.sub(r" \g<0> ", token).split()]
    if not tokens:
        return []
    features = [f"w:{token}" for token in tokens]
    features.extend(f"w:{left}_{right}" for left, right in pairwise(tokens))
    features.append(f"^{tokens[0]}")
    features.append(f"^{'_'.join(tokens[:2])}")
    features.append(f"{tokens[-1]}$")
    return features
