"""What frightened people write is recognised in every language; what only looks like it is not.

`bot/emergency_examples/<code>.tsv` and `emergencies/<code>.tsv` hold `kind<TAB>message`, the kind `none` for a
look-alike; the model has learnt from the first and never from the second.
"""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.emergency import NUMBERS, Heard, _loaded, detect, hear
from bot.emergency_model import EXAMPLES, read
from bot.emergency_rules import PHRASES, Rules
from knowledge_base.files import CONTENT

LISTS = Path(__file__).parent / "emergencies"
EVALUATION = Path(__file__).parents[1] / "evaluation"
LANGUAGES = sorted(path.stem for path in LISTS.glob("*.tsv"))
LONG_WORD = re.compile(r"[^\W\d_]{6,}")
_CYRILLIC = "абвгдеклмнопрст"
LETTERS = {"ar": "ابتجدرسعفقكلمنهوي", "ru": _CYRILLIC, "uk": _CYRILLIC}


def messages(language: str) -> Iterator[tuple[str, str]]:
    for folder in (EXAMPLES, LISTS):
        yield from read(folder / f"{language}.tsv")


def has_numbers_of(text: str, kind: str) -> bool:
    emergency = detect(text)
    return emergency is not None and set(NUMBERS[kind]) <= set(emergency.lines)


def mistyped(word: str, letters: str, dice: random.Random) -> Iterator[str]:
    """One letter too many, one left out, one changed, two swapped."""
    at = dice.randrange(len(word) - 1)
    other = dice.choice(letters)
    yield word[:at] + other + word[at:]
    yield word[:at] + word[at + 1 :]
    yield word[:at] + other + word[at + 1 :]
    yield word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def test_every_language_with_phrases_has_lists() -> None:
    assert sorted(path.stem for path in PHRASES.glob("*.txt")) == LANGUAGES
    assert sorted(path.stem for path in EXAMPLES.glob("*.tsv")) == LANGUAGES


def test_every_phrase_can_be_read() -> None:
    assert _loaded().rules.unread == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_lists_are_long_and_without_doubles(language: str) -> None:
    found = list(messages(language))
    assert len(set(found)) == len(found)
    assert {kind for kind, _ in found} == {*NUMBERS, "none"}
    assert sum(kind != "none" for kind, _ in found) >= 90
    assert sum(kind == "none" for kind, _ in found) >= 90


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_emergency_is_missed_and_its_numbers_are_shown(language: str) -> None:
    missed = [text for kind, text in messages(language) if kind != "none" and not has_numbers_of(text, kind)]
    assert missed == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_look_alike_is_no_alarm(language: str) -> None:
    assert [text for kind, text in messages(language) if kind == "none" and detect(text)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_capitals_and_marks_and_punctuation_make_no_difference(language: str) -> None:
    for kind, text in messages(language):
        if kind != "none":
            assert has_numbers_of(text.upper() + "!!!", kind), text
            assert has_numbers_of("\u200f" + text.replace(" ", "  \u200b") + "…", kind), text


# Chinese has no long words: each of its characters stands for itself.
@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "zh"])
def test_a_typo_in_a_long_word_is_forgiven(language: str) -> None:
    dice = random.Random(11)
    letters = LETTERS.get(language, "abcdefghilmnoprstuvz")
    typed = [
        (kind, text[: word.start()] + wrong + text[word.end() :])
        for kind, text in messages(language)
        if kind != "none"
        for word in LONG_WORD.finditer(text)
        for wrong in mistyped(word.group(), letters, dice)
    ]
    missed = [text for kind, text in typed if not has_numbers_of(text, kind)]
    # A typo can make another real word ("bleach", "beach"); Arabic words are short once "the" and "and" are off.
    assert len(missed) <= len(typed) * (0.08 if language == "ar" else 0.04), missed


@pytest.mark.parametrize(
    "text, kind, lines",
    [
        ("Mio marito mi picchia e picchia anche i bambini", "violence", ("112", "1522", "114")),
        ("mon fils a disparu et la maison brûle", "missing", ("112", "116000")),
        ("they force me to work as a prostitute", "trafficking", ("numero-verde-antitratta", "112")),
        ("aiuuuuuto sono in PERICOLO", "attack", ("112",)),
        ("زَوْجِي ضَرَبَنِي", "violence", ("112", "1522")),
        ("ｍｙ ｈｕｓｂａｎｄ ｂｅａｔｓ ｍｅ", "violence", ("112", "1522")),
        ("ra7 y9tlni rajli", "violence", ("112", "1522")),
    ],
)
def test_kind_and_numbers_most_urgent_first(text: str, kind: str, lines: tuple[str, ...]) -> None:
    emergency = detect(text)
    assert emergency is not None
    assert (emergency.kind, emergency.lines) == (kind, lines)


