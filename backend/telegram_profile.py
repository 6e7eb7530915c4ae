"""Commands and descriptions of the bot, registered in all languages whenever they are other than before."""

import asyncio
import hashlib
import json
import logging

from backend.db import Sessions
from backend.errors import Unavailable
from backend.telegram_api import Api, TelegramError, failure_of
from backend.telegram_line import Line
from backend.telegram_store import State, remember
from bot.telegram import profile_calls

log = logging.getLogger(__name__)

_AGAIN_S = 600.0
_BETWEEN_S = 0.05
_LONGEST_WAIT_S = 3600.0


async def register(api: Api, sessions: Sessions, state: State, line: Line) -> None:
    """Ends when it is done. Telegram lets a bot change its descriptions only so often; what it refuses is tried later,
    and nobody has to wait for it."""
    calls = profile_calls()
    described = json.dumps([api.token, [[call.method, call.fields] for call in calls]], sort_keys=True)
    wanted = hashlib.sha256(described.encode()).hexdigest()
    done = 0
    while state.profile != wanted:
        try:
            while done < len(calls):
                await line.open()
                await api.call(calls[done].method, calls[done].fields)
                done += 1
                await asyncio.sleep(_BETWEEN_S)
            await remember(sessions, profile=wanted)
            log.info("commands and descriptions are registered with Telegram")
            return
        except TelegramError as error:
            failure = failure_of(error)
            if failure.what == "refused":
                log.warning("Telegram refused %s", calls[done].method)
                done += 1
                continue
            await asyncio.sleep(min(failure.wait_s or _AGAIN_S, _LONGEST_WAIT_S))
        except Unavailable:
            await asyncio.sleep(_AGAIN_S)
