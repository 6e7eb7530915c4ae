"""Roles: given and taken away through HTTP, and the last administrator, who stays."""

import asyncio
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, func, select, text

from backend.models import Account, Membership
from backend.services import Services
from tests.staff import (
    Browser,
    Browsers,
    events_about,
    give_role,
    make_account,
    make_desk,
    make_organisation,
    make_staff,
    role_id,
)


@pytest.fixture
async def nobody_else(services: Services) -> None:
    """No administrator over the whole service is left from other tests."""
    async with services.sessions.begin() as session:
        await session.execute(
            delete(Membership).where(Membership.role == "administrator", Membership.organisation_id.is_(None))
        )


async def roles_of(services: Services, account_id: UUID) -> set[tuple[str, int | None, int | None]]:
    async with services.sessions.begin() as session:
        query = select(Membership.role, Membership.organisation_id, Membership.desk_id)
        return {tuple(row) for row in await session.execute(query.where(Membership.account_id == account_id))}


async def test_a_role_is_given_once_and_taken_away_and_counts_from_the_next_request(
    open_browser: Browsers, services: Services
) -> None:
    organisation = await make_organisation(services)
    desk = await make_desk(services, organisation)
    here = await open_browser("administrator", organisation=organisation)
    other = await open_browser("operator", organisation=organisation)
    one = f"/admin/people/{other.login.account_id}"
    assert (await other.get("/admin/people")).status_code == 403
    assert (await here.post(f"{one}/roles", role="auditor", place=f"organisation:{organisation}")).status_code == 303
    assert (await other.get("/admin/people")).status_code == 200, "without signing in again"

    again = await here.post(f"{one}/roles", role="auditor", place=f"organisation:{organisation}")
    assert again.status_code == 409
    assert "already has this role" in again.text
    at_desk = await here.post(f"{one}/roles", role="editor", place=f"desk:{desk}")
    assert at_desk.status_code == 422
    assert f'value="desk:{desk}" selected' in at_desk.text

    membership = await role_id(services, other.login.account_id, "auditor")
    assert (await here.post(f"{one}/roles/{membership}/remove")).status_code == 303
    assert (await other.get("/admin/people")).status_code == 403
    assert (await here.post(f"{one}/roles/{membership}/remove")).status_code == 404
    events = await events_about(services, other.login.account_id)
    assert [event[0] for event in events] == ["role.added", "role.removed"]
    assert {event[2] for event in events} == {organisation}


async def test_nobody_gives_a_role_where_they_do_not_administer(open_browser: Browsers, services: Services) -> None:
    mine, other = await make_organisation(services), await make_organisation(services)
    desk = await make_desk(services, other)
    here = await open_browser("administrator", organisation=mine)
    person = await make_staff(services, "operator", organisation=mine)
    one = f"/admin/people/{person.account_id}/roles"
    assert (await here.post(one, role="operator", place=f"organisation:{other}")).status_code == 404
    assert (await here.post(one, role="operator", place=f"desk:{desk}")).status_code == 404
    assert (await here.post(one, role="administrator", place="service")).status_code == 403
    assert (await here.post(one, role="auditor", place="service")).status_code == 403
    assert await roles_of(services, person.account_id) == {("operator", mine, None)}
    page = (await here.get(f"/admin/people/{person.account_id}")).text
    assert 'value="service"' not in page
    assert f'value="organisation:{other}"' not in page


async def test_an_auditor_elsewhere_administers_only_at_home(open_browser: Browsers, services: Services) -> None:
    mine, other = await make_organisation(services), await make_organisation(services)
    here = await open_browser("administrator", organisation=mine)
    await give_role(services, here.login.account_id, "auditor", organisation=other)
    person = await make_staff(services, "operator", organisation=other)
    one = f"/admin/people/{person.account_id}"
    assert (await here.get(one)).status_code == 200
    assert (await here.post(f"{one}/disable")).status_code == 403
    assert (await here.post(f"{one}/roles", role="editor", place=f"organisation:{other}")).status_code == 403
    membership = await role_id(services, person.account_id, "operator")
    assert (await here.post(f"{one}/roles/{membership}/remove")).status_code == 403


