"""The first administrator: one, with the link that `elp run` prints."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from backend import accounts
from backend.accounts import EmailTaken, LinkUsed
from backend.models import Account, Membership
from backend.services import Services
from tests.accounts import PASSWORD, email_of, events, link_of, newcomer, opens, with_password
from tests.staff import give_role, make_account, make_organisation

pytestmark = pytest.mark.usefixtures("cheap_hashes")


async def test_the_first_administrator_may_do_everything_and_the_invitation_ends(
    services: Services, nobody_administers: None
) -> None:
    token = await accounts.first_administrator_link(services.sessions)
    assert token
    account_id = await newcomer(services, token)
    assert await opens(services, account_id, PASSWORD)
    async with services.sessions.begin() as session:
        held = (await session.execute(select(Membership).where(Membership.account_id == account_id))).scalar_one()
    assert (held.role, held.organisation_id) == ("administrator", None)
    assert await accounts.first_administrator_link(services.sessions) is None
    assert "account.first_administrator" in await events(services, account_id)


async def test_of_two_first_administrators_at_once_there_is_exactly_one(
    services: Services, nobody_administers: None
) -> None:
    token = await accounts.first_administrator_link(services.sessions)
    assert token
    done = await asyncio.gather(*(newcomer(services, token, n) for n in range(4)), return_exceptions=True)
    assert sum(isinstance(one, UUID) for one in done) == 1
    assert sum(isinstance(one, LinkUsed) for one in done) == 3
    async with services.sessions.begin() as session:
        query = select(func.count()).select_from(Membership)
        query = query.where(Membership.role == "administrator", Membership.organisation_id.is_(None))
        assert (await session.execute(query)).scalar_one() == 1


async def test_a_link_from_before_does_not_make_a_second_administrator(
    services: Services, nobody_administers: None
) -> None:
    first = await accounts.first_administrator_link(services.sessions)
    second = await accounts.first_administrator_link(services.sessions)
    assert first
    assert second
    with pytest.raises(LinkUsed):
        await newcomer(services, first)
    await newcomer(services, second)
    leftover = await link_of(services, None)
    with pytest.raises(LinkUsed):
        await newcomer(services, leftover, 2)


async def test_a_mistake_in_the_form_leaves_the_link_as_it_was(services: Services, nobody_administers: None) -> None:
    taken = await email_of(services, await make_account(services))
    token = await accounts.first_administrator_link(services.sessions)
    assert token
    with pytest.raises(EmailTaken):
        await accounts.make_first_administrator(
            services.sessions, token, email=taken, name="A", password=PASSWORD, again=PASSWORD
        )
    await newcomer(services, token)


@pytest.mark.parametrize("state", ["no password", "disabled", "of one organisation"])
async def test_an_administrator_who_cannot_sign_in_everywhere_does_not_count(
    services: Services, nobody_administers: None, state: str
) -> None:
    account_id = await make_account(services) if state == "no password" else await with_password(services)
    place = await make_organisation(services) if state == "of one organisation" else None
    await give_role(services, account_id, "administrator", organisation=place)
    if state == "disabled":
        async with services.sessions.begin() as session:
            await session.execute(update(Account).where(Account.id == account_id).values(disabled_at=func.now()))
    assert await accounts.first_administrator_link(services.sessions)


async def test_an_administrator_with_single_sign_on_counts(services: Services, nobody_administers: None) -> None:
    account_id = await make_account(services)
    await give_role(services, account_id, "administrator")
    async with services.sessions.begin() as session:
        values = {"oidc_subject": f"https://idp.test {account_id}"}
        await session.execute(update(Account).where(Account.id == account_id).values(**values))
    assert await accounts.first_administrator_link(services.sessions) is None
