"""Single sign-on against a small OpenID provider of our own, reached over the network of this machine."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

import httpx
import pytest
from aiohttp import web
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import SecretStr
from sqlalchemy import func, select, update

from backend import single_sign_on
from backend.config import Settings
from backend.local_nlu import free_port
from backend.models import Account, AuditEvent, Ceremony
from backend.services import Services
from backend.staff_sessions import find_staff
from knowledge_base.files import Content
from knowledge_base.library import Library
from tests.conftest import started
from tests.staff import make_account

ORIGIN = "https://elp.test"
CLIENT, SECRET = "elp-client", "s3cret-of-the-client-0123456789"
CALLBACK = f"{ORIGIN}/sign-in/oidc/callback"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
Change = Callable[[dict[str, Any]], object]


@dataclass
class Provider:
    """Does what the standard says, with real keys; a test changes what is wrong about it."""

    issuer: str
    key: RSAKey = field(default_factory=lambda: KEY)
    subject: str = field(default_factory=lambda: secrets.token_hex(8))
    email: str = ""
    verified: Any = True
    document: dict[str, Any] = field(default_factory=dict)
    change_claims: Change = lambda claims: None
    header: dict[str, Any] = field(default_factory=lambda: {"alg": "RS256", "kid": "one"})
    signing_key: Any = None
    shared_secret: bytes = b""
    token_answer: web.Response | None = None
    pause_s: float = 0
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self.discovery)
        app.router.add_get("/keys", self.keys)
        app.router.add_post("/token", self.token)
        return app

    async def discovery(self, request: web.Request) -> web.Response:
        self.asked.append("discovery")
        await asyncio.sleep(self.pause_s)
        names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        usual = {name: f"{self.issuer}/{path}" for name, path in names.items()}
        return web.json_response({"issuer": self.issuer, **usual, **self.document})

    async def keys(self, request: web.Request) -> web.Response:
        self.asked.append("keys")
        strange = {"kty": "EC", "crv": "P-000", "x": "AA", "y": "AA", "kid": "strange"}
        shared = {"kty": "oct", "k": "c2hhcmVk", "kid": "shared"}
        return web.json_response({"keys": [strange, shared, self.key.as_dict(private=False)]})

    def authorize(self, address: str) -> dict[str, str]:
        """What somebody who says yes brings back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["response_type"] == "code"
        assert (asked["client_id"], asked["redirect_uri"]) == (CLIENT, CALLBACK)
        assert {"openid", "email"} <= set(asked["scope"].split())
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    async def token(self, request: web.Request) -> web.Response:
        sent = {key: str(value) for key, value in (await request.post()).items()}
        if self.token_answer is not None:
            return self.token_answer
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        in_body = (sent.get("client_id"), sent.get("client_secret")) == (CLIENT, SECRET)
        asked = self.codes.pop(sent.get("code", ""), None)
        challenge = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        if (
            not (in_body or request.headers.get("authorization") == f"Basic {basic}")
            or asked is None
            or asked["redirect_uri"] != sent["redirect_uri"]
            or base64.urlsafe_b64encode(challenge).decode().rstrip("=") != asked["code_challenge"]
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        self.asked.append("token in body" if in_body else "token")
        return web.json_response(
            {"access_token": "a", "token_type": "Bearer", "id_token": self.sign(asked["nonce"]), "expires_in": 60}
        )

    def sign(self, nonce: str) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {"iss": self.issuer, "aud": CLIENT, "sub": self.subject, "nonce": nonce}
        claims |= {"iat": now, "exp": now + 300, "email": self.email, "email_verified": self.verified}
        self.change_claims(claims)
        if self.header["alg"] in ("none", "HS256"):
            parts = [json.dumps(one).encode() for one in (self.header, claims)]
            signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
            mark = hmac.digest(self.shared_secret, signed, "sha256") if self.shared_secret else b""
            return f"{signed.decode()}.{base64.urlsafe_b64encode(mark).decode().rstrip('=')}"
        return jwt.encode(self.header, claims, self.signing_key or self.key, algorithms=[self.header["alg"]])


@pytest.fixture(scope="module")
async def wired(
    settings: Settings, content: Content, library: Library
) -> AsyncIterator[tuple[FastAPI, list[Provider]]]:
    """The service with a provider in its settings; which one answers there changes from test to test."""
    port, current = free_port(), []  # type: ignore[var-annotated]

    async def answer(request: web.Request) -> web.StreamResponse:
        provider: Provider = current[-1]
        steps = {
            "/.well-known/openid-configuration": provider.discovery,
            "/keys": provider.keys,
            "/token": provider.token,
        }
        return await steps[request.path](request)

    site = web.Application()
    site.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(site)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    with_provider = {
        "public_url": ORIGIN,
        "oidc_issuer": f"http://127.0.0.1:{port}",
        "oidc_client_id": CLIENT,
        "oidc_client_secret": SecretStr(SECRET),
    }
    async with started(settings.model_copy(update=with_provider), content, library) as app:
        yield app, current
    await runner.cleanup()


@pytest.fixture
def provider(wired: tuple[FastAPI, list[Provider]]) -> Provider:
    app, current = wired
    single_sign_on._providers.clear()
    single_sign_on._keys.clear()
    fresh = Provider(app.state.services.settings.oidc_issuer)
    current.append(fresh)
    return fresh


@pytest.fixture
def at_provider(wired: tuple[FastAPI, list[Provider]]) -> Services:
    found: Services = wired[0].state.services
    return found


class Browser:
    def __init__(self, app: FastAPI) -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url=ORIGIN)

    async def depart(self, **query: str) -> str:
        answer = await self.http.get("/sign-in/oidc", params=query)
        assert answer.status_code == 303
        return answer.headers["location"]

    async def arrive(self, brought: dict[str, str]) -> httpx.Response:
        return await self.http.get(f"/sign-in/oidc/callback?{urlencode(brought)}")

    async def sign_in(self, provider: Provider, **query: str) -> httpx.Response:
        return await self.arrive(provider.authorize(await self.depart(**query)))

    def who(self) -> str:
        return self.http.cookies.get("__Host-elp_staff", "", domain="elp.test")


