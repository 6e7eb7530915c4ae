"""The slow part of a turn: language, emergency, intent, search. Runs in no transaction and touches no data."""

from collections.abc import Callable
from typing import Protocol

from bot import emergency, language
from bot.phrases import SOURCE
from bot.turn import Guess, Incoming, Understanding
from knowledge_base.library import Library
from knowledge_base.search import Band, SearchResult


class Parser(Protocol):
    async def parse(self, text: str) -> Guess | None: ...


class Understander:
    def __init__(self, library: Callable[[], Library], parser: Parser | None) -> None:
        self._library = library
        self._parser = parser

    def warm_up(self) -> None:
        """Reads the rules and models that are otherwise read with the first message; a second or two."""
        emergency.detect("")
        language.warm_up()

    async def understand(self, incoming: Incoming, *, held: bool = False) -> Understanding:
        """A pressed button is its meaning: nothing is guessed about it. `held`: the words are for a person, and only
        an emergency in them matters."""
        if incoming.choice is not None or not incoming.text:
            return Understanding()
        if held:
            return Understanding(emergency=emergency.detect(incoming.text))
        written_in = language.suggest(incoming.text, incoming.language)
        return Understanding(
            written_in=written_in,
            emergency=emergency.detect(incoming.text),
            guess=await self._parser.parse(incoming.text) if self._parser else None,
            found=search(self._library(), incoming, written_in),
        )


def search(library: Library, incoming: Incoming, written_in: str | None) -> SearchResult | None:
    """In the language it is written in, then the conversation's, then Italian, whose words people mix in."""
    order = dict.fromkeys(code for code in (written_in, incoming.language, SOURCE) if code in library.languages)
    best: SearchResult | None = None
    for code in order:
        result = library.index.search(incoming.text, code, place=incoming.place)
        if result.band is not Band.UNKNOWN:
            return result
        best = best or result
    return best
