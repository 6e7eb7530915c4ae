"""Trains the model: `python nlu/train.py --out FOLDER --data DIR [--data FILE ...]`.

Writes FOLDER/elp.tar.gz, in one move, and FOLDER/fingerprint.json. Says "up to date" and leaves at once
when nothing that goes into the model has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from training_files import CONFIG, DOMAIN, TrainingError, check_intents, find_files, fingerprint, stage

MODEL_NAME = "elp.tar.gz"
FINGERPRINT_NAME = "fingerprint.json"


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return _train(options)
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Train the intent classifier.")
    parser.add_argument("--out", type=Path, required=True, help="folder for elp.tar.gz and fingerprint.json")
    parser.add_argument(
        "--data",
        type=Path,
        action="append",
        required=True,
        help="folder or file of phrases: Rasa YAML, or TSV with intent<TAB>text; may be repeated",
    )
    parser.add_argument("--config", type=Path, default=CONFIG, help="pipeline (default: nlu/config.yml)")
    parser.add_argument("--domain", type=Path, default=DOMAIN, help="intents (default: nlu/domain.yml)")
    parser.add_argument("--force", action="store_true", help="train although nothing has changed")
    return parser


def _train(options: argparse.Namespace) -> int:
    began = time.monotonic()
    out: Path = options.out
    files = find_files(options.data)
    print_now = fingerprint(files, options.config, options.domain)
    if not options.force and _is_up_to_date(out, print_now):
        print("up to date")
        return 0
    out.mkdir(parents=True, exist_ok=True)
    # Inside the target folder, so that the last step is a rename on one file system.
    with tempfile.TemporaryDirectory(prefix=".training-", dir=out) as scratch:
        trained = _train_in(Path(scratch), files, options.config, options.domain)
        _publish(trained, out, print_now)
    size = (out / MODEL_NAME).stat().st_size / 1e6
    print(f"wrote {out / MODEL_NAME}: {size:.1f} MB, {time.monotonic() - began:.1f} s")
    return 0


def _train_in(scratch: Path, files: list[Path], config: Path, domain: Path) -> Path:
    phrases, models = scratch / "phrases", scratch / "models"
    phrases.mkdir()
    models.mkdir()
    print(f"reading {len(files)} files", flush=True)
    stage(files, phrases)
    check_intents(phrases, domain)
    print("starting Rasa", flush=True)
    from rasa_training import prepare_rasa, train_rasa

    prepare_rasa(serving=False)
    print("training", flush=True)
    return train_rasa(config, domain, phrases, models, MODEL_NAME)


def _is_up_to_date(out: Path, print_now: str) -> bool:
    try:
        stored = json.loads((out / FINGERPRINT_NAME).read_text(encoding="utf-8"))
        # A model that was cut short by a full disk must not pass for a good one.
        return bool(stored == _record(print_now, out / MODEL_NAME))
    except (OSError, ValueError):
        return False


def _publish(trained: Path, out: Path, print_now: str) -> None:
    """The model first: a crash in between costs one training, never a wrong "up to date"."""
    record = trained.with_name(FINGERPRINT_NAME)
    record.write_text(json.dumps(_record(print_now, trained), indent=2) + "\n", encoding="utf-8")
    with trained.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(trained, out / MODEL_NAME)
    os.replace(record, out / FINGERPRINT_NAME)


def _record(print_now: str, model: Path) -> dict[str, str]:
    return {"fingerprint": print_now, "model_sha256": hashlib.sha256(model.read_bytes()).hexdigest()}


if __name__ == "__main__":
    sys.exit(main())
