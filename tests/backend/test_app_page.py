"""The small app: what its worker may touch, when it makes way for a new one, and the page with the numbers."""

import json
import re
import shutil
from pathlib import Path

import httpx
import pytest
from markupsafe import escape

from backend.services import Services
from backend.web import app_page, static
from bot.phrases import SPOKEN, say

pytestmark = pytest.mark.usefixtures("parser")


async def constant(client: httpx.AsyncClient, name: str, language: str = "it") -> object:
    text = (await client.get(f"/sw.js?language={language}")).text
    return json.loads(re.search(rf"^const {name} = (.*);$", text, re.M)[1])  # type: ignore[index]


async def test_the_numbers_are_those_the_bot_gives_in_every_language(client: httpx.AsyncClient) -> None:
    for language in SPOKEN:
        page = await client.get(f"/offline?language={language}")
        assert page.status_code == 200
        called = re.findall(r'href="tel:([0-9]+)"', page.text)
        assert called[0] == "112"
        assert {"1522", "114", "116000", "800290290"} <= set(called)
        assert str(escape(say(language, "offline.title"))) in page.text


async def test_112_is_there_even_before_anything_is_loaded(
    client: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.services.Shelf.find_entry", lambda *_: None)
    page = await client.get("/offline?language=fr")
    assert re.findall(r'href="tel:([0-9]+)"', page.text) == ["112"]


async def test_the_kept_page_is_the_same_for_everybody(client: httpx.AsyncClient) -> None:
    before = (await client.get("/offline?language=en")).text
    form = {"origin": "http://elp.test", "sec-fetch-site": "same-origin"}
    await client.post("/messages", data={"text": "segreto melograno"}, headers=form)
    assert (await client.get("/offline?language=en")).text == before


async def test_the_worker_keeps_its_page_and_the_files_of_it_and_they_all_exist(client: httpx.AsyncClient) -> None:
    files = await constant(client, "FILES", "ar")
    assert isinstance(files, list)
    assert files[0] == await constant(client, "OFFLINE", "ar") == "/offline?language=ar"
    assert any("chat.css" in file for file in files)
    assert any("offline.js" in file for file in files)
    assert not any("htmx" in file for file in files)
    for file in files:
        assert (await client.get(file)).status_code == 200
        assert file.startswith(("/offline?", "/static/"))


async def test_the_worker_is_asked_for_anew_each_time(client: httpx.AsyncClient) -> None:
    worker = await client.get("/sw.js")
    assert worker.headers["content-type"].startswith("text/javascript")
    assert worker.headers["cache-control"] == "no-cache"


async def test_another_number_or_another_language_is_another_version(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    italian, arabic = await constant(client, "VERSION"), await constant(client, "VERSION", "ar")
    assert italian != arabic
    assert italian == await constant(client, "VERSION")
    monkeypatch.setattr(app_page, "_LINES", ("112",))
    assert italian != await constant(client, "VERSION")


@pytest.mark.parametrize("name", ["sw.js", "elp.css", "offline.js", "leave.js"])
async def test_another_file_is_another_version(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    before = await constant(client, "VERSION")
    copy = tmp_path / "static"
    shutil.copytree(static.OWN, copy)
    monkeypatch.setattr(static, "OWN", copy)
    monkeypatch.setattr(app_page, "OWN", copy)
    assert before == await constant(client, "VERSION")
    with (copy / name).open("a") as file:
        file.write("/* changed */")
    assert before != await constant(client, "VERSION")


async def test_the_manifest_is_in_the_readers_language_and_says_nothing_of_us(client: httpx.AsyncClient) -> None:
    for language in SPOKEN:
        manifest = await client.get(f"/manifest.webmanifest?language={language}")
        assert manifest.headers["content-type"].startswith("application/manifest+json")
        told = manifest.json()
        assert (told["lang"], told["scope"], told["start_url"]) == (language, "/", "/")
        assert told["name"] == say(language, "app.name")
        assert "description" not in told
