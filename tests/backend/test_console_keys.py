"""Keys with which another help-desk program acts for an account."""

import asyncio
import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, update

from backend.console_keys import MOST_KEYS, delete_key, find_key_staff, make_key
from backend.errors import NotFound
from backend.models import Account, ConsoleKey
from backend.services import Services
from backend.staff_sessions import find_staff
from backend.tokens import secret_hash
from bot.phrases import SPOKEN, say
from tests.accounts import PASSWORD, Browsers, Member, actions, enter, make_member
from tests.staff import browsers, give_role, make_organisation, sign_in

pytestmark = pytest.mark.usefixtures("cheap_hashes")
FORM = {"name": "Zammad", "days": "90", "current": PASSWORD}


def key_on(page: httpx.Response) -> str:
    (found,) = re.findall(r"elp_[A-Za-z0-9_-]{43}", page.text)
    return str(found)


async def keys_of(services: Services, account_id: UUID) -> list[ConsoleKey]:
    async with services.sessions.begin() as session:
        query = select(ConsoleKey).where(ConsoleKey.account_id == account_id).order_by(ConsoleKey.created_at)
        return list((await session.execute(query)).scalars())


async def change(services: Services, account_id: UUID, **values: Any) -> None:
    async with services.sessions.begin() as session:
        await session.execute(update(ConsoleKey).where(ConsoleKey.account_id == account_id).values(**values))


async def new_key(services: Services, member: Member, *, days: int = 7) -> str:
    token = (await sign_in(services, member.account_id))["elp_staff"]
    staff = await find_staff(services.sessions, token)
    assert staff is not None
    return await make_key(services.sessions, staff, name="key", days=days, password=PASSWORD, now=datetime.now(UTC))


async def test_a_key_is_shown_once_listed_without_itself_and_deleted(
    services: Services, browser: Browsers, member: Member
) -> None:
    async with browser() as http:
        await enter(http, member.email)
        page = await http.post("/account/keys", data=FORM)
        assert page.status_code == 200
        assert page.headers["cache-control"] == "no-store"
        key = key_on(page)
        listed = (await http.get("/account")).text
        assert key not in listed
        assert "<bdi>Zammad</bdi>" in listed
        assert say("en", "account.keys.never") in listed
        (stored,) = await keys_of(services, member.account_id)
        assert stored.key_hash == secret_hash(key)
        assert key not in str(vars(stored))
        done = await http.post(f"/account/keys/{stored.id}/delete")
        assert done.headers["location"].startswith("/account?done=key_deleted")
        assert say("en", "account.done.key_deleted") in html.unescape(
            (await http.get("/account?done=key_deleted")).text
        )
    assert await keys_of(services, member.account_id) == []
    assert await find_key_staff(services.sessions, key) is None
    assert (await actions(services, member.account_id))[-2:] == ["account.key_made", "account.key_deleted"]


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"current": "another password"}, say("en", "error.wrong_password")),
        ({"name": "  "}, say("en", "error.missing_name")),
        ({"days": "0"}, say("en", "error.key_days", days=365)),
        ({"days": "366"}, say("en", "error.key_days", days=365)),
        ({"days": "²"}, say("en", "error.key_days", days=365)),
        ({"days": ""}, say("en", "error.key_days", days=365)),
    ],
)
async def test_what_is_wrong_is_said_and_no_key_is_made(
    services: Services, browser: Browsers, member: Member, wrong: dict[str, str], sentence: str
) -> None:
    async with browser() as http:
        await enter(http, member.email)
        page = await http.post("/account/keys", data=FORM | wrong)
        assert page.status_code == 422
        assert sentence in html.unescape(page.text)
        assert 'name="name" value="' + (wrong.get("name") or "Zammad") in page.text
    assert await keys_of(services, member.account_id) == []


async def test_passwords_cannot_be_tried_out_with_it(limited: None, browser: Browsers, member: Member) -> None:
    async with browser() as http:
        await enter(http, member.email)
        tried = [await http.post("/account/keys", data=FORM | {"current": "wrong"}) for _ in range(7)]
        assert [one.status_code for one in tried] == [422] * 6 + [429]


@pytest.mark.parametrize("role", ["editor", "administrator", "auditor"])
async def test_only_whoever_answers_people_makes_one(services: Services, app: Any, role: str) -> None:
    async with browsers(app) as opened:
        somebody = await opened(role, organisation=await make_organisation(services))
        assert say("en", "account.keys.title") not in html.unescape((await somebody.get("/account")).text)
        assert (await somebody.post("/account/keys", **FORM)).status_code == 403
        assert await keys_of(services, somebody.login.account_id) == []


