"""Links that work once, and new passwords by mail, in a browser."""

import re
from uuid import uuid4

import pytest
from sqlalchemy import func, update

from backend import accounts
from backend.models import Account
from backend.services import Services
from tests.accounts import PASSWORD, Browsers, Mailbox, Member, enter, is_signed_in, link_for, make_member

pytestmark = pytest.mark.usefixtures("cheap_hashes")


async def test_looking_at_a_link_does_not_use_it_up(services: Services, browser: Browsers, member: Member) -> None:
    path, fresh = await link_for(services, member.account_id), "green bus over bridge"
    async with browser() as http:
        for _ in range(3):
            page = await http.get(path)
            assert page.status_code == 200
            assert member.email in page.text
            assert page.headers["referrer-policy"] == "same-origin"
            assert page.headers["cache-control"] == "no-store"
        weak = await http.post(path, data={"password": "short", "again": "short"})
        assert weak.status_code == 422
        assert "at least 12 characters" in weak.text
        done = await http.post(path, data={"password": fresh, "again": fresh})
        assert done.headers["location"] == "/sign-in?done=password"
        assert "The password is saved." in (await http.get(done.headers["location"])).text
        used = await http.get(path)
        assert used.status_code == 404
        assert "This link no longer works." in used.text
        assert (await http.post(path, data={"password": fresh, "again": fresh})).status_code == 404
        assert not await is_signed_in(http)
        assert (await enter(http, member.email)).status_code == 401
        assert (await enter(http, member.email, fresh)).status_code == 303


async def test_a_link_signs_everybody_else_out(services: Services, browser: Browsers, member: Member) -> None:
    fresh = "green bus over bridge"
    async with browser() as http, browser() as thief:
        await enter(thief, member.email)
        path = await link_for(services, member.account_id)
        await http.post(path, data={"password": fresh, "again": fresh})
        assert not await is_signed_in(thief)


@pytest.mark.parametrize("token", ["x", "%00", "a" * 5000, "%F0%9F%90%9F", "..%2f..%2f"])
async def test_a_made_up_link_says_that_it_does_not_work(browser: Browsers, token: str) -> None:
    async with browser() as http:
        assert (await http.get(f"/link/{token}")).status_code == 404
        assert (await http.post(f"/link/{token}", data={"password": PASSWORD})).status_code == 404


async def test_the_first_administrator_begins_with_the_printed_link(
    services: Services, browser: Browsers, nobody_administers: None
) -> None:
    path = f"/link/{await accounts.first_administrator_link(services.sessions)}"
    email = f"{uuid4().hex}@elp.test"
    form = {"name": "Sara", "email": email, "password": PASSWORD, "again": PASSWORD}
    async with browser() as http:
        assert "The first administrator" in (await http.get(path)).text
        differ = await http.post(path, data=form | {"again": "something else here"})
        assert differ.status_code == 422
        assert 'value="Sara"' in differ.text
        assert email in differ.text
        assert PASSWORD not in differ.text
        for wrong in ({"email": "sara"}, {"name": " "}, {"password": "x", "again": "x"}):
            assert (await http.post(path, data=form | wrong)).status_code == 422
        made = await http.post(path, data=form)
        assert made.headers["location"] == "/sign-in?done=administrator"
        assert (await enter(http, email)).headers["location"] == "/admin/people"
        assert (await http.get(path)).status_code == 404


async def test_without_mail_there_is_no_page_that_sends_any(browser: Browsers) -> None:
    async with browser() as http:
        assert (await http.get("/forgot")).status_code == 404
        assert (await http.post("/forgot", data={"email": "a@elp.test"})).status_code == 404
        assert "An administrator can give you a new link" in (await http.get("/sign-in")).text


async def test_a_forgotten_password_is_replaced_by_mail(browser: Browsers, member: Member, mailbox: Mailbox) -> None:
    fresh = "green bus over bridge"
    async with browser() as http:
        assert 'href="/forgot"' in (await http.get("/sign-in")).text
        answer = await http.post("/forgot", data={"email": member.email.upper()})
        assert "If there is an account with this address" in answer.text
        ((to, body),) = mailbox.sent
        assert to == member.email
        path = re.findall(r"http://[^/]+(/link/\S+)", body)[0]
        await http.post(path, data={"password": fresh, "again": fresh})
        assert (await enter(http, member.email, fresh)).status_code == 303


async def test_the_answer_does_not_tell_who_has_an_account(
    services: Services, browser: Browsers, member: Member, mailbox: Mailbox
) -> None:
    disabled = await make_member(services)
    async with services.sessions.begin() as session:
        gone = update(Account).where(Account.id == disabled.account_id).values(disabled_at=func.now())
        await session.execute(gone)
    async with browser() as http:
        emails = [member.email, "nobody@elp.test", disabled.email]
        pages = [await http.post("/forgot", data={"email": email}) for email in emails]
    assert len({page.text for page in pages}) == 1
    assert [to for to, _ in mailbox.sent] == [member.email]


async def test_nobody_is_flooded_with_mail(browser: Browsers, member: Member, mailbox: Mailbox, limited: None) -> None:
    async with browser() as http:
        for _ in range(3):
            assert (await http.post("/forgot", data={"email": member.email})).status_code == 200
        assert (await http.post("/forgot", data={"email": member.email})).status_code == 429
    assert len(mailbox.sent) == 3


async def test_a_host_header_does_not_get_into_the_mail(browser: Browsers, member: Member, mailbox: Mailbox) -> None:
    async with browser("http://evil.test") as http:
        await http.post("/forgot", data={"email": member.email})
    assert "evil.test" not in mailbox.sent[0][1]
