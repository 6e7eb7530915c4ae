"""python-telegram-bot's own client on the stand-in, for the tests of the stand-in itself."""

from collections.abc import AsyncIterator

import pytest
from telegram import Bot
from telegram.request import HTTPXRequest

from backend.telegram_stand_in import StandIn, User


def client(standin: StandIn, token: str | None = None) -> Bot:
    return Bot(
        token or standin.token,
        base_url=f"{standin.url}/bot",
        base_file_url=f"{standin.url}/file/bot",
        request=HTTPXRequest(connection_pool_size=20),
        get_updates_request=HTTPXRequest(connection_pool_size=4),
    )


@pytest.fixture
async def bot(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bot]:
    # Durations as python-telegram-bot will give them one day; without it every one of them is a warning.
    monkeypatch.setenv("PTB_TIMEDELTA", "true")
    async with client(standin) as running:
        yield running


async def known(standin: StandIn) -> User:
    """Somebody the bot may write to."""
    user = standin.user()
    user.starts()
    return user
