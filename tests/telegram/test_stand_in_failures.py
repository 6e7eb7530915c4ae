"""The stand-in on bad days, and as one who brings updates."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from telegram import Bot
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TimedOut,
)

from backend.telegram_stand_in import StandIn
from tests.telegram.bot_client import bot, client, known

__all__ = ["bot"]

# ---- bad days ----


async def test_errors_come_as_ordered_and_end(standin: StandIn, bot: Bot) -> None:
    amina, other = await known(standin), await known(standin)
    standin.fault(method="sendMessage", status=429, retry_after=7, chat=amina.id)
    with pytest.raises(RetryAfter) as refused:
        await bot.send_message(amina.id, "uno")
    assert "7" in str(refused.value)
    standin.fault(status=403, chat=amina.id)
    await bot.send_message(other.id, "non per te")
    with pytest.raises(Forbidden):
        await bot.send_message(amina.id, "uno")
    standin.fault(status=502)
    with pytest.raises(NetworkError):
        await bot.send_message(amina.id, "uno")
    standin.drop(method="sendMessage")
    with pytest.raises(NetworkError):
        await bot.send_message(amina.id, "uno")
    await bot.send_message(amina.id, "uno")
    assert amina.texts == ["uno"]
    assert standin.violations == []
    assert [call.status for call in standin.calls_of("sendMessage", chat=amina.id)] == [429, 403, 502, 0, 200]


async def test_an_answer_that_gets_lost_was_a_call_that_was_done(standin: StandIn, bot: Bot) -> None:
    amina = await known(standin)
    standin.drop(after=True)
    with pytest.raises(NetworkError):
        await bot.send_message(amina.id, "uno")
    standin.hang(5, after=True)
    with pytest.raises(TimedOut):
        await bot.send_message(amina.id, "due", read_timeout=0.1)
    assert amina.texts == ["uno", "due"]


async def test_updates_come_twice_and_the_wrong_way_round(standin: StandIn, bot: Bot) -> None:
    standin.duplicate_updates()
    standin.shuffle_updates()
    amina = standin.user()
    first, second = amina.sends("uno"), amina.sends("due")
    assert [update.update_id for update in await bot.get_updates()] == [second, second, first, first]
    assert {update.update_id for update in await bot.get_updates(offset=second + 1)} == {first, second}
    assert await bot.get_updates(offset=second + 1) == ()


async def test_one_of_two_pollers_is_sent_away(standin: StandIn, bot: Bot) -> None:
    first = asyncio.create_task(bot.get_updates(timeout=20))
    await standin.wait_for(lambda: len(standin.calls_of("getUpdates")) == 1)
    second = asyncio.create_task(bot.get_updates(timeout=20))
    with pytest.raises(Conflict, match="terminated by other getUpdates request"):
        await first
    standin.user().sends("ciao")
    assert len(await second) == 1


async def test_a_revoked_token_is_not_authorized(standin: StandIn, bot: Bot) -> None:
    new = standin.revoke_token()
    with pytest.raises(InvalidToken):
        await bot.get_me()
    async with client(standin, new) as again:
        assert again.username == "elp_prova_bot"


async def test_a_chat_that_moved_says_where(standin: StandIn, bot: Bot) -> None:
    group = standin.group(-55)
    standin.migrate(-55, -1_000_000_055)
    with pytest.raises(ChatMigrated) as moved:
        await bot.send_message(-55, "ciao")
    await bot.send_message(moved.value.new_chat_id, "ciao")
    assert group.texts == ["ciao"]


async def test_telegram_is_away_and_comes_back_with_everything(standin: StandIn, bot: Bot) -> None:
    amina = standin.user()
    poll = asyncio.create_task(bot.get_updates(timeout=20))
    await standin.wait_for(lambda: bool(standin.calls_of("getUpdates")))
    await standin.stop_answering()
    with pytest.raises(NetworkError):
        await poll
    amina.sends("intanto")
    with pytest.raises(NetworkError):
        await bot.get_me()
    await standin.answer_again()
    assert len(await bot.get_updates()) == 1


async def test_limits_are_telegrams(standin: StandIn, bot: Bot) -> None:
    now = 0.0
    standin.limit(True, clock=lambda: now)
    amina = await known(standin)
    for number in range(3):
        await bot.send_message(amina.id, str(number))
    with pytest.raises(RetryAfter):
        await bot.send_message(amina.id, "3")
    others = [await known(standin) for _ in range(40)]
    answers = await asyncio.gather(*(bot.send_message(one.id, "x") for one in others), return_exceptions=True)
    assert sum(isinstance(answer, RetryAfter) for answer in answers) == 40 - (30 - 3)
    now = 1.0
    await bot.send_message(amina.id, "3")
    with pytest.raises(RetryAfter):
        await bot.send_message(amina.id, "4")


# ---- webhook ----


class Listener:
    """A web server that takes what Telegram posts."""

    def __init__(self) -> None:
        self.got: list[tuple[int, str | None]] = []
        self.statuses: list[int] = []

    async def take(self, request: web.Request) -> web.Response:
        update = await request.json()
        self.got.append((update["update_id"], request.headers.get("X-Telegram-Bot-Api-Secret-Token")))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


@pytest.fixture
async def listener() -> AsyncIterator[tuple[Listener, str]]:
    listener, application = Listener(), web.Application()
    application.router.add_post("/hook", listener.take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield listener, f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    await runner.cleanup()


async def test_a_webhook_gets_each_update_in_order_until_it_takes_it(
    standin: StandIn, bot: Bot, listener: tuple[Listener, str]
) -> None:
    took, url = listener
    standin.world.updates._pause = 0.01
    amina = standin.user()
    waiting = amina.sends("prima del webhook")
    took.statuses = [500, 200]
    await bot.set_webhook(url, secret_token="a-Secret_1")
    await standin.quiet()
    numbers = [amina.sends(str(number)) for number in range(3)]
    await standin.quiet()
    assert [number for number, _ in took.got] == [waiting, waiting, *numbers]
    assert {secret for _, secret in took.got} == {"a-Secret_1"}
    info = await bot.get_webhook_info()
    assert (info.url, info.pending_update_count) == (url, 0)


async def test_a_webhook_gets_updates_twice_when_told_to(
    standin: StandIn, bot: Bot, listener: tuple[Listener, str]
) -> None:
    took, url = listener
    await bot.set_webhook(url)
    standin.duplicate_updates()
    number = standin.user().sends("ciao")
    await standin.quiet()
    assert [one for one, _ in took.got] == [number, number]


async def test_polling_and_a_webhook_exclude_each_other(
    standin: StandIn, bot: Bot, listener: tuple[Listener, str]
) -> None:
    _, url = listener
    poll = asyncio.create_task(bot.get_updates(timeout=20))
    await standin.wait_for(lambda: bool(standin.calls_of("getUpdates")))
    await bot.set_webhook(url)
    with pytest.raises(Conflict, match="can't use getUpdates method while webhook is active"):
        await poll
    await bot.delete_webhook()
    standin.user().sends("ciao")
    assert len(await bot.get_updates()) == 1


async def test_what_a_webhook_did_not_take_waits_for_a_poll(
    standin: StandIn, bot: Bot, listener: tuple[Listener, str]
) -> None:
    took, url = listener
    took.statuses = [503] * 100
    await bot.set_webhook(url)
    number = standin.user().sends("ciao")
    await standin.wait_for(lambda: standin.world.updates.last_error is not None)
    await bot.delete_webhook()
    assert [update.update_id for update in await bot.get_updates()] == [number]


@pytest.mark.parametrize(
    "url,secret,complaint",
    [("http://elp.it/hook", "a", "An HTTPS URL must be provided"), ("https://elp.it", "a b", "unallowed characters")],
)
async def test_a_webhook_telegram_would_refuse(bot: Bot, url: str, secret: str, complaint: str) -> None:
    with pytest.raises(BadRequest, match=f"(?i){complaint}"):
        await bot.set_webhook(url, secret_token=secret)


# ---- for tests ----


async def test_waiting_for_a_message_ends(standin: StandIn, bot: Bot) -> None:
    amina = await known(standin)
    with pytest.raises(TimeoutError, match="none at all"):
        await amina.next_message(0.01)
    sending = asyncio.create_task(bot.send_message(amina.id, "uno"))
    assert (await amina.next_message()).text == "uno"
    await sending
    await amina.no_message(0.01)
    with pytest.raises(TimeoutError):
        await standin.wait_for(lambda: False, 0.01)
