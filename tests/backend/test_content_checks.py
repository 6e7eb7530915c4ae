"""`elp kb check` on the content: what somebody broke is found, and said with the entry and the language it is in."""

from dataclasses import replace
from typing import Any

import pytest

from backend.content_checks import content_problems
from knowledge_base.entry import Entry, Facts, Phone, Text
from knowledge_base.files import Content

ENTRY = "anticaporalato"
OTHER = "isee"


def broken(content: Content, language: str = "fr", entry_id: str = ENTRY, **changes: Any) -> list[str]:
    """The problems when a text says something else."""
    entry = find(content, entry_id)
    text = Text.model_validate(entry.texts[language].model_dump() | changes)
    return check(content, entry.model_copy(update={"texts": {**entry.texts, language: text}}))


def check(content: Content, changed: Entry) -> list[str]:
    """Of the changed entry and one other."""
    return content_problems(replace(content, entries=(find(content, OTHER), changed)))


def find(content: Content, entry_id: str) -> Entry:
    return next(entry for entry in content.entries if entry.id == entry_id)


def with_facts(content: Content, entry_id: str, **changes: Any) -> list[str]:
    entry = find(content, entry_id)
    facts = Facts.model_validate(entry.facts.model_dump() | changes)
    return check(content, entry.model_copy(update={"facts": facts}))


def test_the_content_has_no_problem(content: Content) -> None:
    assert content_problems(content) == []


def test_a_text_that_is_not_there_is_missing(content: Content) -> None:
    entry = find(content, ENTRY)
    texts = {code: text for code, text in entry.texts.items() if code != "bn"}
    assert check(content, entry.model_copy(update={"texts": texts})) == [f"{ENTRY}: the text in bn is missing"]


def test_a_changed_italian_text_makes_its_translations_old(content: Content) -> None:
    italian = find(content, ENTRY).texts["it"]
    problems = broken(content, "it", steps=[*italian.steps[:-1], "Chiedi che cosa fare dopo."])
    assert f"{ENTRY}: the text in fr is outdated" in problems
    assert len(problems) == 14


@pytest.mark.parametrize(
    "changes, problem",
    [
        ({"who": None}, "who differs from the Italian"),
        ({"cost": None}, "cost differs from the Italian"),
        ({"hours": "Tous les jours."}, "hours differs from the Italian"),
        ({"bring": ["Un document."]}, "bring differs from the Italian"),
        ({"steps": ["Appelez le numéro gratuit."]}, "steps differs from the Italian"),
        ({"questions": ["où", "quand"]}, "only 2 questions"),
        ({"cost": "C'est gratuit. Sinon 987 euros."}, "numbers that the record does not hold: 987"),
        ({"cost": "C'est gratuit dès ٩ heures."}, "figures other than 0 to 9"),
        ({"cost": "C'est gratuit : www.exemple.org"}, "links and e-mail addresses belong to the facts"),
        ({"cost": "C'est gratuit : aide@exemple.org"}, "links and e-mail addresses belong to the facts"),
        ({"title": "x" * 80}, "title has 80 characters"),
        ({"cost": "Это бесплатно. " * 100}, "of the letters are in the language's script"),
        ({"cost": "Le service est gratuit pour qui travaille en Italie. " * 35}, "characters where the Italian has"),
        ({"cost": "Racconta dove lavori e che cosa succede."}, "still in it: Racconta dove lavori e che cosa succede"),
    ],
)
def test_what_is_wrong_with_a_translation_is_named(content: Content, changes: dict[str, Any], problem: str) -> None:
    found = broken(content, **changes)
    assert any(line.startswith(f"{ENTRY} (fr): ") and problem in line for line in found), found


def test_a_sentence_that_stayed_english_is_named(content: Content) -> None:
    step = find(content, ENTRY).texts["en"].steps[1]
    found = broken(content, cost=step)
    assert any(line.startswith(f"{ENTRY} (fr): still in en: ") for line in found)


def test_an_amount_that_fell_out_of_a_translation_is_missed(content: Content) -> None:
    entry = find(content, "ritorno-volontario-oim")
    assert "615" in (entry.texts["fr"].cost or "")
    found = broken(content, entry_id=entry.id, cost="C'est gratuit. On vous donne de l'argent au départ.")
    assert any("numbers that only this text or only the Italian has" in line and "615" in line for line in found)


def test_a_text_in_another_language_of_the_same_script_is_recognised(content: Content) -> None:
    entry = find(content, ENTRY)
    spanish = entry.texts["es"].model_copy(update={"translated_from": entry.texts["fr"].translated_from})
    found = check(content, entry.model_copy(update={"texts": {**entry.texts, "fr": spanish}}))
    assert f"{ENTRY} (fr): reads like es" in found


def test_an_italian_text_that_is_hard_to_read_is_named_with_its_index(content: Content) -> None:
    hard = "La presentazione dell'istanza presuppone l'acquisizione della documentazione attestante la regolarità."
    found = broken(content, "it", summary=hard, steps=[hard] * 4, simple=hard)
    assert any(line.startswith(f"{ENTRY} (it): Gulpease ") and line.endswith("wanted 60") for line in found)
    assert any(line.startswith(f"{ENTRY} (it): Gulpease of the simpler words") for line in found)


def test_a_question_belongs_to_one_entry_in_each_language(content: Content) -> None:
    question = find(content, OTHER).texts["fr"].questions[0]
    own = find(content, ENTRY).texts["fr"].questions
    found = broken(content, questions=[question.upper() + " ?", *own])
    owners = {ENTRY, OTHER}
    assert len(found) == 1
    assert "also a question of" in found[0]
    assert all(name in found[0] for name in owners)


@pytest.mark.parametrize(
    "entry_id, facts, problem",
    [
        (ENTRY, {"phones": [Phone(number="800 939 001").model_dump()]}, "the phone 800 939 001"),
        (ENTRY, {"url": "https://example.org/"}, "the link https://example.org/"),
        (ENTRY, {"emails": ["nobody@example.org"]}, "the address nobody@example.org"),
        ("caritas-mensa", {"address": "Via Nuova 1, Ivrea"}, "the address Via Nuova 1, Ivrea"),
        ("caritas-mensa", {"municipality": "Torino"}, "the municipality Torino"),
        ("ivrea-politiche-sociali", {"schedule": [{"days": ["mon"], "opens": "04:44", "closes": "05:55"}]}, "04:44"),
        ("partner-orso", {"always_open": True}, "when it is open"),
    ],
)
def test_a_fact_that_nobody_read_is_named(content: Content, entry_id: str, facts: dict[str, Any], problem: str) -> None:
    found = with_facts(content, entry_id, **facts)
    assert any(line.startswith(f"{entry_id}: ") and problem in line for line in found), found
    assert all("is not in the record" in line for line in found)
