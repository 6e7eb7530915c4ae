"""One appointment as a calendar file (RFC 5545, RFC 5546). No network, no database."""

from dataclasses import dataclass
from datetime import UTC, datetime

from icalendar import Calendar, Event

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
    event = Event()
    event.add("uid", entry.uid)
    event.add("sequence", entry.sequence)
    event.add("dtstamp", entry.changed_at.astimezone(UTC))
    event.add("dtstart", entry.starts.astimezone(UTC))
    event.add("dtend", entry.ends.astimezone(UTC))
    event.add("status", "CANCELLED" if entry.cancelled else "CONFIRMED")
    event.add("summary", entry.summary)
    event.add("location", entry.location)
    event.add("description", entry.description)
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", "CANCEL" if entry.cancelled else "PUBLISH")
    calendar.add_component(event)
    written: bytes = calendar.to_ical()
    return written
