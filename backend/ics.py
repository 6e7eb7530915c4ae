"""Appointments as a calendar file (RFC 5545, RFC 5546, RFC 7986). No network, no database."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from icalendar import Calendar, Event, vDuration

PRODUCT = "-//Living Better//ELP Assistant//EN"
MEDIA_TYPE = "text/calendar"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a calendar shows. Times are written in UTC: every calendar shows them on its own clock."""

    uid: str
    sequence: int
    starts: datetime
    ends: datetime
    changed_at: datetime
    cancelled: bool
    summary: str
    location: str
    description: str


def write(entry: Entry) -> bytes:
    """Published, or cancelled with the same UID and a greater SEQUENCE: a calendar that has it takes it out."""
    calendar = _calendar("CANCEL" if entry.cancelled else "PUBLISH")
    calendar.add_component(_event(entry))
    return _bytes(calendar)


def write_feed(name: str, entries: Iterable[Entry], *, every: timedelta) -> bytes:
    """A calendar that programs look at again and again: all that is in it, and how often is often enough."""
    calendar = _calendar("PUBLISH")
    calendar.add("name", name)
    calendar.add("x-wr-calname", name)
    calendar.add("refresh-interval", every, {"value": "DURATION"})
    calendar.add("x-published-ttl", vDuration(every))
    for entry in entries:
        calendar.add_component(_event(entry))
    return _bytes(calendar)


def _calendar(method: str) -> Calendar:
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", method)
    return calendar


def _event(entry: Entry) -> Event:
    event = Event()
    event.add("uid", entry.uid)
    event.add("sequence", entry.sequence)
    event.add("dtstamp", entry.changed_at.astimezone(UTC))
    event.add("dtstart", entry.starts.astimezone(UTC))
    event.add("dtend", entry.ends.astimezone(UTC))
    event.add("status", "CANCELLED" if entry.cancelled else "CONFIRMED")
    event.add("summary", entry.summary)
    if entry.location:
        event.add("location", entry.location)
    event.add("description", entry.description)
    return event


def _bytes(calendar: Calendar) -> bytes:
    written: bytes = calendar.to_ical()
    return written
