"""The card of an appointment, for every channel: what a person must know to be at the right place at the right time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_skeleton

from bot.card import Row, clock, map_link, place_of
from bot.phrases import SOURCE, language_name, locale, say
from knowledge_base.entry import Entry


@dataclass(frozen=True, slots=True)
class VisitFacts:
    """What is known of one appointment; moments are aware."""

    id: str
    status: str
    starts: datetime
    ends: datetime
    zone: str
    """IANA name of the desk's zone: the hour is told on the clock of the place one comes to."""
    desk: str
    kind: str
    """In the person's language."""
    code: str | None
    name: str | None
    language: str
    """In which the visit is held, or from which it is interpreted."""
    interpreter: bool
    place: Entry | None
    """The entry of the desk: address, map, telephone."""
    bring: tuple[str, ...] = ()
    """In the person's language; empty when nothing is known."""
    demo: bool = False


@dataclass(frozen=True, slots=True)
class VisitCard:
    """Ready to show; `calendar` says whether there is an `.ics` file for it."""

    id: str
    title: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    calendar: bool


def visit_card(language: str, visit: VisitFacts) -> VisitCard:
    """All of it while it is to come; of a cancelled one only when it would have been."""
    coming = visit.status in ("held", "pending", "confirmed")
    rows = [
        _row(language, "when", (when(language, visit.starts, visit.zone),)),
        _row(language, "desk", (visit.desk,), italian=True),
    ]
    if coming:
        rows += [*_place(language, visit.place), *_papers(language, visit)]
    notes = (say(language, "visit.demo"),) if visit.demo else ()
    return VisitCard(visit.id, visit.kind, tuple(rows), notes, calendar=visit.status != "held")


def _place(language: str, place: Entry | None) -> list[Row]:
    if place is None:
        return []
    rows = []
    address, link = place_of(place.facts), map_link(place.facts)
    if address:
        rows.append(_row(language, "where", (address,), italian=True))
    if link:
        rows.append(_row(language, "map", (say(language, "card.open_map"),), (link,)))
    return rows


def _papers(language: str, visit: VisitFacts) -> list[Row]:
    rows = []
    if visit.interpreter:
        text = say(language, "visit.interpreter", language=language_name(visit.language, language))
        rows.append(_row(language, "help", (text,)))
    if visit.bring:
        rows.append(_row(language, "bring", visit.bring))
    if visit.code and visit.status != "held":
        rows.append(_row(language, "code", (visit.code,), italian=True))
        rows.append(_row(language, "door", (door_sentence(visit),), italian=True))
    return rows


def _row(language: str, key: str, values: Sequence[str], links: tuple[str, ...] = (), *, italian: bool = False) -> Row:
    return Row(key, say(language, f"visit.{key}"), tuple(values), links, italian=italian)


def door_sentence(visit: VisitFacts) -> str:
    """In Italian, to show to whoever opens."""
    code = visit.code or ""
    return say(SOURCE, "visit.at_the_door", when=when(SOURCE, visit.starts, visit.zone), code=code)


def when(language: str, at: datetime, zone: str) -> str:
    """«martedì 24 novembre 2026, 10:00»: in the calendar and numerals of the language, on the desk's clock."""
    local, spoken = at.astimezone(ZoneInfo(zone)), locale(language)
    day = format_skeleton("yMMMMEEEEd", local, locale=spoken)
    return str(spoken.datetime_formats["medium"]).format(clock(local, language), day)
