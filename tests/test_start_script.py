"""`./elp` in checkouts of its own, with a stand-in for uv that installs nothing but a small program."""

import functools
import hashlib
import http.server
import io
import os
import platform
import pty
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "elp"
NOBODY = 65534
IS_ROOT = os.geteuid() == 0

UV = """#!/bin/sh
[ "$1" = --version ] && { echo "uv 0.9.1"; exit 0; }
echo "$*" >> "$CALLS"
[ -f "$CALLS.untrusted" ] && [ -z "${UV_SYSTEM_CERTS:-}" ] && { echo "invalid peer certificate: Unknown"; exit 2; }
[ -f "$CALLS.fail" ] && { cat "$CALLS.fail"; exit 2; }
mkdir -p "$UV_PROJECT_ENVIRONMENT/bin"
ln -sf /bin/sh "$UV_PROJECT_ENVIRONMENT/bin/python"
echo 'echo "elp $* in $(pwd) with $ELP_DATA_DIR"' > "$UV_PROJECT_ENVIRONMENT/bin/elp"
"""
REFUSES = "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n"
TOOLS = ("awk", "basename", "cat", "cksum", "cut", "dirname", "env", "grep", "id", "ln", "ls", "mkdir", "readlink")
TOOLS += ("rm", "sh", "sleep", "tail")


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


class Machine:
    """A checkout, a home and the programs on the PATH; as root also somebody who is not root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkout = folder / "checkout"
        self.home = folder / "home"
        self.tools = folder / "tools"
        self.calls = folder / "calls"
        for made in (self.checkout, self.home, self.tools):
            made.mkdir()
        for name in TOOLS:
            self.tools.joinpath(name).symlink_to(shutil.which(name) or f"/bin/{name}")
        shutil.copy(SCRIPT, self.checkout)
        for name in ("uv.lock", "pyproject.toml"):
            (self.checkout / name).write_text("first")
        self.path = [self.tools]
        self.settings: dict[str, str] = {}
        self.user: int | None = None

    def add_uv(self) -> "Machine":
        program(self.folder / "uv-folder" / "uv", UV)
        self.path.insert(0, self.folder / "uv-folder")
        return self

    def add_python(self, text: str | None = None) -> "Machine":
        python = program(self.tools / "python3", text or f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        assert python.exists()
        return self

    def run(
        self, *arguments: str, script: Path | str | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": ":".join(map(str, self.path)), "HOME": str(self.home), "CALLS": str(self.calls)}
        environment |= self.settings
        return subprocess.run(
            [script or self.checkout / "elp", *arguments],
            capture_output=True,
            text=True,
            cwd=cwd or "/",
            env=environment,
            user=self.user,
            check=False,
            timeout=60,
        )

    @property
    def uv_calls(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
def machine() -> Iterator[Machine]:
    """Not in pytest's own folder, which is closed to others: as root that would matter."""
    folder = Path(tempfile.mkdtemp(prefix="elp-test-start-", dir="/tmp"))
    folder.chmod(0o755)
    yield Machine(folder)
    shutil.rmtree(folder)


def test_it_installs_once_says_so_and_then_only_starts(machine: Machine) -> None:
    machine.add_uv().add_python()
    first = machine.run("hello", "two words")
    data = machine.checkout / ".elp"
    assert first.stdout == f"elp hello two words in / with {data}\n"
    assert first.stderr.startswith(f"Installing the dependencies into {data}")
    assert machine.uv_calls[0].startswith(f"sync --frozen --inexact --project {machine.checkout} --no-dev")

    second = machine.run("hello")
    assert (second.stdout, second.stderr) == (f"elp hello in / with {data}\n", "")
    assert len(machine.uv_calls) == 1


def test_it_installs_again_when_the_lock_file_changed(machine: Machine) -> None:
    machine.add_uv().add_python().run()
    (machine.checkout / "uv.lock").write_text("second")
    assert machine.run().stderr.startswith("Updating the dependencies")
    assert len(machine.uv_calls) == 2


def test_tests_and_checks_get_their_tools_and_running_keeps_them(machine: Machine) -> None:
    machine.add_uv().add_python().run("run")
    machine.run("test")
    assert "--no-dev" in machine.uv_calls[0]
    assert "--no-dev" not in machine.uv_calls[1]
    machine.run("check")
    machine.run("run")
    assert len(machine.uv_calls) == 2


