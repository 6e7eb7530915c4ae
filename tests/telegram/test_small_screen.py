"""A small phone that others may see: what is tapped, what is covered, where lines begin."""

import re
import unicodedata
from dataclasses import replace

import pytest

from bot.buttons import entry_buttons
from bot.card import Row, build_card
from bot.dialogue import respond
from bot.phrases import SPOKEN, say
from bot.telegram import Manner, pointed, render
from bot.turn import Choice, DialogueState, EmergencyLine, Incoming, Turn, Understanding
from bot.visit_card import VisitCard, way_card
from knowledge_base.entry import Coordinates, Entry
from knowledge_base.library import Library
from tests.bot.fake_visits import NOW
from tests.telegram.showing import VISIT, Attached, Message, Screen, confirmed, message_of, shown_of

RIGHT_TO_LEFT = [code for code, language in SPOKEN.items() if language.right_to_left]


@pytest.fixture
def screen() -> Screen:
    return Screen()


def placed(entry: Entry) -> Entry:
    """As it would be if somebody had noted where it is."""
    here = Coordinates(latitude=45.4614, longitude=7.8753)
    return entry.model_copy(update={"facts": entry.facts.model_copy(update={"coordinates": here})})


def test_a_tap_calls_or_copies_a_number(library: Library, screen: Screen) -> None:
    numbers = [phone.number for entry in shown_of(library) for phone in entry.facts.phones]
    rows = (Row("phone", "Tel", tuple(numbers), ("tel:1",) * len(numbers), italian=True),)
    for language in ("it", "ar"):
        card = VisitCard(VISIT, "Numbers", rows, (), calendar=False)
        (seen,) = screen.show(render(Message(language=language, appointment=card)))
        called, copied = seen.entity_texts("phone_number"), seen.entity_texts("code")
        for number in numbers:
            landline = number.startswith(("0", "+"))
            assert not landline or any(number in one and one.startswith("+39") for one in called), number
            assert number not in ("112", "114", "1522", "116117", "19696") or number in copied
        assert not any("+39 800" in one or "+39 112" in one for one in called)


def test_a_place_with_coordinates_comes_as_a_place(library: Library, screen: Screen) -> None:
    entry = placed(library.entries["sportello-elp"])
    card = build_card(entry, "it", now=NOW)
    assert card is not None
    text, venue = screen.show(render(Message(entries=[card])))
    assert venue.venue is not None
    assert venue.venue["title"] == card.title
    assert venue.location == {"latitude": 45.4614, "longitude": 7.8753}
    assert say("it", "card.open_map") not in text.text
    way = Message(language="ar", appointment=way_card("ar", replace(confirmed(library), place=entry)))
    assert [one.kind for one in screen.show(render(way))] == ["text", "venue"]
    covered = screen.show(render(replace(way, author="system"), asked=False))
    assert [one.kind for one in covered] == ["text"]
    assert covered[0].entity_texts("text_link") == [say("ar", "card.open_map")]


@pytest.mark.parametrize("language", RIGHT_TO_LEFT)
def test_every_line_begins_at_its_own_side(library: Library, screen: Screen, language: str) -> None:
    """In a language written from right to left no line begins with a Latin word, an emoji being neither."""
    for entry in shown_of(library):
        card = build_card(entry, language, now=NOW)
        assert card is not None
        if card.language != language:
            continue
        (seen,) = screen.show(render(Message(language=language, entries=[card])))
        for line in filter(None, seen.text.split("\n")):
            assert first_direction(line) in ("R", "AL"), line


def first_direction(line: str) -> str:
    outside = re.sub("\u2068[^\u2069]*\u2069", "", line)
    kinds = map(unicodedata.bidirectional, outside)
    return next((kind for kind in kinds if kind in ("L", "R", "AL")), "")


@pytest.mark.parametrize("language", RIGHT_TO_LEFT)
def test_every_button_is_read_from_its_own_side(library: Library, screen: Screen, language: str) -> None:
    for entry in shown_of(library):
        choices = [*entry_buttons(language, [entry, library.entries["isee"]]), Choice("about:1", "Primo colloquio")]
        (seen,) = screen.show(render(Message(language=language, text="؟", choices=choices)))
        sides = [first_direction(label) for label in seen.labels]
        assert sides[-1] == "L"
        assert set(sides[:-1]) <= {"R", "AL"}, seen.labels


def test_long_titles_stand_in_the_text_and_their_numbers_on_the_buttons(screen: Screen) -> None:
    titles = ["Rinnovare il permesso di soggiorno per motivi di famiglia", "Assegno unico", "SPID"]
    choices = [Choice(f"entry:{number}", title) for number, title in enumerate(titles)]
    (seen,) = screen.show(render(Message(text="Quale?", choices=[*choices, Choice("none", "Nessuno di questi")])))
    assert seen.text.split("\n")[2:] == [f"{number}. {title}" for number, title in enumerate(titles, 1)]
    assert seen.labels == [*(f"{number}. {title}" for number, title in enumerate(titles, 1)), "Nessuno di questi"]
    (seen,) = screen.show(render(Message(text="Quale?", choices=choices[1:])))
    assert seen.text == "Quale?"


