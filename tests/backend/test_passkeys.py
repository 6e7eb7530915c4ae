"""Passkeys with real cryptography: a small authenticator in software stands where a phone or a key would be."""

import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI
from sqlalchemy import func, select, update
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, encode_cbor

from backend.config import Settings
from backend.models import Account, AuditEvent, Ceremony
from backend.passkeys import MOST_PASSKEYS, list_passkeys
from backend.services import Services
from backend.staff_sessions import find_staff
from knowledge_base.files import Content
from knowledge_base.library import Library
from tests.conftest import started
from tests.staff import make_account, sign_in

ORIGIN = "https://elp.test"
OURS = {"origin": ORIGIN, "sec-fetch-site": "same-origin"}
PRESENT, VERIFIED, WITH_KEY = 0x01, 0x04, 0x40


class Authenticator:
    """Makes one passkey (ES256, no attestation) and signs with it, truthfully unless it is told otherwise."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(32)
        self.user = b""
        self.count = 0
        self.flags = PRESENT | VERIFIED

    def make(self, options: dict[str, Any], *, origin: str = ORIGIN, rp_id: str | None = None) -> dict[str, Any]:
        self.user = base64url_to_bytes(options["user"]["id"])
        point = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        made = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + encode_cbor(cose)
        data = self._about(rp_id or options["rp"]["id"], self.flags | WITH_KEY) + made
        attestation = encode_cbor({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", options, origin)
        return self._credential(clientDataJSON=client, attestationObject=attestation)

    def show(
        self, options: dict[str, Any], *, origin: str = ORIGIN, rp_id: str | None = None, user: bytes | None = None
    ) -> dict[str, Any]:
        data = self._about(rp_id or options["rpId"], self.flags)
        client = self._client("webauthn.get", options, origin)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        handle = self.user if user is None else user
        return self._credential(clientDataJSON=client, authenticatorData=data, signature=signature, userHandle=handle)

    def _about(self, rp_id: str, flags: int) -> bytes:
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _client(self, kind: str, options: dict[str, Any], origin: str) -> bytes:
        return json.dumps({"type": kind, "challenge": options["challenge"], "origin": origin}).encode()

    def _credential(self, **response: bytes) -> dict[str, Any]:
        name = bytes_to_base64url(self.id)
        sent = {key: bytes_to_base64url(value) for key, value in response.items()}
        return {"id": name, "rawId": name, "type": "public-key", "response": sent}


@pytest.fixture(scope="module")
async def named(settings: Settings, content: Content, library: Library) -> AsyncIterator[FastAPI]:
    """The service at an address with a name: passkeys need one."""
    async with started(settings.model_copy(update={"public_url": ORIGIN}), content, library) as app:
        yield app


@pytest.fixture
def at_name(named: FastAPI) -> Services:
    found: Services = named.state.services
    return found


class Browser:
    """Somebody's browser at the service, signed in or not."""

    def __init__(self, app: FastAPI, cookies: dict[str, str] | None = None) -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=OURS)
        for name, value in (cookies or {}).items():
            self.http.cookies.set(f"__Host-{name}", value, domain="elp.test")

    async def begin(self, path: str) -> dict[str, Any]:
        answer = await self.http.post(f"{path}/options")
        assert answer.status_code == 200, answer.text
        begun: dict[str, Any] = answer.json()
        return begun

    async def add(self, key: Authenticator, name: str = "my phone") -> httpx.Response:
        begun = await self.begin("/account/passkeys")
        sent = {"token": begun["token"], "name": name, "credential": key.make(begun["publicKey"])}
        return await self.http.post("/account/passkeys", json=sent)

    async def sign_in(self, key: Authenticator, **wishes: Any) -> httpx.Response:
        begun = await self.begin("/sign-in/passkey")
        key.count += wishes.pop("steps", 1)
        target = wishes.pop("next", "/account")
        sent = {"token": begun["token"], "next": target, "credential": key.show(begun["publicKey"], **wishes)}
        return await self.http.post("/sign-in/passkey", json=sent)

    def who(self) -> str:
        return self.http.cookies.get("__Host-elp_staff", "", domain="elp.test")


