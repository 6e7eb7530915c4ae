"""The embedded server against what really happens to one: kills, left-over files, odd folders, full disks."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from backend import postgres
from backend.postgres_setup import SETTINGS, THROW_AWAY_SETTINGS, failure
from backend.progress import StartError

SECRET = "parola-che-nessuno-deve-leggere"


start = partial(postgres.start, settings=THROW_AWAY_SETTINGS)  # quick also on a busy disk; the rest is the same


def wait_until(true: Callable[[], bool], seconds: float = 15) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "did not happen in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Not one of those that wait for somebody to take note of their end."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def make_folder() -> Path:
    """Not pytest's own: that is closed to the user who runs the server when the tests run as root."""
    return Path(tempfile.mkdtemp(prefix=postgres.TEMPORARY_PREFIX, dir="/tmp"))


@pytest.fixture(scope="module")
def shared_folder() -> Iterator[Path]:
    folder = make_folder()
    yield folder
    shutil.rmtree(folder)


def copy_cluster(data_dir: Path, to: Path) -> Path:
    """A second installation, without the second that an empty database takes."""
    to.mkdir(exist_ok=True)
    subprocess.run(["cp", "-a", str(data_dir / "postgres"), str(to)], check=True)
    return to


@pytest.fixture
def data_dir(shared_folder: Path) -> Iterator[Path]:
    """Made once, because an empty database takes a second; whatever a test leaves running is ended."""
    yield shared_folder
    if found := postgres.find_postmaster(shared_folder / "postgres"):
        os.kill(found.pid, signal.SIGKILL)
        wait_until(lambda: postgres.find_postmaster(shared_folder / "postgres") is None)


