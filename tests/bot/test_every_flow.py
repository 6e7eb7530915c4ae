"""Every button that can be reached is pressed, in every language people can choose: no sentence is missing anywhere."""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import date
from gettext import GNUTranslations
from itertools import product
from typing import get_args

import pytest

from bot import booking_flow, handover_flow, phrases
from bot.card import FACET_ROWS, build_card
from bot.dialogue import emergency_lines, respond, respond_held, welcome
from bot.emergency import NUMBERS
from bot.phrases import SPOKEN, digits, say
from bot.privacy import forgetting_text, known_text, long_notice
from bot.turn import (
    Choice,
    DialogueState,
    Emergency,
    Guess,
    Held,
    Incoming,
    Intent,
    Keeping,
    Known,
    Reply,
    Turn,
    Understanding,
)
from knowledge_base.library import Library
from knowledge_base.search import Band, Hit, SearchResult
from tests.bot.fake_visits import NOW, TUESDAY, FakeVisits, offer, rome

UNKNOWN = SearchResult(Band.UNKNOWN, (), "it")
SURE = SearchResult(Band.SURE, (Hit("1522", 0.9),), "it")
UNSURE = SearchResult(Band.UNSURE, (Hit("isee", 0.4), Hit("adi", 0.35)), "it")
AFTER_ANSWER = DialogueState(last_entry="1522")
ID = re.compile(r"(?<=:)[0-9a-f]{8}-[0-9a-f-]{27}")
KEY = re.compile(r"[a-z_]+(\.[\w-]+)+|\{\w*\}")