def test_a_look_alike_does_not_hide_the_alarm_beside_it() -> None:
    assert detect("mi ammazzo di lavoro") is None
    assert detect("mi ammazzo di lavoro e la sera mio marito mi picchia") is not None
    assert detect("my phone died") is None
    assert detect("my phone died and my baby is not breathing") is not None


def test_numbers_are_entries() -> None:
    entries = {entry["id"] for entry in json.loads((CONTENT / "entries.json").read_text("utf-8"))}
    assert {line for lines in NUMBERS.values() for line in lines} <= entries


@pytest.mark.parametrize(
    "line", ["[violence]\n@nobody hits", "[weather]\nrain", "[fire]\nfi*", "[fire]\n|", "[options]\nspelling = odd"]
)
def test_a_line_that_cannot_be_read_is_named_and_silences_no_other(tmp_path: Path, line: str) -> None:
    path = tmp_path / "xx.txt"
    path.write_text(f"# a comment\n{line}\n[fire]\nhouse burns", "utf-8")
    rules = Rules([path])
    assert [re.match(r"xx\.txt:[23]: ", problem) is not None for problem in rules.unread] == [True]
    assert [pattern.kind for pattern in rules.matches("my house burns")] == ["fire"]


def test_a_look_alike_covers_only_dangers_of_its_own_file(tmp_path: Path) -> None:
    paths = [tmp_path / "xx.txt", tmp_path / "yy.txt"]
    paths[0].write_text("[child]\ntoca . a\n!toca . a", "utf-8")
    paths[1].write_text("[child]\npadrastro toca & nina", "utf-8")
    assert [one.source for one in Rules(paths).matches("el padrastro toca a la nina")] == ["yy.txt:2"]


def test_halves_far_apart_are_one_phrase(tmp_path: Path) -> None:
    path = tmp_path / "xx.txt"
    path.write_text("[trafficking]\nwe_work .... beat_us", "utf-8")
    assert Rules([path]).matches("we work " + "and " * 25 + "beat us")
    assert not Rules([path]).matches("we work " + "and " * 26 + "beat us")


def test_with_the_model_nearly_all_is_heard_that_nobody_tuned_on() -> None:
    lines = (EVALUATION / "emergencies.tsv").read_text("utf-8").splitlines()
    dangers = [text for _, kind, text in (line.split("\t") for line in lines) if kind != "none"]
    by_phrases = sum(detect(text) is not None for text in dangers)
    heard = sum(hear(text) != Heard() for text in dangers)
    assert by_phrases < heard
    assert heard >= 0.95 * len(dangers)


@pytest.mark.parametrize("question", ["come rinnovo il permesso di soggiorno", "quanto costa la mensa scolastica"])
def test_the_model_hears_no_danger_in_a_question(question: str) -> None:
    assert hear(question) == Heard()


def test_what_a_phrase_knows_is_no_matter_of_chance() -> None:
    heard = hear("Mio marito mi picchia")
    assert heard.surely is not None
    assert heard.surely.chance == 1
    assert heard.perhaps is None


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_nothing_that_is_typed_raises(text: str) -> None:
    heard = hear(text)
    for emergency in (heard.surely, heard.perhaps):
        assert emergency is None or emergency.kind in (*NUMBERS, "any")


@pytest.mark.parametrize(
    "text", ["", " ", "😱", "https://example.org/a?b=c", "+39 0125 000000", "'", "''''", "9", "\ud800", "\x00", "ـ"]
)
def test_odd_input_is_no_alarm(text: str) -> None:
    assert hear(text) == Heard()


@pytest.mark.parametrize("piece", ["mi ", "a'", "7a", "\u0315\u0300", "ا", "中", ".", "uccide ", "x" * 50 + " "])
def test_a_long_message_of_one_piece_is_survived(piece: str) -> None:
    assert detect((piece * 10_000)[:10_000]) is None or piece.strip() == "uccide"
