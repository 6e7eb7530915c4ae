"""Days that people name in their own words, in the fifteen languages."""

import time
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.phrases import SPOKEN
from bot.wishes import LONGEST, Wish, understand

SUNDAY = date(2026, 11, 22)
MONDAY, TUESDAY, WEDNESDAY = date(2026, 11, 23), date(2026, 11, 24), date(2026, 11, 25)

DAYS: dict[str, list[tuple[str, date, str | None]]] = {
    "it": [
        ("domani mattina", MONDAY, "morning"),
        ("martedì pomeriggio", TUESDAY, "afternoon"),
        ("24/11", TUESDAY, None),
    ],
    "en": [("tomorrow morning", MONDAY, "morning"), ("next tuesday", TUESDAY, None), ("in two days", TUESDAY, None)],
    "fr": [
        ("demain matin", MONDAY, "morning"),
        ("mardi après-midi", TUESDAY, "afternoon"),
        ("après-demain", TUESDAY, None),
    ],
    "es": [("mañana por la mañana", MONDAY, "morning"), ("el martes por la tarde", TUESDAY, "afternoon")],
    "pt": [("terça de manhã", TUESDAY, "morning"), ("depois de amanhã", TUESDAY, None)],
    "ro": [("marți după-amiază", TUESDAY, "afternoon"), ("marti dupa amiaza", TUESDAY, "afternoon")],
    "sq": [("nesër", MONDAY, None), ("të martën pasdite", TUESDAY, "afternoon")],
    "ar": [("غدا", MONDAY, None), ("الثلاثاء مساءً", TUESDAY, "afternoon"), ("٢٤ نوفمبر", TUESDAY, None)],
    "uk": [("завтра", MONDAY, None), ("у середу вранці", WEDNESDAY, "morning")],
    "ru": [("завтра утром", MONDAY, "morning"), ("в среду", WEDNESDAY, None), ("24 ноября", TUESDAY, None)],
    "zh": [("明天下午", MONDAY, "afternoon"), ("周二上午", TUESDAY, "morning"), ("11月24日", TUESDAY, None)],
    "bn": [("কাল সকালে", MONDAY, "morning"), ("মঙ্গলবার", TUESDAY, None)],
    "ur": [("کل", MONDAY, None), ("پرسوں صبح", TUESDAY, "morning")],
    "fa": [("فردا صبح", MONDAY, "morning"), ("سه شنبه", TUESDAY, None), ("سه‌شنبه", TUESDAY, None)],
    "tr": [("yarın sabah", MONDAY, "morning"), ("yarin", MONDAY, None), ("salı günü", TUESDAY, None)],
}


@pytest.mark.parametrize(
    "language, words, day, part", [(code, *said) for code, examples in DAYS.items() for said in examples]
)
def test_a_day_is_understood(language: str, words: str, day: date, part: str | None) -> None:
    wish = understand(words, language, SUNDAY)
    assert wish is not None
    assert (wish.day, wish.part) == (day, part)
    assert wish.others <= 1


def test_every_language_has_examples() -> None:
    assert DAYS.keys() == SPOKEN.keys()


@pytest.mark.parametrize("words", ["martedì mattina", "domani"])
def test_italian_is_understood_in_every_conversation(words: str) -> None:
    assert all(understand(words, language, SUNDAY) == understand(words, "it", SUNDAY) for language in SPOKEN)


@pytest.mark.parametrize(
    "words",
    ["Amina", "quanto costa?", "mio marito è malato", "tra 3 anni", "31/2", "99/99", "10", ""],
)
def test_what_names_no_day_to_come_is_no_wish(words: str) -> None:
    assert understand(words, "it", SUNDAY) is None


def test_a_day_of_the_week_is_the_next_one_and_never_today() -> None:
    assert understand("domenica", "it", SUNDAY) == Wish(date(2026, 11, 29), None)
    assert understand("oggi pomeriggio", "it", SUNDAY) == Wish(SUNDAY, "afternoon")


def test_an_hour_says_which_part_of_the_day_is_meant() -> None:
    assert understand("martedì alle 10:30", "it", SUNDAY) == Wish(TUESDAY, "morning", 1)
    assert understand("martedì alle 15.30", "it", SUNDAY) == Wish(TUESDAY, "afternoon", 1)


def test_a_question_with_a_day_in_it_has_many_other_words() -> None:
    wish = understand("l'ufficio anagrafe di ivrea è aperto anche martedì pomeriggio?", "it", SUNDAY)
    assert wish is not None
    assert wish.others > 3


HOSTILE = ("1/" * 5000, "lunedì " * 2000, "9" * 9000, "٣" * 300, "\u0000\ud800", "(" * 500, "a.a" * 500, "١/١/" * 50)


@pytest.mark.parametrize("words", HOSTILE)
@pytest.mark.parametrize("language", ["it", "ar", "zh"])
def test_hostile_text_is_quick(language: str, words: str) -> None:
    understand("domani", language, SUNDAY)
    understand("1 2 3", language, SUNDAY)  # what is read once has been read
    started = time.perf_counter()
    understand(words, language, SUNDAY)
    assert time.perf_counter() - started < 0.5


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=2 * LONGEST), st.sampled_from(sorted(SPOKEN)))
def test_no_text_makes_it_fail(words: str, language: str) -> None:
    wish = understand(words, language, SUNDAY)
    assert wish is None or wish.day or wish.part
