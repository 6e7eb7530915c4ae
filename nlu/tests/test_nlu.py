"""Run inside the environment of nlu/: `python -m unittest discover nlu/tests`."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

NLU = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(NLU))

from ngrams import MAX_CHARACTERS, blocks, words  # noqa: E402  (found by the line above)
from training_files import TrainingError, read_tsv, write_yaml  # noqa: E402  (found by the line above)

SECRET = "mionomesegreto"


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(NLU / script), *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)


class Words(unittest.TestCase):
    def test_accents_and_hamza_make_no_difference(self) -> None:
        assert words("Dov'È la CITTÀ?") == words("dov e la citta")
        assert words("أين الإقامة") == words("اين الاقامه")

    def test_vowel_signs_stay_in_the_word_and_emoji_are_words(self) -> None:
        assert words("বাংলা 👍🏽 ❤️") == ["বাংলা", "👍", "❤"]

    def test_a_long_text_is_cut(self) -> None:
        assert blocks("a" * 50000) == blocks("a" * MAX_CHARACTERS)

    def test_nothing_is_left_of_punctuation(self) -> None:
        assert blocks(" ?!… ") == ([], [])


class Files(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def test_a_bad_row_is_named_by_file_and_line(self) -> None:
        path = self.folder / "phrases.tsv"
        path.write_text("ask\tdove\nbook\n", encoding="utf-8")
        with self.assertRaisesRegex(TrainingError, r"phrases\.tsv:2"):  # noqa: PT027  (no pytest in here)
            read_tsv(path)

    def test_brackets_in_a_phrase_are_no_markup(self) -> None:
        path = self.folder / "phrases.yml"
        write_yaml(path, [("ask", 'modulo [a](b){"c": 1}')])
        assert "[" not in path.read_text(encoding="utf-8")

    def test_training_errors_are_one_line(self) -> None:
        unknown = self.folder / "unknown.tsv"
        unknown.write_text("dance\tballiamo\n", encoding="utf-8")
        broken = self.folder / "broken.yml"
        broken.write_text("nlu: [\n", encoding="utf-8")
        for data in (unknown, broken, self.folder / "absent.yml"):
            done = run("train.py", "--out", self.folder / "out", "--data", data)
            assert done.returncode == 1
            assert re.search(r"\Aerror: [^\n]*\n\Z", done.stderr)


class Server(unittest.TestCase):
    """One model and one server for all tests: they take the longest."""

    folder: tempfile.TemporaryDirectory[str]
    process: subprocess.Popen[str]
    output: Path
    port: int

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        out = Path(cls.folder.name)
        trained = run("train.py", "--out", out, "--data", NLU / "data")
        assert trained.returncode == 0, trained.stderr
        cls.output = out / "output"
        cls.process, cls.port = cls._start()

    @classmethod
    def _start(cls, *extra: str) -> tuple[subprocess.Popen[str], int]:
        command = [sys.executable, str(NLU / "serve.py"), "--port", "0", *extra]
        command += ["--model", str(Path(cls.folder.name) / "elp.tar.gz")]
        with cls.output.open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, text=True)
        for _ in range(600):
            if "listening" in (said := cls.output.read_text()):
                return process, int(said.split(" after")[0].rsplit(":", 1)[1])
            time.sleep(0.1)
        raise AssertionError(cls.output.read_text())

    @classmethod
    def tearDownClass(cls) -> None:
        cls.process.terminate()
        cls.process.wait(10)
        cls.folder.cleanup()

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        self.addCleanup(connection.close)
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content.startswith(b"{") else content

    def parse(self, text: str) -> Any:
        status, answer = self.ask("POST", "/model/parse", json.dumps({"text": text}).encode())
        assert status == 200
        return answer

    def test_an_unchanged_model_is_up_to_date_at_once(self) -> None:
        began = time.monotonic()
        done = run("train.py", "--out", self.folder.name, "--data", NLU / "data")
        assert done.stdout == "up to date\n"
        assert time.monotonic() - began < 1

    def test_acts_facets_and_questions_are_told_apart(self) -> None:
        for text, intent in (
            ("vorrei un appuntamento allo sportello", "book"),
            ("i need an appointment at the questura", "ask"),
            ("où est-ce ?", "facet_where"),
            ("فين جات questura", "ask"),
            ("👍", "yes"),
        ):
            assert self.parse(text)["intent"]["name"] == intent, text

    def test_the_wanted_language_comes_out_as_a_code(self) -> None:
        for text, code in (("parli arabo?", "ar"), ("non parlo italiano, english please", "en"), ("বাংলা", "bn")):
            assert [e["value"] for e in self.parse(text)["entities"]] == [code], text

    def test_an_unknown_script_is_not_understood_with_certainty(self) -> None:
        assert self.parse("我不知道")["intent"]["confidence"] < 0.5

    def test_a_person_cannot_set_an_intent_or_an_entity(self) -> None:
        answer = self.parse('/dance{"language": "xx"}')
        assert answer["intent"]["name"] != "dance"
        assert answer["entities"] == []

    def test_nothing_but_parsing_is_reachable(self) -> None:
        for method, path in (("PUT", "/model"), ("POST", "/model/train"), ("GET", "/conversations/1/tracker")):
            assert self.ask(method, path)[0] == 404
        assert self.ask("GET", "/")[0] == 200

    def test_it_survives_rubbish_and_writes_down_no_text(self) -> None:
        for body in (b"", b"{", b"[]", b'{"text": 5}', b"\xff\xfe", b'{"text": "' + b"x" * 2_000_000 + b'"}'):
            assert self.ask("POST", "/model/parse", body)[0] >= 400
        assert self.parse("")["intent"]["name"] is None
        self.parse(f"{SECRET} " * 4_000)
        self.parse(f'/{SECRET}{{"{SECRET}": 1}} {SECRET}')
        assert self.parse("grazie")["intent"]["name"] == "thanks"
        assert self.output.read_text().count("\n") == 1
        assert SECRET not in self.output.read_text()

    def test_the_port_in_use_is_said_in_one_line(self) -> None:
        done = run("serve.py", "--model", f"{self.folder.name}/elp.tar.gz", "--port", self.port)
        assert done.returncode == 1
        assert re.search(r"\Aerror: [^\n]*\n\Z", done.stderr)


class Leaving(unittest.TestCase):
    def test_it_stops_with_its_parent_and_on_sigterm(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            phrases = Path(folder) / "phrases.tsv"
            phrases.write_text("ask\tdove\nask\tquando\nbook\tprenota\nbook\tappuntamento\n", "utf-8")
            assert run("train.py", "--out", folder, "--data", phrases).returncode == 0
            for how in ("parent", "sigterm"):
                with self.subTest(how):
                    assert self._seconds_to_leave(folder, how) < 2.5

    def _seconds_to_leave(self, folder: str, how: str) -> float:
        # The shell is the parent; it tells the server's process id and waits.
        script = f'"$0" {NLU}/serve.py --model {folder}/elp.tar.gz --port 0 --exit-with-parent & echo $!; wait'
        shell = subprocess.Popen(["sh", "-c", script, sys.executable], stdout=subprocess.PIPE, text=True)
        assert shell.stdout is not None
        server = int(shell.stdout.readline())
        assert "listening" in shell.stdout.readline()
        began = time.monotonic()
        if how == "parent":
            shell.kill()
        else:
            os.kill(server, signal.SIGTERM)
        shell.stdout.read()  # ends when the server has closed it
        shell.wait(5)
        shell.stdout.close()
        return time.monotonic() - began


if __name__ == "__main__":
    unittest.main()
