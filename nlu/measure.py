"""Trains, serves and measures the classifier; prints one JSON object as the last line.

`measure.py check` our own phrases against the held-out set; `--config` for another pipeline.
`measure.py intents --train F.tsv --test F.tsv --language xx` any labels, one language, through config.yml.
Everything runs as in production: train.py, serve.py and HTTP, each in its own process.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, quantiles
from typing import Any

from train import MODEL_NAME
from training_files import CONFIG, DOMAIN, HERE, TrainingError, read_tsv

CONFUSIONS_SHOWN = 15


@dataclass(frozen=True)
class Question:
    label: str
    language: str
    text: str


@dataclass(frozen=True)
class Verdict:
    question: Question
    answer: str | None
    milliseconds: float


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="elp-nlu-") as scratch:
            report = options.measure(options, Path(scratch))
    except (TrainingError, OSError, http.client.HTTPException) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(report, ensure_ascii=False))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure the intent classifier.")
    kinds = parser.add_subparsers(required=True)
    check = kinds.add_parser("check", help="our phrases against intent<TAB>language<TAB>text")
    check.add_argument("--config", type=Path, default=CONFIG)
    check.add_argument("--data", type=Path, action="append", help="default: nlu/data")
    check.add_argument("--test", type=Path, default=HERE / "tests" / "held_out.tsv")
    check.set_defaults(measure=_check)
    intents = kinds.add_parser("intents", help="label<TAB>text against label<TAB>text")
    intents.add_argument("--config", type=Path, default=CONFIG)
    intents.add_argument("--train", type=Path, required=True)
    intents.add_argument("--test", type=Path, required=True)
    intents.add_argument("--language", required=True)
    intents.set_defaults(measure=_measure_intents)
    return parser


def _check(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    questions = [Question(*cells) for cells in read_tsv(options.test, columns=3)]
    data = options.data or [HERE / "data"]
    return _measure(questions, data, options.config, DOMAIN, scratch)


def _measure_intents(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Labels get neutral names: Rasa gives a meaning to "/" and "+" in the name of an intent."""
    rows = read_tsv(options.train)
    names = {label: f"label_{at}" for at, label in enumerate(sorted({label for label, _ in rows}))}
    data, domain = scratch / "train.tsv", scratch / "domain.yml"
    data.write_text("".join(f"{names[label]}\t{text}\n" for label, text in rows), encoding="utf-8")
    lines = ['version: "3.1"', "intents:", *(f"  - {name}" for name in names.values())]
    domain.write_text("\n".join(lines) + "\n", encoding="utf-8")
    questions = [
        # A label without training phrases can only be answered wrongly, and counts as that.
        Question(names.get(label, label), options.language, text)
        for label, text in read_tsv(options.test)
    ]
    report = _measure(questions, [data], options.config, domain, scratch)
    labels = {name: label for label, name in names.items()}
    for confusion in report["confusions"]:
        for side in ("expected", "answered"):
            confusion[side] = labels.get(confusion[side], confusion[side])
    return report


def _measure(
    questions: Sequence[Question], data: Sequence[Path], config: Path, domain: Path, scratch: Path
) -> dict[str, Any]:
    out = scratch / "model"
    training_seconds = _train(data, config, domain, out)
    with _server(out / MODEL_NAME, config) as (process, port, start_seconds):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        verdicts = [_ask(connection, question) for question in questions]
        connection.close()
        resident = _resident_megabytes(process.pid)
    return {
        **_accuracy(verdicts),
        "questions": len(verdicts),
        "training_seconds": round(training_seconds, 1),
        "start_seconds": round(start_seconds, 1),
        "latency_ms": _latency(verdicts),
        "resident_mb": resident,
        "model_mb": round((out / MODEL_NAME).stat().st_size / 1e6, 1),
        "confusions": _confusions(verdicts),
    }


def _train(data: Sequence[Path], config: Path, domain: Path, out: Path) -> float:
    began = time.monotonic()
    command = [sys.executable, str(HERE / "train.py"), "--out", str(out)]
    command += ["--config", str(config), "--domain", str(domain)]
    command += [part for path in data for part in ("--data", str(path))]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise TrainingError(done.stderr.strip().removeprefix("error: ") or "training failed")
    return time.monotonic() - began


@contextmanager
def _server(model: Path, config: Path) -> Iterator[tuple[subprocess.Popen[str], int, float]]:
    began = time.monotonic()
    command = [sys.executable, str(HERE / "serve.py"), "--model", str(model), "--port", "0"]
    command.append("--exit-with-parent")
    if "Featurizer" in config.read_text(encoding="utf-8"):
        command.append("--with-scikit-learn")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # it is a pipe
            ready = re.search(r":(\d+) after", process.stdout.readline())
            if ready is None:
                raise TrainingError("the server did not start")
            yield process, int(ready[1]), time.monotonic() - began
        finally:
            process.terminate()


def _ask(connection: http.client.HTTPConnection, question: Question) -> Verdict:
    body = json.dumps({"text": question.text})
    began = time.perf_counter()
    connection.request("POST", "/model/parse", body, {"Content-Type": "application/json"})
    answer = json.loads(connection.getresponse().read())
    milliseconds = 1000 * (time.perf_counter() - began)
    return Verdict(question, (answer.get("intent") or {}).get("name"), milliseconds)


def _accuracy(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    right: dict[str, list[bool]] = {}
    for verdict in verdicts:
        hits = right.setdefault(verdict.question.language, [])
        hits.append(verdict.answer == verdict.question.label)
    languages = {language: _percent(hits) for language, hits in right.items()}
    return {
        "accuracy": _percent([hit for hits in right.values() for hit in hits]),
        "languages": languages,
    }


def _percent(hits: Sequence[bool]) -> float:
    return round(100 * mean(hits), 1)


def _latency(verdicts: Sequence[Verdict]) -> dict[str, float]:
    times = sorted(verdict.milliseconds for verdict in verdicts)
    cuts = quantiles(times, n=20, method="inclusive") if len(times) > 1 else times * 19
    return {"p50": round(cuts[9], 1), "p95": round(cuts[18], 1), "max": round(times[-1], 1)}


def _resident_megabytes(process_id: int) -> int | None:
    try:
        status = Path(f"/proc/{process_id}/status").read_text()
    except OSError:  # not Linux
        return None
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) // 1024 if found else None


def _confusions(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    pairs = Counter(
        (verdict.question.label, verdict.answer) for verdict in verdicts if verdict.answer != verdict.question.label
    )
    return [
        {"expected": expected, "answered": answered, "times": times}
        for (expected, answered), times in pairs.most_common(CONFUSIONS_SHOWN)
    ]


if __name__ == "__main__":
    sys.exit(main())
