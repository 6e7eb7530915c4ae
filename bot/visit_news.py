"""What a person is told of an appointment without having asked. No topic and no name: others may see the screen."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from bot.buttons import button
from bot.phrases import say
from bot.turn import Choice
from bot.visit_card import VisitFacts, short_moment, when

What = Literal["booked", "moved", "cancelled_by_desk", "stranded", "reminder_day", "reminder_hours", "offer"]
_BUTTONS: dict[What, tuple[str, ...]] = {
    "booked": ("move", "cancel", "lost"),
    "moved": ("move", "cancel", "lost"),
    "stranded": ("move", "cancel"),
    "reminder_day": ("comes", "cannot", "lost"),
    "reminder_hours": ("comes", "cannot", "late", "lost"),
}
"""Ids are `visit:<it>:<appointment>`."""
_OFFER = ("take", "pass", "leave")
"""`wait:<it>:<waiting place>`."""


@dataclass(frozen=True, slots=True)
class News:
    text: str
    choices: tuple[Choice, ...]


def news(
    language: str,
    what: What,
    visit: VisitFacts,
    *,
    comes: bool = False,
    entry: str | None = None,
    place: str = "",
    until: datetime | None = None,
) -> News:
    """`comes`: they have said so already. `entry`: what the visit is about. `place`, `until`: of an offer, whose, and
    until when it holds."""
    said = {"desk": visit.desk, "when": when(language, visit.starts, visit.zone)}
    if what == "offer":
        assert until is not None
        text = say(language, "news.offer", **said, until=short_moment(language, until.astimezone(ZoneInfo(visit.zone))))
        return News(text, tuple(button(language, "wait", f"{one}:{place}", key=f"wait_{one}") for one in _OFFER))
    if what == "cancelled_by_desk":
        again = button(language, "book", entry or "", key="book_again")
        return News(say(language, "news.cancelled_by_desk", **said), (again, button(language, "human")))
    if what == "reminder_hours" and comes:
        return News(say(language, "news.soon", **said), _visit_buttons(language, visit, ("late", "cannot", "lost")))
    choices = _visit_buttons(language, visit, _BUTTONS[what])
    if what == "stranded":
        choices = (*choices, button(language, "human"))
    return News(say(language, f"news.{what}", **said), choices)


def waiting_over(language: str, desk: str) -> News:
    """What somebody waits for is not offered there any more."""
    choices = (button(language, "book"), button(language, "human"))
    return News(say(language, "news.waiting_over", desk=desk), choices)


def _visit_buttons(language: str, visit: VisitFacts, names: tuple[str, ...]) -> tuple[Choice, ...]:
    return tuple(button(language, "visit", f"{name}:{visit.id}", key=f"visit_{name}") for name in names)
