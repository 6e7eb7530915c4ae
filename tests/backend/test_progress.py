"""What a start shows on a terminal, in a plain log, and where a terminal is poor; and how logs stay small."""

import io
import os
import pty
import threading
from pathlib import Path

import pytest

from backend import progress
from backend.progress import Progress, Stopped, cap_log, check_stopping, duration, open_log, tail


def test_a_plain_log_gets_one_line_for_each_step() -> None:
    out = io.StringIO()
    shown = Progress(3, out=out)
    with shown.step("database") as line:
        line("recovering")
    with shown.step("starter content") as line:
        line.result = "124 entries"
    shown.done("language understanding", 65)
    lines = out.getvalue().splitlines()
    assert lines == [
        "● 1 of 3 · database … ready in 0.0 s",
        "● 2 of 3 · starter content … 124 entries (0.0 s)",
        "● 3 of 3 · language understanding … ready in 65 s",
    ]


@pytest.mark.parametrize("error, word", [(ValueError, "failed"), (Stopped, "stopped")])
def test_a_step_that_did_not_work_is_not_called_ready(error: type[BaseException], word: str) -> None:
    out = io.StringIO()
    with pytest.raises(error), Progress(1, out=out).step("database"):
        raise error
    assert out.getvalue() == f"✗ 1 of 1 · database … {word} after 0.0 s\n"


def test_a_long_step_says_in_a_log_that_it_is_still_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_FIRST_BEAT", 0.0)
    said = threading.Event()

    class Out(io.StringIO):
        def write(self, text: str) -> int:
            said.set()
            return super().write(text)

    out = Out()
    with Progress(1, out=out).step("language model") as line:
        line("epoch 3 of 100")
        assert said.wait(5)
    assert "  1 of 1 · language model … 1.0 s · epoch 3 of 100\n" in out.getvalue()


def test_a_terminal_shows_what_is_being_done_and_keeps_the_finished_line() -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as terminal:
        shown = Progress(1, out=terminal)
        with shown.step("language model") as line:
            line("epoch 3 of 100")
            output = b""
            while b"epoch 3 of 100" not in output:
                output += os.read(master, 10_000)
        while "● 1 of 1 · language model … ready in".encode() not in output:
            output += os.read(master, 10_000)
    os.close(master)
    assert "○ 1 of 1 · language model … 0" in output.decode()


def test_an_output_that_knows_ascii_only_gets_plainer_signs() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    with Progress(1, out=out).step("database"):
        pass
    assert raw.getvalue() == b"* 1 of 1 - database ... ready in 0.0 s\n"


def test_a_terminal_that_went_away_stops_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    out = os.fdopen(writing, "w")
    with Progress(1, out=out).step("database"):
        pass
    with pytest.raises(BrokenPipeError):
        out.close()


@pytest.mark.parametrize("seconds, words", [(0.04, "0.0 s"), (9.97, "10 s"), (99.4, "99 s"), (225, "3 min 45 s")])
def test_durations_are_as_exact_as_is_of_use(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_log_is_cut_under_its_writer_and_keeps_its_latest_lines(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "web.log"
    with open_log(path) as log:
        log.write(b"old\n" * 100)
        log.write(b"last\n")
        cap_log(path, limit=40)
        assert path.read_bytes() == b""
        log.write(b"new\n")
    assert path.read_bytes() == b"new\n"
    older = path.with_name("web.log.1")
    assert older.read_bytes().endswith(b"old\nlast\n")
    assert older.stat().st_size == 40
    assert (path.stat().st_mode & 0o077, older.stat().st_mode & 0o077) == (0, 0)


def test_the_end_of_a_file_does_not_reach_back_before_its_start(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before|after")
    assert tail(path, 100, start=7) == b"after"
    assert tail(path, 2) == b"er"
    assert tail(tmp_path / "none", 2) == b""


def test_stopping_is_noticed() -> None:
    stopping = threading.Event()
    check_stopping(None)
    check_stopping(stopping)
    stopping.set()
    with pytest.raises(Stopped):
        check_stopping(stopping)
