"""The whole of Telegram in one process: the stand-in, and what a worker runs, on the application of the other tests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text

from backend.local_nlu import free_port
from backend.services import Services
from backend.telegram_line import Line, Pace
from backend.telegram_service import Telegram
from backend.telegram_stand_in import StandIn
from tests.accounts import changed_settings
from tests.backend.test_handover_person import operator
from tests.staff import Browsers, browsers

__all__ = ["operator"]
SECONDS = 15.0
"""Until something that must happen has happened, on a slow machine."""
Change = Callable[..., None]


@pytest.fixture
async def standin() -> AsyncIterator[StandIn]:
    async with StandIn(webhook_pause=0.05) as standin:
        yield standin


@pytest.fixture
def mode() -> str:
    """`@both` in `tests.telegram.tools` runs a test in both."""
    return "polling"


@pytest.fixture
async def configure(
    app: FastAPI, standin: StandIn, mode: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Change]:
    """Settings for the stand-in; in webhook mode with a real socket for it to call."""
    port = free_port()
    usual = {
        "telegram_token": SecretStr(standin.token),
        "telegram_api_url": standin.url,
        "telegram_mode": mode,
        "public_url": f"http://127.0.0.1:{port}",
    }

    def change(**values: Any) -> None:
        changed_settings(app, monkeypatch, **(usual | values))

    change()
    app.state.telegram_username = None
    if mode == "polling":
        yield change
        return
    server = uvicorn.Server(
        uvicorn.Config(app, port=port, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield change
    server.should_exit = True
    await serving


@contextlib.asynccontextmanager
async def leading(services: Services, *, pace: Pace | None = None, line: Line | None = None) -> AsyncIterator[Telegram]:
    """Telegram as a worker runs it, with short pauses after failures."""
    telegram = Telegram(services, pace=pace or Pace(enabled=False), line=line or Line(pauses_s=0.05))
    running = asyncio.create_task(telegram.run())
    try:
        await asyncio.wait_for(telegram.leads.wait(), SECONDS)
        yield telegram
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def nobody(app: FastAPI, configure: Change) -> Services:
    """Nothing is left of the tests before."""
    services: Services = app.state.services
    async with services.sessions.begin() as session:
        await session.execute(text("DELETE FROM conversations WHERE channel = 'telegram'"))
        await session.execute(text("DELETE FROM telegram_updates"))
        await session.execute(text("UPDATE messages SET answered_at = now() WHERE answered_at IS NULL"))
    return services


@pytest.fixture
async def telegram(nobody: Services) -> AsyncIterator[Telegram]:
    async with leading(nobody) as running:
        yield running


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[Browsers]:
    async with browsers(app) as made:
        yield made
