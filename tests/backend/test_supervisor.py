"""`elp run` as a program: real signals, real small children, a real database."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from backend import postgres
from backend.machine import check_disk, check_port
from backend.progress import StartError

# A program that runs the supervisor as `elp run` does, with children that a test can understand.
DRIVER = """
import json, sys, time
from pathlib import Path
from backend.children import Service
from backend.config import Settings
from backend.install import run_logged
from backend.progress import StartError
from backend.supervisor import Step, Understanding, run, with_telegram_demo

plan = json.loads(sys.argv[1])
settings, more = Settings(), []
if plan.get("telegram"):
    settings, stand_in = with_telegram_demo(settings)
    more = [stand_in]
def child(name, code): return Service(name, (sys.executable, "-c", code))
def install(data_dir, *, report, stopping):
    if plan.get("install") == "fails": raise StartError("The front-end libraries could not be downloaded.")
    command = plan.get("install_command", ["true"])
    run_logged(command, name="x", data_dir=data_dir, what="It", report=report, stopping=stopping)
def model(data_dir, *, report, stopping):
    if plan["model"] == "fails": raise StartError("Rasa needs Python 3.10.")
    while not Path(plan["model"]).exists(): time.sleep(0.01)
def understanding(): return Understanding(install, model, lambda _: plan.get("trained", True), lambda folder, port: (
    sys.executable, "-c", plan["nlu_code"], str(port)))
try:
    sys.exit(run(
        settings,
        steps=[Step(name, eval(code)) for name, code in plan.get("steps", [])],
        services=[*(child(name, code) for name, code in plan["services"]), *more],
        frontend=install if "install" in plan else None,
        understanding=understanding() if "model" in plan else None,
        announce=lambda settings: [f"nlu at {settings.nlu_url}"],
    ))
except StartError as error:
    sys.exit(str(error))
"""
# Says its process id in a file, answers /readyz, and notes when it is asked to end.
WEB = """
import http.server, os, pathlib, signal, sys
def end(*_): pathlib.Path(os.environ["NOTES"], "order").open("a").write("web\\n"); os._exit(0)
signal.signal(signal.SIGTERM, end)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200); self.end_headers()
    def log_message(self, *_): print("asked")
server = http.server.HTTPServer(("127.0.0.1", int(os.environ["ELP_PORT"])), Answer)
pathlib.Path(os.environ["NOTES"], "web").write_text(str(os.getpid()))
server.serve_forever()
"""
WORKER = """
import os, pathlib, signal, time
def end(*_): pathlib.Path(os.environ["NOTES"], "order").open("a").write("worker\\n"); os._exit(0)
signal.signal(signal.SIGTERM, end)
pathlib.Path(os.environ["NOTES"], "worker").write_text(str(os.getpid()))
pathlib.Path(os.environ["NOTES"], "database").write_text(os.environ["ELP_DATABASE_URL"])
while True: time.sleep(60)
"""
# Asks Telegram who it is until somebody answers.
BOT = """
import os, pathlib, time, urllib.request
url = os.environ["ELP_TELEGRAM_API_URL"] + "/bot" + os.environ["ELP_TELEGRAM_TOKEN"] + "/getMe"
while True:
    try: answer = urllib.request.urlopen(url).read().decode()
    except OSError: time.sleep(0.05); continue
    pathlib.Path(os.environ["NOTES"], "worker").write_text(answer)
    time.sleep(60)
