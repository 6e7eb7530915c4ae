"""Accounts are made, and opened with links that work once."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text, update

from backend import accounts
from backend.accounts import EmailTaken, InvalidEmail, LinkUsed, MissingName, NameTooLong
from backend.config import Settings
from backend.errors import AppError, NotFound, UnknownLanguage
from backend.models import Account, AccountLink
from backend.services import Services
from tests.accounts import PASSWORD, events, link_of, opens
from tests.staff import make_account

pytestmark = pytest.mark.usefixtures("cheap_hashes")


async def test_an_email_address_is_kept_small_and_trimmed(services: Services) -> None:
    async with services.sessions.begin() as session:
        made = await accounts.create_account(session, email="  Amina.Rossi@ELP.test ", name=" Amina\n Rossi ")
    async with services.sessions.begin() as session:
        account = await session.get_one(Account, made)
    assert (account.email, account.name, account.language) == ("amina.rossi@elp.test", "Amina Rossi", "it")


NO_ADDRESSES = """|amina|a@b@c.it|@elp.test|a@|a b@elp.test|a\x00@elp.test|a@elp..test|è@elp.test|İ@elp.test|
a,b@elp.test|a<b@elp.test|a\r\nbcc:x@elp.test""".replace("|\n", "|").split("|")


@pytest.mark.parametrize("email", [*NO_ADDRESSES, "x" * 250 + "@elp.test"])
async def test_what_is_no_email_address_is_refused(services: Services, email: str) -> None:
    async with services.sessions.begin() as session:
        with pytest.raises(InvalidEmail):
            await accounts.create_account(session, email=email, name="Amina")


async def test_an_address_that_is_taken_leaves_the_transaction_usable(services: Services) -> None:
    email = f"{uuid4().hex}@elp.test"
    async with services.sessions.begin() as session:
        await accounts.create_account(session, email=email, name="Amina")
        with pytest.raises(EmailTaken):
            await accounts.create_account(session, email=email.upper(), name="Another")
    async with services.sessions.begin() as session:
        assert (await session.execute(select(Account.name).where(Account.email == email))).scalar_one() == "Amina"


@pytest.mark.parametrize("name, error", [("", MissingName), (" \n\x00\u202e ", MissingName), ("x" * 121, NameTooLong)])
async def test_a_name_is_one_readable_line(services: Services, name: str, error: type[AppError]) -> None:
    async with services.sessions.begin() as session:
        with pytest.raises(error):
            await accounts.create_account(session, email=f"{uuid4().hex}@elp.test", name=name)


def test_names_cannot_turn_the_words_after_them_around() -> None:
    assert accounts.clean_name("Ali\u202etxt \x07Baba\ud800") == "Alitxt Baba"
    assert accounts.clean_name("می‌خواهم") == "می‌خواهم"  # the joiner inside is spelling


async def test_a_language_nobody_translated_is_refused(services: Services) -> None:
    async with services.sessions.begin() as session:
        with pytest.raises(UnknownLanguage):
            await accounts.create_account(session, email=f"{uuid4().hex}@elp.test", name="A", language="xx")


async def test_a_link_sets_a_password_once(services: Services) -> None:
    account_id = await make_account(services)
    token = await link_of(services, account_id)
    await accounts.set_password_by_link(services.sessions, token, PASSWORD, again=PASSWORD)
    assert await opens(services, account_id, PASSWORD)
    with pytest.raises(LinkUsed):
        await accounts.set_password_by_link(services.sessions, token, "another one entirely", again="")
    assert await opens(services, account_id, PASSWORD)
    assert (
        await events(services, account_id)
        == ["account.link_made", "account.password_changed"] + ["account.signed_in"] * 2
    )


async def test_of_two_who_use_a_link_at_once_one_succeeds(services: Services) -> None:
    account_id = await make_account(services)
    token = await link_of(services, account_id)
    tries = [f"{PASSWORD} {number}" for number in range(4)]
    done = await asyncio.gather(
        *(accounts.set_password_by_link(services.sessions, token, one, again=one) for one in tries),
        return_exceptions=True,
    )
    assert [type(one) for one in done if one is not None] == [LinkUsed] * 3
    assert await opens(services, account_id, tries[done.index(None)])


async def test_a_newer_link_ends_the_earlier_ones(services: Services) -> None:
    account_id = await make_account(services)
    first, second = await link_of(services, account_id), await link_of(services, account_id)
    async with services.sessions.begin() as session:
        with pytest.raises(LinkUsed):
            await accounts.get_link(session, first)
        assert (await accounts.get_link(session, second)).account_id == account_id


async def test_links_made_at_the_same_moment_leave_one(services: Services) -> None:
    account_id = await make_account(services)
    await asyncio.gather(*(link_of(services, account_id) for _ in range(4)))
    async with services.sessions.begin() as session:
        query = select(func.count()).select_from(AccountLink).where(AccountLink.account_id == account_id)
        assert (await session.execute(query)).scalar_one() == 1


async def test_an_old_link_is_worth_nothing(services: Services) -> None:
    account_id = await make_account(services)
    token = await link_of(services, account_id)
    async with services.sessions.begin() as session:
        past = func.now() - text("interval '1 second'")
        await session.execute(update(AccountLink).where(AccountLink.account_id == account_id).values(expires_at=past))
    with pytest.raises(LinkUsed):
        await accounts.set_password_by_link(services.sessions, token, PASSWORD, again=PASSWORD)


async def test_the_link_of_a_disabled_account_is_worth_nothing(services: Services) -> None:
    account_id = await make_account(services)
    token = await link_of(services, account_id)
    async with services.sessions.begin() as session:
        await session.execute(update(Account).where(Account.id == account_id).values(disabled_at=func.now()))
    with pytest.raises(LinkUsed):
        await accounts.set_password_by_link(services.sessions, token, PASSWORD, again=PASSWORD)


async def test_a_link_of_an_account_does_not_make_an_administrator(
    services: Services, nobody_administers: None
) -> None:
    token = await link_of(services, await make_account(services))
    with pytest.raises(LinkUsed):
        await accounts.make_first_administrator(
            services.sessions, token, email="x@elp.test", name="X", password=PASSWORD, again=PASSWORD
        )


async def test_the_first_administrators_link_sets_nobodys_password(
    services: Services, nobody_administers: None
) -> None:
    token = await accounts.first_administrator_link(services.sessions)
    assert token
    with pytest.raises(LinkUsed):
        await accounts.set_password_by_link(services.sessions, token, PASSWORD, again=PASSWORD)


async def test_a_link_for_nobody_is_not_made(services: Services) -> None:
    with pytest.raises(NotFound):
        await link_of(services, uuid4())


async def test_the_database_does_not_know_the_token(services: Services) -> None:
    token = await link_of(services, await make_account(services))
    async with services.sessions.begin() as session:
        hashes = (await session.execute(select(AccountLink.token_hash))).scalars()
        assert token.encode() not in list(hashes)


def test_a_link_leads_to_the_public_address(settings: Settings) -> None:
    public = settings.model_copy(update={"public_url": "https://elp.example"})
    assert accounts.link_address(public, "abc") == "https://elp.example/link/abc"


async def test_a_link_may_be_used_while_the_next_one_is_made(services: Services) -> None:
    for _ in range(5):
        account_id = await make_account(services)
        token = await link_of(services, account_id)
        use = accounts.set_password_by_link(services.sessions, token, PASSWORD, again=PASSWORD)
        used, made = await asyncio.gather(use, link_of(services, account_id), return_exceptions=True)
        assert used is None or isinstance(used, LinkUsed)
        assert isinstance(made, str)
