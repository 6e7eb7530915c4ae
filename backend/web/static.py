"""Our own styles and scripts, and the front-end libraries that `elp run` fetched from npm by lock file.

Text is compressed once, when it is first asked for. Pages name a file by `address`, which changes with the file:
browsers keep it for good and never ask whether it is still the same. Whoever asks by the bare name gets an ETag.

What the chat page cannot do without comes in one style sheet and one script: on a line where each request waits 400 ms,
and browsers make six at once, ten small files wait twice.
"""

import functools
import gzip
import hashlib
import os
from pathlib import Path
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

from backend.config import ROOT, Settings

OWN = Path(__file__).parent / "static"
BUNDLES = {
    "chat.css": ("tokens.css", "elp.css", "reading.css"),
    "chat.js": ("htmx.min.js", "sse.min.js", "elp.js", "leave.js", "reading.js", "offline.js"),
}
"""Files that are sent as one, in this order; each can also be asked for alone."""
_KINDS = {".css": "text/css", ".js": "text/javascript"}
_LIBRARIES = ROOT / "package-lock.json"
_TEXT = frozenset({".css", ".js", ".svg", ".webmanifest"})
FOREVER = "public, max-age=31536000, immutable"
ASK_EACH_TIME = "no-cache"


def address(name: str) -> str:
    """Of a file below `/static`, with its version: what is in it, or for a library the lock file it came by."""
    return f"/static/{name}?v={_version(name)}"


def _version(name: str) -> str:
    if name in BUNDLES:
        return _short("".join(_version(part) for part in BUNDLES[name]).encode())
    path = OWN / name if (OWN / name).exists() else _LIBRARIES
    return _digest(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _digest(path: Path, _changed: int) -> str:
    return _short(path.read_bytes())


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


@functools.lru_cache(maxsize=256)
def _compressed(paths: tuple[Path, ...], _changed: tuple[int, ...]) -> bytes:
    return gzip.compress(_joined(paths), 9, mtime=0)


def _joined(paths: tuple[Path, ...]) -> bytes:
    """A script may end without a semicolon."""
    between = b";\n" if paths[0].suffix == ".js" else b"\n"
    return between.join(path.read_bytes() for path in paths)


class _Static(StaticFiles):
    def __init__(self, folders: list[str | os.PathLike[str]]) -> None:
        super().__init__(directory=OWN)
        self.all_directories = folders

    async def get_response(self, path: str, scope: Scope) -> Response:
        if path in BUNDLES and scope["method"] in ("GET", "HEAD"):
            return self._bundle(path, scope)
        return await super().get_response(path, scope)

    def _bundle(self, name: str, scope: Scope) -> Response:
        """Raises HTTPException when a library was not installed."""
        found = [self.lookup_path(part) for part in BUNDLES[name]]
        if any(status is None for _, status in found):
            raise HTTPException(404)
        paths, version = tuple(Path(path) for path, _ in found), _version(name)
        headers = {"etag": f'"{version}"', "cache-control": _keep(scope, name), "vary": "accept-encoding"}
        if self.is_not_modified(Headers(headers), Headers(scope=scope)):
            return NotModifiedResponse(Headers(headers))
        kind = _KINDS[Path(name).suffix]
        if not _takes_gzip(scope):
            return Response(_joined(paths), headers=headers, media_type=kind)
        changed = tuple(status.st_mtime_ns for _, status in found if status)
        headers["content-encoding"] = "gzip"
        return Response(_compressed(paths, changed), headers=headers, media_type=kind)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        path = Path(full_path)
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["cache-control"] = _keep(scope, self.get_path(scope))
        if path.suffix not in _TEXT:
            return response
        response.headers.add_vary_header("accept-encoding")
        if isinstance(response, NotModifiedResponse) or not _takes_gzip(scope):
            return response
        body = _compressed((path,), (stat_result.st_mtime_ns,))
        length = ("content-length", "accept-ranges")
        kept = {name: value for name, value in response.headers.items() if name not in length}
        return Response(body, status_code, kept | {"content-encoding": "gzip"})


def _takes_gzip(scope: Scope) -> bool:
    return "gzip" in Headers(scope=scope).get("accept-encoding", "")


def _keep(scope: Scope, name: str) -> str:
    """A page of the version before this one may still ask for its own; that answer must not be kept as this one's."""
    said = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("v", [])
    return FOREVER if said == [_version(name)] else ASK_EACH_TIME


def files(settings: Settings) -> StaticFiles:
    return _Static([OWN, settings.data_dir / "frontend" / "static"])
