"""`elp run`: one foreground program that prepares this machine, starts everything, watches it and stops it."""

import contextlib
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Protocol, TextIO

from pydantic import SecretStr

from backend import install, postgres
from backend.children import Child, Service
from backend.config import ROOT, Settings
from backend.machine import check_database, check_disk, check_port, free_port, is_open, is_ready, only_one
from backend.progress import Progress, Report, StartError, Stopped, cap_log, check_stopping

READY_LIMIT = 180.0  # seconds until the web must answer
DATABASE_PAUSE = 10.0  # seconds
WEB, WORKER, NLU = "web", "worker", "nlu"


@dataclass(frozen=True)
class Step:
    """Done once, when the database is there and before anything serves; may return what stands in its line."""

    name: str
    run: Callable[[Settings], str | None]


class Preparation(Protocol):
    def __call__(self, data_dir: Path, *, report: Report, stopping: threading.Event) -> object: ...


@dataclass(frozen=True)
class Understanding:
    """How the language understanding is prepared and served; the tests give small fakes."""

    environment: Preparation
    model: Preparation
    is_prepared: Callable[[Path], bool]
    command: Callable[[Path, int], tuple[str, ...]]


def rasa_command(data_dir: Path, port: int) -> tuple[str, ...]:
    """One Rasa process, which also ends by itself when its parent is gone."""
    program = (str(install.nlu_python(data_dir)), str(ROOT / "nlu" / "serve.py"))
    model = str(install.nlu_model_file(data_dir))
    return (*program, "--model", model, "--host", "127.0.0.1", "--port", str(port), "--exit-with-parent")


RASA = Understanding(install.nlu_environment, install.nlu_model, install.is_nlu_prepared, rasa_command)
SERVICES = (
    Service(WEB, (sys.executable, "-m", "backend.main")),
    Service(WORKER, (sys.executable, "-m", "backend.worker")),
)


def with_telegram_demo(settings: Settings) -> tuple[Settings, Service]:
    """Settings whose worker talks to a Telegram on this machine, and the program that plays it, with a page at
    `telegram_api_url`. A real bot is left alone. Raises StartError."""
    port = settings.port + 1
    check_port("127.0.0.1", port)
    address = f"http://127.0.0.1:{port}"
    token = SecretStr(f"1:{secrets.token_urlsafe(32)}")  # so that no other page in the browser can play the bot
    changes = {"telegram_token": token, "telegram_api_url": address, "telegram_mode": "polling"}
    command = (sys.executable, "-m", "backend.telegram_stand_in", "--port", str(port))
    return settings.model_copy(update=changes), Service("telegram", command, needed=False)


def no_announcement(_: Settings) -> Iterable[str]:
    return ()


def run(
    settings: Settings,
    *,
    steps: Sequence[Step] = (),
    services: Sequence[Service] = SERVICES,
    frontend: Preparation | None = install.frontend,
    understanding: Understanding | None = RASA,
    announce: Callable[[Settings], Iterable[str]] = no_announcement,
    out: TextIO | None = None,
) -> int:
    """Runs until Ctrl-C, SIGTERM or SIGHUP, then stops everything it started and returns 0. Raises StartError.

    `services` are started together and stopped in their order; the one named web is asked for `/readyz`. `announce`
    gives the lines that follow the address. With `settings.nlu_url` no language understanding is started here, with
    `settings.database_url` no database.
    """
    if settings.nlu_url:
        understanding = None
    total = 2 + len(steps) + bool(frontend) + 3 * bool(understanding)
    with only_one(settings.data_dir), Signals() as signals:
        program = _Program(settings, signals, Progress(total, out=out))
        try:
            program.prepare(steps, frontend, understanding)
            program.start(services, announce)
            program.watch()
        except Stopped:
            pass
        finally:
            program.stop()
        program.progress.say("stopped")
        return 0


class Signals:
    """Turns Ctrl-C, SIGTERM and SIGHUP into an event; the second one means: do not wait any longer.

    Only inside `interruptible()` does a signal raise. Anywhere else it could strike between the start of a process
    and the line that remembers it.
    """

    def __init__(self) -> None:
        self.stopping, self.hurry = threading.Event(), threading.Event()
        self._raising = False
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup keeps us running
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self.stopping.is_set():
            self.hurry.set()
        self.stopping.set()
        if self._raising:
            self._raising = False
            raise Stopped

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        self._raising = True
        try:
            check_stopping(self.stopping)
            yield
        finally:
            self._raising = False

    def wait(self, seconds: float) -> None:
        """A pause that ends with Stopped when somebody asks to stop."""
        self.stopping.wait(seconds)
        check_stopping(self.stopping)


