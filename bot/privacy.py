"""What a person is told about their own data: the same sentences in the chat and on the privacy page."""

from datetime import date, timedelta

from babel.dates import format_date, format_timedelta

from bot import phrases
from bot.phrases import say
from bot.turn import Keeping, Known

_NEVER_WEEKS = 1e9
"""Babel goes over to the next greater unit above this part of it; people count what is kept in days."""
NOTICE = ("kept", "visits", "not_kept", "where", "how_long", "read", "rights")
"""Parts of the notice in reading order: `privacy.<part>` is the heading, `privacy.<part>.text` what it says."""


def days(language: str, number: int) -> str:
    """«90 giorni», with the plural the language asks for."""
    span = timedelta(days=number)
    written = format_timedelta(span, granularity="day", threshold=_NEVER_WEEKS, locale=phrases.locale(language))
    return phrases.digits(language, written)


def long_date(language: str, day: date) -> str:
    return phrases.digits(language, str(format_date(day, "long", locale=phrases.locale(language))))


def short_notice(language: str, keeping: Keeping) -> str:
    """What must be known before the first word is stored."""
    return say(language, "welcome.notice", days=days(language, keeping.days))


def first_words(language: str, keeping: Keeping) -> str:
    """What this is, where to call in danger, what is kept. The page shows the first paragraph and folds the others."""
    parts = (say(language, "welcome"), say(language, "welcome.danger"), short_notice(language, keeping))
    return "\n\n".join(parts)


def controller_line(language: str, keeping: Keeping) -> str:
    """Who answers for the data; as long as nobody was named, just that."""
    if not keeping.controller:
        return say(language, "privacy.no_controller")
    return say(language, "privacy.controller", controller=keeping.controller)


def notice_text(language: str, part: str, keeping: Keeping) -> str:
    """Of one of `NOTICE`."""
    return say(language, f"privacy.{part}.text", days=days(language, keeping.days))


def long_notice(language: str, keeping: Keeping) -> str:
    """The whole notice as a chat message."""
    parts = [f"{say(language, f'privacy.{part}')}: {notice_text(language, part, keeping)}" for part in NOTICE]
    return "\n\n".join([controller_line(language, keeping), *parts, say(language, "privacy.emergency")])


def known_lines(language: str, known: Known) -> list[str]:
    """One line for each thing that is kept of somebody, with today's numbers."""
    lines = [
        say(language, "know.messages", count=known.messages, day=long_date(language, known.since))
        if known.since
        else say(language, "know.no_messages"),
        say(language, "know.language", language=phrases.KNOWN[known.language].name),
        *([say(language, "know.place", place=known.place)] if known.place else []),
        say(language, "know.opinions", count=known.opinions),
        say(language, "know.attachments", count=known.attachments),
        say(language, "know.visits", count=known.visits),
        *([say(language, "know.waiting", count=known.waiting)] if known.waiting else []),
        say(language, "know.nothing_else"),
    ]
    if known.forgets:
        return [*lines, say(language, "know.forgets")]
    return [*lines, say(language, "know.until", day=long_date(language, known.until))]


def known_text(language: str, known: Known) -> str:
    return "\n".join([say(language, "know"), *(f"• {line}" for line in known_lines(language, known))])


def forgetting_text(language: str, forgets: bool, keeping: Keeping) -> str:
    if forgets:
        return say(language, "forget.on_close")
    return say(language, "forget.not_on_close", days=days(language, keeping.days))
