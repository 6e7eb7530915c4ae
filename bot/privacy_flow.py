"""Questions about one's own data, and the wish to have it erased: words and buttons on every channel."""

from dataclasses import replace

from bot.buttons import button
from bot.phrases import say
from bot.privacy import long_notice
from bot.turn import DialogueState, Reply, Turn

CHOICES = ("forget", "forget-now", "what_do_you_know", "privacy", "export", "export-file", "forget-on-close")
"""Buttons of this flow, and `no:forget-now`."""


def answer(choice: str, turn: Turn) -> Reply:
    """To one of `CHOICES`."""
    language = turn.incoming.language
    flow = {
        "forget": _forget,
        "forget-now": _forget_now,
        "what_do_you_know": _what_do_you_know,
        "privacy": _privacy,
        "export": _export,
        "export-file": _export_file,
        "forget-on-close": _forget_on_close,
    }
    return flow[choice](turn, language)


def declined(turn: Turn) -> Reply:
    """Asked whether to erase, the person said no."""
    return _reply(turn, "no", say(turn.incoming.language, "forget.kept"), "topics")


def _reply(turn: Turn, intent: str, text: str, *choices: str) -> Reply:
    language = turn.incoming.language
    buttons = tuple(button(language, name) for name in choices)
    return Reply(language, text, intent, state=turn.state.change(pending=None), choices=buttons)


def _forget(turn: Turn, language: str) -> Reply:
    reply = _reply(turn, "forget", say(language, "forget.ask"), "forget-now")
    choices = (*reply.choices, button(language, "no", "forget-now", key="forget_no"))
    return replace(reply, choices=choices, state=turn.state.change(pending="forget-now"), tells="forget")


def _forget_now(turn: Turn, language: str) -> Reply:
    return Reply(language, "", "forget", state=DialogueState(), erase=True)


def _what_do_you_know(turn: Turn, language: str) -> Reply:
    choices = ("export", "forget", "forget-on-close", "privacy", "topics")
    return replace(_reply(turn, "what_do_you_know", "", *choices), tells="known")


def _privacy(turn: Turn, language: str) -> Reply:
    choices = ("what_do_you_know", "forget", "forget-on-close", "topics")
    return _reply(turn, "privacy", long_notice(language, turn.keeping), *choices)


def _export(turn: Turn, language: str) -> Reply:
    """On the chat page this button is a link to the file; elsewhere it says where to find it."""
    page, name = say(language, "choice.privacy"), say(language, "choice.export")
    text = say(language, "export.how", page=page, button=name)
    return _reply(turn, "what_do_you_know", text, "privacy", "topics")


def _export_file(turn: Turn, language: str) -> Reply:
    """Where a file can come into the conversation, it comes with this reply."""
    reply = _reply(turn, "what_do_you_know", say(language, "telegram.export"), "forget", "topics")
    return replace(reply, variant="export")


def _forget_on_close(turn: Turn, language: str) -> Reply:
    """Pressed again it is undone; which of the two it was, the database knows."""
    return replace(_reply(turn, "forget_on_close", "", "forget-on-close", "topics"), tells="forget_on_close")
