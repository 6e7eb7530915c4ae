"""Times stay right when the clock changes, and for a person whose phone shows another one.

In 2027 the clock goes forward on Sunday 28 March at two in the morning, and back on Sunday 31 October at three.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest

from backend import booking
from backend.booking import SlotTaken
from backend.diary import DeskClosed, TooFar, TooSoon
from backend.models import DeskDay
from backend.services import Services
from tests.appointments import ROME, Place, make_place, rome

FORWARD, BACK = date(2027, 3, 28), date(2027, 10, 31)
MARCH = datetime(2027, 3, 26, 8, tzinfo=UTC)
OCTOBER = datetime(2027, 10, 29, 8, tzinfo=UTC)
API = "/api/v1"


@pytest.fixture
async def place(services: Services) -> Place:
    """Open in the nights in which the clock changes, too."""
    place = await make_place(services.sessions, name=f"Desk {uuid4()}")
    for night in (FORWARD, BACK):
        await place.add(DeskDay(desk_id=place.desk, day=night, opens=time(1), closes=time(4)))
    return place


def instant(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


async def test_an_hour_that_does_not_come_has_no_times(place: Place) -> None:
    assert await place.times(28, now=MARCH) == ["01:00", "01:15", "01:30", "01:45", "03:00", "03:15", "03:30"]
    visit = (await place.book(instant(FORWARD, 0, 45), now=MARCH)).visit
    assert visit.ends == instant(FORWARD, 1, 15), "half an hour, though the clock shows 03:15 then"
    assert "01:30" not in await place.times(28, now=MARCH)
    assert "03:15" in await place.times(28, now=MARCH)


async def test_an_hour_that_comes_twice_can_be_booked_twice(place: Place) -> None:
    night = await place.times(31, month=10, now=OCTOBER)
    assert night.count("02:30") == 2
    assert len(night) == 15, "four hours, and the last visit begins half an hour before they end"
    first, second = instant(BACK, 0, 30), instant(BACK, 1, 30)
    assert [start.astimezone(ROME).hour for start in (first, second)] == [2, 2]
    await place.book(first, now=OCTOBER)
    with pytest.raises(SlotTaken):
        await place.book(first, now=OCTOBER)
    await place.book(second, now=OCTOBER)
    with pytest.raises(DeskClosed):
        await place.book(instant(BACK, 2, 45), now=OCTOBER)


async def test_other_times_are_the_nearest_on_the_clock_that_runs(place: Place) -> None:
    """A quarter to two is half an hour before a quarter past three."""
    await place.book(instant(FORWARD, 1, 15), now=MARCH)
    with pytest.raises(SlotTaken) as taken:
        await place.book(instant(FORWARD, 1, 15), now=MARCH)
    found = [f"{one.start.astimezone(ROME):%H:%M}" for one in taken.value.alternatives]
    assert found == ["01:15", "01:30", "01:45"]


async def test_lead_time_is_real_time_and_the_window_ends_with_a_day_of_the_desk(place: Place) -> None:
    kind = await place.add_kind(lead_minutes=120, window_days=1)
    now = instant(FORWARD, 0, 30) - timedelta(hours=1)
    with pytest.raises(TooSoon):
        await place.book(instant(FORWARD, 1, 15), kind=kind, now=now)
    await place.book(instant(FORWARD, 1, 30), kind=kind, now=now)
    saturday = instant(date(2027, 3, 27), 12)
    assert await place.times(28, kind=kind, now=saturday), "the day after has 23 hours and counts as one"
    with pytest.raises(TooFar):
        await place.book(rome(29, 9), kind=kind, now=saturday)


async def test_moved_over_the_change_it_begins_when_the_desk_opens(place: Place) -> None:
    booked = await place.book(rome(26, 10), now=MARCH)
    moved = await booking.move(place.sessions, booked.visit.id, booked.token, rome(30, 9), MARCH)
    assert moved.starts.astimezone(UTC).hour == 7
    assert moved.ends - moved.starts == timedelta(minutes=30)


# --- over HTTP ---


async def read_times(client: httpx.AsyncClient, place: Place, first: date) -> list[dict[str, Any]]:
    asked: dict[str, Any] = {"kind": place.kind, "from": first.isoformat(), "to": first + timedelta(days=4)}
    answer = await client.get(f"{API}/desks/{place.desk}/times", params=asked)
    found: list[dict[str, Any]] = answer.json()["times"]
    return found


@pytest.mark.parametrize(
    "now, day, offsets",
    [(MARCH, date(2027, 3, 26), ["+01:00", "+02:00"]), (OCTOBER, date(2027, 10, 29), ["+02:00", "+01:00"])],
)
async def test_each_time_has_the_offset_of_its_own_day(
    client: httpx.AsyncClient,
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    now: datetime,
    day: date,
    offsets: list[str],
) -> None:
    monkeypatch.setattr(Services, "now", lambda _: now)
    found = await read_times(client, place, day)
    assert list(dict.fromkeys(one["start"][-6:] for one in found)) == offsets
    nights = [one for one in found if one["start"].startswith((day + timedelta(days=2)).isoformat())]
    assert {one["start"][-6:] for one in nights} == set(offsets)
    lasts = {datetime.fromisoformat(one["end"]) - datetime.fromisoformat(one["start"]) for one in found}
    assert lasts == {timedelta(minutes=30)}
    assert found[-1]["start"].endswith(f"T11:30:00{offsets[1]}")


@pytest.mark.parametrize("zone", ["Asia/Dhaka", "America/Bogota", "Africa/Dakar", "Asia/Kathmandu"])
async def test_a_phone_in_another_zone_books_the_same_moment(
    client: httpx.AsyncClient, place: Place, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setattr(Services, "now", lambda _: MARCH)
    shown = next(one["start"] for one in await read_times(client, place, date(2027, 3, 29)))
    there = datetime.fromisoformat(shown).astimezone(ZoneInfo(zone))
    assert there.isoformat() != shown
    body = {"desk": place.desk, "kind": place.kind, "name": "Amina", "language": "bn", "start": there.isoformat()}
    booked = (await client.post(f"{API}/appointments", json=body)).json()
    assert booked["start"] == shown, "answered as the desk's own clock shows it"
    taken = (await client.post(f"{API}/appointments", json=body)).json()
    assert taken["code"] == "slot_taken"
    assert {one["start"][-6:] for one in taken["alternatives"]} == {shown[-6:]}