def test_an_interpreter_that_went_away_means_installing_again(machine: Machine) -> None:
    machine.add_uv().add_python().run()
    python = machine.checkout / ".elp" / "venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    assert machine.run("hello").stdout.startswith("elp hello")


def test_a_checkout_that_was_moved_gets_an_environment_for_its_new_place(machine: Machine) -> None:
    machine.add_uv().add_python().run()
    marker = machine.checkout / ".elp" / "venv" / "names-its-old-place"
    marker.touch()
    machine.checkout = machine.checkout.rename(machine.folder / "moved here")
    assert machine.run("hello").stdout == f"elp hello in / with {machine.checkout}/.elp\n"
    assert not (machine.checkout / ".elp" / "venv" / "names-its-old-place").exists()


@pytest.mark.parametrize("name", ["a folder with spaces", "ümlaut & 'quote'"])
def test_any_folder_any_current_folder_and_a_link_will_do(machine: Machine, name: str) -> None:
    machine.add_uv().add_python()
    machine.checkout = machine.checkout.rename(machine.folder / name)
    expected = f"elp hello in {machine.home} with {machine.checkout}/.elp\n"
    (machine.folder / "link").symlink_to(machine.checkout / "elp")
    (machine.home / "link").symlink_to("../link")
    for script in (machine.checkout / "elp", Path("link"), Path("..") / name / "elp"):
        path = script if script.is_absolute() else machine.home / script
        assert machine.run("hello", script=path, cwd=machine.home).stdout == expected
    machine.path.append(machine.checkout)
    assert machine.run("-c", "elp hello", script="sh", cwd=machine.home).stdout == expected
    inside = machine.run("elp", "hello", script="sh", cwd=machine.checkout)
    assert inside.stdout == f"elp hello in {machine.checkout} with {machine.checkout}/.elp\n"


def test_the_data_folder_can_be_chosen(machine: Machine) -> None:
    machine.add_uv().add_python().settings["ELP_DATA_DIR"] = "my data"
    assert machine.run("hi", cwd=machine.home).stdout == f"elp hi in {machine.home} with {machine.home}/my data\n"


@pytest.mark.skipif(not IS_ROOT, reason="needs two users")
def test_in_somebody_else_s_checkout_the_data_go_home(machine: Machine) -> None:
    machine.add_uv().add_python().run()
    os.chown(machine.home, NOBODY, NOBODY)
    machine.calls.unlink()
    machine.calls = machine.home / "calls"
    machine.user = NOBODY
    told = machine.run("hello")
    assert told.stdout.startswith(f"elp hello in / with {machine.home}/.local/share/elp/checkout-"), told.stderr
    data = next((machine.home / ".local" / "share" / "elp").iterdir())
    assert data.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(not IS_ROOT, reason="only root starts the database as another user")
def test_as_root_a_private_checkout_keeps_its_data_elsewhere_and_stays_private(machine: Machine) -> None:
    machine.folder.chmod(0o700)
    machine.add_uv().add_python()
    told = machine.run("hello").stdout.split()
    data = Path(told[-1])
    try:
        assert data.parent == Path("/var/lib/elp")
        assert data.stat().st_mode & 0o777 == 0o711
        assert machine.folder.stat().st_mode & 0o777 == 0o700
    finally:
        shutil.rmtree(data)


def test_without_uv_it_is_installed_with_the_pip_there_is(machine: Machine) -> None:
    machine.add_python(
        f"""#!/bin/sh
case "$*" in *"pip --disable"*) mkdir -p "{machine.checkout}/.elp/uv/bin"
    cp "{machine.folder}/prepared" "{machine.checkout}/.elp/uv/bin/uv" ;; *) exec {sys.executable} "$@" ;; esac
"""
    )
    program(machine.folder / "prepared", UV)
    machine.tools.joinpath("cp").symlink_to("/bin/cp")
    told = machine.run("hello")
    assert told.stderr.startswith(f"Installing uv, which installs the rest, into {machine.checkout}/.elp/uv …\n")
    assert told.stdout.startswith("elp hello")


