"""What the bot says, turn by turn, with no database and no network."""

import re
from dataclasses import replace
from datetime import date

import pytest

from bot.dialogue import respond, welcome
from bot.phrases import SPOKEN, digits, say
from bot.privacy import known_text
from bot.turn import DialogueState, Emergency, Guess, Incoming, Intent, Keeping, Known, Reply, Turn, Understanding
from knowledge_base.library import Library
from knowledge_base.search import Band, Hit, SearchResult

SURE = SearchResult(Band.SURE, (Hit("sportello-elp", 0.9),), "en")
UNSURE = SearchResult(Band.UNSURE, (Hit("isee", 0.4), Hit("adi", 0.35), Hit("assegno-unico", 0.3)), "en")
UNKNOWN = SearchResult(Band.UNKNOWN, (), "en")
START = DialogueState()
AFTER_ANSWER = DialogueState(last_entry="sportello-elp", question_id=5)


@pytest.fixture
def talk(library: Library):  # type: ignore[no-untyped-def]
    def turn(
        found: SearchResult | None = UNKNOWN,
        *,
        state: DialogueState = START,
        language: str = "en",
        text: str = "words",
        choice: str | None = None,
        **understood: object,
    ) -> Reply:
        incoming = Incoming(language, "" if choice else text, choice, message_id=7)
        return respond(Turn(incoming, Understanding(found=found, **understood), state), library)  # type: ignore[arg-type]

    return turn


def ids(reply: Reply) -> list[str]:
    return [choice.id for choice in reply.choices]


def test_a_sure_find_is_answered_and_remembered(talk) -> None:
    reply = talk(SURE)
    assert reply.entry == "sportello-elp"
    assert reply.intent == "ask"
    assert reply.state.last_entry == "sportello-elp"
    assert {"human", "book:sportello-elp", "simpler:sportello-elp", "useful:sportello-elp:yes"} <= set(ids(reply))


def test_an_unsure_find_offers_up_to_three_and_none_of_these(talk) -> None:
    reply = talk(UNSURE)
    assert reply.entry is None
    assert ids(reply) == ["entry:isee", "entry:adi", "entry:assegno-unico", "none"]


@pytest.mark.parametrize(
    "words, entry", [("the second one", "adi"), ("2", "adi"), ("first", "isee"), ("last", "assegno-unico")]
)
def test_a_choice_can_be_named_instead_of_pressed(talk, words: str, entry: str) -> None:
    assert talk(UNKNOWN, state=talk(UNSURE).state, text=words).entry == entry


def test_none_of_these_in_words_keeps_the_question_that_was_asked(talk) -> None:
    reply = talk(UNKNOWN, state=talk(UNSURE).state.change(question_id=5), text="none of these")
    assert (reply.intent, reply.unanswered) == ("none", 5)


def test_not_that_shows_what_came_near(talk) -> None:
    near = SearchResult(Band.SURE, (Hit("isee", 0.9), Hit("adi", 0.05)), "en")
    reply = talk(UNKNOWN, state=talk(near).state, text="no, not that")
    assert ids(reply) == ["entry:adi", "none"]
    taken_for_no = talk(UNKNOWN, state=talk(near).state, text="not that", guess=Guess(Intent.NO, 0.99))
    assert ids(taken_for_no) == ["entry:adi", "none"]
    again = talk(UNKNOWN, state=reply.state, text="none of these")
    assert (again.intent, again.unanswered) == ("none", 7)


@pytest.mark.parametrize("text", ["😢", "https://example.org/", "+39 0125 000000"])
def test_what_has_no_words_is_asked_again_and_not_kept(talk, text: str) -> None:
    reply = talk(UNKNOWN, text=text)
    assert reply.unanswered is None
    assert "topic:documenti" in ids(reply)


def test_a_language_we_do_not_speak_is_told_so_in_it(talk) -> None:
    reply = talk(UNKNOWN, written_in="de")
    assert "Auf Deutsch" in reply.text
    assert "languages" in ids(reply)


def test_an_unknown_question_is_admitted_and_kept(talk) -> None:
    reply = talk(UNKNOWN)
    assert reply.intent == "none"
    assert reply.unanswered == 7
    assert "human" in ids(reply)
    assert not any(choice.startswith("entry:") for choice in ids(reply))


def test_none_of_these_keeps_the_question_that_was_asked_before(talk) -> None:
    asked = talk(UNSURE)
    reply = talk(choice="none", state=replace(asked.state, question_id=3))
    assert reply.unanswered == 3


def test_after_two_answers_that_did_not_help_a_person_comes_first(talk) -> None:
    once = talk(UNKNOWN)
    twice = talk(UNKNOWN, state=once.state)
    assert "person" in twice.text
    assert ids(twice)[0] == "human"


