"""Sentences: complete in every language, and the reader's language found in what a browser says."""

import pytest

from backend.develop import catalogue_problems
from bot.phrases import SPOKEN, best_spoken, join, language_name, say


def test_every_catalogue_has_every_sentence_with_the_same_placeholders() -> None:
    assert catalogue_problems() == []


def test_arabic_is_written_from_right_to_left() -> None:
    assert SPOKEN["ar"].direction == "rtl"
    assert SPOKEN["fr"].direction == "ltr"


@pytest.mark.parametrize(
    "header, language",
    [
        ("fr-SN,fr;q=0.9,en;q=0.8", "fr"),
        ("de, ar;q=0.5, en;q=0.9", "en"),
        ("", "it"),
        ("*", "it"),
        ("xx;q=abc, ar;q=0.1", "ar"),
        ("en;q=0", "it"),
        (",,;;q=,,", "it"),
        ("it" * 5000, "it"),
    ],
)
def test_the_browsers_wish_is_respected(header: str, language: str) -> None:
    assert best_spoken(header) == language


def test_lists_and_names_follow_the_language() -> None:
    assert join("it", ["a", "b", "c"]) == "a, b e c"
    assert language_name("uk", "fr") == "ukrainien"
    assert say("ar", "topic.which", topic="X").startswith("X")
