"""What can be booked at a desk, in the console: kinds, resources, limits; by whom; what is asked before it changes."""

import re
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, time, timedelta
from html import unescape
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from backend import booking
from backend.booking import Wish
from backend.conversations import open_conversation
from backend.models import (
    Appointment,
    AppointmentKind,
    AuditEvent,
    Desk,
    Message,
    OpeningPeriod,
    Resource,
    WaitingPlace,
)
from backend.services import Services
from tests.appointments import ROME
from tests.staff import FORM, Browser, Browsers, browsers, make_desk, make_organisation

LONG = "x" * 10_000
KIND = {
    "name_it": "Primo colloquio",
    "minutes": "45",
    "buffer_before": "5",
    "buffer_after": "15",
    "lead_minutes": "120",
    "window_days": "30",
    "capacity": "1",
    "active": "yes",
}
RESOURCE = {"kind": "staff", "name": "Anna", "hours": "desk", "active": "yes"}


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[Browsers]:
    async with browsers(app) as opened:
        yield opened


class Place:
    """A desk that is open every day from nine to twelve, and its manager."""

    def __init__(self, services: Services, desk: int, organisation: int, here: Browser) -> None:
        self.services, self.desk, self.organisation, self.here = services, desk, organisation, here
        self.path = f"/console/desks/{desk}/booking"

    async def page(self, path: str = "") -> str:
        response = await self.here.get(path or self.path)
        assert response.status_code == 200
        return unescape(response.text)

    async def send(self, path: str, form: dict[str, Any]) -> httpx.Response:
        return await self.here.http.post(f"{self.path}/{path}", data=form, headers=FORM)

    async def rows(self, model: type[AppointmentKind] | type[Resource]) -> Sequence[Any]:
        async with self.services.sessions.begin() as session:
            query = select(model).where(model.desk_id == self.desk).order_by(model.id)
            return (await session.execute(query)).scalars().all()

    async def one(self, model: type[AppointmentKind] | type[Resource]) -> Any:
        [row] = await self.rows(model)
        return row

    async def events(self) -> list[tuple[str, dict[str, Any]]]:
        async with self.services.sessions.begin() as session:
            query = select(AuditEvent.action, AuditEvent.details).where(AuditEvent.subject == f"desk:{self.desk}")
            return [(row.action, row.details) for row in await session.execute(query.order_by(AuditEvent.id))]

    async def open_desk(self) -> None:
        """With a kind and somebody who serves."""
        async with self.services.sessions.begin() as session:
            await session.execute(update(Desk).where(Desk.id == self.desk).values(holidays=""))
            hours = {"opens": time(9), "closes": time(12)}
            session.add_all([OpeningPeriod(desk_id=self.desk, weekday=day, **hours) for day in range(7)])
        assert (await self.send("kinds", KIND | {"buffer_before": "0"})).status_code == 303
        assert (await self.send("resources", RESOURCE)).status_code == 303

    async def book(self, days: int, hour: int, conversation: UUID | None = None) -> UUID:
        now = self.services.now()
        day = now.astimezone(ROME).date() + timedelta(days=days)
        start = datetime.combine(day, time(hour), ROME)
        kind = (await self.one(AppointmentKind)).id
        wish = Wish(self.desk, kind, start, "it", conversation_id=conversation)
        return (await booking.book(self.services.sessions, wish, "Amina", now)).visit.id

    async def status(self, appointment: UUID) -> str:
        async with self.services.sessions.begin() as session:
            return (await session.get_one(Appointment, appointment)).status


@pytest.fixture
async def place(services: Services, browser: Browsers) -> Place:
    organisation = await make_organisation(services)
    desk = await make_desk(services, organisation, "Front desk")
    here = await browser("desk_manager", organisation=organisation, desk=desk)
    return Place(services, desk, organisation, here)


# --- kinds ---


