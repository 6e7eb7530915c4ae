"""Finds, checks and stages the training phrases; imports neither Rasa nor anything slow.

Two formats: Rasa's own YAML, and TSV (`intent<TAB>text`), which is the easy one for another program to
write. TSV is turned into YAML because Rasa reads nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CONFIG = HERE / "config.yml"
DOMAIN = HERE / "domain.yml"
YAML_SUFFIXES = (".yml", ".yaml")
SUFFIXES = (*YAML_SUFFIXES, ".tsv")
# A change of the classifier's own code makes an old model as stale as a change of the phrases.
_CODE = ("ngrams.py", "linear_model.py", "linear_model_training.py", "intent_classifier.py")
# Rasa reads these as the mark-up of an entity.
_NO_MARKUP = str.maketrans("[](){}\r\n", "        ")


class TrainingError(Exception):
    """Something the person who called can put right; the message is one line."""


def find_files(paths: Sequence[Path]) -> list[Path]:
    """All training files below the paths, in a stable order, each once."""
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and p.is_file())
            if not inside:
                raise TrainingError(f"{path}: no .yml, .yaml or .tsv file in this folder")
            found.update((p.resolve(), None) for p in inside)
        elif not path.is_file():
            raise TrainingError(f"{path}: no such file or folder")
        elif path.suffix not in SUFFIXES:
            raise TrainingError(f"{path}: expected a .yml, .yaml or .tsv file")
        else:
            found[path.resolve()] = None
    return list(found)


def fingerprint(files: Iterable[Path], config: Path, domain: Path) -> str:
    """A hash over Rasa's version, the code of the classifier, config, domain and every phrase."""
    digest = hashlib.sha256(metadata.version("rasa").encode())
    code = [HERE / name for name in _CODE]
    # Contents, not names: the same phrases from another folder are the same model.
    for part in [*code, config, domain, *files]:
        digest.update(hashlib.sha256(_read(part)).digest())
    return digest.hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read: {error.strerror}") from error


def read_tsv(path: Path, columns: int = 2) -> list[list[str]]:
    """The rows of a TSV file that has exactly so many columns."""
    try:
        text = _read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TrainingError(f"{path}: is not UTF-8") from error
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        cells = [cell.strip() for cell in line.rstrip("\r").split("\t")]
        if cells == [""]:
            continue
        if len(cells) != columns or not all(cells):
            raise TrainingError(f"{path}:{number}: expected {columns} filled columns, found {len(cells)}")
        rows.append(cells)
    if not rows:
        raise TrainingError(f"{path}: is empty")
    return rows


def stage(files: Sequence[Path], folder: Path) -> None:
    """Writes all phrases as YAML files into one folder, because Rasa takes one path."""
    for number, path in enumerate(files, start=1):
        target = folder / f"{number:04d}-{path.stem}.yml"
        if path.suffix in YAML_SUFFIXES:
            target.write_bytes(_read(path))
        else:
            write_yaml(target, read_tsv(path))


def check_intents(folder: Path, domain: Path) -> None:
    """A misspelt intent would otherwise become an intent that the bot has never heard of."""
    known = set(_parse(domain).get("intents") or ())
    for path in sorted(folder.glob("*.yml")):
        items = _parse(path).get("nlu")
        if not isinstance(items, list):
            raise TrainingError(f"{path.name}: has no list of phrases under `nlu:`")
        for item in items:
            intent = item.get("intent") if isinstance(item, dict) else None
            if intent is not None and intent not in known:
                raise TrainingError(f"{path.name}: {intent!r} is no intent of {domain.name}")


def _parse(path: Path) -> dict[str, Any]:
    import yaml

    # The base loader leaves every value a string: Rasa reads `intent: yes` as a word, YAML 1.1 as true.
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        content = yaml.load(_read(path), Loader=loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path.name}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise TrainingError(f"{path.name}: is not Rasa training data")
    return content


def write_yaml(target: Path, rows: Iterable[Sequence[str]]) -> None:
    """Rows of (intent, text) as Rasa training data."""
    texts: dict[str, list[str]] = {}
    for intent, text in rows:
        texts.setdefault(intent, []).append(" ".join(text.translate(_NO_MARKUP).split()))
    lines = ['version: "3.1"', "nlu:"]
    for intent, examples in texts.items():
        lines += [f"  - intent: {json.dumps(intent, ensure_ascii=False)}", "    examples: |"]
        lines += [f"      - {example}" for example in examples if example]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