@dataclass
class Strict:
    """A catalogue that remembers what it does not hold."""

    catalogue: GNUTranslations
    missing: set[str]

    def gettext(self, key: str) -> str:
        text = self.catalogue.gettext(key)
        if text == key:
            self.missing.add(key)
        return text


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Keys somebody asked for in vain."""
    found: set[str] = set()
    real = phrases.catalogue
    monkeypatch.setattr(phrases, "catalogue", lambda code: Strict(real(code), found))
    return found


class Walk:
    """Presses every kind of button once, from every conversation it is offered in first."""

    def __init__(self, library: Library, language: str) -> None:
        self.library, self.language = library, language
        self.visits = FakeVisits(
            offered=(offer(1), offer(2, name="Documenti"), offer(3, desk=2, desk_name="Sportello di Rivarolo")),
            free=[rome(TUESDAY, hour) for hour in range(9, 18)],
            place=library.find_entry("sportello-elp"),
            demo=True,
        )
        self.visits.visit(rome(TUESDAY, 9))
        self.pressed: set[str] = set()
        self.said: list[str] = []

    async def everything(self) -> None:
        waiting = [reply async for reply in self._beginnings()]
        while waiting:
            reply = waiting.pop()
            if step := reply.state.booking.get("at", "").partition(":")[0]:
                waiting += [await self._write(step, reply)] if f"{step} in words" not in self.pressed else []
            for choice in reply.choices:
                kind = self._kind(choice)
                if kind not in self.pressed:
                    self.pressed.add(kind)
                    waiting.append(await self._turn(Incoming(self.language, choice=choice.id), reply.state))

    async def _write(self, step: str, reply: Reply) -> Reply:
        """A name, where one is asked for."""
        self.pressed.add(f"{step} in words")
        return await self._turn(Incoming(self.language, "Amina", message_id=8), reply.state, found=UNKNOWN)

    async def _beginnings(self) -> AsyncIterator[Reply]:
        yield self._heard(welcome(self.language, Keeping()))
        for found, guess, state in product(
            (UNKNOWN, UNSURE, SURE), (None, *Intent), (DialogueState(), AFTER_ANSWER, DialogueState(misses=1))
        ):
            guessed = guess and Guess(guess, 0.99, "fr" if guess is Intent.CHANGE_LANGUAGE else None)
            yield await self._turn(Incoming(self.language, "words", message_id=7), state, found=found, guess=guessed)
        for kind, lines in NUMBERS.items():
            yield await self._turn(Incoming(self.language, "!"), DialogueState(), emergency=Emergency(kind, lines))
        for other in ("fr", "so"):
            yield await self._turn(Incoming(self.language, "words"), DialogueState(), found=UNKNOWN, written_in=other)
        for choice in ("visits", "bot", "waiting", "attachment", "forget-on-close", "export", "gone", "useful:adi:no"):
            yield await self._turn(Incoming(self.language, choice=choice), AFTER_ANSWER)

    async def _turn(self, incoming: Incoming, state: DialogueState, **understood: object) -> Reply:
        turn = Turn(incoming, Understanding(**understood), state)  # type: ignore[arg-type]
        reply = respond(turn, self.library)
        if reply.books:
            reply = await booking_flow.answer(reply, turn, self.visits, self.library)
        return self._heard(reply if reply.language == self.language else replace(reply, choices=()))

    def _heard(self, reply: Reply) -> Reply:
        self.said += [reply.text, *(choice.label for choice in reply.choices)]
        if reply.visit:
            self.said += [reply.visit.title, *reply.visit.notes, *(row.label for row in reply.visit.rows)]
            self.said += [value for row in reply.visit.rows for value in row.values]
        return reply

    def _kind(self, choice: Choice) -> str:
        """Buttons for one entry are like those for another one; a step of booking is one of its own."""
        name, _, rest = choice.id.partition(":")
        word = rest.rpartition(":")[2] if name in ("useful", "helped") else rest.partition(":")[0]
        return name if name in ("entry", "simpler", "show", "book") else f"{name}:{ID.sub('', word)}"


def held_replies(language: str, library: Library) -> Iterator[str]:
    """What is said on the way to a person and while one has the word."""
    waiting = Held("WAITING", "Sportello ELP", NOW, "Europe/Rome")
    ways = (waiting, replace(waiting, promised_for=NOW), replace(waiting, not_before=TUESDAY))
    for held in ways:
        yield handover_flow.status(language, held)
        yield handover_flow.status(language, replace(held, state="ACTIVE"))
        yield handover_flow.handed_over(language, held, urgent=True)
        yield handover_flow.handed_over(language, held, urgent=False)
        for told in (
            handover_flow.back_in_queue,
            handover_flow.moved,
            handover_flow.apology,
            handover_flow.dated,
        ):
            yield told(language, held)
    yield handover_flow.taken(language, "Sportello ELP")
    yield handover_flow.reopened(language, "Sportello ELP")
    closed = handover_flow.closed(language, "Sportello ELP")
    yield closed.text
    yield from (choice.label for choice in closed.choices)
    state = DialogueState()
    for choice in (None, "bot", "waiting", "attachment", "topics", "language:fr", "no:forget-now", "visits", "privacy"):
        for emergency in (None, *(Emergency(kind, lines) for kind, lines in NUMBERS.items())):
            understood = Understanding(emergency=None if choice else emergency)
            reply = respond_held(
                Turn(Incoming(language, "" if choice else "words", choice), understood, state), library
            )
            if reply is not None:
                yield reply.text
                yield from (one.label for one in reply.choices)


@pytest.mark.parametrize("language", SPOKEN)
async def test_every_button_leads_to_a_sentence(library: Library, missing: set[str], language: str) -> None:
    walk = Walk(library, language)
    await walk.everything()
    pressed = {kind.partition(":")[0] for kind in walk.pressed}
    assert {"entry", "topic", "simpler", "useful", "book", "time", "confirm", "visit", "human", "privacy"} <= pressed
    assert missing == set()
    assert [text for text in walk.said if KEY.fullmatch(text)] == []


@pytest.mark.parametrize("language", SPOKEN)
def test_a_person_at_the_desk_is_spoken_of_in_whole_sentences(
    library: Library, missing: set[str], language: str
) -> None:
    said = list(held_replies(language, library))
    assert len(said) > 60
    assert missing == set()
    assert not any("{" in text or KEY.fullmatch(text) for text in said)


@pytest.mark.parametrize("language", SPOKEN)
def test_every_card_in_every_form_has_its_labels(library: Library, missing: set[str], language: str) -> None:
    for entry in library.entries.values():
        for variant in ("full", "simple", "show", *(f"facet:{facet}" for facet in FACET_ROWS)):
            if entry.shown:
                assert build_card(entry, language, now=NOW, variant=variant) is not None
    assert missing == set()


@pytest.mark.parametrize("language", SPOKEN)
def test_what_is_kept_is_told_in_whole_sentences(missing: set[str], language: str) -> None:
    known = Known(3, date(2026, 3, 1), language, "Ivrea", 2, 1, date(2026, 6, 4), forgets=False, visits=2, waiting=1)
    for one in (known, replace(known, since=None, messages=0, place=None, forgets=True, visits=0, waiting=0)):
        assert "{" not in known_text(language, one)
    for keeping in (Keeping(), Keeping(7, "Comune di Prova")):
        assert digits(language, str(keeping.days)) in long_notice(language, keeping)
        for forgets in (True, False):
            assert forgetting_text(language, forgets, keeping)
    assert missing == set()


def test_the_walk_notices_a_sentence_that_is_missing(missing: set[str]) -> None:
    assert say("fr", "no.such.key") == "no.such.key"
    assert missing == {"no.such.key"}


def test_every_emergency_shows_numbers_that_can_be_dialled_in_every_language(library: Library) -> None:
    for language, (kind, lines) in product(SPOKEN, NUMBERS.items()):
        shown = emergency_lines(Emergency(kind, lines), language, library)
        assert len(shown) == len(lines)
        assert all(re.fullmatch(r"\+?[0-9 ]+", line.number, re.ASCII) for line in shown)


def test_every_reason_for_a_person_has_its_words(missing: set[str]) -> None:
    for language in SPOKEN:
        for way in get_args(Held.__annotations__["state"]):
            assert handover_flow.status(language, Held(way, "X", NOW, "Europe/Rome"))
    assert missing == set()
