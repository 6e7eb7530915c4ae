"""The NLU service may be slow, down, or talk rubbish; a person still gets an answer."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from bot.nlu import RasaClient, read_guess
from bot.turn import Intent

GOOD = b'{"intent": {"name": "book", "confidence": 0.9}, "entities": [{"entity": "language", "value": "fr"}]}'


class Rasa:
    """A loopback server that answers as it is told."""

    def __init__(self) -> None:
        self.body, self.status, self.delay_s, self.calls = GOOD, 200, 0.0, 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.calls += 1
            await asyncio.sleep(self.delay_s)
            head = f"HTTP/1.1 {self.status} x\r\nconnection: close\r\ncontent-length: {len(self.body)}\r\n\r\n"
            writer.write(head.encode() + self.body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def rasa() -> AsyncIterator[tuple[Rasa, Callable[..., Awaitable[RasaClient]], Clock]]:
    fake, clock, opened = Rasa(), Clock(), []
    server = await asyncio.start_server(fake.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def client(timeout_s: float = 1.0) -> RasaClient:
        made = RasaClient(f"http://127.0.0.1:{port}", timeout_s=timeout_s, clock=clock)
        opened.append(made)
        return made

    yield fake, client, clock
    for made in opened:
        await made.close()
    server.close()


async def test_an_answer_is_read(rasa) -> None:
    _, client, _ = rasa
    guess = await (await client()).parse("vorrei un appuntamento")
    assert guess is not None
    assert (guess.intent, guess.confidence, guess.language) == (Intent.BOOK, 0.9, "fr")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"intent": null}',
        b'{"intent": {"name": "yes", "confidence": 1}, "intent_ranking": 7}',
        b'{"intent": {"name": 5, "confidence": "x"}}',
        b"<html>",
        b"\xff",
    ],
)
async def test_rubbish_is_no_answer_and_no_error(rasa, body: bytes) -> None:
    fake, client, _ = rasa
    fake.body = body
    assert await (await client()).parse("ciao") is None


async def test_a_hanging_service_costs_no_more_than_the_limit(rasa) -> None:
    fake, client, _ = rasa
    fake.delay_s = 5
    patient = await client(timeout_s=0.05)
    assert await asyncio.wait_for(patient.parse("ciao"), 1) is None


async def test_after_three_failures_it_is_left_alone_and_the_log_says_so_once(rasa, caplog) -> None:
    fake, client, clock = rasa
    fake.status = 500
    asked = await client()
    with caplog.at_level(logging.INFO, "bot.nlu"):
        for _ in range(50):
            assert await asked.parse("ciao") is None
        assert fake.calls == 3
        assert asked.paused
        clock.now += 31
        assert await asked.parse("ciao") is None
        assert fake.calls == 4
        fake.status, clock.now = 200, clock.now + 31
        assert await asked.parse("ciao") is not None
        assert not asked.paused
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "NLU does not answer (ClientResponseError)",
        "NLU answers again",
    ]


async def test_a_service_that_is_not_there_is_no_error() -> None:
    alone = RasaClient("http://127.0.0.1:9", timeout_s=0.3)
    assert await alone.parse("ciao") is None
    await alone.close()


def test_an_intent_we_do_not_know_is_no_guess() -> None:
    assert read_guess({"intent": {"name": "order_pizza", "confidence": 0.9}}) is None
    assert read_guess({"intent": {"name": None, "confidence": 0.0}}) is None


def test_what_else_it_could_be_comes_along_likeliest_first() -> None:
    ranking = [("book", 0.6), ("order_pizza", 0.2), ("human", 0.1), ("ask", 0.1)]
    guess = read_guess(
        {
            "intent": {"name": "book", "confidence": 0.6},
            "intent_ranking": [{"name": name, "confidence": chance} for name, chance in ranking],
        }
    )
    assert guess is not None
    assert [(other.intent, other.confidence) for other in guess.others] == [(Intent.HUMAN, 0.1), (Intent.ASK, 0.1)]
