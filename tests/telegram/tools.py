"""What tests of Telegram look up and compare."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from sqlalchemy import select, text

from backend.models import Conversation, Message
from backend.services import Services
from backend.telegram_stand_in import Shown, User
from backend.telegram_store import load_state

both = pytest.mark.parametrize("mode", ["polling", "webhook"])


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 15) -> None:
    """Raises TimeoutError when it does not become true."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.02)


async def external_id(services: Services, user: User) -> str:
    return (await load_state(services.sessions)).external_id(user.id)


async def conversation_of(services: Services, user: User) -> Conversation | None:
    async with services.sessions.begin() as session:
        own = (Conversation.channel == "telegram", Conversation.external_id == await external_id(services, user))
        return (await session.execute(select(Conversation).where(*own))).scalar_one_or_none()


async def id_of(services: Services, user: User) -> UUID:
    found = await conversation_of(services, user)
    assert found is not None
    return found.id


async def rows_of(services: Services, user: User) -> list[Message]:
    """All that was said, in order."""
    conversation = await id_of(services, user)
    async with services.sessions.begin() as session:
        query = select(Message).where(Message.conversation_id == conversation).order_by(Message.id)
        return list((await session.execute(query)).scalars())


async def updates_left(services: Services) -> int:
    """Of which more is kept than the number."""
    async with services.sessions.begin() as session:
        query = text("SELECT count(*) FROM telegram_updates WHERE body IS NOT NULL")
        return int(await session.scalar(query) or 0)


async def met(user: User) -> Shown:
    """Somebody for whom the bot is not new any more; returns the greeting."""
    user.starts()
    return await user.next_message(15)


async def answer(user: User, words: str) -> Shown:
    """What comes back."""
    user.sends(words)
    return await user.next_message(15)


async def rows_left(services: Services) -> int:
    """Of messages and chats of Telegram, whoever's they are."""
    query = "SELECT count(*) FROM {0} JOIN conversations c ON c.id = {0}.conversation_id WHERE c.channel = 'telegram'"
    async with services.sessions.begin() as session:
        counts = [await session.scalar(text(query.format(table))) for table in ("messages", "telegram_chats")]
    return sum(count or 0 for count in counts)


def labels(shown: Shown) -> list[str]:
    return [button.text for row in shown.buttons for button in row]


def data(shown: Shown) -> list[str | None]:
    return [button.data for row in shown.buttons for button in row]
