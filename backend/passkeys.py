"""Passkeys (WebAuthn level 3): adding one to an account, signing in with one, taking one away.

The private key never leaves the person's device; we keep the public one. User verification is required (a finger, a
face, a PIN), so a passkey is both factors at once.
"""

import ipaddress
import logging
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    generate_challenge,
    options_to_json_dict,
    parse_authentication_credential_json,
)
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

from backend.access import Staff
from backend.accounts import let_in, record
from backend.ceremonies import recall, remember
from backend.config import Settings
from backend.db import Sessions
from backend.errors import AppError, NotFound
from backend.models import Account, Passkey
from backend.tokens import new_token

log = logging.getLogger(__name__)

LONGEST_NAME = 60
MOST_PASSKEYS = 20
_LONGEST_ID = 1023
"""Bytes of a credential id (WebAuthn section 4)."""
_LONGEST_KEY = 2048
_MINUTES = 5
"""How long somebody may take for one ceremony."""
_SIGN_IN, _ADD = "passkey_sign_in", "passkey_add"


class PasskeyRefused(AppError):
    """Whatever was wrong, the answer is the same: nothing is learnt about accounts from it."""

    status = 401
    code = "passkey_refused"


class PasskeyNotAdded(AppError):
    status = 422
    code = "passkey_not_added"


class PasskeyNameMissing(AppError):
    status = 422
    code = "passkey_name"


class PasskeyKnown(AppError):
    status = 409
    code = "passkey_known"


class TooManyPasskeys(AppError):
    status = 409
    code = "too_many_passkeys"


class PasskeysNeedName(AppError):
    """The service is reached at a bare network address, and browsers make passkeys for names only."""

    status = 409
    code = "passkeys_need_name"


@dataclass(frozen=True, slots=True)
class OwnPasskey:
    id: str
    """The credential's own id in base64url."""
    name: str
    created_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Whom a passkey is for. It works at this origin and nowhere else."""

    id: str
    origin: str


@dataclass(frozen=True, slots=True)
class Begun:
    """`options` go to the browser's WebAuthn functions as JSON; `token` comes back with what they answer."""

    token: str
    options: dict[str, Any]


def relying_party(settings: Settings) -> RelyingParty:
    """Raises PasskeysNeedName."""
    address = urlsplit(settings.address)
    host = address.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        usual = {"https": 443, "http": 80}[address.scheme]
        port = f":{address.port}" if address.port not in (None, usual) else ""
        return RelyingParty(host, f"{address.scheme}://{host}{port}")
    raise PasskeysNeedName


async def list_passkeys(session: AsyncSession, account_id: UUID) -> list[OwnPasskey]:
    """The oldest first."""
    columns = (Passkey.id, Passkey.name, Passkey.created_at, Passkey.used_at)
    rows = await session.execute(
        select(*columns).where(Passkey.account_id == account_id).order_by(Passkey.created_at, Passkey.id)
    )
    return [OwnPasskey(bytes_to_base64url(row.id), row.name, row.created_at, row.used_at) for row in rows]


async def begin_adding(sessions: Sessions, settings: Settings, staff: Staff) -> Begun:
    """Raises PasskeysNeedName, TooManyPasskeys."""
    party, challenge, token = relying_party(settings), generate_challenge(), new_token()
    kept = {"challenge": bytes_to_base64url(challenge)}
    async with sessions.begin() as session:
        known = list(
            (await session.execute(select(Passkey.id).where(Passkey.account_id == staff.account_id))).scalars()
        )
        if len(known) >= MOST_PASSKEYS:
            raise TooManyPasskeys(limit=MOST_PASSKEYS)
        await remember(session, _ADD, token, kept, minutes=_MINUTES, account_id=staff.account_id)
    options = generate_registration_options(
        rp_id=party.id,
        rp_name="ELP Assistant",
        user_id=staff.account_id.bytes,
        user_name=staff.email,
        user_display_name=staff.name,
        challenge=challenge,
        timeout=_MINUTES * 60_000,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            require_resident_key=True,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
    )
    return Begun(token, options_to_json_dict(options))


async def add_passkey(
    sessions: Sessions, settings: Settings, staff: Staff, *, token: str, credential: dict[str, Any], name: str
) -> None:
    """Raises PasskeyNotAdded, PasskeyNameMissing, PasskeyKnown, TooManyPasskeys, PasskeysNeedName."""
    party, name = relying_party(settings), check_name(name)
    async with sessions.begin() as session:  # on its own: the challenge is used up whatever comes next
        kept = await recall(session, _ADD, token, account_id=staff.account_id)
    if kept is None:
        raise PasskeyNotAdded
    made = _check_made(credential, base64url_to_bytes(kept["challenge"]), party)
    async with sessions.begin() as session:
        query = select(func.count()).select_from(Passkey).where(Passkey.account_id == staff.account_id)
        if (await session.execute(query)).scalar_one() >= MOST_PASSKEYS:
            raise TooManyPasskeys(limit=MOST_PASSKEYS)
        values = {"public_key": made.credential_public_key, "sign_count": made.sign_count, "name": name}
        adding = insert(Passkey).values(id=made.credential_id, account_id=staff.account_id, **values)
        added = await session.execute(adding.on_conflict_do_nothing().returning(Passkey.id))
        if added.scalar_one_or_none() is None:
            raise PasskeyKnown
        await record(session, "account.passkey_added", staff.account_id, by=staff.account_id)


