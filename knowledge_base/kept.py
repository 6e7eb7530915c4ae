"""What takes seconds to make is made once for all processes and starts, and kept in a file."""

import contextlib
import gc
import logging
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

try:
    import fcntl
except ImportError:  # Windows: two processes may then make the same thing at once
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

T = TypeVar("T")
_KEPT_FILES = 2
"""Of each name: the one in use, and the one before it for a process that is just starting."""


def kept(folder: Path, name: str, fingerprint: str, kind: type[T], make: Callable[[], T]) -> T:
    """The thing of that fingerprint, read from `folder` or made and put there; of several processes one makes it.

    `folder` must be our own: nobody else may write to it."""
    path = folder / f"{name}-{fingerprint}.pickle"
    found = _read(path, kind)
    if found is not None:
        return found
    with _alone(folder / f"{name}.lock"):
        found = _read(path, kind)
        if found is None:
            found = make()
            _write(path, found, name)
    return found


def _read(path: Path, kind: type[T]) -> T | None:
    collecting = gc.isenabled()
    gc.disable()  # it would walk through all that was read so far, again and again
    try:
        found = pickle.loads(path.read_bytes())  # noqa: S301 - our own file, in a folder only we can write to
    except FileNotFoundError:
        return None
    except Exception as error:  # a torn or foreign file can fail in any way; making it again always works
        log.warning("%s cannot be used (%s), it is made again", path.name, type(error).__name__)
        return None
    finally:
        if collecting:
            gc.enable()
    return found if isinstance(found, kind) else None


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Where no file can be written it goes on without: then nothing can be kept either."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(path.open("w"))
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(path: Path, made: object, name: str) -> None:
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".new", delete=False) as file:
            file.write(pickle.dumps(made, protocol=pickle.HIGHEST_PROTOCOL))
        os.replace(file.name, path)
        files = sorted(path.parent.glob(f"{name}-*.pickle"), key=lambda one: one.stat().st_mtime, reverse=True)
        for old in files[_KEPT_FILES:]:
            old.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s could not be kept for the next start (%s)", name, type(error).__name__)
