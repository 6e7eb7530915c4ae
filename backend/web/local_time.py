"""Moments as staff read them: on the clocks of Ivrea, in the words of their language."""

from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel.dates import format_skeleton

from bot.phrases import locale

ROME = ZoneInfo("Europe/Rome")


def in_rome(language: str, at: datetime) -> str:
    """Day and minute; `at` with its zone."""
    return _in_rome(language, at.astimezone(ROME).replace(second=0, microsecond=0))


@lru_cache(maxsize=4096)
def _in_rome(language: str, at: datetime) -> str:
    """A table of conversations asks for the same minutes again and again, and CLDR's patterns take their time."""
    local, spoken = at.astimezone(ROME), locale(language)
    day, clock = (format_skeleton(skeleton, local, locale=spoken) for skeleton in ("yMMMd", "Hm"))
    return str(spoken.datetime_formats["medium"]).format(clock, day)
