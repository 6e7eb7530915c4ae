"""The conversation API as a program on the other side sees it (design section 8)."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from backend.chat import LONGEST_MESSAGE
from bot.turn import Intent
from tests.fakes import FakeParser

pytestmark = pytest.mark.usefixtures("parser")
PERMIT = "come faccio a rinnovare il permesso di soggiorno?"


class Talk:
    """One open conversation."""

    def __init__(self, http: httpx.AsyncClient, opened: dict[str, Any]) -> None:
        self.http, self.id, self.opened = http, opened["id"], opened
        self.headers = {"authorization": f"Bearer {opened['token']}"}
        self.path = f"/api/v1/conversations/{self.id}"

    async def post(self, **body: Any) -> httpx.Response:
        body.setdefault("client_message_id", uuid4().hex)
        return await self.http.post(f"{self.path}/messages", json=body, headers=self.headers)

    async def say(self, text: str) -> dict[str, Any]:
        response = await self.post(text=text)
        assert response.status_code == 200, response.text
        return response.json()["messages"][-1]

    async def press(self, choice: str) -> dict[str, Any]:
        response = await self.post(choice=choice)
        assert response.status_code == 200, response.text
        return response.json()["messages"][-1]

    async def messages(self, after: int = 0) -> list[dict[str, Any]]:
        response = await self.http.get(f"{self.path}/messages", params={"after": after}, headers=self.headers)
        assert response.status_code == 200
        return response.json()["messages"]


async def open_talk(http: httpx.AsyncClient, language: str = "it") -> Talk:
    response = await http.post("/api/v1/conversations", json={"language": language})
    assert response.status_code == 201, response.text
    return Talk(http, response.json())


def is_problem(response: httpx.Response, status: int, code: str) -> bool:
    body = response.json()
    return (
        response.status_code == status
        and response.headers["content-type"] == "application/problem+json"
        and body["code"] == code
        and body["status"] == status
        and bool(body["title"])
    )


async def test_a_question_is_answered_with_one_card_and_its_source(client: httpx.AsyncClient) -> None:
    talk = await open_talk(client)
    answer = await talk.say("sportello elp")
    assert answer["intent"] == "ask"
    (card,) = answer["entries"]
    assert card["id"] == "sportello-elp"
    assert card["sources"][0].startswith("https://")
    assert any("confermare" in note for note in card["notes"])


async def test_a_conversation_begins_with_a_welcome_in_its_language(client: httpx.AsyncClient) -> None:
    for language, word in (("it", "Ciao"), ("en", "Hello"), ("fr", "Bonjour"), ("ar", "مرحب")):
        talk = await open_talk(client, language)
        assert talk.opened["messages"][0]["text"].startswith(word)


async def test_the_language_comes_from_the_request_when_none_is_given(client: httpx.AsyncClient) -> None:
    response = await client.post("/api/v1/conversations", headers={"accept-language": "ar-MA, fr;q=0.5"})
    assert response.json()["language"] == "ar"


async def test_the_same_message_twice_is_answered_once(client: httpx.AsyncClient) -> None:
    talk = await open_talk(client)
    first = await talk.post(text=PERMIT, client_message_id="same")
    again = await talk.post(text=PERMIT, client_message_id="same")
    assert first.json() == again.json()
    assert len(await talk.messages()) == 3


async def test_the_same_message_ten_times_at_once_is_answered_once(client: httpx.AsyncClient) -> None:
    talk = await open_talk(client)
    answers = await asyncio.gather(*(talk.post(text=PERMIT, client_message_id="same") for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert len(await talk.messages()) == 3


async def test_many_messages_at_once_are_each_answered_once_and_read_in_order(client: httpx.AsyncClient) -> None:
    talk = await open_talk(client)
    await asyncio.gather(*(talk.post(text=f"{PERMIT} {number}") for number in range(8)))
    messages = await talk.messages()
    assert [message["id"] for message in messages] == sorted(message["id"] for message in messages)
    assert [message["author"] for message in messages].count("bot") == 9


async def test_reading_after_a_message_gives_only_what_is_newer(client: httpx.AsyncClient) -> None:
    talk = await open_talk(client)
    answer = await talk.say(PERMIT)
    assert await talk.messages(after=answer["id"]) == []
    assert [message["id"] for message in await talk.messages(after=answer["id"] - 1)] == [answer["id"]]


@pytest.mark.parametrize("method, part", [("GET", "/messages"), ("GET", "/export"), ("GET", "/events"), ("DELETE", "")])
async def test_nobody_reads_or_erases_without_the_token(client: httpx.AsyncClient, method: str, part: str) -> None:
    talk, other = await open_talk(client), await open_talk(client)
    assert is_problem(await client.request(method, talk.path + part), 401, "unauthorized")
    for headers in ({"authorization": "Bearer wrong"}, other.headers):
        assert is_problem(await client.request(method, talk.path + part, headers=headers), 404, "not_found")
    unknown = f"/api/v1/conversations/{uuid4()}{part}"
    assert is_problem(await client.request(method, unknown, headers=talk.headers), 404, "not_found")


async def test_nobody_writes_into_somebody_elses_conversation(client: httpx.AsyncClient) -> None:
    talk, other = await open_talk(client), await open_talk(client)
    body = {"client_message_id": "a", "text": "ciao"}
    response = await client.post(f"{talk.path}/messages", json=body, headers=other.headers)
    assert is_problem(response, 404, "not_found")
    assert len(await talk.messages()) == 1


@pytest.mark.parametrize("text", ["", "   ", "\x00\x01", "\u200b\n\t " * 0 + "\r\n"])
async def test_an_empty_message_gets_a_clear_error_in_the_readers_language(
    client: httpx.AsyncClient, text: str
) -> None:
    talk = await open_talk(client)
    response = await client.post(
        f"{talk.path}/messages",
        json={"client_message_id": "e", "text": text},
        headers=talk.headers | {"accept-language": "fr"},
    )
    assert is_problem(response, 422, "empty_message")
    assert response.json()["title"].startswith("Le message est vide")


async def test_a_message_that_is_too_long_says_how_long_it_may_be(client: httpx.AsyncClient) -> None:
    talk = await open_talk(client)
    response = await talk.post(text="a" * 10_000)
    assert is_problem(response, 422, "too_long")
    assert f"{LONGEST_MESSAGE:,}".replace(",", ".") in response.json()["title"]  # as Italian writes it
    assert (await talk.say("b" * LONGEST_MESSAGE))["author"] == "bot"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b'{"client_message_id": "x", "text": "\xff"}',
        b"[]",
        b"null",
        b'{"client_message_id": "x"}',
        b'{"client_message_id": "x", "text": "a", "choice": "b"}',
        b'{"client_message_id": "bad id!", "text": "a"}',
        b'{"client_message_id": "x", "text": 5}',
        b'{"client_message_id": "x", "text": "a", "more": 1}',
        b'{"client_message_id": null, "text": null}',
        b"[" * 100_000,
        b'{"client_message_id": "x", "text": "half a pair: \\ud800"}',
    ],
)
async def test_a_broken_body_is_a_problem_and_never_a_crash(client: httpx.AsyncClient, body: bytes) -> None:
    talk = await open_talk(client)
    headers = talk.headers | {"content-type": "application/json"}
    response = await client.post(f"{talk.path}/messages", content=body, headers=headers)
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "text",
    [
        "ciao\x00mondo",
        "\u202e\u2066 direzione",
        "😀" * 500,
        "' OR 1=1; --",
        "<script>alert(1)</script>",
        "{0.__class__} %s %(x)s {title}",
        "a\u0301" * 1000,
    ],
)
async def test_strange_characters_are_stored_and_answered(client: httpx.AsyncClient, text: str) -> None:
    talk = await open_talk(client)
    response = await client.post(
        f"{talk.path}/messages",
        content=json.dumps({"client_message_id": uuid4().hex, "text": text}).encode(),
        headers=talk.headers | {"content-type": "application/json"},
    )
    assert response.status_code == 200
    assert response.json()["messages"][-1]["author"] == "bot"


@pytest.mark.parametrize(
    "choice",
    [
        "entry:gone",
        "useful:gone:yes",
        "topic:nothing",
        "simpler:",
        "facet:where",
        "zzz",
        "entry:",
        "topic:lavoro:999",
        ":",
    ],
)
async def test_a_button_nobody_knows_any_more_gets_a_kind_word_and_todays_choices(
    client: httpx.AsyncClient, choice: str
) -> None:
    talk = await open_talk(client)
    answer = await talk.press(choice)
    assert "non vale più" in answer["text"]
    assert answer["choices"]


async def test_an_unknown_language_is_refused_and_a_known_one_without_texts_is_too(client: httpx.AsyncClient) -> None:
    for code in ("xx", "../it", "so", ""):
        response = await client.post("/api/v1/conversations", json={"language": code})
        assert response.status_code in (201, 422)
        if code:
            assert is_problem(response, 422, "unknown_language")


async def test_everything_is_erased_at_once_with_a_receipt(client: httpx.AsyncClient) -> None:
    talk = await open_talk(client)
    await talk.say(PERMIT)
    response = await client.delete(talk.path, headers=talk.headers)
    assert response.status_code == 204
    assert response.headers["erasure-receipt"]
    assert is_problem(await client.get(f"{talk.path}/messages", headers=talk.headers), 404, "not_found")


async def test_the_chat_erases_too_and_goes_on_in_an_empty_conversation(
    client: httpx.AsyncClient, parser: FakeParser
) -> None:
    parser.learn("cancella i miei dati", Intent.FORGET)
    talk = await open_talk(client)
    await talk.say(PERMIT)
    asked = await talk.say("cancella i miei dati")
    assert "forget-now" in [choice["id"] for choice in asked["choices"]]
    done = await talk.press("forget-now")
    assert "ricevuta" in done["text"]
    assert [message["id"] for message in await talk.messages()] == [done["id"]]
    assert (await talk.say(PERMIT))["author"] == "bot"


async def test_a_person_can_take_along_what_is_known(client: httpx.AsyncClient) -> None:
    talk = await open_talk(client)
    await talk.say(PERMIT)
    known = (await client.get(f"{talk.path}/export", headers=talk.headers)).json()
    assert PERMIT in [message["text"] for message in known["messages"]]
    assert talk.headers["authorization"].split()[1] not in json.dumps(known)


async def test_the_directory_can_be_read_without_a_conversation(client: httpx.AsyncClient) -> None:
    languages = (await client.get("/api/v1/languages")).json()
    assert {"code": "ar", "name": "العربية", "direction": "rtl"} in languages
    first = (await client.get("/api/v1/entries", params={"language": "fr"})).json()
    assert first["total"] == 109
    found = (await client.get("/api/v1/entries", params={"language": "it", "q": "sportello elp"})).json()
    assert found["entries"][0]["id"] == "sportello-elp"
    one = (await client.get("/api/v1/entries/1522", params={"language": "en"})).json()
    assert {"1522"} <= {value for row in one["rows"] for value in row["values"]}
    assert is_problem(await client.get("/api/v1/entries/santo-bambino-chiusa"), 404, "not_found")


async def test_openapi_describes_the_api_and_errors_keep_their_form(client: httpx.AsyncClient) -> None:
    described = (await client.get("/api/v1/openapi.json")).json()
    assert "/api/v1/conversations/{conversation_id}/messages" in described["paths"]
    assert is_problem(await client.get("/api/v1/nothing"), 404, "not_found")
    assert is_problem(await client.put("/api/v1/languages"), 405, "method_not_allowed")


async def test_every_page_and_answer_carries_the_security_headers(client: httpx.AsyncClient) -> None:
    for path in ("/", "/api/v1/languages", "/nothing", "/static/elp.css"):
        headers = (await client.get(path)).headers
        assert "script-src 'self'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
