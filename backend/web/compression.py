"""Pages and JSON go out compressed: on a slow line that is most of the waiting.

Not what somebody else could guess letter by letter. The size of a compressed page tells whether words that came with
the request stand in it a second time (BREACH, 2013). Where another site makes the request and the browser adds our
cookies, those could be the words of a conversation: such a page goes out as it is.
"""

from starlette.datastructures import Headers
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_SMALLEST = 500
"""Bytes; under these the headers weigh more than what is won."""
_LEVEL = 6
"""A page of 15 kB in half a millisecond; level 9 takes twice as long for one percent."""
_NOT_WORTH_IT = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/pdf", "application/octet-stream")
"""Also `text/event-stream`, which must not wait until there is enough to compress."""


class Compression:
    """Plain ASGI. Static files are compressed already (`backend.web.static`) and pass as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.compressed = GZipMiddleware(
            app, minimum_size=_SMALLEST, compresslevel=_LEVEL, exclude_content_types=_NOT_WORTH_IT
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        plain = scope["type"] != "http" or _can_be_guessed(Headers(scope=scope))
        await (self.app if plain else self.compressed)(scope, receive, send)


def _can_be_guessed(headers: Headers) -> bool:
    """Browsers of before 2023 do not all say where a request comes from."""
    return "cookie" in headers and headers.get("sec-fetch-site") not in ("same-origin", "none")
