"""Who is calling: a bearer token in the API, a cookie in the chat page."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from backend.errors import Unauthorized

CHAT_COOKIE = "elp_chat"
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
    """The conversation this browser is in; None when it has none or its cookie is broken."""
    raw_id, _, token = request.cookies.get(CHAT_COOKIE, "").partition(".")
    try:
        return Caller(UUID(raw_id), token) if token else None
    except ValueError:
        return None


def cookie_value(caller: Caller) -> str:
    return f"{caller.conversation_id}.{caller.token}"
