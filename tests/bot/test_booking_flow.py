"""An appointment made, moved and cancelled in a conversation, step by step, with no database."""

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest

from bot import booking_flow
from bot.bookings import BUTTONS, Draft, Refused, days_id, read_moment, time_id
from bot.buttons import label_of
from bot.dialogue import respond, respond_held, welcome
from bot.phrases import SPOKEN, say
from bot.turn import DialogueState, Emergency, Guess, Incoming, Intent, Keeping, Reply, Turn, Understanding
from bot.visit_card import long_day
from bot.wishes import Wish, understand
from knowledge_base.library import Library
from knowledge_base.search import Band, Hit, SearchResult
from tests.bot.fake_visits import NOW, THURSDAY, TUESDAY, FakeVisits, offer, rome

UNKNOWN = SearchResult(Band.UNKNOWN, (), "it")
SURE = SearchResult(Band.SURE, (Hit("isee", 0.9),), "it")


class Talk:
    """A person in a conversation; counts what they press."""

    def __init__(self, library: Library, visits: FakeVisits, language: str = "it") -> None:
        self.library, self.visits, self.language = library, visits, language
        self.state = DialogueState()
        self.taps = 0
        self.last = Reply(language, "", "greet")

    async def press(self, choice: str) -> Reply:
        self.taps += 1
        assert len(choice.encode()) <= 64
        return await self._turn(Incoming(self.language, choice=choice), Understanding())

    async def tap(self, first_word: str, number: int = 0) -> Reply:
        """A button that stands under the last message."""
        fitting = [one.id for one in self.last.choices if one.id.partition(":")[0] == first_word]
        return await self.press(fitting[number])

    async def write(
        self, text: str, guess: Guess | None = None, found: SearchResult = UNKNOWN, **more: object
    ) -> Reply:
        wish = understand(text, self.language, NOW.date())
        understood = Understanding(guess=guess, found=found, wish=wish, **more)  # type: ignore[arg-type]
        return await self._turn(Incoming(self.language, text, message_id=7), understood)

    async def _turn(self, incoming: Incoming, understanding: Understanding) -> Reply:
        turn = Turn(incoming, understanding, self.state)
        reply = respond(turn, self.library)
        if reply.books:
            reply = await booking_flow.answer(reply, turn, self.visits, self.library)
        assert all(len(choice.id.encode()) <= 64 for choice in reply.choices)
        self.state, self.last = DialogueState.from_json(reply.state.to_json()), reply
        return reply

    def ids(self) -> list[str]:
        return [choice.id for choice in self.last.choices]

    def labels(self) -> list[str]:
        return [choice.label for choice in self.last.choices]


@pytest.fixture
def visits(library: Library) -> FakeVisits:
    return FakeVisits(place=library.find_entry("sportello-elp"))


@pytest.fixture
def talk(library: Library, visits: FakeVisits) -> Talk:
    return Talk(library, visits)


async def to_the_summary(talk: Talk) -> Reply:
    await talk.press("book")
    await talk.tap("day")
    await talk.tap("time")
    return await talk.write("Amina")


async def booked(talk: Talk) -> Reply:
    await to_the_summary(talk)
    return await talk.tap("confirm")


def rows(reply: Reply) -> dict[str, tuple[str, ...]]:
    assert reply.visit is not None
    return {row.key: row.values for row in reply.visit.rows}


# ---- booking ----


async def test_one_kind_at_one_desk_is_not_asked_about(talk: Talk) -> None:
    reply = await talk.press("book")
    assert [choice.label for choice in reply.choices][:2] == ["mar 24 nov", "gio 26 nov"]
    assert "Sportello ELP" in reply.text


