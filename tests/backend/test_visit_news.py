"""Messages about a visit that nobody asked for: in the right conversation and language, with the card and buttons."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from backend.conversations import Opened, erase_conversation, open_conversation
from backend.models import AppointmentKind, Conversation, Message
from backend.services import Services
from backend.visit_facts import load_facts
from backend.visit_news import load_entries, tell
from backend.visits import Visit
from bot.phrases import SPOKEN
from bot.visit_card import visit_card, visit_payload
from bot.visit_news import What
from tests.appointments import NOW, Place, make_place, rome
from tests.handovers import put_at_desk

TEN = rome(2, 10)
OFFER: dict[str, Any] = {"place": uuid4(), "until": NOW + timedelta(hours=2)}


@pytest.fixture
async def place(services: Services) -> AsyncIterator[Place]:
    made = await make_place(services.sessions)
    yield made
    await made.set_desk(entry_id=None)  # an entry has one desk


async def visit_of_somebody(place: Place, language: str = "it", **wish: Any) -> tuple[Opened, Visit]:
    opened = await open_conversation(place.sessions, channel="api", language=language)
    booked = await place.book(TEN, conversation_id=opened.id, language=language, **wish)
    return opened, booked.visit


async def said(place: Place, visit: Visit, what: What = "moved", **more: Any) -> bool:
    values: dict[str, Any] = {"now": NOW, "find_entry": lambda _: None} | (OFFER if what == "offer" else {}) | more
    async with place.sessions.begin() as session:
        return await tell(session, visit, what, **values)


async def told(place: Place, conversation: UUID) -> list[Message]:
    async with place.sessions.begin() as session:
        mine = select(Message).where(Message.conversation_id == conversation, Message.author == "system")
        return list((await session.execute(mine.order_by(Message.id))).scalars())


@pytest.mark.parametrize(
    "what, ids",
    [
        ("moved", ["visit:move", "visit:cancel", "visit:lost"]),
        ("cancelled_by_desk", ["book", "human"]),
        ("stranded", ["visit:move", "visit:cancel", "human"]),
        ("reminder_day", ["visit:comes", "visit:cannot", "visit:lost"]),
        ("reminder_hours", ["visit:comes", "visit:cannot", "visit:late", "visit:lost"]),
        ("offer", ["wait:take", "wait:pass", "wait:leave"]),
    ],
)
async def test_every_message_has_buttons_that_say_all(place: Place, what: What, ids: list[str]) -> None:
    opened, visit = await visit_of_somebody(place)
    assert await said(place, visit, what)
    (message,) = await told(place, opened.id)
    about = OFFER["place"] if what == "offer" else visit.id
    wanted = [f"{one}:{about}" if ":" in one else one for one in ids]
    assert [choice["id"] for choice in message.payload["choices"]] == wanted
    assert all(len(choice["id"].encode()) <= 64 for choice in message.payload["choices"])


async def test_whoever_books_again_begins_where_they_were(place: Place) -> None:
    opened, visit = await visit_of_somebody(place, entry_id="sportello-elp")
    await said(place, visit, "cancelled_by_desk")
    (message,) = await told(place, opened.id)
    assert message.payload["choices"][0]["id"] == "book:sportello-elp"


@pytest.mark.parametrize("language", sorted(SPOKEN))
async def test_nothing_tells_a_stranger_who_it_is_or_what_it_is_about(services: Services, language: str) -> None:
    place = await make_place(services.sessions)
    opened, visit = await visit_of_somebody(place, language)
    for what in get_args(What):
        assert await said(place, visit, what)
    for message in await told(place, opened.id):
        assert message.language == language
        assert "{" not in message.text
        labels = [choice["label"] for choice in message.payload["choices"]]
        assert not [label for label in labels if "choice." in label]
        assert not [word for word in ("Amina", "Colloquio", "Talk", visit.code or "?") if word in message.text]


async def test_the_card_is_the_one_everybody_shows(place: Place, services: Services) -> None:
    await place.set_desk(entry_id="sportello-elp")
    opened, visit = await visit_of_somebody(place, "en")
    find_entry = services.shelf.find_entry
    await said(place, visit, "reminder_day", find_entry=find_entry)
    (message,) = await told(place, opened.id)
    async with place.sessions.begin() as session:
        card = visit_card("en", await load_facts(session, visit, "en", find_entry))
        await session.execute(update(Conversation).where(Conversation.id == opened.id).values(language="it"))
    assert message.payload["visit"] == json.loads(json.dumps(visit_payload(card)))
    assert "where" in [row["key"] for row in message.payload["visit"]["rows"]]


async def test_entries_read_from_the_database_are_those_of_the_library(place: Place, services: Services) -> None:
    await place.set_desk(entry_id="sportello-elp")
    _, visit = await visit_of_somebody(place, entry_id="112")
    async with place.sessions.begin() as session:
        own = update(AppointmentKind).where(AppointmentKind.id == place.kind)
        await session.execute(own.values(entry_id="112"))
        found = await load_entries(session, visit)
    for name in ("sportello-elp", "112"):
        assert found(name) == services.shelf.find_entry(name) is not None
    assert found("no-such-entry") is None


@pytest.mark.parametrize("state", ["BOT", "WAITING", "ACTIVE", "CLOSED", "UNREACHABLE"])
async def test_it_comes_whatever_state_the_conversation_is_in_and_changes_none(
    place: Place, services: Services, state: str
) -> None:
    opened, visit = await visit_of_somebody(place)
    await put_at_desk(services, opened.id, state=state)
    assert await said(place, visit)
    assert len(await told(place, opened.id)) == 1
    async with place.sessions.begin() as session:
        assert (await session.get_one(Conversation, opened.id)).state == state


async def test_the_open_page_hears_of_it_when_it_is_done(place: Place, services: Services) -> None:
    opened, visit = await visit_of_somebody(place)
    with services.hub.subscribe(str(opened.id)) as subscription:
        async with place.sessions.begin() as session:
            await tell(session, visit, "moved", now=NOW, find_entry=lambda _: None)
            assert not await subscription.wait(0.2)
        assert await subscription.wait(5)


async def test_without_somebody_to_tell_nothing_is_written(place: Place) -> None:
    opened, visit = await visit_of_somebody(place)
    assert not await said(place, replace(visit, conversation_id=None))
    assert not await said(place, visit, now=visit.ends), "it is over"
    await erase_conversation(place.sessions, opened.id, opened.token)
    assert not await said(place, visit)
    assert await told(place, opened.id) == []