async def test_a_kind_is_made_changed_and_deleted(place: Place) -> None:
    words = {"name_en": " First  talk\x00 ", "who_for_it": "Per chi è nuovo\x07 qui", "languages": ["it", "fr"]}
    assert (await place.send("kinds", KIND | words | {"entry_id": "sportello-elp"})).status_code == 303
    kind = await place.one(AppointmentKind)
    assert kind.names == {"it": "Primo colloquio", "en": "First talk"}
    assert kind.who_for == {"it": "Per chi è nuovo qui"}
    numbers = (kind.minutes, kind.buffer_before, kind.buffer_after, kind.lead_minutes, kind.window_days, kind.capacity)
    assert numbers == (45, 5, 15, 120, 30, 1)
    assert (kind.languages, kind.entry_id, kind.active, kind.demo) == (["it", "fr"], "sportello-elp", True, False)
    page = await place.page()
    assert "First talk" in page
    assert "Per chi è nuovo qui" in page
    form = await place.page(f"{place.path}/kinds/{kind.id}")
    assert 'value="Primo colloquio"' in form
    assert '<option value="sportello-elp" selected>' in form

    changed = {name: value for name, value in KIND.items() if name != "active"} | {"capacity": "12", "name_it": "Corso"}
    assert (await place.send(f"kinds/{kind.id}", changed)).status_code == 303
    kind = await place.one(AppointmentKind)
    assert (kind.names, kind.who_for, kind.entry_id) == ({"it": "Corso"}, {}, None)
    assert (kind.capacity, kind.active) == (12, False)
    for _ in range(2):
        assert (await place.send(f"kinds/{kind.id}/delete", {})).status_code == 303
    assert await place.rows(AppointmentKind) == []
    done = [("desk.kind_added", {"kind": kind.id}), ("desk.kind_changed", {"kind": kind.id})]
    assert await place.events() == [*done, ("desk.kind_deleted", {"kind": kind.id})]


@pytest.mark.parametrize(
    "typed, said",
    [
        ({"name_it": ""}, "Write the name in Italian"),
        ({"name_it": "\x00\x07 \u202e"}, "Write the name in Italian"),
        ({"name_it": LONG}, "The text is long (Italiano): at most 80"),
        ({"name_ar": LONG}, "The text is long (العربية): at most 80"),
        ({"who_for_en": LONG}, "The text is long (English): at most 300"),
        ({"name_xx": "Ciao"}, "I do not know this language"),
        ({"name_": "Ciao"}, "I do not know this language"),
        ({"languages": ["it", "klingon"]}, "I do not know this language"),
        ({"entry_id": "no-such-entry"}, "There is no such entry"),
        ({"entry_id": "sportello-elp\x00"}, "There is no such entry"),
        ({"entry_id": LONG}, "There is no such entry"),
        ({"minutes": "4"}, "between 5 and 480"),
        ({"minutes": "481"}, "between 5 and 480"),
        ({"minutes": ""}, "between 5 and 480"),
        ({"minutes": "-30"}, "between 5 and 480"),
        ({"minutes": "30.5"}, "between 5 and 480"),
        ({"minutes": LONG}, "between 5 and 480"),
        ({"minutes": "9" * 400}, "between 5 and 480"),
        ({"buffer_before": "241"}, "before and after are between 0 and 240"),
        ({"buffer_after": "x"}, "before and after are between 0 and 240"),
        ({"lead_minutes": "43201"}, "between 0 and 43,200"),
        ({"lead_minutes": "43200", "window_days": "30"}, "Nobody could ever book this"),
        ({"window_days": "0"}, "from 1 to 366"),
        ({"window_days": "367"}, "from 1 to 366"),
        ({"capacity": "0"}, "Between 1 and 1,000"),
        ({"capacity": "1001"}, "Between 1 and 1,000"),
    ],
)
async def test_a_kind_that_cannot_be_is_explained_and_stays_typed(
    place: Place, typed: dict[str, Any], said: str
) -> None:
    response = await place.send("kinds", KIND | {"who_for_fr": "Pour «tous» <b>"} | typed)
    assert response.status_code == 422
    text = unescape(response.text)
    assert said in text
    assert "Pour «tous» &lt;b&gt;" in response.text, "nothing that was typed is lost"
    if "minutes" in typed:
        assert f'max="480" value="{typed["minutes"]}"' in text
    assert await place.rows(AppointmentKind) == []
    assert await place.events() == []


async def test_an_empty_form_and_a_strange_one_are_answered(place: Place) -> None:
    for path in ("kinds", "resources", "limits"):
        assert (await place.send(path, {})).status_code == 422
        assert (
            await place.send(path, {"minutes": ["1", "2"], "name": "\ud800".encode("utf-8", "replace")})
        ).status_code == 422


async def test_numbers_in_other_numerals_are_numbers(place: Place) -> None:
    assert (await place.send("kinds", KIND | {"minutes": " ٤٥ "})).status_code == 303
    assert (await place.one(AppointmentKind)).minutes == 45


