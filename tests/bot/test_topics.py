"""The big words a person can begin with."""

import pytest

from bot.buttons import label_of
from bot.dialogue import respond, respond_held, welcome
from bot.phrases import SPOKEN, say
from bot.topics import ANY_DANGER, FIRST, FORMER, TOPICS, entries_of
from bot.turn import DialogueState, Incoming, Keeping, Reply, Turn, Understanding
from knowledge_base.entry import Kind
from knowledge_base.library import Library


def press(library: Library, choice: str, state: DialogueState | None = None) -> Reply:
    return respond(Turn(Incoming("it", choice=choice), Understanding(), state or DialogueState()), library)


def ids(reply: Reply) -> list[str]:
    return [choice.id for choice in reply.choices]


@pytest.mark.parametrize("language", SPOKEN)
def test_the_first_screen_has_eight_topics_a_person_an_appointment_and_the_rest(language: str) -> None:
    reply = welcome(language, Keeping())
    assert ids(reply) == [*(f"topic:{topic}" for topic in FIRST), "human", "book", "topics", "privacy"]
    assert len(FIRST) == 8
    assert all(choice.label for choice in reply.choices)


@pytest.mark.parametrize("topic", [*TOPICS, *FORMER])
def test_every_topic_leads_to_something(library: Library, topic: str) -> None:
    assert entries_of(topic, library)
    reply = press(library, f"topic:{topic}")
    assert any(choice.startswith("entry:") for choice in ids(reply))
    assert label_of(f"topic:{topic}", "it", library.find_entry) == say("it", f"topic.{topic}")


def test_what_is_no_topic_is_over(library: Library) -> None:
    assert entries_of("rete_territoriale", library) == ()
    assert press(library, "topic:nothing").text == say("it", "over")


def test_more_topics_shows_all_of_them(library: Library) -> None:
    assert ids(press(library, "topics")) == [f"topic:{topic}" for topic in TOPICS]


def test_danger_shows_every_number_before_anything_is_asked(library: Library) -> None:
    reply = press(library, "topic:pericolo")
    assert [line.number for line in reply.emergency][:2] == ["112", "1522"]
    assert len(reply.emergency) == len(ANY_DANGER.lines)
    assert ids(reply)[0] == "human"
    assert ids(reply)[-1] == "safe"
    assert {"entry:casa-delle-donne-ivrea", "entry:centri-antiviolenza-piemonte"} <= set(ids(reply))
    assert reply.hands_over is None
    told = ids(press(library, "topic:pericolo:0"))
    assert {"entry:112", "entry:numero-verde-antitratta"} <= set(told)
    wish = press(library, "human", reply.state).hands_over
    assert wish is not None
    assert wish.urgent


def test_in_danger_the_numbers_come_also_while_a_person_has_the_word(library: Library) -> None:
    turn = Turn(Incoming("it", choice="topic:pericolo"), Understanding(), DialogueState())
    reply = respond_held(turn, library)
    assert reply is not None
    assert reply.emergency[0].number == "112"
    assert reply.hands_over is not None
    assert reply.hands_over.urgent


def test_food_and_sleep_are_places_and_not_numbers_for_danger(library: Library) -> None:
    found = entries_of("cibo", library)
    assert "caritas-mensa" in {entry.id for entry in found}
    assert all(entry.kind is not Kind.EMERGENCY_LINE for entry in found)
