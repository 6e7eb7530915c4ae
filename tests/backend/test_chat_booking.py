"""Appointments in the chat on real PostgreSQL: reply and booking are there together, or neither is."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import icalendar
import pytest
from limits import parse_many
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend import booking, chat, recheck
from backend.chat import find_unanswered, finish_turn
from backend.conversations import leave_conversation
from backend.models import Appointment, Conversation, Message, WaitingPlace
from backend.rates import RULES
from backend.services import Services
from bot.phrases import say
from bot.turn import Intent
from tests.appointments import NOW, Place, make_place, rome
from tests.backend.test_api import Talk, open_talk
from tests.fakes import FakeParser
from tests.handovers import put_at_desk

pytestmark = pytest.mark.usefixtures("parser")
TEN = rome(2, 10)
"""A Tuesday."""


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(services: Services, monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(services.chat, "now", made)
    return made


@pytest.fixture
async def place(services: Services, clock: Clock) -> Place:
    return await make_place(services.sessions)


def slot(place: Place, start: datetime, language: str = "it") -> str:
    return f"time:{place.kind}-{language}:{start:%Y%m%dT%H%M%z}"


def ids(message: dict[str, Any], name: str) -> list[str]:
    return [one["id"] for one in message["choices"] if one["id"].partition(":")[0] == name]


def rows(message: dict[str, Any]) -> dict[str, list[str]]:
    return {row["key"]: row["values"] for row in message["appointment"]["rows"]}


async def held(talk: Talk, place: Place, start: datetime = TEN) -> dict[str, Any]:
    """The summary."""
    await talk.press(slot(place, start))
    return await talk.say("Amina")


async def booked(talk: Talk, place: Place, start: datetime = TEN) -> str:
    """The visit's id."""
    done = await talk.press(ids(await held(talk, place, start), "confirm")[0])
    return str(done["appointment"]["id"])


async def visits_of(place: Place) -> list[Appointment]:
    async with place.sessions.begin() as session:
        query = select(Appointment).where(Appointment.desk_id == place.desk).order_by(Appointment.created_at)
        return list((await session.execute(query)).scalars())


async def statuses(place: Place) -> list[str]:
    return [one.status for one in await visits_of(place)]


async def test_booked_from_the_kind_to_the_card(client: httpx.AsyncClient, place: Place) -> None:
    talk = await open_talk(client)
    days = await talk.press(f"pick:{place.kind}")
    times = await talk.press(ids(days, "day")[1])
    asked = await talk.press(ids(times, "time")[0])
    assert say("it", "book.name") in asked["text"]
    summary = await talk.say("Amina")
    assert rows(summary)["name"] == ["Amina"]
    done = await talk.press(ids(summary, "confirm")[0])
    (visit,) = await visits_of(place)
    assert (visit.status, visit.name, str(visit.conversation_id)) == ("confirmed", "Amina", talk.id)
    assert visit.starts == rome(2, 9)
    assert rows(done)["code"] == [visit.code]
    assert rows(done)["when"] == ["martedì 2 marzo 2027, 09:00"]


async def test_the_name_stands_with_the_visit_and_nowhere_else(client: httpx.AsyncClient, place: Place) -> None:
    talk = await open_talk(client)
    await booked(talk, place)
    async with place.sessions.begin() as session:
        dialogue = await session.scalar(select(Conversation.dialogue).where(Conversation.id == UUID(talk.id)))
        stored = await session.scalar(text("SELECT name FROM appointments WHERE desk_id = :desk"), {"desk": place.desk})
    assert "Amina" not in str(dialogue)
    assert b"Amina" not in bytes(stored.encode() if isinstance(stored, str) else stored)


async def test_what_stood_on_a_button_that_only_the_database_knows_is_shown(
    client: httpx.AsyncClient, place: Place
) -> None:
    talk = await open_talk(client)
    await talk.press(f"pick:{place.kind}")
    async with place.sessions.begin() as session:
        query = select(Message.payload).where(Message.conversation_id == UUID(talk.id), Message.author == "person")
        assert (await session.execute(query)).scalar_one()["label"] == "Desk"


# ---- together or not at all ----


