"""What a desk says often: kept in several languages with the same fields, filled in, by those who answer there."""

import asyncio
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select

from backend import saved_replies
from backend.models import AuditEvent, SavedReply
from backend.saved_replies import fields_of, fill
from backend.services import Services
from tests.staff import Browser, Browsers, make_desk, make_organisation

HOSTILE = "<script>alert(1)</script>&\"'"


class Place:
    def __init__(self, desk: int, organisation: int, here: Browser) -> None:
        self.desk, self.organisation, self.here = desk, organisation, here
        self.path = f"/console/desks/{desk}/replies"


@pytest.fixture
async def place(services: Services, open_browser: Browsers) -> Place:
    organisation = await make_organisation(services)
    desk = await make_desk(services, organisation)
    return Place(desk, organisation, await open_browser("operator", organisation=organisation, desk=desk))


async def replies(services: Services, desk: int) -> list[tuple[str, dict[str, str]]]:
    async with services.sessions.begin() as session:
        query = select(SavedReply.name, SavedReply.texts).where(SavedReply.desk_id == desk).order_by(SavedReply.id)
        return [tuple(row) for row in await session.execute(query)]


async def newest(services: Services, desk: int) -> int:
    async with services.sessions.begin() as session:
        query = select(SavedReply.id).where(SavedReply.desk_id == desk).order_by(SavedReply.id.desc()).limit(1)
        return (await session.execute(query)).scalar_one()


async def events(services: Services, desk: int) -> list[str]:
    async with services.sessions.begin() as session:
        query = select(AuditEvent.action).where(AuditEvent.subject == f"desk:{desk}").order_by(AuditEvent.id)
        return list((await session.execute(query)).scalars())


# --- fields ---


@pytest.mark.parametrize(
    "text, fields",
    [
        ("Vieni {giorno} alle {ora}, {giorno}!", ("giorno", "ora")),
        ("Niente", ()),
        ("{} { giorno } {a b} {:)} {", ()),
        ("{{nome}}", ("nome",)),
        ("{الاسم} {নাম_২}", ("الاسم", "নাম_২")),
        ("{" + "a" * 41 + "}", ()),
    ],
)
def test_fields_are_words_in_braces(text: str, fields: tuple[str, ...]) -> None:
    assert fields_of(text) == fields


def test_filling_leaves_what_is_not_known_and_does_not_look_at_values_again() -> None:
    assert fill("{a} {b} {a}", {"a": "{b}", "c": "x"}) == "{b} {b} {b}"
    assert fill("{a}", {"a": "{0.__class__} \\1 {{"}) == "{0.__class__} \\1 {{"


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_any_text_can_be_filled(text: str, values: dict[str, str]) -> None:
    filled = fill(text, values)
    if not set(fields_of(text)) & values.keys():
        assert filled == text


# --- the page ---


async def test_a_reply_is_added_changed_and_deleted(place: Place, services: Services) -> None:
    assert "There are no saved replies yet" in (await place.here.get(place.path)).text
    form = {
        "name": f" {HOSTILE} ",
        "text_it": "Vieni {giorno}.\r\nCiao\x00",
        "text_ar": "تعال {giorno}",
        "text_fr": " ",
    }
    assert (await place.here.post(place.path, **form)).headers["location"] == f"{place.path}?done=saved"
    expected = {"it": "Vieni {giorno}.\nCiao", "ar": "تعال {giorno}"}
    assert await replies(services, place.desk) == [(HOSTILE, expected)]
    page = (await place.here.get(place.path)).text
    assert "<script>alert" not in page
    assert "{giorno}</bdi>" in page
    one = f"{place.path}/{await newest(services, place.desk)}"
    assert one in page
    changing = (await place.here.get(one)).text
    assert 'name="text_ar"' in changing
    assert 'lang="ar" dir="rtl"' in changing
    assert "تعال {giorno}</textarea>" in changing
    assert (await place.here.post(one, name="B", text_it="Nuovo")).status_code == 303
    assert await replies(services, place.desk) == [("B", {"it": "Nuovo"})]
    for _ in range(2):
        assert (await place.here.post(f"{one}/delete")).headers["location"] == f"{place.path}?done=deleted"
    assert await replies(services, place.desk) == []
    assert (await place.here.get(one)).status_code == 404
    assert (await place.here.post(one, name="B", text_it="Nuovo")).status_code == 404
    assert await events(services, place.desk) == [f"desk.reply_{done}" for done in ("added", "changed", "deleted")]


