"""Codes of an app and recovery codes."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pyotp
import pytest
from sqlalchemy import select

from backend import second_factor
from backend.models import Account, AuditEvent, RecoveryCode
from backend.passwords import WrongPassword
from backend.second_factor import WrongCode
from backend.services import Services
from backend.staff_sessions import list_sessions
from tests.accounts import PASSWORD, events, finish, opens, with_app, with_password
from tests.staff import sign_in as open_browser

pytestmark = pytest.mark.usefixtures("cheap_hashes")


async def test_a_code_of_the_step_before_or_after_works_and_no_other() -> None:
    secret, now = pyotp.random_base32(), datetime(2030, 1, 1, 12, 0, 10, tzinfo=UTC)
    totp = pyotp.TOTP(secret)
    for seconds, fits in ((-60, False), (-30, True), (0, True), (30, True), (60, False)):
        code = totp.at(now + timedelta(seconds=seconds))
        assert (second_factor.matching_step(secret, code, now) is not None) is fits
    assert second_factor.matching_step(secret, f" {totp.at(now)[:3]} {totp.at(now)[3:]} ", now)
    arabic = totp.at(now).translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    assert second_factor.matching_step(secret, arabic, now)
    for junk in ("", "12345", "1234567", "abcdef", "\ud800", "１" * 1000):
        assert second_factor.matching_step(secret, junk, now) is None


async def test_a_code_works_once(services: Services) -> None:
    account_id, totp, _ = await with_app(services)
    now = datetime.now(UTC) + timedelta(seconds=60)
    code = totp.at(now)
    assert await finish(services, account_id, code, now)
    assert not await finish(services, account_id, code, now)
    assert not await finish(services, account_id, totp.at(now - timedelta(seconds=30)), now)


async def test_the_code_that_proved_the_app_does_not_sign_in(services: Services) -> None:
    account_id, totp, _ = await with_app(services)
    async with services.sessions.begin() as session:
        step = (await session.get_one(Account, account_id)).totp_step
    assert step
    assert not await finish(services, account_id, totp.generate_otp(step))


async def test_the_same_code_twice_at_the_same_moment_opens_once(services: Services) -> None:
    account_id, totp, _ = await with_app(services)
    now = datetime.now(UTC) + timedelta(seconds=60)
    done = await asyncio.gather(*(finish(services, account_id, totp.at(now), now) for _ in range(3)))
    assert sorted(done) == [False, False, True]


async def test_a_recovery_code_works_once_and_is_read_generously(services: Services) -> None:
    account_id, _, codes = await with_app(services)
    assert len(set(codes)) == 10
    assert await finish(services, account_id, codes[0])
    assert not await finish(services, account_id, codes[0])
    assert await finish(services, account_id, codes[1].upper().replace("-", " ").replace("0", "O").replace("1", "l"))
    assert not await finish(services, account_id, codes[2][:-1])
    async with services.sessions.begin() as session:
        assert (await second_factor.find_factors(session, account_id)).recovery_codes == 8
        hashes = (
            await session.execute(select(RecoveryCode.code_hash).where(RecoveryCode.account_id == account_id))
        ).scalars()
        assert not any(code.encode() in hashes for code in codes)


async def test_a_recovery_code_of_somebody_else_does_not_work(services: Services) -> None:
    account_id, _, _ = await with_app(services)
    _, _, codes = await with_app(services)
    assert not await finish(services, account_id, codes[0])


async def test_nothing_is_stored_before_a_code_proved_the_app(services: Services) -> None:
    account_id = await with_password(services)
    enrolment = second_factor.begin_enrolment(account_id, "a@elp.test")
    for sealed in (enrolment.sealed, "not ours", ""):
        with pytest.raises(WrongCode):
            await second_factor.enrol(
                services.sessions,
                account_id,
                session_id=uuid4(),
                sealed=sealed,
                typed="000000",
                password=PASSWORD,
                now=datetime(2001, 1, 1, tzinfo=UTC),
            )
    assert await opens(services, account_id, PASSWORD)
    async with services.sessions.begin() as session:
        assert not (await second_factor.find_factors(session, account_id)).app


async def test_a_secret_made_for_somebody_else_is_refused(services: Services) -> None:
    account_id, now = await with_password(services), datetime.now(UTC)
    foreign = second_factor.begin_enrolment(uuid4(), "b@elp.test")
    with pytest.raises(WrongCode):
        await second_factor.enrol(
            services.sessions,
            account_id,
            session_id=uuid4(),
            sealed=foreign.sealed,
            typed=pyotp.TOTP(foreign.secret).at(now),
            password=PASSWORD,
            now=now,
        )


async def test_setting_up_an_app_needs_the_password(services: Services) -> None:
    account_id, now = await with_password(services), datetime.now(UTC)
    enrolment = second_factor.begin_enrolment(account_id, "a@elp.test")
    with pytest.raises(WrongPassword):
        await second_factor.enrol(
            services.sessions,
            account_id,
            session_id=uuid4(),
            sealed=enrolment.sealed,
            typed=pyotp.TOTP(enrolment.secret).at(now),
            password="something else",
            now=now,
        )


async def test_turning_the_app_off_needs_the_password_and_ends_other_sessions(services: Services) -> None:
    account_id, _, _ = await with_app(services)
    await open_browser(services, account_id)
    with pytest.raises(WrongPassword):
        await second_factor.turn_off(services.sessions, account_id, session_id=uuid4(), password="no")
    await second_factor.turn_off(services.sessions, account_id, session_id=uuid4(), password=PASSWORD)
    async with services.sessions.begin() as session:
        assert await list_sessions(session, account_id) == []
        factors = await second_factor.find_factors(session, account_id)
    assert (factors.app, factors.recovery_codes) == (False, 0)
    assert {"account.totp_on", "account.totp_off"} <= set(await events(services, account_id))


async def test_new_recovery_codes_end_the_old_ones(services: Services) -> None:
    account_id, _, old = await with_app(services)
    fresh = await second_factor.renew_recovery_codes(services.sessions, account_id, password=PASSWORD)
    assert not await finish(services, account_id, old[0])
    assert await finish(services, account_id, fresh[0])


async def test_the_audit_log_holds_no_address_no_name_and_no_code(services: Services) -> None:
    account_id, _, codes = await with_app(services)
    await finish(services, account_id, codes[0])
    async with services.sessions.begin() as session:
        rows = await session.execute(select(AuditEvent.details).where(AuditEvent.subject == f"account:{account_id}"))
        written = json.dumps(list(rows.scalars()))
    assert "@" not in written
    assert codes[0] not in written