@pytest.fixture
async def person(named: FastAPI, at_name: Services) -> AsyncIterator[tuple[UUID, Browser]]:
    account_id = await make_account(at_name)
    browser = Browser(named, await sign_in(at_name, account_id))
    yield account_id, browser
    await browser.http.aclose()


@pytest.fixture
async def stranger(named: FastAPI) -> AsyncIterator[Browser]:
    browser = Browser(named)
    yield browser
    await browser.http.aclose()


async def events(services: Services, account_id: UUID) -> list[tuple[str, dict[str, Any]]]:
    async with services.sessions.begin() as session:
        query = select(AuditEvent.action, AuditEvent.details).where(AuditEvent.account_id == account_id)
        return [(row.action, row.details) for row in await session.execute(query.order_by(AuditEvent.id))]


async def own(services: Services, account_id: UUID) -> list[str]:
    async with services.sessions.begin() as session:
        return [one.name for one in await list_passkeys(session, account_id)]


async def test_a_passkey_is_added_and_opens_the_door(
    at_name: Services, person: tuple[UUID, Browser], stranger: Browser
) -> None:
    account_id, browser = person
    key = Authenticator()
    added = await browser.add(key, "  my phone ")
    assert (added.status_code, added.json()) == (201, {"next": "/account"})
    answer = await stranger.sign_in(key, next="/account?language=it")
    assert (answer.status_code, answer.json()) == (200, {"next": "/account?language=it"})
    assert "httponly" in answer.headers["set-cookie"].lower()
    staff = await find_staff(at_name.sessions, stranger.who())
    assert staff is not None
    assert (staff.account_id, staff.second_factor) == (account_id, True)
    async with at_name.sessions.begin() as session:
        (shown,) = await list_passkeys(session, account_id)
    assert (shown.name, shown.id) == ("my phone", bytes_to_base64url(key.id))
    assert shown.used_at is not None
    assert await events(at_name, account_id) == [
        ("account.passkey_added", {}),
        ("account.signed_in", {"method": "passkey"}),
    ]


async def test_the_device_must_know_the_person_and_keep_the_passkey(person: tuple[UUID, Browser]) -> None:
    _, browser = person
    key = Authenticator()
    await browser.add(key)
    options = (await browser.begin("/account/passkeys"))["publicKey"]
    assert options["rp"]["id"] == "elp.test"
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert [one["id"] for one in options["excludeCredentials"]] == [bytes_to_base64url(key.id)]
    asked = (await browser.begin("/sign-in/passkey"))["publicKey"]
    assert (asked["userVerification"], asked["rpId"]) == ("required", "elp.test")
    assert not asked.get("allowCredentials")


@pytest.mark.parametrize("target", ["https://evil.test/", "//evil.test", "/\\evil.test", ""])
async def test_nobody_is_led_to_another_site(person: tuple[UUID, Browser], stranger: Browser, target: str) -> None:
    key = Authenticator()
    await person[1].add(key)
    assert (await stranger.sign_in(key, next=target)).json() == {"next": "/sign-in"}


async def test_the_session_this_browser_had_before_ends(at_name: Services, person: tuple[UUID, Browser]) -> None:
    _, browser = person
    key, before = Authenticator(), browser.who()
    await browser.add(key)
    assert (await browser.sign_in(key)).status_code == 200
    assert await find_staff(at_name.sessions, before) is None
    assert await find_staff(at_name.sessions, browser.who()) is not None


async def test_a_challenge_works_once(person: tuple[UUID, Browser], stranger: Browser) -> None:
    _, browser = person
    key = Authenticator()
    begun = await browser.begin("/account/passkeys")
    sent = {"token": begun["token"], "name": "x", "credential": key.make(begun["publicKey"])}
    assert (await browser.http.post("/account/passkeys", json=sent)).status_code == 201
    assert (await browser.http.post("/account/passkeys", json=sent)).status_code == 422
    begun = await stranger.begin("/sign-in/passkey")
    sent = {"token": begun["token"], "credential": key.show(begun["publicKey"])}
    assert (await stranger.http.post("/sign-in/passkey", json=sent)).status_code == 200
    assert (await stranger.http.post("/sign-in/passkey", json=sent)).status_code == 401


