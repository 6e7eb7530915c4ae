"""Content files: read, written, compared; a broken one is named."""

import json
import shutil
from pathlib import Path

import pytest

from knowledge_base.files import CONTENT, ContentError, load_content, save_text, stamp_translations


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("entries.json", "it/isee.json", "en/isee.json", "it/outside.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(CONTENT / name, tmp_path / name)
    return tmp_path


def test_what_is_saved_is_what_was_read(folder: Path) -> None:
    before = (folder / "en/isee.json").read_text(encoding="utf-8")
    entry = next(entry for entry in load_content(folder).entries if entry.id == "isee")
    save_text("isee", "en", entry.texts["en"], folder=folder)
    assert (folder / "en/isee.json").read_text(encoding="utf-8") == before


@pytest.mark.parametrize(
    "name, text, sentence",
    [
        ("entries.json", "{", "is not JSON"),
        ("it/isee.json", '{"title": "x"}', "isee"),
        ("it/isee.json", "\ufffe", "is not JSON"),
        ("it/nobody.json", "{}", "do not exist"),
    ],
)
def test_a_broken_file_is_named_with_the_reason(folder: Path, name: str, text: str, sentence: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(ContentError, match=sentence):
        load_content(folder)


def test_an_id_that_stands_twice_is_refused(folder: Path) -> None:
    entries = json.loads((folder / "entries.json").read_text(encoding="utf-8"))
    (folder / "entries.json").write_text(json.dumps([*entries, entries[0]]), encoding="utf-8")
    with pytest.raises(ContentError, match="twice"):
        load_content(folder)


def test_a_new_translation_is_stamped_with_the_italian_it_was_made_from(folder: Path) -> None:
    raw = json.loads((folder / "en/isee.json").read_text(encoding="utf-8"))
    raw.pop("translated_from", None)
    (folder / "en/isee.json").write_text(json.dumps(raw), encoding="utf-8")
    assert stamp_translations(load_content(folder), folder=folder) == 1
    assert stamp_translations(load_content(folder), folder=folder) == 0
    assert load_content(folder).outside["it"]
