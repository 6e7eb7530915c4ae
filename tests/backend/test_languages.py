"""A new language is prepared, filled and published without touching code; until then nobody sees it."""

from pathlib import Path

import pytest
from babel.messages.pofile import read_po, write_po

from backend import languages
from backend.languages import DRAFT, LanguageError, add, missing, publish, table_is_old
from bot import phrases


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project with nothing but the English sentences."""
    english = tmp_path / "locales" / "en" / "LC_MESSAGES"
    english.mkdir(parents=True)
    (english / "elp.po").write_bytes((phrases.LOCALES / "en" / "LC_MESSAGES" / "elp.po").read_bytes())
    for folder in ("knowledge_base/content", "nlu/data"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setattr(languages, "ROOT", tmp_path)
    monkeypatch.setattr(languages, "LOCALES", tmp_path / "locales")
    return tmp_path


def translate(path: Path) -> None:
    with path.open("rb") as file:
        catalogue = read_po(file, locale="so")
    for message in catalogue:
        if message.id:
            message.string = " ".join(message.auto_comments).removeprefix("English: ")
    with path.open("wb") as file:
        write_po(file, catalogue)


def test_somali_is_prepared_with_every_sentence_beside_its_english(root: Path) -> None:
    draft, *_ = add("so")
    assert draft == root / "locales/so/LC_MESSAGES" / DRAFT
    assert '#. English: Send\nmsgid "page.send"' in draft.read_text(encoding="utf-8")
    lacks = missing("so")
    assert "sentence page.send: not translated" in lacks
    assert "text 112: missing" in lacks
    assert "emergency phrases: 0 of 100" in lacks


def test_translated_sentences_are_no_longer_missing_and_the_rest_still_is(root: Path) -> None:
    draft, *_ = add("so")
    translate(draft)
    lacks = missing("so")
    assert not [line for line in lacks if line.startswith("sentence")]
    with pytest.raises(LanguageError, match="not complete"):
        publish("so")
    assert draft.exists()


def test_a_complete_language_can_be_chosen(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draft, *_ = add("so")
    monkeypatch.setattr(languages, "missing", lambda code: [])
    publish("so")
    assert not draft.exists()
    assert (draft.parent / "elp.po").exists()


@pytest.mark.parametrize("code, sentence", [("it", "there already"), ("zz", "CLDR"), ("../x", "CLDR"), ("", "CLDR")])
def test_what_is_no_new_language_is_refused(root: Path, code: str, sentence: str) -> None:
    with pytest.raises(LanguageError, match=sentence):
        add(code)


def test_nothing_is_prepared_twice(root: Path) -> None:
    add("ti")
    with pytest.raises(LanguageError, match="there already"):
        add("ti")
    with pytest.raises(LanguageError, match="not begun"):
        missing("wo")


def test_the_table_of_languages_is_up_to_date() -> None:
    assert not table_is_old()