async def test_a_first_name_and_nothing_else_is_asked(talk: Talk) -> None:
    reply = await to_the_summary(talk)
    assert rows(reply)["name"] == ("Amina",)
    assert rows(reply)["when"] == ("martedì 24 novembre 2026, 09:00",)
    assert "code" not in rows(reply)
    done = await talk.tap("confirm")
    assert rows(done)["code"] == ("ABC23",)
    assert "Mi chiamo" not in rows(done)["door"][0]
    assert rows(done)["door"][0].startswith("Buongiorno")
    assert done.visit is not None
    assert done.visit.calendar
    assert {"visits", f"visit:move:{done.visit.id}", f"visit:cancel:{done.visit.id}"} <= set(talk.ids())
    assert talk.state.booking == {}


async def test_the_longest_way_takes_seven_taps(library: Library) -> None:
    desks = {"desk": 2, "desk_name": "Sportello di Rivarolo"}
    many = [rome(TUESDAY, hour, minute) for hour in range(9, 18) for minute in (0, 30)]
    kinds = (offer(1), offer(2, **desks), offer(3, name="Documenti"), offer(4, name="Documenti", **desks))
    helped = tuple(replace(one, interpreted=frozenset({"ar"})) for one in kinds)
    talk = Talk(library, FakeVisits(offered=helped, free=many), "ar")
    await talk.press("book")
    await talk.tap("about", 1)
    await talk.tap("pick", 1)
    await talk.tap("lang")
    await talk.tap("day", 1)  # the afternoon of a day with many times
    await talk.tap("time", 2)
    await talk.write("أمينة")
    done = await talk.tap("confirm")
    assert done.visit is not None
    assert talk.taps == 7


async def test_a_day_with_many_times_is_split_and_its_parts_are_named(talk: Talk, visits: FakeVisits) -> None:
    visits.free = [rome(TUESDAY, hour, minute) for hour in range(9, 18) for minute in (0, 30)]
    await talk.press("book")
    assert talk.labels()[:2] == ["mar 24 nov, mattina", "mar 24 nov, pomeriggio"]
    await talk.tap("day", 1)
    assert talk.labels()[0] == "13:00"
    assert not any(label.startswith("12") for label in talk.labels())


async def test_more_days_than_fit_come_with_another_button(talk: Talk, visits: FakeVisits) -> None:
    visits.free = [rome(TUESDAY + timedelta(days=number), 9) for number in range(20)]
    first = await talk.press("book")
    days = [one for one in talk.ids() if one.startswith("day:")]
    assert len(days) == 8
    await talk.tap("days")
    assert not set(days) & set(talk.ids())
    assert first.text == talk.last.text


async def test_what_was_talked_about_is_kept_with_the_visit_and_can_be_taken_off(talk: Talk) -> None:
    talk.state = DialogueState(last_entry="isee")
    assert rows(await to_the_summary(talk))["about"]
    reply = await talk.tap("unrelated")
    assert "about" not in rows(reply)
    assert not any(one.startswith("unrelated") for one in talk.ids())


async def test_the_kind_that_an_entry_names_is_not_asked_about(library: Library) -> None:
    kinds = (offer(1), offer(2, name="Documenti", entry="permesso"))
    talk = Talk(library, FakeVisits(offered=kinds))
    await talk.press("book:permesso")
    assert all(one.split(":")[1] == "2-it" for one in talk.ids() if one.startswith("day:"))


async def test_an_entry_in_the_same_words_says_what_it_is_about(talk: Talk) -> None:
    await talk.write("voglio un appuntamento per l'isee", Guess(Intent.BOOK, 0.95), SURE)
    assert talk.state.booking["entry"] == "isee"


@pytest.mark.parametrize(
    "languages, interpreted, language, asked",
    [
        ((), frozenset(), "ar", None),
        ((), frozenset({"ar"}), "ar", ["lang:1-ar-i", "lang:1-ar"]),
        ((), frozenset({"ar"}), "fr", None),
        ((), frozenset({"it"}), "it", None),
        (("it", "ar"), frozenset({"ar"}), "ar", None),
        (("it", "fr"), frozenset({"ar"}), "ar", ["lang:1-ar-i", "lang:1-it", "lang:1-fr"]),
        (("it",), frozenset(), "ar", None),
    ],
)
async def test_the_language_is_asked_only_when_there_is_a_choice(  # type: ignore[no-untyped-def]
    library: Library, languages, interpreted, language: str, asked
) -> None:
    kind = offer(languages=languages, interpreted=interpreted)
    talk = Talk(library, FakeVisits(offered=(kind,)), language)
    await talk.press("book")
    found = [one for one in talk.ids() if one.startswith("lang:")]
    assert found == (asked or [])