async def test_a_key_of_somebody_else_is_not_found(services: Services, browser: Browsers, member: Member) -> None:
    await new_key(services, member)
    (stored,) = await keys_of(services, member.account_id)
    other = await make_member(services)
    async with browser() as http:
        await enter(http, other.email)
        assert (await http.post(f"/account/keys/{stored.id}/delete")).status_code == 404
    assert len(await keys_of(services, member.account_id)) == 1
    staff = await find_staff(services.sessions, (await sign_in(services, other.account_id))["elp_staff"])
    assert staff is not None
    with pytest.raises(NotFound):
        async with services.sessions.begin() as session:
            await delete_key(session, staff, stored.id)


async def test_there_is_an_end_to_keys_also_when_two_are_made_at_once(services: Services, member: Member) -> None:
    for _ in range(MOST_KEYS - 1):
        await new_key(services, member)
    made = await asyncio.gather(*(new_key(services, member) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(one, str) for one in made) == 1
    assert len(await keys_of(services, member.account_id)) == MOST_KEYS


async def test_it_gives_the_account_with_its_roles_of_this_moment(services: Services, member: Member) -> None:
    key = await new_key(services, member)
    found = await find_key_staff(services.sessions, key)
    assert found is not None
    assert (found.account_id, found.email) == (member.account_id, member.email)
    assert found.holds("operator")
    await give_role(services, member.account_id, "editor", organisation=await make_organisation(services))
    later = await find_key_staff(services.sessions, key)
    assert later is not None
    assert later.holds("editor")


@pytest.mark.parametrize("key", ["", "elp_", "x" * 5000, "\x00", "é\ud800"])
async def test_a_made_up_key_is_nobodys(services: Services, key: str) -> None:
    assert await find_key_staff(services.sessions, key) is None


async def test_a_key_that_expired_or_whose_account_is_disabled_is_nobodys(services: Services, member: Member) -> None:
    key = await new_key(services, member)
    await change(services, member.account_id, expires_at=func.now())
    assert await find_key_staff(services.sessions, key) is None
    await change(services, member.account_id, expires_at=func.now() + timedelta(days=1))
    assert await find_key_staff(services.sessions, key) is not None
    async with services.sessions.begin() as session:
        own = update(Account).where(Account.id == member.account_id)
        await session.execute(own.values(disabled_at=func.now()))
    assert await find_key_staff(services.sessions, key) is None


async def test_its_last_use_is_written_once_a_minute(services: Services, member: Member) -> None:
    key = await new_key(services, member)
    await find_key_staff(services.sessions, key)
    first = (await keys_of(services, member.account_id))[0].used_at
    assert first is not None
    await find_key_staff(services.sessions, key)
    assert (await keys_of(services, member.account_id))[0].used_at == first
    await change(services, member.account_id, used_at=first - timedelta(seconds=61))
    await find_key_staff(services.sessions, key)
    again = (await keys_of(services, member.account_id))[0].used_at
    assert again is not None
    assert again >= first


async def test_deleting_the_account_deletes_its_keys(services: Services, member: Member) -> None:
    await new_key(services, member)
    async with services.sessions.begin() as session:
        account = await session.get(Account, member.account_id)
        await session.delete(account)
    assert await keys_of(services, member.account_id) == []


async def test_without_a_password_the_page_says_what_is_missing(services: Services, app: Any) -> None:
    async with browsers(app) as opened:
        somebody = await opened("operator", organisation=await make_organisation(services))
        assert say("en", "account.keys.needs_password") in html.unescape((await somebody.get("/account")).text)
        assert (await somebody.post("/account/keys", **FORM)).status_code == 422


@pytest.mark.parametrize("language", SPOKEN)
async def test_the_page_speaks_every_language(
    services: Services, browser: Browsers, member: Member, language: str
) -> None:
    await new_key(services, member)
    async with browser() as http:
        await enter(http, member.email)
        await http.post("/account/profile", data={"name": "A", "language": language})
        page = html.unescape((await http.get("/account")).text)
        assert say(language, "account.keys.title") in page
        assert "account.keys." not in page
        assert "account.keys." not in (await http.post("/account/keys", data=FORM)).text
    for action in ("account.key_made", "account.key_deleted"):
        assert say(language, f"audit.{action}") != f"audit.{action}"