async def test_a_kind_that_somebody_has_or_waits_for_stays(place: Place) -> None:
    await place.open_desk()
    kind = (await place.one(AppointmentKind)).id
    who = (await open_conversation(place.services.sessions, channel="web", language="it")).id
    waits = WaitingPlace(conversation_id=who, kind_id=kind, language="it", interpreter=False)
    async with place.services.sessions.begin() as session:
        session.add(waits)
    response = await place.send(f"kinds/{kind}/delete", {})
    assert response.status_code == 409
    assert "cannot be deleted" in response.text
    async with place.services.sessions.begin() as session:
        await session.delete(waits)
    visit = await place.book(1, 10)
    async with place.services.sessions.begin() as session:
        await session.execute(update(Appointment).where(Appointment.id == visit).values(status="done"))
    assert (await place.send(f"kinds/{kind}/delete", {})).status_code == 409, "what was, keeps its name"
    assert "it can be made inactive" in await place.page()


async def test_there_are_so_many_kinds_and_no_more(place: Place) -> None:
    async with place.services.sessions.begin() as session:
        session.add_all([AppointmentKind(desk_id=place.desk, names={"it": "x"}, minutes=30) for _ in range(50)])
    response = await place.send("kinds", KIND)
    assert response.status_code == 409
    assert "50 kinds" in response.text


# --- resources ---


async def test_an_interpreter_with_hours_of_their_own_is_made_changed_and_deleted(place: Place) -> None:
    own = {"hours": "own", "from-1-0": "09:00", "until-1-0": "12.30", "from-3-1": "14", "until-3-1": "17:00"}
    form = RESOURCE | own | {"kind": "interpreter", "languages": ["ar", "fr"]}
    assert (await place.send("resources", form)).status_code == 303
    made = await place.one(Resource)
    assert made.availability == [[1, "09:00", "12:30"], [3, "14:00", "17:00"]]
    assert (made.kind, made.languages, made.active) == ("interpreter", ["fr", "ar"], True)
    page = await place.page(f"{place.path}/resources/{made.id}")
    assert 'name="from-1-0" type="time" value="09:00"' in page
    assert 'name="until-3-0" type="time" value="17:00"' in page

    changed = {"kind": "interpreter", "name": " Samia ", "languages": ["ar"], "hours": "desk"}
    assert (await place.send(f"resources/{made.id}", changed)).status_code == 303
    made = await place.one(Resource)
    assert (made.name, made.availability, made.active) == ("Samia", None, False)
    assert (await place.send(f"resources/{made.id}", changed | {"kind": "staff"})).status_code == 422
    for _ in range(2):
        assert (await place.send(f"resources/{made.id}/delete", {})).status_code == 303
    done = [action for action, _ in await place.events()]
    assert done == ["desk.resource_added", "desk.resource_changed", "desk.resource_deleted"]


async def test_staff_and_rooms_have_no_languages(place: Place) -> None:
    assert (await place.send("resources", RESOURCE | {"kind": "room", "languages": ["ar"]})).status_code == 303
    assert (await place.one(Resource)).languages == []


@pytest.mark.parametrize(
    "typed, said",
    [
        ({"name": ""}, "Write a name"),
        ({"name": "\x00"}, "Write a name"),
        ({"name": LONG}, "The text is long"),
        ({"kind": "robot"}, "missing or wrong"),
        ({"kind": ""}, "missing or wrong"),
        ({"kind": "interpreter"}, "at least one language"),
        ({"kind": "interpreter", "languages": ["xx"]}, "I do not know this language"),
        ({"hours": "own"}, "Write down hours"),
        ({"hours": "own", "from-0-0": "09:00"}, "do not understand one of these times"),
        ({"hours": "own", "from-0-0": "12:00", "until-0-0": "09:00"}, "closing time must come after"),
        ({"hours": "own", "from-0-0": LONG, "until-0-0": "09:00"}, "do not understand one of these times"),
        ({"hours": "own", "from-0-0": "9", "until-0-0": "12", "from-0-1": "11:59", "until-0-1": "13"}, "overlap"),
    ],
)
async def test_a_resource_that_cannot_be_is_explained_and_stays_typed(
    place: Place, typed: dict[str, Any], said: str
) -> None:
    kept = {} if "hours" in typed else {"from-6-1": "08:15"}
    response = await place.send("resources", RESOURCE | kept | typed)
    assert response.status_code in (409, 422)
    assert said in unescape(response.text)
    for name, value in (kept or typed).items():
        shown = "" if name == "hours" else ' type="time"'
        assert f'name="{name}"{shown} value="{value}"' in response.text
    assert await place.rows(Resource) == []