async def test_that_a_visit_is_held_in_another_language_is_said(library: Library) -> None:
    talk = Talk(library, FakeVisits(offered=(offer(languages=("it",)),)), "en")
    reply = await talk.press("book")
    assert "Italian" in reply.text


async def test_the_last_name_is_offered_and_another_can_be_written(talk: Talk) -> None:
    await booked(talk)
    await talk.press("book")
    await talk.tap("day")
    reply = await talk.tap("time")
    assert rows(reply)["name"] == ("Amina",)
    await talk.tap("name")
    reply = await talk.write("Omar")
    assert rows(reply)["name"] == ("Omar",)


async def test_a_name_that_is_none_is_asked_again(talk: Talk, visits: FakeVisits) -> None:
    await talk.press("book")
    await talk.tap("day")
    await talk.tap("time")
    visits.refuses = Refused("appointment_name", {"most": 60})
    reply = await talk.write("x")
    assert "60" in reply.text
    assert talk.state.booking["at"].startswith("name:")


async def test_yes_in_words_confirms_and_no_changes(talk: Talk) -> None:
    await to_the_summary(talk)
    reply = await talk.write("no", Guess(Intent.NO, 0.95))
    assert "confirm" not in {one.partition(":")[0] for one in talk.ids()}
    assert reply.text == say("it", "book.not_confirmed")
    await talk.tap("name")
    await talk.write("Omar")
    done = await talk.write("sì", Guess(Intent.YES, 0.95))
    assert "code" in rows(done)


async def test_who_does_not_want_to_book_lets_go_of_the_time(talk: Talk, visits: FakeVisits) -> None:
    await to_the_summary(talk)
    await talk.tap("quit")
    assert [one.facts.status for one in visits.kept.values()] == ["cancelled"]
    assert talk.state.booking == {}


async def test_cancel_in_words_leaves_the_booking_that_is_being_made(talk: Talk, visits: FakeVisits) -> None:
    await to_the_summary(talk)
    reply = await talk.write("annulla", Guess(Intent.CANCEL_BOOKING, 0.95))
    assert reply.text == say("it", "book.quit")
    assert [one.facts.status for one in visits.kept.values()] == ["cancelled"]


# ---- what cannot be done ----


async def test_a_taken_time_gives_three_others_as_buttons(talk: Talk, visits: FakeVisits) -> None:
    await talk.press("book")
    await talk.tap("day")
    others = (rome(TUESDAY, 10), rome(TUESDAY, 11), rome(THURSDAY, 15))
    visits.refuses = Refused("slot_taken", others=others)
    reply = await talk.tap("time")
    assert reply.text == say("it", "error.slot_taken")
    assert [read_moment(one.split(":", 2)[2]) for one in talk.ids() if one.startswith("time:")] == list(others)
    assert "mar 24 nov, 10:00" in talk.labels()


async def test_a_hold_that_ran_out_is_told_kindly_with_the_times_of_that_day(talk: Talk, visits: FakeVisits) -> None:
    await to_the_summary(talk)
    (held,) = visits.kept
    visits.kept[held] = replace(visits.kept[held], live=False)
    reply = await talk.tap("confirm")
    assert reply.text.startswith(say("it", "error.hold_expired"))
    assert [one.split(":")[0] for one in talk.ids()][:2] == ["time", "time"]


@pytest.mark.parametrize("code", ["appointment_past", "appointment_holiday", "appointment_closed", "appointment_grid"])
async def test_an_old_button_of_a_time_that_cannot_be_booked_says_why(
    talk: Talk, visits: FakeVisits, code: str
) -> None:
    visits.refuses = Refused(code)
    reply = await talk.press(time_id(Draft(1, "it"), rome(TUESDAY, 8)))
    assert reply.text.startswith(say("it", f"error.{code}"))
    assert any(one.startswith(("day:", "time:")) for one in talk.ids())


