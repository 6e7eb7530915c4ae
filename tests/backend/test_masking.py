"""What would identify somebody is hidden from readers who need not see it; what is only a number stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.check_digits import has_luhn_digit, is_fiscal_code, is_iban
from backend.masking import KINDS, mask
from bot.phrases import SPOKEN, say

ISOLATES = str.maketrans("", "", "\u2068\u2069")
FISCAL_CODE = "RSSMRA85T10A562S"
IBAN = "IT60X0542811101000000123456"
CARD = "4111111111111111"
SCRIPTS = {"Arabic": 0x660, "Persian": 0x6F0, "Bengali": 0x9E6, "full width": 0xFF10}


def masked(text: str, language: str = "it") -> str:
    return mask(text, language).text.translate(ISOLATES)


def in_script(text: str, zero: int) -> str:
    return "".join(chr(zero + int(char)) if char.isdecimal() else char for char in text)


@pytest.mark.parametrize(
    "written, shown",
    [
        (f"il mio cf è {FISCAL_CODE}, grazie", "il mio cf è [codice fiscale …2S], grazie"),
        ("rss mra 85t10 a562s", "[codice fiscale …2S]"),
        ("rss.mra-85 t 10 a562 s", "[codice fiscale …2S]"),
        ("mistyped: RSSMRA85T10A562X", "mistyped: [codice fiscale …2X]"),
        ("codice fiscale 12345678903", "codice fiscale [codice fiscale …03]"),
        (IBAN, "[IBAN …56]"),
        ("iban it60 x054 2811 1010 0000 0123 456 grazie", "iban [IBAN …56] grazie"),
        ("GB82-WEST-1234-5698-7654-32", "[IBAN …32]"),
        (CARD, "[carta di pagamento …11]"),
        ("4111 1111 1111 1111 scade 12/27", "[carta di pagamento …11] scade 12/27"),
        ("4111-1111-1111-1111 12.05.2027", "[carta di pagamento …11] 12.05.2027"),
        ("permesso I12345678", "permesso [permesso di soggiorno …78]"),
        ("ecco: i12345678", "ecco: [permesso di soggiorno …78]"),
        ("numero assicurata 05567890123-4", "numero assicurata [permesso di soggiorno …34]"),
        ("pratica 23TO012345 in questura", "pratica [permesso di soggiorno …45] in questura"),
        ("passaporto YA1234567", "passaporto [documento …67]"),
        ("my passport is ab 123456", "my passport is [documento …56]"),
        ("AB1234567 è il passaporto", "[documento …67] è il passaporto"),
        ("جواز سفر رقم 012345678", "جواز سفر رقم [documento …78]"),
        ("carta d’identità CA12345AA", "carta d’identità [documento …AA]"),
        ("+39 333 123 4567", "[telefono …67]"),
        ("0039 333-1234567", "[telefono …67]"),
        ("+212 6 12 34 56 78", "[telefono …78]"),
        ("+39 (0125) 123456", "[telefono …56]"),
        ("chiamami: 333/1234567 dopo le 18.30", "chiamami: [telefono …67] dopo le 18.30"),
        ("tel3331234567", "tel[telefono …67]"),
        ("0125 123456", "[telefono …56]"),
        ("06.12.34.56.78", "[telefono …78]"),
        ("whatsapp 212612345678", "whatsapp [telefono …78]"),
        ("3331234567 e passaporto YA1234567", "[telefono …67] e passaporto [documento …67]"),
    ],
)
def test_what_identifies_somebody_becomes_a_label(written: str, shown: str) -> None:
    assert masked(written) == shown
    assert mask(written, "it").hidden


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ciao, come faccio a rinnovare il permesso di soggiorno?",
        "chiama il 112, il 1522, il 116117 o il numero verde 800 309 309",
        "il passaporto? telefona al +39 800 309309",
        "lunedì 08.30-12.30 14.00-17.30, martedì 9:00 – 13:00",
        "il permesso scade il 12.05.2027, appuntamento 10/11/2025 o 2025-11-10",
        "il passaporto costa € 1.250,00 e la casa 350.000.000 euro, lo stipendio 1.000.000",
        "ho il permesso e abito a 10015 Ivrea, 10015 TO, TO 10015",
        "permesso: D.Lgs. 286/98, DPR 394/1999, legge 241/1990, art. 5 comma 9",
        "passaporto 2023-2027, anni 2020 2021 2022 2023",
        "protocollo 1234567890123456",
        "IT61X0542811101000000123456"[:20],
        "4111 1111 1111 1112",
        "a" * 16,
        "الموعد يوم ١٢/٠٥/٢٠٢٧ الساعة ١٠:٣٠ والرقم ١١٢",
    ],
)
def test_numbers_that_identify_nobody_stay(text: str) -> None:
    assert mask(text, "it").text == text
    assert not mask(text, "it").hidden


@pytest.mark.parametrize("zero", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("number", ["333 123 4567", "+39 333 1234567", CARD, "جواز 012345678", "0125 123456"])
def test_the_digits_of_every_script_are_digits(number: str, zero: int) -> None:
    text = mask(in_script(number, zero), "it")
    assert text.hidden
    assert sum(char.isdecimal() for char in text.text) == 2


def test_marks_of_direction_inside_a_number_do_not_save_it() -> None:
    assert masked("\u202a+39\u202c \u200f333\u200f 123\u200b4567") == "\u202a[telefono …67]"
    assert "1234" not in masked("رقمي ٣٣٣١٢٣٤٥٦٧ وجوازي AB1234567")


def test_the_label_stands_in_an_isolate_so_that_its_order_holds_in_a_text_of_the_other_direction() -> None:
    assert mask(f"هذا رقمي {CARD} شكراً", "it").text == "هذا رقمي \u2068[carta di pagamento …11]\u2069 شكراً"


@pytest.mark.parametrize("language", SPOKEN)
def test_labels_are_in_the_readers_language(language: str) -> None:
    assert masked(IBAN, language) == f"[{say(language, 'mask.iban')} …56]"
    labels = {say(language, f"mask.{kind}") for kind in KINDS}
    assert len(labels) == len(KINDS)
    assert not any(label.startswith("mask.") for label in labels)


def test_what_was_masked_for_one_reader_can_be_masked_for_another() -> None:
    once = mask("passaporto YA1234567", "ar")
    assert mask(once.text, "it").text == once.text


def test_check_characters_are_checked() -> None:
    assert is_fiscal_code(FISCAL_CODE.lower())
    assert is_fiscal_code("crrtms02p26d969d")
    assert not is_fiscal_code("rssmra85t10a562x")
    assert is_iban(IBAN.lower())
    assert not is_iban(IBAN.lower().replace("123456", "123457"))
    assert has_luhn_digit(CARD)
    assert not has_luhn_digit("4111111111111112")


PIECES = st.sampled_from(
    [
        *(FISCAL_CODE, "rss mra 85t10 a562s", IBAN, CARD, "4111 1111 1111 1111", "I12345678", "YA1234567", "CA12345AA"),
        *("passaporto", "permesso", "tel", "cell.", "جواز", "codice fiscale", "whatsapp", "n", "il", "euro", "€"),
        *("3331234567", "333 123 4567", "+39", "0039", "+", "0125", "123456", "1234567", "12345678903", "800309309"),
        *("12.05.2024", "08.30-12.30", "2023", "10", "1.000", "000", "٣٣٣١٢٣٤٥٦٧", "[telefono …67]", "[", "]", "…"),
        *(" ", " ", " ", "-", ".", "/", "(", ")", ",", ":", "\n", "\u200f", "\u2068", "\u2069", "a", "tel3331234567"),
    ]
)
TEXTS = st.one_of(
    st.text(max_size=300),
    st.text(alphabet="0123456789 +-./()\n٠٣٩৩abcfilnteTI€", max_size=200),
    st.lists(PIECES, max_size=25).map("".join),
    st.lists(PIECES, max_size=25).map(" ".join),
)


@given(TEXTS, st.sampled_from(sorted(SPOKEN)))
def test_any_text_is_masked_without_an_error_and_masking_again_changes_nothing(text: str, language: str) -> None:
    once = mask(text, language)
    assert once.hidden == (once.text != text)
    again = mask(once.text, language)
    assert again.text == once.text
    assert not again.hidden


@given(st.text(alphabet=" .,:!?abcdefàèéابتনক\n", max_size=200))
def test_words_without_digits_are_left_as_they_are(text: str) -> None:
    assert mask(text, "it").text == text


@pytest.mark.parametrize(
    "piece",
    ["1", "1 ", "4 1 ", "it12 ", "+", "tel ", "passport 12345 ", "i", "0039", "3331234567 ", "a1 ", "€1.", "[IBAN …"],
)
def test_the_longest_messages_of_one_piece_come_through(piece: str) -> None:
    """What makes careless patterns take for ever; it would hang here."""
    once = mask((piece * 16_000)[:16_000], "it")
    assert not mask(once.text, "it").hidden
