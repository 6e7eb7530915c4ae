"""What a message is taken for where the classifier or the person's language has nothing to say."""

import asyncio

import pytest

from bot.translation import Translation
from bot.turn import Guess, Incoming, Intent
from bot.understand import Understander
from knowledge_base.library import Library
from knowledge_base.search import Band

NONSENSE = "zzkrt vbnmq wplx"


class Interpreter:
    """Knows one sentence."""

    def __init__(self, italian: str, *, problems: tuple[str, ...] = (), wait_s: float = 0.0) -> None:
        self._translation = Translation(italian, problems)
        self._wait_s = wait_s

    def can(self, source: str, target: str) -> bool:
        return (source, target) == ("tr", "it")

    async def translate(self, text: str, source: str, target: str) -> Translation | None:
        await asyncio.sleep(self._wait_s)
        return self._translation


async def test_without_the_classifier_short_words_say_what_is_wanted(library: Library) -> None:
    understood = await Understander(lambda: library, None).understand(Incoming("fr", "rendez-vous"))
    assert understood.guess is not None
    assert understood.guess.intent is Intent.BOOK


async def test_what_no_text_of_the_language_says_is_looked_up_in_italian(library: Library) -> None:
    italian = Interpreter("come rinnovo il permesso di soggiorno")
    found = (await Understander(lambda: library, None, italian).understand(Incoming("tr", NONSENSE))).found
    assert found is not None
    assert found.hits[0].id == "permesso-rinnovo"


async def test_a_doubtful_or_late_translation_is_not_looked_up(library: Library, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("bot.understand._TRANSLATION_S", 0.01)
    doubtful = Interpreter("come rinnovo il permesso di soggiorno", problems=("repeats",))
    late = Interpreter("come rinnovo il permesso di soggiorno", wait_s=5)
    for interpreter in (doubtful, late):
        found = (await Understander(lambda: library, None, interpreter).understand(Incoming("tr", NONSENSE))).found
        assert found is None or found.band is Band.UNKNOWN


@pytest.mark.parametrize("text", ["randevumu iptal etmek istiyorum", "kocam beni öldürecek"])
async def test_an_act_and_an_emergency_do_not_wait_for_a_translation(library: Library, text: str) -> None:
    class Refusing(Interpreter):
        async def translate(self, text: str, source: str, target: str) -> Translation | None:
            raise AssertionError("nobody asked for it")

    class Classifier:
        async def parse(self, text: str) -> Guess | None:
            return Guess(Intent.CANCEL_BOOKING, 0.9) if "randevu" in text else None

    without_entries = Library.build([], {})
    understood = await Understander(lambda: without_entries, Classifier(), Refusing("x")).understand(
        Incoming("tr", text)
    )
    assert understood.found is None or understood.found.band is Band.UNKNOWN
