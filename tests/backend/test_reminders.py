"""People are reminded of their visit: a day and two hours before, once each, and of nothing that is not to come."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, text, update

from backend import booking, reminders, visit_news
from backend.booking import Booked
from backend.conversations import Opened, erase_conversation, open_conversation
from backend.models import Appointment, Conversation, DeskDay, Message
from backend.reminders import remind
from backend.services import Services
from backend.worker import create_jobs
from tests.appointments import NOW, Place, make_place, rome

START = rome(4, 10)
"""Thursday, three days after NOW."""
DAY, HOURS = START - timedelta(days=1), START - timedelta(hours=2)


@dataclass
class Expected:
    """Somebody with a visit."""

    place: Place
    opened: Opened
    booked: Booked

    @property
    def id(self) -> UUID:
        return self.booked.visit.id

    async def told(self) -> list[Message]:
        async with self.place.sessions.begin() as session:
            mine = select(Message).where(Message.conversation_id == self.opened.id, Message.author == "system")
            return list((await session.execute(mine.order_by(Message.id))).scalars())

    async def buttons(self) -> list[list[str]]:
        """Of each message, without the visit's id."""
        found = [[choice["id"] for choice in message.payload["choices"]] for message in await self.told()]
        return [[one.removeprefix("visit:").removesuffix(f":{self.id}") for one in ids] for ids in found]

    async def set(self, **values: Any) -> None:
        async with self.place.sessions.begin() as session:
            await session.execute(update(Appointment).where(Appointment.id == self.id).values(**values))

    async def moved(self, start: datetime, now: datetime) -> None:
        await booking.move(self.place.sessions, self.id, self.booked.token, start, now)


FIRST, SECOND = ["comes", "cannot", "lost"], ["comes", "cannot", "late", "lost"]


@pytest.fixture
async def place(services: Services) -> Place:
    async with services.sessions.begin() as session:
        await session.execute(delete(Appointment))  # nobody else is reminded
    return await make_place(services.sessions)


async def somebody(
    place: Place, start: datetime = START, *, now: datetime = NOW, language: str = "it", **wish: Any
) -> Expected:
    opened = await open_conversation(place.sessions, channel="api", language=language)
    return Expected(place, opened, await place.book(start, now=now, conversation_id=opened.id, **wish))


# --- when ---


async def test_a_day_before_and_two_hours_before_once_each(place: Place) -> None:
    one = await somebody(place)
    assert await remind(place.sessions, DAY - timedelta(seconds=1)) == 0
    for moment in (DAY, DAY + timedelta(seconds=30), HOURS - timedelta(seconds=1)):
        await remind(place.sessions, moment)
    assert await one.buttons() == [FIRST]
    for moment in (HOURS, HOURS + timedelta(seconds=30), START - timedelta(seconds=1), START):
        await remind(place.sessions, moment)
    assert await one.buttons() == [FIRST, SECOND]
    row = await place.row(one.id)
    assert (row.reminded_day_at, row.reminded_hours_at) == (DAY, HOURS)


async def test_the_message_is_in_their_language_and_has_the_card(place: Place) -> None:
    one = await somebody(place)
    async with place.sessions.begin() as session:
        await session.execute(update(Conversation).where(Conversation.id == one.opened.id).values(language="fr"))
    await remind(place.sessions, DAY)
    (message,) = await one.told()
    assert message.language == "fr"
    assert "jeudi 4 mars 2027" in message.text
    card = message.payload["visit"]
    assert (card["id"], card["calendar"]) == (str(one.id), True)
    assert str(one.booked.visit.code) in str(card["rows"])
    assert "Amina" not in message.text, "others may see the screen"


@pytest.mark.parametrize("left, sent", [(timedelta(hours=4), True), (timedelta(hours=3, minutes=59), False)])
async def test_after_an_absence_the_first_comes_late_as_long_as_it_helps(
    place: Place, left: timedelta, sent: bool
) -> None:
    one = await somebody(place)
    assert await remind(place.sessions, START - left) == sent
    assert await one.buttons() == ([FIRST] if sent else [])
    assert (await place.row(one.id)).reminded_day_at == START - left
    await remind(place.sessions, HOURS)
    assert (await one.buttons())[-1] == SECOND


