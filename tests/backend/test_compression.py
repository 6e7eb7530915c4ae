"""What goes out is small, and says nothing by how small it is."""

import asyncio
import gzip
import os
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from backend.config import Settings
from backend.web.static import ASK_EACH_TIME, BUNDLES, FOREVER, OWN, address, files
from tests.backend.test_api import open_talk
from tests.backend.test_security_headers import http_scope

pytestmark = pytest.mark.usefixtures("parser")
SMALL, PLAIN = {"accept-encoding": "gzip, deflate, br"}, {"accept-encoding": "identity"}


def weight(response: httpx.Response) -> int:
    return int(response.headers["content-length"])


async def test_a_page_goes_out_compressed_to_whoever_can_read_it(client: httpx.AsyncClient) -> None:
    small = await client.get("/", headers=SMALL | {"accept-language": "it"})
    large = await client.get("/", headers={"accept-encoding": "identity", "accept-language": "it"})
    assert small.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in large.headers
    assert weight(small) < weight(large) / 2
    assert "accept-encoding" in small.headers["vary"].lower()
    assert "cookie" in small.headers["vary"].lower()


async def test_json_goes_out_compressed_too(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/v1/entries", headers=SMALL)
    assert response.headers["content-encoding"] == "gzip"


async def test_a_word_or_two_is_not_worth_it(client: httpx.AsyncClient) -> None:
    assert "content-encoding" not in (await client.get("/healthz", headers=SMALL)).headers


@pytest.mark.parametrize(
    "site, compressed",
    [("cross-site", False), ("same-site", False), ("same-origin", True), ("none", True), (None, False)],
)
async def test_another_site_learns_nothing_from_the_size_of_somebody_s_page(
    client: httpx.AsyncClient, site: str | None, compressed: bool
) -> None:
    headers = SMALL | {"cookie": "elp_language=it"} | ({"sec-fetch-site": site} if site else {})
    response = await client.get("/?draft=ciao", headers=headers)
    assert ("content-encoding" in response.headers) is compressed


async def test_who_comes_by_a_link_for_the_first_time_has_nothing_to_hide_and_little_to_wait_for(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/", headers=SMALL | {"sec-fetch-site": "cross-site"})
    assert response.headers["content-encoding"] == "gzip"


async def test_an_event_stream_is_never_held_back_to_be_compressed(app: FastAPI, client: httpx.AsyncClient) -> None:
    talk = await open_talk(client)
    messages: asyncio.Queue[Message] = asyncio.Queue()
    hang_up = asyncio.Event()

    async def receive() -> Message:
        await hang_up.wait()
        return {"type": "http.disconnect"}

    headers = {"authorization": talk.headers["authorization"], "accept-encoding": "gzip"}
    running = asyncio.create_task(app(http_scope("GET", f"{talk.path}/events", headers), receive, messages.put))
    start = await asyncio.wait_for(messages.get(), 5)
    assert b"content-encoding" not in dict(start["headers"])
    first = await asyncio.wait_for(messages.get(), 5)
    assert first["body"].startswith(b"retry")
    hang_up.set()
    await asyncio.wait_for(running, 5)


# Files


async def test_a_script_is_the_same_compressed_or_not(client: httpx.AsyncClient) -> None:
    small = await client.get("/static/elp.js", headers=SMALL)
    large = await client.get("/static/elp.js", headers={"accept-encoding": "identity"})
    assert small.headers["content-encoding"] == "gzip"
    assert weight(small) < weight(large) / 2
    assert small.text == large.text == (OWN / "elp.js").read_text()
    assert small.headers["content-type"] == large.headers["content-type"]
    assert small.headers["vary"] == "accept-encoding"


async def test_a_file_named_with_its_version_is_kept_for_good(client: httpx.AsyncClient) -> None:
    assert (await client.get(address("elp.css"))).headers["cache-control"] == FOREVER
    for other in (
        "/static/elp.css",
        "/static/elp.css?v=",
        "/static/elp.css?v=000000000000",
        f"{address('elp.css')}&v=2",
    ):
        assert (await client.get(other)).headers["cache-control"] == ASK_EACH_TIME


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_a_file_by_its_bare_name_is_asked_about_and_not_sent_again(
    client: httpx.AsyncClient, encoding: str
) -> None:
    first = await client.get("/static/elp.css", headers={"accept-encoding": encoding})
    again = await client.get(
        "/static/elp.css", headers={"accept-encoding": encoding, "if-none-match": first.headers["etag"]}
    )
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["vary"] == "accept-encoding"


async def test_a_changed_file_has_another_address_and_comes_anew(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.web.static.OWN", tmp_path)
    file = tmp_path / "elp.css"
    file.write_text("body{}" * 500)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(files(settings)), base_url="http://elp.test") as http:
        old = address("elp.css")
        assert (await http.get("/elp.css", headers=SMALL)).text == "body{}" * 500
        file.write_text("html{}" * 500)
        os.utime(file, ns=(1, 1))
        assert address("elp.css") != old
        assert (await http.get("/elp.css", headers=SMALL)).text == "html{}" * 500


async def test_a_library_s_address_changes_with_the_lock_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = address("htmx.min.js")
    (tmp_path / "package-lock.json").write_text("another")
    monkeypatch.setattr("backend.web.static._LIBRARIES", tmp_path / "package-lock.json")
    assert address("htmx.min.js") != old


async def test_what_the_chat_page_needs_comes_in_one_style_sheet_and_one_script(
    settings: Settings, tmp_path: Path
) -> None:
    libraries = tmp_path / "frontend" / "static"
    libraries.mkdir(parents=True)
    for name in ("htmx.min.js", "sse.min.js"):
        (libraries / name).write_text(f'var {name[:3]}="{name}"')  # without a semicolon
    served = files(settings.model_copy(update={"data_dir": tmp_path}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://elp.test") as http:
        for name, parts in BUNDLES.items():
            small, large = await http.get(f"/{name}", headers=SMALL), await http.get(f"/{name}", headers=PLAIN)
            assert small.headers["content-encoding"] == "gzip"
            assert small.text == large.text
            own = [(OWN / part).read_text() for part in parts if (OWN / part).exists()]
            places = [small.text.index(text) for text in own]
            assert places == sorted(places)
            assert "text" in small.headers["content-type"]
            told = {"if-none-match": small.headers["etag"]}
            assert (await http.get(f"/{name}", headers=told)).status_code == 304
            assert (await http.get(address(name).removeprefix("/static"))).headers["cache-control"] == FOREVER
        script = (await http.get("/chat.js")).text
        assert 'var htm="htmx.min.js";\nvar sse="sse.min.js";\n' in script


async def test_a_library_that_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.get("/static/chat.js")).status_code == 404
    assert (await client.get("/static/chat.css")).status_code == 200


async def test_pictures_are_not_compressed_again(settings: Settings, tmp_path: Path) -> None:
    made = settings.data_dir / "frontend" / "static"
    made.mkdir(parents=True, exist_ok=True)
    (made / "icon-test.png").write_bytes(b"\x89PNG" + gzip.compress(os.urandom(2000)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(files(settings)), base_url="http://elp.test") as http:
        response = await http.get("/icon-test.png", headers=SMALL)
    assert response.status_code == 200
    assert "content-encoding" not in response.headers
