"""Real PostgreSQL, real migrations, real content; one server for each test worker, thrown away afterwards."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from backend import articles
from backend.config import Settings
from backend.db import Sessions
from backend.encryption import new_key
from backend.keys import unlock
from backend.main import create_app
from backend.migrations.run import migrate
from backend.postgres import EmbeddedServer, temporary
from backend.services import Services
from bot.understand import Understander
from knowledge_base.files import Content, load_content
from knowledge_base.library import Library
from tests.fakes import FakeParser

SECRET_KEYS = SecretStr(new_key())


@pytest.fixture(scope="session", autouse=True)
def keys_at_hand() -> None:
    unlock(Settings(secret_keys=SECRET_KEYS))


@pytest.fixture(scope="session")
def content() -> Content:
    return load_content()


@pytest.fixture(scope="session")
def library(content: Content) -> Library:
    return Library.build(content.entries, content.outside, cache=Settings().data_dir / "index")


@pytest.fixture(scope="session")
def postgres(keys_at_hand: None) -> Iterator[EmbeddedServer]:
    with temporary() as server:
        migrate(server.url)
        yield server


@pytest.fixture(scope="session")
def settings(postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    data_dir: Path = tmp_path_factory.mktemp("data")
    return Settings(
        data_dir=data_dir, database_url=postgres.url, nlu_url=None, secret_keys=SECRET_KEYS, rate_limits="off"
    )


@contextlib.asynccontextmanager
async def started(settings: Settings, content: Content, library: Library) -> AsyncIterator[FastAPI]:
    """The whole web application on a migrated database; it takes the library that is built already."""

    async def load_library(_: Sessions, __: Path) -> Library:
        return library

    app = create_app(settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backend.services.load_library", load_library)
        async with app.router.lifespan_context(app):
            services: Services = app.state.services
            await articles.seed(services.sessions, content)
            while len(services.shelf.library.entries) == 0:
                await asyncio.sleep(0.01)
            yield app


@pytest.fixture(scope="session")
async def app(settings: Settings, content: Content, library: Library) -> AsyncIterator[FastAPI]:
    async with started(settings, content, library) as app:
        yield app


@pytest.fixture
def services(app: FastAPI) -> Services:
    found: Services = app.state.services
    return found


@pytest.fixture
def parser(services: Services, monkeypatch: pytest.MonkeyPatch) -> FakeParser:
    """Takes the place of Rasa in the running application for one test."""
    fake = FakeParser()
    understander = Understander(lambda: services.shelf.library, fake)
    monkeypatch.setattr(services.chat, "understander", understander)
    return fake


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://elp.test") as http:
        yield http
