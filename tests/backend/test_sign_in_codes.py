"""Signing in with a second factor, and setting it up, in a browser."""

import re

import pyotp
import pytest
from sqlalchemy import insert, text

from backend.models import Passkey
from backend.services import Services
from tests.accounts import PASSWORD, Browsers, Member, actions, connect_app, enter, is_signed_in, next_code

pytestmark = pytest.mark.usefixtures("cheap_hashes")


async def test_with_an_app_the_password_alone_opens_nothing(browser: Browsers, member: Member) -> None:
    async with browser() as http:
        await enter(http, member.email)
        totp, codes = await connect_app(http)
        assert len(codes) == 10
    async with browser() as http:
        half = await enter(http, member.email, target="/account")
        assert half.headers["location"] == "/sign-in/second-factor?next=%2Faccount"
        incomplete = dict(http.cookies)
        assert not await is_signed_in(http)
        asked = await http.get(half.headers["location"])
        assert 'autocomplete="one-time-code"' in asked.text
        assert 'value="/account"' in asked.text
        wrong = await http.post("/sign-in/second-factor", data={"code": "12345", "next": "/account"})
        assert wrong.status_code == 422
        assert "The code is not right" in wrong.text
        entered = await http.post("/sign-in/second-factor", data={"code": next_code(totp), "next": "/account"})
        assert (entered.status_code, entered.headers["location"]) == (303, "/account")
        assert await is_signed_in(http)
        assert dict(http.cookies) != incomplete, "the token from before the second factor must not become a key"
    async with browser() as thief:
        thief.cookies.update(incomplete)
        assert not await is_signed_in(thief)
        assert (await thief.get("/sign-in/second-factor")).headers["location"] == "/sign-in"


async def test_a_code_that_was_used_opens_nothing(services: Services, browser: Browsers, member: Member) -> None:
    async with browser() as http:
        await enter(http, member.email)
        totp, _ = await connect_app(http)
    code = next_code(totp)
    for status in (303, 422):
        async with browser() as http:
            await enter(http, member.email)
            shown = await http.post("/sign-in/second-factor", data={"code": code})
            assert shown.status_code == status
    assert (await actions(services, member.account_id))[-1] == "account.sign_in_failed"


async def test_a_recovery_code_opens_once(browser: Browsers, member: Member) -> None:
    async with browser() as http:
        await enter(http, member.email)
        _, codes = await connect_app(http)
    for status in (303, 422):
        async with browser() as http:
            await enter(http, member.email)
            assert (await http.post("/sign-in/second-factor", data={"code": codes[3]})).status_code == status
            if status == 303:
                assert "Codes left: 9" in (await http.get("/account")).text


async def test_a_code_without_a_password_opens_nothing(browser: Browsers, member: Member) -> None:
    async with browser() as http:
        await enter(http, member.email)
        totp, _ = await connect_app(http)
    async with browser() as http:
        shown = await http.post("/sign-in/second-factor", data={"code": next_code(totp)})
        assert shown.status_code == 401
        assert "Please sign in again" in shown.text
        assert (await http.get("/sign-in/second-factor")).headers["location"] == "/sign-in"


async def test_the_second_factor_is_awaited_for_ten_minutes(
    services: Services, browser: Browsers, member: Member
) -> None:
    async with browser() as http:
        await enter(http, member.email)
        totp, _ = await connect_app(http)
    async with browser() as http:
        await enter(http, member.email)
        async with services.sessions.begin() as session:
            ten = "UPDATE staff_sessions SET expires_at = expires_at - interval '10 minutes' WHERE NOT complete"
            await session.execute(text(ten))
        assert (await http.post("/sign-in/second-factor", data={"code": next_code(totp)})).status_code == 401


async def test_a_mistyped_code_keeps_the_same_key_for_the_app(browser: Browsers, member: Member) -> None:
    async with browser() as http:
        await enter(http, member.email)
        page = await http.get("/account/second-factor")
        key = re.findall(r">([A-Z2-7]{32})<", page.text)[0]
        sealed = re.findall(r'name="sealed" value="([^"]+)"', page.text)[0]
        form = {"sealed": sealed, "code": "12345", "current": PASSWORD}
        again = await http.post("/account/second-factor", data=form)
        assert again.status_code == 422
        assert key in again.text
        form = {"sealed": sealed, "code": pyotp.TOTP(key).now(), "current": "not my password"}
        again = await http.post("/account/second-factor", data=form)
        assert "The current password is not right." in again.text
        form["current"] = PASSWORD
        assert (await http.post("/account/second-factor", data=form)).status_code == 200
        assert (await http.get("/account/second-factor")).headers["location"] == "/account"
        twice = await http.post("/account/second-factor", data=form)
        assert twice.status_code == 409


async def test_turning_the_app_off_needs_the_password(browser: Browsers, member: Member) -> None:
    async with browser() as http, browser() as other:
        await enter(http, member.email)
        await connect_app(http)
        refused = await http.post("/account/second-factor/off", data={"current": "not my password"})
        assert refused.status_code == 422
        off = await http.post("/account/second-factor/off", data={"current": PASSWORD})
        assert off.headers["location"] == "/account?done=second_factor_off"
        await enter(other, member.email)
        assert await is_signed_in(other)


async def test_new_recovery_codes_are_shown_once(browser: Browsers, member: Member) -> None:
    async with browser() as http:
        await enter(http, member.email)
        assert (await http.post("/account/recovery-codes", data={"current": PASSWORD})).status_code == 409
        _, old = await connect_app(http)
        page = await http.post("/account/recovery-codes", data={"current": PASSWORD})
        assert old[0] not in page.text
        assert page.headers["cache-control"] == "no-store"
        assert (await http.post("/account/recovery-codes", data={"current": "no"})).status_code == 422


async def test_a_passkey_is_a_second_factor_too(services: Services, browser: Browsers, member: Member) -> None:
    key = {"id": member.account_id.bytes, "account_id": member.account_id, "name": "Telephone"}
    async with services.sessions.begin() as session:
        await session.execute(insert(Passkey).values(**key, public_key=b"key", sign_count=0))
    async with browser() as http:
        assert (await enter(http, member.email)).headers["location"] == "/sign-in/second-factor"
        page = (await http.get("/sign-in/second-factor")).text
        assert "data-passkey" in page
        assert 'name="code"' not in page
        assert (await http.post("/sign-in/second-factor", data={"code": "123456"})).status_code == 422
        assert not await is_signed_in(http)
