"""The chat inside another site's page: who may show it, its cookies, and the script that sites include."""

import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from backend.config import Settings
from backend.main import create_app
from backend.web.embed import script
from backend.web.protection import security_headers
from bot.phrases import SPOKEN

pytestmark = pytest.mark.usefixtures("parser")
FORM = {"origin": "https://elp.test", "sec-fetch-site": "same-origin"}
PERSON = 'class="message person'
TOWN = "https://www.town.example"
LARGEST_SCRIPT = 3 * 1024
"""Bytes that a site's page loads before anybody opens the chat, compressed."""
OURS = re.compile(r'(?:href|src|action|formaction|hx-post|hx-get|sse-connect)="(/[^"]*)"')


@pytest.fixture
async def framed(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A browser in which the chat stands inside a page."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://elp.test") as http:
        yield http


async def send(client: httpx.AsyncClient, **form: str) -> httpx.Response:
    return await client.post("/embed/messages", data=form, headers=FORM, follow_redirects=True)


def policy(response: httpx.Response) -> str:
    return str(response.headers["content-security-policy"])


async def test_cookies_inside_another_site_are_secure_partitioned_and_of_no_use_elsewhere(
    framed: httpx.AsyncClient,
) -> None:
    form = {"text": "ciao"}
    response = await framed.post("/embed/messages", data=form, headers=FORM)
    assert response.headers["location"].startswith("/embed/#m")
    cookie = response.headers["set-cookie"]
    assert cookie.startswith("__Host-elp_chat_embedded=")
    rules = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert rules == {"httponly", "path=/", "samesite=none", "secure", "partitioned"}
    at_home = await framed.get("/", headers={"cookie": cookie.split(";")[0]})
    assert PERSON not in at_home.text
    there = await framed.get("/embed/")
    assert PERSON in there.text


async def test_the_cookie_of_home_opens_nothing_inside_another_site(framed: httpx.AsyncClient) -> None:
    response = await framed.post("/messages", data={"text": "ciao"}, headers=FORM)
    cookie = response.headers["set-cookie"]
    assert "samesite=lax" in cookie.lower()
    assert "partitioned" not in cookie.lower()
    assert cookie.startswith("__Host-elp_chat=")  # no neighbour under the same domain can set it
    there = await framed.get("/embed/")
    assert PERSON not in there.text
    assert (await framed.get("/embed/mine/export")).status_code == 404


async def test_leaving_takes_all_cookies_of_that_site_with_their_rules(framed: httpx.AsyncClient) -> None:
    await framed.get("/embed/?suggest=ar")
    await framed.post("/embed/language", data={"language": "fr"}, headers=FORM)
    await send(framed, text="ciao")
    assert {"__Host-elp_chat_embedded", "elp_language_embedded", "elp_site_language_embedded"} <= set(framed.cookies)
    left = await framed.post("/embed/leave", headers=FORM)
    assert left.status_code == 303
    for cookie in left.headers.get_list("set-cookie"):
        assert "Partitioned" in cookie  # a browser takes no other for the same cookie
        assert ("Path=/;" if cookie.startswith("__Host-") else "Path=/embed;") in cookie
    assert not framed.cookies


async def test_the_whole_conversation_stays_below_its_own_path(framed: httpx.AsyncClient) -> None:
    """One address that leads out of it would show another conversation, or none."""
    pages = [
        await framed.get("/embed/"),
        await send(framed, text="sportello elp"),
        await send(framed, choice="topic:salute"),
        await send(framed, choice="book"),
        await send(framed, choice="what_do_you_know"),
        await send(framed, text="x" * 9000),
        await framed.get("/embed/privacy"),
        await framed.get("/embed/nowhere"),
        await framed.post("/embed/messages", data={"text": "ciao"}, headers=FORM | {"hx-request": "true"}),
    ]
    outside = ("/static/", "/pictures/", "/manifest.webmanifest", "/?language=")
    for page in pages:
        assert page.url.path.startswith("/embed/")
        found = set(OURS.findall(page.text))
        assert found
        assert {one for one in found if not one.startswith(("/embed/", *outside))} == set()
    erased = await framed.post("/embed/mine/erase", headers=FORM)
    assert erased.headers["location"].startswith("/embed/privacy?")


@pytest.mark.parametrize("name", ["elp.js", "leave.js", "offline.js", "reading.js", "framed.js"])
def test_no_script_of_the_chat_leads_out_of_it(name: str) -> None:
    source = (Path("backend/web/static") / name).read_text(encoding="utf-8")
    ours = "messages|events|typing|attachments|language|privacy|mine|leave|closing|still-here|visits"
    asks = "fetch|sendBeacon|EventSource|replace|assign|open"
    assert re.findall(rf"""(?:{asks})\(["'`]/(?:(?:{ours})\b|["'`])""", source) == []


