"""Telegram, as one worker runs it: whoever holds the lock asks for updates, answers them and sends. The others wait for
the lock, and go on where the one that held it stopped."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import psycopg

from backend.config import Settings
from backend.db import TELEGRAM_UPDATE, plain_url
from backend.errors import Unavailable
from backend.services import Services
from backend.telegram_api import DEFAULT_URL, Api, TelegramError, failure_of
from backend.telegram_delivery import Delivery
from backend.telegram_line import SENTENCES, Line, Pace
from backend.telegram_poll import Poller, Webhook
from backend.telegram_profile import register
from backend.telegram_store import State, load_state, remember
from backend.telegram_turns import Turns

log = logging.getLogger(__name__)

_LOCK = 7_305_021
"""Advisory lock of whoever leads; any number no other part uses."""
_AGAIN_S = (0.2, 1.0, 2.0, 5.0)
_SETTLE_S = 5.0
_PATIENCE_S = 5.0
# We notice a connection that died silently before the server does, and stop before it gives the lock to somebody else.
_OURS: dict[str, Any] = {"keepalives_idle": 5, "keepalives_interval": 3, "keepalives_count": 3}
_THEIRS = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=6"


@contextlib.asynccontextmanager
async def leadership(url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """Waits for the lock without asking again and again; it is held as long as the connection lives.

    Raises psycopg.Error."""
    connection = await psycopg.AsyncConnection.connect(
        plain_url(url), autocommit=True, application_name="elp telegram", options=_THEIRS, **_OURS
    )
    async with connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        yield connection


async def describe(settings: Settings) -> str:
    """One sentence for whoever starts the service: where the bot is found, or what is wrong."""
    api = Api(settings)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return f"On Telegram people find it at https://t.me/{await api.username_here()}"
    except TelegramError as error:
        return SENTENCES["token" if failure_of(error).what == "token" else "away"]
    except TimeoutError:
        return SENTENCES["away"]
    finally:
        await api.close()


class Telegram:
    """`run` it for the life of the worker; whatever happens to Telegram, the rest of the worker goes on."""

    def __init__(self, services: Services, *, pace: Pace | None = None, line: Line | None = None) -> None:
        settings = services.settings
        self._services, self._given = services, pace
        # On one machine, for measurements, all limits may be off; Telegram itself is never spoken to without them.
        self._limited = settings.rate_limits == "on" or settings.telegram_api_url == DEFAULT_URL
        self._line = line or Line()
        self.leads = asyncio.Event()

    async def run(self) -> None:
        await self._services.shelf.until_ready()  # until then every question would be answered with «I do not know»
        failures = 0
        while True:
            try:
                async with leadership(str(self._services.settings.database_url)) as connection:
                    failures = 0
                    await self._lead(connection)
            except (psycopg.Error, OSError, Unavailable) as error:
                if not failures:
                    log.warning("telegram: the database is away (%s)", type(error).__name__)
            except Exception as error:
                log.error("telegram stopped (%s) and begins again", type(error).__name__, exc_info=error)
            finally:
                self.leads.clear()
            await asyncio.sleep(_AGAIN_S[min(failures, len(_AGAIN_S) - 1)])
            failures += 1

    async def _lead(self, connection: psycopg.AsyncConnection) -> None:
        """Until the connection is lost; then nothing new is begun. Raises psycopg.Error."""
        api = Api(self._services.settings)
        state = await load_state(self._services.sessions)
        pace = self._given or Pace(enabled=self._limited)
        delivery = Delivery(self._services, api, state, self._line, pace)
        turns = Turns(self._services, api, state, settle=self._services.settings.telegram_mode == "webhook")
        await connection.execute(f"LISTEN {TELEGRAM_UPDATE}")
        work = (
            self._watch(connection, turns),
            self._receive(api, state, turns),
            turns.run(),
            delivery.run(),
        )
        tasks = [asyncio.create_task(one) for one in work]
        log.info("telegram: this process leads")
        self.leads.set()
        try:
            with self._services.hub.watch(delivery.heard):
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await delivery.settle(_SETTLE_S)
            await api.close()

    async def _watch(self, connection: psycopg.AsyncConnection, turns: Turns) -> None:
        """Wakes the turns; ends when the connection does, which is when this process does not lead any more."""
        async for _ in connection.notifies():
            turns.wake()

    async def _receive(self, api: Api, state: State, turns: Turns) -> None:
        username = await self._introduce(api, state)
        turns.username = username
        known = State(state.chat_key, username, state.profile)
        registering = asyncio.create_task(register(api, self._services.sessions, known, self._line))
        settings = self._services.settings
        try:
            if settings.telegram_mode == "webhook":
                await Webhook(api, settings, self._line).run()
            else:
                await Poller(api, self._services.engine, self._line, username=username).run()
        finally:
            registering.cancel()

    async def _introduce(self, api: Api, state: State) -> str:
        """The bot's name. What Telegram says here says also whether the token is one."""
        while True:
            await self._line.open()
            try:
                username = await api.username_here()
            except TelegramError as error:
                failure = failure_of(error)
                if failure.what == "wait":
                    await asyncio.sleep(failure.wait_s)
                else:
                    self._line.failed("token" if failure.what == "token" else "away")
                continue
            self._line.works()
            if username != state.username:
                await remember(self._services.sessions, username=username)
            log.info("telegram: the bot is @%s", username)
            return username
