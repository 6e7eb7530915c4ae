"""The Rasa service, asked over HTTP. It may be slow, down or talk rubbish: the answer is then None."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import aiohttp

from bot.phrases import KNOWN
from bot.turn import Guess, Intent

log = logging.getLogger(__name__)

_FAILURES_BEFORE_PAUSE = 3
_PAUSE_S = 30.0
_LONGEST_TEXT = 1000
"""Characters sent; what somebody wants to do stands well within them."""


class RasaClient:
    """One per process; keeps its connections. After repeated failures it leaves the service alone for a while."""

    def __init__(self, url: str, *, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = f"{url.rstrip('/')}/model/parse"
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._http: aiohttp.ClientSession | None = None
        self._clock = clock
        self._failures = 0
        self._paused_until = 0.0

    @property
    def paused(self) -> bool:
        return self._clock() < self._paused_until

    async def parse(self, text: str) -> Guess | None:
        """What the text wants, or None when the service cannot say within the time limit. Never raises."""
        if self.paused:
            return None
        try:
            if self._http is None:  # here and not above: the session belongs to the running loop
                self._http = aiohttp.ClientSession(timeout=self._timeout, raise_for_status=True)
            async with self._http.post(self._url, json={"text": text[:_LONGEST_TEXT]}) as response:
                guess = read_guess(await response.json(content_type=None))
        except (aiohttp.ClientError, TimeoutError, ValueError, TypeError, KeyError) as error:
            self._failed(error)
            return None
        self._recovered()
        return guess

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        if self._failures >= _FAILURES_BEFORE_PAUSE:
            if self._failures == _FAILURES_BEFORE_PAUSE:
                log.warning("NLU does not answer (%s): going on without it", type(error).__name__)
            self._paused_until = self._clock() + _PAUSE_S

    def _recovered(self) -> None:
        if self._failures >= _FAILURES_BEFORE_PAUSE:
            log.info("NLU answers again")
        self._failures = 0

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()


def read_guess(answer: Any) -> Guess | None:
    """One answer of `POST /model/parse`; None for an intent we do not know. Raises ValueError on rubbish."""
    if not isinstance(answer, dict):
        raise ValueError("not an answer of /model/parse")
    language = _language_in(answer.get("entities"))
    guess = _one(answer.get("intent"), language)
    ranking = answer.get("intent_ranking") or ()
    if not isinstance(ranking, list | tuple):
        raise ValueError("the ranking is no list")
    ranked = [_one(each, language) for each in ranking]
    return guess and replace(guess, others=tuple(each for each in ranked if each and each.intent is not guess.intent))


def _one(raw: Any, language: str | None) -> Guess | None:
    if not isinstance(raw, dict):
        raise ValueError("not an intent")
    name, confidence = raw.get("name"), raw.get("confidence")
    if not isinstance(confidence, int | float) or not 0 <= confidence <= 1.001:
        raise ValueError("confidence is not between 0 and 1")
    return Guess(Intent(name), float(confidence), language) if name in set(Intent) else None


def _language_in(entities: Any) -> str | None:
    if not isinstance(entities, list):
        return None
    values = (entity.get("value") for entity in entities if isinstance(entity, dict))
    return next((value for value in values if isinstance(value, str) and value in KNOWN), None)
