"""Language: recognised, suggested carefully, and named in the words of others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.language import another, detect, in_latin_letters, suggest
from bot.language_names import named
from bot.other_languages import SENTENCES
from bot.phrases import KNOWN


@pytest.mark.parametrize(
    "text, language",
    [
        ("come posso rinnovare il permesso", "it"),
        ("where do i find a doctor please", "en"),
        ("je cherche une maison pour ma famille", "fr"),
        ("كيف أجدد الإقامة", "ar"),
        ("Де я можу знайти лікаря", "uk"),
        ("где мне найти врача", "ru"),
        ("چگونه پزشک پیدا کنم", "fa"),
        ("ڈاکٹر کہاں ملے گا", "ur"),
        ("医生在哪里", "zh"),
        ("আমি ডাক্তার কোথায় পাব", "bn"),
        ("bghit nkri dar f ivrea", "ar"),
        ("3andi mochkil m3a lwra9", "ar"),
    ],
)
def test_sentences_are_recognised(text: str, language: str) -> None:
    found = detect(text)
    assert found is not None
    assert found[0] == language


@pytest.mark.parametrize(
    "text", ["médecin", "permesso", "ok", "mio permesso scaduto", "questura torino", "😀", "123", ""]
)
def test_short_or_unclear_words_never_suggest_another_language(text: str) -> None:
    assert suggest(text, "it") is None


def test_the_language_one_is_in_is_never_suggested() -> None:
    assert suggest("je cherche une maison pour ma famille", "fr") is None
    assert suggest("je cherche une maison pour ma famille", "it") == "fr"


@pytest.mark.parametrize(
    "text",
    ["the price is 3 euro", "abito in via Roma 7", "codice fiscale 16", "covid19 test", "esame a2 b1", "art32 orari"],
)
def test_numbers_in_a_sentence_are_not_arabic_in_latin_letters(text: str) -> None:
    assert in_latin_letters(text) is None


@pytest.mark.parametrize(
    "text, language",
    [
        ("mujhe ghar chahiye ivrea mein", "ur"),
        ("madrak baraye eghamat chie", "fa"),
        ("ami kivabe doctor pabo", "bn"),
        ("gde mozhno poluchit pomosh", "ru"),
        ("yak zapysaty dytynu do shkoly, shcho treba", "uk"),
        ("voglio rinnovare il permesso", None),
        ("i need a house for my family", None),
    ],
)
def test_languages_typed_in_latin_letters_are_recognised(text: str, language: str | None) -> None:
    assert in_latin_letters(text) == language


@pytest.mark.parametrize(
    "text, language",
    [
        ("ich brauche eine Wohnung in Ivrea", "de"),
        ("gdzie mogę znaleźć pracę w Ivrei", "pl"),
        ("मुझे घर चाहिए", "hi"),
        ("ਮੈਨੂੰ ਘਰ ਚਾਹੀਦਾ ਹੈ", "pa"),
        ("vorrei sapere dove si fa la carta d'identità", None),
        ("bghit nchouf tbib f ivrea", None),
    ],
)
def test_a_language_we_do_not_speak_is_known_by_name(text: str, language: str | None) -> None:
    assert another(text) == language
    assert language is None or language in SENTENCES


@pytest.mark.parametrize(
    "text, code",
    [
        ("parli arabo?", "ar"),
        ("en français s'il vous plaît", "fr"),
        ("English please", "en"),
        ("العربية", "ar"),
        ("I want Ukrainian", "uk"),
        ("中文", "zh"),
        ("ciao", None),
        ("shitalian", None),
        ("давай англійською", "en"),
        ("ইংরেজিতে বলেন", "en"),
        ("احكي بالفرنساوي", "fr"),
        ("l'inglese, grazie", "en"),
        ("italyanca bilmiyorum, türkçe yaz", "tr"),
        ("не понимаю по-итальянски, можно по-русски", "ru"),
        ("听不懂意大利语，请说中文", "zh"),
        ("nuk di italisht", None),
        ("i don't speak Italian", None),
    ],
)
def test_a_language_named_in_a_sentence_is_found(text: str, code: str | None) -> None:
    assert named(text) == code


@given(st.text(max_size=300))
def test_any_text_is_survived(text: str) -> None:
    found = detect(text)
    assert found is None or 0 <= found[1] <= 1.001
    assert suggest(text, "it") != "it"
    assert named(text) in {None, *KNOWN}