async def test_a_failed_try_uses_the_challenge_up(person: tuple[UUID, Browser], stranger: Browser) -> None:
    key = Authenticator()
    await person[1].add(key)
    begun = await stranger.begin("/sign-in/passkey")
    good = key.show(begun["publicKey"])
    bad = {**good, "response": {**good["response"], "signature": bytes_to_base64url(bytes(70))}}
    for credential in (bad, good):
        sent = {"token": begun["token"], "credential": credential}
        assert (await stranger.http.post("/sign-in/passkey", json=sent)).status_code == 401


@pytest.mark.parametrize(
    "lie",
    [
        {"origin": "https://evil.test"},
        {"origin": "http://elp.test"},
        {"origin": "https://elp.test:8443"},
        {"rp_id": "evil.test"},
        {"user": b""},
        {"user": bytes(16)},
    ],
)
async def test_what_was_made_for_another_place_or_person_opens_nothing(
    person: tuple[UUID, Browser], stranger: Browser, lie: dict[str, Any]
) -> None:
    key = Authenticator()
    await person[1].add(key)
    assert (await stranger.sign_in(key, **lie)).status_code == 401
    assert stranger.who() == ""
    assert (await stranger.sign_in(key)).status_code == 200


@pytest.mark.parametrize("lie", [{"origin": "https://evil.test"}, {"rp_id": "evil.test"}, {"flags": PRESENT}])
async def test_a_passkey_of_another_place_or_without_the_person_is_not_added(
    at_name: Services, person: tuple[UUID, Browser], lie: dict[str, Any]
) -> None:
    account_id, browser = person
    key, lie = Authenticator(), dict(lie)
    key.flags = lie.pop("flags", key.flags)
    begun = await browser.begin("/account/passkeys")
    sent = {"token": begun["token"], "name": "x", "credential": key.make(begun["publicKey"], **lie)}
    assert (await browser.http.post("/account/passkeys", json=sent)).status_code == 422
    assert await own(at_name, account_id) == []


async def test_a_device_that_was_only_touched_does_not_open(person: tuple[UUID, Browser], stranger: Browser) -> None:
    key = Authenticator()
    await person[1].add(key)
    key.flags = PRESENT
    assert (await stranger.sign_in(key)).status_code == 401


async def test_another_key_under_the_same_id_opens_nothing(person: tuple[UUID, Browser], stranger: Browser) -> None:
    key = Authenticator()
    await person[1].add(key)
    key.key = ec.generate_private_key(ec.SECP256R1())
    assert (await stranger.sign_in(key)).status_code == 401


async def test_a_copied_passkey_is_noticed_by_its_counter(person: tuple[UUID, Browser], stranger: Browser) -> None:
    key = Authenticator()
    await person[1].add(key)
    assert (await stranger.sign_in(key, steps=5)).status_code == 200
    assert (await stranger.sign_in(key, steps=0)).status_code == 401
    assert (await stranger.sign_in(key, steps=-1)).status_code == 401
    assert (await stranger.sign_in(key, steps=-4)).status_code == 401
    assert (await stranger.sign_in(key, steps=6)).status_code == 200


async def test_a_device_without_a_counter_may_come_again(person: tuple[UUID, Browser], stranger: Browser) -> None:
    key = Authenticator()
    await person[1].add(key)
    for _ in range(2):
        assert (await stranger.sign_in(key, steps=0)).status_code == 200


async def test_a_disabled_account_and_an_unknown_passkey_get_the_same_answer(
    at_name: Services, person: tuple[UUID, Browser], stranger: Browser
) -> None:
    account_id, browser = person
    key = Authenticator()
    await browser.add(key)
    async with at_name.sessions.begin() as session:
        await session.execute(update(Account).where(Account.id == account_id).values(disabled_at=func.now()))
    disabled, unknown = await stranger.sign_in(key), await stranger.sign_in(Authenticator())
    assert disabled.status_code == unknown.status_code == 401
    assert disabled.text == unknown.text
    assert stranger.who() == ""