@pytest.fixture
async def browser(wired: tuple[FastAPI, list[Provider]]) -> AsyncIterator[Browser]:
    made = Browser(wired[0])
    yield made
    await made.http.aclose()


@pytest.fixture
async def person(at_provider: Services, provider: Provider) -> UUID:
    """Has an account here, and the same address at the provider."""
    account_id = await make_account(at_provider)
    provider.email = f"{account_id.hex}@elp.test"
    return account_id


async def subject_of(services: Services, account_id: UUID) -> str | None:
    async with services.sessions.begin() as session:
        return (await session.execute(select(Account.oidc_subject).where(Account.id == account_id))).scalar_one()


def refused(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.headers.get("location")) == (303, "/sign-in?problem=sign_on_refused")


async def test_somebody_with_an_account_is_let_in_and_known_again(
    at_provider: Services, provider: Provider, person: UUID, browser: Browser
) -> None:
    provider.email = provider.email.upper()
    answer = await browser.sign_in(provider, next="/account?x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account?x=1")
    staff = await find_staff(at_provider.sessions, browser.who())
    assert staff is not None
    assert staff.account_id == person
    assert await subject_of(at_provider, person) == f"{provider.issuer}|{provider.subject}"
    provider.email, provider.verified = "new-address@elp.test", False
    assert (await browser.sign_in(provider)).headers["location"] == "/sign-in"
    async with at_provider.sessions.begin() as session:
        query = select(AuditEvent.action, AuditEvent.details).where(AuditEvent.account_id == person)
        seen = [(row.action, row.details) for row in await session.execute(query)]
    assert seen == [("account.signed_in", {"method": "oidc"})] * 2