"""
STUBBORN = """
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(os.environ["NOTES"], "worker").write_text(str(os.getpid()))
while True: time.sleep(60)
"""
BROKEN = "import sys; sys.exit('no such module: backend.worker')"
NLU = """
import socket, sys, time
with socket.create_server(("127.0.0.1", int(sys.argv[1]))): time.sleep(60)
"""
BOTH = [("web", WEB), ("worker", WORKER)]


def wait_until(true: Callable[[], object], what: str, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Supervisor:
    """The program under test, in a process of its own."""

    def __init__(self, data_dir: Path, database_url: str | None) -> None:
        self.data_dir, self.notes = data_dir, data_dir / "notes"
        self.notes.mkdir(exist_ok=True)
        self.database_url = database_url
        self.port = free_port()
        self.output = data_dir / "output"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **plan: object) -> "Supervisor":
        environment = os.environ | {"NOTES": str(self.notes), "ELP_DATA_DIR": str(self.data_dir)}
        environment |= {"ELP_PORT": str(self.port), "PYTHONUNBUFFERED": "1"}
        if self.database_url:
            environment["ELP_DATABASE_URL"] = self.database_url
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", DRIVER, json.dumps(plan)],
                stdout=out,
                stderr=out,
                env=environment,
                start_new_session=True,
            )
        return self

    @property
    def said(self) -> str:
        return self.output.read_text()

    def wait_for(self, text: str) -> None:
        assert self.process is not None
        ended = self.process
        wait_until(lambda: text in self.said or ended.poll() is not None, f"{text!r} is not in {self.said!r}")
        assert text in self.said, self.said

    def note_of(self, name: str) -> str:
        """What a child wrote down; children are started, not waited for."""
        wait_until(lambda: (self.notes / name).exists() and (self.notes / name).read_text(), f"{name} did not start")
        return (self.notes / name).read_text()

    def pid_of(self, name: str) -> int:
        return int(self.note_of(name))

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(timeout=20)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def database() -> Iterator[postgres.EmbeddedServer]:
    with postgres.temporary() as server:
        yield server


@pytest.fixture
def supervisor(tmp_path: Path, database: postgres.EmbeddedServer) -> Iterator[Supervisor]:
    """With a database that is already there, as with ELP_DATABASE_URL."""
    made = Supervisor(tmp_path, database.url)
    yield made
    made.end()


@pytest.fixture
def complete() -> Iterator[Supervisor]:
    """With a database of its own, in a folder that the database's user may enter."""
    made = Supervisor(Path(tempfile.mkdtemp(prefix=postgres.TEMPORARY_PREFIX, dir="/tmp")), None)
    yield made
    made.end()
    with suppress(StartError):
        postgres.start(made.data_dir).stop(patience=0)
    subprocess.run(["rm", "-rf", str(made.data_dir)], check=True)


def test_it_serves_then_stops_in_order_and_leaves_nothing(supervisor: Supervisor) -> None:
    supervisor.start(services=BOTH, install="works")
    supervisor.wait_for(f"answers at http://127.0.0.1:{supervisor.port}")
    pids = [supervisor.pid_of("web"), supervisor.pid_of("worker")]
    supervisor.send(signal.SIGINT)

    assert supervisor.wait() == 0
    assert supervisor.said.endswith("stopped\n")
    assert (supervisor.notes / "order").read_text() == "web\nworker\n"
    assert not any(map(is_alive, pids))


def test_every_step_says_where_it_stands_and_how_long_it_took(supervisor: Supervisor) -> None:
    steps = [("tables", "lambda settings: None"), ("starter content", "lambda settings: '124 entries'")]
    supervisor.start(services=BOTH, steps=steps)
    supervisor.wait_for("answers at")
    lines = supervisor.said.splitlines()
    assert lines[0].startswith("● 1 of 4 · database … ready in 0.")
    assert lines[2].startswith("● 3 of 4 · starter content … 124 entries (0.")


def test_an_own_database_is_started_given_to_the_children_and_stopped(complete: Supervisor) -> None:
    complete.start(
        services=BOTH,
        steps=[("tables", "lambda settings: __import__('psycopg').connect(settings.database_url).close()")],
    )
    complete.wait_for("answers at")
    assert complete.note_of("database").startswith("postgresql://elp@/elp?host=")
    server = postgres.find_postmaster(complete.data_dir / "postgres")
    assert server is not None
    complete.send(signal.SIGTERM)

    assert complete.wait() == 0
    assert not is_alive(server.pid)


