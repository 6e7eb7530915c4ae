"""Desks, times and appointments over HTTP."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from icalendar import Calendar

from backend.booking import LONGEST_NAME
from backend.services import Services
from tests.appointments import ROME, Place, make_place
from tests.backend.test_api import open_talk

API = "/api/v1"


@pytest.fixture
async def place(services: Services) -> Place:
    return await make_place(services.sessions, name=f"Sportello {uuid4()}")


@pytest.fixture
async def times(client: httpx.AsyncClient, place: Place) -> list[str]:
    """From the day after tomorrow on, when nothing is booked yet."""
    return [one["start"] for one in (await read_times(client, place))["times"]]


async def read_times(client: httpx.AsyncClient, place: Place, **query: Any) -> Any:
    first = date.today() + timedelta(days=2)  # noqa: DTZ011 - far enough from any change of the day
    asked = {"kind": place.kind, "from": first.isoformat(), "to": (first + timedelta(days=13)).isoformat()} | query
    response = await client.get(f"{API}/desks/{place.desk}/times", params=asked)
    assert response.status_code == 200, response.text
    return response.json()


async def make(client: httpx.AsyncClient, place: Place, start: str, **values: Any) -> httpx.Response:
    body = {"desk": place.desk, "kind": place.kind, "start": start, "name": "Amina", "language": "ar"} | values
    return await client.post(f"{API}/appointments", json=body)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_a_desk_says_what_can_be_booked_there(client: httpx.AsyncClient, place: Place) -> None:
    desks = (await client.get(f"{API}/desks", params={"language": "en"})).json()
    mine = next(desk for desk in desks if desk["id"] == place.desk)
    assert mine["kinds"] == [{"id": place.kind, "name": "Talk", "minutes": 30}]
    assert mine["demo"] is False
    desks = (await client.get(f"{API}/desks", params={"language": "ar"})).json()
    assert next(desk for desk in desks if desk["id"] == place.desk)["kinds"][0]["name"] == "Talk"


async def test_times_carry_the_offset_of_the_desk(client: httpx.AsyncClient, place: Place, times: list[str]) -> None:
    first = datetime.fromisoformat(times[0])
    assert first.hour == 9
    assert first.utcoffset() == first.astimezone(ROME).utcoffset()
    found = await read_times(client, place)
    assert found["times"][0]["places"] == 1
    assert (found["code"], found["demo"], found["zone"]) == (None, False, "Europe/Rome")


async def test_booked_read_moved_cancelled(client: httpx.AsyncClient, place: Place, times: list[str]) -> None:
    made = await make(client, place, times[0])
    assert made.status_code == 201
    booked = made.json()
    assert (booked["status"], booked["start"], booked["demo"]) == ("confirmed", times[0], False)
    assert len(booked["code"]) == 5
    path, mine = f"{API}/appointments/{booked['id']}", bearer(booked["token"])
    read = (await client.get(path, headers=mine)).json()
    assert read == {key: value for key, value in booked.items() if key != "token"}
    moved = await client.patch(path, headers=mine, json={"start": times[4]})
    assert (moved.status_code, moved.json()["start"], moved.json()["code"]) == (200, times[4], booked["code"])
    for _ in range(2):
        assert (await client.delete(path, headers=mine)).status_code == 204
    assert (await client.get(path, headers=mine)).json()["status"] == "cancelled"
    assert (await client.patch(path, headers=mine, json={"start": times[5]})).json()["code"] == "appointment_over"


async def test_a_time_means_the_same_in_another_zone(client: httpx.AsyncClient, place: Place, times: list[str]) -> None:
    there = datetime.fromisoformat(times[0]).astimezone(UTC).isoformat()
    assert (await make(client, place, there)).json()["start"] == times[0]


async def test_a_taken_time_is_answered_with_three_others(
    client: httpx.AsyncClient, place: Place, times: list[str]
) -> None:
    await make(client, place, times[4])
    lost = await make(client, place, times[4], language="it")
    assert lost.status_code == 409
    answer = lost.json()
    assert (answer["code"], len(answer["alternatives"])) == ("slot_taken", 3)
    assert {one["start"] for one in answer["alternatives"]} < set(times)
    assert (await make(client, place, answer["alternatives"][0]["start"])).status_code == 201


@pytest.mark.parametrize(
    "changed, status, code",
    [
        ({"start": "2020-01-07T10:00:00+01:00"}, 422, "appointment_past"),
        ({"start": "2999-01-07T10:00:00+01:00"}, 422, "appointment_too_far"),
        ({"start": "0001-01-01T00:00:00+14:00"}, 422, "invalid_request"),
        ({"start": "2027-02-30T10:00:00+01:00"}, 422, "invalid_request"),
        ({"start": "2027-03-02T10:00:00"}, 422, "invalid_request"),
        ({"start": 0}, 422, "invalid_request"),
        ({"name": ""}, 422, "invalid_request"),
        ({"name": " "}, 422, "appointment_name"),
        ({"name": "a" * (LONGEST_NAME + 1)}, 422, "appointment_name"),
        ({"language": "xx"}, 422, "unknown_language"),
        ({"interpreter": True}, 409, "no_interpreter"),
        ({"kind": 2**31 - 1}, 404, "not_found"),
        ({"desk": 2**31 - 1}, 404, "not_found"),
        ({"surname": "Rossi"}, 422, "invalid_request"),
    ],
)
async def test_what_cannot_be_booked_is_named(
    client: httpx.AsyncClient, place: Place, times: list[str], changed: dict[str, Any], status: int, code: str
) -> None:
    answer = await make(client, place, **({"start": times[0]} | changed))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await place.live() == 0


async def test_unknown_hours_are_said_and_nothing_is_booked(client: httpx.AsyncClient, services: Services) -> None:
    place = await make_place(services.sessions, hours=False)
    found = await read_times(client, place, language="it")
    assert (found["times"], found["code"]) == ([], "hours_unknown")
    assert "sportello" in found["title"]
    start = datetime.combine(date.today() + timedelta(days=3), time(10), ROME)  # noqa: DTZ011
    answer = await make(client, place, start.isoformat())
    assert (answer.status_code, answer.json()["code"]) == (409, "hours_unknown")


async def test_example_hours_work_and_say_so_everywhere(
    client: httpx.AsyncClient, place: Place, times: list[str]
) -> None:
    await place.set_desk(demo_hours=True)
    assert (await read_times(client, place))["demo"] is True
    desks = (await client.get(f"{API}/desks")).json()
    assert next(desk for desk in desks if desk["id"] == place.desk)["demo"] is True
    booked = (await make(client, place, times[0], language="en")).json()
    assert booked["demo"] is True
    calendar = await client.get(f"{API}/appointments/{booked['id']}/calendar.ics", headers=bearer(booked["token"]))
    assert "EXAMPLE" in calendar.text


async def test_nobody_elses_token_helps(client: httpx.AsyncClient, place: Place, times: list[str]) -> None:
    mine, other = [(await make(client, place, start)).json() for start in (times[0], times[4])]
    path = f"{API}/appointments/{mine['id']}"
    for address in (path, f"{path}/calendar.ics"):
        assert (await client.get(address)).status_code == 401
        assert (await client.get(address, headers=bearer(other["token"]))).status_code == 404
    assert (await client.delete(path, headers=bearer(other["token"]))).status_code == 404
    assert (await client.patch(path, headers=bearer(other["token"]), json={"start": times[8]})).status_code == 404
    assert (await client.get(path, headers=bearer(mine["token"]))).json()["status"] == "confirmed"


async def test_the_calendar_file_follows_the_appointment(
    client: httpx.AsyncClient, place: Place, times: list[str]
) -> None:
    booked = (await make(client, place, times[0], language="it")).json()
    path, mine = f"{API}/appointments/{booked['id']}", bearer(booked["token"])

    async def read() -> tuple[Calendar, Any]:
        response = await client.get(f"{path}/calendar.ics", headers=mine)
        assert response.headers["content-type"].startswith("text/calendar")
        calendar = Calendar.from_ical(response.content)
        assert calendar["version"] == "2.0"
        (event,) = calendar.events
        assert not calendar.errors
        assert not event.errors
        return calendar, event

    calendar, first = await read()
    assert calendar["method"] == "PUBLISH"
    assert first.decoded("dtstart") == datetime.fromisoformat(times[0])
    assert first.decoded("dtend") - first.decoded("dtstart") == timedelta(minutes=30)
    assert booked["code"] in first["description"]
    await client.patch(path, headers=mine, json={"start": times[4]})
    _, moved = await read()
    assert (moved["uid"], moved["sequence"]) == (first["uid"], 1)
    assert moved.decoded("dtstart") == datetime.fromisoformat(times[4])
    await client.delete(path, headers=mine)
    calendar, gone = await read()
    assert (calendar["method"], gone["status"]) == ("CANCEL", "CANCELLED")
    assert (gone["uid"], gone["sequence"]) == (first["uid"], 2)


async def test_in_a_conversation_two_visits_are_the_most(
    client: httpx.AsyncClient, place: Place, times: list[str]
) -> None:
    talk = await open_talk(client)
    mine = {"conversation": {"id": talk.id, "token": talk.headers["authorization"].split()[1]}}
    answers = [await make(client, place, start, **mine) for start in times[:12:4]]
    assert [answer.status_code for answer in answers] == [201, 201, 409]
    assert answers[2].json()["code"] == "appointment_limit"
    wrong = {"conversation": {"id": talk.id, "token": "x"}}
    assert (await make(client, place, times[8], **wrong)).status_code == 404
    await client.delete(talk.path, headers=talk.headers)
    assert await place.live() == 0, "erased with the conversation"


@pytest.mark.usefixtures("limited")
async def test_booking_has_a_limit_of_its_own(client: httpx.AsyncClient, place: Place, times: list[str]) -> None:
    for _ in range(60):
        await make(client, place, "2020-01-07T10:00:00+01:00")
    answer = await make(client, place, times[0])
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