async def test_the_cookie_on_the_way_is_short_lived_and_hidden_from_scripts(
    provider: Provider, browser: Browser
) -> None:
    cookie = (await browser.http.get("/sign-in/oidc")).headers["set-cookie"].lower()
    assert cookie.startswith("__host-elp_sign_on=")
    assert {"httponly", "samesite=lax", "secure", "max-age=600"} <= set(cookie.split("; "))


async def test_the_provider_is_asked_about_itself_once(provider: Provider, person: UUID, browser: Browser) -> None:
    for _ in range(2):
        await browser.sign_in(provider)
    assert provider.asked == ["discovery", "token", "keys", "token"]


async def test_a_provider_that_wants_the_secret_in_the_body_gets_it_there(
    provider: Provider, person: UUID, browser: Browser
) -> None:
    provider.document = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert (await browser.sign_in(provider)).headers["location"] == "/sign-in"
    assert "token in body" in provider.asked


async def test_new_keys_of_the_provider_are_fetched(
    provider: Provider, person: UUID, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await browser.sign_in(provider)
    monkeypatch.setattr(single_sign_on, "_FRESH_S", 0)
    provider.key = RSAKey.generate_key(2048, {"kid": "two"})
    provider.header = {"alg": "RS256", "kid": "two"}
    assert (await browser.sign_in(provider)).headers["location"] == "/sign-in"


WRONG_CLAIMS: dict[str, Change] = {
    "another nonce": lambda claims: claims.update(nonce="x"),
    "no nonce": lambda claims: claims.pop("nonce"),
    "another audience": lambda claims: claims.update(aud="somebody-else"),
    "an audience of others": lambda claims: claims.update(aud=["somebody-else"]),
    "no audience": lambda claims: claims.pop("aud"),
    "meant for another party": lambda claims: claims.update(azp="somebody-else"),
    "several audiences and nobody named": lambda claims: claims.update(aud=[CLIENT, "somebody-else"]),
    "another issuer": lambda claims: claims.update(iss="https://evil.test"),
    "expired": lambda claims: claims.update(exp=int(time.time()) - 120),
    "no end": lambda claims: claims.pop("exp"),
    "from the future": lambda claims: claims.update(iat=int(time.time()) + 600),
    "no beginning": lambda claims: claims.pop("iat"),
    "times that are no numbers": lambda claims: claims.update(exp="tomorrow"),
    "endless time": lambda claims: claims.update(iat=float("1e400")),
    "no subject": lambda claims: claims.pop("sub"),
    "a subject that is no text": lambda claims: claims.update(sub=7),
    "a subject with a zero byte": lambda claims: claims.update(sub="a\x00"),
    "an endless subject": lambda claims: claims.update(sub="a" * 300),
}


@pytest.mark.parametrize("wrong", WRONG_CLAIMS)
async def test_a_token_that_does_not_fit_opens_nothing(
    at_provider: Services, provider: Provider, person: UUID, browser: Browser, wrong: str
) -> None:
    provider.change_claims = WRONG_CLAIMS[wrong]
    assert refused(await browser.sign_in(provider))
    assert browser.who() == ""
    assert await subject_of(at_provider, person) is None


async def test_a_token_for_several_that_names_us_opens(provider: Provider, person: UUID, browser: Browser) -> None:
    provider.change_claims = lambda claims: claims.update(aud=["another", CLIENT], azp=CLIENT)
    assert (await browser.sign_in(provider)).headers["location"] == "/sign-in"


async def test_a_token_nobody_signed_opens_nothing(provider: Provider, person: UUID, browser: Browser) -> None:
    provider.header = {"alg": "none"}
    assert refused(await browser.sign_in(provider))


@pytest.mark.parametrize("kid", ["one", "three", None])
async def test_a_token_signed_by_somebody_else_opens_nothing(
    provider: Provider, person: UUID, browser: Browser, kid: str | None
) -> None:
    provider.signing_key = RSAKey.generate_key(2048)
    provider.header = {"alg": "RS256"} | ({"kid": kid} if kid else {})
    assert refused(await browser.sign_in(provider))


@pytest.mark.parametrize("kid", ["one", "shared"])
async def test_a_token_signed_with_what_everybody_can_read_opens_nothing(
    provider: Provider, person: UUID, browser: Browser, kid: str
) -> None:
    provider.shared_secret = {"one": provider.key.as_pem(private=False), "shared": b"shared"}[kid]
    provider.header = {"alg": "HS256", "kid": kid}
    assert refused(await browser.sign_in(provider))


async def test_what_one_browser_began_no_other_finishes(
    wired: tuple[FastAPI, list[Provider]], provider: Provider, person: UUID, browser: Browser
) -> None:
    other = Browser(wired[0])
    brought = provider.authorize(await other.depart())
    await browser.depart()  # has a cookie of its own
    assert refused(await browser.arrive(brought))
    assert refused(await Browser(wired[0]).arrive(brought))
    assert (await other.arrive(brought)).headers["location"] == "/sign-in"
    await other.http.aclose()


async def test_what_was_used_or_is_too_old_does_not_work(
    at_provider: Services, provider: Provider, person: UUID, browser: Browser
) -> None:
    brought = provider.authorize(await browser.depart())
    cookie = browser.http.cookies.get("__Host-elp_sign_on")
    assert (await browser.arrive(brought)).headers["location"] == "/sign-in"
    browser.http.cookies.set("__Host-elp_sign_on", cookie or "", domain="elp.test")
    assert refused(await browser.arrive(brought))
    brought = provider.authorize(await browser.depart())
    async with at_provider.sessions.begin() as session:
        await session.execute(update(Ceremony).values(expires_at=func.now()))
    assert refused(await browser.arrive(brought))


@pytest.mark.parametrize("brought", [{"error": "access_denied"}, {}, {"code": ""}, {"code": "x" * 5000}])
async def test_who_cancelled_is_led_back(provider: Provider, browser: Browser, brought: dict[str, str]) -> None:
    state = provider.authorize(await browser.depart())["state"]
    assert refused(await browser.arrive({**brought, "state": state}))


@pytest.mark.parametrize("query", ["", "state=%00&code=%ff", "state=a&state=b&code[]=c", "code=x&state=" + "y" * 3000])
async def test_made_up_answers_are_led_back(provider: Provider, browser: Browser, query: str) -> None:
    await browser.depart()
    assert refused(await browser.http.get(f"/sign-in/oidc/callback?{query}"))


async def test_a_code_for_another_browser_is_refused_by_its_verifier(
    provider: Provider, person: UUID, browser: Browser
) -> None:
    stolen = provider.authorize(await browser.depart())["code"]
    state = provider.authorize(await browser.depart())["state"]
    assert refused(await browser.arrive({"code": stolen, "state": state}))


async def test_an_answer_of_another_provider_is_refused(provider: Provider, person: UUID, browser: Browser) -> None:
    brought = provider.authorize(await browser.depart())
    assert refused(await browser.arrive({**brought, "iss": "https://evil.test"}))


@pytest.mark.parametrize("verified", [False, "true", 1, None])
async def test_an_address_nobody_verified_finds_no_account(
    at_provider: Services, provider: Provider, person: UUID, browser: Browser, verified: Any
) -> None:
    provider.verified = verified
    answer = await browser.sign_in(provider)
    assert answer.status_code == 403
    assert browser.who() == ""
    assert await subject_of(at_provider, person) is None


@pytest.mark.parametrize("email", ["nobody@elp.test", "", None, 5, ["a"], "\x00@elp.test", "K@elp.test"])
async def test_unknown_people_are_told_whom_to_ask_and_nothing_is_made(
    at_provider: Services, provider: Provider, browser: Browser, email: Any
) -> None:
    async def accounts() -> int:
        async with at_provider.sessions.begin() as session:
            return (await session.execute(select(func.count()).select_from(Account))).scalar_one()

    before = await accounts()
    provider.email = email
    browser.http.headers["accept-language"] = "en"
    answer = await browser.sign_in(provider)
    assert answer.status_code == 403
    assert "ask your administrator" in answer.text
    assert await accounts() == before


async def test_a_linked_account_is_not_linked_again(
    at_provider: Services, provider: Provider, person: UUID, browser: Browser
) -> None:
    await browser.sign_in(provider)
    first, provider.subject = await subject_of(at_provider, person), "somebody-else"
    assert (await browser.sign_in(provider)).status_code == 403
    assert await subject_of(at_provider, person) == first


@pytest.mark.parametrize("linked", [True, False])
async def test_a_disabled_account_stays_outside(
    wired: tuple[FastAPI, list[Provider]],
    at_provider: Services,
    provider: Provider,
    person: UUID,
    browser: Browser,
    linked: bool,
) -> None:
    if linked:
        assert (await browser.sign_in(provider)).status_code == 303
    async with at_provider.sessions.begin() as session:
        await session.execute(update(Account).where(Account.id == person).values(disabled_at=func.now()))
    fresh = Browser(wired[0])
    assert (await fresh.sign_in(provider)).status_code == 403
    assert fresh.who() == ""
    await fresh.http.aclose()


@pytest.mark.parametrize("target", ["https://evil.test", "//evil.test", "/\\evil.test"])
async def test_nobody_is_led_to_another_site(provider: Provider, person: UUID, browser: Browser, target: str) -> None:
    assert (await browser.sign_in(provider, next=target)).headers["location"] == "/sign-in"


WRONG_DOCUMENTS: list[dict[str, Any]] = [
    {"issuer": "https://evil.test"},
    {"issuer": None},
    {"token_endpoint": "http://evil.test/token"},
    {"jwks_uri": "file:///etc/passwd"},
    {"authorization_endpoint": "javascript:alert(1)"},
    {"authorization_endpoint": "https://[broken"},
    {"jwks_uri": ["x"]},
]


@pytest.mark.parametrize("document", WRONG_DOCUMENTS, ids=str)
async def test_a_provider_that_says_something_wrong_is_not_used(
    provider: Provider, browser: Browser, document: dict[str, Any]
) -> None:
    provider.document = document
    assert await browser.depart() == "/sign-in?problem=sign_on_unavailable"


@pytest.mark.parametrize(
    "status, text, code",
    [
        (500, "{}", "sign_on_unavailable"),
        (200, "<html>", "sign_on_unavailable"),
        (200, "[]", "sign_on_unavailable"),
        (400, '{"error": "invalid_grant"}', "sign_on_refused"),
        (200, '{"access_token": "a", "token_type": "Bearer"}', "sign_on_refused"),
        (200, '{"id_token": 5}', "sign_on_refused"),
        (200, '{"id_token": "a.b.c"}', "sign_on_refused"),
        (200, '{"id_token": ""}', "sign_on_refused"),
        (200, '{"id_token": "é"}', "sign_on_refused"),
    ],
)
async def test_a_provider_that_fails_at_the_end_leads_back(
    provider: Provider, browser: Browser, status: int, text: str, code: str
) -> None:
    provider.token_answer = web.Response(status=status, text=text, content_type="application/json")
    assert (await browser.sign_in(provider)).headers["location"] == f"/sign-in?problem={code}"


async def test_a_provider_that_is_slow_is_not_waited_for(
    provider: Provider, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_sign_on, "_TIMEOUT_S", 0.1)
    provider.pause_s = 0.5
    assert await browser.depart() == "/sign-in?problem=sign_on_unavailable"


async def test_without_a_provider_there_is_nothing_here(client: httpx.AsyncClient) -> None:
    assert (await client.get("/sign-in/oidc")).status_code == 404
    assert (await client.get("/sign-in/oidc/callback?code=x&state=y")).status_code == 404