def test_an_emergency_comes_before_everything_with_numbers_first(talk) -> None:
    emergency = Emergency("violence", ("112", "1522"))
    reply = talk(SURE, emergency=emergency, guess=Guess(Intent.GREET, 1.0))
    assert [line.number for line in reply.emergency] == ["112", "1522"]
    assert reply.intent == "emergency"
    assert ids(reply)[0] == "human"


@pytest.mark.parametrize(
    "kind, entry, shown",
    [
        ("suicide", "sportello-elp", False),
        ("fire", "isee", False),
        ("violence", "sportello-elp", True),
        ("violence", "casa-delle-donne-ivrea", True),
        ("medical", "ospedale-ivrea", True),
    ],
)
def test_under_the_numbers_stands_no_card_about_something_else(talk, kind: str, entry: str, shown: bool) -> None:
    found = SearchResult(Band.SURE, (Hit(entry, 0.95),), "en")
    assert (talk(found, emergency=Emergency(kind, ("112",))).entry == entry) is shown


@pytest.mark.parametrize("language", SPOKEN)
@pytest.mark.parametrize(
    "kind", ["violence", "attack", "suicide", "child", "missing", "trafficking", "medical", "fire"]
)
def test_every_emergency_has_its_words_in_every_language(talk, language: str, kind: str) -> None:
    reply = talk(UNKNOWN, emergency=Emergency(kind, ("112",)), language=language)
    assert reply.text != f"emergency.{kind}"
    assert reply.emergency[0].number == "112"


def test_an_act_wins_over_a_weaker_find_and_loses_to_a_stronger_one(talk) -> None:
    guess = Guess(Intent.BOOK, 0.8)
    assert talk(SearchResult(Band.SURE, (Hit("isee", 0.7),), "en"), guess=guess).intent == "book"
    assert talk(SearchResult(Band.SURE, (Hit("isee", 0.95),), "en"), guess=guess).entry == "isee"


def test_a_facet_is_about_the_last_answer(talk) -> None:
    reply = talk(UNKNOWN, guess=Guess(Intent.FACET_COST, 0.9), state=AFTER_ANSWER)
    assert reply.intent == "facet:cost"
    assert reply.entry == "sportello-elp"
    assert reply.variant == "facet:cost"


def test_a_facet_without_an_answer_before_it_is_a_question(talk) -> None:
    assert talk(SURE, guess=Guess(Intent.FACET_COST, 0.9)).intent == "ask"


def test_a_facet_word_in_a_question_about_something_else_is_that_question(talk) -> None:
    other = SearchResult(Band.SURE, (Hit("cittadinanza-residenza", 0.97),), "en")
    reply = talk(other, guess=Guess(Intent.FACET_COST, 0.7), state=AFTER_ANSWER)
    assert reply.entry == "cittadinanza-residenza"


@pytest.mark.parametrize("intent", list(Intent))
@pytest.mark.parametrize("language", SPOKEN)
def test_every_intent_has_an_answer_in_every_language(talk, intent: Intent, language: str) -> None:
    for state in (START, AFTER_ANSWER):
        reply = talk(UNKNOWN, guess=Guess(intent, 0.99), language=language, state=state)
        assert reply.text or reply.erase or reply.tells or reply.books
        assert "{" not in reply.text
        assert not re.fullmatch(r"[\w.-]+", reply.text, re.ASCII)  # a sentence, not its key


@pytest.mark.parametrize(
    "intent, step",
    [
        (Intent.BOOK, "book"),
        (Intent.RESCHEDULE, "move_mine"),
        (Intent.CANCEL_BOOKING, "cancel_mine"),
        (Intent.MY_BOOKINGS, "visits"),
    ],
)
def test_an_act_about_appointments_begins_a_step_of_booking(talk, intent: Intent, step: str) -> None:
    reply = talk(guess=Guess(intent, 0.99))
    assert (reply.intent, reply.books) == (intent.value, step)


def test_an_appointment_to_talk_about_something_is_not_taken_for_one_at_that_office(talk) -> None:
    labels = {}
    for entry in ("sportello-elp", "isee"):
        reply = talk(SearchResult(Band.SURE, (Hit(entry, 0.9),), "en"))
        labels[entry] = next(choice.label for choice in reply.choices if choice.id == f"book:{entry}")
    assert labels == {"sportello-elp": say("en", "choice.book"), "isee": say("en", "choice.book_about")}


def test_where_nobody_answers_the_desk_is_shown_to_whoever_wants_a_person(talk) -> None:
    assert "entry:sportello-elp" in ids(talk(guess=Guess(Intent.HUMAN, 0.99)))