async def test_too_late_is_too_late(at_name: Services, person: tuple[UUID, Browser], stranger: Browser) -> None:
    key = Authenticator()
    await person[1].add(key)
    begun = await stranger.begin("/sign-in/passkey")
    async with at_name.sessions.begin() as session:
        await session.execute(update(Ceremony).values(expires_at=func.now()))
    sent = {"token": begun["token"], "credential": key.show(begun["publicKey"])}
    assert (await stranger.http.post("/sign-in/passkey", json=sent)).status_code == 401
    await stranger.begin("/sign-in/passkey")
    async with at_name.sessions.begin() as session:
        waiting = (await session.execute(select(func.count()).select_from(Ceremony))).scalar_one()
    assert waiting == 1  # the old ones went when the new one was written


async def test_a_challenge_for_one_purpose_or_person_is_none_for_another(
    named: FastAPI, at_name: Services, person: tuple[UUID, Browser], stranger: Browser
) -> None:
    other = Browser(named, await sign_in(at_name, await make_account(at_name)))
    key, mine = Authenticator(), await person[1].begin("/account/passkeys")
    sent = {"token": mine["token"], "name": "x", "credential": key.make(mine["publicKey"])}
    assert (await other.http.post("/account/passkeys", json=sent)).status_code == 422
    await person[1].add(key)
    begun = await person[1].begin("/account/passkeys")
    shown = key.show({"challenge": begun["publicKey"]["challenge"], "rpId": "elp.test"})
    crossed = {"token": begun["token"], "credential": shown}
    assert (await stranger.http.post("/sign-in/passkey", json=crossed)).status_code == 401
    await other.http.aclose()


async def test_a_passkey_belongs_to_one_account(
    named: FastAPI, at_name: Services, person: tuple[UUID, Browser]
) -> None:
    other_id = await make_account(at_name)
    other = Browser(named, await sign_in(at_name, other_id))
    key = Authenticator()
    await person[1].add(key)
    again = Authenticator()
    again.id = key.id
    assert (await other.add(again)).status_code == 409
    assert await own(at_name, other_id) == []
    await other.http.aclose()


async def test_one_takes_away_ones_own_passkeys_and_no_others(
    named: FastAPI, at_name: Services, person: tuple[UUID, Browser], stranger: Browser
) -> None:
    account_id, browser = person
    other = Browser(named, await sign_in(at_name, await make_account(at_name)))
    key = Authenticator()
    await browser.add(key)
    path = f"/account/passkeys/{bytes_to_base64url(key.id)}/delete"
    assert (await other.http.post(path)).status_code == 404
    assert await own(at_name, account_id) == ["my phone"]
    gone = await browser.http.post(path)
    assert (gone.status_code, gone.headers["location"]) == (303, "/account")
    assert (await browser.http.post(path)).status_code == 404
    assert await own(at_name, account_id) == []
    assert (await stranger.sign_in(key)).status_code == 401
    assert [action for action, _ in await events(at_name, account_id)] == [
        "account.passkey_added",
        "account.passkey_removed",
    ]
    await other.http.aclose()


@pytest.mark.parametrize("passkey_id", ["x", "%00", "é", "a" * 3000, "=", "%F0%9F%97%9D"])
async def test_a_made_up_passkey_is_not_found(person: tuple[UUID, Browser], passkey_id: str) -> None:
    answer = await person[1].http.post(f"/account/passkeys/{passkey_id}/delete")
    assert answer.status_code == 404


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "a\nb", "a\x00b", "\ud800"])
async def test_a_passkey_needs_a_name_of_one_line(at_name: Services, person: tuple[UUID, Browser], name: str) -> None:
    account_id, browser = person
    begun = await browser.begin("/account/passkeys")
    sent = {"token": begun["token"], "name": name, "credential": Authenticator().make(begun["publicKey"])}
    answer = await browser.http.post("/account/passkeys", content=json.dumps(sent))
    assert answer.status_code == 422
    assert await own(at_name, account_id) == []


async def test_there_is_an_end_to_adding(at_name: Services, person: tuple[UUID, Browser]) -> None:
    account_id, browser = person
    begun = await browser.begin("/account/passkeys")
    for _ in range(MOST_PASSKEYS):
        assert (await browser.add(Authenticator())).status_code == 201
    assert (await browser.http.post("/account/passkeys/options")).status_code == 409
    sent = {"token": begun["token"], "name": "x", "credential": Authenticator().make(begun["publicKey"])}
    assert (await browser.http.post("/account/passkeys", json=sent)).status_code == 409
    assert len(await own(at_name, account_id)) == MOST_PASSKEYS


