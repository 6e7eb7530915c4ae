"""Brings a database to the newest schema; two processes at once wait for each other."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text

from backend.db import driver_url

_LOCK = 7_305_001
"""Advisory lock of migrations; any number no other part uses."""


def alembic_config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config


def migrate(url: str) -> None:
    """Raises sqlalchemy.exc.OperationalError when the database cannot be reached."""
    engine = create_engine(driver_url(url), hide_parameters=True)
    try:
        with engine.connect() as lock:
            lock.execute(text("SELECT pg_advisory_lock(:id)"), {"id": _LOCK})
            with engine.connect() as connection:
                command.upgrade(alembic_config(connection), "head")
                connection.commit()
            lock.execute(text("SELECT pg_advisory_unlock(:id)"), {"id": _LOCK})
    finally:
        engine.dispose()
