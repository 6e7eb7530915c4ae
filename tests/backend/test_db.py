"""The pool of connections: nobody waits longer than whoever came later."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.db import create_engine
from backend.postgres import EmbeddedServer


@pytest.fixture
async def engine(postgres: EmbeddedServer) -> AsyncIterator[AsyncEngine]:
    """With a single connection."""
    made = create_engine(postgres.url, pool_size=1)
    yield made
    await made.dispose()


async def test_a_connection_goes_to_whoever_has_waited_longest(engine: AsyncEngine) -> None:
    order: list[str] = []

    async def ask(name: str) -> None:
        for _ in range(5):  # again at once: the others have waited for longer
            async with engine.connect():
                order.append(name)

    await asyncio.gather(*(ask(name) for name in "abc"))
    assert "".join(order) == "abc" * 5


async def test_who_gives_up_does_not_keep_those_behind_waiting(engine: AsyncEngine) -> None:
    async def ask() -> str:
        async with engine.connect():
            return "connected"

    async with engine.connect():
        first, second, third = (asyncio.create_task(ask()) for _ in range(3))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        second.cancel()
    assert await asyncio.wait_for(third, 5) == "connected"
    assert await asyncio.wait_for(ask(), 5) == "connected"


async def test_a_wait_ends(postgres: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = create_engine(postgres.url, pool_size=1)
    monkeypatch.setattr(engine.pool, "_timeout", 0.05)
    async with engine.connect():
        with pytest.raises(PoolTimeout):
            await engine.connect()
    async with engine.connect():
        pass
    await engine.dispose()
