"""Moments as staff read them: on the clocks of Ivrea, in the words of their language."""

from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel.dates import format_skeleton

from backend.errors import InvalidRequest
from bot.phrases import digits, locale

ROME = ZoneInfo("Europe/Rome")


def in_rome(language: str, at: datetime) -> str:
    """Day and minute; `at` with its zone."""
    return _in_rome(language, at.astimezone(ROME).replace(second=0, microsecond=0))


def local_moment(raw: str) -> datetime:
    """`2026-11-24T10:00`, as a browser's own field gives it, on the clocks of Ivrea. Raises InvalidRequest."""
    try:
        return datetime.strptime(raw, "%Y-%m-%dT%H:%M").replace(tzinfo=ROME)
    except ValueError as error:
        raise InvalidRequest from error


@lru_cache(maxsize=4096)
def _in_rome(language: str, at: datetime) -> str:
    """A table of conversations asks for the same minutes again and again, and CLDR's patterns take their time."""
    local, spoken = at.astimezone(ROME), locale(language)
    day, clock = (format_skeleton(skeleton, local, locale=spoken) for skeleton in ("yMMMd", "Hm"))
    return digits(language, str(spoken.datetime_formats["medium"]).format(clock, day))
