"""Sentences: complete in every language; numbers as its people write them; which language a browser asks for."""

import ast
from datetime import UTC, datetime, time
from pathlib import Path

import pytest

import backend
import bot
from backend.catalogue_checks import catalogue_problems
from bot.card import clock
from bot.phrases import SPOKEN, best_spoken, digits, join, language_name, number, say
from bot.visit_card import when

FORMATTERS = {"format_date", "format_datetime", "format_time", "format_skeleton", "format_timedelta", "format_decimal"}
FORMATTERS |= {"format_percent", "format_unit"}
TUESDAY = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)


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


@pytest.mark.parametrize(
    "language, written",
    [("it", "12.345"), ("en", "12,345"), ("fa", "۱۲٬۳۴۵"), ("bn", "১২,৩৪৫"), ("ar", "12,345"), ("ur", "12,345")],
)
def test_a_number_is_written_as_the_readers_of_the_language_expect(language: str, written: str) -> None:
    assert number(language, 12345) == written
    assert written in say(language, "error.too_long", limit=12345)


def test_only_whole_numbers_are_written_anew() -> None:
    assert say("fa", "know.place", place="112").endswith("112")
    assert "0125 49515" in say("fa", "know.place", place="0125 49515")


def test_an_appointment_is_told_in_the_figures_of_the_language_and_in_the_calendar_of_italy() -> None:
    assert when("fa", TUESDAY, "Europe/Rome") == "سه‌شنبه ۲۴ نوامبر ۲۰۲۶،\u200f ۱۵:۳۰"
    assert when("it", TUESDAY, "Europe/Rome") == "martedì 24 novembre 2026, 15:30"
    for language in SPOKEN:
        assert digits(language, "2026") in when(language, TUESDAY, "Europe/Rome")


def test_an_hour_with_latin_letters_keeps_its_order_from_right_to_left() -> None:
    assert clock(time(9, 30), "ur") == "\u20689:30 AM\u2069"
    assert all("\u2068" not in clock(time(9, 30), language) for language in SPOKEN if language != "ur")


def test_whatever_writes_a_date_or_a_number_writes_its_figures() -> None:
    for path in (path for package in (bot, backend) for path in sorted(Path(package.__path__[0]).rglob("*.py"))):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                called = {node.func.id for node in ast.walk(function) if _is_call(node)}  # type: ignore[attr-defined]
                assert not called & FORMATTERS or "digits" in ast.dump(function), f"{path.name}: {function.name}"


def _is_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
