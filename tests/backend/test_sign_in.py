"""Signing in and out, as a browser sees it, and as somebody who should not get in does."""

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, func, select, text, update

from backend.models import Account, AuditEvent, Membership, StaffSession
from backend.services import Services
from tests.accounts import (
    PASSWORD,
    Browsers,
    Member,
    actions,
    changed_settings,
    connect_app,
    enter,
    is_signed_in,
    make_member,
    next_code,
    visible,
)
from tests.staff import FORM, give_role, make_account, make_organisation

pytestmark = pytest.mark.usefixtures("cheap_hashes")


async def test_who_works_here_signs_in_and_out(services: Services, browser: Browsers, member: Member) -> None:
    async with browser() as http:
        assert 'name="password"' in (await http.get("/sign-in")).text
        entered = await enter(http, f" {member.email.upper()} ")
        assert (entered.status_code, entered.headers["location"]) == (303, "/console")
        assert await is_signed_in(http)
        assert (await http.get("/sign-in")).headers["location"] == "/console"
        left = await http.post("/sign-out")
        assert left.headers["location"] == "/sign-in?done=out"
        assert "You are signed out." in (await http.get("/sign-in?done=out")).text
        assert not await is_signed_in(http)
    assert await actions(services, member.account_id) == ["account.signed_in"]


async def test_after_signing_out_the_old_cookie_opens_nothing(browser: Browsers, member: Member) -> None:
    async with browser() as http:
        await enter(http, member.email)
        kept = dict(http.cookies)
        await http.post("/sign-out")
    async with browser() as thief:
        thief.cookies.update(kept)
        assert not await is_signed_in(thief)


async def test_wrong_password_unknown_address_and_disabled_account_look_the_same(
    services: Services, browser: Browsers, member: Member
) -> None:
    disabled = await make_member(services)
    async with services.sessions.begin() as session:
        gone = update(Account).where(Account.id == disabled.account_id).values(disabled_at=func.now())
        await session.execute(gone)
    without = await make_account(services)
    async with browser() as http:
        answers = [
            await enter(http, member.email, "not my password"),
            await enter(http, "nobody@elp.test"),
            await enter(http, "not an address\x00"),
            await enter(http, disabled.email),
            await enter(http, f"{without.hex}@elp.test"),
        ]
        assert not await is_signed_in(http)
    assert {answer.status_code for answer in answers} == {401}
    assert len({visible(answer) for answer in answers}) == 1
    assert "The e-mail address or the password is not right." in answers[0].text
    assert not any("set-cookie" in answer.headers for answer in answers)
    assert await actions(services, member.account_id) == ["account.sign_in_failed"]


async def test_what_was_typed_stays_but_not_the_password(browser: Browsers) -> None:
    async with browser() as http:
        page = await enter(http, "amina@elp.test", "secret of mine", "/admin/people?page=2")
    assert 'value="amina@elp.test"' in page.text
    assert 'value="/admin/people?page=2"' in page.text
    assert "secret of mine" not in page.text


async def test_the_failure_is_written_down_without_the_address(
    services: Services, browser: Browsers, member: Member
) -> None:
    async with browser() as http:
        await enter(http, member.email, "not my password")
    async with services.sessions.begin() as session:
        query = select(AuditEvent).where(AuditEvent.subject == f"account:{member.account_id}")
        event = (await session.execute(query)).scalar_one()
    assert event.details == {"step": "password"}
    assert event.account_id is None


async def test_a_browser_that_signs_in_again_loses_its_old_session(
    services: Services, browser: Browsers, member: Member
) -> None:
    other = await make_member(services)
    async with browser() as http:
        await enter(http, member.email)
        first = dict(http.cookies)
        await enter(http, other.email)
        assert dict(http.cookies) != first
    async with browser() as http:
        http.cookies.update(first)
        assert not await is_signed_in(http)