async def test_too_many_appointments_lead_to_ones_own(talk: Talk, visits: FakeVisits) -> None:
    visits.refuses = Refused("appointment_limit", {"most": 2})
    reply = await talk.press(time_id(Draft(1, "it"), rome(TUESDAY, 9)))
    assert "2" in reply.text
    assert talk.ids()[0] == "visits"


async def test_unknown_hours_are_admitted_with_the_desk_beside(library: Library) -> None:
    closed = offer(known=False, desk_entry="sportello-elp")
    talk = Talk(library, FakeVisits(offered=(closed,)))
    reply = await talk.press("book")
    assert reply.entry == "sportello-elp"
    assert "Sportello ELP" in reply.text
    assert not any(one.startswith("day:") for one in talk.ids())


async def test_where_nothing_can_be_booked_the_desks_are_shown(library: Library) -> None:
    talk = Talk(library, FakeVisits(offered=()))
    await talk.press("book")
    assert "entry:sportello-elp" in talk.ids()


async def test_examples_say_so_wherever_there_is_a_time(talk: Talk, visits: FakeVisits) -> None:
    visits.demo = True
    notice = say("it", "visit.demo")
    assert notice in (await talk.press("book")).text
    assert notice in (await talk.tap("day")).text
    assert notice in (await talk.tap("time")).text
    card = (await talk.write("Amina")).visit
    assert card is not None
    assert card.notes == (notice,)


NOBODYS = UUID("3f2b8c1e-94d7-4a06-8e51-7c9d20a4b6f3")
HOSTILE = (
    *("book:nothing", "about:9", "about:x", "pick:", "pick:99999999999", "days:", "days:x", "day:1-it:20269999"),
    *("time:1-it:", "time:1-it:20261124T2560+0100", "time:1-it:20261124T0900+9999", f"time:{NOBODYS.hex}:x"),
    *(f"confirm:{NOBODYS}", "confirm:x", f"name:{NOBODYS}", f"quit:{NOBODYS}", "unrelated:", "resume", "resume:x"),
    *("visit", "visit:", "visit:show:x", f"visit:show:{NOBODYS}", f"visit:nothing:{NOBODYS}", "visit:move:x"),
    *(f"late:{NOBODYS}:10", "late:x:10", f"late:{NOBODYS}:9999", f"move:{NOBODYS.hex}:20261124T0900+0100", "move:x"),
    *("wait", "wait:join", "wait:take:x", f"wait:what:{NOBODYS}", "wait:join:1-it:20261124:never", "no:confirm:x"),
    *("no:visit:drop:x", f"no:confirm:{NOBODYS}", "no:move:x", "days:1-zz", "day:0-it:20261124", "lang:1-it-x"),
)


@pytest.mark.parametrize("choice", HOSTILE)
async def test_whatever_is_pressed_is_answered(talk: Talk, visits: FakeVisits, choice: str) -> None:
    visits.offers_to = {}
    reply = await talk.press(choice)
    assert reply.text
    assert reply.choices
    assert label_of(choice, "ar", talk.library.find_entry)


# ---- words ----


@pytest.mark.parametrize(
    "language, words, day",
    [
        ("it", "martedì mattina", TUESDAY),
        ("ar", "الثلاثاء", TUESDAY),
        ("ru", "послезавтра", TUESDAY),
        ("zh", "周二上午", TUESDAY),
        ("en", "26 november", THURSDAY),
    ],
)
async def test_a_day_in_words_is_repeated_and_its_times_are_offered(
    library: Library, visits: FakeVisits, language: str, words: str, day: date
) -> None:
    talk = Talk(library, visits, language)
    await talk.press("book")
    reply = await talk.write(words)
    assert long_day(language, day) in reply.text
    times = [one for one in talk.ids() if one.startswith("time:")]
    assert times
    assert all(f":{day:%Y%m%d}T" in one for one in times)


