"""Content files: `entries.json` with the facts, one folder a language with one text an entry.

They are made to be read and compared by people: one fact a line, stable order, UTF-8. Texts in a language that nobody
can choose yet stand in a folder whose name ends in `.draft`, and nobody finds them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from knowledge_base.entry import SOURCE_LANGUAGE, Entry, Text

CONTENT = Path(__file__).parent / "content"
DRAFT = ".draft"
"""What the name of a file or folder ends in as long as it waits for its language to be complete."""
_OUTSIDE = "outside.txt"
PICTURES = "pictures"
"""Folder beside the languages, with the photographs of places (`entry.Picture`)."""


class ContentError(ValueError):
    """A content file cannot be used; the message names the file and the reason."""


@dataclass(frozen=True, slots=True)
class Content:
    entries: tuple[Entry, ...]
    outside: Mapping[str, tuple[str, ...]]
    """Per language, questions that no entry answers."""


def load_content(folder: Path = CONTENT, *, drafts: bool = False) -> Content:
    """With the languages that wait to be complete when `drafts`. Raises ContentError at the first unusable file."""
    folders = (path for path in folder.iterdir() if path.is_dir() and path.name != PICTURES)
    found = sorted(path for path in folders if drafts or path.suffix != DRAFT)
    languages = {path.name.removesuffix(DRAFT): path for path in found}
    entries = tuple(
        _entry(raw, {code: path / f"{raw.get('id')}.json" for code, path in languages.items()}, folder)
        for raw in _read_json(folder / "entries.json")
    )
    _check_ids(entries, folder, found)
    return Content(entries, {code: _outside(path / _OUTSIDE) for code, path in languages.items()})


def save_text(entry_id: str, language: str, text: Text, *, folder: Path = CONTENT) -> None:
    draft = folder / f"{language}{DRAFT}"
    path = (draft if draft.is_dir() else folder / language) / f"{entry_id}.json"
    path.parent.mkdir(exist_ok=True)
    _write_json(path, text.model_dump(mode="json", exclude_defaults=True, exclude={"questions"}) | _always(text))


def _always(text: Text) -> dict[str, Any]:
    """Keys every file has, in the order an editor reads them, the long list of questions last."""
    keys = ("title", "summary", "who", "bring", "cost", "hours", "steps", "simple")
    return {key: text.model_dump(mode="json")[key] for key in keys} | {"questions": list(text.questions)}


def _entry(raw: Mapping[str, Any], paths: Mapping[str, Path], folder: Path) -> Entry:
    texts = {code: _read_json(path) for code, path in paths.items() if path.exists()}
    try:
        return Entry.model_validate({**raw, "texts": texts})
    except ValidationError as error:
        first = error.errors()[0]
        where = " → ".join(str(part) for part in first["loc"])
        raise ContentError(f"{folder}: entry {raw.get('id')!r}, {where}: {first['msg']}") from None


def _check_ids(entries: tuple[Entry, ...], folder: Path, languages: list[Path]) -> None:
    ids = [entry.id for entry in entries]
    if len(set(ids)) != len(ids):
        twice = sorted({i for i in ids if ids.count(i) > 1})
        raise ContentError(f"{folder / 'entries.json'}: the same id stands twice: {', '.join(twice)}")
    for language in languages:
        stray = {path.stem for path in language.glob("*.json")} - set(ids)
        if stray:
            raise ContentError(f"{language}: texts of entries that do not exist: {', '.join(sorted(stray))}")


def stamp_translations(content: Content, *, folder: Path = CONTENT) -> int:
    """Writes into each new translation which Italian text it was made from; returns how many were stamped."""
    stamped = 0
    for entry in content.entries:
        source = entry.texts.get(SOURCE_LANGUAGE)
        for code, text in entry.texts.items():
            if source and code != SOURCE_LANGUAGE and text.translated_from is None:
                save_text(entry.id, code, text.model_copy(update={"translated_from": source.digest()}), folder=folder)
                stamped += 1
    return stamped


def _outside(path: Path) -> tuple[str, ...]:
    if not path.exists():
        return ()
    return tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ContentError(f"{path} is missing") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ContentError(f"{path} is not JSON in UTF-8: {error}") from None


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
