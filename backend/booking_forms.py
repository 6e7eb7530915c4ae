"""What a manager types about kinds of appointment, resources and limits, checked. No database."""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from itertools import pairwise

from backend.desk_week import HoursOverlap, span
from backend.errors import AppError, InvalidRequest, UnknownLanguage
from backend.models.appointments import RESOURCE_KINDS
from bot.phrases import KNOWN, SOURCE, SPOKEN

LONGEST_NAME = 80
LONGEST_SENTENCE = 300
LEAST_MINUTES, MOST_MINUTES = 5, 480
MOST_BUFFER = 240
MOST_LEAD = 30 * 24 * 60
MOST_WINDOW = 366
MOST_PEOPLE = 1000
MOST_VISITS = 50
SPANS_A_DAY = 2
"""Of a resource's own hours, with a break between them."""
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
Row = tuple[int, str, str]
"""Weekday (0 is Monday), from, until; local time."""


class MissingKindName(AppError):
    """In Italian."""

    status = 422
    code = "kind_name"


class MissingResourceName(AppError):
    status = 422
    code = "resource_name"


class KindTextTooLong(AppError):
    status = 422
    code = "kind_text_long"


class WrongVisitMinutes(AppError):
    status = 422
    code = "kind_minutes"


class WrongBuffer(AppError):
    status = 422
    code = "kind_buffer"


class WrongLead(AppError):
    status = 422
    code = "kind_lead"


class WrongWindow(AppError):
    status = 422
    code = "kind_window"


class LeadBeyondWindow(AppError):
    """It could never be booked."""

    status = 422
    code = "kind_lead_window"


class WrongCapacity(AppError):
    status = 422
    code = "kind_capacity"


class MissingLanguages(AppError):
    """Of an interpreter."""

    status = 422
    code = "resource_languages"


class MissingHours(AppError):
    """Hours of one's own, and none written down."""

    status = 422
    code = "resource_hours"


class WrongLimit(AppError):
    status = 422
    code = "desk_limit"


@dataclass(frozen=True, slots=True)
class KindTyped:
    """As a form sends it."""

    names: Mapping[str, str]
    """Language code → words; missing or empty: none in this language."""
    who_for: Mapping[str, str]
    entry_id: str
    minutes: str
    buffer_before: str
    buffer_after: str
    lead_minutes: str
    window_days: str
    capacity: str
    languages: Collection[str]
    active: bool


@dataclass(frozen=True, slots=True)
class KindValues:
    """As it is stored; `AppointmentKind` says what each means."""

    names: dict[str, str]
    who_for: dict[str, str]
    entry_id: str | None
    minutes: int
    buffer_before: int
    buffer_after: int
    lead_minutes: int
    window_days: int
    capacity: int
    languages: list[str]
    active: bool


@dataclass(frozen=True, slots=True)
class ResourceTyped:
    kind: str
    name: str
    languages: Collection[str]
    own_hours: bool
    hours: Sequence[tuple[str, str, str]]
    """Weekday, from, until; rows with neither time are left out."""
    active: bool


@dataclass(frozen=True, slots=True)
class ResourceValues:
    kind: str
    name: str
    languages: list[str]
    availability: list[Row] | None
    active: bool


def check_kind(typed: KindTyped) -> KindValues:
    """Whether the entry exists is not looked at. Raises MissingKindName, KindTextTooLong, WrongVisitMinutes,
    WrongBuffer, WrongLead, WrongWindow, LeadBeyondWindow, WrongCapacity, UnknownLanguage."""
    names = _texts(typed.names, LONGEST_NAME)
    if SOURCE not in names:
        raise MissingKindName
    values = KindValues(
        names=names,
        who_for=_texts(typed.who_for, LONGEST_SENTENCE),
        entry_id=typed.entry_id.strip() or None,
        minutes=_number(typed.minutes, LEAST_MINUTES, MOST_MINUTES, WrongVisitMinutes),
        buffer_before=_number(typed.buffer_before, 0, MOST_BUFFER, WrongBuffer),
        buffer_after=_number(typed.buffer_after, 0, MOST_BUFFER, WrongBuffer),
        lead_minutes=_number(typed.lead_minutes, 0, MOST_LEAD, WrongLead),
        window_days=_number(typed.window_days, 1, MOST_WINDOW, WrongWindow),
        capacity=_number(typed.capacity, 1, MOST_PEOPLE, WrongCapacity),
        languages=_languages(typed.languages),
        active=typed.active,
    )
    if values.lead_minutes >= values.window_days * 24 * 60:
        raise LeadBeyondWindow
    return values


