"""Logs hold ids, never texts: what libraries would print of requests and statements stays off."""

import logging
import sys


def set_up_logging(level: str) -> None:
    logging.basicConfig(
        level=level.upper(),
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        stream=sys.stdout,
        force=True,
    )
    for name in ("httpx", "httpcore", "sqlalchemy", "uvicorn.access", "alembic", "procrastinate", "telegram"):
        logging.getLogger(name).setLevel(logging.WARNING)
