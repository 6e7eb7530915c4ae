"""What a message is taken for: the classifier's guesses, weighed against what search found for the same words."""

from dataclasses import replace

from bot.turn import Guess, Intent, Understanding
from knowledge_base.search import Band, SearchResult

_UNKNOWN, _UNSURE, _MOST = 0.7, 1.0, 10.0
"""How many times more a question weighs where search found nothing, something, and a very sure answer; chosen on the
phrases of `nlu/tests`."""
_LEAST = 0.4
"""Of all that the words could be, an act has at least this share."""


def meant(understanding: Understanding, last_entry: str | None = None) -> Guess | None:
    """The likeliest act or follow-up; None when it is rather a question. `last_entry`: the answer that a follow-up is
    about; without one nothing is a follow-up."""
    guess = understanding.guess
    if guess is None:
        return None
    chances = {each.intent: each.confidence for each in (guess, *guess.others)}
    unlisted = max(0.0, 1.0 - sum(chances.values()))
    question = chances.pop(Intent.ASK, 0.0)
    if not guess.others:  # what a lone guess is not sure of is a question
        question, unlisted = question + unlisted, 0.0
    question *= _weight(understanding.found, last_entry)
    likely = {intent: chance for intent, chance in chances.items() if last_entry or not intent.facet}
    if not likely:
        return None
    unlisted += (sum(chances.values()) - sum(likely.values())) / 2  # a follow-up to nothing: partly a question
    intent = max(likely, key=lambda one: likely[one])
    share = likely[intent] / (sum(likely.values()) + question + unlisted)
    if likely[intent] <= question or share < _LEAST:
        return None
    return replace(guess, intent=intent, confidence=share, others=())


def _weight(found: SearchResult | None, last_entry: str | None) -> float:
    if found is None or found.band is Band.UNKNOWN:
        return _UNKNOWN
    best = found.hits[0]
    if found.band is Band.UNSURE or best.id == last_entry:  # the same entry again is no other question
        return _UNSURE
    return min(_MOST, best.score / max(1e-6, 1.0 - best.score))
