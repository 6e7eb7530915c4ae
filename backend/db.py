"""Engine, sessions, and what to do when PostgreSQL goes away for a moment."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Executable, Row, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util import await_only
from sqlalchemy.util.queue import AsyncAdaptedQueue, Empty

from backend.errors import Unavailable

log = logging.getLogger(__name__)
T = TypeVar("T")

Sessions = async_sessionmaker[AsyncSession]
Writer = AsyncSession | AsyncConnection
"""Whoever has a transaction open."""
NEW_MESSAGE = "elp_messages"
"""NOTIFY channel; the payload is the conversation's id and nothing else."""
ENTRIES_CHANGED = "elp_entries"
"""NOTIFY channel: some entry changed, every process takes the change into its index."""
QUEUE_CHANGED = "elp_queue"
"""NOTIFY channel, written by a trigger: something in a desk's queue changed; the payload is the desk's id."""
TYPING = "elp_typing"
"""NOTIFY channel: somebody is writing; the payload is `<conversation id>:person` or `…:operator`."""
TELEGRAM_UPDATE = "elp_telegram"
"""NOTIFY channel: an update was stored that nobody has handled; no payload."""
_NOTIFY = text(f"SELECT pg_notify('{NEW_MESSAGE}', :id)")
_PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)
_RETRIED_STATES = frozenset({"40P01", "40001"})
"""Deadlock and serialisation failure: PostgreSQL undid everything, the same work may simply be done again."""


def driver_url(url: str) -> str:
    """A `postgresql://` address for SQLAlchemy over psycopg 3, the one driver of the project."""
    return "postgresql+psycopg://" + url.split("://", 1)[1]


def plain_url(url: str) -> str:
    """The same address for psycopg itself."""
    return "postgresql://" + url.split("://", 1)[1]


class _InTurn(AsyncAdaptedQueue[ConnectionPoolEntry]):
    """Whoever has waited longest for a connection is next. SQLAlchemy's own queue gives it to whoever asks first, and
    whoever was woken for it waits again behind all others (its issue 7679): a few go on and the rest starve."""

    def __init__(self, maxsize: int = 0, use_lifo: bool = False) -> None:
        super().__init__(maxsize, use_lifo)
        self._turn = asyncio.Lock()

    def get(self, block: bool = True, timeout: float | None = None) -> ConnectionPoolEntry:
        if not block or not self._turn.locked():
            with suppress(Empty):
                return self.get_nowait()
        if not block:
            raise Empty
        try:
            return await_only(self._wait(timeout))
        except TimeoutError as error:
            raise Empty from error

    async def _wait(self, seconds: float | None) -> ConnectionPoolEntry:
        async with asyncio.timeout(seconds), self._turn:
            return await self._queue.get()


class FairPool(AsyncAdaptedQueuePool):
    _queue_class = _InTurn


def create_engine(url: str, *, pool_size: int) -> AsyncEngine:
    return create_async_engine(
        driver_url(url),
        poolclass=FairPool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        pool_reset_on_return="rollback",
        connect_args={"prepare_threshold": 3, "application_name": "elp"},
        hide_parameters=True,
    )


def create_sessions(engine: AsyncEngine) -> Sessions:
    return async_sessionmaker(engine, expire_on_commit=False)


@asynccontextmanager
async def single_statements(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection on which each statement is a transaction by itself: it saves saying so, twice, for every message."""
    async with engine.connect() as plain:
        yield await plain.execution_options(isolation_level="AUTOCOMMIT")


async def notify(db: Writer, conversation_id: UUID) -> None:
    """Something in the conversation is new, as soon as the transaction is done."""
    await db.execute(_NOTIFY, {"id": str(conversation_id)})


def _is_passing(error: Exception) -> bool:
    if isinstance(error, DBAPIError):
        if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
            return True
        return getattr(error.orig, "sqlstate", None) in _RETRIED_STATES
    return isinstance(error, PoolTimeout | OSError)


async def run_single(engine: AsyncEngine, statement: Executable, **values: Any) -> Sequence[Row[Any]]:
    """One statement, which is a transaction, and its rows; again when the database was away. Raises Unavailable."""

    async def work() -> Sequence[Row[Any]]:
        async with single_statements(engine) as connection:
            result = await connection.execute(statement, values)
            return result.all() if result.returns_rows else []

    return await retried(work)


async def retried(work: Callable[[], Awaitable[T]]) -> T:
    """Runs a whole transaction again when PostgreSQL undid it or restarted under it.

    `work` must open its own transaction. Raises Unavailable when PostgreSQL stays away (about four seconds).
    """
    for pause in _PAUSES:
        try:
            return await work()
        except Exception as error:
            if not _is_passing(error):
                raise
            log.warning("database: %s, trying again", type(error).__name__)
        await asyncio.sleep(pause)
    try:
        return await work()
    except Exception as error:
        if _is_passing(error):
            raise Unavailable from error
        raise