def test_a_python_with_neither_pip_nor_venv_fetches_uv_itself(machine: Machine) -> None:
    has_no_modules = '#!/bin/sh\ncase $1 in -m) echo "No module named $2" >&2; exit 1 ;; esac\n'
    machine.add_python(f'{has_no_modules}exec {sys.executable} "$@"\n')
    with PackageIndex(machine.folder / "index") as address:
        machine.settings["PIP_INDEX_URL"] = address
        told = machine.run("hello")
    assert told.stdout.startswith("elp hello"), (machine.checkout / ".elp" / "logs" / "install.log").read_text()
    assert (machine.checkout / ".elp" / "uv" / "bin" / "uv").read_text().endswith("# 0.10.2\n")


class PackageIndex:
    """A package index with an old and a new uv for every kind of machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "uv"
        self.folder.mkdir(parents=True)
        links = [self._wheel(version) for version in ("0.9.30", "0.10.2")]
        (self.folder / "index.html").write_text("\n".join(links))

    def _wheel(self, version: str) -> str:
        system = "macosx_11_0_" if sys.platform == "darwin" else "musllinux_1_1_"
        name = f"uv-{version}-py3-none-{system}{platform.machine()}.whl"
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr(f"uv-{version}.data/scripts/uv", f"{UV}# {version}\n")
        (self.folder / name).write_bytes(content.getvalue())
        return f'<a href="{name}#sha256={hashlib.sha256(content.getvalue()).hexdigest()}">{name}</a>'

    def __enter__(self) -> str:
        handler = functools.partial(QuietHandler, directory=str(self.folder.parent))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_shims_that_refuse_are_passed_over(machine: Machine) -> None:
    shims, versions = machine.folder / "shims", machine.home / ".pyenv" / "versions"
    for name in ("uv", "python3", "python3.11"):
        program(shims / name, REFUSES)
    machine.path.insert(0, shims)
    program(versions / "3.11.7" / "bin" / "uv", UV)
    python = program(versions / "3.11.7" / "bin" / "python3.11", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    assert machine.run("hello").stdout.startswith("elp hello")
    assert machine.uv_calls[0].endswith(f"--python {python}")


@pytest.mark.parametrize(
    "output, sentence",
    [
        ("error: dns error: failed to lookup address", "Check the network and start again"),
        ("error: failed to write: No space left on device (os error 28)", "the disk is full"),
        ("error: No interpreter found for Python >=3.11", "Python 3.11, 3.12 or 3.13 is needed"),
        ("error: the lock file is odd\n\n", "could not be installed: error: the lock file is odd"),
    ],
)
def test_an_installation_that_fails_says_why_and_is_tried_again(machine: Machine, output: str, sentence: str) -> None:
    machine.add_uv().add_python()
    failing = Path(f"{machine.calls}.fail")
    failing.write_text(output)
    told = machine.run()
    assert told.returncode == 1
    assert sentence in told.stderr
    assert len(told.stderr.splitlines()) == 2
    failing.unlink()
    assert machine.run("hello").stdout.startswith("elp hello")


def test_behind_a_proxy_that_signs_for_itself_the_machine_s_certificates_are_used(machine: Machine) -> None:
    machine.add_uv().add_python()
    Path(f"{machine.calls}.untrusted").touch()
    assert machine.run("hello").stdout.startswith("elp hello")


def test_with_neither_python_nor_curl_there_is_one_sentence(machine: Machine) -> None:
    told = machine.run("run")
    assert told.returncode == 1
    assert told.stderr == "elp: Python 3 or curl is needed to install the rest; install one of them and start again.\n"


def test_a_data_folder_that_cannot_be_written_is_one_sentence(machine: Machine) -> None:
    machine.settings["ELP_DATA_DIR"] = "/proc/elp"
    told = machine.run("run")
    assert (told.returncode, len(told.stderr.splitlines())) == (1, 1)
    assert "set ELP_DATA_DIR to a folder of your own" in told.stderr


def test_somebody_who_watches_sees_a_clock(machine: Machine) -> None:
    machine.add_uv().add_python()
    master, slave = pty.openpty()
    environment = {"PATH": ":".join(map(str, machine.path)), "CALLS": str(machine.calls)}
    subprocess.run([machine.checkout / "elp"], stderr=slave, stdout=slave, env=environment, check=True)
    os.close(slave)
    shown = os.read(master, 10_000)
    os.close(master)
    assert b"\r  0 s" in shown
