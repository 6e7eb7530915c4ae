"""What a page sends later than it was written reaches the conversation it was written in, or none."""

import re

import httpx
import pytest
from sqlalchemy import func, select

from backend.models import Conversation, Message
from backend.services import Services

pytestmark = pytest.mark.usefixtures("parser")
FORM = {"origin": "http://elp.test", "sec-fetch-site": "same-origin", "hx-request": "true"}
OPENING = "0123456789abcdef" * 4


async def send(client: httpx.AsyncClient, text: str, key: str, **headers: str) -> httpx.Response:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post("/messages", data={"text": text, "client_message_id": key}, headers=FORM | more)


def mark(response: httpx.Response) -> str:
    found = re.search('data-mark="([0-9a-f]{16})"', response.text)
    assert found
    return found[1]


async def count(services: Services) -> tuple[int, int]:
    """Conversations, and messages of people."""
    async with services.sessions() as session:
        talks = await session.scalar(select(func.count()).select_from(Conversation))
        said = await session.scalar(select(func.count()).select_from(Message).where(Message.author == "person"))
    return talks or 0, said or 0


async def test_the_first_message_tried_again_opens_no_second_conversation(
    client: httpx.AsyncClient, services: Services
) -> None:
    opening = OPENING[::-1]
    talks, said = await count(services)
    first = await send(client, "sportello elp", "one", elp_opening=opening)
    cookie = client.cookies["elp_chat"]
    client.cookies.clear()  # the answer was lost, and its cookie with it
    again = await send(client, "sportello elp", "one", elp_opening=opening)
    assert await count(services) == (talks + 1, said + 1)
    assert client.cookies["elp_chat"] == cookie
    assert mark(first) == mark(again)
    assert "Movicentro" in again.text
    page = await client.get("/")
    assert page.text.count("sportello elp</p>") == 1


@pytest.mark.parametrize("opening", ["", "1", "g" * 64, "A" * 64, OPENING + "0"])
async def test_an_opening_that_anybody_could_guess_is_none(
    client: httpx.AsyncClient, services: Services, opening: str
) -> None:
    talks, _ = await count(services)
    for _ in range(2):
        client.cookies.clear()
        assert (await send(client, "ciao", "one", elp_opening=opening)).status_code == 200
    assert (await count(services))[0] == talks + 2


async def test_the_mark_of_a_conversation_opens_nothing(client: httpx.AsyncClient) -> None:
    shown = mark(await send(client, "ciao", "one"))
    conversation, _, token = client.cookies["elp_chat"].partition(".")
    assert shown not in conversation.replace("-", "")
    assert shown not in token
    client.cookies.clear()
    assert (await send(client, "ciao", "two", elp_conversation=shown)).status_code == 404


async def test_words_for_an_erased_conversation_begin_no_new_one(client: httpx.AsyncClient, services: Services) -> None:
    shown = mark(await send(client, "ciao", "one"))
    conversation, _, token = client.cookies["elp_chat"].partition(".")
    await client.delete(f"/api/v1/conversations/{conversation}", headers={"authorization": f"Bearer {token}"})
    before = await count(services)
    response = await send(client, "segreto", "two", elp_conversation=shown)
    assert response.status_code == 404
    assert "set-cookie" not in response.headers
    assert await count(services) == before


async def test_words_for_one_conversation_never_reach_another(client: httpx.AsyncClient, services: Services) -> None:
    first = mark(await send(client, "ciao", "one"))
    client.cookies.clear()
    second = mark(await send(client, "ciao", "one"))
    before = await count(services)
    assert (await send(client, "segreto", "two", elp_conversation=first)).status_code == 404
    assert await count(services) == before
    assert (await send(client, "avanti", "three", elp_conversation=second)).status_code == 200


async def test_a_page_is_told_nothing_of_another_conversation(client: httpx.AsyncClient) -> None:
    first = mark(await send(client, "ciao", "one"))
    client.cookies.clear()
    await send(client, "segreto", "one")
    stream = await client.get(f"/events?after=0&mark={first}")
    assert stream.text == "event: gone\ndata: gone\n\n"


async def test_whoever_left_without_a_network_is_forgotten_by_the_next_request(
    client: httpx.AsyncClient, services: Services
) -> None:
    await send(client, "segreto", "one")
    conversation, _, token = client.cookies["elp_chat"].partition(".")
    client.cookies.set("elp_left", "1", domain="elp.test", path="/")
    for path in ("/events", "/mine/export", "/attachments/00000000-0000-0000-0000-000000000000"):
        assert (await client.get(path)).status_code == 404
    fresh = await client.get("/", follow_redirects=True)
    assert "segreto" not in fresh.text
    assert len(client.cookies) == 0
    gone = await client.get(
        f"/api/v1/conversations/{conversation}/messages", headers={"authorization": f"Bearer {token}"}
    )
    assert gone.status_code == 404
