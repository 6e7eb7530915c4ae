"""What booking in a chat is made of: what is offered, what somebody is about to take, and the ids of its buttons.

An id says all that is needed to act on it, in at most 64 bytes (Telegram's limit), so that an old button still works.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Protocol, Self
from uuid import UUID

from bot.visit_card import VisitFacts

MORNING, AFTERNOON = "morning", "afternoon"
PARTS = (MORNING, AFTERNOON)
NOON = time(13)
"""Of the desk's own clock: where its day is split."""
BUTTONS = frozenset(
    (
        *("book", "about", "pick", "lang", "days", "day", "time", "name", "confirm", "unrelated", "quit", "resume"),
        *("visits", "visit", "move", "late", "wait"),
    )
)
"""First words of the ids that belong to booking."""
LATE_MINUTES = (5, 10, 15, 30)
LARGEST_ID = 2**31 - 1
_NEW = re.compile(r"([0-9]{1,10})-([a-z]{2,3})(-i)?")
_DAY = re.compile(r"20[0-9]{6}")
_MOMENT = re.compile(r"20[0-9]{6}T[0-9]{4}[+-][0-9]{4}")
_HEX = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Offer:
    """A kind of appointment at one desk, in the person's language."""

    kind: int
    name: str
    desk: int
    desk_name: str
    zone: str
    desk_entry: str | None = None
    entry: str | None = None
    """What it is for."""
    who_for: str | None = None
    languages: tuple[str, ...] = ()
    """In which it can be held without an interpreter; empty: in any."""
    interpreted: frozenset[str] = frozenset()
    known: bool = True
    """Somebody has said when the desk is open."""
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """What a time is looked for: a visit of a kind in a language, or a visit that is to be moved."""

    kind: int = 0
    language: str = ""
    interpreter: bool = False
    moves: UUID | None = None

    @property
    def code(self) -> str:
        if self.moves is not None:
            return self.moves.hex
        return f"{self.kind}-{self.language}{'-i' if self.interpreter else ''}"

    @classmethod
    def read(cls, code: str) -> Self | None:
        if _HEX.fullmatch(code):
            return cls(moves=UUID(code))
        found = _NEW.fullmatch(code)
        if found is None or not 0 < int(found[1]) <= LARGEST_ID:
            return None
        return cls(int(found[1]), found[2], found[3] is not None)


@dataclass(frozen=True, slots=True)
class Times:
    """When somebody can come for a draft."""

    title: str
    """Of what it is about."""
    desk: str
    starts: Sequence[datetime]
    """On the desk's clock, in order."""
    zone: str
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """A visit of this conversation as it stands."""

    facts: VisitFacts
    kind: int | None
    entry: str | None = None
    """What it is about."""
    live: bool = True
    """It is still to come and, if it is only held, its time has not run out."""
    held_until: datetime | None = None

    @property
    def id(self) -> UUID:
        return UUID(self.facts.id)

    @property
    def booked(self) -> bool:
        return self.live and self.facts.status in ("pending", "confirmed")

    @property
    def draft(self) -> Draft | None:
        """To look for another time."""
        if self.facts.status in ("pending", "confirmed"):
            return Draft(moves=self.id)
        return Draft(self.kind, self.facts.language, self.facts.interpreter) if self.kind else None


class Refused(Exception):
    """It cannot be done; `error.<code>` says why in words. The service's errors, as the dialogue knows them."""

    def __init__(self, code: str, values: dict[str, Any] | None = None, others: Sequence[datetime] = ()) -> None:
        super().__init__(code)
        self.code, self.values, self.others = code, values or {}, tuple(others)
        """`others`: up to three other times, on the desk's clock."""


class Visits(Protocol):
    """What a conversation may do about appointments, in the transaction that stores the answer; everything raises
    Refused. What is not this conversation's is not found."""

    @property
    def now(self) -> datetime: ...

    async def offers(self) -> tuple[Offer, ...]: ...

    async def times(self, draft: Draft, first: date | None = None, last: date | None = None) -> Times:
        """Between these days of the desk; all that can be booked without them."""
        ...

    async def hold(self, draft: Draft, start: datetime, entry: str | None) -> Kept:
        """Lets go of what it held before."""
        ...

    async def find(self, visit: UUID) -> Kept: ...

    async def own(self) -> tuple[Kept, ...]:
        """Those that are booked and to come, the next one first."""
        ...

    async def last_name(self) -> str | None: ...

    async def note(self, visit: UUID, **noted: Any) -> Kept:
        """On a visit that is held: `name`, `entry_id`. On one that is booked: `late_minutes`, `comes`."""
        ...

    async def confirm(self, visit: UUID) -> Kept: ...

    async def move(self, visit: UUID, start: datetime) -> Kept: ...

    async def cancel(self, visit: UUID) -> Kept: ...

    async def join(self, draft: Draft, day: date | None, part: str | None) -> UUID:
        """The waiting list, for one day or any; returns the place in it."""
        ...

    async def take(self, place: UUID) -> Kept:
        """What the waiting list offers."""
        ...

    async def let_pass(self, place: UUID) -> None: ...

    async def leave_list(self, place: UUID) -> None: ...


# ---- ids ----


def days_id(draft: Draft, first: date | None = None, part: str | None = None) -> str:
    """`days:<draft>`, from a day on, in one part of each day."""
    day = f":{first:%Y%m%d}" if first else ":" if part else ""
    return f"days:{draft.code}{day}{f':{part}' if part else ''}"


def day_id(draft: Draft, day: date, part: str | None = None) -> str:
    return f"day:{draft.code}:{day:%Y%m%d}{f':{part}' if part else ''}"


def time_id(draft: Draft, start: datetime) -> str:
    """`start` on the desk's clock: its offset tells the two hours apart that come twice in October."""
    return f"time:{draft.code}:{start:%Y%m%dT%H%M%z}"


def read_day(text: str) -> date | None:
    if not _DAY.fullmatch(text):
        return None
    try:
        return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 - only the day of it
    except ValueError:
        return None


def read_moment(text: str) -> datetime | None:
    if not _MOMENT.fullmatch(text):
        return None
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%z")
    except ValueError:
        return None


def read_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def takes_time(choice: str) -> bool:
    """Whether pressing it keeps a time from everybody else."""
    return choice.partition(":")[0] in ("time", "move")


def part_of(moment: datetime) -> str:
    return MORNING if moment.time() < NOON else AFTERNOON
