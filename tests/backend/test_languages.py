"""A new language is prepared, filled and published without touching code; until then nobody sees it."""

import json
import shutil
from pathlib import Path

import httpx
import pytest
from babel.messages.pofile import read_po, write_po

from backend import languages
from backend.config import ROOT
from backend.languages import DRAFT_CATALOGUE, LanguageError, add, missing, publish, standings, table, table_is_old
from bot import phrases
from bot.dialogue import respond
from bot.language import suggest
from bot.language_names import named
from bot.other_languages import SENTENCES
from bot.phrases import KNOWN, LOCALES, SPOKEN, best_spoken, language_name
from bot.turn import DialogueState, Incoming, Turn, Understanding
from knowledge_base.files import CONTENT, load_content
from knowledge_base.library import Library

HIDDEN = "so"
"""Somali is being prepared: its files are there, and people cannot choose it."""
SOMALI = "Waxaan rabaa inaan barto luqadda Talyaaniga, xaggee baan ka heli karaa iskuul"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the English sentences, the Italian texts and the English phrases, and nothing else."""
    english = tmp_path / "locales" / "en" / "LC_MESSAGES"
    english.mkdir(parents=True)
    (english / "elp.po").write_bytes((phrases.LOCALES / "en" / "LC_MESSAGES" / "elp.po").read_bytes())
    content = tmp_path / "knowledge_base" / "content"
    shutil.copytree(CONTENT / "it", content / "it")
    shutil.copy(CONTENT / "entries.json", content)
    shutil.copytree(ROOT / "nlu" / "data" / "en", tmp_path / "nlu" / "data" / "en")
    monkeypatch.setattr(languages, "ROOT", tmp_path)
    monkeypatch.setattr(languages, "LOCALES", tmp_path / "locales")
    return tmp_path


def translate(path: Path, suffix: str = " (ti)") -> None:
    with path.open("rb") as file:
        catalogue = read_po(file, locale="ti")
    for message in catalogue:
        if message.id:
            message.string = " ".join(message.auto_comments).removeprefix("English: ") + suffix
    with path.open("wb") as file:
        write_po(file, catalogue)


def test_a_language_is_prepared_with_every_sentence_beside_its_english(root: Path) -> None:
    draft, *lists = add("wo")
    assert draft == root / "locales/wo/LC_MESSAGES" / DRAFT_CATALOGUE
    assert '#. English: Send\nmsgid "page.send"' in draft.read_text(encoding="utf-8")
    assert root / "knowledge_base/content/wo.draft/outside.txt" in lists
    phrases_of_acts = (root / "nlu/data/wo/acts.yml.draft").read_text(encoding="utf-8")
    assert "- intent: book\n    examples: |\n  - intent:" in phrases_of_acts


def test_what_is_missing_is_a_list_of_everything(root: Path) -> None:
    add("wo")
    lacks = missing("wo")
    assert "sentence page.send: not translated" in lacks
    assert "text 112: missing" in lacks
    assert "emergency phrases (bot/emergency_phrases/wo.txt): 0 of 100" in lacks
    assert "names of the language (nlu/data/languages.yml): 0 of 1" in lacks
    assert "its code in availableLanguages (publiccode.yml): 0 of 1" in lacks


def test_a_sentence_that_appears_in_english_later_is_missing_and_no_error(root: Path) -> None:
    draft, *_ = add("wo")
    translate(draft)
    english = root / "locales/en/LC_MESSAGES/elp.po"
    with english.open("a", encoding="utf-8") as file:
        file.write('\nmsgid "page.later"\nmsgstr "Later than the others"\n')
    assert [line for line in missing("wo") if line.startswith("sentence")] == ["sentence page.later: not translated"]


def test_a_sentence_that_is_english_still_is_missing(root: Path) -> None:
    draft, *_ = add("wo")
    translate(draft, suffix="")
    lacks = missing("wo")
    assert any(line.startswith("sentence emergency.fire: still the English one") for line in lacks)
    assert not any(line.startswith("sentence card.days_hours") for line in lacks)  # nothing but placeholders


def test_a_sentence_may_be_the_same_as_the_english_when_somebody_says_so(root: Path) -> None:
    draft, *_ = add("wo")
    translate(draft, suffix="")
    text = draft.read_text(encoding="utf-8")
    draft.write_text(text.replace("#. English: Send\n", "# same\n#. English: Send\n"), encoding="utf-8")
    lacks = [line.partition(":")[0] for line in missing("wo")]
    assert "sentence page.send" not in lacks
    assert "sentence page.title" in lacks


def test_a_text_in_a_draft_is_checked_like_any_other(root: Path) -> None:
    add("wo")
    raw = json.loads((CONTENT / "it" / "112.json").read_text(encoding="utf-8"))
    text = raw | {"cost": "987 CFA", "questions": ["lan la"]}
    (root / "knowledge_base/content/wo.draft/112.json").write_text(json.dumps(text), encoding="utf-8")
    lacks = [line for line in missing("wo") if line.startswith("text 112")]
    assert "text 112: missing" not in lacks
    assert "text 112 (wo): numbers that the record does not hold: 987" in lacks
    assert "text 112 (wo): only 1 questions" in lacks


def test_what_is_not_complete_cannot_be_published(root: Path) -> None:
    draft, *_ = add("wo")
    with pytest.raises(LanguageError, match="not complete"):
        publish("wo")
    assert draft.exists()


def test_a_complete_language_can_be_chosen(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draft, *_ = add("wo")
    monkeypatch.setattr(languages, "missing", lambda code: [])
    publish("wo")
    assert not draft.exists()
    assert (draft.parent / "elp.po").exists()
    assert (root / "knowledge_base/content/wo/outside.txt").exists()
    assert (root / "nlu/data/wo/acts.yml").exists()
    assert not list(root.rglob("*.draft"))


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


# ---- Somali, as it stands: prepared for real, and hidden ----


def test_the_files_of_the_hidden_language_are_kept_and_it_is_not_spoken() -> None:
    assert (LOCALES / HIDDEN / "LC_MESSAGES" / DRAFT_CATALOGUE).exists()
    assert HIDDEN in KNOWN
    assert HIDDEN not in SPOKEN
    assert missing(HIDDEN)
    assert "Soomaali (`so`), *not published*" in table()


def test_the_emergency_entries_are_there_in_the_hidden_language() -> None:
    entries = {entry.id: entry for entry in load_content(drafts=True).entries}
    for entry_id in ("112", "1522", "114", "116000", "numero-verde-antitratta"):
        assert HIDDEN in entries[entry_id].texts
    assert not [line for line in missing(HIDDEN) if is_about(line, "112", "1522", "114", "116000")]
    somali = next(standing for standing in standings() if standing.code == HIDDEN)
    assert somali.sentences > 800
    assert somali.emergencies > 100


def is_about(line: str, *entry_ids: str) -> bool:
    return any(line.startswith((f"text {entry_id}:", f"text {entry_id} ")) for entry_id in entry_ids)


def test_nobody_is_offered_the_hidden_language(library: Library) -> None:
    assert HIDDEN not in library.languages
    assert best_spoken("so,it;q=0.5") == "it"
    offered = respond(Turn(Incoming("it", choice="languages"), Understanding(), DialogueState()), library)
    assert f"language:{HIDDEN}" not in {choice.id for choice in offered.choices}


def test_whoever_writes_in_the_hidden_language_is_told_in_it_that_it_is_not_there_yet(library: Library) -> None:
    understood = Understanding(written_in=suggest(SOMALI, "it"))
    told = respond(Turn(Incoming("it", SOMALI), understood, DialogueState()), library)
    assert SENTENCES[HIDDEN] in told.text
    assert f"language:{HIDDEN}" not in {choice.id for choice in told.choices}


def test_whoever_asks_for_the_hidden_language_is_told_that_it_is_not_there_yet(library: Library) -> None:
    assert named("parli somalo?") == HIDDEN
    told = respond(Turn(Incoming("it", choice=f"language:{HIDDEN}"), Understanding(), DialogueState()), library)
    assert language_name(HIDDEN, "it") in told.text
    assert told.language == "it"


async def test_no_page_and_no_list_offers_the_hidden_language(client: httpx.AsyncClient) -> None:
    page = await client.get("/", params={"language": HIDDEN}, headers={"accept-language": HIDDEN})
    assert 'lang="it"' in page.text
    assert "Soomaali" not in page.text
    listed = await client.get("/api/v1/languages")
    assert HIDDEN not in {one["code"] for one in listed.json()}
