"""A desk with people who wait for a time there."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select

from backend import booking, waiting_list
from backend.booking import Booked
from backend.conversations import Opened, open_conversation
from backend.models import Appointment, Message, WaitingPlace
from backend.services import Services
from backend.visits import Visit
from backend.waiting_list import WaitingFor
from tests.appointments import NOW, Place, make_place, rome

TEN = rome(2, 10)
"""On the Tuesday after NOW."""


@dataclass
class Somebody:
    """A conversation that waits."""

    opened: Opened
    waits: UUID

    @property
    def id(self) -> UUID:
        return self.opened.id


@dataclass
class WaitingDesk:
    """A desk with one member of staff, and those who wait there."""

    place: Place
    services: Services

    async def somebody(self, *, language: str = "it", minute: int = 0, **wish: Any) -> Somebody:
        """Who joined that many minutes after NOW."""
        opened = await open_conversation(self.place.sessions, channel="api", language=language)
        now = NOW + timedelta(minutes=minute)
        return Somebody(opened, await self.join(opened.id, now=now, language=language, **wish))

    async def join(self, conversation: UUID, *, now: datetime = NOW, **wish: Any) -> UUID:
        wishes = WaitingFor(wish.pop("kind", self.place.kind), wish.pop("language", "it"), **wish)
        async with self.place.sessions.begin() as session:
            return await waiting_list.join(session, conversation, wishes, now)

    async def row(self, one: Somebody) -> WaitingPlace | None:
        async with self.place.sessions.begin() as session:
            return await session.get(WaitingPlace, one.waits)

    async def held(self, one: Somebody) -> Appointment | None:
        """What is offered to them."""
        found = await self.row(one)
        return await self.place.row(found.offer_id) if found and found.offer_id else None

    async def holders(self, *people: Somebody) -> list[datetime | None]:
        """The time that is offered to each."""
        found = [await self.held(one) for one in people]
        return [held.starts if held else None for held in found]

    async def told(self, one: Somebody) -> list[Message]:
        async with self.place.sessions.begin() as session:
            mine = select(Message).where(Message.conversation_id == one.id, Message.author == "system")
            return list((await session.execute(mine.order_by(Message.id))).scalars())

    async def cancel(self, booked: Booked, now: datetime = NOW) -> None:
        await booking.cancel(self.place.sessions, booked.visit.id, booked.token, now)

    async def let_pass(self, one: Somebody, now: datetime = NOW) -> bool:
        return await waiting_list.let_pass(self.place.sessions, one.waits, one.id, now)

    async def take(self, one: Somebody, name: str | None = "Amina", now: datetime = NOW) -> Visit:
        return await waiting_list.take(self.place.sessions, one.waits, one.id, now, name)

    async def pass_on(self, now: datetime) -> int:
        return await waiting_list.pass_on_expired(self.place.sessions, now)

    async def is_free(self, start: datetime = TEN, now: datetime = NOW) -> bool:
        local = start.astimezone(rome(1, 0).tzinfo)
        return f"{local:%H:%M}" in await self.place.times(local.day, month=local.month, now=now)


async def waiting_desk(services: Services) -> WaitingDesk:
    """Nobody waits anywhere else: `pass_on_expired` looks after all desks."""
    async with services.sessions.begin() as session:
        await session.execute(delete(WaitingPlace))
    return WaitingDesk(await make_place(services.sessions), services)
