"""How easily an Italian text is read: the Gulpease index."""

import re

from knowledge_base.entry import Text

PLAIN = 60
"""People with a lower secondary school certificate read it with ease (Lucisano and Piemontese, 1988: 60)."""
SIMPLE = 75
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_END = re.compile(r"[.!?:;]+(?:\s|$)")


def gulpease(text: str) -> float:
    """89 + (300 · sentences − 10 · letters) / words; 100 is easiest, more is possible for very short sentences.

    Source: P. Lucisano, M. E. Piemontese, «GULPEASE: una formula per la predizione della difficoltà dei testi in lingua
    italiana», Scuola e città 3, 1988. A text without words counts as easy.
    """
    words = _WORD.findall(text)
    if not words:
        return 100.0
    sentences = max(1, len(_END.findall(text)))
    letters: int = sum(letter.isalnum() for word in words for letter in word)
    return 89 + (300 * sentences - 10 * letters) / len(words)


def of_text(text: Text) -> tuple[float, float]:
    """Of everything a card shows, and of the simpler words. Each item of a list is a sentence."""
    parts = [text.summary, text.who, *text.bring, text.cost, text.hours, *text.steps]
    sentences = [part if part.rstrip().endswith((".", "!", "?")) else f"{part}." for part in parts if part]
    return gulpease(" ".join(sentences)), gulpease(text.simple)