@pytest.mark.parametrize("step", ["hold", "confirm", "move", "cancel"])
async def test_a_crash_between_booking_and_reply_leaves_neither(
    client: httpx.AsyncClient, place: Place, services: Services, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    talk = await open_talk(client)
    choices = {"hold": slot(place, TEN)}
    if step == "confirm":
        choices[step] = ids(await held(talk, place), "confirm")[0]
    elif step != "hold":
        visit = await booked(talk, place)
        choices["cancel"] = f"visit:drop:{visit}"
        choices["move"] = f"move:{UUID(visit).hex}:{rome(3, 9):%Y%m%dT%H%M%z}"
    before = [(one.status, one.starts) for one in await visits_of(place)]

    with monkeypatch.context() as broken:
        broken.setattr(chat, "visit_payload", _crash)
        broken.setattr(chat, "reply_payload", _crash)
        assert (await talk.post(choice=choices[step])).status_code == 503
    assert [(one.status, one.starts) for one in await visits_of(place)] == before

    (unanswered,) = [
        one
        for one in await find_unanswered(services.engine, older_than_s=0, limit=10_000)
        if str(one.access.id) == talk.id
    ]
    answered = await finish_turn(services.chat, unanswered)  # as the next process does
    after = [(one.status, one.starts) for one in await visits_of(place)]
    assert len(answered.messages) == 2
    assert after != before
    assert len(after) == max(len(before), 1)


def _crash(*_: object) -> dict[str, Any]:
    raise RuntimeError("killed")


@pytest.mark.parametrize("step", ["hold", "confirm"])
async def test_a_connection_lost_between_booking_and_reply_is_one_booking(
    client: httpx.AsyncClient, place: Place, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    talk = await open_talk(client)
    choice = slot(place, TEN) if step == "hold" else ids(await held(talk, place), "confirm")[0]
    module, name = {"hold": (recheck, "taken_seats"), "confirm": (booking, "_change")}[step]
    real = getattr(module, name)
    cut: list[bool] = []

    async def cuts_once(session: AsyncSession, *rest: Any, **more: Any) -> Any:
        found = await real(session, *rest, **more)
        if not cut:
            cut.append(True)
            await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return found

    monkeypatch.setattr(module, name, cuts_once)
    reply = await talk.press(choice)
    assert cut
    assert reply["choices"]
    assert await statuses(place) == ["held" if step == "hold" else "confirmed"]


async def test_two_who_cancel_at_once_and_want_each_others_time_both_get_an_answer(
    client: httpx.AsyncClient, place: Place
) -> None:
    """Each frees a time that is offered to the other: their transactions wait for each other's conversation."""
    first, second = await open_talk(client), await open_talk(client)
    visits = [await booked(first, place, rome(2, 9)), await booked(second, place, rome(2, 10))]
    for talk in (first, second):
        await talk.press(f"wait:join:{place.kind}-it")
    answers = await asyncio.gather(
        first.post(choice=f"visit:drop:{visits[0]}"), second.post(choice=f"visit:drop:{visits[1]}")
    )
    assert [answer.status_code for answer in answers] == [200, 200]
    found = {one.starts: one.status for one in await visits_of(place) if one.status != "cancelled"}
    assert set(found.values()) <= {"held"}


# ---- twice ----


async def test_the_same_confirmation_many_times_is_one_visit(client: httpx.AsyncClient, place: Place) -> None:
    talk = await open_talk(client)
    choice = ids(await held(talk, place), "confirm")[0]
    same = [talk.post(choice=choice, client_message_id="same") for _ in range(4)]
    answers = await asyncio.gather(*same, *(talk.post(choice=choice) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {200}
    codes = {str(rows(answer.json()["messages"][-1])["code"]) for answer in answers}
    assert len(codes) == 1
    assert await statuses(place) == ["confirmed"]


async def test_the_same_time_pressed_twice_is_held_once(client: httpx.AsyncClient, place: Place) -> None:
    talk = await open_talk(client)
    await asyncio.gather(*(talk.post(choice=slot(place, TEN)) for _ in range(4)))
    assert await statuses(place) == ["held"]


async def test_another_time_lets_go_of_the_first_and_its_page_says_so(client: httpx.AsyncClient, place: Place) -> None:
    talk = await open_talk(client)
    one_tab = await held(talk, place)
    other_tab = await talk.press(slot(place, rome(2, 11)))
    assert sorted(await statuses(place)) == ["cancelled", "held"]
    late = await talk.press(ids(one_tab, "confirm")[0])
    assert late["text"].startswith(say("it", "error.hold_expired"))
    done = await talk.press(ids(other_tab, "confirm")[0])
    assert rows(done)["when"] == ["martedì 2 marzo 2027, 11:00"]


async def test_a_time_that_cannot_be_had_leaves_the_held_one(client: httpx.AsyncClient, place: Place) -> None:
    talk, other = await open_talk(client), await open_talk(client)
    await booked(other, place, rome(2, 11))
    summary = await held(talk, place)
    refused = await talk.press(slot(place, rome(2, 11)))
    assert refused["text"] == say("it", "error.slot_taken")
    assert rows(await talk.press(ids(summary, "confirm")[0]))["code"]


# ---- in time ----


async def test_a_hold_that_nobody_confirms_runs_out(client: httpx.AsyncClient, place: Place, clock: Clock) -> None:
    talk, other = await open_talk(client), await open_talk(client)
    summary = await held(talk, place)
    clock.now += timedelta(minutes=11)
    late = await talk.press(ids(summary, "confirm")[0])
    assert late["text"].startswith(say("it", "error.hold_expired"))
    assert slot(place, TEN) in ids(late, "time")
    await booked(other, place)
    assert await statuses(place) == ["cancelled", "confirmed"]


async def test_a_taken_time_gives_three_others(client: httpx.AsyncClient, place: Place) -> None:
    talk, other = await open_talk(client), await open_talk(client)
    await booked(other, place)
    refused = await talk.press(slot(place, TEN))
    others = ids(refused, "time")
    assert len(others) == 3
    assert rows(await talk.press(ids(await _named(talk, others[0]), "confirm")[0]))["code"]


async def _named(talk: Talk, choice: str) -> dict[str, Any]:
    await talk.press(choice)
    return await talk.say("Omar")


async def test_many_want_the_same_hour_and_one_gets_it(client: httpx.AsyncClient, place: Place) -> None:
    talks = [await open_talk(client) for _ in range(20)]
    answers = await asyncio.gather(*(talk.press(slot(place, TEN)) for talk in talks))
    assert await statuses(place) == ["held"]
    assert sum(say("it", "book.name") in answer["text"] for answer in answers) == 1


@pytest.mark.parametrize(
    "start, code",
    [
        (rome(1, 8, 30), "appointment_past"),
        (rome(2, 8), "appointment_closed"),
        (rome(6, 10), "appointment_closed"),
        (rome(29, 10), "appointment_holiday"),
        (rome(2, 10, 7), "appointment_grid"),
        (rome(2, 10, month=9), "appointment_too_far"),
    ],
)
async def test_an_impossible_time_is_refused_in_words_with_days_that_have_room(
    client: httpx.AsyncClient, place: Place, start: datetime, code: str
) -> None:
    talk = await open_talk(client)
    refused = await talk.press(slot(place, start))
    assert refused["text"].startswith(say("it", f"error.{code}", days=60, minutes=0)[:20])
    assert ids(refused, "day") or ids(refused, "time")
    assert await statuses(place) == []


async def test_a_day_in_words_is_understood_outside_the_transaction(
    client: httpx.AsyncClient, place: Place, services: Services
) -> None:
    talk = await open_talk(client)
    await talk.press(f"pick:{place.kind}")
    reply = await talk.say("mercoledì mattina")
    assert reply["text"].startswith("Ho capito: mercoledì 3 marzo 2027, mattina.")
    assert slot(place, rome(3, 9)) in ids(reply, "time")


async def test_times_stay_right_when_the_clock_changes(client: httpx.AsyncClient, place: Place) -> None:
    talk = await open_talk(client)
    days = await talk.press(f"days:{place.kind}-it:20270326")
    assert [one.rpartition(":")[2] for one in ids(days, "day")][:2] == ["20270326", "20270330"]
    for day, offset in (("20270326", "+0100"), ("20270330", "+0200")):
        first = ids(await talk.press(f"day:{place.kind}-it:{day}"), "time")[0]
        assert first.endswith(f"{day}T0900{offset}")


# ---- afterwards ----


async def test_moved_and_cancelled(client: httpx.AsyncClient, place: Place) -> None:
    talk = await open_talk(client)
    visit = await booked(talk, place)
    days = await talk.press(f"visit:move:{visit}")
    times = await talk.press(ids(days, "day")[2])
    asked = await talk.press(ids(times, "time")[0])
    assert (await place.row(UUID(visit))).starts == TEN
    moved = await talk.press(ids(asked, "move")[0])
    assert (await place.row(UUID(visit))).starts == rome(3, 9)
    assert moved["intent"] == "reschedule"
    question = await talk.press(f"visit:cancel:{visit}")
    assert await statuses(place) == ["confirmed"]
    gone = await talk.press(ids(question, "visit")[0])
    assert await statuses(place) == ["cancelled"]
    assert gone["appointment"]["cancelled"]
    again = await talk.press(f"visit:drop:{visit}")
    assert again["text"] == gone["text"]


async def test_the_own_time_does_not_stand_in_the_way_of_moving(client: httpx.AsyncClient, place: Place) -> None:
    talk = await open_talk(client)
    visit = await booked(talk, place)
    times = await talk.press(f"day:{UUID(visit).hex}:20270302")
    assert any(one.endswith(f"{rome(2, 10, 15):%Y%m%dT%H%M%z}") for one in ids(times, "time"))


async def test_late_and_coming_are_noted_for_the_desk(client: httpx.AsyncClient, place: Place) -> None:
    talk = await open_talk(client)
    visit = await booked(talk, place)
    await talk.press(f"late:{visit}:10")
    await talk.press(f"visit:comes:{visit}")
    row = await place.row(UUID(visit))
    assert (row.late_minutes, row.comes) == (10, True)
    await talk.press(f"visit:cannot:{visit}")
    assert (await place.row(UUID(visit))).comes is False


@pytest.mark.parametrize("choice", ["visit:show:{}", "visit:drop:{}", "visit:comes:{}", "late:{}:10", "confirm:{}"])
async def test_nobody_elses_visit_is_found(client: httpx.AsyncClient, place: Place, choice: str) -> None:
    talk, stranger = await open_talk(client), await open_talk(client)
    visit = await booked(talk, place)
    answer = await stranger.press(choice.format(visit))
    assert answer["text"] == say("it", "over")
    assert answer["appointment"] is None
    assert await statuses(place) == ["confirmed"]


async def test_words_find_the_appointment(client: httpx.AsyncClient, place: Place, parser: FakeParser) -> None:
    talk = await open_talk(client)
    await booked(talk, place)
    parser.learn("quando ho l'appuntamento?", Intent.MY_BOOKINGS)
    found = await talk.say("quando ho l'appuntamento?")
    assert rows(found)["when"] == ["martedì 2 marzo 2027, 10:00"]


async def test_with_a_person_the_buttons_of_a_visit_work(
    client: httpx.AsyncClient, place: Place, services: Services
) -> None:
    talk = await open_talk(client)
    visit = await booked(talk, place)
    await put_at_desk(services, talk.id)
    shown = await talk.press("visits")
    assert shown["author"] == "system"
    assert rows(shown)["code"]
    days = await talk.press(f"visit:move:{visit}")
    times = await talk.press(ids(days, "day")[1])
    await talk.press(ids(await talk.press(ids(times, "time")[0]), "move")[0])
    assert (await place.row(UUID(visit))).sequence == 1
    response = await talk.post(text="buongiorno")
    assert response.json()["messages"] == []  # for the desk


async def test_examples_are_marked_and_unknown_hours_admitted(client: httpx.AsyncClient, services: Services) -> None:
    closed = await make_place(services.sessions, hours=False)
    talk = await open_talk(client)
    reply = await talk.press(f"pick:{closed.kind}")
    assert "Desk" in reply["text"]
    assert not ids(reply, "day")
    old = await talk.press(f"days:{closed.kind}-it")
    assert old["text"] == reply["text"]


async def test_example_hours_are_marked_in_every_step(client: httpx.AsyncClient, place: Place) -> None:
    await place.set_desk(demo_hours=True)
    talk, notice = await open_talk(client), say("it", "visit.demo")
    days = await talk.press(f"pick:{place.kind}")
    times = await talk.press(ids(days, "day")[1])
    asked = await talk.press(ids(times, "time")[0])
    for step in (days, times, asked):
        assert notice in step["text"]
    done = await talk.press(ids(await talk.say("Amina"), "confirm")[0])
    assert done["appointment"]["notes"] == [notice]


async def test_somebody_who_interprets_is_booked_as_well(client: httpx.AsyncClient, place: Place) -> None:
    helper = await place.add_resource("interpreter", languages=["ar"])
    talk = await open_talk(client, "ar")
    asked = await talk.press(f"pick:{place.kind}")
    assert ids(asked, "lang") == [f"lang:{place.kind}-ar-i", f"lang:{place.kind}-ar"]
    days = await talk.press(ids(asked, "lang")[0])
    times = await talk.press(ids(days, "day")[1])
    await talk.press(ids(times, "time")[0])
    done = await talk.press(ids(await talk.say("أمينة"), "confirm")[0])
    (visit,) = await visits_of(place)
    assert (visit.interpreter_id, visit.language) == (helper, "ar")
    assert rows(done)["help"]
    door = next(row for row in done["appointment"]["rows"] if row["key"] == "door")
    assert door["italian"]


async def test_one_address_cannot_hold_time_after_time(
    client: httpx.AsyncClient, place: Place, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    hourly = parse_many(RULES["booking"]["address"])[0].amount
    talks = [await open_talk(client) for _ in range(4)]
    monkeypatch.setattr(services.limits, "enabled", True)
    services.limits.reset()
    answers = [await talks[number % 4].post(choice=slot(place, TEN)) for number in range(hourly + 1)]
    services.limits.reset()
    assert {answer.status_code for answer in answers[:-1]} == {200}
    assert answers[-1].status_code == 429


# ---- the waiting list ----


async def test_a_freed_time_goes_to_who_waits_and_becomes_a_visit(
    client: httpx.AsyncClient, place: Place, clock: Clock
) -> None:
    talk, waiting = await open_talk(client), await open_talk(client)
    visit = await booked(talk, place)
    await waiting.press(f"wait:join:{place.kind}-it:20270302:morning")
    await talk.press(f"visit:drop:{visit}")
    offer = (await waiting.messages())[-1]
    assert offer["author"] == "system"
    asked = await waiting.press(ids(offer, "wait")[0])
    assert say("it", "book.name") in asked["text"]
    done = await waiting.press(ids(await waiting.say("Omar"), "confirm")[0])
    assert rows(done)["when"] == ["martedì 2 marzo 2027, 10:00"]
    async with place.sessions.begin() as session:
        places = select(func.count()).select_from(WaitingPlace).where(WaitingPlace.kind_id == place.kind)
        assert (await session.execute(places)).scalar_one() == 0
    over = await waiting.press(ids(offer, "wait")[0])
    assert over["text"] in (say("it", "error.offer_over"), say("it", "over"))


async def test_an_offer_is_not_let_go_when_another_time_is_looked_at(client: httpx.AsyncClient, place: Place) -> None:
    talk, waiting = await open_talk(client), await open_talk(client)
    visit = await booked(talk, place)
    await waiting.press(f"wait:join:{place.kind}-it")
    await talk.press(f"visit:drop:{visit}")
    await waiting.press(slot(place, rome(2, 11)))
    assert sorted(await statuses(place)) == ["cancelled", "held", "held"]


@pytest.mark.parametrize("what, left", [("pass", 1), ("leave", 0)])
async def test_an_offer_can_be_let_pass_and_the_list_left(
    client: httpx.AsyncClient, place: Place, what: str, left: int
) -> None:
    talk, waiting = await open_talk(client), await open_talk(client)
    visit = await booked(talk, place)
    await waiting.press(f"wait:join:{place.kind}-it")
    await talk.press(f"visit:drop:{visit}")
    offer = (await waiting.messages())[-1]
    await waiting.press(next(one for one in ids(offer, "wait") if what in one))
    assert set(await statuses(place)) == {"cancelled"}
    async with place.sessions.begin() as session:
        places = select(func.count()).select_from(WaitingPlace).where(WaitingPlace.kind_id == place.kind)
        assert (await session.execute(places)).scalar_one() == left


# ---- the calendar file, and the page ----


def cookie(talk: Talk) -> dict[str, str]:
    return {"cookie": f"elp_chat={talk.id}.{talk.opened['token']}"}


async def test_the_calendar_file_is_for_the_cookie_of_the_conversation(client: httpx.AsyncClient, place: Place) -> None:
    talk, stranger = await open_talk(client), await open_talk(client)
    summary = await held(talk, place)
    path = f"/visits/{summary['appointment']['id']}/calendar.ics"
    assert (await client.get(path, headers=cookie(talk))).status_code == 404  # only held
    await talk.press(ids(summary, "confirm")[0])
    first = icalendar.Calendar.from_ical((await client.get(path, headers=cookie(talk))).content)
    assert first["METHOD"] == "PUBLISH"
    assert (await client.get(path)).status_code == 404
    assert (await client.get(path, headers=cookie(stranger))).status_code == 404
    await talk.press(f"visit:drop:{summary['appointment']['id']}")
    gone = icalendar.Calendar.from_ical((await client.get(path, headers=cookie(talk))).content)
    assert gone["METHOD"] == "CANCEL"
    events = [calendar.walk("VEVENT")[0] for calendar in (first, gone)]
    assert events[0]["UID"] == events[1]["UID"]
    assert int(str(events[0]["SEQUENCE"])) < int(str(events[1]["SEQUENCE"]))


async def test_a_browser_keeps_the_conversation_until_the_visit_is_over(
    client: httpx.AsyncClient, place: Place, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Services, "now", lambda _: NOW)
    talk = await open_talk(client)
    summary = await held(talk, place)
    for choice in (ids(summary, "confirm")[0], f"visit:drop:{summary['appointment']['id']}"):
        response = await client.post("/messages", data={"choice": choice}, headers=cookie(talk))
        kept = [one for one in response.headers.get_list("set-cookie") if one.startswith("elp_chat=")]
        if choice.startswith("confirm"):
            wanted = int((TEN + timedelta(minutes=30, days=1) - NOW).total_seconds())
            assert f"Max-Age={wanted}" in kept[0]
        else:
            assert kept == []


@pytest.mark.parametrize("language", ["it", "ar"])
async def test_the_page_shows_the_card_with_italian_from_left_to_right(
    client: httpx.AsyncClient, place: Place, language: str
) -> None:
    talk = await open_talk(client, language)
    await talk.press(slot(place, TEN, language))
    done = await talk.press(ids(await talk.say("<b>Amina</b>"), "confirm")[0])
    page = (await client.get("/", headers=cookie(talk))).text
    door = next(row["values"][0] for row in done["appointment"]["rows"] if row["key"] == "door")
    assert f'<bdi lang="it" dir="ltr">{door}</bdi>' in page
    assert f"/visits/{done['appointment']['id']}/calendar.ics" in page
    assert "<b>Amina" not in page


async def test_moved_in_three_tabs_at_once_it_is_still_one_visit(client: httpx.AsyncClient, place: Place) -> None:
    talk = await open_talk(client)
    visit = await booked(talk, place)
    moves = [f"move:{UUID(visit).hex}:{rome(3, hour):%Y%m%dT%H%M%z}" for hour in (9, 10, 11)]
    answers = await asyncio.gather(*(talk.post(choice=move) for move in moves))
    assert {answer.status_code for answer in answers} == {200}
    assert await statuses(place) == ["confirmed"]


# ---- leaving, and being forgotten ----


async def test_whoever_leaves_quickly_is_still_expected(client: httpx.AsyncClient, place: Place) -> None:
    """Else somebody would go there for nothing. Nothing that was said is left, and nobody waits for a time any more."""
    talk = await open_talk(client)
    await booked(talk, place)
    await talk.press(slot(place, TEN + timedelta(hours=1)))
    await leave_conversation(place.sessions, UUID(talk.id), talk.headers["authorization"].split()[1])
    assert sorted(await statuses(place)) == ["cancelled", "confirmed"]
    async with place.sessions.begin() as session:
        said = select(func.count()).select_from(Message).where(Message.conversation_id == UUID(talk.id))
        assert (await session.execute(said)).scalar_one() == 0


async def test_whoever_wants_all_erased_is_told_that_the_appointment_goes_too(
    client: httpx.AsyncClient, place: Place
) -> None:
    talk = await open_talk(client)
    assert say("it", "forget.ask_visits") not in (await talk.press("forget"))["text"]
    await booked(talk, place)
    assert say("it", "forget.ask_visits") in (await talk.press("forget"))["text"]
    await talk.press("forget-now")
    assert await statuses(place) == ["cancelled"]