async def test_somebody_who_has_visits_stays(place: Place) -> None:
    await place.open_desk()
    await place.book(1, 10)
    one = (await place.one(Resource)).id
    assert (await place.send(f"resources/{one}/delete", {})).status_code == 409
    assert len(await place.rows(Resource)) == 1


# --- limits ---


async def test_limits_are_set_and_kept_within_reason(place: Place) -> None:
    assert (await place.send("limits", {"most_visits": "3", "most_each_week": "1"})).status_code == 303
    page = await place.page()
    assert 'max="50" value="3"' in page
    assert 'max="50" value="1"' in page
    for visits, week in (("0", ""), ("51", ""), ("", ""), ("2", "0"), ("2", "51"), ("2", "x"), (LONG[:900], "")):
        response = await place.send("limits", {"most_visits": visits, "most_each_week": week})
        assert response.status_code == 422
        assert f'max="50" value="{visits}"' in response.text
    assert (await place.send("limits", {"most_visits": "2", "most_each_week": " "})).status_code == 303
    assert (await place.events())[-1] == ("desk.limits_changed", {"visits": 2, "each_week": None})


# --- closed, and examples ---


async def test_the_page_says_that_nothing_can_be_booked_and_why(place: Place) -> None:
    page = await place.page()
    for why in ("Nothing can be booked now", "when the desk is open", "no active kind", "no active person or room"):
        assert why in page
    assert f'href="/console/desks/{place.desk}/hours">Set the opening hours' in page
    await place.open_desk()
    assert "Nothing can be booked now" not in await place.page()
    one = (await place.one(Resource)).id
    await place.send(f"resources/{one}", {"kind": "staff", "name": "Anna", "hours": "desk"})
    assert "no active person or room" in await place.page()


async def test_examples_say_so_until_one_button_ends_them(place: Place) -> None:
    await place.open_desk()
    async with place.services.sessions.begin() as session:
        await session.execute(update(Desk).where(Desk.id == place.desk).values(demo_hours=True))
        for model in (AppointmentKind, Resource):
            await session.execute(update(model).where(model.desk_id == place.desk).values(demo=True))
    assert "Something here is an example" in await place.page()
    visit = await place.book(1, 10)
    confirm = f"/console/desks/{place.desk}/hours/confirm"
    asked = await place.here.post(confirm, back="booking")
    assert asked.status_code == 409
    assert "It was booked with the examples" in asked.text
    assert '<input type="hidden" name="back" value="booking">' in asked.text
    done = await place.here.post(confirm, back="booking", **{f"visits-each-{visit}": "keep"})
    assert done.headers["location"] == f"{place.path}?done=saved"
    assert "example" not in await place.page()


async def test_saving_an_example_makes_that_one_real_and_no_other(place: Place) -> None:
    await place.open_desk()
    async with place.services.sessions.begin() as session:
        for model in (AppointmentKind, Resource):
            await session.execute(update(model).where(model.desk_id == place.desk).values(demo=True))
    kind = await place.one(AppointmentKind)
    await place.send(f"kinds/{kind.id}", KIND)
    assert not (await place.one(AppointmentKind)).demo
    assert (await place.one(Resource)).demo
    assert "Something here is an example" in await place.page()


# --- visits in the way ---


async def test_the_question_about_visits_brings_the_whole_form_along(place: Place) -> None:
    await place.open_desk()
    who = (await open_conversation(place.services.sessions, channel="web", language="it")).id
    first, second = await place.book(1, 9, who), await place.book(1, 10)
    hours = f"/console/desks/{place.desk}/hours"
    tomorrow = (place.services.now().astimezone(ROME) + timedelta(days=1)).date().isoformat()
    form = {"first": tomorrow, "note": 'Sciopero "A" <b>'}
    asked = await place.here.post(f"{hours}/days", **form)
    assert asked.status_code == 409
    page = unescape(asked.text)
    assert "Nothing is changed yet" in page
    for name, value in form.items():
        assert f'<input type="hidden" name="{name}" value="{value}">' in page
    assert page.count("data-visit=") == 2
    assert page.count("nobody can be told") == 1
    assert "No days that differ" in await place.page(hours)

    sent = {
        name: unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', asked.text)
    }
    half = await place.here.post(f"{hours}/days", **sent, **{f"visits-each-{first}": "ask"})
    assert half.status_code == 409
    assert f'name="visits-each-{first}" value="ask" checked' in half.text
    assert "Choose what becomes of it" in half.text
    back = await place.here.post(f"{hours}/days", **sent, **{"visits-leave": "yes"})
    assert back.status_code == 200
    assert f'name="first" type="date" value="{tomorrow}"' in back.text
    assert 'Sciopero "A" <b>' in unescape(back.text)

    third = await place.book(1, 11)
    newly = await place.here.post(f"{hours}/days", **sent, **{f"visits-each-{first}": "ask", "visits-others": "cancel"})
    assert newly.status_code == 409
    assert "More appointments have come meanwhile" in newly.text
    assert newly.text.count("data-visit=") == 3
    shown = re.search(r'name="visits-shown" value="([^"]*)"', newly.text)
    assert shown
    choices = {f"visits-each-{first}": "ask", f"visits-each-{third}": "keep", "visits-others": "cancel"}
    done = await place.here.post(f"{hours}/days", **(sent | {"visits-shown": shown[1]} | choices))
    assert done.status_code == 303
    assert [await place.status(one) for one in (first, second, third)] == ["confirmed", "cancelled", "confirmed"]
    async with place.services.sessions.begin() as session:
        told = select(Message.id).where(Message.conversation_id == who, Message.author == "system")
        assert len((await session.execute(told)).all()) == 1
    page = await place.page(f"/console/desks/{place.desk}/stranded")
    assert page.count("data-visit=") == 2
    assert "The person was asked to choose another time" in page
    assert "Appointments that are outside the hours now: 2" in await place.page()


