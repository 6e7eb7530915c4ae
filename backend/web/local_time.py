"""Moments as staff read them: on the clocks of Ivrea, in the words of their language."""

from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from bot.phrases import locale

ROME = ZoneInfo("Europe/Rome")


def in_rome(language: str, at: datetime) -> str:
    """`at` with its zone."""
    return str(format_datetime(at, "medium", tzinfo=ROME, locale=locale(language)))