async def test_a_wish_without_room_leads_to_other_days_and_the_waiting_list(talk: Talk, visits: FakeVisits) -> None:
    await talk.press("book")
    reply = await talk.write("mercoledì")
    assert "mercoledì 25 novembre" in reply.text
    assert [one.split(":")[2] for one in talk.ids() if one.startswith("day:")] == ["20261126"]


async def test_a_part_of_the_day_leaves_the_days_that_have_room_then(talk: Talk) -> None:
    await talk.press("book")
    await talk.write("di pomeriggio")
    assert [one for one in talk.ids() if one.startswith("day:")] == ["day:1-it:20261126:afternoon"]


async def test_a_day_named_with_the_first_words_is_remembered(library: Library) -> None:
    kinds = (offer(1), offer(2, name="Documenti"))
    talk = Talk(library, FakeVisits(offered=kinds))
    await talk.write("posso venire martedì mattina?", Guess(Intent.BOOK, 0.95))
    assert [one.split(":")[0] for one in talk.ids()] == ["about", "about"]
    await talk.tap("about")
    assert all(":20261124T" in one for one in talk.ids() if one.startswith("time:"))
    assert "wish" not in talk.state.booking


async def test_another_question_is_answered_and_the_booking_waits(talk: Talk) -> None:
    await talk.press("book")
    await talk.tap("day")
    step = talk.ids()
    reply = await talk.write("quanto costa l'isee a chi ha due figli?", found=SURE)
    assert reply.entry == "isee"
    assert talk.ids()[0] == "resume"
    await talk.press("resume")
    assert talk.ids() == step


async def test_a_question_instead_of_a_name_is_a_question(talk: Talk) -> None:
    await talk.press("book")
    await talk.tap("day")
    await talk.tap("time")
    reply = await talk.write("che cosa devo portare con me?", Guess(Intent.FACET_DOCUMENTS, 0.9))
    assert reply.visit is None
    assert talk.ids()[0] == "resume"
    await talk.tap("resume")
    assert say("it", "book.name") in talk.last.text


@pytest.mark.parametrize("name", ["Amina", "أمينة", "Nino B.", "Maria Grazia", "李伟", "O'Neil", "ciao sono Amina"])
async def test_names_of_all_kinds_are_names(talk: Talk, name: str) -> None:
    await talk.press("book")
    await talk.tap("day")
    await talk.tap("time")
    guess = Guess(Intent.GREET if "ciao" in name else Intent.THANKS, 0.5 if " " in name else 0.99)
    assert rows(await talk.write(name, guess))["name"] == (name,)


@pytest.mark.parametrize("name", ["Nino", "Nina", "Noor", "Noè", "Faith", "Hawa"])
async def test_a_name_that_sounds_like_yes_or_no_is_a_name(talk: Talk, name: str) -> None:
    await talk.press("book")
    await talk.tap("day")
    await talk.tap("time")
    reply = await talk.write(name, Guess(Intent.YES if name in ("Faith", "Hawa") else Intent.NO, 0.99))
    assert rows(reply)["name"] == (name,)


async def test_yes_and_no_are_no_names(talk: Talk) -> None:
    await talk.press("book")
    await talk.tap("day")
    await talk.tap("time")
    for word, intent in (("no", Intent.NO), ("sì", Intent.YES), ("aiuto", Intent.HELP)):
        assert (await talk.write(word, Guess(intent, 0.99))).visit is None


async def test_the_question_whether_to_go_on_stops_after_a_while(talk: Talk) -> None:
    await talk.press("book")
    for _ in range(3):
        await talk.write("quanto costa l'isee a chi ha due figli?", found=SURE)
        assert talk.ids()[0] == "resume"
    await talk.write("quanto costa l'isee a chi ha due figli?", found=SURE)
    assert "resume" not in talk.ids()


