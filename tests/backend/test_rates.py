"""Limits keep one sender from taking the service away from the others, and nobody else notices them."""

import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from limits import parse_many

from backend.errors import TooManyRequests
from backend.rates import RULES, Limits
from backend.services import Services
from tests.backend.test_api import Talk, is_problem, open_talk

pytestmark = pytest.mark.usefixtures("parser")
FORM = {"origin": "http://elp.test", "sec-fetch-site": "same-origin"}
A_MINUTE = parse_many(RULES["message"]["conversation"])[0].amount
CONVERSATIONS_A_MINUTE = parse_many(RULES["conversation"]["address"])[0].amount


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock: Clock) -> Limits:
    return Limits(clock=clock)


@pytest.fixture
async def guarded(app: FastAPI, services: Services, clock: Clock) -> AsyncIterator[Limits]:
    """The running application with its limits on, at a clock that stands still."""
    fresh = Limits(clock=clock)
    before = services.limits
    object.__setattr__(services, "limits", fresh)
    yield fresh
    object.__setattr__(services, "limits", before)


async def tries(limits: Limits, count: int, **who: str) -> int:
    """How many of so many messages were let through."""
    passed = 0
    for _ in range(count):
        try:
            await limits.check("message", **who)
            passed += 1
        except TooManyRequests:
            pass
    return passed


async def test_one_more_than_allowed_is_refused_with_the_time_to_wait(limits: Limits, clock: Clock) -> None:
    for _ in range(A_MINUTE):
        await limits.check("message", conversation="a")
        clock.now += 1
    with pytest.raises(TooManyRequests) as refused:
        await limits.check("message", conversation="a")
    assert refused.value.values == {"seconds": 60 - A_MINUTE}


async def test_after_the_time_that_was_told_it_works(limits: Limits, clock: Clock) -> None:
    await tries(limits, A_MINUTE, conversation="a")
    with pytest.raises(TooManyRequests) as refused:
        await limits.check("message", conversation="a")
    clock.now += refused.value.values["seconds"] - 1
    assert await tries(limits, 1, conversation="a") == 0
    clock.now += 1
    assert await tries(limits, A_MINUTE + 5, conversation="a") == A_MINUTE


async def test_pressing_on_while_refused_does_not_make_the_wait_longer(limits: Limits, clock: Clock) -> None:
    await tries(limits, A_MINUTE + 500, conversation="a", address="x")
    clock.now += 60
    await limits.check("message", conversation="a", address="x")


async def test_a_flooding_conversation_does_not_use_up_its_neighbours_share(limits: Limits) -> None:
    assert await tries(limits, 5000, conversation="flood", address="school") == A_MINUTE
    for neighbour in range(9):
        assert await tries(limits, 30, conversation=str(neighbour), address="school") == 30


async def test_a_day_has_a_limit_too(limits: Limits, clock: Clock) -> None:
    passed = 0
    for _ in range(60):
        passed += await tries(limits, A_MINUTE, conversation="a")
        clock.now += 61
    assert passed == 600
    clock.now += 24 * 3600
    assert await tries(limits, 1, conversation="a") == 1


async def test_tries_at_the_same_moment_do_not_slip_through_together(limits: Limits) -> None:
    checks = (limits.check("message", conversation="a") for _ in range(200))
    results = await asyncio.gather(*checks, return_exceptions=True)
    assert results.count(None) == A_MINUTE


async def test_kinds_and_counters_do_not_mix(limits: Limits) -> None:
    await tries(limits, A_MINUTE, conversation="same")
    await limits.check("message", address="same")
    await limits.check("attachment", conversation="same")


async def test_an_unknown_kind_is_a_mistake_of_ours(limits: Limits) -> None:
    with pytest.raises(KeyError):
        await limits.check("massage", conversation="a")
    with pytest.raises(KeyError):
        await limits.check("message", pair="a")


async def test_limits_that_are_off_let_everything_through() -> None:
    assert await tries(Limits(enabled=False), 1000, conversation="a") == 1000


async def test_who_came_is_kept_as_a_salted_hash_and_forgotten(limits: Limits, clock: Clock) -> None:
    await limits.check("message", conversation="a", address="192.0.2.7")
    assert "192.0.2.7" not in repr(vars(limits))
    assert limits._key("192.0.2.7") != Limits()._key("192.0.2.7")
    clock.now += 24 * 3600 + 61
    await limits.check("message", conversation="b")
    assert len(limits._windows) == 2  # one window for each rule


# In the running application.