@pytest.mark.parametrize(
    "target",
    ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)", "/%0d%0a@evil", "\\\\evil", "/x\ny"],
)
async def test_next_leads_nowhere_else(browser: Browsers, member: Member, target: str) -> None:
    async with browser() as http:
        page = await http.get("/sign-in", params={"next": target})
        assert 'name="next" value=""' in page.text
        entered = await enter(http, member.email, target=target)
        assert entered.status_code == 303
        where = httpx.URL("http://elp.test").join(entered.headers["location"])
        assert where.host == "elp.test"
        again = await http.get("/sign-in", params={"next": target})
        assert httpx.URL("http://elp.test").join(again.headers["location"]).host == "elp.test"


async def test_next_leads_to_the_page_that_was_asked_for(browser: Browsers, member: Member) -> None:
    async with browser() as http:
        sent_away = await http.get("/account")
        assert sent_away.headers["location"] == "/sign-in?next=%2Faccount"
        entered = await enter(http, member.email, target="/account")
        assert entered.headers["location"] == "/account"


async def test_the_first_page_fits_the_role(services: Services, browser: Browsers) -> None:
    async def first_page(role: str, *, everywhere: bool) -> str:
        someone = await make_member(services)
        place = None if everywhere else await make_organisation(services)
        async with services.sessions.begin() as session:
            await session.execute(delete(Membership).where(Membership.account_id == someone.account_id))
        await give_role(services, someone.account_id, role, organisation=place)
        async with browser() as http:
            return (await enter(http, someone.email)).headers["location"]

    assert await first_page("operator", everywhere=False) == "/console"
    assert await first_page("auditor", everywhere=True) == "/admin/people"
    assert await first_page("editor", everywhere=False) == "/account"


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site", "origin": "https://evil.test"},
        {"sec-fetch-site": "same-site", "origin": "http://other.elp.test"},
    ],
)
@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/account/profile", "/account/sessions/end-others"])
async def test_a_form_of_another_site_is_refused(
    browser: Browsers, member: Member, path: str, headers: dict[str, str]
) -> None:
    async with browser() as http:
        await enter(http, member.email)
        form = {"email": member.email, "password": PASSWORD, "name": "Mallory", "language": "it"}
        refused = await http.post(path, data=form, headers=headers)
        assert refused.status_code == 403
        assert "set-cookie" not in refused.headers
        page = await http.get("/account")
        assert page.status_code == 200
        assert "Mallory" not in page.text


async def test_a_form_from_nowhere_is_refused(app: FastAPI, client: httpx.AsyncClient, member: Member) -> None:
    assert (await client.post("/sign-in", data={"email": member.email, "password": PASSWORD})).status_code == 403


async def test_the_cookie_is_for_this_site_and_no_script(browser: Browsers, member: Member) -> None:
    async with browser() as http:
        cookie = (await enter(http, member.email)).headers["set-cookie"]
    assert cookie.startswith("elp_staff=")
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert parts == {"httponly", "path=/", "samesite=lax"}


async def test_with_https_the_cookie_is_bound_to_this_host(browser: Browsers, member: Member, with_https: None) -> None:
    async with browser("https://elp.test") as http:
        cookie = (await enter(http, member.email)).headers["set-cookie"]
        assert cookie.startswith("__Host-elp_staff=")
        parts = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert parts == {"httponly", "path=/", "samesite=lax", "secure"}
        assert await is_signed_in(http)


@pytest.mark.parametrize("expired", ["seen_at = now() - interval '3 hours 1 minute'", "expires_at = now()"])
async def test_a_session_ends_by_itself(services: Services, browser: Browsers, member: Member, expired: str) -> None:
    async with browser() as http:
        await enter(http, member.email)
        async with services.sessions.begin() as session:
            statement = text(f"UPDATE staff_sessions SET {expired} WHERE account_id = :id")
            await session.execute(statement, {"id": member.account_id})
        assert not await is_signed_in(http)