@pytest.mark.parametrize(
    "form, said",
    [
        ({"name": "", "text_it": "Ciao"}, "name"),
        ({"name": "a" * 121, "text_it": "Ciao"}, "at most 120"),
        ({"name": "X", "text_it": " \n\x00"}, "The Italian text is missing"),
        ({"name": "X", "text_en": "Hello"}, "The Italian text is missing"),
        ({"name": "X", "text_it": "a" * 2001}, "(Italiano): at most 2,000"),
        ({"name": "X", "text_it": "Ciao {nome}", "text_en": "Hello {name}"}, "(English)"),
        ({"name": "X", "text_it": "Ciao {nome}", "text_fr": "Salut"}, "(Français)"),
        ({"name": "X", "text_it": "Ciao", "text_fr": "Salut {nom}"}, "(Français)"),
        ({"name": "Taken", "text_it": "Ciao"}, "already used"),
    ],
)
async def test_a_reply_that_cannot_be_is_explained_and_stays_typed(
    place: Place, services: Services, form: dict[str, str], said: str
) -> None:
    await place.here.post(place.path, name="Taken", text_it="Qui")
    response = await place.here.post(place.path, **form)
    assert response.status_code in (409, 422)
    assert said in response.text
    for key, value in form.items():
        if key != "name" and value.strip(" \n\x00"):
            assert f"{value}</textarea>" in response.text
    assert len(await replies(services, place.desk)) == 1
    one = f"{place.path}/{await newest(services, place.desk)}"
    if form["name"] != "Taken":
        again = await place.here.post(one, **form)
        assert again.status_code == response.status_code
        assert f'action="{one}"' in again.text
    assert await replies(services, place.desk) == [("Taken", {"it": "Qui"})]


async def test_fields_may_stand_in_another_order(place: Place, services: Services) -> None:
    form = {"name": "X", "text_it": "{ora} {giorno}", "text_en": "{giorno} {ora} {giorno}"}
    assert (await place.here.post(place.path, **form)).status_code == 303


async def test_a_desk_keeps_two_hundred_and_no_more_even_at_once(place: Place, services: Services) -> None:
    async with services.sessions.begin() as session:
        made = [{"desk_id": place.desk, "name": f"N{number}", "texts": {"it": "Ciao"}} for number in range(198)]
        await session.execute(insert(SavedReply), made)
    sent = (place.here.post(place.path, name=f"M{number}", text_it="Ciao") for number in range(5))
    assert sorted(response.status_code for response in await asyncio.gather(*sent)) == [303, 303, 409, 409, 409]
    assert len(await replies(services, place.desk)) == saved_replies.MOST_REPLIES
    one = f"{place.path}/{await newest(services, place.desk)}"
    assert (await place.here.post(one, name="Changed", text_it="Ciao")).status_code == 303, "changing needs no room"
    assert (await place.here.get(place.path)).status_code == 200


async def test_the_same_name_at_once_is_kept_once(place: Place, services: Services) -> None:
    sent = (place.here.post(place.path, name="Same", text_it="Ciao") for _ in range(4))
    assert sorted(response.status_code for response in await asyncio.gather(*sent)) == [303, 409, 409, 409]


async def test_strange_fields_of_a_form_are_passed_over(place: Place, services: Services) -> None:
    form = {"name": "X", "text_it": "Ciao", "text_xx": "?", "text_": "?", "desk_id": "1"}
    assert (await place.here.post(place.path, **form)).status_code == 303
    assert await replies(services, place.desk) == [("X", {"it": "Ciao"})]
    upload = await place.here.http.post(
        place.path, files={"name": ("a", b"x")}, headers={"origin": "http://elp.test", "sec-fetch-site": "same-origin"}
    )
    assert upload.status_code == 422


# --- who ---


async def test_only_those_at_the_desk_know_of_its_replies(
    place: Place, services: Services, open_browser: Browsers
) -> None:
    await place.here.post(place.path, name=f"Ours {uuid4()}", text_it="Ciao")
    one = f"{place.path}/{await newest(services, place.desk)}"
    sister = await make_desk(services, place.organisation)
    others = [
        await open_browser("operator", organisation=place.organisation, desk=sister),
        await open_browser("desk_manager", organisation=await make_organisation(services)),
        await open_browser("administrator", organisation=place.organisation),
        await open_browser("auditor"),
        await open_browser("editor", organisation=place.organisation),
    ]
    for other in others:
        for path in (place.path, one):
            assert (await other.get(path)).status_code == 404
            assert (await other.post(path, name="X", text_it="X")).status_code == 404
        assert (await other.post(f"{one}/delete")).status_code == 404
    manager = await open_browser("desk_manager", organisation=place.organisation)
    assert (await manager.post(one, name="By the manager", text_it="Ciao")).status_code == 303


async def test_a_reply_of_another_desk_is_not_reached_through_ones_own(
    place: Place, services: Services, open_browser: Browsers
) -> None:
    sister = await make_desk(services, place.organisation)
    async with services.sessions.begin() as session:
        row = SavedReply(desk_id=sister, name="Theirs", texts={"it": "Ciao"})
        session.add(row)
    one = f"{place.path}/{row.id}"
    assert (await place.here.get(one)).status_code == 404
    assert (await place.here.post(one, name="X", text_it="X")).status_code == 404
    await place.here.post(f"{one}/delete")
    assert await replies(services, sister) == [("Theirs", {"it": "Ciao"})]
