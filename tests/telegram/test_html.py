"""Texts for Telegram: escaped, cut without breaking anything, in the right direction."""

import re

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.telegram_stand_in import entities
from bot.telegram_html import LONGEST, Span, clean, html, is_shown, isolate_runs, link, split, turned, units, within

LETTERS = st.sampled_from(
    [*"abc<>&\"'.!? \n\u00a0،؟", "مرحبا", "你", "e\u0301", "👨‍👩‍👧‍👦", "🇮🇹", "👍🏿", "নমস্কার", "\n\n"]
)
WORDS = st.lists(LETTERS, max_size=120).map("".join)
TAGS = st.lists(
    st.sampled_from(["b", "i", "code", "tg-spoiler", link("https://example.org/?a=1&b=2")]), max_size=3, unique=True
)
SPANS = st.lists(st.builds(Span, WORDS, TAGS.map(tuple)), max_size=5)


def bare(text: str) -> str:
    return re.sub(r"\s", "", text)


@settings(deadline=None)
@given(SPANS)
def test_whatever_is_written_is_read_back_with_its_tags(spans: list[Span]) -> None:
    plain, found = entities.parse_html(html(spans))
    assert plain == "".join(span.text for span in spans)
    bold = sum(units(span.text) for span in spans if "b" in span.tags)
    alone = {(one["offset"], one["length"]) for one in found if one["type"] == "bold"}
    assert sum(length for _, length in alone) == bold


@settings(deadline=None)
@given(SPANS, st.integers(12, 60))
def test_a_text_is_cut_and_nothing_is_lost_or_broken(spans: list[Span], limit: int) -> None:
    whole = "".join(span.text for span in spans)
    parts = [entities.parse_html(html(part))[0] for part in split(spans, limit)]
    assert bare("".join(parts)) == bare(whole)
    assert all(0 < units(part) <= limit and is_shown(part) for part in parts)
    at, letters = 0, {found.start() for found in regex.finditer(r"\X", whole)} | {len(whole)}
    for part in parts:
        start = whole.index(part, at)
        end = at = start + len(part)
        assert start in letters
        assert end in letters
        cuts_a_word = end < len(whole) and not whole[end].isspace() and not whole[end - 1].isspace()
        assert not cuts_a_word or not re.search(r"[ \n]", part.strip()), (part, limit)


@settings(deadline=None)
@given(SPANS)
def test_what_is_short_enough_stays_one_message(spans: list[Span]) -> None:
    parts = split(spans)
    assert len(parts) == is_shown("".join(span.text for span in spans))


def test_paragraphs_are_kept_together_rather_than_lines_and_lines_rather_than_words() -> None:
    def cut(text: str) -> list[str]:
        return ["".join(span.text for span in part) for part in split([Span(text)], 20)]

    assert cut("uno due tre\n\nquattro cinque") == ["uno due tre", "quattro cinque"]
    assert cut("uno due tre\nquattro cinque") == ["uno due tre", "quattro cinque"]
    assert cut("Uno due tre. Quattro cinque") == ["Uno due tre.", "Quattro cinque"]
    assert cut("a\n\nuno due tre quattro cinque") == ["a\n\nuno due tre", "quattro cinque"]
    assert cut("x" * 45) == ["x" * 20, "x" * 20, "x" * 5]


@pytest.mark.parametrize("letter", ["a", "&", "你", "👍🏿", "ل"])
def test_the_longest_message_of_one_letter(letter: str) -> None:
    text = letter * 4000
    parts = split([Span(text, ("b",))])
    assert "".join(span.text for part in parts for span in part) == text
    assert all(units("".join(span.text for span in part)) <= LONGEST for part in parts)


def test_a_letter_that_is_longer_than_a_message_is_cut_all_the_same() -> None:
    parts = split([Span("e" + "\u0301" * 9000)])
    assert [len(part[0].text) for part in parts] == [4096, 4096, 809]


@pytest.mark.parametrize("text", ["", " \n ", "\u200b", "\u2068\u2069", "\u00ad\u2060\ufeff", "\u3164\u2800"])
def test_what_shows_nothing_is_no_message(text: str) -> None:
    assert split([Span(text, ("b",))]) == []


@settings(deadline=None)
@given(st.text(st.characters()))
def test_what_telegram_refuses_or_drops_is_taken_out(text: str) -> None:
    left = clean(text)
    left.encode()
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\u2028-\u202e]", left)


def test_a_link_is_written_so_that_telegram_keeps_it() -> None:
    written = html([Span("qui", (link('https://example.org/a b?c="d"&e=<f>'),))])
    _, (found,) = entities.parse_html(written)
    assert found["url"] == 'https://example.org/a%20b?c="d"&e=<f>'


# ---- from right to left ----


@pytest.mark.parametrize(
    "text, isolated",
    [
        ("اتصلوا على 011 5221431 اليوم", "اتصلوا على [011 5221431] اليوم"),
        ("مكتب Sportello ELP (Eporedia Local Point) هنا", "مكتب [Sportello ELP (Eporedia Local Point)] هنا"),
        ("(ZAC!) ثم info@x.it.", "([ZAC]!) ثم [info@x.it]."),
        ("الرقم 112 مجاني، 24 ساعة", "الرقم 112 مجاني، 24 ساعة"),
        ("+39 0125 49515", "[+39 0125 49515]"),
        ("رمز [ABC 12] هنا", "رمز [ABC 12] هنا"),
    ],
)
def test_names_and_numbers_keep_their_order_between_arabic_words(text: str, isolated: str) -> None:
    def marked(shown: str) -> str:
        return shown.replace("[", "\u2068").replace("]", "\u2069")

    for language in ("ar", "fa", "ur"):
        assert isolate_runs(language, marked(text)) == marked(isolated)
    assert isolate_runs("en", text) == text


@settings(deadline=None)
@given(WORDS)
def test_isolates_change_no_letter_and_are_closed(text: str) -> None:
    isolated = isolate_runs("ar", text)
    assert re.sub("[\u2068\u2069]", "", isolated) == text
    assert isolated.count("\u2068") == isolated.count("\u2069")


def test_a_line_that_begins_in_latin_letters_begins_at_the_right_all_the_same() -> None:
    assert turned([Span("ZAC! في إيفريا")], "ar")[0] == Span("\u200f")
    assert turned([Span("🕒 "), Span("متى")], "ar") == [Span("🕒 "), Span("متى")]
    assert turned([Span("ZAC!")], "it") == [Span("ZAC!")]
    assert within("b", [Span("a", ("i",))]) == [Span("a", ("b", "i"))]