async def test_the_language_of_the_site_holds_until_the_person_chooses_one(framed: httpx.AsyncClient) -> None:
    italian = {"accept-language": "it"}
    assert '<html lang="it"' in (await framed.get("/embed/", headers=italian)).text
    assert '<html lang="fr"' in (await framed.get("/embed/?suggest=fr", headers=italian)).text
    assert '<html lang="fr"' in (await framed.get("/embed/", headers=italian)).text
    await framed.post("/embed/language", data={"language": "ar"}, headers=FORM)
    assert '<html lang="ar"' in (await framed.get("/embed/?suggest=fr", headers=italian)).text


@pytest.mark.parametrize("path", ["/embed/?suggest=xx", "/embed/?suggest=%00&topic=%00", "/?suggest=fr"])
async def test_a_wish_that_nobody_understands_changes_nothing(framed: httpx.AsyncClient, path: str) -> None:
    response = await framed.get(path, headers={"accept-language": "it"})
    assert '<html lang="it"' in response.text
    assert "set-cookie" not in response.headers


async def test_the_topic_of_the_page_is_the_first_thing_to_read_and_nothing_is_stored(
    framed: httpx.AsyncClient,
) -> None:
    response = await framed.get("/embed/?topic=abitare&suggest=it")
    assert 'value="entry:' in response.text
    assert "elp_chat" not in str(response.headers.get_list("set-cookie"))
    danger = await framed.get("/?topic=pericolo")
    assert 'href="tel:112"' in danger.text
    usual = await framed.get("/embed/?topic=nothing-of-ours")
    assert 'value="topic:abitare"' in usual.text


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"origin": "https://elp.test"}, 303),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": TOWN}, 403),
        ({"origin": "null"}, 403),
        ({}, 403),  # at home a very old browser is believed; here its cookies come along from anywhere
    ],
)
async def test_only_the_frame_itself_can_write_there(
    framed: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    for path, form in (("/embed/messages", {"text": "ciao"}), ("/embed/leave", {})):
        assert (await framed.post(path, data=form, headers=headers)).status_code == status


# Who may show it.


@pytest.mark.parametrize(
    "origins, said", [("", "'none'"), (TOWN, TOWN), (f"{TOWN} http://a.it:81", f"{TOWN} http://a.it:81")]
)
def test_the_conversation_may_be_framed_by_the_named_sites_and_the_rest_by_nobody(
    tmp_path: Path, origins: str, said: str
) -> None:
    settings = Settings(data_dir=tmp_path, embed_origins=origins)
    assert f"frame-ancestors {said};" in security_headers(settings, embedded=True)["content-security-policy"]
    assert "frame-ancestors 'none';" in security_headers(settings)["content-security-policy"]


@pytest.mark.parametrize(
    "path, may",
    [
        ("/embed/", True),
        ("/embed/privacy", True),
        ("/embed/nowhere", True),
        ("/embed", True),  # leads to the one with a stroke
        ("/", False),
        ("/privacy", False),
        ("/embed.js", False),
        ("/embedded/", False),
        ("//embed/", False),
        ("/console", False),
        ("/sign-in", False),
        ("/static/elp.js", False),
        ("/embed/../console", False),
        ("/embed/%2e%2e/console", True),  # is nothing: a page that was not found
    ],
)
async def test_framing_is_refused_for_everything_else(settings: Settings, path: str, may: bool) -> None:
    app = create_app(settings.model_copy(update={"embed_origins": TOWN}))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="https://elp.test") as http:
            response = await http.get(path)
    assert (f"frame-ancestors {TOWN};" in policy(response)) is may
    assert ("frame-ancestors 'none'" in policy(response)) is not may


@pytest.mark.parametrize(
    "origins",
    [
        "*", "https://*.example", "town.example", "https://town.example/", "https://town.example/page",
        "https://town.example; script-src *", "'self'", "https:", "data:", "https://Town.example", "https://a.example,b",
        "https://town.example\r\nset-cookie: a=b", "javascript://town.example", "https://user@town.example",
    ],
)  # fmt: skip
def test_what_is_no_origin_is_refused_at_the_start(tmp_path: Path, origins: str) -> None:
    with pytest.raises(ValidationError, match="embed_origins"):
        Settings(data_dir=tmp_path, embed_origins=origins)


# The script.


async def test_the_script_may_be_loaded_by_every_site_and_nothing_else_may(client: httpx.AsyncClient) -> None:
    response = await client.get("/embed.js")
    assert response.headers["cross-origin-resource-policy"] == "cross-origin"
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "set-cookie" not in response.headers
    for path in ("/", "/embed/", "/static/embed.js", "/static/elp.js"):
        assert (await client.get(path)).headers["cross-origin-resource-policy"] == "same-origin"


def test_the_script_is_small_with_all_its_languages(tmp_path: Path) -> None:
    made = script(Settings(data_dir=tmp_path, embed_origins=TOWN))
    assert len(gzip.compress(made.encode(), 6)) <= LARGEST_SCRIPT
    assert all(f'"{code}":["' in made for code in SPOKEN)
    assert TOWN in made
    assert "__SETTINGS__" not in made
    assert not re.search(r"^\s*//", made, re.MULTILINE)
