"""Small stand-ins for what a test does not want to wait for."""

from bot.turn import Guess, Intent


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
