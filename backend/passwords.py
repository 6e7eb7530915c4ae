"""Passwords: the rule for new ones, and argon2id hashes that are made and checked in threads of their own."""

import asyncio
import base64
import secrets
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from backend.errors import AppError

SHORTEST, LONGEST, DIFFERENT = 12, 200, 5
_NAME_MATTERS = 4
"""Letters. A mailbox called «a» must not forbid every password with an a."""

hasher = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=4)
"""RFC 9106 section 4, the second recommendation: 64 MiB. OWASP asks for 19 MiB at least."""
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")
"""Two at once and no more: each takes 64 MiB, and conversations go on beside them."""


class WeakPassword(AppError):
    """A new password that breaks a rule; the sentence says which."""

    status = 422

    def __init__(self, rule: str) -> None:
        super().__init__(shortest=SHORTEST, longest=LONGEST, different=DIFFERENT)
        self.code = f"password_{rule}"


class WrongPassword(AppError):
    """Somebody who is signed in gave a password that is not theirs."""

    status = 422
    code = "wrong_password"


class PasswordsDiffer(AppError):
    """The new password and its repetition."""

    status = 422
    code = "passwords_differ"


def check_new_password(password: str, email: str, *, again: str) -> None:
    """Length, some variety and no e-mail address: what NIST SP 800-63B section 3.1.1.2 leaves of the old rules.
    Raises WeakPassword, PasswordsDiffer."""
    if len(password) < SHORTEST:
        raise WeakPassword("too_short")
    if len(password) > LONGEST:
        raise WeakPassword("too_long")
    if len(set(password)) < DIFFERENT or _is_row(password):
        raise WeakPassword("too_simple")
    plain, mailbox = password.casefold(), email.partition("@")[0].casefold()
    if plain in email.casefold() or (len(mailbox) >= _NAME_MATTERS and mailbox in plain):
        raise WeakPassword("like_email")
    if password != again:
        raise PasswordsDiffer


def _is_row(password: str) -> bool:
    """Digits alone, or letters and digits as they follow each other: what is tried first."""
    steps = [abs(ord(after) - ord(before)) for before, after in pairwise(password.casefold())]
    return password.isdigit() or sum(step <= 1 for step in steps) > len(steps) * 2 / 3


def _as_bytes(password: str) -> bytes:
    """The same letters from another keyboard are the same password (NIST SP 800-63B asks for one normal form)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace")


def _nobodys_hash() -> str:
    """Drawn by lot, with today's parameters: checking it takes as long as checking a real one, and never succeeds."""
    salt, tag = (base64.b64encode(secrets.token_bytes(n)).decode().rstrip("=") for n in (16, 32))
    return f"$argon2id$v=19$m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}${salt}${tag}"


def _verify(password_hash: str, password: bytes) -> bool:
    try:
        return hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


async def hash_password(password: str) -> str:
    """Takes a quarter of a second: never inside a transaction."""
    return await asyncio.get_running_loop().run_in_executor(_threads, hasher.hash, _as_bytes(password))


async def check_password(password_hash: str | None, password: str) -> bool:
    """Takes as long for None, which nothing fits. Never inside a transaction."""
    known = password_hash or _nobodys_hash()
    given = _as_bytes(password[: LONGEST + 1])
    return await asyncio.get_running_loop().run_in_executor(_threads, _verify, known, given)


def is_outdated(password_hash: str) -> bool:
    """Made with parameters that are no longer ours."""
    return hasher.check_needs_rehash(password_hash)
