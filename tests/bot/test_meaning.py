"""An act, a follow-up or a question: the classifier's guesses against what search found."""

import pytest

from bot.meaning import meant
from bot.turn import Guess, Intent, Understanding
from knowledge_base.search import Band, Hit, SearchResult

NOTHING = SearchResult(Band.UNKNOWN, (), "it")
SOMETHING = SearchResult(Band.UNSURE, (Hit("isee", 0.4), Hit("adi", 0.3)), "it")


def sure(score: float) -> SearchResult:
    return SearchResult(Band.SURE, (Hit("isee", score),), "it")


def guess(*chances: tuple[Intent, float]) -> Guess:
    first, *others = (Guess(intent, chance) for intent, chance in chances)
    return Guess(first.intent, first.confidence, others=tuple(others))


def taken_for(guessed: Guess, found: SearchResult | None, last_entry: str | None = None) -> Intent | None:
    wanted = meant(Understanding(guess=guessed, found=found), last_entry)
    return wanted.intent if wanted else None


@pytest.mark.parametrize(
    "found, intent", [(NOTHING, Intent.BOOK), (None, Intent.BOOK), (SOMETHING, None), (sure(0.9), None)]
)
def test_the_less_search_finds_the_less_sure_an_act_need_be(found: SearchResult | None, intent: Intent | None) -> None:
    unsure = guess((Intent.ASK, 0.46), (Intent.BOOK, 0.44), (Intent.HUMAN, 0.1))
    assert taken_for(unsure, found) is intent


def test_a_sure_act_is_one_whatever_search_found() -> None:
    assert taken_for(guess((Intent.MY_BOOKINGS, 0.97), (Intent.ASK, 0.03)), sure(0.99)) is Intent.MY_BOOKINGS


def test_without_an_answer_before_it_nothing_is_a_follow_up() -> None:
    when = guess((Intent.FACET_WHEN, 0.5), (Intent.BOOK, 0.4), (Intent.ASK, 0.1))
    assert taken_for(when, NOTHING) is Intent.BOOK
    assert taken_for(when, NOTHING, last_entry="isee") is Intent.FACET_WHEN
    assert taken_for(guess((Intent.FACET_WHEN, 0.95), (Intent.GREET, 0.05)), NOTHING) is None


def test_a_follow_up_that_names_its_entry_is_still_one() -> None:
    cost = guess((Intent.FACET_COST, 0.7), (Intent.ASK, 0.3))
    assert taken_for(cost, sure(0.99), last_entry="isee") is Intent.FACET_COST
    assert taken_for(cost, sure(0.99), last_entry="adi") is None


def test_many_unlikely_guesses_make_no_act() -> None:
    spread = guess((Intent.YES, 0.2), (Intent.HELP, 0.15), (Intent.ASK, 0.1), (Intent.NO, 0.1), (Intent.GREET, 0.1))
    assert taken_for(spread, NOTHING) is None
