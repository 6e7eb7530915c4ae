"""A desk's opening hours in the console: read, changed, by whom; and the examples of a machine nobody has set up."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from datetime import date, time, timedelta
from pathlib import Path
from typing import Literal
from uuid import uuid4

import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from backend.calendars import load_hours
from backend.config import Settings
from backend.migrations.run import migrate
from backend.models import AuditEvent, Desk, DeskDay, OpeningPeriod
from backend.postgres import EmbeddedServer
from backend.services import Services
from backend.start import announcement, seed_content
from tests.conftest import SECRET_KEYS
from tests.staff import FORM, Browser, Browsers, browsers, make_desk, make_organisation

TOMORROW = date.today() + timedelta(days=1)  # noqa: DTZ011 - far enough from any change of the day


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[Browsers]:
    async with browsers(app) as opened:
        yield opened


class Place:
    """A desk, somebody at it, and its page."""

    def __init__(self, desk: int, organisation: int, here: Browser) -> None:
        self.desk, self.organisation, self.here = desk, organisation, here
        self.path = f"/console/desks/{desk}/hours"

    async def page(self) -> str:
        response = await self.here.get(self.path)
        assert response.status_code == 200
        return response.text

    async def add(self, opens: str, closes: str, *weekdays: int) -> int:
        form = {"opens": opens, "closes": closes, "weekday": [str(weekday) for weekday in weekdays]}
        return (await self.here.http.post(f"{self.path}/periods", data=form, headers=FORM)).status_code


@pytest.fixture
async def place(services: Services, browser: Browsers) -> Place:
    organisation = await make_organisation(services)
    desk = await make_desk(services, organisation, "Front desk")
    return Place(desk, organisation, await browser("desk_manager", organisation=organisation, desk=desk))


async def week(services: Services, desk: int) -> list[str]:
    async with services.sessions.begin() as session:
        query = select(OpeningPeriod).where(OpeningPeriod.desk_id == desk)
        rows = (await session.execute(query.order_by(OpeningPeriod.weekday, OpeningPeriod.opens))).scalars()
        return [f"{row.weekday} {row.opens:%H:%M}-{row.closes:%H:%M}" for row in rows]


async def days(services: Services, desk: int) -> list[date]:
    async with services.sessions.begin() as session:
        return list((await session.execute(select(DeskDay.day).where(DeskDay.desk_id == desk))).scalars())


async def events(services: Services, desk: int) -> list[str]:
    async with services.sessions.begin() as session:
        query = select(AuditEvent.action).where(AuditEvent.subject == f"desk:{desk}").order_by(AuditEvent.id)
        return list((await session.execute(query)).scalars())


async def set_demo(services: Services, desk: int) -> None:
    async with services.sessions.begin() as session:
        await session.execute(update(Desk).where(Desk.id == desk).values(demo_hours=True))


async def is_demo(services: Services, desk: int) -> bool:
    async with services.sessions.begin() as session:
        return (await session.execute(select(Desk.demo_hours).where(Desk.id == desk))).scalar_one()


# --- the week ---


async def test_a_week_with_a_break_is_written_down_and_a_promise_follows(place: Place, services: Services) -> None:
    before = await place.page()
    assert "The hours are not known yet" in before
    assert "We do not know the hours of the desk" in before
    assert await place.add("09:30", "12:30", 1, 3) == 303
    assert await place.add("14.00", "17", 1) == 303
    assert await week(services, place.desk) == ["1 09:30-12:30", "1 14:00-17:00", "3 09:30-12:30"]
    page = await place.page()
    assert "Tuesday" in page
    assert "09:30 – 12:30" in page
    assert "Somebody will read you by" in page
    assert await events(services, place.desk) == ["desk.hours_changed"] * 2


async def test_a_period_is_removed_once_and_twice_does_no_harm(place: Place, services: Services) -> None:
    await place.add("09:00", "12:00", 0)
    found = re.search(r"periods/(\d+)/remove", await place.page())
    assert found
    for _ in range(2):
        response = await place.here.post(f"{place.path}/{found[0]}")
        assert response.headers["location"] == f"{place.path}?done=deleted"
    assert "Deleted." in (await place.here.get(response.headers["location"])).text
    assert await week(services, place.desk) == []
    assert await events(services, place.desk) == ["desk.hours_changed"] * 2


@pytest.mark.parametrize(
    "opens, closes, weekday, said",
    [
        ("12:00", "09:00", "0", "closing time must come after"),
        ("09:00", "09:00", "0", "closing time must come after"),
        ("nine", "12:00", "0", "do not understand one of these times"),
        ("25:00", "26:00", "0", "do not understand one of these times"),
        ("", "", "0", "do not understand one of these times"),
        ("09:00", "12:00", "", "Choose at least one day"),
        ("09:00", "12:00", "7", "missing or wrong"),
        ("11:59", "13:00", "2", "overlap"),
    ],
)
async def test_hours_that_cannot_be_are_explained_and_stay_typed(
    place: Place, services: Services, opens: str, closes: str, weekday: str, said: str
) -> None:
    await place.add("09:00", "12:00", 2)
    form = {"opens": opens, "closes": closes} | ({"weekday": weekday} if weekday else {})
    response = await place.here.post(f"{place.path}/periods", **form)
    assert response.status_code in (409, 422)
    assert said in response.text
    assert f'name="opens" type="time" value="{opens}"' in response.text
    if weekday in "0123456" and weekday:
        assert f'value="{weekday}" checked' in response.text
    assert await week(services, place.desk) == ["2 09:00-12:00"]


async def test_several_days_are_added_together_or_not_at_all(place: Place, services: Services) -> None:
    await place.add("09:00", "12:00", 2)
    assert await place.add("11:00", "13:00", 1, 2, 3) == 409
    assert await week(services, place.desk) == ["2 09:00-12:00"]
    assert await place.add("12:00", "13:00", 1, 2, 3) == 303, "hours may touch"


async def test_two_who_add_hours_at_once_do_not_overlap(place: Place, services: Services) -> None:
    for weekday in range(7):
        made = await asyncio.gather(*(place.add(f"09:0{n}", f"12:0{n}", weekday) for n in range(6)))
        assert sorted(made) == [303] + [409] * 5
    assert len(await week(services, place.desk)) == 7


async def test_the_database_itself_refuses_hours_that_overlap(place: Place, services: Services) -> None:
    await place.add("09:00", "12:00", 4)
    values = {"desk_id": place.desk, "opens": "11:59", "closes": "12:30"}
    with pytest.raises(IntegrityError):
        async with services.sessions.begin() as session:
            await session.execute(insert(OpeningPeriod).values(weekday=4, **values))
    async with services.sessions.begin() as session:
        await session.execute(insert(OpeningPeriod).values(weekday=5, **values))


async def test_a_period_is_changed_where_it_stands(place: Place, services: Services) -> None:
    await place.add("09:00", "12:00", 0)
    await place.add("13:00", "15:00", 0)
    found = re.search(r'action="([^"]*/periods/\d+)"', await place.page())
    assert found
    assert (await place.here.post(found[1], opens="08.30", closes="13")).status_code == 303
    assert await week(services, place.desk) == ["0 08:30-13:00", "0 13:00-15:00"]
    for opens, closes, said in (("10", "14", "overlap"), ("10", "9", "closing time"), ("x", "9", "do not understand")):
        response = await place.here.post(found[1], opens=opens, closes=closes)
        assert said in response.text
        assert f'name="closes" type="time" value="{closes}"' in response.text
    assert await week(services, place.desk) == ["0 08:30-13:00", "0 13:00-15:00"]
    assert (await place.here.post(f"{place.path}/periods/2147483647", opens="9", closes="10")).status_code == 404


async def test_a_break_is_cut_out_of_the_hours_of_several_days(place: Place, services: Services) -> None:
    await place.add("09:00", "17:00", 0, 1)
    await place.add("12:00", "13:00", 2)
    form = {"begins": "12:00", "ends": "13:30", "weekday": ["0", "1", "2", "3"]}
    response = await place.here.http.post(f"{place.path}/breaks", data=form, headers=FORM)
    assert response.status_code == 303
    expected = [f"{day} {half}" for day in (0, 1) for half in ("09:00-12:00", "13:30-17:00")]
    assert await week(services, place.desk) == expected, "what is all break is gone"
    assert await events(services, place.desk) == ["desk.hours_changed"] * 3


@pytest.mark.parametrize(
    "begins, ends, weekday, said",
    [
        ("12:00", "13:00", "1", "not open then"),
        ("08:00", "09:00", "0", "not open then"),
        ("13:00", "12:00", "0", "closing time must come after"),
        ("noon", "13:00", "0", "do not understand one of these times"),
        ("12:00", "13:00", "", "Choose at least one day"),
        ("12:00", "13:00", "9", "missing or wrong"),
    ],
)
async def test_a_break_that_cannot_be_is_explained_and_stays_typed(
    place: Place, services: Services, begins: str, ends: str, weekday: str, said: str
) -> None:
    await place.add("09:00", "17:00", 0)
    form = {"begins": begins, "ends": ends} | ({"weekday": weekday} if weekday else {})
    response = await place.here.post(f"{place.path}/breaks", **form)
    assert response.status_code == 422
    assert said in response.text
    assert f'name="begins" type="time" value="{begins}"' in response.text
    assert await week(services, place.desk) == ["0 09:00-17:00"]


# --- days that differ ---


async def test_a_closed_week_is_one_line_and_goes_together(place: Place, services: Services) -> None:
    last = TOMORROW + timedelta(days=6)
    form = {"first": TOMORROW.isoformat(), "last": last.isoformat(), "note": "Ferie <b>\x00"}
    assert (await place.here.post(f"{place.path}/days", **form)).status_code == 303
    assert len(await days(services, place.desk)) == 7
    page = await place.page()
    assert page.count("Ferie &lt;b&gt;") == 1
    assert f'name="last" value="{last.isoformat()}"' in page
    span = {"first": TOMORROW.isoformat(), "last": last.isoformat()}
    for _ in range(2):
        assert (await place.here.post(f"{place.path}/days/remove", **span)).status_code == 303
    assert await days(services, place.desk) == []
    assert await events(services, place.desk) == ["desk.days_changed"] * 2


async def test_a_day_may_have_hours_of_its_own(place: Place, services: Services) -> None:
    form = {"first": TOMORROW.isoformat(), "opens": "10:00", "closes": "11:00"}
    assert (await place.here.post(f"{place.path}/days", **form)).status_code == 303
    page = await place.page()
    assert "10:00 – 11:00" in page
    assert "Somebody will read you by" in page


async def test_a_day_may_be_open_in_the_morning_and_again_in_the_afternoon(place: Place, services: Services) -> None:
    form = {"first": TOMORROW.isoformat(), "opens": "15:00", "closes": "17:30", "note": "Festa"}
    again = {"opens_again": "09:00", "closes_again": "12:00"}
    assert (await place.here.post(f"{place.path}/days", **form, **again)).status_code == 303
    page = re.sub(r"<[^>]+>", "", await place.page())
    assert "09:00 – 12:00, 15:00 – 17:30" in page
    assert page.count("Festa") == 1
    async with services.sessions.begin() as session:
        hours = (await load_hours(session, [place.desk]))[place.desk]
    assert hours.spans(TOMORROW) == [(time(9), time(12)), (time(15), time(17, 30))]
    evening = {"first": TOMORROW.isoformat(), "opens": "20:00", "closes": "21:00"}
    assert (await place.here.post(f"{place.path}/days", **evening)).status_code == 303
    assert "15:00 – 17:30, 20:00 – 21:00" in re.sub(r"<[^>]+>", "", await place.page())
    for taken in ({"opens": "11:00", "closes": "12:30"}, {}):
        refused = await place.here.post(f"{place.path}/days", first=TOMORROW.isoformat(), **taken)
        assert refused.status_code == 409
    span = {"first": TOMORROW.isoformat(), "last": TOMORROW.isoformat()}
    await place.here.post(f"{place.path}/days/remove", **span)
    assert await days(services, place.desk) == []


@pytest.mark.parametrize(
    "form, said",
    [
        ({"first": "{0}", "opens": "9", "closes": "12", "opens_again": "11", "closes_again": "13"}, "overlap"),
        ({"first": "{0}", "opens": "9", "closes": "12", "opens_again": "13"}, "do not understand one of these times"),
        ({"first": "yesterday"}, "do not understand this date"),
        ({"first": ""}, "do not understand this date"),
        ({"first": "2020-01-01"}, "This day is over"),
        ({"first": "2999-01-01"}, "far away"),
        ({"first": "{0}", "last": "2020-01-01"}, "last day must come after"),
        ({"first": "{0}", "last": "{93}"}, "at most 92 days"),
        ({"first": "{0}", "opens": "10:00"}, "do not understand one of these times"),
        ({"first": "{0}", "opens": "11:00", "closes": "10:00"}, "closing time must come after"),
        ({"first": "{0}", "note": "a" * 201}, "at most 200 letters"),
        ({"first": "{3}", "last": "{6}"}, "already in the list"),
    ],
)
async def test_days_that_cannot_be_are_explained_and_stay_typed(
    place: Place, services: Services, form: dict[str, str], said: str
) -> None:
    taken = TOMORROW + timedelta(days=5)
    await place.here.post(f"{place.path}/days", first=taken.isoformat())
    filled = {
        name: re.sub(r"\{(\d+)\}", lambda number: (TOMORROW + timedelta(days=int(number[1]))).isoformat(), value)
        for name, value in form.items()
    }
    response = await place.here.post(f"{place.path}/days", **filled)
    assert response.status_code in (409, 422)
    assert said in response.text
    for name, value in filled.items():
        assert re.search(f'name="{name}" type="[a-z]+" value="{value}"', response.text), name
    assert await days(services, place.desk) == [taken]


# --- holidays, zone, minutes ---


async def test_holidays_are_kept_or_not_and_listed_for_a_year(place: Place) -> None:
    assert "Christmas Day" in await place.page()
    form = {"zone": "Africa/Dakar", "country": "", "minutes": "20"}
    assert (await place.here.post(f"{place.path}/settings", **form)).status_code == 303
    page = await place.page()
    assert "Christmas Day" not in page
    assert '<option value="Africa/Dakar" selected>' in page
    assert 'value="20"' in page


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"minutes": "0"}, "between 1 and 240"),
        ({"minutes": "241"}, "between 1 and 240"),
        ({"minutes": "many"}, "between 1 and 240"),
        ({"zone": "Europe/Atlantis"}, "missing or wrong"),
        ({"country": "XX"}, "missing or wrong"),
    ],
)
async def test_settings_that_cannot_be_change_nothing(
    place: Place, services: Services, changed: dict[str, str], said: str
) -> None:
    form = {"zone": "Europe/Paris", "country": "FR", "minutes": "20"} | changed
    response = await place.here.post(f"{place.path}/settings", **form)
    assert response.status_code == 422
    assert said in response.text
    assert f'value="{form["minutes"]}"' in response.text
    assert await events(services, place.desk) == []


# --- examples ---


async def test_example_hours_say_so_until_somebody_confirms_them(place: Place, services: Services) -> None:
    await place.add("09:30", "12:30", 1)
    await set_demo(services, place.desk)
    assert "These hours are an example" in await place.page()
    form = {"zone": "Europe/Rome", "country": "IT", "minutes": "20"}
    await place.here.post(f"{place.path}/settings", **form)
    assert await is_demo(services, place.desk), "minutes say nothing about the hours"
    await place.here.post(f"{place.path}/confirm")
    assert "These hours are an example" not in await place.page()
    assert (await events(services, place.desk))[-1] == "desk.hours_confirmed"


async def test_the_first_change_makes_hours_real(place: Place, services: Services) -> None:
    await set_demo(services, place.desk)
    assert await place.add("09:00", "08:00", 1) == 422
    assert await is_demo(services, place.desk)
    assert await place.add("09:00", "12:00", 1) == 303
    assert not await is_demo(services, place.desk)


# --- who ---


async def test_an_operator_reads_and_changes_nothing(place: Place, services: Services, browser: Browsers) -> None:
    await place.add("09:00", "12:00", 1)
    await set_demo(services, place.desk)
    operator = await browser("operator", organisation=place.organisation, desk=place.desk)
    page = (await operator.get(place.path)).text
    assert "Tuesday" in page
    assert "These hours are an example" in page
    assert re.findall(r'<form[^>]*action="([^"]*)"', page) == ["/sign-out"]
    for what in ("periods", "periods/1", "breaks", "periods/1/remove", "days", "days/remove", "settings", "confirm"):
        response = await operator.post(f"{place.path}/{what}", opens="14:00", closes="15:00", weekday="1")
        assert response.status_code == 403, what
    assert len(await week(services, place.desk)) == 1


async def test_nobody_else_knows_of_it(place: Place, services: Services, browser: Browsers) -> None:
    sister = await make_desk(services, place.organisation)
    elsewhere = await make_organisation(services)
    others = [
        await browser("desk_manager", organisation=place.organisation, desk=sister),
        await browser("desk_manager", organisation=elsewhere),
        await browser("administrator", organisation=place.organisation),
        await browser("administrator"),
        await browser("editor", organisation=place.organisation),
    ]
    for other in others:
        assert (await other.get(place.path)).status_code == 404
        for what in ("periods", "days", "settings", "confirm"):
            assert (await other.post(f"{place.path}/{what}")).status_code == 404, what
    everywhere = await browser("desk_manager", organisation=place.organisation)
    assert (await everywhere.post(f"{place.path}/confirm")).status_code == 303


async def test_a_period_of_another_desk_stays(place: Place, services: Services) -> None:
    sister = await make_desk(services, place.organisation)
    row = OpeningPeriod(desk_id=sister, weekday=0, opens=time(9), closes=time(10))
    async with services.sessions.begin() as session:
        session.add(row)
    await place.here.post(f"{place.path}/periods/{row.id}/remove")
    assert len(await week(services, sister)) == 1


# --- a machine nobody has set up yet ---


@pytest.fixture
def empty(postgres: EmbeddedServer, tmp_path: Path) -> Iterator[Settings]:
    """A database of its own, just migrated."""
    name = f"empty_{uuid4().hex}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = re.sub(r"/elp(?=$|\?)", f"/{name}", postgres.url)
    assert name in url
    migrate(url)
    yield Settings(data_dir=tmp_path, database_url=url, secret_keys=SECRET_KEYS)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def rows(settings: Settings, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(str(settings.database_url)) as connection:
        return connection.execute(query).fetchall()


DESKS = "SELECT o.name, d.name, d.entry_id, d.demo_hours FROM desks d JOIN organisations o ON o.id = d.organisation_id"
FIRST = ("Living Better", "Sportello ELP", "sportello-elp")


def test_the_first_seed_makes_one_desk_whose_hours_nobody_knows(empty: Settings) -> None:
    assert "desk 'Sportello ELP' made" in seed_content(empty)
    assert rows(empty, DESKS) == [(*FIRST, False)]
    assert rows(empty, "SELECT * FROM opening_periods") == []
    assert not [line for line in announcement(empty) if "Example" in line]
    assert "made" not in seed_content(empty)
    assert len(rows(empty, DESKS)) == 1
    seed_content(empty, demo="new")
    assert rows(empty, "SELECT * FROM opening_periods") == [], "it is not new"


def test_examples_are_set_where_nothing_is_known_and_never_over_real_hours(empty: Settings) -> None:
    seed_content(empty, demo="new")
    assert rows(empty, DESKS) == [(*FIRST, True)]
    week = "SELECT weekday, opens::text, closes::text FROM opening_periods ORDER BY weekday, opens"
    halves = (("09:30:00", "12:30:00"), ("14:00:00", "17:00:00"))
    assert rows(empty, week) == [(weekday, *half) for weekday in (1, 3) for half in halves]
    assert [line for line in announcement(empty) if "Example opening hours" in line and "Sportello ELP" in line]

    with psycopg.connect(str(empty.database_url)) as connection:
        connection.execute("UPDATE desks SET demo_hours = false")
        connection.execute("DELETE FROM opening_periods WHERE weekday = 3 OR opens > '12:00'")
        connection.execute("INSERT INTO desks (organisation_id, name) SELECT id, 'New' FROM organisations")
        connection.execute("INSERT INTO desks (organisation_id, name) SELECT id, 'Away' FROM organisations")
        connection.execute(
            "INSERT INTO desk_days (desk_id, day) SELECT id, '2030-01-01' FROM desks WHERE name = 'Away'"
        )
    assert "example hours at 1 desks" in seed_content(empty, demo="all")
    kept = "SELECT d.name, d.demo_hours, count(p.id) FROM desks d LEFT JOIN opening_periods p ON p.desk_id = d.id"
    assert rows(empty, f"{kept} GROUP BY d.id ORDER BY d.name") == [
        ("Away", False, 0),
        ("New", True, 4),
        ("Sportello ELP", False, 1),
    ]
    assert "example" not in seed_content(empty, demo="all")


@pytest.mark.parametrize("demo", ["new", "all"])
def test_example_hours_of_before_get_something_to_book_and_real_ones_do_not(
    empty: Settings, demo: Literal["new", "all"]
) -> None:
    seed_content(empty, demo="new")
    with psycopg.connect(str(empty.database_url)) as connection:
        connection.execute("INSERT INTO desks (organisation_id, name) SELECT id, 'Real' FROM organisations")
        connection.execute(
            "INSERT INTO opening_periods (desk_id, weekday, opens, closes)"
            " SELECT id, 1, '09:00', '12:00' FROM desks WHERE name = 'Real'"
        )
        connection.execute("DELETE FROM appointment_kinds")
        connection.execute("DELETE FROM resources")
    for _ in range(2):
        seed_content(empty, demo=demo)
        kinds = "SELECT d.name, k.demo FROM appointment_kinds k JOIN desks d ON d.id = k.desk_id"
        assert rows(empty, kinds) == [("Sportello ELP", True)] * 2
        assert rows(empty, "SELECT kind, demo FROM resources ORDER BY id") == [("staff", True), ("interpreter", True)]


def test_a_database_with_organisations_gets_no_other(empty: Settings) -> None:
    with psycopg.connect(str(empty.database_url)) as connection:
        connection.execute("INSERT INTO organisations (name) VALUES ('Comune')")
    seed_content(empty, demo="new")
    assert rows(empty, "SELECT name FROM organisations") == [("Comune",)]
    assert rows(empty, DESKS) == []
