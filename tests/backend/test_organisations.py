"""Organisations and desks: made, renamed, described by an entry, deleted; by whom, and when two do it at once."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from backend.models import AuditEvent, Conversation, Desk, Membership, Organisation
from backend.services import Services
from backend.web.admin_places import desk_entries
from tests.staff import FORM, give_role, make_account, make_desk, make_organisation, make_staff


@pytest.fixture
async def chief(app: FastAPI, services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """Administers the whole service."""
    login = await make_staff(services, "administrator")
    async with _http(app, login.cookies) as http:
        yield http


def _http(app: FastAPI, cookies: dict[str, str]) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://elp.test", cookies=cookies, headers=FORM)


async def actions(services: Services, subject: str) -> list[tuple[str, int | None]]:
    async with services.sessions.begin() as session:
        query = select(AuditEvent.action, AuditEvent.organisation_id).where(AuditEvent.subject == subject)
        return [tuple(row) for row in await session.execute(query.order_by(AuditEvent.id))]


async def free_entry(services: Services) -> str:
    async with services.sessions.begin() as session:
        used = set((await session.execute(select(Desk.entry_id))).scalars())
    return sorted(desk_entries(services.shelf.library) - used)[0]


async def test_an_organisation_is_made_renamed_and_deleted(chief: httpx.AsyncClient, services: Services) -> None:
    name = f"Comune <b>{uuid4()}"
    assert (await chief.post("/admin/organisations", data={"name": f"  {name}\x00 "})).status_code == 303
    async with services.sessions.begin() as session:
        made = (await session.execute(select(Organisation.id).where(Organisation.name == name))).scalar_one()
    page = (await chief.get("/admin/organisations?done=saved")).text
    assert name.replace("<b>", "&lt;b&gt;") in page
    assert "Saved." in page
    one = f"/admin/organisations/{made}"
    assert (await chief.post(one, data={"name": f"New {name}"})).status_code == 303
    assert (await chief.post(f"{one}/delete")).headers["location"] == "/admin/organisations?done=deleted"
    assert (await chief.post(f"{one}/delete")).status_code == 404
    done = ["organisation.added", "organisation.renamed", "organisation.deleted"]
    assert await actions(services, f"organisation:{made}") == [(action, made) for action in done]


@pytest.mark.parametrize("name, status", [("", 422), (" \t\x00", 422), ("a" * 121, 422), ("a" * 5000, 422)])
async def test_a_name_that_cannot_be_is_refused(chief: httpx.AsyncClient, name: str, status: int) -> None:
    assert (await chief.post("/admin/organisations", data={"name": name})).status_code == status


async def test_the_same_name_twice_is_said_and_stays_typed(chief: httpx.AsyncClient, services: Services) -> None:
    name = f"Twice {uuid4()}"
    answers = await asyncio.gather(*(chief.post("/admin/organisations", data={"name": name}) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    refused = next(answer.text for answer in answers if answer.status_code == 409)
    assert "already used" in refused
    assert refused.count(f'value="{name}"') == 2, "of the new one, and of the one that exists"
    other = await make_organisation(services)
    assert (await chief.post(f"/admin/organisations/{other}", data={"name": name})).status_code == 409


async def test_an_organisation_with_desks_stays(chief: httpx.AsyncClient, services: Services) -> None:
    organisation = await make_organisation(services)
    desk = await make_desk(services, organisation)
    refused = await chief.post(f"/admin/organisations/{organisation}/delete")
    assert refused.status_code == 409
    assert "still has desks" in refused.text
    assert (await chief.post(f"/admin/desks/{desk}/delete")).status_code == 303
    assert (await chief.post(f"/admin/organisations/{organisation}/delete")).status_code == 303


async def test_a_desk_made_while_its_organisation_is_deleted_is_never_an_orphan(
    chief: httpx.AsyncClient, services: Services
) -> None:
    organisation = await make_organisation(services)
    one = f"/admin/organisations/{organisation}"
    answers = await asyncio.gather(chief.post(f"{one}/delete"), chief.post(f"{one}/desks", data={"name": "Late"}))
    assert sorted(answer.status_code for answer in answers) in ([303, 404], [303, 409])


async def test_an_administrator_of_one_organisation_stays_in_it(app: FastAPI, services: Services) -> None:
    mine, other = await make_organisation(services), await make_organisation(services, f"Hidden {uuid4()}")
    desk = await make_desk(services, other)
    login = await make_staff(services, "administrator", organisation=mine)
    async with _http(app, login.cookies) as here:
        page = (await here.get("/admin/organisations")).text
        assert "Hidden" not in page
        assert 'action="/admin/organisations"' not in page
        assert (await here.post("/admin/organisations", data={"name": "Mine too"})).status_code == 403
        assert (await here.post(f"/admin/organisations/{mine}/delete")).status_code == 403
        for path in (f"organisations/{other}", f"organisations/{other}/delete", f"organisations/{other}/desks"):
            assert (await here.post(f"/admin/{path}", data={"name": "X"})).status_code == 404, path
        assert (await here.get(f"/admin/desks/{desk}")).status_code == 404
        for path in (f"desks/{desk}", f"desks/{desk}/delete"):
            assert (await here.post(f"/admin/{path}", data={"name": "X"})).status_code == 404, path
        assert (await here.post(f"/admin/organisations/{mine}", data={"name": f"Mine {mine}"})).status_code == 303
        assert (await here.post(f"/admin/organisations/{mine}/desks", data={"name": "A"})).status_code == 303


async def test_a_desk_is_described_by_an_entry_that_no_other_has(chief: httpx.AsyncClient, services: Services) -> None:
    organisation, entry = await make_organisation(services), await free_entry(services)
    desks = f"/admin/organisations/{organisation}/desks"
    assert f'value="{entry}"' in (await chief.get("/admin/organisations")).text
    assert (await chief.post(desks, data={"name": "First", "entry": entry})).status_code == 303
    taken = await chief.post(desks, data={"name": "Second", "entry": entry})
    assert taken.status_code == 409
    assert "already describes another desk" in taken.text
    assert 'value="Second"' in taken.text
    same_name = await chief.post(desks, data={"name": "First", "entry": ""})
    assert same_name.status_code == 409
    assert "already used" in same_name.text
    assert (await chief.post(desks, data={"name": "Third", "entry": "no-such-entry"})).status_code == 422
    assert (await chief.post(desks, data={"name": "Fourth"})).status_code == 303


async def test_a_desk_is_changed_and_shows_who_works_there(chief: httpx.AsyncClient, services: Services) -> None:
    organisation, entry = await make_organisation(services), await free_entry(services)
    desk, sister = await make_desk(services, organisation), await make_desk(services, organisation, "Sister")
    for name, role, at in (("At One", "operator", desk), ("At All", "desk_manager", None), ("Aside", "editor", None)):
        person = await make_account(services, name)
        await give_role(services, person, role, organisation=organisation, desk=at)
    await give_role(
        services, await make_account(services, "At Sister"), "operator", organisation=organisation, desk=sister
    )
    one = f"/admin/desks/{desk}"
    changed = await chief.post(one, data={"name": "مكتب", "entry": entry})
    assert changed.headers["location"] == f"{one}?done=saved"
    page = (await chief.get(one)).text
    assert "مكتب" in page
    assert f'value="{entry}" selected' in page
    assert "At One" in page
    assert "At All" in page
    assert "at all desks" in page
    assert "Aside" not in page
    assert "At Sister" not in page
    clash = await chief.post(one, data={"name": "Sister", "entry": entry})
    assert clash.status_code == 409
    assert 'value="Sister"' in clash.text
    assert (await chief.post(one, data={"name": "X", "entry": "no-such-entry"})).status_code == 422
    assert await actions(services, f"desk:{desk}") == [("desk.changed", organisation)]


async def test_a_deleted_desk_leaves_its_conversations_and_takes_its_roles(
    chief: httpx.AsyncClient, services: Services
) -> None:
    organisation = await make_organisation(services)
    desk = await make_desk(services, organisation)
    person = await make_account(services)
    await give_role(services, person, "operator", organisation=organisation, desk=desk)
    await give_role(services, person, "editor", organisation=organisation)
    conversation = uuid4()
    async with services.sessions.begin() as session:
        values = {"id": conversation, "channel": "web", "language": "it", "token_hash": conversation.bytes}
        session.add(Conversation(**values, desk_id=desk, dialogue={}))
    assert (await chief.post(f"/admin/desks/{desk}/delete")).status_code == 303
    async with services.sessions.begin() as session:
        assert (await session.get_one(Conversation, conversation)).desk_id is None
        roles = await session.execute(select(Membership.role).where(Membership.account_id == person))
        assert list(roles.scalars()) == ["editor"]
    assert await actions(services, f"desk:{desk}") == [("desk.deleted", organisation)]
    assert (await chief.get(f"/admin/desks/{desk}")).status_code == 404


@pytest.mark.parametrize("number", ["0", "-1", "x", "2147483648", "9" * 40])
async def test_numbers_that_no_row_has_are_no_error_of_ours(chief: httpx.AsyncClient, number: str) -> None:
    assert (await chief.get(f"/admin/desks/{number}")).status_code in (404, 422)
    assert (await chief.post(f"/admin/organisations/{number}", data={"name": "X"})).status_code in (404, 422)
