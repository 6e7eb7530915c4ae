"""Signing in with the organisation's own accounts: OpenID Connect, authorization code with PKCE.

`depart` sends a browser to the provider, `arrive` takes what it brings back. Accounts are never made here: whoever an
administrator did not add stays outside.
"""

import asyncio
import logging
import secrets
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError
from joserfc.jwk import JWKRegistry, KeySet
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.accounts import let_in
from backend.ceremonies import recall, remember
from backend.config import LOOPBACK, Settings
from backend.db import Sessions
from backend.errors import AppError, NotFound
from backend.models import Account
from backend.tokens import new_token

with warnings.catch_warnings(record=True):  # Authlib would rather have httpx2, which nothing else here uses
    from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuthError  # type: ignore[import-untyped]

log = logging.getLogger(__name__)

MINUTES = 10
"""How long somebody may take at the provider, where a password and a second factor may be asked for."""
_KIND = "single_sign_on"
_TIMEOUT_S = 10
_KEPT_S = 3600
_FRESH_S = 60
"""Keys are asked for again when a token names an unknown one, but not more often than this."""
_LEEWAY_S = 60
"""How far the provider's clock may be from ours."""
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
"""Public keys only: with a shared secret, or without a signature, a token says nothing."""
_KEY_TYPES = ("RSA", "EC", "OKP")


class SignOnRefused(AppError):
    """Cancelled, too late, from another browser, or the token did not hold; the person starts again."""

    status = 400
    code = "sign_on_refused"


class SignOnUnavailable(AppError):
    """The provider cannot be reached or says something wrong of itself."""

    status = 503
    code = "sign_on_unavailable"


class SignOnUnknown(AppError):
    """The provider knows this person and we do not, or not any more."""

    status = 403
    code = "sign_on_unknown"


@dataclass(frozen=True, slots=True)
class Provider:
    """What the provider's discovery document says (OpenID Connect Discovery 1.0 section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    secret_in_body: bool


@dataclass(frozen=True, slots=True)
class Departure:
    address: str
    """At the provider, where the browser is sent."""
    cookie: str
    """Stays in the browser: without it, what comes back is refused."""


@dataclass(frozen=True, slots=True)
class Arrival:
    token: str
    """Of a new, complete session."""
    next: str
    """What the browser wanted when it departed; to be checked before it is used."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as a checked ID token describes them."""

    subject: str
    """Issuer and subject."""
    email: str | None
    """In lower case, and only when the provider has verified it."""


_providers: dict[str, tuple[float, Provider]] = {}
_keys: dict[str, tuple[float, KeySet]] = {}


async def depart(sessions: Sessions, settings: Settings, *, next_page: str) -> Departure:
    """Raises NotFound without a provider in the settings, SignOnUnavailable."""
    provider = await _discover(settings)
    state, cookie, nonce, verifier = new_token(), new_token(), new_token(), secrets.token_urlsafe(48)
    async with _oauth_client(settings, provider) as client:
        address, _ = client.create_authorization_url(
            provider.authorization_endpoint, state=state, nonce=nonce, code_verifier=verifier
        )
    async with sessions.begin() as session:
        kept = {"nonce": nonce, "verifier": verifier, "next": next_page}
        await remember(session, _KIND, _of_this_browser(state, cookie), kept, minutes=MINUTES)
    return Departure(address, cookie)


async def arrive(
    sessions: Sessions, settings: Settings, *, answer: Mapping[str, str], cookie: str, browser: str, replaces: str = ""
) -> Arrival:
    """`answer` is what the provider put into the address; the session that the browser `replaces` ends.

    Raises NotFound without a provider in the settings, SignOnRefused, SignOnUnavailable, SignOnUnknown."""
    if settings.oidc_issuer is None:
        raise NotFound
    async with sessions.begin() as session:  # on its own: the state is used up whatever comes next
        kept = await recall(session, _KIND, _of_this_browser(answer.get("state", ""), cookie))
    code = answer.get("code", "")
    if kept is None or "error" in answer or not 0 < len(code) <= 4096:
        raise SignOnRefused
    provider = await _discover(settings)
    if answer.get("iss", provider.issuer) != provider.issuer:  # RFC 9207
        raise SignOnRefused
    id_token = await _exchange(settings, provider, code, kept["verifier"])
    person = await _check_id_token(settings, provider, id_token, nonce=kept["nonce"])
    try:
        async with sessions.begin() as session:
            account_id = await _account_of(session, person)
            token = await let_in(session, account_id, browser=browser, replaces=replaces, method="oidc")
    except IntegrityError as error:  # the same person came twice in one moment, with two addresses
        raise SignOnRefused from error
    return Arrival(token, kept["next"])


async def _account_of(session: AsyncSession, person: Person) -> UUID:
    """By subject; the first time by address, and then the subject is remembered. Raises SignOnUnknown."""
    query = select(Account.id, Account.disabled_at).where(Account.oidc_subject == person.subject)
    known = (await session.execute(query)).one_or_none()
    if known is None and person.email is not None:
        free = Account.oidc_subject.is_(None) & Account.disabled_at.is_(None)
        linking = update(Account).where(Account.email == person.email, free).values(oidc_subject=person.subject)
        linked = (await session.execute(linking.returning(Account.id))).scalar_one_or_none()
        if linked is not None:
            return linked
        known = (await session.execute(query)).one_or_none()  # linked a moment ago, by a second window
    if known is None or known.disabled_at is not None:
        raise SignOnUnknown
    found: UUID = known.id
    return found


def _oauth_client(settings: Settings, provider: Provider) -> Any:
    assert settings.oidc_client_secret is not None  # the settings are checked when the program starts
    return AsyncOAuth2Client(
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.get_secret_value(),
        token_endpoint_auth_method="client_secret_post" if provider.secret_in_body else "client_secret_basic",
        code_challenge_method="S256",
        scope="openid email profile",
        redirect_uri=f"{settings.address}/sign-in/oidc/callback",
        timeout=_TIMEOUT_S,
    )


