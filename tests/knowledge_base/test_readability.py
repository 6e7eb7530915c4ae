"""Italian texts are easy to read, and the simpler words are easier."""

import pytest

from knowledge_base.files import Content
from knowledge_base.readability import PLAIN, SIMPLE, gulpease, of_text


@pytest.mark.parametrize(
    "text, index",
    [
        # 6 words, 27 letters, 2 sentences: 89 + (600 - 270) / 6
        ("Vai allo sportello. Porta il passaporto.", 89 + (600 - 10 * 33) / 6),
        ("Ciao", 89 + 300 - 40),
        ("", 100.0),
        ("…", 100.0),
    ],
)
def test_the_index_is_the_published_formula(text: str, index: float) -> None:
    assert gulpease(text) == pytest.approx(index)


def test_long_words_and_sentences_are_harder() -> None:
    office = "La presentazione dell'istanza presuppone l'acquisizione della documentazione attestante la regolarità"
    assert gulpease(office) < PLAIN < gulpease("Porta il permesso. Porta anche una foto.")


def test_every_entry_is_plain_and_its_simple_text_simple(content: Content) -> None:
    for entry in content.entries:
        if entry.shown:
            full, simple = of_text(entry.texts["it"])
            assert full >= PLAIN, entry.id
            assert simple >= SIMPLE, entry.id
