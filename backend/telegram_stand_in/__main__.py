"""`python -m backend.telegram_stand_in --port 8081`: the stand-in with its page, until SIGTERM or Ctrl-C.

The bot's token comes from ELP_TELEGRAM_TOKEN, where the bot finds it too.
"""

import argparse
import asyncio
import os
import signal

from backend.telegram_stand_in.demo import Demo
from backend.telegram_stand_in.stand_in import TOKEN


async def serve(port: int, token: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    standin = Demo(token=token, limits=True)
    await standin.start(port)
    print(f"Telegram stand-in: {standin.url}", flush=True)
    await stop.wait()
    await standin.stop()


def main() -> None:
    arguments = argparse.ArgumentParser(description="Plays Telegram's Bot API on this machine.")
    arguments.add_argument("--port", type=int, default=8081)
    port = arguments.parse_args().port
    asyncio.run(serve(port, os.environ.get("ELP_TELEGRAM_TOKEN") or TOKEN))


if __name__ == "__main__":
    main()
