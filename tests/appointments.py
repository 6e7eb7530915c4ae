"""Desks where something can be booked, made directly in the database."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, update

from backend import booking
from backend.booking import Booked, Wish
from backend.db import Sessions
from backend.models import Appointment, AppointmentKind, Desk, OpeningPeriod, Organisation, Resource

ROME = ZoneInfo("Europe/Rome")
NOW = datetime(2027, 3, 1, 8, tzinfo=UTC)
"""A Monday; the clock changes on the 28th."""


def rome(day: int, hour: int, minute: int = 0, *, month: int = 3) -> datetime:
    return datetime(2027, month, day, hour, minute, tzinfo=ROME)


@dataclass
class Place:
    """Open on weekdays from nine to twelve, Rome time; one kind of half an hour."""

    sessions: Sessions
    organisation: int
    desk: int
    kind: int
    staff: list[int]

    async def add(self, row: Any) -> Any:
        async with self.sessions.begin() as session:
            session.add(row)
        return row

    async def add_kind(self, **values: Any) -> int:
        usual = {"desk_id": self.desk, "names": {"it": "Altro"}, "minutes": 30, "lead_minutes": 0}
        made = await self.add(AppointmentKind(**(usual | values)))
        return int(made.id)

    async def add_resource(self, kind: str = "staff", **values: Any) -> int:
        made = await self.add(Resource(desk_id=self.desk, kind=kind, name=kind, **values))
        return int(made.id)

    async def set_desk(self, **values: Any) -> None:
        async with self.sessions.begin() as session:
            await session.execute(update(Desk).where(Desk.id == self.desk).values(**values))

    def wish(self, start: datetime, **values: Any) -> Wish:
        kind = values.pop("kind", self.kind)
        return Wish(self.desk, kind, start, values.pop("language", "it"), **values)

    async def book(self, start: datetime, now: datetime = NOW, **values: Any) -> Booked:
        return await booking.book(self.sessions, self.wish(start, **values), "Amina", now)

    async def times(self, day: int, *, month: int = 3, now: datetime = NOW, **asked: Any) -> list[str]:
        """Of one day, on the clock in Rome."""
        begins = rome(day, 0, month=month)
        until = datetime.combine(date(2027, month, day) + timedelta(days=1), time.min, ROME)
        kind = asked.pop("kind", self.kind)
        async with self.sessions.begin() as session:
            _, found = await booking.free_times(session, self.desk, kind, now=now, start=begins, until=until, **asked)
        return [f"{one.start.astimezone(ROME):%H:%M}" for one in found]

    async def live(self) -> int:
        async with self.sessions.begin() as session:
            mine = (Appointment.desk_id == self.desk, Appointment.status.in_(("held", "confirmed")))
            return (await session.execute(select(func.count()).where(*mine))).scalar_one()

    async def row(self, appointment: UUID) -> Appointment:
        async with self.sessions.begin() as session:
            return await session.get_one(Appointment, appointment)


async def make_place(sessions: Sessions, *, staff: int = 1, hours: bool = True, name: str = "Desk") -> Place:
    async with sessions.begin() as session:
        organisation = Organisation(name=f"Organisation {datetime.now(UTC).isoformat()}")
        session.add(organisation)
        await session.flush()
        desk = Desk(organisation_id=organisation.id, name=name)
        session.add(desk)
        await session.flush()
        if hours:
            week = [{"weekday": day, "opens": time(9), "closes": time(12)} for day in range(5)]
            session.add_all([OpeningPeriod(desk_id=desk.id, **period) for period in week])
        kind = AppointmentKind(desk_id=desk.id, names={"it": "Colloquio", "en": "Talk"}, minutes=30, lead_minutes=0)
        workers = [Resource(desk_id=desk.id, kind="staff", name=f"Staff {number}") for number in range(staff)]
        session.add_all([kind, *workers])
    return Place(sessions, organisation.id, desk.id, kind.id, [one.id for one in workers])


class Clock:
    """The one clock, held still."""

    now = NOW