def check_resource(typed: ResourceTyped) -> ResourceValues:
    """Raises InvalidRequest, MissingResourceName, KindTextTooLong, UnknownLanguage, MissingLanguages, MissingHours,
    WrongTime, WrongHours, HoursOverlap."""
    if typed.kind not in RESOURCE_KINDS:
        raise InvalidRequest
    name = line(typed.name, LONGEST_NAME, SOURCE)
    if not name:
        raise MissingResourceName
    languages = _languages(typed.languages) if typed.kind == "interpreter" else []
    if typed.kind == "interpreter" and not languages:
        raise MissingLanguages
    hours = check_hours(typed.hours) if typed.own_hours else None
    return ResourceValues(typed.kind, name, languages, hours, typed.active)


def check_hours(rows: Sequence[tuple[str, str, str]]) -> list[Row]:
    """In order. Raises MissingHours, InvalidRequest, WrongTime, WrongHours, HoursOverlap."""
    found: list[tuple[int, time, time]] = []
    for weekday, opens, closes in rows:
        if not opens.strip() and not closes.strip():
            continue
        if not re.fullmatch("[0-6]", weekday):
            raise InvalidRequest
        found.append((int(weekday), *span(opens, closes)))
    if not found:
        raise MissingHours
    found.sort()
    if any(one[0] == other[0] and other[1] < one[2] for one, other in pairwise(found)):
        raise HoursOverlap
    return [(weekday, f"{opens:%H:%M}", f"{closes:%H:%M}") for weekday, opens, closes in found]


def check_limits(most_visits: str, most_each_week: str) -> tuple[int, int | None]:
    """An empty week: no limit. Raises WrongLimit."""
    each_week = _number(most_each_week, 1, MOST_VISITS, WrongLimit) if most_each_week.strip() else None
    return _number(most_visits, 1, MOST_VISITS, WrongLimit), each_week


def line(raw: str, limit: int, language: str) -> str:
    """One line, without control characters and those that turn the direction of the words after them. Raises
    KindTextTooLong."""
    spaced = " ".join(unicodedata.normalize("NFC", raw[: limit * 10]).split())
    kept = "".join(sign for sign in spaced if unicodedata.category(sign) not in ("Cc", "Cs"))
    text = " ".join(_TURNING.sub("", kept).split())
    if len(text) > limit:
        raise KindTextTooLong(limit=limit, language=KNOWN[language].name)
    return text


def _texts(typed: Mapping[str, str], limit: int) -> dict[str, str]:
    """Without the empty ones. Raises UnknownLanguage, KindTextTooLong."""
    if not typed.keys() <= SPOKEN.keys():
        raise UnknownLanguage
    written = {code: line(typed.get(code, ""), limit, code) for code in SPOKEN}
    return {code: text for code, text in written.items() if text}


def _languages(typed: Collection[str]) -> list[str]:
    """Raises UnknownLanguage."""
    if not set(typed) <= KNOWN.keys():
        raise UnknownLanguage
    return [code for code in KNOWN if code in typed]


def _number(typed: str, least: int, most: int, wrong: type[AppError]) -> int:
    if not re.fullmatch(r"\d{1,6}", typed.strip()) or not least <= int(typed) <= most:
        raise wrong(least=least, most=most)
    return int(typed)
