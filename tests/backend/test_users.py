"""Accounts from the command line."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from backend import accounts, users
from backend.accounts import LinkUsed
from backend.models import Account, Membership
from backend.progress import StartError
from backend.services import Services
from backend.users import NewUser
from tests.accounts import email_of, link_of, newcomer
from tests.staff import make_account, make_desk, make_organisation

pytestmark = pytest.mark.usefixtures("cheap_hashes")


async def test_a_user_made_on_the_command_line_gets_a_role_and_a_link(services: Services) -> None:
    place = await make_organisation(services)
    name = await organisation_name(services, place)
    desk = await make_desk(services, place, "Sportello")
    email = f"{uuid4().hex}@elp.test"
    new = NewUser(email, "Omar", role="operator", organisation=name, desk="Sportello", language="fr")
    printed = await asyncio.to_thread(users.add_user, services.settings, new)
    token = printed.rsplit("/link/", 1)[1]
    async with services.sessions.begin() as session:
        owner = await accounts.get_link(session, token)
        held = (await session.execute(select(Membership).where(Membership.account_id == owner.account_id))).scalar_one()
    assert (owner.email, owner.name) == (email, "Omar")
    assert (held.role, held.organisation_id, held.desk_id) == ("operator", place, desk)


async def organisation_name(services: Services, place: int) -> str:
    async with services.sessions.begin() as session:
        found = await session.execute(text("SELECT name FROM organisations WHERE id = :id"), {"id": place})
        return str(found.scalar_one())


NEW = NewUser("omar@elp.test", "Omar")


@pytest.mark.parametrize(
    "new, words",
    [
        (replace(NEW, role="king"), "--role is one of"),
        (replace(NEW, role="operator"), "name it with --organisation"),
        (replace(NEW, role="editor", organisation="X", desk="Y"), "At one desk only"),
        (replace(NEW, organisation="X"), "needs a --role"),
        (replace(NEW, role="editor", organisation="No such place"), "There is no organisation called"),
        (replace(NEW, email="omar"), "e-mail address"),
        (replace(NEW, name=" "), "Write the name"),
        (replace(NEW, language="xx"), "language"),
    ],
)
async def test_a_mistake_on_the_command_line_is_one_sentence(services: Services, new: NewUser, words: str) -> None:
    with pytest.raises(StartError, match=words):
        await asyncio.to_thread(users.add_user, services.settings, new)
    async with services.sessions.begin() as session:
        assert (await session.execute(select(Account.id).where(Account.email == new.email))).first() is None


async def test_a_link_from_the_command_line_replaces_the_earlier_one(services: Services) -> None:
    account_id = await make_account(services)
    first = await link_of(services, account_id)
    printed = await asyncio.to_thread(users.link_user, services.settings, await email_of(services, account_id))
    async with services.sessions.begin() as session:
        assert (await accounts.get_link(session, printed.rsplit("/link/", 1)[1])).account_id == account_id
        with pytest.raises(LinkUsed):
            await accounts.get_link(session, first)
    with pytest.raises(StartError, match="no account"):
        await asyncio.to_thread(users.link_user, services.settings, "nobody@elp.test")


async def test_a_start_without_administrator_prints_an_invitation(services: Services, nobody_administers: None) -> None:
    (line,) = await asyncio.to_thread(users.invite_administrator, services.settings)
    assert line.startswith("No administrator yet.")
    await newcomer(services, line.rsplit("/link/", 1)[1])
    assert list(await asyncio.to_thread(users.invite_administrator, services.settings)) == []


async def test_a_start_goes_on_when_the_database_went_away(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> object:
        raise SQLAlchemyError("gone")

    monkeypatch.setattr(users, "_with_sessions", gone)
    assert list(users.invite_administrator(services.settings)) == []
