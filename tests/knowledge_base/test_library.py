"""The trained index is kept for the next start, and never used for anything it was not made from."""

from pathlib import Path

import pytest

from knowledge_base.entry import Entry
from knowledge_base.files import Content
from knowledge_base.library import Library
from knowledge_base.search import Band, Index


@pytest.fixture(scope="module")
def few(content: Content) -> list[Entry]:
    """Five entries in one language: built in a moment."""
    shown = [entry for entry in content.entries if entry.shown][:5]
    return [entry.model_copy(update={"texts": {"it": entry.texts["it"]}}) for entry in shown]


def test_the_second_start_builds_nothing_and_answers_the_same(
    few: list[Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Library.build(few, {}, cache=tmp_path).index.search("sportello elp", "it")
    monkeypatch.setattr(Index, "build", None)  # whoever builds now fails
    assert Library.build(few, {}, cache=tmp_path).index.search("sportello elp", "it") == first


def test_changed_content_is_never_answered_from_the_old_file(few: list[Entry], tmp_path: Path) -> None:
    Library.build(few, {}, cache=tmp_path)
    text = few[0].texts["it"].model_copy(update={"questions": ("parola magica abracadabra",)})
    changed = [few[0].model_copy(update={"texts": {"it": text}}), *few[1:]]
    found = Library.build(changed, {}, cache=tmp_path).index.search("parola magica abracadabra", "it")
    assert found.band is not Band.UNKNOWN
    assert found.hits[0].id == few[0].id


def test_a_torn_file_is_built_again(few: list[Entry], tmp_path: Path) -> None:
    Library.build(few, {}, cache=tmp_path)
    (file,) = tmp_path.glob("*.pickle")
    file.write_bytes(file.read_bytes()[:100])
    assert Library.build(few, {}, cache=tmp_path).index.search("sportello elp", "it").hits


def test_a_folder_that_cannot_be_written_costs_time_and_nothing_else(few: list[Entry], tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert Library.build(few, {}, cache=blocked / "index").index.search("sportello elp", "it").hits


def test_only_two_files_are_kept(few: list[Entry], tmp_path: Path) -> None:
    for count in (2, 3, 4, 5):
        Library.build(few[:count], {}, cache=tmp_path)
    assert len(list(tmp_path.glob("*.pickle"))) == 2