async def remove_passkey(session: AsyncSession, staff: Staff, passkey_id: str) -> None:
    """One's own, by its id in base64url. Raises NotFound, also for somebody else's."""
    try:
        raw = base64url_to_bytes(passkey_id)
    except ValueError as error:
        raise NotFound from error
    removing = delete(Passkey).where(Passkey.id == raw, Passkey.account_id == staff.account_id)
    if (await session.execute(removing.returning(Passkey.id))).scalar_one_or_none() is None:
        raise NotFound
    await record(session, "account.passkey_removed", staff.account_id, by=staff.account_id)


async def begin_sign_in(sessions: Sessions, settings: Settings) -> Begun:
    """Names no passkey: the person's device knows which ones it has for us. Raises PasskeysNeedName."""
    party, challenge, token = relying_party(settings), generate_challenge(), new_token()
    kept = {"challenge": bytes_to_base64url(challenge)}
    async with sessions.begin() as session:
        await remember(session, _SIGN_IN, token, kept, minutes=_MINUTES)
    options = generate_authentication_options(
        rp_id=party.id,
        challenge=challenge,
        timeout=_MINUTES * 60_000,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return Begun(token, options_to_json_dict(options))


async def sign_in_with_passkey(
    sessions: Sessions, settings: Settings, *, token: str, credential: dict[str, Any], browser: str, replaces: str = ""
) -> str:
    """Returns the token of a new, complete session; the one that the browser `replaces` ends.

    Raises PasskeyRefused, PasskeysNeedName."""
    party = relying_party(settings)
    async with sessions.begin() as session:  # on its own: the challenge is used up whatever comes next
        kept = await recall(session, _SIGN_IN, token)
    shown = _read_shown(credential)
    if kept is None or shown is None:
        raise PasskeyRefused
    challenge = base64url_to_bytes(kept["challenge"])
    async with sessions.begin() as session:
        # Locked: of two sign-ins with one counter value, the second one sees what the first one stored.
        query = select(Passkey).join(Account, Account.id == Passkey.account_id).with_for_update(of=Passkey)
        query = query.where(Passkey.id == shown.raw_id, Account.disabled_at.is_(None))
        passkey = (await session.execute(query)).scalar_one_or_none()
        if passkey is None:
            raise PasskeyRefused
        verified = _check_shown(shown, challenge, party, passkey)
        used = {"sign_count": verified.new_sign_count, "used_at": func.now()}
        await session.execute(update(Passkey).where(Passkey.id == passkey.id).values(**used))
        return await let_in(session, passkey.account_id, browser=browser, replaces=replaces, method="passkey")


def check_name(name: str) -> str:
    """What somebody calls a passkey, in one line. Raises PasskeyNameMissing."""
    name = unicodedata.normalize("NFC", name).strip()
    if not name or len(name) > LONGEST_NAME or any(unicodedata.category(one) in ("Cc", "Cs", "Co") for one in name):
        raise PasskeyNameMissing(limit=LONGEST_NAME)
    return name


def _check_made(credential: dict[str, Any], challenge: bytes, party: RelyingParty) -> VerifiedRegistration:
    """Raises PasskeyNotAdded."""
    try:
        made = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except Exception as error:  # hostile CBOR makes the library raise more than its own errors
        log.info("a passkey was not added (%s)", type(error).__name__)
        raise PasskeyNotAdded from error
    if len(made.credential_id) > _LONGEST_ID or len(made.credential_public_key) > _LONGEST_KEY:
        raise PasskeyNotAdded
    return made


def _read_shown(credential: dict[str, Any]) -> AuthenticationCredential | None:
    try:
        return parse_authentication_credential_json(credential)
    except Exception:  # see `_check_made`
        return None


def _check_shown(
    shown: AuthenticationCredential, challenge: bytes, party: RelyingParty, passkey: Passkey
) -> VerifiedAuthentication:
    """Signature, challenge, origin, and a counter that only goes forward (both 0: the device keeps none).

    Raises PasskeyRefused."""
    if shown.response.user_handle != passkey.account_id.bytes:
        raise PasskeyRefused
    try:
        return verify_authentication_response(
            credential=shown,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except Exception as error:  # see `_check_made`
        log.warning("a passkey of account %s was refused (%s)", passkey.account_id, type(error).__name__)
        raise PasskeyRefused from error
