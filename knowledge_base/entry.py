"""An entry of the knowledge base: facts once, texts per language (design: facts never live in texts)."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import date, time
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, field_validator, model_validator

SOURCE_LANGUAGE = "it"
"""Texts in other languages are translations of this one."""

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PHONE = re.compile(r"\+?[0-9][0-9 ]{1,18}[0-9]")
PICTURE_FILE = r"[a-z0-9][a-z0-9-]{0,60}\.(?:jpg|png|webp)"
_DIGITS = re.compile(r"[0-9]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def _clean(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("control characters are not allowed")
    return text.strip()


Line = Annotated[str, AfterValidator(_clean), Field(min_length=1, max_length=2000)]


class Kind(StrEnum):
    SERVICE = "service"
    GUIDE = "guide"
    EMERGENCY_LINE = "emergency_line"
    PLACE = "place"
    EVENT = "event"


class Status(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"
    ARCHIVED = "archived"


class TextState(StrEnum):
    """How far a text can be trusted; computed, never stored (design section 7)."""

    MISSING = "missing"
    OUTDATED = "outdated"
    MACHINE = "machine"
    UNREVIEWED = "unreviewed"
    REVIEWED = "reviewed"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Phone(_Frozen):
    """A number as it is dialled in Italy; `kind` says which way of calling the source gave it for."""

    number: str
    kind: Literal["voice", "whatsapp"] = "voice"

    @field_validator("number")
    @classmethod
    def check_number(cls, value: str) -> str:
        if not _PHONE.fullmatch(value):
            raise ValueError(f"not a phone number: {value!r}")
        return value

    @property
    def dialled(self) -> str:
        """The number without spaces, as a `tel:` link wants it."""
        return self.number.replace(" ", "")


class Period(_Frozen):
    """Weekly opening, in local time of the entry's zone; hours are null when the source gives only days.

    `closes` before `opens` means past midnight. `where` names the door when an office has several.
    """

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = Field(min_length=1)
    opens: time | None = None
    closes: time | None = None
    where: Line | None = None

    @model_validator(mode="after")
    def check_hours(self) -> Self:
        if self.closes is not None and self.opens is None:
            raise ValueError("a closing time needs an opening time")
        if self.opens is not None and self.opens == self.closes:
            raise ValueError("opens and closes are the same")
        return self


class Coordinates(_Frozen):
    """WGS 84, decimal degrees."""

    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)


class Picture(_Frozen):
    """A photograph by which somebody who reads nothing recognises the place; a file in `content/pictures`."""

    file: Annotated[str, Field(pattern=f"^{PICTURE_FILE}$")]
    author: Line
    licence: Line


class Facts(_Frozen):
    """What the card shows. None or empty means unknown, and is shown as unknown; nothing is guessed."""

    phones: tuple[Phone, ...] = ()
    emails: tuple[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$")], ...] = ()
    url: HttpUrl | None = None
    address: Line | None = None
    municipality: Line | None = None
    coordinates: Coordinates | None = None
    schedule: tuple[Period, ...] = ()
    always_open: bool = False
    zone: str = "Europe/Rome"
    free: bool | None = None
    danger: bool = False
    """Whoever needs this may be in danger now: the card begins with the emergency number."""
    spoken: tuple[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")], ...] = ()
    area: tuple[Line, ...] = ()
    """Municipalities it serves; empty means no limit is known."""
    booking_desk: str | None = None
    """Id of the entry of the desk that receives people for this; a desk names itself."""
    picture: Picture | None = None


class Record(_Frozen):
    """What was read, where and when, word for word in Italian. Evidence: the facts must agree with it."""

    name_it: Line
    organization: Line | None
    what_it_is: Line | None
    who_can_use_it: Line | None
    documents_needed: Line | None
    cost: Line | None
    address: Line | None
    municipality: Line | None
    phone: Line | None
    email: Line | None
    url: str | None
    opening_hours: Line | None
    languages: Line | None
    source: tuple[Line, ...]
    source_date: Line | None
    confidence: Literal["high", "medium", "low"]
    scope: Literal["local", "regional", "national", "reference"]
    verify_before_publishing: Line | None
    field_notes: Mapping[str, Line] | Line | None
    status: Line
    source_type: Line


class Text(_Frozen):
    """One entry in one language."""

    title: Annotated[Line, Field(max_length=90)]
    summary: Annotated[Line, Field(max_length=500)]
    who: Line | None
    bring: tuple[Line, ...]
    cost: Line | None
    hours: Line | None
    steps: tuple[Line, ...]
    simple: Line
    questions: tuple[Line, ...] = ()
    machine: bool = False
    reviewed_on: date | None = None
    translated_from: str | None = None
    """Digest of the Italian text this one was made from; None on the Italian itself."""

    def digest(self) -> str:
        """Changes when what a translator would have to look at changes; questions and review do not count."""
        said = self.model_dump(mode="json", exclude={"questions", "machine", "reviewed_on", "translated_from"})
        return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:12]

    def paragraphs(self) -> tuple[str, ...]:
        """All that is said, the title first; the body of the search index."""
        parts = (self.title, self.summary, self.who, *self.bring, self.cost, self.hours, *self.steps, self.simple)
        return tuple(part for part in parts if part)


class Entry(_Frozen):
    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$")]
    kind: Kind
    category: Annotated[str, Field(pattern=r"^[a-z_]{3,40}$")]
    status: Status
    for_users: bool
    """False: kept for reference, never shown to a person as a service."""
    facts: Facts
    record: Record
    checked_on: Annotated[str, Field(pattern=r"^\d{4}-\d{2}(-\d{2})?$")]
    check_by: date
    texts: Mapping[str, Text] = Field(default_factory=dict)

    @property
    def shown(self) -> bool:
        return self.for_users and self.status is Status.PUBLISHED

    @property
    def must_be_confirmed(self) -> bool:
        """A fact somebody should confirm before anybody travels for it: the answer says so."""
        doubtful = self.record.confidence != "high" or self.record.verify_before_publishing is not None
        return self.record.confidence == "low" or (self.record.scope == "local" and doubtful)

    @property
    def hours_are_sure(self) -> bool:
        """Only then may an answer say «open now»: an old timetable sends somebody across town for nothing."""
        return self.facts.always_open or not (self.must_be_confirmed or self.record.verify_before_publishing)

    def text_state(self, language: str) -> TextState:
        text = self.texts.get(language)
        if text is None:
            return TextState.MISSING
        source = self.texts.get(SOURCE_LANGUAGE)
        if text.translated_from is not None and source is not None and text.translated_from != source.digest():
            return TextState.OUTDATED
        if text.machine:
            return TextState.MACHINE
        return TextState.REVIEWED if text.reviewed_on else TextState.UNREVIEWED

    def text_for(self, language: str) -> tuple[str, Text] | None:
        """The text in that language, else the Italian one, with the language it is really in."""
        for code in (language, SOURCE_LANGUAGE):
            if code in self.texts:
                return code, self.texts[code]
        return None

    def unsupported_numbers(self, language: str) -> list[str]:
        """Numbers in a text that the record does not hold: each one is a fact nobody read anywhere."""
        known = set(_DIGITS.findall(json.dumps(self.record.model_dump(mode="json"), ensure_ascii=False) + self.id))
        said = " ".join(self.texts[language].paragraphs())
        return [number for number in _DIGITS.findall(said) if str(int(number)) not in {str(int(k)) for k in known}]


def parse_entry(raw: Mapping[str, Any]) -> Entry:
    """Raises pydantic.ValidationError, whose message names the field."""
    return Entry.model_validate(raw)
