"""Child processes of `elp run`: started in groups of their own, started again when they die, never left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from backend.config import ROOT
from backend.progress import StartError, cap_log, open_log, tail

QUICK_DEATH = 10.0  # seconds: whoever dies sooner has not really started
LONGEST_PAUSE = 30.0
# Asks the kernel to kill the child when we die, by whatever means, then becomes the child. Done by a program of its
# own because running Python between fork and exec is not safe in a program with threads. 1 is PR_SET_PDEATHSIG.
LAUNCHER = """
import os, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True)
class Service:
    """A program to keep running. Without one that is not `needed` the others still serve people."""

    name: str
    command: tuple[str, ...]
    needed: bool = True


class Child:
    """One service at work. Only the main thread may start it: it dies with the thread that started it."""

    def __init__(
        self, service: Service, environment: Mapping[str, str], log_dir: Path, say: Callable[[str], None]
    ) -> None:
        self.service = service
        self.log_path = log_dir / f"{service.name}.log"
        self._environment = dict(environment)
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._began = 0.0
        self._due = 0.0
        self._deaths = 0
        self._settled = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        launcher = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(os.getpid())]
        with open_log(self.log_path) as log:
            self._log_start = log.seek(0, os.SEEK_END)
            self._process = subprocess.Popen(
                [*launcher, *self.service.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=ROOT,
                start_new_session=True,
            )
        self._began = time.monotonic()

    def watch(self) -> None:
        """Called often. Starts a dead child again after a pause; raises StartError if it never once got going."""
        now = time.monotonic()
        if self._process is None:
            if now >= self._due:
                self.start()
            return
        code = self._process.poll()
        if code is None:
            self._settled = self._settled or now - self._began > QUICK_DEATH
            return
        self._clear()
        self._deaths = self._deaths + 1 if now - self._began <= 2 * LONGEST_PAUSE else 1
        if self.service.needed and not self._settled and self._deaths >= 3:
            raise StartError(self._never_started())
        pause = min(2.0 ** (self._deaths - 1), LONGEST_PAUSE)
        self._due = now + pause
        self._tell(f"{self.service.name} ended ({_reason(code)}); it is started again in {pause:.0f} s.")

    def settle(self) -> None:
        """It has done its work once: from now on its deaths are accidents, not a broken installation."""
        self._settled = True

    def stop(self, hurry: threading.Event, patience: float = 10.0) -> None:
        """Asks, waits, then ends it with everything it started."""
        if self._process is None:
            return
        self._process.terminate()
        until = time.monotonic() + patience
        while self._process.poll() is None and time.monotonic() < until and not hurry.is_set():
            time.sleep(0.02)
        self._clear()

    def cap_log(self) -> None:
        cap_log(self.log_path)

    def _clear(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):  # macOS: not permitted when only a zombie is left
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _tell(self, line: str) -> None:
        """What is not needed and keeps failing is not worth a line every half minute."""
        if self.service.needed or self._deaths < 3:
            self._say(line)
        elif self._deaths == 3:
            self._say(f"{line} It is tried on and on; its log is {self.log_path}.")

    def _never_started(self) -> str:
        log = tail(self.log_path, 4_000, self._log_start).decode(errors="replace")
        lines = "".join(f"\n  {line}" for line in log.rstrip().splitlines()[-10:])
        return f"{self.service.name} does not start: it ended {self._deaths} times. The end of {self.log_path}:{lines}"


def _reason(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"