def test_after_a_kill_the_children_are_gone_and_the_next_start_takes_the_database_over(complete: Supervisor) -> None:
    complete.start(services=BOTH)
    complete.wait_for("answers at")
    pids = [complete.pid_of("web"), complete.pid_of("worker")]
    server = postgres.find_postmaster(complete.data_dir / "postgres")
    assert server is not None
    complete.send(signal.SIGKILL)
    complete.wait()
    wait_until(lambda: not any(map(is_alive, pids)), "children live on")
    assert is_alive(server.pid)

    complete.start(services=BOTH)
    complete.wait_for("answers at")
    again = postgres.find_postmaster(complete.data_dir / "postgres")
    assert again is not None
    assert again.pid == server.pid

    os.kill(again.pid, signal.SIGKILL)
    complete.wait_for("The database ended; it is started again.")
    wait_until(lambda: postgres.find_postmaster(complete.data_dir / "postgres"), "the database did not come back")
    complete.send(signal.SIGINT)
    assert complete.wait() == 0
    assert postgres.find_postmaster(complete.data_dir / "postgres") is None


def test_a_telegram_for_trying_out_answers_the_worker_and_shows_a_page(supervisor: Supervisor) -> None:
    supervisor.start(services=[("web", WEB), ("worker", BOT)], telegram=True)
    supervisor.wait_for("answers at")
    assert json.loads(supervisor.note_of("worker"))["result"]["is_bot"] is True
    page = urllib.request.urlopen(f"http://127.0.0.1:{supervisor.port + 1}").read().decode()
    assert "<title>Telegram" in page
    supervisor.send(signal.SIGTERM)

    assert supervisor.wait() == 0
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{supervisor.port + 1}")


def test_a_child_that_dies_is_started_again_with_a_line_about_it(supervisor: Supervisor) -> None:
    supervisor.start(services=BOTH)
    supervisor.wait_for("answers at")
    pid = supervisor.pid_of("worker")
    os.kill(pid, signal.SIGKILL)
    supervisor.wait_for("worker ended (by SIGKILL); it is started again in 1 s.")
    wait_until(lambda: supervisor.pid_of("worker") != pid, "it was not started again")
    assert is_alive(supervisor.pid_of("worker"))


def test_a_child_that_never_starts_ends_the_program_with_its_last_words(supervisor: Supervisor) -> None:
    never_ready = WEB.replace("200", "503")
    supervisor.start(services=[("web", never_ready), ("worker", BROKEN)])
    assert supervisor.wait() == 1
    said = supervisor.said
    assert "worker ended (exit code 1); it is started again in 2 s." in said
    assert "worker does not start: it ended 3 times. The end of " in said
    assert said.endswith("no such module: backend.worker\n")
    assert "Traceback" not in said
    assert not is_alive(supervisor.pid_of("web"))


def test_a_second_ctrl_c_does_not_wait_for_a_stubborn_child(supervisor: Supervisor) -> None:
    supervisor.start(services=[("web", WEB), ("worker", STUBBORN)])
    supervisor.wait_for("answers at")
    pid = supervisor.pid_of("worker")
    supervisor.send(signal.SIGINT)
    wait_until((supervisor.notes / "order").exists, "web was not stopped")
    supervisor.send(signal.SIGINT)
    began = time.monotonic()
    assert supervisor.wait() == 0
    assert time.monotonic() - began < 5
    assert not is_alive(pid)


def test_a_step_under_way_is_interrupted(supervisor: Supervisor) -> None:
    supervisor.start(services=BOTH, steps=[("tables", "lambda settings: (print('at work'), time.sleep(60))")])
    supervisor.wait_for("at work")
    supervisor.send(signal.SIGTERM)
    assert supervisor.wait() == 0
    assert supervisor.said.splitlines()[-2].startswith("✗ 2 of 3 · tables … stopped after")