class _Program:
    def __init__(self, settings: Settings, signals: Signals, progress: Progress) -> None:
        self.settings, self.signals, self.progress = settings, signals, progress
        self.began = time.monotonic()
        self.database: postgres.EmbeddedServer | None = None
        self.children: list[Child] = []
        self.pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="install")
        self.understanding: Understanding | None = None
        self.prepared: Future[bool] | None = None
        self.database_due = 0.0
        self.nlu_port = 0
        self.nlu_began: float | None = None

    # --- preparing ---

    def prepare(self, steps: Sequence[Step], frontend: Preparation | None, understanding: Understanding | None) -> None:
        """The installations run beside the database's start. A model that is there is brought up to date later on."""
        data_dir = self.settings.data_dir
        check_port(self.settings.host, self.settings.port)
        check_disk(data_dir)
        libraries = self.pool.submit(self._install, "front-end libraries", frontend) if frontend else None
        if understanding:
            self.understanding = understanding
            self.prepared = self.pool.submit(self._prepare_understanding, understanding)
        self._open_database()
        for step in steps:
            with self.progress.step(step.name) as line, self.signals.interruptible():
                line.result = step.run(self.settings)
        if libraries and not self._result(libraries):
            self.progress.say("Pages work without live updates until they can be installed.")
        if understanding and self.prepared and not understanding.is_prepared(data_dir):
            self._result(self.prepared)

    def _install(self, name: str, preparation: Preparation) -> bool:
        """Whether it worked. What fails here makes the service poorer, not impossible."""
        try:
            with self.progress.step(name) as line:
                preparation(self.settings.data_dir, report=line, stopping=self.signals.stopping)
            return True
        except StartError as error:
            self.progress.say(str(error))
            return False

    def _prepare_understanding(self, understanding: Understanding) -> bool:
        both = (("language understanding", understanding.environment), ("language model", understanding.model))
        if all(self._install(name, preparation) for name, preparation in both):
            return True
        self.progress.say("Until then the assistant answers by search and buttons alone.")
        return False

    def _result(self, future: Future[bool]) -> bool:
        while not future.done():
            self.signals.wait(0.05)
        return future.result()

    def _open_database(self) -> None:
        with self.progress.step("database") as line:
            if self.settings.database_url:
                with self.signals.interruptible():
                    check_database(self.settings.database_url)
                return
            self.database = postgres.start(self.settings.data_dir, report=line, stopping=self.signals.stopping)
            self.settings = self.settings.model_copy(update={"database_url": self.database.url})

    # --- serving ---

    def start(self, services: Sequence[Service], announce: Callable[[Settings], Iterable[str]]) -> None:
        if self.prepared and not (self.prepared.done() and not self.prepared.result()):
            self.nlu_port = free_port()
            self.settings = self.settings.model_copy(update={"nlu_url": f"http://127.0.0.1:{self.nlu_port}"})
        with self.progress.step(" and ".join(service.name for service in services)):
            for service in services:
                self._start_child(service, self._environment())
            if any(service.name == WEB for service in services):
                self._wait_for_web()
        took = time.monotonic() - self.began
        self.progress.say(
            f"\nThe ELP Assistant answers at {self.settings.address} (after {took:.1f} s; Ctrl-C stops it)"
        )
        with self.signals.interruptible():
            for line in announce(self.settings):
                self.progress.say(line)

    def _environment(self) -> dict[str, str]:
        token = self.settings.telegram_token
        ours = {
            "ELP_DATABASE_URL": self.settings.database_url,
            "ELP_NLU_URL": self.settings.nlu_url,
            "ELP_DATA_DIR": str(self.settings.data_dir),
            "ELP_HOST": self.settings.host,
            "ELP_PORT": str(self.settings.port),
            "ELP_TELEGRAM_TOKEN": token.get_secret_value() if token else None,
            "ELP_TELEGRAM_API_URL": self.settings.telegram_api_url,
            "ELP_TELEGRAM_MODE": self.settings.telegram_mode,
            "PYTHONUNBUFFERED": "1",
        }
        return os.environ | {name: value for name, value in ours.items() if value}

    def _start_child(self, service: Service, environment: dict[str, str]) -> Child:
        child = Child(service, environment, self.settings.data_dir / "logs", self.progress.say)
        self.children.append(child)
        child.start()
        return child

    def _wait_for_web(self) -> None:
        until = time.monotonic() + READY_LIMIT
        while not is_ready(self.settings.host, self.settings.port):
            self.signals.wait(0.05)
            self._tend()
            if time.monotonic() > until:
                log = self.settings.data_dir / "logs" / "web.log"
                raise StartError(f"The web server does not get ready within {READY_LIMIT / 60:.0f} minutes; see {log}.")
        for child in self.children:
            child.settle()

    def watch(self) -> None:
        """Without end. Signals are looked at between the rounds."""
        next_capping = time.monotonic()
        while True:
            self.signals.wait(0.2)
            self._tend()
            if time.monotonic() >= next_capping:
                next_capping = time.monotonic() + 10
                for child in self.children:
                    child.cap_log()
                cap_log(self.settings.data_dir / "logs" / "postgres.log")

    def _tend(self) -> None:
        self._tend_database()
        self._tend_understanding()
        for child in self.children:
            child.watch()

    def _tend_database(self) -> None:
        """A server that died (out of memory, say) comes back at the same address."""
        if self.database is None or self.database.is_running() or time.monotonic() < self.database_due:
            return
        if not self.database_due:
            self.progress.say("The database ended; it is started again.")
        try:
            self.database.stop()
            self.database = postgres.start(self.settings.data_dir, stopping=self.signals.stopping)
            self.database_due = 0.0
        except StartError as error:  # a full disk is made room on; those who write meanwhile get an honest answer
            if not self.database_due:
                self.progress.say(f"{error} It is tried again every {DATABASE_PAUSE:.0f} s.")
            self.database_due = time.monotonic() + DATABASE_PAUSE

    def _tend_understanding(self) -> None:
        if self.understanding and self.prepared and self.prepared.done():
            if self.nlu_port and self.prepared.result():
                command = self.understanding.command(self.settings.data_dir, self.nlu_port)
                self._start_child(Service(NLU, command, needed=False), os.environ.copy())
                self.nlu_began = time.monotonic()
            self.prepared = None
        if self.nlu_began is not None and is_open(self.nlu_port):
            self.progress.done("language understanding serves", time.monotonic() - self.nlu_began)
            self.nlu_began = None

    # --- stopping ---

    def stop(self) -> None:
        """In order, so that nobody loses what they still need: those who serve first, the database last."""
        self.signals.stopping.set()
        for child in self.children:
            child.stop(self.signals.hurry)
        self.pool.shutdown(wait=True)
        if self.database is not None:
            self.database.stop(patience=0 if self.signals.hurry.is_set() else 10)
