"""PostgreSQL goes away in the middle of a conversation and comes back: the next message works."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend import postgres
from backend.config import Settings
from backend.keys import unlock
from backend.migrations.run import migrate
from knowledge_base.files import Content
from knowledge_base.library import Library
from tests.conftest import SECRET_KEYS, started


@pytest.fixture
async def fragile(tmp_path_factory: pytest.TempPathFactory, content: Content, library: Library) -> AsyncIterator[Any]:
    """An application on a server of its own, which the test may stop; the path must be open to PostgreSQL's user."""
    with tempfile.TemporaryDirectory(prefix="elp-fault-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)  # noqa: ASYNC240 - nothing else runs yet
        server = postgres.start(folder)
        unlock(Settings(secret_keys=SECRET_KEYS))
        migrate(server.url)
        settings = Settings(data_dir=folder, database_url=server.url, secret_keys=SECRET_KEYS)
        async with started(settings, content, library) as app:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://elp.test") as http:
                yield http, folder, server
        postgres.start(folder).stop()


async def test_the_next_message_after_a_restart_is_answered(fragile: Any) -> None:
    http, folder, server = fragile
    opened = (await http.post("/api/v1/conversations", json={"language": "it"})).json()
    path, headers = f"/api/v1/conversations/{opened['id']}/messages", {"authorization": f"Bearer {opened['token']}"}

    async def say(text: str, message_id: str) -> httpx.Response:
        body = {"client_message_id": message_id, "text": text}
        return await http.post(path, json=body, headers=headers)

    assert (await say("sportello elp", "one")).status_code == 200
    server.stop()
    server = postgres.start(folder)
    answer = await say("sportello elp", "two")
    assert answer.status_code == 200
    assert answer.json()["messages"][-1]["entries"][0]["id"] == "sportello-elp"

    server.stop()
    away = await say("sportello elp", "three")
    assert away.status_code == 503
    assert away.json()["code"] == "unavailable"
    server = postgres.start(folder)
    assert (await say("sportello elp", "three")).status_code == 200
    messages = (await http.get(path, headers=headers)).json()["messages"]
    assert [message["author"] for message in messages] == ["bot", *["person", "bot"] * 3]
    server.stop()
