"""Which places are near. Where somebody is, is asked of nobody, and kept nowhere."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import asin, cos, radians, sin, sqrt

from babel.units import format_unit

from bot.phrases import digits, locale, say
from knowledge_base.entry import Entry

EARTH_KM = 6371.0088
"""Mean radius of the Earth (IUGG)."""
Point = tuple[float, float]
"""Latitude and longitude, WGS 84, degrees."""


@dataclass(frozen=True, slots=True)
class Near:
    entry: Entry
    km: float


def nearest(point: Point, entries: Iterable[Entry], *, most: int = 5) -> tuple[Near, ...]:
    """Those whose coordinates are known, the nearest first."""
    known = {entry.id: (entry, entry.facts.coordinates) for entry in entries if entry.shown}
    near = [Near(entry, great_circle(point, (at.latitude, at.longitude))) for entry, at in known.values() if at]
    return tuple(sorted(near, key=lambda one: (one.km, one.entry.id))[:most])


def great_circle(one: Point, other: Point) -> float:
    """Kilometres between two points as the crow flies (haversine formula)."""
    (north, east), (north2, east2) = (tuple(map(radians, point)) for point in (one, other))
    half = sin((north2 - north) / 2) ** 2 + cos(north) * cos(north2) * sin((east2 - east) / 2) ** 2
    return 2 * EARTH_KM * asin(min(1.0, sqrt(half)))


def distance(language: str, km: float) -> str:
    """In whole kilometres: three distances that are written more finely tell, for as long as the answer is kept, at
    whose door somebody stood."""
    words = format_unit(max(1, round(km)), "length-kilometer", "short", locale=locale(language))
    written = digits(language, str(words))
    return say(language, "telegram.less_than", distance=written) if km < 1 else written