async def test_a_session_lasts_a_long_shift_and_no_longer(
    services: Services, browser: Browsers, member: Member
) -> None:
    async with browser() as http:
        await enter(http, member.email)
    async with services.sessions.begin() as session:
        query = select(StaffSession).where(StaffSession.account_id == member.account_id)
        opened = (await session.execute(query)).scalar_one()
    assert (opened.expires_at - opened.created_at).total_seconds() == 14 * 3600
    assert opened.browser == "Firefox, Linux"


async def test_disabling_an_account_ends_what_is_open(services: Services, browser: Browsers, member: Member) -> None:
    async with browser() as http:
        await enter(http, member.email)
        async with services.sessions.begin() as session:
            gone = update(Account).where(Account.id == member.account_id).values(disabled_at=func.now())
            await session.execute(gone)
        assert not await is_signed_in(http)


@pytest.mark.parametrize("cookie", ["", "x", "\x00", "ü" * 300])
async def test_a_made_up_cookie_opens_nothing(browser: Browsers, cookie: str) -> None:
    async with browser(cookie=f"elp_staff={cookie.encode().hex()}") as http:
        assert (await http.get("/account")).status_code == 303


async def test_guessing_is_slowed_down_and_nobody_else_is_locked_out(
    services: Services, browser: Browsers, member: Member, limited: None
) -> None:
    other = await make_member(services)
    async with browser() as http:
        for _ in range(8):
            assert (await enter(http, member.email, "not my password")).status_code == 401
        refused = await enter(http, member.email)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert "Too many tries. Wait" in refused.text
        assert f'value="{member.email}"' in refused.text
        assert (await enter(http, other.email)).status_code == 303
    elsewhere = httpx.ASGITransport(browser.app, client=("203.0.113.9", 1234))
    async with httpx.AsyncClient(transport=elsewhere, base_url="http://elp.test", headers=FORM) as owner:
        assert (await enter(owner, member.email)).status_code == 303


async def test_codes_cannot_be_tried_out(browser: Browsers, member: Member, limited: None) -> None:
    async with browser() as http:
        await enter(http, member.email)
        totp, _ = await connect_app(http)
    async with browser() as http:
        await enter(http, member.email)
        for _ in range(6):
            assert (await http.post("/sign-in/second-factor", data={"code": "12345"})).status_code == 422
        refused = await http.post("/sign-in/second-factor", data={"code": next_code(totp)})
        assert refused.status_code == 429
        assert "Too many tries. Wait" in refused.text


async def test_an_open_session_does_not_help_to_guess_the_password(
    browser: Browsers, member: Member, limited: None
) -> None:
    async with browser() as http:
        await enter(http, member.email)
        form = {"current": "not my password", "password": "green bus over bridge", "again": "green bus over bridge"}
        for _ in range(6):
            assert (await http.post("/account/password", data=form)).status_code == 422
        refused = await http.post("/account/password", data=form | {"current": PASSWORD})
        assert refused.status_code == 429


async def test_the_organisations_own_sign_in_is_offered_when_it_is_set(
    app: FastAPI, browser: Browsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with browser() as http:
        assert "/sign-in/oidc" not in (await http.get("/sign-in")).text
        changed_settings(app, monkeypatch, oidc_issuer="https://idp.test", oidc_name="Comune <Ivrea>")
        page = (await http.get("/sign-in?next=/admin/people")).text
    assert 'href="/sign-in/oidc?next=/admin/people"' in page
    assert "Sign in with Comune &lt;Ivrea&gt;" in page


@pytest.mark.parametrize(
    "agent, label",
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge, Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari, iOS"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36", "Chrome, Android"),
        ("<script>alert(1)</script>", "Unknown browser"),
    ],
)
async def test_of_the_browser_only_its_kind_is_kept(browser: Browsers, member: Member, agent: str, label: str) -> None:
    async with browser(**{"user-agent": agent}) as http:
        await enter(http, member.email)
        page = (await http.get("/account")).text
    assert f"<bdi>{label}</bdi>" in page
    assert "alert(1)" not in page