async def test_hostile_decisions_decide_nothing(place: Place) -> None:
    await place.open_desk()
    visit = await place.book(1, 10)
    kind = (await place.one(AppointmentKind)).id
    off = {name: value for name, value in KIND.items() if name != "active"}
    for odd in (
        {f"visits-each-{visit}": "drop table"},
        {"visits-each-": "cancel", "visits-each-nobody": "cancel"},
        {"visits-shown": f"nobody {LONG} {visit}", "visits-others": "everything"},
        {"visits-shown": "", "visits-others": "cancel"},
        {f"visits-each-{visit}": "ask"},
    ):
        response = await place.send(f"kinds/{kind}", off | odd)
        assert response.status_code == 409, odd
    assert (await place.one(AppointmentKind)).active
    assert (await place.send(f"kinds/{kind}", off | {f"visits-each-{visit}": "keep"})).status_code == 303
    later = await place.here.post(f"/console/desks/{place.desk}/stranded", **{f"visits-each-{visit}": "cancel"})
    assert later.status_code == 303
    assert await place.status(visit) == "cancelled"
    assert "No appointment is outside the hours" in await place.page(f"/console/desks/{place.desk}/stranded")


# --- who ---


async def test_an_operator_reads_and_changes_nothing(place: Place, browser: Browsers) -> None:
    await place.open_desk()
    operator = await browser("operator", organisation=place.organisation, desk=place.desk)
    kind, one = (await place.one(AppointmentKind)).id, (await place.one(Resource)).id
    for path in (place.path, f"/console/desks/{place.desk}/stranded"):
        page = await operator.get(path)
        assert page.status_code == 200
        assert re.findall(r'<form[^>]*action="([^"]*)"', page.text) == ["/sign-out"]
        assert (await operator.post(f"{path}/limits")).status_code in (403, 404)
    for what in ("kinds", f"kinds/{kind}", f"kinds/{kind}/delete", "resources", f"resources/{one}"):
        assert (await operator.post(f"{place.path}/{what}", **KIND)).status_code == 403, what
    for what in ("new-kind", f"kinds/{kind}", "new-resource", f"resources/{one}"):
        assert (await operator.get(f"{place.path}/{what}")).status_code == 403, what
    assert (await operator.post(f"/console/desks/{place.desk}/stranded")).status_code == 403


async def test_things_of_another_desk_are_not_found(place: Place, services: Services) -> None:
    sister = await make_desk(services, place.organisation)
    kind = AppointmentKind(desk_id=sister, names={"it": "x"}, minutes=30)
    one = Resource(desk_id=sister, kind="staff", name="x")
    async with services.sessions.begin() as session:
        session.add_all([kind, one])
    for path, form in ((f"kinds/{kind.id}", KIND), (f"resources/{one.id}", RESOURCE)):
        assert (await place.here.get(f"{place.path}/{path}")).status_code == 404
        assert (await place.send(path, form)).status_code == 404
        assert (await place.send(f"{path}/delete", {})).status_code == 303
    async with services.sessions.begin() as session:
        assert (await session.get_one(AppointmentKind, kind.id)).names == {"it": "x"}
        assert (await session.get_one(Resource, one.id)).name == "x"
