"""The kinds of danger, and whom to call in each."""

from collections.abc import Collection, Mapping

from bot.turn import Emergency
from knowledge_base.entry import Entry

NUMBERS: Mapping[str, tuple[str, ...]] = {
    "violence": ("112", "1522"),
    "attack": ("112",),
    "suicide": ("112",),
    "child": ("114", "112"),
    "missing": ("116000", "112"),
    "trafficking": ("numero-verde-antitratta", "112"),
    "medical": ("112",),
    "fire": ("112",),
}
"""Every kind, most urgent first, with the entries whose numbers it needs."""
KINDS = tuple(NUMBERS)
LINES = ("112", *dict.fromkeys(line for lines in NUMBERS.values() for line in lines if line != "112"))
"""All of them, for who has no time to say what happened."""
UNSURE = Emergency("any", ("112", "1522"))
"""There is danger, and nobody knows which."""


_HELP: Mapping[str, tuple[str, ...]] = {"suicide": ("salute",), "medical": ("salute",), "fire": ()}
"""Kinds of which no more than these topics speak; of violence, work and children many do."""


def helps_in(emergency: Emergency, entry: Entry) -> bool:
    """Whether its card may stand under the numbers: not how to register an address under «I do not want to live»."""
    return emergency.kind not in _HELP or entry.facts.danger or entry.category in _HELP[emergency.kind]


def emergency_of(kinds: Collection[str]) -> Emergency | None:
    """The most urgent of the kinds, with the numbers of them all; None without any."""
    urgent = [kind for kind in KINDS if kind in kinds]
    if not urgent:
        return None
    lines = dict.fromkeys(line for kind in urgent for line in NUMBERS[kind])
    if any(NUMBERS[kind][0] == "112" for kind in urgent):
        lines = {"112": None} | lines
    return Emergency(urgent[0], tuple(lines))