def test_buttons_stand_in_rows_that_can_be_read(screen: Screen) -> None:
    def rows(*choices: tuple[str, str]) -> list[int]:
        (seen,) = screen.show(render(Message(text="?", choices=[Choice(*one) for one in choices])))
        return [len(row) for row in seen.buttons]

    hours = [(f"time:1-it:20261124T{hour:02}00+0100", f"{hour}:00") for hour in range(9, 17)]
    assert rows(*hours, ("days:1-it", "Un altro giorno")) == [4, 4, 1]
    assert rows(*((f"language:{code}", one.name) for code, one in SPOKEN.items())) == [3] * 5
    assert rows(("book", "Appuntamento"), ("human", "Una persona"), ("a", "Una scelta molto lunga da leggere")) == [
        2,
        1,
    ]


def test_more_buttons_than_a_message_may_have_come_in_another_one(screen: Screen) -> None:
    choices = [Choice(f"time:1-it:{number}", f"{number // 60}:{number % 60:02}") for number in range(250)]
    seen = screen.show(render(Message(text="Quando?", choices=choices)))
    assert [len(one.labels) for one in seen] == [100, 100, 50]
    assert [label for one in seen for label in one.labels] == [choice.label for choice in choices]


def test_a_button_with_a_long_id_points_at_its_message(screen: Screen) -> None:
    choices = [Choice("topics", "Temi"), Choice("useful:" + "a" * 63 + ":yes", "Utile")]
    (seen,) = screen.show(render(Message(id=4711, text="?", choices=choices)))
    data = [button.data for row in seen.buttons for button in row]
    assert data == ["topics", "~4711:1"]
    assert pointed("~4711:1") == (4711, 1)
    assert [pointed(one) for one in ("topics", "~x:1", "~1", "~1:1000", "")] == [None] * 5


# ---- who else may see it ----


def test_what_nobody_asked_for_is_covered_on_a_locked_phone(screen: Screen) -> None:
    secret = "Il tuo permesso è pronto. " * 400
    message = Message(author="operator", text=secret, desk="Centro antiviolenza", intent=None)
    seen = screen.show(render(message, asked=False))
    assert len(seen) > 1
    assert seen[0].notification.startswith(say("it", "telegram.covered"))
    assert not any("permesso" in one.notification or "violenza" in one.notification for one in seen)
    assert "permesso" in screen.show(render(message, asked=True))[0].notification
    pictures = replace(message, attachments=[Attached("image", "image/png"), Attached("voice", "audio/ogg")])
    calls = render(pictures, asked=False)
    assert [call.fields for call in calls if call.method == "sendPhoto"] == [{"has_spoiler": True}]
    assert [call.method for call in calls[-2:]] == ["sendPhoto", "sendVoice"]


def test_dangerous_messages_can_be_protected(library: Library, screen: Screen) -> None:
    danger = build_card(library.entries["1522"], "it", now=NOW)
    other = build_card(library.entries["isee"], "it", now=NOW)
    manner = Manner(protect=True)
    assert [one.protected for one in screen.show(render(Message(entries=[danger]), manner=manner))] == [True]
    assert [one.protected for one in screen.show(render(Message(entries=[other]), manner=manner))] == [False]
    assert [one.protected for one in screen.show(render(Message(entries=[danger])))] == [False]
    lines = (EmergencyLine("112", "Emergenza"),)
    assert screen.show(render(Message(emergency=lines, intent="emergency"), manner=manner))[0].protected


def test_a_persons_own_message_is_sent_to_nobody() -> None:
    assert render(Message(author="person", text="ciao")) == ()


def test_the_file_with_ones_data_comes_into_the_chat(screen: Screen, library: Library) -> None:
    turn = Turn(Incoming("it", choice="export-file"), Understanding(), DialogueState())
    seen = screen.show(render(message_of(respond(turn, library))))
    assert [one.kind for one in seen] == ["text", "document"]
    assert seen[1].file is not None
    assert seen[1].file.mime == "application/json"


def test_what_is_held_up_at_a_counter_is_italian_first(screen: Screen, library: Library) -> None:
    turn = Turn(Incoming("ar", choice="show:isee"), Understanding(), DialogueState())
    (seen,) = screen.show(render(message_of(respond(turn, library))))
    first = seen.text.split("\n\n")[0]
    assert first == say("it", "show.need", title=library.entries["isee"].texts["it"].title)
    assert seen.entity_texts("bold") == [first]
