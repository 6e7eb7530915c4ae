"""Who is calling: a bearer token in the API, a cookie in the chat page."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from backend.errors import Unauthorized
from backend.tokens import secret_hash
from backend.web.cookies import CHAT_COOKIE, LEFT_COOKIE, cookie

_bearer = HTTPBearer(auto_error=False, description="The token given when the conversation was opened.")


@dataclass(frozen=True, slots=True)
class Caller:
    conversation_id: UUID
    token: str


async def bearer_token(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> str:
    if credentials is None or not credentials.credentials:
        raise Unauthorized
    return credentials.credentials


BearerToken = Annotated[str, Depends(bearer_token)]


def caller_of_page(request: Request) -> Caller | None:
    """The conversation this browser is in; None when it has none, has left it, or its cookie is broken."""
    return None if cookie(request, LEFT_COOKIE) else caller_of_cookie(request)


def caller_of_cookie(request: Request) -> Caller | None:
    """Also one that was left while there was no network to say so."""
    raw_id, _, token = (cookie(request, CHAT_COOKIE) or "").partition(".")
    try:
        return Caller(UUID(raw_id), token) if token else None
    except ValueError:
        return None


def cookie_value(caller: Caller) -> str:
    return f"{caller.conversation_id}.{caller.token}"


def conversation_mark(caller: Caller) -> str:
    """What a page may know of the conversation it shows, to say which one it means; opens nothing."""
    return secret_hash(f"mark {caller.conversation_id}").hex()[:16]
