"""Visits in a dictionary: what a booking in the dialogue needs, with no database."""

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from bot.bookings import Draft, Kept, Offer, Refused, Times
from bot.visit_card import VisitFacts
from knowledge_base.entry import Entry

ROME = ZoneInfo("Europe/Rome")
NOW = datetime(2026, 11, 22, 10, tzinfo=ROME)
"""A Sunday."""
TUESDAY, THURSDAY = date(2026, 11, 24), date(2026, 11, 26)


def rome(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=ROME)


def offer(kind: int = 1, **values: Any) -> Offer:
    usual: dict[str, Any] = {"name": "Primo colloquio", "desk": 1, "desk_name": "Sportello ELP", "zone": "Europe/Rome"}
    return Offer(kind, **(usual | values))


@dataclass
class FakeVisits:
    offered: tuple[Offer, ...] = (offer(),)
    free: list[datetime] = field(default_factory=lambda: [rome(TUESDAY, 9), rome(TUESDAY, 10), rome(THURSDAY, 15)])
    kept: dict[UUID, Kept] = field(default_factory=dict)
    joined: list[tuple[Draft, date | None, str | None]] = field(default_factory=list)
    offers_to: dict[UUID, UUID] = field(default_factory=dict)
    place: Entry | None = None
    now: datetime = NOW
    demo: bool = False
    refuses: Refused | None = None
    """What the next step that does something is refused with."""

    def _may(self) -> None:
        why, self.refuses = self.refuses, None
        if why:
            raise why

    def _change(self, visit: UUID, **changes: Any) -> Kept:
        kept = self._find(visit)
        facts = {name: changes.pop(name) for name in ("status", "name", "starts", "ends") if name in changes}
        self.kept[visit] = replace(kept, facts=replace(kept.facts, **facts), **changes)
        return self.kept[visit]

    def _find(self, visit: UUID) -> Kept:
        if visit not in self.kept:
            raise Refused("not_found")
        return self.kept[visit]

    def visit(self, start: datetime, status: str = "confirmed", **values: Any) -> Kept:
        """One of this conversation."""
        made = uuid4()
        facts: dict[str, Any] = {"language": "it", "interpreter": False, "name": None, "code": "ABC23"} | values
        told = VisitFacts(
            str(made),
            status,
            start,
            start + timedelta(minutes=30),
            "Europe/Rome",
            "Sportello ELP",
            "Primo colloquio",
            place=self.place,
            demo=self.demo,
            **{name: value for name, value in facts.items() if name != "entry"},
        )
        held = self.now + timedelta(minutes=10) if status == "held" else None
        self.kept[made] = Kept(told, 1, facts.get("entry"), held_until=held)
        return self.kept[made]

    async def offers(self) -> tuple[Offer, ...]:
        return self.offered

    async def times(self, draft: Draft, first: date | None = None, last: date | None = None) -> Times:
        self._may()
        start, end = first or date.min, last or date.max
        return Times(
            "Primo colloquio",
            "Sportello ELP",
            [one for one in self.free if start <= one.date() <= end],
            "Europe/Rome",
            self.demo,
        )

    async def hold(self, draft: Draft, start: datetime, entry: str | None) -> Kept:
        self._may()
        return self.visit(start, "held", language=draft.language, interpreter=draft.interpreter, entry=entry)

    async def find(self, visit: UUID) -> Kept:
        return self._find(visit)

    async def own(self) -> tuple[Kept, ...]:
        return tuple(one for one in self.kept.values() if one.booked)

    async def last_name(self) -> str | None:
        return next((one.facts.name for one in self.kept.values() if one.facts.name), None)

    async def note(self, visit: UUID, **noted: Any) -> Kept:
        self._may()
        if "entry_id" in noted:
            noted["entry"] = noted.pop("entry_id")
        self.noted = dict(noted)
        return self._change(visit, **{name: noted[name] for name in ("name", "entry") if name in noted})

    async def confirm(self, visit: UUID) -> Kept:
        self._may()
        return self._change(visit, status="confirmed")

    async def move(self, visit: UUID, start: datetime) -> Kept:
        self._may()
        return self._change(visit, starts=start, ends=start + timedelta(minutes=30))

    async def cancel(self, visit: UUID) -> Kept:
        self._may()
        return self._change(visit, status="cancelled", live=False)

    async def join(self, draft: Draft, day: date | None, part: str | None) -> UUID:
        self._may()
        self.joined.append((draft, day, part))
        return uuid4()

    async def take(self, place: UUID) -> Kept:
        self._may()
        return self._find(self.offers_to[place])

    async def let_pass(self, place: UUID) -> None:
        self._may()

    async def leave_list(self, place: UUID) -> None:
        self._may()