async def _exchange(settings: Settings, provider: Provider, code: str, verifier: str) -> str:
    """The ID token for the code. Raises SignOnRefused, SignOnUnavailable."""
    try:
        async with asyncio.timeout(_TIMEOUT_S), _oauth_client(settings, provider) as client:
            answer = await client.fetch_token(
                provider.token_endpoint, code=code, code_verifier=verifier, grant_type="authorization_code"
            )
    except OAuthError as error:
        log.warning("single sign-on: the provider refused the code (%s)", str(error.error)[:40])
        raise SignOnRefused from error
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, TimeoutError) as error:
        log.warning("single sign-on: the provider did not answer (%s)", type(error).__name__)
        raise SignOnUnavailable from error
    id_token = answer.get("id_token")
    if not isinstance(id_token, str):
        raise SignOnRefused
    return id_token


async def _check_id_token(settings: Settings, provider: Provider, id_token: str, *, nonce: str) -> Person:
    """OpenID Connect Core 1.0 section 3.1.3.7. Raises SignOnRefused, SignOnUnavailable."""
    client_id = settings.oidc_client_id or ""
    rules = jwt.JWTClaimsRegistry(
        leeway=_LEEWAY_S,
        iss={"essential": True, "value": provider.issuer},
        aud={"essential": True, "value": client_id},
        nonce={"essential": True, "value": nonce},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
    )
    try:
        claims = (await _decode(provider, id_token)).claims
        rules.validate(claims)
    except SignOnUnavailable:
        raise
    except Exception as error:  # a broken token makes joserfc raise more than its own errors
        log.warning("single sign-on: an ID token was refused (%s)", type(error).__name__)
        raise SignOnRefused from error
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else client_id) != client_id:
        raise SignOnRefused
    subject, email = claims["sub"], claims.get("email")
    if len(subject) > 255 or not (subject.isascii() and subject.isprintable()):
        raise SignOnRefused
    # ASCII only: lower-casing other letters may turn one person's address into another's.
    usable = isinstance(email, str) and email.isascii() and email.isprintable() and claims.get("email_verified") is True
    return Person(f"{provider.issuer}|{subject}", str(email).lower() if usable else None)


async def _decode(provider: Provider, id_token: str) -> jwt.Token:
    """With the provider's keys, asked for again when it has new ones. Raises JoseError and others,
    SignOnUnavailable."""
    try:
        return jwt.decode(id_token, await _provider_keys(provider, _KEPT_S), _ALGORITHMS)
    except InvalidKeyIdError:
        return jwt.decode(id_token, await _provider_keys(provider, _FRESH_S), _ALGORITHMS)


async def _provider_keys(provider: Provider, longest_s: float) -> KeySet:
    """Not older than that. Raises SignOnUnavailable."""
    since, keys = _keys.get(provider.jwks_uri, (0.0, None))
    if keys is not None and time.monotonic() - since < longest_s:
        return keys
    listed = (await _fetch_object(provider.jwks_uri)).get("keys")
    found = []
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and one.get("kty") in _KEY_TYPES and one.get("use", "sig") == "sig":
            try:
                found.append(JWKRegistry.import_key(one))
            except Exception:  # noqa: S112 - a curve that joserfc does not know, as any error; other keys may do
                continue
    if not found:
        raise SignOnUnavailable
    keys = KeySet(found)
    _keys[provider.jwks_uri] = (time.monotonic(), keys)
    return keys


async def _discover(settings: Settings) -> Provider:
    """Raises NotFound without a provider in the settings, SignOnUnavailable."""
    issuer = settings.oidc_issuer
    if issuer is None:
        raise NotFound
    since, provider = _providers.get(issuer, (0.0, None))
    if provider is not None and time.monotonic() - since < _KEPT_S:
        return provider
    says = await _fetch_object(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    names = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
    values = {name: says.get(name) for name in names}
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    # Settings drop a final slash, which some issuers have and their tokens repeat.
    if len(texts) < len(names) or texts["issuer"].rstrip("/") != issuer.rstrip("/"):
        log.warning("single sign-on: the provider's discovery document does not fit ELP_OIDC_ISSUER")
        raise SignOnUnavailable
    for name in names[1:]:
        _check_encrypted(texts[name])
    methods = says.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    in_body = isinstance(methods, list) and "client_secret_basic" not in methods and "client_secret_post" in methods
    provider = Provider(**texts, secret_in_body=in_body)
    _providers[issuer] = (time.monotonic(), provider)
    return provider


def _check_encrypted(address: str) -> None:
    """Plain HTTP within one machine only. Raises SignOnUnavailable."""
    try:
        parts = urlsplit(address)
        good = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    except ValueError:
        good = False
    if not good:
        log.warning("single sign-on: an address of the provider does not begin with https://")
        raise SignOnUnavailable


async def _fetch_object(address: str) -> dict[str, Any]:
    """Raises SignOnUnavailable."""
    _check_encrypted(address)
    try:
        async with asyncio.timeout(_TIMEOUT_S), httpx.AsyncClient(timeout=_TIMEOUT_S) as http:
            answer = (await http.get(address)).raise_for_status().json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError, TimeoutError) as error:
        log.warning("single sign-on: the provider did not answer (%s)", type(error).__name__)
        raise SignOnUnavailable from error
    if not isinstance(answer, dict):
        raise SignOnUnavailable
    return answer


def _of_this_browser(state: str, cookie: str) -> str:
    """Both together: a state that reaches another browser leads to nothing there."""
    return f"{state}.{cookie}"