@pytest.mark.parametrize("left", [timedelta(hours=2), timedelta(minutes=1)])
async def test_never_both_at_once(place: Place, left: timedelta) -> None:
    one = await somebody(place)
    for _ in range(2):
        await remind(place.sessions, START - left)
    assert await one.buttons() == [SECOND]


async def test_a_visit_that_has_begun_is_nobodys_to_be_reminded_of(place: Place) -> None:
    one = await somebody(place)
    assert await remind(place.sessions, START) == 0
    assert await one.told() == []


@pytest.mark.parametrize(
    "before, wanted",
    [
        (timedelta(days=1), [FIRST, SECOND]),
        (timedelta(hours=23), [SECOND]),
        (timedelta(hours=3), [SECOND]),
        (timedelta(hours=2, minutes=59), []),
        (timedelta(hours=1), []),
    ],
)
async def test_whoever_booked_a_moment_ago_needs_no_reminder(
    place: Place, before: timedelta, wanted: list[list[str]]
) -> None:
    one = await somebody(place, now=START - before)
    for left in (24, 12, 2, 1):
        await remind(place.sessions, START - timedelta(hours=left))
    assert await one.buttons() == wanted


async def test_a_held_time_counts_from_its_confirmation(place: Place) -> None:
    opened = await open_conversation(place.sessions, channel="api", language="it")
    held = await booking.hold(place.sessions, place.wish(START, conversation_id=opened.id), NOW)
    one = Expected(place, opened, held)
    soon = START - timedelta(hours=2, minutes=50)
    await one.set(hold_expires=START)
    assert await remind(place.sessions, soon) == 0
    await booking.confirm(place.sessions, one.id, held.token, "Amina", soon)
    assert await remind(place.sessions, HOURS) == 0


# --- of what ---


@pytest.mark.parametrize("status", ["cancelled", "arrived", "no_show", "done", "pending"])
async def test_only_who_is_expected_is_reminded(place: Place, status: str) -> None:
    one = await somebody(place)
    await one.set(status=status)
    for moment in (DAY, HOURS):
        await remind(place.sessions, moment)
    assert await one.told() == []


async def test_a_visit_that_was_moved_is_reminded_of_at_its_new_time(place: Place) -> None:
    one = await somebody(place)
    await remind(place.sessions, DAY)
    await one.moved(rome(8, 10), DAY)
    assert await remind(place.sessions, HOURS) == 0
    await remind(place.sessions, rome(7, 10))
    await remind(place.sessions, rome(8, 8))
    assert await one.buttons() == [FIRST, FIRST, SECOND]


async def test_a_visit_that_was_moved_to_the_next_hours_is_known_of(place: Place) -> None:
    one = await somebody(place)
    await one.moved(rome(4, 11), START - timedelta(hours=20))
    await remind(place.sessions, START - timedelta(hours=10))
    assert await one.told() == []
    await remind(place.sessions, rome(4, 9))
    assert await one.buttons() == [SECOND]


async def test_whoever_has_said_that_they_come_is_reminded_in_fewer_words(place: Place) -> None:
    one, other = await somebody(place), await somebody(await make_place(place.sessions))
    await remind(place.sessions, DAY)
    await one.set(comes=True)
    await remind(place.sessions, HOURS)
    assert (await one.buttons())[-1] == ["late", "cannot", "lost"]
    mine, theirs = (await one.told())[-1], (await other.told())[-1]
    assert len(mine.text) < len(theirs.text)


async def test_an_example_says_in_its_reminder_that_it_is_one(place: Place) -> None:
    await place.set_desk(demo_hours=True)
    one = await somebody(place, language="en")
    await remind(place.sessions, DAY)
    (message,) = await one.told()
    assert "trial" in str(message.payload["visit"]["notes"])


