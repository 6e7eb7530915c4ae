"""Words of different scripts that sound alike become alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_base.normalise import words
from knowledge_base.romanise import roman
from knowledge_base.terms import heard_grams


def in_latin(text: str) -> list[str]:
    return [roman(word) for word in words(text)]


@pytest.mark.parametrize(
    "one, other",
    [
        ("квестура", "kvestura"),
        ("громадянство", "hromadyanstvo".replace("h", "g")),
        ("документи", "документы"),
        ("щастя", "shchastya"),
        ("жизнь", "zhizn"),
        ("ডাক্তার", "daktar"),
    ],
)
def test_spellings_of_one_sound_are_one(one: str, other: str) -> None:
    assert in_latin(one) == in_latin(other)


def test_arabic_and_latin_words_meet_by_their_consonants() -> None:
    (arabic,), (italian,) = words("كويستورا"), words("questura")
    assert set(heard_grams(arabic)) & set(heard_grams(italian)) == {"~kstr"}


@given(st.text(max_size=40))
def test_any_word_is_survived(text: str) -> None:
    for word in words(text):
        assert len(heard_grams(word)) < 8 * 40
