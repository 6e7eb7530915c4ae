"""What Telegram shows of the bot, and what the bot says to whatever is not words."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from telegram.constants import BotCommandLimit, BotDescriptionLimit

from bot import booking_flow
from bot.buttons import label_of
from bot.dialogue import respond, respond_held
from bot.nearby import distance, great_circle, nearest
from bot.phrases import SPOKEN, say
from bot.telegram import COMMANDS, commands, greeting, profile_calls
from bot.turn import DialogueState, Emergency, Incoming, Keeping, Reply, Turn, Understanding
from knowledge_base.entry import Coordinates, Entry
from knowledge_base.library import Library
from knowledge_base.search import Band, Hit, SearchResult
from tests.bot.fake_visits import FakeVisits, offer
from tests.telegram.showing import Screen

IVREA, TORINO, ROMA = (45.4614, 7.8753), (45.0703, 7.6869), (41.9028, 12.4964)
KEYS = ("telegram.", "choice.", "wordless", "language.which")


# ---- before anybody writes ----


@pytest.mark.parametrize("language", SPOKEN)
def test_commands_are_described_in_every_language(language: str) -> None:
    described = commands(language)
    assert tuple(command for command, _ in described) == COMMANDS
    for command, description in described:
        assert BotCommandLimit.MIN_COMMAND <= len(command) <= BotCommandLimit.MAX_COMMAND
        assert 1 <= len(description) <= BotCommandLimit.MAX_DESCRIPTION
        assert not description.startswith(KEYS)


def test_the_profile_is_said_in_every_language_and_in_english_to_everybody_else() -> None:
    screen = Screen()
    calls = profile_calls()
    for call in calls:
        screen.do(call)
    standin = screen.standin
    for told in (standin.commands, standin.descriptions, standin.short_descriptions):
        assert set(told) == {"", *SPOKEN}
        assert told[""] == told["en"]
    assert all(len(text) <= BotDescriptionLimit.MAX_DESCRIPTION_LENGTH for text in standin.descriptions.values())
    short = standin.short_descriptions.values()
    assert all(len(text) <= BotDescriptionLimit.MAX_SHORT_DESCRIPTION_LENGTH for text in short)
    assert str(len(SPOKEN)) in standin.descriptions["it"]


@pytest.mark.parametrize(
    "code, languages",
    [("it", ["it"]), ("ar", ["ar"]), ("pt-br", ["pt"]), ("de", ["en", "en"]), (None, ["it", "it"])],
)
def test_the_language_is_asked_when_telegram_does_not_know_it(code: str | None, languages: list[str]) -> None:
    replies = greeting(code, Keeping())
    assert [reply.language for reply in replies] == languages
    first = replies[0]
    assert first.text.startswith(say(first.language, "welcome"))
    assert say(first.language, "telegram.notice") in first.text
    assert first.choices[0].id == "languages"
    if len(replies) == 2:
        assert [choice.id for choice in replies[1].choices] == [f"language:{one}" for one in SPOKEN]


# ---- what is not words ----


@pytest.fixture
def send(library: Library) -> Callable[..., Reply]:
    def answer(choice: str | None, *, text: str = "", state: DialogueState | None = None, **more: object) -> Reply:
        understood = {name: more.pop(name) for name in ("emergency", "found") if name in more}
        incoming = Incoming("it", text, choice, message_id=4, **more)  # type: ignore[arg-type]
        turn = Turn(incoming, Understanding(**understood), state or DialogueState())  # type: ignore[arg-type]
        return respond(turn, more.get("actions", library))  # type: ignore[arg-type]

    return answer


def at(entry: Entry, place: tuple[float, float]) -> Entry:
    here = Coordinates(latitude=place[0], longitude=place[1])
    return entry.model_copy(update={"facts": entry.facts.model_copy(update={"coordinates": here})})


def ids(reply: Reply) -> list[str]:
    return [choice.id for choice in reply.choices]


def test_distances_on_the_globe() -> None:
    assert great_circle(IVREA, IVREA) == 0
    assert great_circle(IVREA, TORINO) == pytest.approx(46.0, abs=0.5)
    assert great_circle(TORINO, ROMA) == pytest.approx(524.5, abs=2)
    assert great_circle((0, 0), (0, 180)) == pytest.approx(20015.1, abs=0.1)
    assert great_circle((89.999, 10), (89.999, -170)) == pytest.approx(0.22, abs=0.01)


def test_the_nearest_places_come_first_and_only_those_whose_place_is_known(library: Library) -> None:
    here = [at(library.entries[name], place) for name, place in (("adi", ROMA), ("isee", IVREA), ("1522", TORINO))]
    found = nearest(IVREA, [*here, library.entries["sportello-elp"], *here])
    assert [one.entry.id for one in found] == ["isee", "1522", "adi"]
    assert len(nearest(IVREA, here, most=2)) == 2
    hidden = at(next(entry for entry in library.entries.values() if not entry.shown), IVREA)
    assert nearest(IVREA, [hidden]) == ()


@pytest.mark.parametrize(
    "language, far, close",
    [
        ("it", "46 km", "meno di 1 km"),
        ("en", "46 km", "less than 1 km"),
        ("bn", "৪৬ কিমি", None),
        ("zh", "46公里", None),
    ],
)
def test_distances_are_written_as_the_language_does_and_never_finely(
    language: str, far: str, close: str | None
) -> None:
    assert distance(language, 46.03) == far
    assert distance(language, 0.01) == distance(language, 0.99)
    assert close is None or distance(language, 0.3) == close
    assert distance(language, 1.4) == distance(language, 1.1)


@pytest.mark.parametrize("language", SPOKEN)
def test_a_distance_has_words_in_every_language(language: str) -> None:
    assert "length-" not in distance(language, 3)


def test_a_location_finds_the_nearest_places(library: Library) -> None:
    near = {"sportello-elp": IVREA, "isee": TORINO}
    entries = {name: at(entry, near[name]) if name in near else entry for name, entry in library.entries.items()}
    placed = replace(library, entries=entries)
    turn = Turn(Incoming("it", choice="location", location=IVREA), Understanding(), DialogueState())
    reply = respond(turn, placed)
    assert ids(reply) == ["entry:sportello-elp", "entry:isee", "topics", "human"]
    assert [choice.label.rpartition(" · ")[2] for choice in reply.choices[:2]] == ["meno di 1 km", "46 km"]
    assert not any(character.isdigit() for character in reply.text)
    assert "45." not in str(reply.state.to_json())


def test_without_any_known_place_the_desks_are_offered(send) -> None:  # type: ignore[no-untyped-def]
    reply = send("location", location=IVREA)
    assert reply.text == say("it", "telegram.nothing_near")
    assert ids(reply) == ["entry:sportello-elp", "topics", "human"]


def test_a_location_is_not_kept_for_later(send) -> None:  # type: ignore[no-untyped-def]
    assert send("location").text == say("it", "telegram.location_lost")


def test_each_kind_of_file_is_explained_and_a_person_is_offered(send) -> None:  # type: ignore[no-untyped-def]
    said = {kind: send(f"file:{kind}") for kind in ("image", "pdf", "voice", "other")}
    assert len({reply.text for reply in said.values()}) == 4
    assert all(ids(reply)[0] == "human" for reply in said.values())
    assert "112" in said["voice"].text
    assert send("file:x").text == said["other"].text


def test_words_under_a_picture_are_answered_and_the_picture_is_not_passed_over(send) -> None:  # type: ignore[no-untyped-def]
    sure = SearchResult(Band.SURE, (Hit("isee", 0.9),), "it")
    reply = send(None, text="isee", unread="image", found=sure)
    assert reply.entry == "isee"
    assert reply.text.endswith(say("it", "telegram.unread"))
    assert ids(reply).count("human") == 1
    danger = Emergency("violence", ("112",))
    assert say("it", "telegram.unread") not in send(None, text="aiuto", unread="image", emergency=danger).text


def test_links_lead_to_what_there_is(send, library: Library) -> None:  # type: ignore[no-untyped-def]
    assert send("link:entry-isee").entry == "isee"
    assert send("link:desk-sportello-elp").entry == "sportello-elp"
    assert send("link:desk-3").books == "desk:3"
    hidden = next(entry.id for entry in library.entries.values() if not entry.shown)
    for gone in ("entry-gone", f"entry-{hidden}", "desk-", "desk-99999999999", "desk-²", "x", ""):
        reply = send(f"link:{gone}")
        assert reply.text == say("it", "telegram.link_over"), gone
        assert "topic:salute" in ids(reply)


def test_a_contact_nobody_asked_for_and_a_sticker(send) -> None:  # type: ignore[no-untyped-def]
    assert send("contact").text == say("it", "telegram.contact")
    assert send("other").text == say("it", "wordless")


def test_starting_again_greets_and_keeps_what_was_going_on(send) -> None:  # type: ignore[no-untyped-def]
    reply = send("start", state=DialogueState(last_entry="isee", booking={"at": "days:1-it"}))
    assert reply.text.startswith(say("it", "welcome"))
    assert reply.state.last_entry == "isee"
    assert ids(reply)[0] == "resume"


def held(library: Library, choice: str) -> Reply | None:
    return respond_held(Turn(Incoming("it", choice=choice), Understanding(), DialogueState()), library)


def test_while_a_person_has_the_word(library: Library) -> None:
    for choice in ("help", "start", "human"):
        reply = held(library, choice)
        assert reply is not None
        assert reply.tells == "waiting"
    languages = held(library, "languages")
    assert languages is not None
    assert ids(languages)[0] == "language:it"
    for choice in ("location", "contact"):
        reply = held(library, choice)
        assert reply is not None
        assert reply.text == say("it", f"telegram.{choice}_held")
    assert held(library, "other") is None
    assert held(library, "file:voice") is None


def test_what_was_sent_is_named_for_whoever_reads_it_later(library: Library) -> None:
    assert label_of("link:entry-isee", "it", library.find_entry) == library.entries["isee"].texts["it"].title
    assert label_of("export-file", "it", library.find_entry) == say("it", "choice.export")
    for choice in ("start", "location", "contact", "other", "file:voice", "link:desk-3"):
        assert label_of(choice, "it", library.find_entry) == say("it", f"choice.{choice.partition(':')[0]}")
        assert label_of(choice, "it", library.find_entry) != say("it", "choice.unknown")


# ---- the desk a poster leads to ----


async def follow(library: Library, desk: int, **values: object) -> Reply:
    visits = FakeVisits(offered=(offer(5, desk=2, desk_name="Sportello di Rivarolo", **values),))
    turn = Turn(Incoming("it", choice=f"link:desk-{desk}"), Understanding(), DialogueState())
    return await booking_flow.answer(respond(turn, library), turn, visits, library)


async def test_a_link_to_a_desk_shows_what_it_is_and_how_to_come(library: Library) -> None:
    reply = await follow(library, 2, desk_entry="sportello-elp")
    assert (reply.entry, reply.intent, reply.state.last_entry) == ("sportello-elp", "ask", "sportello-elp")
    assert "book:sportello-elp" in ids(reply)


async def test_a_desk_without_an_entry_is_named(library: Library) -> None:
    reply = await follow(library, 2)
    assert reply.text == say("it", "telegram.desk", desk="Sportello di Rivarolo")
    assert ids(reply) == ["pick:5", "human", "topics"]


async def test_a_link_to_a_desk_that_is_not_there_any_more(library: Library) -> None:
    assert (await follow(library, 3)).text == say("it", "telegram.link_over")
