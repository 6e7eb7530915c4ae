"""Every answer carries the headers that protect people's browsers, and no request is read without end."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message, Scope

from backend.config import Settings
from backend.main import create_app
from backend.services import Services
from backend.web.protection import LARGEST_ATTACHMENT, LARGEST_REQUEST, SECURITY_HEADERS, security_headers
from tests.backend.test_api import is_problem, open_talk

pytestmark = pytest.mark.usefixtures("parser")
FORM = {"origin": "http://elp.test", "sec-fetch-site": "same-origin"}
JSON = {"content-type": "application/json"}


def is_protected(response: httpx.Response, settings: Settings) -> bool:
    wanted = security_headers(settings)
    return {name: response.headers.get(name) for name in wanted} == wanted


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("GET", "/", 200),
        ("HEAD", "/", 405),
        ("GET", "/api/v1/languages", 200),
        ("GET", "/api/v1/openapi.json", 200),
        ("GET", "/api/v1/entries/unknown", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1/entries?page=x", 422),
        ("PUT", "/api/v1/languages", 405),
        ("GET", "/static/elp.css", 200),
        ("GET", "/static/elp.js", 200),
        ("GET", "/static/nothing.css", 404),
        ("GET", "/static/../main.py", 404),
        ("GET", "/events", 404),
        ("POST", "/messages", 303),
        ("GET", "/healthz", 200),
    ],
)
async def test_every_kind_of_answer_is_protected(
    client: httpx.AsyncClient, settings: Settings, method: str, path: str, status: int
) -> None:
    form = {"data": {"text": "ciao"}, "headers": FORM} if method == "POST" else {}
    response = await client.request(method, path, **form)
    assert response.status_code == status
    assert is_protected(response, settings)


async def test_a_form_from_another_site_is_refused_by_a_protected_page(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    response = await client.post("/messages", data={"text": "ciao"}, headers={"sec-fetch-site": "cross-site"})
    assert response.status_code == 403
    assert is_protected(response, settings)


async def test_an_event_stream_is_protected_and_comes_piece_by_piece(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings
) -> None:
    talk = await open_talk(client)
    path, token = f"{talk.path}/events", talk.headers["authorization"]
    messages: asyncio.Queue[Message] = asyncio.Queue()
    hang_up = asyncio.Event()

    async def receive() -> Message:
        await hang_up.wait()
        return {"type": "http.disconnect"}

    running = asyncio.create_task(app(http_scope("GET", path, {"authorization": token}), receive, messages.put))
    start = await asyncio.wait_for(messages.get(), 5)
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    assert headers["content-type"].startswith("text/event-stream")
    assert security_headers(settings).items() <= headers.items()
    first = await asyncio.wait_for(messages.get(), 5)  # although the stream has not ended
    assert b"retry" in first["body"]
    hang_up.set()
    await asyncio.wait_for(running, 5)


async def test_an_answer_that_nobody_foresaw_is_protected_too(
    client: httpx.AsyncClient, settings: Settings, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr("backend.web.api.build_card", broken)
    response = await client.get("/api/v1/entries")
    assert is_problem(response, 503, "unavailable")
    assert is_protected(response, settings)
    assert "broken on purpose" not in response.text


async def test_no_script_style_or_frame_of_others_and_no_inline_script_is_allowed(settings: Settings) -> None:
    policy = security_headers(settings)["content-security-policy"]
    assert "unsafe" not in policy
    assert "*" not in policy
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} <= {
        part.strip() for part in policy.split(";")
    }


@pytest.mark.parametrize("feature", ["camera", "geolocation", "payment", "usb"])
def test_our_pages_cannot_watch_or_locate_anybody(feature: str) -> None:
    assert f"{feature}=()" in SECURITY_HEADERS["permissions-policy"]


def test_only_our_own_pages_may_ask_for_the_microphone() -> None:
    assert "microphone=(self)" in SECURITY_HEADERS["permissions-policy"]


def test_forms_may_lead_to_us_to_the_exit_and_to_the_identity_provider_only(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        exit_url="https://weather.example/today",
        oidc_issuer="https://login.example/realm/elp",
        oidc_client_id="elp",
        oidc_client_secret="Zm9yIHRoaXMgdGVzdCBhbG9uZQ",
    )
    policy = security_headers(settings)["content-security-policy"]
    assert "form-action 'self' https://login.example https://weather.example;" in policy


@pytest.mark.parametrize("public_url, strict", [("https://elp.example", True), ("http://elp.example", False)])
def test_browsers_are_told_to_stay_with_https_where_there_is_https(
    tmp_path: Path, public_url: str, strict: bool
) -> None:
    headers = security_headers(Settings(data_dir=tmp_path, public_url=public_url))
    assert ("strict-transport-security" in headers) is strict


# How large a request may be.


def http_scope(method: str, path: str, headers: dict[str, str]) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in {"host": "elp.test", **headers}.items()],
        "client": ("127.0.0.1", 1),
        "server": ("elp.test", 80),
    }


class Upload:
    """A sender that goes on as long as somebody reads, and counts what was read."""

    def __init__(self, size: int) -> None:
        self.size, self.read = size, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.read < self.size:
            self.read += 16_384
            yield b" " * 16_384


async def test_a_request_that_says_it_is_too_large_is_refused_unread(app: FastAPI, settings: Settings) -> None:
    headers = JSON | {"content-length": str(LARGEST_REQUEST + 1)}
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("the request was read")

    async def send(message: Message) -> None:
        sent.append(message)

    await app(http_scope("POST", "/api/v1/conversations", headers), receive, send)
    assert sent[0]["status"] == 413
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert answered["content-type"] == "application/problem+json"
    assert answered["connection"] == "close"
    assert security_headers(settings).items() <= answered.items()
    assert json.loads(sent[1]["body"])["code"] == "request_too_large"


@pytest.mark.parametrize("path", ["/api/v1/conversations", "/messages", "/language", "/api/v1/languages"])
async def test_a_request_that_does_not_say_its_size_is_cut_off(
    client: httpx.AsyncClient, settings: Settings, path: str
) -> None:
    upload = Upload(20 * LARGEST_REQUEST)
    kind = JSON if path.startswith("/api") else {"content-type": "application/x-www-form-urlencoded"}
    response = await client.post(path, content=upload, headers=kind | FORM)
    assert response.status_code in (413, 405)
    assert is_protected(response, settings)
    assert upload.read <= LARGEST_REQUEST + 2 * 16_384


async def test_a_book_in_the_message_field_gets_a_sentence_in_the_readers_language(client: httpx.AsyncClient) -> None:
    book = {"text": "x" * (LARGEST_REQUEST + 1)}
    page = await client.post("/messages", data=book, headers=FORM | {"accept-language": "fr"})
    assert page.status_code == 413
    assert "<html" in page.text
    assert "trop volumineux" in page.text
    live = await client.post("/messages", data=book, headers=FORM | {"hx-request": "true"})
    assert live.headers["hx-retarget"] == "#problem"
    assert "<html" not in live.text


async def test_the_longest_message_in_the_widest_writing_is_taken(client: httpx.AsyncClient) -> None:
    talk = await open_talk(client)
    text = "\U0001f600" * 4000
    body = json.dumps({"client_message_id": "wide", "text": text})
    assert len(body) > 48_000
    response = await client.post(f"{talk.path}/messages", content=body, headers=talk.headers | JSON)
    assert response.status_code == 200
    assert (await talk.messages())[1]["text"] == text


@pytest.mark.parametrize("said", ["-1", "abc", "1e3", "9" * 400, "0x10", "²"])
async def test_a_size_that_is_no_number_does_no_harm(app: FastAPI, said: str) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(http_scope("POST", "/api/v1/conversations", JSON | {"content-length": said}), receive, send)
    assert sent[0]["status"] in (201, 400, 413)


async def test_attachments_may_be_larger(app: FastAPI) -> None:
    async def status(path: str, size: int) -> int:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        headers = {"content-length": str(size), "content-type": "multipart/form-data; boundary=x"}
        await app(http_scope("POST", path, headers), receive, send)
        return int(sent[0]["status"])

    attachments = "/api/v1/conversations/0b8f2f3e-1b9e-4a52-8f0f-2d8d3a1f9d11/attachments"
    assert await status(attachments, LARGEST_ATTACHMENT) != 413
    assert await status(attachments, LARGEST_ATTACHMENT + 1) == 413
    assert await status(attachments + "/../messages", LARGEST_ATTACHMENT) == 413


async def test_two_applications_do_not_share_their_headers(settings: Settings, tmp_path: Path) -> None:
    secure = create_app(settings.model_copy(update={"public_url": "https://elp.example"}))
    transport = httpx.ASGITransport(secure, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://elp.example") as http:
        response = await http.get("/healthz")
    assert response.headers["strict-transport-security"] == "max-age=31536000"
