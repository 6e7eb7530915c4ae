"""One's own account: name, password, sessions."""

import re
from uuid import uuid4

import pytest
from sqlalchemy import select

from backend.models import StaffSession
from backend.services import Services
from tests.accounts import PASSWORD, Browsers, Mailbox, Member, actions, enter, is_signed_in, link_for, make_member
from tests.staff import give_role
from tests.staff import sign_in as open_browser

pytestmark = pytest.mark.usefixtures("cheap_hashes")


async def test_name_and_language_are_ones_own_to_choose(browser: Browsers, member: Member) -> None:
    async with browser() as http:
        await enter(http, member.email)
        done = await http.post("/account/profile", data={"name": "Amina <b>Rossi</b>", "language": "ar"})
        assert done.headers["location"] == "/account?done=profile"
        page = await http.get("/account")
        assert 'dir="rtl"' in page.text
        assert "Amina &lt;b&gt;Rossi&lt;/b&gt;" in page.text


@pytest.mark.parametrize("form", [{"name": "", "language": "en"}, {"name": "A" * 121, "language": "en"}])
async def test_a_name_that_does_not_work_is_said_on_the_page(
    browser: Browsers, member: Member, form: dict[str, str]
) -> None:
    async with browser() as http:
        await enter(http, member.email)
        page = await http.post("/account/profile", data=form)
        assert page.status_code == 422
        assert f'value="{form["name"]}"' in page.text
        assert (await http.post("/account/profile", data={"name": "A", "language": "xx"})).status_code == 422


async def test_changing_the_password_ends_the_other_sessions(browser: Browsers, member: Member) -> None:
    fresh = "green bus over bridge"
    async with browser() as http, browser() as other:
        await enter(http, member.email)
        await enter(other, member.email)
        wrong = {"current": "not my password", "password": fresh, "again": fresh}
        assert "The current password is not right." in (await http.post("/account/password", data=wrong)).text
        form = {"current": PASSWORD, "password": fresh, "again": fresh}
        assert (await http.post("/account/password", data=form)).status_code == 303
        assert await is_signed_in(http)
        assert not await is_signed_in(other)
        assert (await enter(other, member.email)).status_code == 401
        assert (await enter(other, member.email, fresh)).status_code == 303


async def test_ones_sessions_are_listed_and_ended(services: Services, browser: Browsers, member: Member) -> None:
    async with browser() as http, browser(**{"user-agent": "curl/8"}) as other, browser() as third:
        for one in (http, other, third):
            await enter(one, member.email)
        page = (await http.get("/account")).text
        assert page.count("Firefox, Linux") >= 2
        assert "Unknown browser" in page
        assert "curl" not in page
        async with services.sessions.begin() as session:
            query = select(StaffSession.id).where(
                StaffSession.account_id == member.account_id, StaffSession.browser == ""
            )
            theirs = (await session.execute(query)).scalar_one()
        ended = await http.post(f"/account/sessions/{theirs}/end")
        assert ended.headers["location"] == "/account?done=session_ended"
        assert not await is_signed_in(other)
        assert await is_signed_in(third)
        await http.post("/account/sessions/end-others")
        assert not await is_signed_in(third)
        assert await is_signed_in(http)
    assert (await actions(services, member.account_id)).count("account.session_ended") == 2


async def test_ending_this_session_is_signing_out(services: Services, browser: Browsers, member: Member) -> None:
    async with browser() as http:
        await enter(http, member.email)
        page = (await http.get("/account")).text
        path = re.findall(r"/account/sessions/[0-9a-f-]{36}/end", page)[0]
        assert (await http.post(path)).headers["location"] == "/sign-in?done=out"
        assert not await is_signed_in(http)


async def test_a_session_of_somebody_else_is_not_found(services: Services, browser: Browsers, member: Member) -> None:
    administrator = await make_member(services)
    await give_role(services, administrator.account_id, "administrator")
    await open_browser(services, member.account_id)
    async with services.sessions.begin() as session:
        query = select(StaffSession.id).where(StaffSession.account_id == member.account_id)
        theirs = (await session.execute(query)).scalar_one()
    async with browser() as http:
        await enter(http, administrator.email)
        assert (await http.post(f"/account/sessions/{theirs}/end")).status_code == 404
        assert (await http.post(f"/account/sessions/{uuid4()}/end")).status_code == 404
        assert (await http.post("/account/sessions/x/end")).status_code == 422


async def test_every_page_of_an_account_needs_somebody(browser: Browsers) -> None:
    async with browser() as http:
        for path in ("/account", "/account/second-factor"):
            assert (await http.get(path)).status_code == 303
        for path in ("profile", "password", "second-factor", "second-factor/off", "recovery-codes"):
            assert (await http.post(f"/account/{path}")).status_code == 401
        assert (await http.post("/account/sessions/end-others")).status_code == 401


@pytest.mark.parametrize("language", ["it", "en", "fr", "ar"])
async def test_every_page_speaks_every_language(
    services: Services, browser: Browsers, mailbox: Mailbox, language: str
) -> None:
    someone = await make_member(services)
    link = await link_for(services, someone.account_id)
    async with browser(**{"accept-language": language}) as http:
        pages = [await http.get(path) for path in ("/sign-in", "/forgot", link, "/link/x")]
        await enter(http, someone.email)
        await http.post("/account/profile", data={"name": "A", "language": language})
        pages += [await http.get(path) for path in ("/account", "/account/second-factor")]
    for page in pages:
        assert f'<html lang="{language}"' in page.text
        assert not re.search(r">\s*(?:sign_in|account|password|sessions|error|link|forgot)\.[a-z_.]+\s*<", page.text)