async def test_an_emergency_comes_before_any_booking(talk: Talk) -> None:
    await talk.press("book")
    await talk.tap("day")
    await talk.tap("time")
    reply = await talk.write("aiuto", emergency=Emergency("violence", ("112", "1522")))
    assert reply.emergency
    assert talk.ids()[0] == "human"


# ---- afterwards ----


async def test_when_is_my_appointment(talk: Talk) -> None:
    assert (await talk.write("quando?", Guess(Intent.MY_BOOKINGS, 0.9))).text == say("it", "visit.none")
    await booked(talk)
    reply = await talk.write("quando?", Guess(Intent.MY_BOOKINGS, 0.9))
    assert reply.intent == "my_bookings"
    assert rows(reply)["code"] == ("ABC23",)


async def test_of_several_appointments_one_is_chosen(talk: Talk, visits: FakeVisits) -> None:
    first, second = visits.visit(rome(TUESDAY, 9)), visits.visit(rome(THURSDAY, 15))
    reply = await talk.write("annulla il mio appuntamento", Guess(Intent.CANCEL_BOOKING, 0.9))
    assert talk.ids()[:2] == [f"visit:cancel:{first.id}", f"visit:cancel:{second.id}"]
    assert reply.intent == "cancel_booking"


async def test_moved_after_a_question(talk: Talk, visits: FakeVisits) -> None:
    kept = visits.visit(rome(TUESDAY, 9), name="Amina")
    await talk.press(f"visit:move:{kept.id}")
    await talk.tap("day", 1)
    reply = await talk.tap("time")
    assert "martedì 24 novembre" in reply.text
    assert "giovedì 26 novembre" in reply.text
    assert visits.kept[kept.id].facts.starts == rome(TUESDAY, 9)
    done = await talk.tap("move")
    assert rows(done)["when"] == ("giovedì 26 novembre 2026, 15:00",)
    assert done.intent == "reschedule"
    assert talk.state.booking == {}


async def test_cancelled_after_one_question(talk: Talk, visits: FakeVisits) -> None:
    kept = visits.visit(rome(TUESDAY, 9))
    await talk.press(f"visit:cancel:{kept.id}")
    assert visits.kept[kept.id].booked
    done = await talk.tap("visit")
    assert not visits.kept[kept.id].booked
    assert done.visit is not None
    assert done.visit.cancelled
    assert done.visit.calendar


async def test_no_to_a_cancellation_leaves_it(talk: Talk, visits: FakeVisits) -> None:
    kept = visits.visit(rome(TUESDAY, 9))
    await talk.press(f"visit:cancel:{kept.id}")
    reply = await talk.write("no", Guess(Intent.NO, 0.95))
    assert visits.kept[kept.id].booked
    assert rows(reply)["code"]


async def test_late_is_told_in_minutes(talk: Talk, visits: FakeVisits) -> None:
    kept = visits.visit(rome(TUESDAY, 9))
    await talk.press(f"visit:late:{kept.id}")
    assert talk.labels()[:4] == ["5 minuti", "10 minuti", "15 minuti", "30 minuti"]
    await talk.tap("late", 1)
    assert visits.noted == {"late_minutes": 10}
    assert "10 minuti" in talk.last.text


async def test_lost_shows_the_place_and_admits_an_unknown_telephone(talk: Talk, visits: FakeVisits) -> None:
    kept = visits.visit(rome(TUESDAY, 9))
    reply = await talk.press(f"visit:lost:{kept.id}")
    assert "Movicentro" in rows(reply)["where"][0]
    assert "phone" not in rows(reply)
    assert say("it", "visit.no_phone") in reply.text
    assert "human" in talk.ids()


async def test_reminders_are_answered(talk: Talk, visits: FakeVisits) -> None:
    kept = visits.visit(rome(TUESDAY, 9))
    await talk.press(f"visit:comes:{kept.id}")
    assert visits.noted == {"comes": True}
    await talk.press(f"visit:cannot:{kept.id}")
    assert visits.noted == {"comes": False}
    assert {f"visit:move:{kept.id}", f"visit:cancel:{kept.id}"} <= set(talk.ids())


