"""What starting tells a person: one line per step, capped log files, and the error that is a sentence."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

Report = Callable[[str], None]
LOG_LIMIT = 5_000_000
_FIRST_BEAT, _BEAT = 15.0, 60.0


class StartError(Exception):
    """Something a person has to put right; the message is the sentence that the command line prints."""


class Stopped(KeyboardInterrupt):
    """Somebody asked to stop. A KeyboardInterrupt, because asyncio swallows every other one inside a callback."""


def no_report(_: str) -> None:
    """For callers that do not show progress."""


def check_stopping(stopping: threading.Event | None) -> None:
    if stopping is not None and stopping.is_set():
        raise Stopped


class RunningStep:
    """Called with a text it shows what is being done now; `result` is what stands in the finished line."""

    def __init__(self, name: str, number: int) -> None:
        self.name, self.number = name, number
        self.detail = ""
        self.result: str | None = None
        self.began = time.monotonic()
        self.next_beat = _FIRST_BEAT

    def __call__(self, detail: str) -> None:
        self.detail = detail

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


class Progress:
    """Steps on `out`: a running clock on a terminal, plain lines elsewhere. Steps may run in several threads."""

    def __init__(self, total: int, *, out: TextIO | None = None) -> None:
        self.total = total
        self._out = sys.stdout if out is None else out
        self._running: list[RunningStep] = []
        self._begun = 0
        self._lock = threading.RLock()
        self._live: Live | None = None
        self._idle = threading.Event()

    @contextmanager
    def step(self, name: str) -> Iterator[RunningStep]:
        step = self._begin(name)
        try:
            yield step
        except BaseException as error:
            word = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
            self._finish(step, "✗", f"{word} after {duration(step.seconds)}")
            raise
        took = duration(step.seconds)
        self._finish(step, "●", f"{step.result} ({took})" if step.result else f"ready in {took}")

    def done(self, name: str, seconds: float) -> None:
        """The line of a step that was waited for elsewhere."""
        with self._lock:
            self._begun += 1
            step = RunningStep(name, self._begun)
            self.say(f"● {self._label(step)} … ready in {duration(seconds)}")

    def say(self, text: str) -> None:
        """A line of its own. A terminal that went away is no reason to stop serving people."""
        with self._lock, suppress(OSError, ValueError):
            if self._live is not None:
                self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
            else:
                self._out.write(_printable(text + "\n", self._out))
                self._out.flush()

    def _begin(self, name: str) -> RunningStep:
        with self._lock:
            self._begun += 1
            step = RunningStep(name, self._begun)
            self._running.append(step)
            if len(self._running) == 1:
                self._show_clock()
            return step

    def _finish(self, step: RunningStep, mark: str, result: str) -> None:
        with self._lock:
            self._running.remove(step)
            if not self._running:
                self._hide_clock()
            self.say(f"{mark} {self._label(step)} … {result}")

    def _label(self, step: RunningStep) -> str:
        return f"{step.number} of {max(self.total, self._begun)} · {step.name}"

    def _show_clock(self) -> None:
        if self._out.isatty() and os.environ.get("TERM") != "dumb":
            self._live = _live(self._out, self._clock)
            self._live.start()
        else:
            self._idle = threading.Event()
            threading.Thread(target=self._beat, args=(self._idle,), daemon=True).start()

    def _hide_clock(self) -> None:
        self._idle.set()
        if self._live is not None:
            live, self._live = self._live, None
            with suppress(OSError, ValueError):
                live.stop()

    def _clock(self) -> "Text":
        from rich.text import Text  # rich takes 50 ms to import and is of use on a terminal only

        with self._lock:
            return Text("\n".join(self._still(step, "○") for step in self._running), overflow="ellipsis", no_wrap=True)

    def _still(self, step: RunningStep, mark: str) -> str:
        detail = f" · {step.detail}" if step.detail else ""
        return f"{mark} {self._label(step)} … {duration(step.seconds)}{detail}"

    def _beat(self, idle: threading.Event) -> None:
        """In a plain log a long step says now and then that it is still at work."""
        while not idle.wait(1.0):
            with self._lock:
                for step in self._running:
                    if step.seconds >= step.next_beat:
                        step.next_beat += _BEAT
                        self.say(self._still(step, " "))


def _live(out: TextIO, render: Callable[[], "Text"]) -> "Live":
    from rich.console import Console
    from rich.live import Live

    return Live(console=Console(file=out), get_renderable=render, refresh_per_second=4, transient=True)


def duration(seconds: float) -> str:
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _printable(text: str, out: TextIO) -> str:
    """A terminal that knows no ● or … gets something plainer instead of an error."""
    encoding = out.encoding or "utf-8"
    try:
        text.encode(encoding)
        return text
    except UnicodeEncodeError:
        plain = text.translate({ord("●"): "*", ord("○"): "-", ord("✗"): "x", ord("…"): "...", ord("·"): "-"})
        return plain.encode(encoding, "replace").decode(encoding)


def open_log(path: Path) -> IO[bytes]:
    """For the output of a child: appended to directly, so that a child outlives or survives whoever started it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    cap_log(path)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb", buffering=0)


def cap_log(path: Path, limit: int = LOG_LIMIT) -> None:
    """Keeps at most two files of `limit` bytes. Emptied in place: the writer holds the file open, in append mode."""
    try:
        if path.stat().st_size <= limit:
            return
    except FileNotFoundError:
        return
    older = path.with_suffix(path.suffix + ".1")
    with suppress(OSError):  # on a full disk the older lines are given up; the file must shrink all the same
        older.touch(mode=0o600)
        older.write_bytes(tail(path, limit))
    os.truncate(path, 0)


def tail(path: Path, size: int, start: int = 0) -> bytes:
    """The last `size` bytes of a file, not reaching before `start`; nothing when there is no file."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(start, end - size, 0))
            return file.read(size)
    except FileNotFoundError:
        return b""
