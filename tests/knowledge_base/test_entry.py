"""Entries: validated, agreeing with what was read, and honest about the state of their texts."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from knowledge_base.entry import Entry, Facts, Phone, Text, TextState, parse_entry
from knowledge_base.files import CONTENT, Content


@pytest.fixture(scope="session")
def raw() -> dict[str, dict[str, Any]]:
    return {entry["id"]: entry for entry in json.loads((CONTENT / "entries.json").read_text(encoding="utf-8"))}


def test_all_124_entries_are_there_and_109_are_for_people(content: Content) -> None:
    assert len(content.entries) == 124
    assert sum(entry.shown for entry in content.entries) == 109


def test_every_fact_on_a_card_stands_in_what_was_read(content: Content) -> None:
    for entry in content.entries:
        facts, record = entry.facts, entry.record
        for phone in facts.phones:
            assert phone.number in (record.phone or ""), entry.id
        for email in facts.emails:
            assert email in (record.email or ""), entry.id
        assert (facts.address or record.address) == record.address, entry.id
        assert bool(facts.schedule or facts.always_open) <= bool(record.opening_hours), entry.id
        assert bool(facts.spoken) <= bool(record.languages), entry.id


def test_no_text_claims_to_be_reviewed(content: Content) -> None:
    states = {entry.text_state(code) for entry in content.entries for code in entry.texts}
    assert states == {TextState.UNREVIEWED}


def test_a_number_the_record_does_not_hold_is_found(content: Content) -> None:
    entry = next(entry for entry in content.entries if entry.id == "isee")
    text = entry.texts["it"].model_copy(update={"summary": "Costa 987 euro."})
    assert entry.model_copy(update={"texts": {"it": text}}).unsupported_numbers("it") == ["987"]


@pytest.mark.parametrize("number", ["", "1", "call me", "+", "0125 41\u0660", "javascript:1", "0125/410202"])
def test_what_is_no_phone_number_is_refused(number: str) -> None:
    with pytest.raises(ValidationError):
        Phone(number=number)


@pytest.mark.parametrize(
    "facts",
    [
        {"schedule": [{"days": []}]},
        {"schedule": [{"days": ["someday"]}]},
        {"schedule": [{"days": ["mon"], "closes": "12:00"}]},
        {"schedule": [{"days": ["mon"], "opens": "12:00", "closes": "12:00"}]},
        {"url": "javascript:alert(1)"},
        {"emails": ["nobody"]},
        {"coordinates": {"latitude": 91, "longitude": 0}},
        {"unknown_field": 1},
    ],
)
def test_broken_facts_are_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Facts.model_validate(facts)


@pytest.mark.parametrize(
    "changes", [{"id": "../x"}, {"status": "gone"}, {"checked_on": "yesterday"}, {"more": 1}, {"kind": "shop"}]
)
def test_a_broken_entry_is_refused(raw: dict[str, dict[str, Any]], changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parse_entry({**raw["isee"], **changes})


def test_a_text_is_outdated_when_the_italian_changed_after_it(content: Content) -> None:
    entry: Entry = next(entry for entry in content.entries if entry.id == "isee")
    assert entry.text_state("en") is TextState.UNREVIEWED
    italian: Text = entry.texts["it"].model_copy(update={"summary": "Cambiato."})
    changed = entry.model_copy(update={"texts": {**entry.texts, "it": italian}})
    assert changed.text_state("en") is TextState.OUTDATED
    assert changed.text_state("so") is TextState.MISSING


def test_new_questions_do_not_make_translations_outdated(content: Content) -> None:
    entry: Entry = next(entry for entry in content.entries if entry.id == "isee")
    italian: Text = entry.texts["it"].model_copy(update={"questions": ("una nuova",)})
    assert italian.digest() == entry.texts["it"].digest()