def start_and_get_killed(data_dir: Path) -> int:
    """A program that starts a server there and is killed; the process id of the server it leaves behind."""
    code = (
        "from pathlib import Path; from backend import postgres; import os, sys\n"
        "from backend.postgres_setup import THROW_AWAY_SETTINGS as quick\n"
        "server = postgres.start(Path(sys.argv[1]), settings=quick)\n"
        "print(server.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(data_dir)], stdout=subprocess.PIPE, text=True, check=False)
    return int(done.stdout)


def ask(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
        return row and row[0]


def test_a_server_keeps_what_was_written_and_leaves_no_process(data_dir: Path) -> None:
    server = start(data_dir)
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('però')")
    server.stop()
    assert not is_alive(server.pid)

    server = start(data_dir)
    assert ask(server.url, "SELECT word FROM kept") == "però"
    server.stop()


def test_the_application_is_no_superuser_and_reached_by_no_network(data_dir: Path) -> None:
    server = start(data_dir)
    try:
        assert ask(server.url, "SELECT current_user || current_database()") == "elpelp"
        assert ask(server.url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
        assert ask(server.url, "SHOW listen_addresses") == ""
        assert (data_dir / "postgres").stat().st_mode & 0o077 == 0
    finally:
        server.stop()


def test_what_people_write_is_durable(data_dir: Path) -> None:
    server = postgres.start(data_dir)
    try:
        assert [ask(server.url, f"SHOW {name}") for name in ("fsync", "synchronous_commit")] == ["on", "on"]
    finally:
        server.stop()
    with postgres.temporary(durable=True) as measured:
        assert ask(measured.url, "SHOW fsync") == "on"


def test_an_administrator_s_own_setting_wins(data_dir: Path) -> None:
    server = start(data_dir)
    with psycopg.connect(server.admin_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET work_mem = '9MB'")
    server.stop()
    server = start(data_dir)
    try:
        assert ask(server.url, "SHOW work_mem") == "9MB"
    finally:
        server.stop()


def test_a_server_left_by_a_killed_run_is_taken_over(data_dir: Path) -> None:
    pid = start_and_get_killed(data_dir)
    server = start(data_dir)
    assert (server.pid, server.adopted) == (pid, True)
    server.stop()
    assert not is_alive(pid)


def test_a_server_whose_folder_was_moved_is_taken_over_all_the_same(data_dir: Path) -> None:
    start(data_dir).stop()
    old, new = make_folder(), make_folder()
    pid = start_and_get_killed(copy_cluster(data_dir, old))
    (old / "postgres").rename(new / "postgres")
    server = start(new)
    try:
        assert not is_alive(pid), "two servers on the same data"
        assert ask(server.url, "SELECT 1") == 1
    finally:
        server.stop()
        shutil.rmtree(old)
        shutil.rmtree(new)


def test_a_killed_server_recovers_what_was_committed(data_dir: Path) -> None:
    server = postgres.start(data_dir)
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS survivors (n int)")
        connection.execute("INSERT INTO survivors VALUES (1)")
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: not server.is_running())
    server.stop()

    server = postgres.start(data_dir)
    try:
        assert not server.adopted
        assert ask(server.url, "SELECT count(*) FROM survivors") == 1
    finally:
        server.stop()


def test_a_left_over_file_with_somebody_else_s_process_id_is_no_obstacle(data_dir: Path) -> None:
    start(data_dir).stop()
    with subprocess.Popen(["sleep", "60"]) as other:
        left = f"{other.pid}\n{data_dir}/postgres\n1\n5432\n{data_dir}/postgres\n\n1 1\nready\n"
        (data_dir / "postgres" / "postmaster.pid").write_text(left)
        try:
            server = start(data_dir)
            server.stop()
            assert other.poll() is None, "the other program was harmed"
        finally:
            other.kill()


@pytest.mark.parametrize("content", ["", "abc\n", "999999999\n"])
def test_a_damaged_left_over_file_is_no_obstacle(data_dir: Path, content: str) -> None:
    start(data_dir).stop()
    (data_dir / "postgres" / "postmaster.pid").write_text(content)
    start(data_dir).stop()


def test_the_last_program_that_uses_a_server_stops_it(data_dir: Path) -> None:
    one, other = start(data_dir), start(data_dir)
    one.stop()
    assert ask(other.url, "SELECT 1") == 1
    other.stop()
    other.stop()
    assert not other.is_running()


def test_those_who_start_at_the_same_moment_share_one_server() -> None:
    folder = make_folder()
    with ThreadPoolExecutor(3) as pool:
        servers = list(pool.map(start, [folder] * 3))
        pids = {server.pid for server in servers}
        list(pool.map(postgres.EmbeddedServer.stop, servers))
    shutil.rmtree(folder)
    assert len(pids) == 1
    assert not is_alive(pids.pop())


@pytest.mark.parametrize("name", ["with spaces, and 'commas\"", "long" * 30])
def test_any_folder_name_will_do(data_dir: Path, name: str) -> None:
    start(data_dir).stop()
    server = start(copy_cluster(data_dir, data_dir / name))
    try:
        assert ask(server.url, "SELECT 1") == 1
    finally:
        server.stop()
    assert not server.is_running()
    socket_dir = conninfo_to_dict(server.url)["host"]
    assert socket_dir == str(server.folder) or not Path(str(socket_dir)).exists()


def test_logs_hold_nothing_that_people_write(data_dir: Path) -> None:
    server = start(data_dir)
    attempts = (
        ("CREATE TABLE IF NOT EXISTS secrets (word text PRIMARY KEY, CHECK (length(word) < 40))", None),
        ("INSERT INTO secrets VALUES (%s)", (SECRET,)),
        ("INSERT INTO secrets VALUES (%s)", (SECRET,)),
        ("INSERT INTO secrets VALUES (%s)", (SECRET * 2,)),
        ("SELECT %s::int", (SECRET,)),
        ("SELECT %s::json", (SECRET,)),
        (f"SELECT '{SECRET}' FROM nowhere", None),
        (f"{SECRET}", None),
    )
    failed = 0
    with psycopg.connect(server.url, autocommit=True) as connection:
        for statement, parameters in attempts:
            try:
                connection.execute(statement, parameters)  # type: ignore[call-overload]
            except psycopg.Error:
                failed += 1
    server.stop()
    log = (data_dir / "logs" / "postgres.log").read_text()
    assert failed == 6
    assert SECRET not in log
    assert "ready to accept connections" in log


def test_a_folder_of_another_major_version_is_refused_in_one_sentence(data_dir: Path) -> None:
    start(data_dir).stop()
    version = data_dir / "postgres" / "PG_VERSION"
    version.write_text("16\n")
    try:
        with pytest.raises(StartError, match="was made by PostgreSQL 16; this version runs PostgreSQL 18"):
            start(data_dir)
    finally:
        version.write_text("18\n")


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    folder = make_folder()
    (folder / "postgres").mkdir()
    (folder / "postgres" / "thesis.txt").write_text("the only copy")
    try:
        with pytest.raises(StartError, match="is not empty and holds no database"):
            start(folder)
        assert (folder / "postgres" / "thesis.txt").exists()
    finally:
        shutil.rmtree(folder)


def test_a_setting_it_cannot_use_is_one_sentence(data_dir: Path) -> None:
    start(data_dir).stop()
    with pytest.raises(StartError, match=r"does not start: .*FATAL.*More in") as refused:
        postgres.start(data_dir, settings=SETTINGS + "nonsense = 1\n")
    assert "\n" not in str(refused.value)
    assert postgres.find_postmaster(data_dir / "postgres") is None


def test_a_full_disk_is_one_sentence() -> None:
    folder = make_folder()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m,mode=755", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        shutil.rmtree(folder)
        pytest.skip("needs the right to mount a small disk")
    try:
        with pytest.raises(StartError, match="disk is full") as refused:
            start(folder)
        assert "\n" not in str(refused.value)
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        shutil.rmtree(folder)


def test_what_the_server_says_of_a_full_disk_is_understood(tmp_path: Path) -> None:
    log = 'PANIC:  could not write to file "pg_wal/xlogtemp.1": No space left on device'
    assert "The disk is full" in str(failure(log, tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts the server as another user")
def test_as_root_no_folder_that_is_not_ours_is_opened() -> None:
    private = make_folder()
    private.chmod(0o700)
    try:
        with pytest.raises(StartError, match=f"may not enter {private}"):
            start(private / "elp")
        assert private.stat().st_mode & 0o777 == 0o700
    finally:
        shutil.rmtree(private)


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "raise SystemExit(1)"])
def test_a_throw_away_server_ends_with_its_process(end: str) -> None:
    code = (
        "import json, os, psycopg\nfrom backend import postgres\n"
        "with postgres.temporary() as s, psycopg.connect(s.url) as c:\n"
        "    fsync = c.execute('SHOW fsync').fetchone()[0]\n"
        f"    print(json.dumps([s.pid, str(s.folder.parent), fsync]), flush=True)\n    {end}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False)
    pid, folder, fsync = json.loads(done.stdout)
    wait_until(lambda: not is_alive(pid) and not Path(folder).exists())
    assert fsync == "off", "a throw-away server has nothing to lose and should be quick"


def test_the_next_start_clears_away_what_a_killed_watchdog_left(data_dir: Path) -> None:
    start(data_dir).stop()
    left, used = copy_cluster(data_dir, make_folder()), copy_cluster(data_dir, make_folder())
    orphan = start_and_get_killed(left)
    in_use = start(used)
    for folder in (left, used):
        os.utime(folder, (0, 0))
    try:
        postgres.clean_up_temporary()
        assert not left.exists()
        assert not is_alive(orphan)
        assert ask(in_use.url, "SELECT 1") == 1
    finally:
        in_use.stop()
        shutil.rmtree(used)
