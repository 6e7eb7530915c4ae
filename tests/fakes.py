"""Small stand-ins for what a test does not want to wait for."""

from bot.turn import Guess, Intent
from knowledge_base.entry import Entry
from knowledge_base.library import Library


class FakeParser:
    """Says what it was told to say; None for everything else, as a Rasa that is down would."""

    def __init__(self, answers: dict[str, Guess] | None = None) -> None:
        self.answers = answers or {}
        self.asked: list[str] = []

    def learn(self, text: str, intent: Intent, confidence: float = 0.95, language: str | None = None) -> None:
        self.answers[text] = Guess(intent, confidence, language)

    async def parse(self, text: str) -> Guess | None:
        self.asked.append(text)
        return self.answers.get(text)


class FakeShelf:
    """`bot.dialogue.Actions` over a library in memory."""

    def __init__(self, library: Library) -> None:
        self.library = library

    def find_entry(self, entry_id: str) -> Entry | None:
        return self.library.find(entry_id)

    def entries_about(self, category: str) -> tuple[Entry, ...]:
        return self.library.by_category.get(category, ())

    def desks(self) -> tuple[Entry, ...]:
        return self.library.desks
