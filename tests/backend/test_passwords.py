"""What a password must be, how it is kept, and what changing it ends."""

from uuid import uuid4

import pytest
from argon2 import PasswordHasher

from backend import accounts, passwords, second_factor
from backend.models import Account
from backend.passwords import PasswordsDiffer, WeakPassword, WrongPassword
from backend.services import Services
from backend.staff_sessions import list_sessions
from tests.accounts import PASSWORD, link_of, opens, with_app, with_password
from tests.staff import sign_in as open_browser

pytestmark = pytest.mark.usefixtures("cheap_hashes")


@pytest.mark.parametrize(
    "password, rule",
    [
        ("short words", "too_short"),
        ("x1y2" * 51, "too_long"),
        ("abababababababab", "too_simple"),
        ("123456789012", "too_simple"),
        ("abcdefghijklm", "too_simple"),
        ("839201746559", "too_simple"),
        ("my AMINA.rossi secret", "like_email"),
        ("i@elp.example.o", "like_email"),
    ],
)
def test_a_weak_password_is_refused_with_its_reason(password: str, rule: str) -> None:
    with pytest.raises(WeakPassword) as caught:
        passwords.check_new_password(password, "amina.rossi@elp.example.org", again=password)
    assert caught.value.message_id == f"error.password_{rule}"


@pytest.mark.parametrize("password", [PASSWORD, "كلمة مرور طويلة", "a b c d e f g", "x1y2z" * 40])
def test_nothing_else_is_asked_of_a_password(password: str) -> None:
    passwords.check_new_password(password, "a@elp.test", again=password)


def test_the_repetition_must_be_the_same() -> None:
    with pytest.raises(PasswordsDiffer):
        passwords.check_new_password(PASSWORD, "a@elp.test", again=PASSWORD + " ")


async def test_hashes_are_argon2id_as_strong_as_owasp_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the real parameters
    made = await passwords.hash_password(PASSWORD)
    parameters = dict(pair.split("=") for pair in made.split("$")[3].split(","))
    assert made.startswith("$argon2id$")
    assert int(parameters["m"]) >= 19 * 1024
    assert int(parameters["t"]) >= 2
    assert await passwords.check_password(made, PASSWORD)
    assert not await passwords.check_password(made, PASSWORD + "x")


async def test_no_account_is_checked_with_the_same_work_as_a_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    real = passwords._verify

    def watch(password_hash: str, password: bytes) -> bool:
        seen.append(password_hash)
        return real(password_hash, password)

    monkeypatch.setattr(passwords, "_verify", watch)
    known = await passwords.hash_password(PASSWORD)
    assert await passwords.check_password(known, PASSWORD)
    assert not await passwords.check_password(None, PASSWORD)
    assert seen[0].split("$")[:4] == seen[1].split("$")[:4]
    assert [len(part) for part in seen[0].split("$")] == [len(part) for part in seen[1].split("$")]


async def test_the_same_letters_from_another_keyboard_fit() -> None:
    composed, apart = "perch\u00e9 la neve", "perche\u0301 la neve"
    assert await passwords.check_password(await passwords.hash_password(composed), apart)


async def test_a_hash_with_old_parameters_is_renewed_when_it_is_used(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    account_id = await with_password(services)
    monkeypatch.setattr(passwords, "hasher", PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    assert await opens(services, account_id, PASSWORD)
    async with services.sessions.begin() as session:
        account = await session.get_one(Account, account_id)
    assert "m=16,t=2" in str(account.password_hash)
    assert await opens(services, account_id, PASSWORD)


async def test_a_new_password_by_link_signs_everybody_out_and_keeps_the_second_factor(services: Services) -> None:
    account_id, _, _ = await with_app(services)
    await open_browser(services, account_id)
    token = await link_of(services, account_id)
    fresh = "green bus over bridge"
    await accounts.set_password_by_link(services.sessions, token, fresh, again=fresh)
    async with services.sessions.begin() as session:
        assert await list_sessions(session, account_id) == []
        factors = await second_factor.find_factors(session, account_id)
    assert (factors.app, factors.recovery_codes) == (True, 10)
    assert not await opens(services, account_id, PASSWORD)


async def test_changing_a_password_needs_the_current_one(services: Services) -> None:
    account_id = await with_password(services)
    with pytest.raises(WrongPassword):
        await accounts.change_password(
            services.sessions,
            account_id,
            session_id=uuid4(),
            email="x@elp.test",
            current="something else",
            new="green bus over bridge",
            again="green bus over bridge",
        )
    assert await opens(services, account_id, PASSWORD)
