"""Rendered calls put before the stand-in without a network between them, and messages to render."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from backend.telegram_stand_in import StandIn, methods, samples
from backend.telegram_stand_in.people import Chat
from backend.telegram_stand_in.table import check_call
from backend.telegram_stand_in.world import Shown, Uploaded
from bot.telegram import Call
from bot.turn import Reply
from bot.visit_card import VisitFacts
from knowledge_base.entry import Entry
from knowledge_base.library import Library
from tests.bot.fake_visits import TUESDAY, rome

VISIT = "7a1de0e5-1f6f-4e7f-9d7e-0c8a6d6c1c11"
CONTENT = {"photo": samples.photo(), "voice": samples.voice(), "document": samples.DOCUMENT}


@dataclass(frozen=True)
class Message:
    """What `bot.telegram_shown.Shown` asks for."""

    id: int = 7
    author: str = "bot"
    language: str = "it"
    text: str = ""
    original: str | None = None
    machine: bool = False
    desk: str | None = None
    intent: str | None = "ask"
    variant: str | None = None
    choices: Sequence[Any] = ()
    entries: Sequence[Any] = ()
    emergency: Sequence[Any] = ()
    attachments: Sequence[Any] = ()
    appointment: Any = None


def message_of(reply: Reply, *cards: Any) -> Message:
    return Message(
        language=reply.language,
        text=reply.text,
        intent=reply.intent,
        variant=reply.variant if reply.variant != "full" else None,
        choices=reply.choices,
        entries=[card for card in cards if card],
        emergency=reply.emergency,
        appointment=reply.visit,
    )


@dataclass(frozen=True)
class Attached:
    kind: str
    media_type: str
    id: str = VISIT


def confirmed(library: Library) -> VisitFacts:
    """An appointment with everything that one can have."""
    start = rome(TUESDAY, 10)
    return VisitFacts(
        VISIT,
        "confirmed",
        start,
        start + timedelta(minutes=30),
        "Europe/Rome",
        "Sportello ELP",
        "Primo colloquio",
        "ABC23",
        "Amina",
        "it",
        interpreter=True,
        place=library.find_entry("sportello-elp"),
        bring=("Passaporto", "Codice fiscale"),
        demo=True,
    )


def shown_of(library: Library) -> list[Entry]:
    return [entry for entry in library.entries.values() if entry.shown]


def bare(text: str) -> str:
    """Without marks of direction, and white space as one space: cuts take it away."""
    return re.sub(r"\s+", " ", re.sub("[\u2066-\u2069\u200f]", "", text)).strip()


class Screen:
    """What one person sees of calls that were made for them."""

    def __init__(self) -> None:
        self.standin = StandIn()
        self.user = self.standin.user(language_code="it")
        self.user.starts()

    def show(self, calls: Iterable[Call], chat: Chat | None = None) -> list[Shown]:
        """Raises what Telegram would refuse with; a call that Telegram would only partly do stays in `violations`."""
        chat = chat or self.user
        before = len(chat.messages)
        for call in calls:
            self.do(call, chat_id=chat.id)
        assert not self.standin.violations, self.standin.violations
        return chat.messages[before:]

    def do(self, call: Call, **where: int) -> None:
        files = {name: Uploaded(file.name, CONTENT[name], file.media_type) for name, file in call.files.items()}
        methods.do(self.standin.world, call.method, check_call(call.method, where | call.fields, files), files)
