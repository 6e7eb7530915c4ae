"""Engine, sessions, and what to do when PostgreSQL goes away for a moment."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from backend.errors import Unavailable

log = logging.getLogger(__name__)
T = TypeVar("T")

Sessions = async_sessionmaker[AsyncSession]
NEW_MESSAGE = "elp_messages"
"""NOTIFY channel; the payload is the conversation's id and nothing else."""
ENTRIES_CHANGED = "elp_entries"
"""NOTIFY channel: some entry changed, every process takes the change into its index."""
QUEUE_CHANGED = "elp_queue"
"""NOTIFY channel, written by a trigger: something in a desk's queue changed; the payload is the desk's id."""
TYPING = "elp_typing"
"""NOTIFY channel: somebody is writing; the payload is `<conversation id>:person` or `…:operator`."""
_PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)
_RETRIED_STATES = frozenset({"40P01", "40001"})
"""Deadlock and serialisation failure: PostgreSQL undid everything, the same work may simply be done again."""


def driver_url(url: str) -> str:
    """A `postgresql://` address for SQLAlchemy over psycopg 3, the one driver of the project."""
    return "postgresql+psycopg://" + url.split("://", 1)[1]


def plain_url(url: str) -> str:
    """The same address for psycopg itself."""
    return "postgresql://" + url.split("://", 1)[1]


def create_engine(url: str, *, pool_size: int) -> AsyncEngine:
    return create_async_engine(
        driver_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        pool_reset_on_return="rollback",
        connect_args={"prepare_threshold": 3, "application_name": "elp"},
        hide_parameters=True,
    )


def create_sessions(engine: AsyncEngine) -> Sessions:
    return async_sessionmaker(engine, expire_on_commit=False)


def _is_passing(error: Exception) -> bool:
    if isinstance(error, DBAPIError):
        if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
            return True
        return getattr(error.orig, "sqlstate", None) in _RETRIED_STATES
    return isinstance(error, PoolTimeout | OSError)


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
