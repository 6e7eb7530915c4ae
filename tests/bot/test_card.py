"""Cards: what is known, shown as its language shows it; what is not known, shown as not known."""

from datetime import UTC, date, datetime

import pytest

from bot.card import Card, build_card
from bot.phrases import SPOKEN
from knowledge_base.entry import Entry, Text
from knowledge_base.files import Content

MONDAY_NOON = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
TUESDAY_TEN = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def entries(content: Content) -> dict[str, Entry]:
    return {entry.id: entry for entry in content.entries}


def card_of(entry: Entry, language: str = "it", *, now: datetime = MONDAY_NOON, variant: str = "full") -> Card:
    card = build_card(entry, language, now=now, variant=variant)
    assert card is not None
    return card


def values(card: Card, key: str) -> tuple[str, ...]:
    row = card.row(key)
    return row.values if row else ()


def test_hours_are_told_in_words_and_with_the_next_opening(entries: dict[str, Entry]) -> None:
    record = entries["ivrea-politiche-sociali"].record
    sure = record.model_copy(update={"confidence": "high", "verify_before_publishing": None})
    office = entries["ivrea-politiche-sociali"].model_copy(update={"record": sure})
    card = card_of(office)
    assert values(card, "when")[0] == "martedì, 09:00–12:00"
    assert values(card, "open") == ("Adesso è chiuso. Apre martedì 09:00",)
    open_card = card_of(office, "en", now=TUESDAY_TEN)
    assert open_card.open_now
    assert values(open_card, "open")[0].startswith("Open now, until 12:00")


def test_hours_that_somebody_must_confirm_never_say_open_now(entries: dict[str, Entry]) -> None:
    card = card_of(entries["ivrea-politiche-sociali"], now=TUESDAY_TEN)
    assert values(card, "when")
    assert not values(card, "open")
    assert card.open_now is None


def test_certified_mail_is_marked(entries: dict[str, Entry]) -> None:
    assert "(PEC)" in values(card_of(entries["ivrea-anagrafe-residenza"]), "email")[0]


def test_a_phone_can_be_tapped(entries: dict[str, Entry]) -> None:
    row = card_of(entries["anticaporalato"], "ar").row("phone")
    assert row is not None
    assert row.links == ("tel:800939000", "tel:+393509092008")
    assert "WhatsApp" in row.values[1]


def test_what_nobody_knows_is_said_and_never_guessed(entries: dict[str, Entry]) -> None:
    row = card_of(entries["sportello-elp"]).row("unknown")
    assert row is not None
    assert row.label == "Costo e Telefono"
    assert not row.known
    assert "Chiedi" in row.values[0]
    asked = card_of(entries["sportello-elp"], variant="facet:phone").row("phone")
    assert asked is not None
    assert not asked.known


def test_days_without_hours_say_that_the_hours_are_not_known(entries: dict[str, Entry]) -> None:
    card = card_of(entries["sportello-elp"], "en")
    assert "Tuesday and Thursday" in values(card, "when")[0]
    assert "not known" in values(card, "when")[0]
    assert card.open_now is None


def test_a_local_entry_that_needs_checking_says_so(entries: dict[str, Entry]) -> None:
    assert any("confirmed" in note for note in card_of(entries["sportello-elp"], "en").notes)


def test_an_entry_past_its_check_date_says_that_it_may_be_old(entries: dict[str, Entry]) -> None:
    old = entries["isee"].model_copy(update={"check_by": date(2026, 1, 1)})
    assert any("out of date" in note for note in card_of(old, "en").notes)


def test_the_month_of_the_check_is_in_the_language(entries: dict[str, Entry]) -> None:
    assert card_of(entries["isee"], "fr").checked == "novembre 2026"


def test_a_missing_translation_falls_back_to_italian_and_says_so(entries: dict[str, Entry]) -> None:
    texts = {"it": entries["isee"].texts["it"]}
    card = card_of(entries["isee"].model_copy(update={"texts": texts}), "fr")
    assert card.language == "it"
    assert any("italien" in note for note in card.notes)


def test_a_translation_of_an_older_italian_text_is_marked(entries: dict[str, Entry]) -> None:
    entry = entries["isee"]
    french: Text = entry.texts["fr"].model_copy(update={"translated_from": "0" * 12})
    card = card_of(entry.model_copy(update={"texts": {**entry.texts, "fr": french}}), "fr")
    assert any("changé" in note for note in card.notes)


@pytest.mark.parametrize("facet", ["where", "when", "phone", "documents", "cost", "who", "how"])
def test_a_facet_always_says_something(entries: dict[str, Entry], facet: str) -> None:
    for entry in entries.values():
        if entry.shown:
            assert card_of(entry, "it", variant=f"facet:{facet}").rows, (entry.id, facet)


@pytest.mark.parametrize("language", SPOKEN)
def test_every_entry_makes_a_card_in_every_language(entries: dict[str, Entry], language: str) -> None:
    for entry in entries.values():
        if entry.shown:
            card = card_of(entry, language)
            assert card.language == language, entry.id
            assert card.sources or entry.record.source_type != "web_page", entry.id
            assert all(value.strip() and "{" not in value for row in card.rows for value in row.values)


def test_one_map_link_for_one_address_and_none_for_three(entries: dict[str, Entry]) -> None:
    assert card_of(entries["caritas-mensa"]).row("map") is not None
    assert card_of(entries["questura-torino-ufficio-immigrazione"]).row("map") is None


@pytest.mark.parametrize("language", ["it", "ar"])
def test_three_facts_stand_first_and_none_is_lost(entries: dict[str, Entry], language: str) -> None:
    for entry in entries.values():
        card = card_of(entry, language) if entry.shown else None
        if card is None:
            continue
        first = [row.key for row in card.rows if row.first and row.known]
        facts = [key for key in first if key not in ("danger", "map")]
        known = {row.key for row in card.rows if row.known} - {"danger", "map", "spoken"}
        assert len(facts) <= 3, entry.id
        assert len(facts) == 3 or known - {"open", "when"} <= set(facts), entry.id
        assert ("map" in first) == ("where" in facts and card.row("map") is not None), entry.id
        assert all(row.first for row in card.rows if row.key == "danger")


def test_what_decides_comes_first_open_now_then_where_then_the_phone(entries: dict[str, Entry]) -> None:
    office = entries["ivrea-politiche-sociali"]
    sure = office.record.model_copy(update={"confidence": "high", "verify_before_publishing": None})
    card = card_of(office.model_copy(update={"record": sure}), now=TUESDAY_TEN)
    assert [row.key for row in card.rows if row.first] == ["open", "where", "map", "phone"]
    assert "when" in [row.key for row in card.rows if not row.first]


def test_where_little_is_known_it_is_said_among_the_first(entries: dict[str, Entry]) -> None:
    bare = entries["sportello-elp"].facts.model_copy(update={"schedule": (), "url": None})
    entry = entries["sportello-elp"].model_copy(update={"facts": bare})
    text = entry.texts["it"].model_copy(update={"who": None, "steps": (), "hours": None, "cost": None, "bring": ()})
    card = card_of(entry.model_copy(update={"texts": {"it": text}}))
    assert [row.key for row in card.rows if row.first] == ["where", "unknown"]


@pytest.mark.parametrize("variant", ["simple", "facet:cost", "facet:where"])
def test_what_was_asked_for_is_never_folded(entries: dict[str, Entry], variant: str) -> None:
    assert all(row.first for row in card_of(entries["ivrea-politiche-sociali"], variant=variant).rows)