_TEXTS = {"clientDataJSON": "e30", "attestationObject": "oA", "authenticatorData": "oA", "signature": "oA"}
HOSTILE = [
    b"",
    b"null",
    b"[]",
    b"{",
    b'"x"',
    b"\xff\xfe",
    b"[" * 60_000,
    b'{"token":' + b'{"a":' * 9_000,
    b'{"token": 1, "credential": {}}',
    b'{"token": "x", "credential": []}',
    b'{"token": "x", "name": [], "credential": {}}',
    b'{"token": "\\ud800", "name": "x", "credential": {"id": "\\ud800", "rawId": "\\u0000"}}',
    b'{"token": "x", "name": "x", "credential": {}, "n": ' + b"9" * 5_000 + b"}",
    json.dumps({"token": "\x00", "name": "x", "credential": {"id": "é", "rawId": "é", "type": "x"}}).encode(),
    json.dumps(
        {"token": "x", "name": "x", "credential": {"id": "AA", "rawId": "AA", "type": "public-key", "response": _TEXTS}}
    ).encode(),
    b'{"token": "' + b"x" * 70_000 + b'"}',
]


@pytest.mark.parametrize("path", ["/account/passkeys", "/sign-in/passkey"])
@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_broken_body_is_a_problem_and_never_an_accident(
    person: tuple[UUID, Browser], path: str, body: bytes
) -> None:
    answer = await person[1].http.post(path, content=body)
    assert answer.status_code in (400, 401, 413, 422)


@pytest.mark.parametrize(
    "response",
    [
        {"clientDataJSON": "W10"},
        {"clientDataJSON": bytes_to_base64url(b"[" * 20_000)},
        {"attestationObject": bytes_to_base64url(b"\x81" * 20_000)},
        {"attestationObject": bytes_to_base64url(encode_cbor({"fmt": "tpm", "attStmt": {"x": 1}, "authData": b""}))},
        {"attestationObject": bytes_to_base64url(encode_cbor({"fmt": 1, "attStmt": [], "authData": "x"}))},
        {"attestationObject": bytes_to_base64url(encode_cbor({"fmt": "none", "attStmt": 5, "authData": bytes(37)}))},
    ],
)
async def test_a_live_challenge_with_nonsense_adds_nothing(
    at_name: Services, person: tuple[UUID, Browser], response: dict[str, str]
) -> None:
    account_id, browser = person
    begun = await browser.begin("/account/passkeys")
    credential = Authenticator().make(begun["publicKey"])
    credential["response"] |= response
    sent = {"token": begun["token"], "name": "x", "credential": credential}
    assert (await browser.http.post("/account/passkeys", json=sent)).status_code == 422
    assert await own(at_name, account_id) == []


@pytest.mark.parametrize(
    "path", ["/account/passkeys/options", "/account/passkeys", "/account/passkeys/AA/delete", "/sign-in/passkey"]
)
async def test_other_sites_and_strangers_are_refused(
    person: tuple[UUID, Browser], stranger: Browser, path: str
) -> None:
    foreign = {"origin": "https://evil.test", "sec-fetch-site": "cross-site"}
    assert (await person[1].http.post(path, json={}, headers=foreign)).status_code == 403
    assert (await stranger.http.post(path, json={"token": "x", "credential": {}})).status_code == 401


async def test_whoever_tries_too_often_has_to_wait(
    at_name: Services, stranger: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_name.limits, "enabled", True)
    seen = {(await stranger.http.post("/sign-in/passkey", content=b"")).status_code for _ in range(101)}
    assert seen == {400, 429}
    assert (await stranger.http.post("/sign-in/passkey/options")).status_code == 429


async def test_at_a_bare_address_there_are_no_passkeys(client: httpx.AsyncClient) -> None:
    ours = {"origin": "http://elp.test", "sec-fetch-site": "same-origin"}
    assert (await client.post("/sign-in/passkey/options", headers=ours)).status_code == 409
    sent = {"token": "x", "credential": {}}
    assert (await client.post("/sign-in/passkey", headers=ours, json=sent)).status_code == 409
