"""Where there may be danger in the words, the answer stays as it is and the numbers stand under it, in one line."""

from pathlib import Path

import pytest

from backend.quality_emergencies import read_dangers
from bot import emergency
from bot.dialogue import respond, respond_held
from bot.emergency_kinds import KINDS, UNSURE, emergency_of
from bot.emergency_model import read
from bot.phrases import SPOKEN, say
from bot.telegram_render import render
from bot.turn import DialogueState, Emergency, Guess, Incoming, Intent, Reply, Turn, Understanding
from bot.understand import Understander
from knowledge_base.library import Library
from knowledge_base.search import Band, Hit, SearchResult
from tests.telegram.showing import message_of

UNKNOWN = SearchResult(Band.UNKNOWN, (), "it")
PERHAPS = Emergency("violence", ("112", "1522"), chance=0.5)


def found(entry: str) -> SearchResult:
    return SearchResult(Band.SURE, (Hit(entry, 0.9),), "it")


def turn(where: SearchResult, perhaps: Emergency = PERHAPS, guess: Guess | None = None, language: str = "it") -> Turn:
    understood = Understanding(perhaps_emergency=perhaps, found=where, guess=guess)
    return Turn(Incoming(language, "parole", message_id=7), understood, DialogueState())


def numbers(reply: Reply) -> list[str]:
    return [line.number for line in reply.emergency]


def test_the_answer_stays_and_the_numbers_and_a_person_come_with_it(library: Library) -> None:
    plain = respond(turn(found("1522")), library)
    assert (plain.intent, plain.entry) == ("ask", "1522")
    assert numbers(plain) == ["112", "1522"]
    assert "human" in [choice.id for choice in plain.choices]
    assert not plain.state.danger
    unknown = respond(turn(UNKNOWN), library)
    assert unknown.intent == "none"
    assert numbers(unknown) == ["112", "1522"]


@pytest.mark.parametrize("chance, shown", [(0.5, False), (0.8, True)])
def test_what_is_surely_something_else_must_sound_much_like_danger(
    library: Library, chance: float, shown: bool
) -> None:
    perhaps = Emergency("medical", ("112",), chance=chance)
    assert bool(respond(turn(found("isee"), perhaps), library).emergency) == shown
    assert bool(respond(turn(UNKNOWN, perhaps, Guess(Intent.THANKS, 0.95)), library).emergency) == shown
    assert respond(turn(UNKNOWN, perhaps, Guess(Intent.HUMAN, 0.95)), library).emergency


def test_a_surer_alarm_takes_its_place(library: Library) -> None:
    understood = Understanding(emergency=Emergency("fire", ("112",)), found=UNKNOWN)
    reply = respond(Turn(Incoming("it", "brucia"), understood, DialogueState()), library)
    assert (reply.intent, numbers(reply)) == ("emergency", ["112"])


def test_while_a_person_has_the_word_only_an_alarm_is_heard(library: Library) -> None:
    assert respond_held(turn(UNKNOWN), library) is None


async def test_while_a_person_has_the_word_nothing_is_supposed(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emergency, "hear", lambda _: emergency.Heard(perhaps=PERHAPS))
    understander, incoming = Understander(lambda: library, None), Incoming("it", "parole")
    assert (await understander.understand(incoming)).perhaps_emergency == PERHAPS
    assert (await understander.understand(incoming, held=True)) == Understanding()


@pytest.mark.parametrize("language", SPOKEN)
def test_on_telegram_the_line_comes_after_the_answer(library: Library, language: str) -> None:
    reply = respond(turn(UNKNOWN, language=language), library)
    calls = render(message_of(reply))
    text = "".join(str(call.fields.get("text", "")) for call in calls)
    assert text.index(say(language, "emergency.perhaps")) > 0
    assert text.rindex("112") > text.index(say(language, "emergency.perhaps"))


def test_several_kinds_are_the_most_urgent_with_all_numbers() -> None:
    assert emergency_of(["child", "violence"]) == Emergency("violence", ("112", "1522", "114"))
    assert emergency_of([]) is None
    assert UNSURE.lines[0] == "112"


@pytest.mark.parametrize("line", ["violence only spaces", "weather\train", ""])
def test_an_example_that_cannot_be_read_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "xx.tsv"
    path.write_text(f"none\tgood morning\n{line}\n", "utf-8")
    with pytest.raises(ValueError, match=r"xx\.tsv:2"):
        list(read(path))


def test_the_same_message_is_thought_about_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(emergency, "_hear", lambda text: asked.append(text) or emergency.Heard())
    text = "una frase che nessun altro scrive"
    assert emergency.hear(text) is emergency.hear(text)
    assert asked == [text]


def test_what_is_measured_was_never_learnt() -> None:
    measured = list(read_dangers(Path(__file__).parents[1] / "evaluation" / "emergencies.tsv"))
    assert {case.language for case in measured} == set(SPOKEN)
    assert {case.kind for case in measured} == {*KINDS, "none"}
    learnt = {text for path in emergency.EXAMPLES.glob("*.tsv") for _, text in read(path)}
    assert [case.turns[0] for case in measured if case.turns[0] in learnt] == []
