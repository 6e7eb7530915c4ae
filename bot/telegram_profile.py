"""What Telegram shows of the bot before anybody writes to it, and calls that belong to no message."""

from telegram.helpers import create_deep_linked_url

from bot.phrases import FALLBACK, SPOKEN, say
from bot.telegram_html import Span, html
from bot.telegram_parse import COMMANDS, guess_language
from bot.telegram_shown import Call


def commands(language: str) -> tuple[tuple[str, str], ...]:
    """Each with its description."""
    return tuple((command, say(language, f"telegram.command.{command}")) for command in COMMANDS)


def profile_calls() -> tuple[Call, ...]:
    """Commands and descriptions in every language, and in English for everybody else. The name of the bot is its
    owner's choice."""
    return tuple(call for code in (None, *SPOKEN) for call in _profile(code))


def _profile(code: str | None) -> tuple[Call, ...]:
    language = code or FALLBACK
    at = {"language_code": code} if code else {}
    listed = [{"command": command, "description": description} for command, description in commands(language)]
    short = say(language, "telegram.short_description", count=len(SPOKEN))
    return (
        Call("setMyCommands", {"commands": listed, **at}),
        Call("setMyDescription", {"description": say(language, "telegram.description", count=len(SPOKEN)), **at}),
        Call("setMyShortDescription", {"short_description": short, **at}),
    )


def render_group(language_code: str | None, username: str) -> tuple[Call, ...]:
    """Others read along in a group: one sentence, and the way to talk alone. `username` is the bot's, without @."""
    language = guess_language(language_code)
    button = {"text": say(language, "telegram.group_button"), "url": create_deep_linked_url(username)}
    text = html([Span(say(language, "telegram.group"))])
    return (Call("sendMessage", {"text": text, "parse_mode": "HTML", "reply_markup": {"inline_keyboard": [[button]]}}),)


def typing() -> Call:
    return Call("sendChatAction", {"action": "typing"})
