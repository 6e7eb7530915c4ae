"""Tokens of conversations, sessions, links and ceremonies: given once, and kept as their hash."""

import hashlib
import secrets


def new_token() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def secret_hash(token: str) -> bytes:
    """Of a token with 256 random bits: a plain hash of those cannot be guessed."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
