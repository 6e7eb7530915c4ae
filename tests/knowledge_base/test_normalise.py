import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_base.normalise import MAX_WORD, light_stem, normalise, sentences, stem, words
from knowledge_base.sound import sound


@pytest.mark.parametrize(
    "typed,meant",
    [
        ("PERCHÉ", "perche"),
        ("l’affitto", "l'affitto"),
        ("Straße", "strasse"),
        ("İSTANBUL ILIK", "istanbul ılık"),
        ("Școală", "şcoala"),
        ("Ещё", "еще"),
        ("п'ять", "пʼять"),
        ("أين الإقامة", "اين الاقامه"),
        ("مَرْحَبًا", "مرحبا"),
        ("مكتبـــــة", "مكتبه"),
        ("علي", "على"),
        ("کتاب یک", "كتاب يك"),
        ("می\u200cشود", "ميشود"),
        ("ＡＢＣ１２３", "abc123"),
        ("١٢٣ ۴۵ ৬৭", "123 45 67"),
        ("ciaooooo", "ciao"),
        ("مرحبااااا", "مرحبا"),
        ("pizzzza", "pizza"),
    ],
)
def test_what_people_type_and_what_they_mean_are_the_same_words(typed: str, meant: str) -> None:
    assert words(typed) == words(meant)


def test_numbers_keep_their_repeated_digits() -> None:
    assert words("1000 euro, 800 900") == ["1000", "euro", "800", "900"]


def test_the_short_i_stays_a_letter_of_its_own() -> None:
    assert words("Йод мой") == ["йод", "мой"]


def test_chinese_is_compared_in_overlapping_pairs_without_spaces() -> None:
    assert words("办理身份证 SPID 码") == ["办理", "理身", "身份", "份证", "spid", "码"]


def test_bengali_vowel_signs_do_not_break_a_word() -> None:
    assert len(words("আমার পাসপোর্ট কোথায়")) == 3


def test_an_apostrophe_parts_italian_words_and_joins_ukrainian_ones() -> None:
    assert words("dov'è") == ["dov", "e"]
    assert words("сім'я") == ["сімя"]


def test_a_word_without_end_is_cut() -> None:
    assert [len(word) for word in words("ab" * 5000)] == [MAX_WORD]


def test_sentences_end_as_their_script_ends_them() -> None:
    assert sentences("Ciao. Come stai?\n\n你好。再见！صباح؟ نعم") == [
        "Ciao.",
        "Come stai?",
        "你好。",
        "再见！",
        "صباح؟",
        "نعم",
    ]


def test_inflected_words_share_a_stem() -> None:
    assert stem("documento", "it") == stem("documenti", "it")
    assert stem("maisons", "fr") == stem("maison", "fr")
    assert stem("паспорта", "ru") == stem("паспорт", "ru")


def test_a_language_without_stemmer_is_compared_by_the_beginning_of_words() -> None:
    assert stem("dokumentet", "sq") == stem("dokumentin", "sq") == "dokum"


def test_the_arabic_article_and_conjunction_fall_away() -> None:
    assert light_stem("والمكتب") == light_stem("مكتب")


@pytest.mark.parametrize(
    "latin,arabic",
    [("3andi", "عندي"), ("bghit", "بغيت"), ("khedma", "خدمة"), ("residenza", "الريزيدنسا"), ("piemonte", "بييمونتي")],
)
def test_arabic_in_latin_letters_sounds_like_arabic(latin: str, arabic: str) -> None:
    assert sound(words(latin)[0]) == sound(words(arabic)[0]) != ""


@given(st.text(alphabet=st.characters()))
def test_no_text_is_too_strange(text: str) -> None:
    for word in words(text):
        assert word
        assert len(word) <= MAX_WORD
        assert isinstance(stem(word, "it") + stem(word, "ar") + sound(word), str)


@given(st.text(alphabet=st.characters(max_codepoint=0x06FF)))
def test_composed_and_decomposed_letters_are_the_same(text: str) -> None:
    assert normalise(unicodedata.normalize("NFC", text)) == normalise(unicodedata.normalize("NFD", text))
