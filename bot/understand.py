"""The slow part of a turn: language, emergency, intent, search. Runs in no transaction and touches no data."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from bot import emergency, keywords, language
from bot.meaning import meant
from bot.phrases import SOURCE
from bot.translation import Translation
from bot.turn import Guess, Incoming, Understanding
from knowledge_base.library import Library
from knowledge_base.search import Band, SearchResult

_TRANSLATION_S = 2.0
"""A question waits so long to be looked up in another language; then nothing was found."""


class Parser(Protocol):
    async def parse(self, text: str) -> Guess | None: ...


class Interpreter(Protocol):
    """What is needed of `bot.translation.Translator`."""

    def can(self, source: str, target: str) -> bool: ...
    async def translate(self, text: str, source: str, target: str) -> Translation | None: ...


class Understander:
    def __init__(
        self, library: Callable[[], Library], parser: Parser | None, interpreter: Interpreter | None = None
    ) -> None:
        self._library = library
        self._parser = parser
        self._interpreter = interpreter

    def warm_up(self, cache: Path | None = None) -> None:
        """Reads the rules and models that are otherwise read with the first message; seconds, without a `cache`, a
        folder of our own."""
        emergency.warm_up(cache)
        language.warm_up()

    async def understand(self, incoming: Incoming, *, held: bool = False) -> Understanding:
        """A pressed button is its meaning: nothing is guessed about it. `held`: the words are for a person, and only
        an emergency in them matters."""
        if incoming.choice is not None or not incoming.text:
            return Understanding()
        if held:
            return Understanding(emergency=emergency.hear(incoming.text).surely)
        heard = emergency.hear(incoming.text)
        understood = Understanding(
            written_in=language.suggest(incoming.text, incoming.language),
            emergency=heard.surely,
            perhaps_emergency=heard.perhaps,
            guess=await self._guess(incoming),
        )
        understood = replace(understood, found=search(self._library(), incoming, understood.written_in))
        return replace(understood, found=await self._found(incoming, understood))

    async def _found(self, incoming: Incoming, understood: Understanding) -> SearchResult | None:
        """What nobody has written in the person's language may stand in the Italian texts, where a model translates;
        what is answered without an entry need not wait for that."""
        found, source = understood.found, understood.written_in or incoming.language
        answered = found is not None and found.band is not Band.UNKNOWN
        if answered or understood.emergency or meant(understood):
            return found
        if self._interpreter is None or not self._interpreter.can(source, SOURCE):
            return found
        try:
            async with asyncio.timeout(_TRANSLATION_S):
                translation = await self._interpreter.translate(incoming.text, source, SOURCE)
        except TimeoutError:
            return found
        if translation is None or translation.problems:
            return found
        return search(self._library(), replace(incoming, text=translation.text, language=SOURCE), None)

    async def _guess(self, incoming: Incoming) -> Guess | None:
        """Words that mean one thing by themselves need no classifier; others are left to it, while it answers."""
        short = keywords.guess(incoming.text, incoming.language)
        if short and short.confidence >= keywords.WHOLE:
            return short
        return (await self._parser.parse(incoming.text) if self._parser else None) or short


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
