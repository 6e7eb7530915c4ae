"""Short words that need no classifier: which choice is meant, and acts while the classifier is away."""

import pytest

from bot.keywords import MEANINGS, guess, is_wordless, nod, pointed_at, read
from bot.phrases import SPOKEN
from bot.turn import Intent


@pytest.mark.parametrize("language", SPOKEN)
def test_every_language_has_words_for_every_meaning(language: str) -> None:
    listed = list(read(language))
    assert {meaning for meaning, _ in listed} == set(MEANINGS)
    assert all(phrase for _, phrase in listed)


@pytest.mark.parametrize("language", SPOKEN)
@pytest.mark.parametrize("meaning, place", [("first", 0), ("second", 1), ("third", 2), ("last", 2)])
def test_each_word_for_a_place_points_there_in_its_language(language: str, meaning: str, place: int) -> None:
    for found, phrase in read(language):
        if found == meaning:
            assert pointed_at(phrase, language, choices=3) == place, phrase


@pytest.mark.parametrize("language", SPOKEN)
def test_each_word_for_an_act_is_that_act_in_its_language(language: str) -> None:
    for meaning, phrase in read(language):
        if meaning in set(Intent):
            found = guess(phrase, language)
            assert found is not None, phrase
            assert found.intent == meaning, phrase


@pytest.mark.parametrize(
    "text, language, meant",
    [
        ("la seconda per favore", "it", 1),
        ("2", "it", 1),
        ("٢", "ar", 1),
        ("n. 3", "it", 2),
        ("7", "it", None),
        ("我要第二个", "zh", 1),
        ("no, not that one", "en", "not_that"),
        ("prima di tutto dove devo andare con mio figlio", "it", None),
        ("ho bisogno di una casa", "it", None),
        ("the second one", "ar", 1),
    ],
)
def test_what_is_pointed_at(text: str, language: str, meant: int | str | None) -> None:
    assert pointed_at(text, language, choices=3) == meant


@pytest.mark.parametrize("text", ["😢", "🙏🙏", "https://example.org/x?y=z", "+39 0125 123456", "???", "12/05/2026"])
def test_what_has_no_words(text: str) -> None:
    assert is_wordless(text)


def test_words_beside_a_link_are_words() -> None:
    assert not is_wordless("cos'è https://example.org/x")


@pytest.mark.parametrize(
    "text, intent", [("👍", Intent.YES), ("👍🏽👍🏽", Intent.YES), ("❌", Intent.NO), ("👍👎", None)]
)
def test_a_picture_can_be_yes_or_no(text: str, intent: Intent | None) -> None:
    found = nod(text)
    assert (found.intent if found else None) == intent
