"""The page on which the bot is tried out, and the table of what is checked."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession, FormData
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup

from backend.telegram_stand_in import samples
from backend.telegram_stand_in.demo import Demo
from backend.telegram_stand_in.derive import derive
from backend.telegram_stand_in.methods import METHODS as DONE
from backend.telegram_stand_in.table import METHODS, TYPES
from tests.telegram.bot_client import bot, known

__all__ = ["bot"]


@pytest.fixture
async def standin() -> AsyncIterator[Demo]:
    async with Demo() as running:
        yield running


@pytest.fixture
async def page(standin: Demo) -> AsyncIterator[ClientSession]:
    async with ClientSession(standin.url) as http:
        yield http


async def conversation(page: ClientSession, user: int) -> dict[str, Any]:
    async with page.get(f"/demo/people/{user}") as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def does(page: ClientSession, user: int, what: str, **more: Any) -> int:
    async with page.post(f"/demo/people/{user}", json={"does": what, **more}) as answer:
        return answer.status


async def test_a_conversation_on_the_page(standin: Demo, page: ClientSession, bot: Bot) -> None:
    async with page.post("/demo/people", json={"name": "Amina", "language_code": "ar"}) as answer:
        amina = (await answer.json())["id"]
    assert await does(page, amina, "send", text="/start") == 200
    (update,) = await bot.get_updates()
    assert update.effective_user
    assert update.effective_user.language_code == "ar"
    markup = InlineKeyboardMarkup([[InlineKeyboardButton("Casa", callback_data="about:home")]])
    sent = await bot.send_message(amina, "<b>Che cosa?</b>", parse_mode="HTML", reply_markup=markup)
    found = await conversation(page, amina)
    assert [message["text"] for message in found["messages"]] == ["/start", "Che cosa?"]
    assert found["messages"][1]["buttons"][0][0]["data"] == "about:home"
    assert await does(page, amina, "press", message=sent.message_id, data="about:home") == 200
    query = (await bot.get_updates(offset=update.update_id + 1))[0].callback_query
    assert query
    assert query.data == "about:home"


async def test_files_and_places_can_be_sent_from_the_page(standin: Demo, page: ClientSession, bot: Bot) -> None:
    amina = await known(standin)
    for what, more in (
        ("location", {"latitude": 45.4, "longitude": 7.8}),
        ("contact", {}),
        ("voice", {}),
        ("sticker", {}),
    ):
        assert await does(page, amina.id, what, **more) == 200
    form = FormData()
    form.add_field("file", samples.photo(), filename="lettera.jpg", content_type="image/jpeg")
    async with page.post(f"/demo/people/{amina.id}/files", data=form) as answer:
        assert answer.status == 200
    *_, photo = (await conversation(page, amina.id))["messages"]
    async with page.get(f"/demo/files/{photo['file']['id']}") as answer:
        assert (answer.content_type, await answer.read()) == ("image/jpeg", samples.photo())
    kinds = [update.message for update in await bot.get_updates()]
    assert all(kinds)
    assert standin.violations == []


@pytest.mark.parametrize(
    "wishes",
    [
        {},
        {"does": "dance"},
        {"does": "send"},
        {"does": "send", "text": " "},
        {"does": "send", "text": ["a"]},
        {"does": "send", "text": "x" * 5000},
        {"does": "edit", "text": "a", "message": 99},
        {"does": "press", "message": "x", "data": "a"},
        {"does": "press", "message": 1, "data": "a"},
        {"does": "location", "latitude": "north", "longitude": 7},
        {"does": "location", "latitude": 91, "longitude": 7},
    ],
)
async def test_nonsense_is_refused(standin: Demo, page: ClientSession, wishes: dict[str, Any]) -> None:
    amina = await known(standin)
    async with page.post(f"/demo/people/{amina.id}", json=wishes) as answer:
        assert answer.status == 400
    assert standin.pending == 1


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
)
async def test_another_page_in_the_browser_gets_nothing(page: ClientSession, headers: dict[str, str]) -> None:
    async with page.get("/demo/people", headers=headers) as answer:
        assert answer.status == 403
    async with page.post("/demo/people", json={"name": "x", "language_code": "it"}, headers=headers) as answer:
        assert answer.status == 403


async def test_the_page_loads_nothing_from_elsewhere(page: ClientSession) -> None:
    for path in ("/", "/demo/page.js", "/demo/page.css"):
        async with page.get(path) as answer:
            assert answer.status == 200
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert "//" not in (await answer.text()).replace("// ----", "")


# ---- the table ----


def described(*fields: tuple[str, list[str], bool, str]) -> dict[str, Any]:
    return {
        "fields": [
            {"name": name, "types": types, "required": required, "description": text}
            for name, types, required, text in fields
        ]
    }


def test_the_table_keeps_rules_and_no_sentences() -> None:
    nothing: dict[str, Any] = {"methods": {name: {} for name in METHODS}, "types": {name: {} for name in TYPES}}
    send = described(
        ("chat_id", ["Integer", "String"], True, "Target chat"),
        ("text", ["String"], True, "Text, 1-4096 characters after entities parsing"),
        ("business_connection_id", ["String"], False, "Not for a bot like ours"),
        ("gift", ["Gift"], False, "Not for a bot like ours"),
    )
    updates = described(("limit", ["Integer"], False, "Values between 1-100 are accepted. Defaults to 100."))
    media = described(("media", ["Array of InputMediaPhoto"], True, "What to send, must include 2-10 items"))
    methods = nothing["methods"] | {"sendMessage": send, "getUpdates": updates, "sendMediaGroup": media}
    table = derive({"version": "Bot API 99", "methods": methods, "types": nothing["types"]})
    assert table["methods"]["sendMessage"] == {
        "chat_id": {"types": ["Integer", "String"], "required": True},
        "text": {"types": ["String"], "required": True, "characters": [1, 4096], "parsed": True},
    }
    assert table["methods"]["getUpdates"]["limit"]["values"] == [1, 100]
    assert table["methods"]["sendMediaGroup"]["media"]["items"] == [2, 10]
    assert "description" not in str(table["methods"]["sendMessage"])


def test_what_is_in_the_table_is_played() -> None:
    assert set(DONE) | {"getUpdates"} == set(METHODS)