async def test_without_a_conversation_there_is_nobody_to_write_to(place: Place) -> None:
    await place.book(START)
    gone = await somebody(await make_place(place.sessions))
    await erase_conversation(place.sessions, gone.opened.id, gone.opened.token)
    for moment in (DAY, HOURS):
        assert await remind(place.sessions, moment) == 0


async def test_a_day_is_24_hours_when_the_clock_changes(place: Place) -> None:
    """On Sunday 28 March 2027 at two in the morning in Rome."""
    await place.add(DeskDay(desk_id=place.desk, day=date(2027, 3, 28), opens=time(9), closes=time(12)))
    one = await somebody(place, rome(28, 10))
    assert await remind(place.sessions, datetime(2027, 3, 27, 7, 59, tzinfo=UTC)) == 0
    assert await remind(place.sessions, datetime(2027, 3, 27, 8, tzinfo=UTC)) == 1
    (message,) = await one.told()
    assert "10:00" in message.text


# --- once, whatever happens ---


async def test_two_workers_at_once_remind_once(place: Place) -> None:
    people = [await somebody(await make_place(place.sessions)) for _ in range(5)]
    done = await asyncio.gather(*(remind(place.sessions, DAY) for _ in range(4)))
    await remind(place.sessions, DAY)
    assert sum(done) <= 5
    assert [await one.buttons() for one in people] == [[FIRST]] * 5


async def test_what_another_worker_did_meanwhile_is_not_done_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second begins while the first is busy with the first of two people: it passes over that one."""
    first, second = await somebody(place), await somebody(await make_place(place.sessions))
    others: list[int] = []

    async def told(*arguments: Any, **values: Any) -> bool:
        if not others:
            others.append(0)
            others.append(await remind(place.sessions, DAY))
        return await visit_news.tell(*arguments, **values)

    monkeypatch.setattr(reminders, "tell", told)
    assert (await remind(place.sessions, DAY), others[1]) == (1, 1)
    assert await first.buttons() == await second.buttons() == [FIRST]


@pytest.fixture
def dies(monkeypatch: pytest.MonkeyPatch) -> set[UUID]:
    """Whoever is in it is written to, and then the worker dies."""
    victims: set[UUID] = set()

    async def told(session: Any, visit: Any, *arguments: Any, **values: Any) -> bool:
        done = await visit_news.tell(session, visit, *arguments, **values)
        if visit.id in victims:
            raise RuntimeError
        return done

    monkeypatch.setattr(reminders, "tell", told)
    return victims


async def test_a_worker_that_dies_in_the_middle_has_neither_written_nor_marked(place: Place, dies: set[UUID]) -> None:
    one, other = await somebody(place), await somebody(await make_place(place.sessions))
    dies.add(one.id)
    assert await remind(place.sessions, DAY) == 1, "the others are reminded all the same"
    assert (await one.told(), await other.buttons()) == ([], [FIRST])
    dies.clear()
    assert await remind(place.sessions, DAY + timedelta(minutes=1)) == 1
    assert await one.buttons() == await other.buttons() == [FIRST]


async def test_whoever_is_writing_at_this_moment_is_reminded_the_next_time(place: Place) -> None:
    one = await somebody(place)
    async with place.sessions.begin() as session:
        await session.execute(text("SELECT FROM conversations WHERE id = :id FOR NO KEY UPDATE"), {"id": one.opened.id})
        assert await remind(place.sessions, DAY) == 0
    assert await remind(place.sessions, DAY) == 1


async def test_the_worker_reminds_by_itself(place: Place, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await somebody(place)
    jobs = create_jobs(services)
    assert {"remind", "pass_on_offers", "expire_holds"} <= set(jobs.tasks)
    monkeypatch.setattr(Services, "now", lambda _: DAY)
    async with jobs.open_async():
        for name in ("remind", "pass_on_offers", "expire_holds"):
            await jobs.tasks[name](timestamp=0)
    assert await one.buttons() == [FIRST]
