"""`elp kb check` on the sentences: each kind of mistake in a catalogue is found and named with its language and key."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from babel.messages.pofile import read_po, write_po

from backend import catalogue_checks
from backend.catalogue_checks import catalogue_problems, untranslated
from bot.phrases import LOCALES, SPOKEN

Change = Callable[..., list[str]]


@pytest.fixture
def locales(tmp_path: Path) -> Path:
    """The catalogues as they are, for a test to break."""
    for code in SPOKEN:
        folder = tmp_path / code / "LC_MESSAGES"
        folder.mkdir(parents=True)
        shutil.copy(LOCALES / code / "LC_MESSAGES" / "elp.po", folder)
    return tmp_path


@pytest.fixture(scope="module")
def before() -> frozenset[str]:
    """What is wrong already: others may be writing sentences this very moment."""
    return frozenset((*catalogue_problems(), *untranslated()))


@pytest.fixture
def new_problems(locales: Path, before: frozenset[str]) -> Change:
    """What is wrong after a change that was not wrong before."""

    def change(code: str, old: str, new: str, *, check: Callable[[Path], list[str]] = catalogue_problems) -> list[str]:
        path = locales / code / "LC_MESSAGES" / "elp.po"
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1
        path.write_text(text.replace(old, new), encoding="utf-8")
        return [problem for problem in check(locales) if problem not in before]

    return change


def sentence(code: str, key: str) -> str:
    """As it stands in the file."""
    with (LOCALES / code / "LC_MESSAGES" / "elp.po").open("rb") as file:
        string = read_po(file, locale=code)[key].string
    quoted = str(string).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'msgid "{key}"\nmsgstr "{quoted}"\n'


@pytest.mark.parametrize(
    "new, problem",
    [
        ("", "fr: page.send is missing"),
        ('msgid "page.send"\nmsgstr ""\n', "fr: page.send: not translated"),
        ('#, fuzzy\nmsgid "page.send"\nmsgstr "Envoyer"\n', "fr: page.send: not translated"),
        ('msgid "page.send"\nmsgstr "Envoyer {name}"\n', "fr: page.send: other placeholders than the English"),
    ],
)
def test_a_sentence_that_cannot_be_said_is_named(new_problems: Change, new: str, problem: str) -> None:
    assert new_problems("fr", sentence("fr", "page.send"), new) == [problem]


def test_a_placeholder_that_was_translated_is_named(new_problems: Change) -> None:
    wrong = sentence("fr", "know.place").replace("{place}", "{lieu}")
    problem = "fr: know.place: other placeholders than the English"
    assert new_problems("fr", sentence("fr", "know.place"), wrong) == [problem]


def test_a_sentence_that_is_in_one_language_only_is_named(new_problems: Change) -> None:
    send = sentence("fr", "page.send")
    found = new_problems("fr", send, f'{send}\nmsgid "page.extra"\nmsgstr "De plus"\n')
    assert found == ["fr: page.extra is not in English"]


def test_a_sentence_that_nothing_says_is_named(new_problems: Change) -> None:
    send = sentence("en", "page.send")
    found = new_problems("en", send, f'{send}\nmsgid "privacy.in_short"\nmsgstr "In short"\n')
    assert "privacy.in_short is in the catalogues, and nothing says it" in found


def test_a_sentence_that_is_said_and_stands_nowhere_is_named(new_problems: Change) -> None:
    assert "page.send is used and in no catalogue" in new_problems("en", sentence("en", "page.send"), "")


def test_the_plural_rule_of_another_language_is_named(new_problems: Change) -> None:
    found = new_problems("ru", "nplurals=3; plural=(n%10==1", "nplurals=3; plural=(n%10==2")
    assert len(found) == 1
    assert found[0].startswith("ru: Plural-Forms should be nplurals=3")


def test_a_plural_form_that_is_missing_is_named(locales: Path, before: frozenset[str]) -> None:
    for code in SPOKEN:
        path = locales / code / "LC_MESSAGES" / "elp.po"
        with path.open("rb") as file:
            catalogue = read_po(file, locale=code)
        forms = catalogue.num_plurals - (code == "uk")
        catalogue.add(("page.send.many", "page.send.many"), tuple(f"{{count}} {n}" for n in range(forms)))
        with path.open("wb") as file:
            write_po(file, catalogue)
    found = set(catalogue_problems(locales)) - before
    assert found == {"uk: page.send.many: not translated", "page.send.many is in the catalogues, and nothing says it"}


@pytest.mark.parametrize(
    "code, key, said, problem",
    [
        ("fr", "emergency.fire", "Go outside now, then call 112.", "still the sentence of 'en'"),
        ("ar", "page.send", "Send", "not in the script of the language"),
        ("uk", "page.send", "Send", "not in the script of the language"),
        ("zh", "page.send", "Send", "not in the script of the language"),
        ("fr", "page.send", "Send", None),
    ],
)
def test_what_is_still_in_english_or_in_another_script_is_named(
    new_problems: Change, code: str, key: str, said: str, problem: str | None
) -> None:
    found = new_problems(code, sentence(code, key), f'msgid "{key}"\nmsgstr "{said}"\n', check=untranslated)
    assert found == ([f"{code}: {key}: {problem}"] if problem else [])


def test_italian_left_in_a_translation_is_named(new_problems: Change) -> None:
    italian = sentence("it", "emergency.fire")
    found = new_problems("es", sentence("es", "emergency.fire"), italian, check=untranslated)
    assert found == ["es: emergency.fire: still the sentence of 'it'"]


def test_what_the_program_puts_together_counts_as_said() -> None:
    catalogue_checks._is_said.cache_clear()
    assert catalogue_checks._is_said("choice.facet_where")
    assert catalogue_checks._is_said("audit.shift.begun")
    assert not catalogue_checks._is_said("choice.never_made")
    assert not catalogue_checks._is_said("nothing.at.all")
