"""The cookies of the chat, at home and inside another site's page, and which requests may use them.

Inside another site's page the whole conversation lives below `/embed` (decision 23), with cookies of its own: each site
has its own for each visitor (`Partitioned`, CHIPS), and nothing that was said at home shows there.
"""

from fastapi import Request
from fastapi.responses import Response

from backend.errors import Forbidden
from backend.services import Services

EMBED = "/embed"
CHAT_COOKIE = "elp_chat"
LANGUAGE_COOKIE = "elp_language"
LEFT_COOKIE = "elp_left"
"""Set by `leave.js`, because the word of it may find no network: the conversation here was left and is to be erased."""
SITE_LANGUAGE_COOKIE = "elp_site_language"
"""The language that the page around ours wishes; what the person chooses goes before it."""
_MORE = "_embedded"
_HOST = "__Host-"
"""Browsers take such a cookie from this very host alone (RFC 6265bis section 4.1.3): no neighbour under the same domain
can put somebody into a conversation that the neighbour can read."""


def is_embedded_path(path: str) -> bool:
    return path == EMBED or path.startswith(f"{EMBED}/")


def is_embedded(request: Request) -> bool:
    """Whether this is the conversation inside another site's page."""
    return is_embedded_path(request.scope["path"])


def home(request: Request) -> str:
    """Path of the chat page, here or inside another site's page."""
    return f"{EMBED}/" if is_embedded(request) else "/"


def cookie(request: Request, name: str) -> str | None:
    return request.cookies.get(_own(request, name))


def set_cookie(response: Response, name: str, value: str, request: Request, *, max_age: int | None) -> None:
    """`max_age` in seconds; None: as long as the browser is open."""
    named = _own(request, name)
    if is_embedded(request):
        path = "/" if named.startswith(_HOST) else EMBED
        response.set_cookie(named, value, max_age, httponly=True, samesite="none", secure=True, path=path)
        _partition(response)
    else:
        response.set_cookie(named, value, max_age, httponly=True, samesite="lax", secure=_secure(request))


def clear_cookie(response: Response, name: str, request: Request) -> None:
    set_cookie(response, name, "", request, max_age=0)


def check_same_site(request: Request) -> None:
    """Raises Forbidden for a form sent from another site's page (OWASP, Fetch Metadata; Origin for older browsers).

    A frame of ours inside another site's page is our own page. A browser that says nothing is believed only where its
    cookies stay at home."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise Forbidden
        return
    origin = request.headers.get("origin")
    if origin is None and is_embedded(request):
        raise Forbidden
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise Forbidden


def _own(request: Request, name: str) -> str:
    """Another name there: on a page of our own site a browser would send both, and nobody could tell which is which."""
    named = f"{name}{_MORE}" if is_embedded(request) else name
    return f"{_HOST}{named}" if name == CHAT_COOKIE and _secure(request) else named


def _secure(request: Request) -> bool:
    if is_embedded(request):
        return True
    services: Services = request.app.state.services
    return services.settings.https or request.url.scheme == "https"


def _partition(response: Response) -> None:
    """Python's own cookies know the word only since 3.14."""
    name, value = response.raw_headers[-1]
    response.raw_headers[-1] = (name, value + b"; Partitioned")
