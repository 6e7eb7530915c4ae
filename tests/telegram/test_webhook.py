"""Where Telegram brings updates: open to whoever knows the secret, and answered when it is stored."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text

from backend.config import Settings
from backend.errors import Unavailable
from backend.services import Services
from backend.telegram_stand_in import StandIn
from backend.telegram_store import store_updates
from backend.web import telegram as telegram_pages
from bot.telegram import ALLOWED_UPDATES
from tests.telegram.tools import updates_left

PATH = "/telegram/webhook"
HEADER = "x-telegram-bot-api-secret-token"
UPDATE: dict[str, Any] = {
    "update_id": 41,
    "message": {
        "message_id": 1,
        "date": 1,
        "chat": {"id": 9, "type": "private"},
        "from": {"id": 9, "is_bot": False, "first_name": "A"},
        "text": "ciao",
    },
}
webhook = pytest.mark.parametrize("mode", ["webhook"])


def secret_of(app: FastAPI) -> str:
    services: Services = app.state.services
    return services.settings.webhook_secret


async def stored(services: Services) -> list[int]:
    async with services.sessions.begin() as session:
        query = text("SELECT update_id FROM telegram_updates ORDER BY update_id")
        return list((await session.execute(query)).scalars())


@webhook
async def test_an_update_is_stored_before_it_is_answered_and_once(
    app: FastAPI, nobody: Services, client: httpx.AsyncClient
) -> None:
    for _ in range(3):
        response = await client.post(PATH, json=UPDATE, headers={HEADER: secret_of(app)})
        assert (response.status_code, response.content) == (200, b"")
    assert await stored(nobody) == [41]
    assert await updates_left(nobody) == 1


@webhook
@pytest.mark.parametrize("shown", [None, "", "x", "wrong" * 20, "ü", "\u0660"])
async def test_without_the_secret_there_is_nothing_here(
    app: FastAPI, nobody: Services, client: httpx.AsyncClient, shown: str | None
) -> None:
    headers = {} if shown is None else {HEADER: shown.encode()}
    response = await client.post(PATH, json=UPDATE, headers=headers)  # type: ignore[arg-type]
    assert response.status_code == 404
    assert await stored(nobody) == []


@pytest.mark.parametrize("mode", ["polling"])
async def test_while_polling_there_is_nothing_here_either(
    app: FastAPI, nobody: Services, client: httpx.AsyncClient
) -> None:
    response = await client.post(PATH, json=UPDATE, headers={HEADER: secret_of(app)})
    assert response.status_code == 404
    assert await stored(nobody) == []


async def test_without_a_token_there_is_nothing_here(
    app: FastAPI, nobody: Services, client: httpx.AsyncClient, configure: Callable[..., None]
) -> None:
    configure(telegram_token=None, telegram_mode="webhook")
    response = await client.post(PATH, json=UPDATE, headers={HEADER: secret_of(app)})
    assert response.status_code == 404


@webhook
@pytest.mark.parametrize(
    "body, status",
    [
        (b"", 422),
        (b"{", 422),
        (b"[" * 100_000, 422),
        (b"\xff\xfe", 422),
        (b"null", 200),
        (b"[]", 200),
        (b'{"update_id": "7"}', 200),
        (b'{"update_id": 1e400}', 200),
        (b'{"a": "' + b"a" * 300_000 + b'"}', 413),
    ],
)
async def test_whatever_comes_is_answered_in_order(
    app: FastAPI, nobody: Services, client: httpx.AsyncClient, body: bytes, status: int
) -> None:
    response = await client.post(PATH, content=body, headers={HEADER: secret_of(app)})
    assert response.status_code == status
    assert await stored(nobody) == []


@webhook
async def test_telegram_is_told_where_to_bring_them(telegram: object, app: FastAPI, standin: StandIn) -> None:
    await standin.wait_for(lambda: standin.webhook is not None, 15)
    hook = standin.webhook
    assert hook is not None
    assert hook.url.endswith(PATH)
    assert hook.secret_token == secret_of(app)
    assert set(hook.allowed_updates) == set(ALLOWED_UPDATES)


@webhook
async def test_what_could_not_be_stored_is_brought_again(
    telegram: object, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody, tries = standin.user(language_code="it"), 0
    store = store_updates

    async def away(sessions: Any, updates: Any) -> int:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise Unavailable
        return await store(sessions, updates)

    monkeypatch.setattr(telegram_pages, "store_updates", away)
    somebody.sends("sportello elp")
    _, answered = await somebody.next_messages(2, 15)
    assert "Sportello ELP" in answered.text
    assert tries == 3


def test_the_secret_can_be_set_and_follows_from_the_token_otherwise() -> None:
    token, other = SecretStr("123456:" + "a" * 30), SecretStr("123456:" + "b" * 30)
    secrets = [
        Settings(telegram_token=token).webhook_secret,
        Settings(telegram_token=other).webhook_secret,
        Settings(telegram_token=token, telegram_webhook_secret=SecretStr("my-own-secret-1234")).webhook_secret,
    ]
    assert len(set(secrets)) == 3
    assert secrets[2] == "my-own-secret-1234"
    assert "a" * 30 not in secrets[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"telegram_webhook_secret": SecretStr("short")},
        {"telegram_webhook_secret": SecretStr("with spaces and ünicode!!")},
        {"telegram_mode": "webhook", "telegram_token": SecretStr("1:" + "a" * 30)},
        {"telegram_api_url": "ftp://x"},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"telegram|must"):
        Settings(**wrong)
