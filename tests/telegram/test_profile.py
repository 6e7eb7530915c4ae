"""What Telegram shows of the bot before anybody has talked with it."""

import asyncio

from backend.services import Services
from backend.telegram_stand_in import StandIn
from backend.telegram_store import load_state, remember
from bot.phrases import SPOKEN
from tests.telegram.conftest import leading
from tests.telegram.tools import answer


async def test_it_is_said_in_all_languages_what_the_bot_can_do(standin: StandIn, nobody: Services) -> None:
    await remember(nobody.sessions, profile=None)
    async with leading(nobody):
        await standin.wait_for(lambda: set(SPOKEN) <= {code[:2] for code in standin.commands}, 30)
        commands = {one["command"] for one in standin.commands[""]}
        assert commands >= {"book", "person", "language", "mydata", "forget", "help"}
        async with asyncio.timeout(30):
            while (await load_state(nobody.sessions)).profile is None:
                await asyncio.sleep(0.05)
    done = len(standin.calls)
    async with leading(nobody):
        await answer(standin.user(language_code="it"), "ciao")
    assert not [call for call in standin.calls[done:] if call.method.startswith("setMy")]
    assert standin.violations == []
