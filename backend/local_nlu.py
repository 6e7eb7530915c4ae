"""A Rasa service of our own for the time of a measurement or a test."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator

import httpx

from backend.config import ROOT, Settings
from backend.install import nlu_model_file, nlu_python
from backend.progress import StartError

_LONGEST_START_S = 120.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def local_nlu(settings: Settings) -> Iterator[str]:
    """The service's address. Raises StartError when it is not installed, not trained, or does not come up."""
    python, model = nlu_python(settings.data_dir), nlu_model_file(settings.data_dir)
    if not python.exists() or not model.exists():
        raise StartError("The language model is not there yet: run ./elp nlu train first.")
    port = free_port()
    command = [str(python), str(ROOT / "nlu" / "serve.py"), "--model", str(model), "--host", "127.0.0.1"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--exit-with-parent"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_answers(f"{url}/", process)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_answers(url: str, process: subprocess.Popen[bytes], longest_s: float = _LONGEST_START_S) -> None:
    """Raises StartError when the process ends or stays silent for so long."""
    deadline = time.monotonic() + longest_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StartError(f"A service ended while starting (exit code {process.returncode}).")
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, timeout=2).is_success:
                return
        time.sleep(0.05)
    raise StartError(f"A service did not start within {longest_s:.0f} seconds.")
