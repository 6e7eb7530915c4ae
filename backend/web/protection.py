"""What stands before every request: headers that tell browsers what our pages may do, and how large a request may be.

Both are plain ASGI, so that event streams are not buffered and nothing is read before it is known to be wanted.
"""

import re
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.config import Settings
from backend.errors import AppError
from backend.web.cookies import is_embedded_path
from backend.web.pages import reader_language, render
from backend.web.problems import problem

# Neither our pages nor a page that somebody puts into ours may use any of these. Only names that Chromium knows, which
# warns of others. Passkeys, the clipboard and full screen are left as browsers have them. The microphone is ours alone,
# to speak instead of writing: a browser asks the person each time.
_REFUSED_FEATURES = (
    "accelerometer", "autoplay", "browsing-topics", "camera", "display-capture", "encrypted-media",
    "geolocation", "gyroscope", "hid", "idle-detection", "local-fonts", "magnetometer", "midi", "payment",
    "picture-in-picture", "screen-wake-lock", "serial", "usb", "xr-spatial-tracking",
)  # fmt: skip

# Referrer: with `no-referrer` older browsers send «Origin: null» with our own forms, which could then not be told
# from a stranger's. `same-origin` tells other sites just as little.
# No page may stand in a frame, so that nobody can lay something over it (clickjacking), but the conversation below
# `/embed`, and that one on the pages of `ELP_EMBED_ORIGINS` alone: every page around it is looked at.
# `frame-ancestors` makes X-Frame-Options unnecessary: every browser that knows only the older header is too old for
# the TLS of today.
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
        "connect-src 'self'; font-src 'self'; form-action {forms}; base-uri 'none'; frame-ancestors {around}; "
        "manifest-src 'self'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": ", ".join([*(f"{feature}=()" for feature in _REFUSED_FEATURES), "microphone=(self)"]),
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
STRICT_TRANSPORT = {"strict-transport-security": "max-age=31536000"}
"""A year. Without `includeSubDomains`: what a municipality runs beside us is not ours to decide."""

LARGEST_REQUEST = 256 * 1024
"""Bytes. The longest text that is taken, in the widest way of writing JSON, needs a fifth of it."""
LARGEST_ATTACHMENT = 11 * 1024 * 1024
"""Bytes: a file of ten megabytes and the multipart form around it."""
_ATTACHMENTS = re.compile(r"(?:/api/v1/conversations/[^/]+|/embed)?/attachments/?|/console/conversations/[^/]+/files/?")


def security_headers(settings: Settings, *, embedded: bool = False) -> dict[str, str]:
    """`embedded`: of the conversation inside another site's page."""
    headers = SECURITY_HEADERS | (STRICT_TRANSPORT if settings.https else {})
    around = (settings.embed_origins if embedded else "") or "'none'"
    policy = headers["content-security-policy"].format(forms=" ".join(_form_targets(settings)), around=around)
    return headers | {"content-security-policy": policy}


def _form_targets(settings: Settings) -> list[str]:
    """Ourselves, and where our forms lead on: browsers look at the redirect that follows a form, too (CSP level 3)."""
    addresses = [settings.exit_url, *([settings.oidc_issuer] if settings.oidc_issuer else [])]
    origins = ["{0.scheme}://{0.netloc}".format(urlsplit(address)) for address in addresses]
    return ["'self'", *sorted(set(origins))]


def _raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


class RequestTooLarge(AppError):
    status = 413
    code = "request_too_large"


class SecurityHeaders:
    """On every answer, also on those that nobody foresaw."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.headers = _raw(security_headers(settings))
        self.headers_embedded = _raw(security_headers(settings, embedded=True))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = self.headers_embedded if is_embedded_path(scope.get("path", "")) else self.headers

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                extra = [(name, value) for name, value in headers if name not in present]
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class RequestSize:
    """Refuses a request that says it is too large before reading it, and one that does not say as soon as it shows."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        largest = LARGEST_ATTACHMENT if _ATTACHMENTS.fullmatch(scope["path"]) else LARGEST_REQUEST
        if _declared_size(scope) > largest:
            await _refusal(scope)(scope, receive, send)
            return
        await self._count(scope, receive, send, largest)

    async def _count(self, scope: Scope, receive: Receive, send: Send, largest: int) -> None:
        read, refused, started = 0, False, False

        async def receive_counted() -> Message:
            nonlocal read, refused
            if refused:
                return {"type": "http.disconnect"}
            message = await receive()
            read += len(message.get("body", b""))
            if read > largest:
                refused = True
                return {"type": "http.disconnect"}
            return message

        async def send_unless_refused(message: Message) -> None:
            nonlocal started
            if refused and not started:
                return  # what the application makes of half a request is of no interest
            started = True
            await send(message)

        try:
            await self.app(scope, receive_counted, send_unless_refused)
        except Exception:
            if not refused or started:
                raise
        if refused and not started:
            await _refusal(scope)(scope, receive, send)


def _declared_size(scope: Scope) -> int:
    """-1 when the request does not say, or says what is no number; then it is counted."""
    said = dict(scope["headers"]).get(b"content-length", b"")
    return int(said) if said.isdigit() and len(said) < 19 else LARGEST_ATTACHMENT + 1 if said.isdigit() else -1


def _refusal(scope: Scope) -> Response:
    """A problem or a page, as everywhere; closes the connection, because the rest of the request is not read."""
    request, error = Request(scope), RequestTooLarge()
    if request.headers.get("hx-request"):
        sentence = render("_problem.html", language=reader_language(request), error=error)
        response: Response = HTMLResponse(sentence, error.status, {"HX-Retarget": "#problem", "HX-Reswap": "innerHTML"})
    else:
        response = problem(request, error.status, error.code)
    response.headers["connection"] = "close"
    return response
