"""Real PostgreSQL, real migrations, real content; one server for each test worker, thrown away afterwards."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from backend.articles import seed
from backend.config import Settings
from backend.main import create_app
from backend.migrations.run import migrate
from backend.postgres import EmbeddedServer, temporary
from backend.services import Services
from bot.understand import Understander
from knowledge_base.files import Content, load_content
from knowledge_base.library import Library
from tests.fakes import FakeParser, FakeShelf


@pytest.fixture(scope="session")
def content() -> Content:
    return load_content()


@pytest.fixture(scope="session")
def library(content: Content) -> Library:
    return Library.build(content.entries, content.outside)


@pytest.fixture
def shelf(library: Library) -> FakeShelf:
    return FakeShelf(library)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedServer]:
    with temporary() as server:
        migrate(server.url)
        yield server


@pytest.fixture(scope="session")
def settings(postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    data_dir: Path = tmp_path_factory.mktemp("data")
    return Settings(data_dir=data_dir, database_url=postgres.url, nlu_url=None)


@pytest.fixture(scope="session")
async def app(settings: Settings, content: Content, library: Library) -> AsyncIterator[FastAPI]:
    """The whole web application, started; its library is the shared one, so that it is built once."""
    made = create_app(settings)
    async with made.router.lifespan_context(made):
        services: Services = made.state.services
        await seed(services.sessions, content)
        services.shelf.library, services.shelf.ready = library, True
        yield made


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