def test_an_installation_under_way_ends_with_all_it_started(supervisor: Supervisor) -> None:
    note = supervisor.notes / "sleeper"
    command = ["sh", "-c", f"sleep 60 & echo $! > {note}.new; mv {note}.new {note}; wait"]
    supervisor.start(services=BOTH, install="works", install_command=command)
    pid = supervisor.pid_of("sleeper")
    supervisor.send(signal.SIGTERM)
    assert supervisor.wait() == 0
    wait_until(lambda: not is_alive(pid), "the installation goes on")


def test_people_are_served_while_the_language_model_is_brought_up_to_date(supervisor: Supervisor) -> None:
    model = supervisor.notes / "model"
    supervisor.start(services=BOTH, model=str(model), nlu_code=NLU)
    supervisor.wait_for("nlu at http://127.0.0.1:")
    assert "language understanding serves" not in supervisor.said
    model.touch()
    supervisor.wait_for("language understanding serves … ready in")
    supervisor.send(signal.SIGTERM)
    assert supervisor.wait() == 0


def test_the_first_start_waits_for_the_language_model(supervisor: Supervisor) -> None:
    model = supervisor.notes / "model"
    supervisor.start(services=BOTH, model=str(model), nlu_code=NLU, trained=False)
    supervisor.wait_for("language understanding … ready")
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        assert not (supervisor.notes / "web").exists()
        time.sleep(0.02)
    model.touch()
    supervisor.wait_for("answers at")
    supervisor.wait_for("language understanding serves")


def test_without_language_understanding_and_front_end_the_rest_serves(supervisor: Supervisor) -> None:
    supervisor.start(services=BOTH, install="works", model="fails", nlu_code=NLU, trained=False)
    supervisor.wait_for("nlu at None")
    assert "Rasa needs Python 3.10.\nUntil then the assistant answers by search and buttons alone.\n" in supervisor.said
    supervisor.send(signal.SIGTERM)
    assert supervisor.wait() == 0

    supervisor.start(services=BOTH, install="fails")
    supervisor.wait_for("answers at")
    assert "Pages work without live updates until they can be installed." in supervisor.said


def test_a_second_one_on_the_same_data_is_refused(supervisor: Supervisor) -> None:
    supervisor.start(services=BOTH)
    supervisor.wait_for("answers at")
    first = supervisor.process
    assert first is not None
    second = Supervisor(supervisor.data_dir, supervisor.database_url)
    second.output = supervisor.data_dir / "second"
    second.start(services=BOTH)
    assert second.wait() == 1
    assert second.said.startswith(
        f"The ELP Assistant already runs with the data in {supervisor.data_dir} (process {first.pid}"
    )
    assert first.poll() is None


def test_a_taken_port_is_one_sentence(supervisor: Supervisor) -> None:
    with socket.create_server(("127.0.0.1", supervisor.port)):
        supervisor.start(services=BOTH)
        assert supervisor.wait() == 1
    assert supervisor.said == f"Port {supervisor.port} is already in use. Stop the other program or set ELP_PORT.\n"


def test_an_address_of_another_machine_is_one_sentence() -> None:
    with pytest.raises(StartError, match=r"Nothing can listen on 192\.0\.2\.1"):
        check_port("192.0.2.1", 8080)


def test_a_database_that_does_not_answer_is_one_sentence(supervisor: Supervisor) -> None:
    supervisor.database_url = f"postgresql://elp:geheim@127.0.0.1:{free_port()}/elp"
    supervisor.start(services=BOTH)
    assert supervisor.wait() == 1
    assert "The database of ELP_DATABASE_URL does not answer:" in supervisor.said
    assert "geheim" not in supervisor.said
    assert "Traceback" not in supervisor.said


def test_a_nearly_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.machine.LEAST_FREE", 10**18)
    with pytest.raises(StartError, match="The disk is nearly full"):
        check_disk(tmp_path)
