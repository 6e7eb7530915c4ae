"""The card of an appointment, for every channel: what a person must know to be at the right place at the right time."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_skeleton

from bot.card import Row, clock, map_link, place_of
from bot.phrases import SOURCE, digits, language_name, locale, say
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
    cancelled: bool = False
    """The calendar file takes it out again."""


def visit_payload(card: VisitCard) -> dict[str, Any]:
    """As it is kept with a message."""
    return {
        "id": card.id,
        "title": card.title,
        "rows": [asdict(row) for row in card.rows],
        "notes": list(card.notes),
        "calendar": card.calendar,
        "cancelled": card.cancelled,
    }


def visit_card(language: str, visit: VisitFacts, *, about: str | None = None) -> VisitCard:
    """All of it while it is to come; of a cancelled one only when it would have been. `about`: what the talk is about,
    in the person's language."""
    coming = visit.status in ("held", "pending", "confirmed")
    rows = [
        _row(language, "when", (when(language, visit.starts, visit.zone),)),
        _row(language, "desk", (visit.desk,), italian=True),
    ]
    if coming:
        rows += [*_place(language, visit.place), *_papers(language, visit, about)]
    notes = (say(language, "visit.demo"),) if visit.demo else ()
    gone = visit.status == "cancelled"
    return VisitCard(visit.id, visit.kind, tuple(rows), notes, calendar=visit.status != "held", cancelled=gone)


def way_card(language: str, visit: VisitFacts) -> VisitCard:
    """For somebody who cannot find the place: where it is, and its telephone as far as it is known."""
    rows = _place(language, visit.place)
    phones = visit.place.facts.phones if visit.place else ()
    if phones:
        links = tuple(f"tel:{phone.dialled}" for phone in phones)
        rows.append(_row(language, "phone", [phone.number for phone in phones], links, italian=True))
    return VisitCard(visit.id, visit.desk, tuple(rows), (), calendar=False)


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


def _papers(language: str, visit: VisitFacts, about: str | None) -> list[Row]:
    rows = []
    if about:
        rows.append(_row(language, "about", (about,)))
    if visit.interpreter:
        text = say(language, "visit.interpreter", language=language_name(visit.language, language))
        rows.append(_row(language, "help", (text,)))
    if visit.bring:
        rows.append(_row(language, "bring", visit.bring))
    if visit.status == "held" and visit.name:
        rows.append(_row(language, "name", (visit.name,)))
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


# ---- days and hours. The calendar is that of the place one comes to, which CLDR gives to the region and not to the
# language: Gregorian for Italy. Numerals are the language's own.


def when(language: str, at: datetime, zone: str) -> str:
    """«martedì 24 novembre 2026, 10:00», on the desk's clock."""
    local = at.astimezone(ZoneInfo(zone))
    return _day_and_hour(language, long_day(language, local), local)


def short_moment(language: str, local: datetime) -> str:
    """«mar 24 nov, 10:00»; `local` is on the desk's clock."""
    return _day_and_hour(language, short_day(language, local), local)


def long_day(language: str, day: date) -> str:
    return digits(language, format_date(day, "full", locale=locale(language)))


def short_day(language: str, day: date) -> str:
    """«mar 24 nov»."""
    return digits(language, format_skeleton("MMMEd", day, locale=locale(language)))


def hour(language: str, local: datetime) -> str:
    return clock(local, language)


def _day_and_hour(language: str, day: str, local: datetime) -> str:
    return str(locale(language).datetime_formats["medium"]).format(hour(language, local), day)