@pytest.mark.parametrize("what", ["move", "cancel", "late", "lost", "comes", "cannot"])
async def test_buttons_of_a_cancelled_visit_say_that_it_is_over(talk: Talk, visits: FakeVisits, what: str) -> None:
    kept = visits.visit(rome(TUESDAY, 9), "cancelled")
    visits.kept[kept.id] = replace(kept, live=False)
    reply = await talk.press(f"visit:{what}:{kept.id}")
    if what != "lost":
        assert reply.text == say("it", "error.appointment_over")


async def test_the_waiting_list_is_joined_for_any_time_or_one_day(talk: Talk, visits: FakeVisits) -> None:
    await talk.press("book")
    await talk.tap("wait")
    await talk.press(f"wait:join:{days_id(Draft(1, 'it')).partition(':')[2]}:20261125:morning")
    assert visits.joined == [(Draft(1, "it"), None, None), (Draft(1, "it"), date(2026, 11, 25), "morning")]
    assert any(one.startswith("wait:leave:") for one in talk.ids())


async def test_an_offered_time_is_taken_with_a_name(talk: Talk, visits: FakeVisits) -> None:
    kept, place = visits.visit(rome(TUESDAY, 9), "held"), uuid4()
    visits.offers_to[place] = kept.id
    await talk.press(f"wait:take:{place}")
    await talk.write("Amina")
    done = await talk.tap("confirm")
    assert rows(done)["code"]


async def test_with_a_person_buttons_of_a_visit_work_and_a_name_that_was_asked_for_is_taken(talk: Talk) -> None:
    held = Turn(Incoming("it", choice="visits"), Understanding(), DialogueState())
    reply = respond_held(held, talk.library)
    assert reply is not None
    assert reply.books == "visits"
    asked = DialogueState(booking={"at": f"name:{uuid4()}"})
    reply = respond_held(Turn(Incoming("it", "Amina"), Understanding(), asked), talk.library)
    assert reply is not None
    assert reply.books == "typed"
    assert respond_held(Turn(Incoming("it", "Amina"), Understanding(), DialogueState()), talk.library) is None


# ---- in every language ----


@pytest.mark.parametrize("language", SPOKEN)
async def test_the_whole_way_in_every_language(library: Library, visits: FakeVisits, language: str) -> None:
    talk = Talk(library, visits, language)
    assert "book" in [choice.id for choice in welcome(language, Keeping()).choices]
    done = await booked(talk)
    assert rows(done)["door"][0].startswith("Buongiorno")
    assert "{" not in done.text
    for first in BUTTONS - {"about", "pick"}:
        assert label_of(f"{first}:1-{language}", language, library.find_entry)


def test_digits_and_names_of_days_are_those_of_the_language(library: Library) -> None:
    farsi = label_of("time:1-fa:20261124T0900+0100", "fa", library.find_entry)
    assert "۲۴ نوامبر" in farsi
    assert farsi.endswith("۹:۰۰")
    assert label_of("day:1-bn:20261124:morning", "bn", library.find_entry).startswith("মঙ্গল ২৪ নভে")
    assert label_of("day:1-it:20261124:morning", "it", library.find_entry) == "mar 24 nov, mattina"


@pytest.mark.parametrize("code", ["1-it", "2147483647-ar-i", NOBODYS.hex])
def test_a_draft_reads_what_it_writes(code: str) -> None:
    draft = Draft.read(code)
    assert draft is not None
    assert draft.code == code


def test_both_hours_that_come_twice_in_october_have_ids_of_their_own() -> None:
    early = rome(date(2026, 10, 25), 2, 30)
    ids = {time_id(Draft(1, "it"), early), time_id(Draft(1, "it"), early.replace(fold=1))}
    assert len(ids) == 2
    assert len({read_moment(one.rpartition(":")[2]) for one in ids}) == 2


def test_a_wish_is_kept_as_a_few_letters() -> None:
    assert Wish(TUESDAY, "morning").code == "20261124:morning"
    assert Wish(None, "afternoon").code == ":afternoon"