def test_not_understood_gives_simpler_words_then_a_person(talk) -> None:
    guess = Guess(Intent.NOT_UNDERSTOOD, 0.9)
    first = talk(guess=guess, state=AFTER_ANSWER)
    assert (first.variant, first.entry) == ("simple", "sportello-elp")
    second = talk(guess=guess, state=first.state)
    assert second.entry is None
    assert ids(second)[0] == "human"


def test_the_need_is_shown_in_italian_with_the_own_language_under_it(talk) -> None:
    reply = talk(choice="show:isee", language="ar")
    italian, own = reply.text.split("\n\n")
    assert italian.startswith("Ho bisogno")
    assert own.startswith("أحتاج")


def test_another_language_is_suggested_once_in_that_language(talk) -> None:
    reply = talk(SURE, written_in="fr")
    assert "français" in reply.text
    assert ids(reply)[0] == "language:fr"
    again = talk(SURE, written_in="fr", state=reply.state)
    assert "language:fr" not in ids(again)


def test_a_language_we_do_not_speak_is_named_and_the_others_are_offered(talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(SPOKEN, "tr", raising=False)
    reply = talk(UNKNOWN, written_in="tr")
    assert "Turkish" in reply.text
    assert "languages" in ids(reply)


def test_yes_after_a_suggestion_changes_the_language_and_repeats_the_answer(talk) -> None:
    suggested = talk(SURE, written_in="fr")
    reply = talk(guess=Guess(Intent.YES, 0.9), state=suggested.state)
    assert reply.language == "fr"
    assert reply.entry == "sportello-elp"
    assert reply.intent == "change_language:fr"


def test_deleting_is_asked_twice_and_no_keeps_everything(talk) -> None:
    asked = talk(guess=Guess(Intent.FORGET, 0.9))
    assert not asked.erase
    assert talk(guess=Guess(Intent.YES, 0.9), state=asked.state).erase
    kept = talk(guess=Guess(Intent.NO, 0.9), state=asked.state)
    assert not kept.erase
    assert "nothing was deleted" in kept.text


def test_an_entry_kept_only_for_reference_is_never_shown(talk) -> None:
    hidden = SearchResult(Band.SURE, (Hit("santo-bambino-chiusa", 0.99),), "en")
    assert talk(hidden).entry is None
    assert talk(choice="entry:santo-bambino-chiusa").entry is None


def test_every_button_the_bot_ever_shows_can_be_pressed(talk, library: Library) -> None:
    seen: set[str] = set()
    waiting = [choice.id for choice in welcome("en", Keeping()).choices]
    while waiting and len(seen) < 600:
        choice = waiting.pop()
        if choice in seen:
            continue
        seen.add(choice)
        reply = talk(choice=choice)
        assert "no longer valid" not in reply.text, choice
        waiting += ids(reply)
    assert {"human", "book", "forget-now"} & seen
    assert len({choice for choice in seen if choice.startswith("entry:")}) > 90


def test_a_conversation_survives_an_update_that_renamed_its_memory() -> None:
    state = DialogueState.from_json({"last_entry": "isee", "something_new": 1, "offered": ["a"]})
    assert state.last_entry == "isee"
    assert DialogueState.from_json(state.to_json()) == state


@pytest.mark.parametrize(
    "language, days", [("it", "41 giorni"), ("en", "41 days"), ("fr", "41 jours"), ("ar", "41 يومًا")]
)
def test_before_the_first_word_it_is_said_what_is_kept_and_for_how_long(language: str, days: str) -> None:
    reply = welcome(language, Keeping(days=41))
    assert days in reply.text.replace("\N{NO-BREAK SPACE}", " ")
    assert "112" in reply.text
    assert "privacy" in ids(reply)


@pytest.mark.parametrize("language", SPOKEN)
def test_the_notice_names_who_answers_for_it_or_says_that_nobody_was_named(talk, language: str) -> None:
    assert say(language, "privacy.no_controller") in talk(choice="privacy", language=language).text
    turn = Turn(Incoming(language, choice="privacy"), Understanding(), START, Keeping(3, "Comune di Prova"))
    text = respond(turn, Library.build([], {})).text
    assert "Comune di Prova" in text
    assert say(language, "privacy.no_controller") not in text


@pytest.mark.parametrize("language", SPOKEN)
def test_what_is_known_is_told_with_numbers_and_dates(language: str) -> None:
    known = Known(3, date(2026, 3, 1), "fr", "Ivrea", 2, 1, date(2026, 6, 4), forgets=False)
    text = known_text(language, known)
    year = digits(language, "2026")
    assert all(part in text for part in (digits(language, "3"), year, "Français", "Ivrea"))
    assert "{" not in text
    assert year not in known_text(language, replace(known, since=None, messages=0, forgets=True))
