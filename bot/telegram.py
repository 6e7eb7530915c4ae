"""Telegram, as far as it needs neither network nor database: updates become turns, messages become calls.

What comes in is read by `parse` and becomes a turn by `said`; what goes out is made by `render`.
"""

from dataclasses import dataclass

from bot import emergency, shared_flow
from bot.phrases import SPOKEN
from bot.telegram_buttons import pointed
from bot.telegram_parse import ALLOWED_UPDATES, COMMANDS, Arrived, FileSent, album, guess_language, parse
from bot.telegram_profile import commands, profile_calls, render_group, typing
from bot.telegram_render import Manner, render
from bot.telegram_shown import Call, FileToSend, Shown
from bot.turn import Keeping, Reply

__all__ = [
    "ALLOWED_UPDATES",
    "COMMANDS",
    "Arrived",
    "Call",
    "FileSent",
    "FileToSend",
    "Manner",
    "Said",
    "Shown",
    "album",
    "commands",
    "greeting",
    "guess_language",
    "parse",
    "pointed",
    "profile_calls",
    "render",
    "render_group",
    "said",
    "typing",
]

_COMMANDS = {
    "book": "book",
    "person": "human",
    "language": "languages",
    "mydata": "what_do_you_know",
    "forget": "forget",
    "help": "help",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What of an update becomes a turn: words or a choice."""

    text: str = ""
    choice: str | None = None
    location: tuple[float, float] | None = None
    """For the answer, and for nothing else."""
    unread: str | None = None
    """Kind of the file that came with the words."""


def said(arrived: Arrived, *, held: bool = False) -> Said | None:
    """None when no turn becomes of it. `held`: a person at the desk has the word or is waited for, and files are for
    them."""
    if arrived.kind in ("message", "edited"):
        return _words(arrived.text)
    if arrived.kind == "choice":
        return Said(choice=arrived.choice)
    if arrived.kind == "start":
        return Said(choice=f"link:{arrived.payload}" if _leads(arrived.payload) else "start")
    if arrived.kind == "command":
        return _command(arrived)
    if arrived.kind == "files":
        return None if held else _files(arrived)
    if arrived.kind in ("location", "contact", "other"):
        return Said(choice=arrived.kind, location=arrived.location)
    return None


def _words(text: str) -> Said | None:
    return Said(text) if text.strip() else None


def _leads(payload: str | None) -> bool:
    return payload is not None and payload.startswith(("entry-", "desk-"))


def _command(arrived: Arrived) -> Said:
    """A command is what it says, unless somebody cries for help behind it."""
    if arrived.text and emergency.hear(arrived.text).surely:
        return Said(arrived.text)
    return Said(choice=_COMMANDS[arrived.command or "help"])


def _files(arrived: Arrived) -> Said:
    kind = arrived.files[0].kind if arrived.files else "other"
    return Said(arrived.text, unread=kind) if arrived.text.strip() else Said(choice=f"file:{kind}")


def greeting(language_code: str | None, keeping: Keeping) -> tuple[Reply, ...]:
    """The first messages of a conversation; with the question of the language when Telegram's own says nothing."""
    language = guess_language(language_code)
    first = shared_flow.greeting(language, keeping)
    if (language_code or "").lower().split("-")[0] in SPOKEN:
        return (first,)
    return (first, shared_flow.languages(language))