async def test_who_belongs_elsewhere_too_can_be_given_roles_here_but_not_be_taken_over(
    open_browser: Browsers, services: Services
) -> None:
    mine, other = await make_organisation(services), await make_organisation(services, f"Other {uuid4()}")
    here = await open_browser("administrator", organisation=mine)
    person = await make_staff(services, "operator", organisation=mine)
    await give_role(services, person.account_id, "administrator", organisation=other)
    one = f"/admin/people/{person.account_id}"
    page = (await here.get(one)).text
    assert "roles in other organisations" in page
    assert "Other " not in page
    for what in ("link", "disable", "enable", "reset-second-factor", "delete"):
        assert (await here.post(f"{one}/{what}")).status_code == 403, what
    assert f"{one}/link" not in page
    assert (await here.post(f"{one}/roles", role="editor", place=f"organisation:{mine}")).status_code == 303


async def test_an_administrator_of_the_whole_service_gives_roles_everywhere(
    open_browser: Browsers, services: Services
) -> None:
    here, person = await open_browser("administrator"), await make_account(services)
    one = f"/admin/people/{person}/roles"
    assert (await here.post(one, role="auditor", place="service")).status_code == 303
    operator = await here.post(one, role="operator", place="service")
    assert operator.status_code == 422
    assert "does not exist there" in operator.text
    assert await roles_of(services, person) == {("auditor", None, None)}


# --- the last administrator ---


@pytest.mark.usefixtures("nobody_else")
async def test_the_last_administrator_cannot_be_removed_disabled_or_deleted(
    open_browser: Browsers, services: Services
) -> None:
    here = await open_browser("administrator")
    disabled = await make_staff(services, "administrator")
    assert (await here.post(f"/admin/people/{disabled.account_id}/disable")).status_code == 303
    one = f"/admin/people/{here.login.account_id}"
    membership = await role_id(services, here.login.account_id, "administrator")
    for path in (f"{one}/roles/{membership}/remove", f"{one}/disable", f"{one}/delete"):
        refused = await here.post(path)
        assert refused.status_code == 409, path
        assert "last person who administers" in refused.text
    assert (await here.get("/admin/people")).status_code == 200, "still signed in"
    assert await roles_of(services, here.login.account_id) == {("administrator", None, None)}
    assert await events_about(services, here.login.account_id) == []


@pytest.mark.usefixtures("nobody_else")
@pytest.mark.parametrize("ways", [("remove", "remove"), ("disable", "delete"), ("remove", "disable")])
async def test_two_administrators_who_remove_each_other_at_once_leave_one(
    open_browser: Browsers, services: Services, ways: tuple[str, str]
) -> None:
    pair = [await open_browser("administrator"), await open_browser("administrator")]

    async def get_rid_of(asking: Browser, other: Browser, way: str) -> int:
        one = f"/admin/people/{other.login.account_id}"
        if way == "remove":
            way = f"roles/{await role_id(services, other.login.account_id, 'administrator')}/remove"
        return (await asking.post(f"{one}/{way}")).status_code

    answers = await asyncio.gather(get_rid_of(*pair, ways[0]), get_rid_of(*reversed(pair), ways[1]))
    assert answers.count(303) == 1, answers
    assert set(answers) <= {303, 401, 403, 404, 409}
    async with services.sessions.begin() as session:
        query = select(func.count()).select_from(Membership).join(Account, Account.id == Membership.account_id)
        query = query.where(Membership.role == "administrator", Membership.organisation_id.is_(None))
        assert (await session.execute(query.where(Account.disabled_at.is_(None)))).scalar_one() == 1


@pytest.mark.usefixtures("nobody_else")
async def test_who_was_removed_while_waiting_changes_nothing_any_more(
    open_browser: Browsers, services: Services
) -> None:
    first, second, third = [await open_browser("administrator") for _ in range(3)]
    target = await make_account(services)
    async with services.sessions.begin() as session:
        await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": 0x454C5052})
        waiting = asyncio.create_task(
            second.post(f"/admin/people/{target}/roles", role="administrator", place="service")
        )
        await asyncio.sleep(0.3)
        assert not waiting.done(), "changes wait for each other"
        await session.execute(delete(Membership).where(Membership.account_id == second.login.account_id))
    assert (await waiting).status_code == 403
    assert await roles_of(services, target) == set()
    assert (await first.get("/admin/people")).status_code == (await third.get("/admin/people")).status_code == 200


async def test_who_takes_away_the_last_role_is_led_to_the_list(open_browser: Browsers, services: Services) -> None:
    organisation = await make_organisation(services)
    here = await open_browser("administrator", organisation=organisation)
    person = await make_staff(services, "operator", organisation=organisation)
    membership = await role_id(services, person.account_id, "operator")
    done = await here.post(f"/admin/people/{person.account_id}/roles/{membership}/remove")
    assert done.headers["location"] == "/admin/people?done=saved"
