"""What frightened people write is recognised in every language; what only looks like it is not.

`emergencies/<code>.tsv` holds `kind<TAB>message`, the kind `none` for a look-alike.
"""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.emergency import NUMBERS, PHRASES, _Rules, detect
from knowledge_base.files import CONTENT

LISTS = Path(__file__).parent / "emergencies"
LANGUAGES = sorted(path.stem for path in LISTS.glob("*.tsv"))
LONG_WORD = re.compile(r"[^\W\d_]{6,}")
_CYRILLIC = "абвгдеклмнопрст"
LETTERS = {"ar": "ابتجدرسعفقكلمنهوي", "ru": _CYRILLIC, "uk": _CYRILLIC}


def messages(language: str) -> Iterator[tuple[str, str]]:
    for line in (LISTS / f"{language}.tsv").read_text("utf-8").splitlines():
        kind, _, text = line.partition("\t")
        yield kind, text


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
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "xx.txt"
    path.write_text("# a comment\n" + line, "utf-8")
    with pytest.raises(ValueError, match=r"xx\.txt:[23]"):
        _Rules([path])


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_nothing_that_is_typed_raises(text: str) -> None:
    emergency = detect(text)
    assert emergency is None or emergency.kind in NUMBERS


@pytest.mark.parametrize(
    "text", ["", " ", "😱", "https://example.org/a?b=c", "+39 0125 000000", "'", "''''", "9", "\ud800", "\x00", "ـ"]
)
def test_odd_input_is_no_alarm(text: str) -> None:
    assert detect(text) is None


@pytest.mark.parametrize("piece", ["mi ", "a'", "7a", "\u0315\u0300", "ا", "中", ".", "uccide ", "x" * 50 + " "])
def test_a_long_message_of_one_piece_is_survived(piece: str) -> None:
    assert detect((piece * 10_000)[:10_000]) is None or piece.strip() == "uccide"