async def flood(talk: Talk) -> httpx.Response:
    """Sends until one is refused."""
    for _ in range(A_MINUTE + 1):
        response = await talk.post(text="grazie")
        if response.status_code != 200:
            return response
    raise AssertionError("nothing was refused")


@pytest.mark.parametrize(
    "language, sentence", [("it", "secondi"), ("en", "seconds"), ("fr", "secondes"), ("ar", "112")]
)
async def test_the_api_says_how_long_to_wait_and_names_112(
    client: httpx.AsyncClient, guarded: Limits, language: str, sentence: str
) -> None:
    talk = await open_talk(client)
    talk.headers["accept-language"] = language
    refused = await flood(talk)
    assert is_problem(refused, 429, "too_many_requests")
    assert refused.headers["retry-after"] == "60"
    title = refused.json()["title"]
    assert sentence in title
    assert "60" in title
    assert "112" in title


async def test_twenty_people_behind_one_address_are_unhindered_while_one_floods(
    client: httpx.AsyncClient, guarded: Limits, clock: Clock
) -> None:
    flooding, *others = [await open_talk(client) for _ in range(20)]
    for _ in range(3):
        assert (await flood(flooding)).status_code == 429
        for talk in others:
            for _ in range(4):
                await talk.say("grazie")
        clock.now += 60


async def test_a_wrong_token_uses_up_nobody_elses_share(client: httpx.AsyncClient, guarded: Limits) -> None:
    talk = await open_talk(client)
    stranger = Talk(client, talk.opened | {"token": "wrong"})
    for _ in range(A_MINUTE + 5):
        await stranger.post(text="ciao")
    assert (await talk.say("grazie"))["author"] == "bot"


async def test_opening_conversations_without_end_is_refused(client: httpx.AsyncClient, guarded: Limits) -> None:
    for _ in range(CONVERSATIONS_A_MINUTE):
        await open_talk(client)
    refused = await client.post("/api/v1/conversations", json={})
    assert is_problem(refused, 429, "too_many_requests")
    assert int(refused.headers["retry-after"]) > 0


async def test_reading_and_erasing_are_never_refused(client: httpx.AsyncClient, guarded: Limits) -> None:
    talk = await open_talk(client)
    await flood(talk)
    assert await talk.messages()
    assert (await client.get(f"{talk.path}/export", headers=talk.headers)).status_code == 200
    assert (await client.delete(talk.path, headers=talk.headers)).status_code == 204


async def test_on_the_page_the_words_stay_in_the_field_beside_a_kind_sentence(
    client: httpx.AsyncClient, guarded: Limits
) -> None:
    await client.post("/messages", data={"text": "ciao"}, headers=FORM)
    for number in range(A_MINUTE + 1):
        response = await client.post("/messages", data={"text": f"mi serve aiuto {number}"}, headers=FORM)
    assert response.status_code == 429
    assert response.headers["retry-after"] == "60"
    assert re.search(rf"<textarea[^>]*>mi serve aiuto {A_MINUTE}</textarea>", response.text)
    problem = response.text.partition('id="problem"')[2].partition("</div>")[0]
    assert "60" in problem
    assert "112" in problem
    assert 'class="message person' in response.text  # what was said before is still there


async def test_the_live_page_shows_the_sentence_in_its_place(client: httpx.AsyncClient, guarded: Limits) -> None:
    await client.post("/messages", data={"text": "ciao"}, headers=FORM)
    for _ in range(A_MINUTE + 1):
        response = await client.post("/messages", data={"text": "ciao"}, headers=FORM | {"hx-request": "true"})
    assert response.status_code == 429
    assert response.headers["hx-retarget"] == "#problem"
    assert response.headers["retry-after"] == "60"
    assert "112" in response.text


async def test_new_conversations_from_the_page_count_as_new_conversations(
    client: httpx.AsyncClient, guarded: Limits
) -> None:
    for _ in range(CONVERSATIONS_A_MINUTE):
        client.cookies.clear()
        assert (await client.post("/messages", data={"text": "ciao"}, headers=FORM)).status_code == 303
    client.cookies.clear()
    refused = await client.post("/messages", data={"text": "ho bisogno"}, headers=FORM)
    assert refused.status_code == 429
    assert "ho bisogno" in refused.text
    assert "set-cookie" not in refused.headers


async def test_changing_the_language_counts_as_a_message(client: httpx.AsyncClient, guarded: Limits) -> None:
    await client.post("/messages", data={"text": "ciao"}, headers=FORM)
    for _ in range(A_MINUTE + 1):
        response = await client.post("/language", data={"language": "en"}, headers=FORM)
    assert response.status_code == 429
    assert "112" in response.text
