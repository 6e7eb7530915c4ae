"""Tokens of conversations, sessions, links and ceremonies: given once, and kept as their hash."""

import base64
import hashlib
import secrets


def new_token() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def secret_hash(token: str) -> bytes:
    """Of a token with 256 random bits: a plain hash of those cannot be guessed."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def token_of(opening: str) -> str:
    """The token of whatever was opened with these 256 random bits: always the same, and told by nothing else."""
    return base64.urlsafe_b64encode(secret_hash(f"token {opening}")).rstrip(b"=").decode()
