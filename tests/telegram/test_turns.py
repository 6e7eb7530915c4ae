"""From what a person does in Telegram to what they read there."""

import asyncio

import pytest
from sqlalchemy import text

from backend.services import Services
from backend.telegram_stand_in import StandIn
from bot.phrases import SPOKEN, say
from tests.telegram.tools import (
    answer,
    both,
    conversation_of,
    data,
    labels,
    met,
    rows_left,
    rows_of,
    until,
    updates_left,
)

pytestmark = pytest.mark.usefixtures("telegram")
QUESTION = "sportello elp"


# ---- beginning ----


@both
async def test_the_first_question_is_greeted_and_answered(standin: StandIn, nobody: Services) -> None:
    amina = standin.user(language_code="it")
    amina.sends(QUESTION)
    welcome, answered = await amina.next_messages(2, 15)
    assert say("it", "welcome") in welcome.text
    assert "Sportello ELP" in answered.text
    assert [row.author for row in await rows_of(nobody, amina)] == ["bot", "person", "bot"]
    assert all(row.delivered_at for row in await rows_of(nobody, amina) if row.author == "bot")
    assert standin.violations == []


@pytest.mark.parametrize("code, language", [("fr", "fr"), ("pt-br", "pt"), ("ar", "ar"), ("zh-hans", "zh")])
async def test_start_speaks_the_language_of_the_telephone(
    standin: StandIn, nobody: Services, code: str, language: str
) -> None:
    somebody = standin.user(language_code=code)
    welcome = await met(somebody)
    assert say(language, "choice.human") in " ".join(labels(welcome))
    found = await conversation_of(nobody, somebody)
    assert found is not None
    assert found.language == language
    await somebody.no_message()


@pytest.mark.parametrize("code", ["de", None, "x" * 300])
async def test_a_language_that_nobody_here_speaks_is_asked_about(standin: StandIn, code: str | None) -> None:
    somebody = standin.user(language_code=code)
    somebody.starts()
    _, asked = await somebody.next_messages(2, 15)
    assert {f"language:{one}" for one in SPOKEN} == set(data(asked))
    somebody.presses(SPOKEN["sq"].name)
    assert say("sq", "language.changed") in (await somebody.next_message(15)).text


@both
async def test_a_link_leads_to_what_it_is_about(standin: StandIn) -> None:
    somebody = standin.user(language_code="it")
    somebody.starts("entry-sportello-elp")
    _, answered = await somebody.next_messages(2, 15)
    assert "Sportello ELP" in answered.text


@pytest.mark.parametrize("payload", ["entry-nothing", "desk-999999", "desk-99999999999999999999", "entry-", "x" * 64])
async def test_a_link_that_leads_nowhere_is_no_dead_end(standin: StandIn, payload: str) -> None:
    somebody = standin.user(language_code="it")
    somebody.starts(payload)
    last = (await somebody.next_message(15)).buttons
    await asyncio.sleep(0.5)
    assert last or somebody.messages[-1].buttons
    assert standin.violations == []


async def test_start_again_greets_again(standin: StandIn) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    assert say("it", "welcome") in (await met(somebody)).text


@pytest.mark.parametrize("command", ["book", "person", "language", "mydata", "forget", "help", "nonsense"])
async def test_every_command_is_answered(standin: StandIn, command: str) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    assert (await answer(somebody, f"/{command}")).text
    assert standin.violations == []


# ---- in order, once ----


@both
async def test_many_messages_of_one_chat_are_answered_in_their_order(standin: StandIn, nobody: Services) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    for number in range(12):
        somebody.sends(f"domanda numero {number}")
    await somebody.next_messages(12, 30)
    rows = await rows_of(nobody, somebody)
    said = [row for row in rows if row.author == "person"]
    assert [row.text for row in said] == [f"domanda numero {number}" for number in range(12)]
    assert [row.reply_to for row in rows if row.reply_to] == [row.id for row in said]
    sent = [call for call in standin.calls_of("sendMessage", chat=somebody.id) if call.status == 200]
    assert len(sent) == 13


@both
async def test_updates_that_come_twice_or_in_a_wrong_order_are_answered_once(
    standin: StandIn, nobody: Services, mode: str
) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    standin.shuffle_updates()
    if mode == "polling":
        standin.duplicate_updates()
    for number in range(4):
        somebody.sends(f"numero {number}")
    await somebody.next_messages(4, 15)
    await standin.quiet()
    await somebody.no_message()
    said = [row.text for row in await rows_of(nobody, somebody) if row.author == "person"]
    assert said == [f"numero {number}" for number in range(4)]


async def test_a_button_of_long_ago_still_works_and_stops_turning(standin: StandIn) -> None:
    somebody = standin.user(language_code="it")
    welcome = await met(somebody)
    await answer(somebody, QUESTION)
    await answer(somebody, "grazie")
    somebody.presses(f"❤️ {say('it', 'topic.salute')}", message=welcome)
    shown = await somebody.next_message(15)
    assert say("it", "topic.salute") in shown.text
    await standin.wait_for(lambda: len(somebody.answers) == 1)


@pytest.mark.parametrize(
    "choice", ["nobody:made:this", "entry:nothing", "~1:0", "~999999999999999999999:7", "x" * 64, ""]
)
async def test_callback_data_that_nobody_made_is_answered_kindly(standin: StandIn, choice: str) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    somebody.presses_data(choice)
    if choice:
        assert (await somebody.next_message(15)).buttons
    await standin.wait_for(lambda: len(somebody.answers) == 1)
    assert (await answer(somebody, QUESTION)).text


async def test_somebody_elses_button_says_nothing_of_them(standin: StandIn, nobody: Services) -> None:
    one, other = standin.user(language_code="it"), standin.user(language_code="it")
    await met(one)
    await answer(one, QUESTION)
    row = (await rows_of(nobody, one))[-1]
    await met(other)
    other.presses_data(f"~{row.id}:0")
    await other.next_message(15)
    stored = (await rows_of(nobody, other))[-2]
    assert stored.payload["choice"] == f"~{row.id}:0"


# ---- what is no text ----


async def test_a_message_that_was_corrected_is_answered_as_it_is_now(standin: StandIn, nobody: Services) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    await answer(somebody, "sportelo epl")
    somebody.edits(QUESTION)
    assert "Sportello ELP" in (await somebody.next_message(15)).text


async def test_a_place_is_answered_and_never_stored(standin: StandIn, nobody: Services) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    somebody.shares_location(45.4669, 7.8797)
    shown = await somebody.next_message(15)
    assert any((one or "").startswith("entry:") for one in data(shown))
    stored = next(row for row in await rows_of(nobody, somebody) if row.author == "person")
    assert (stored.text, stored.payload) == ("", {"choice": "location"})
    assert await updates_left(nobody) == 0


async def test_what_nobody_can_read_gets_a_kind_word(standin: StandIn) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    somebody.sends_sticker()
    assert (await somebody.next_message(15)).text == say("it", "wordless")
    somebody.shares_contact()
    assert say("it", "telegram.contact") in (await somebody.next_message(15)).text
    somebody.sends_other("dice", {"emoji": "🎲", "value": 3})
    assert (await somebody.next_message(15)).text == say("it", "wordless")


async def test_an_emergency_is_heard_with_the_first_word(standin: StandIn) -> None:
    somebody = standin.user(language_code="it")
    somebody.sends("mio marito mi picchia")
    _, shown = await somebody.next_messages(2, 15)
    assert "112" in shown.text.split("\n")[0]


async def test_four_thousand_times_the_same_letter(standin: StandIn) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    assert (await answer(somebody, "a" * 4096)).text
    assert (await answer(somebody, QUESTION)).text


@pytest.mark.parametrize(
    "update",
    [
        {},
        {"message": None},
        {"message": {"chat": {"id": "x"}}},
        {"message": {"message_id": 1, "date": 0, "chat": {"id": 77, "type": "private"}, "text": "a\x00\ud800b"}},
        {"message": {"message_id": [], "date": {}, "chat": {"id": 1e99, "type": 7}, "text": {"a": 1}}},
        {"edited_message": {"chat": {"id": -1}}},
        {"callback_query": {"id": "1"}},
        {"my_chat_member": {"chat": {"id": 5, "type": "private"}}},
        {"something": "new"},
    ],
)
@both
async def test_updates_without_sense_stop_nobody(standin: StandIn, nobody: Services, update: dict[str, object]) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    standin.raw(dict(update))
    assert "Sportello ELP" in (await answer(somebody, QUESTION)).text

    async def all_handled() -> bool:
        return await updates_left(nobody) == 0

    await until(all_handled)


# ---- groups ----


@both
async def test_a_group_gets_one_sentence_and_nothing_is_stored(standin: StandIn, nobody: Services) -> None:
    somebody, group = standin.user(language_code="it"), standin.group()
    group.adds_bot(somebody)
    await standin.wait_for(lambda: len(group.messages) == 1, 15)
    assert "t.me/elp_prova_bot" in str(group.messages[0].raw)
    group.says(somebody, "my name is a secret @elp_prova_bot")
    group.says(somebody, "and this is another one")
    await standin.quiet()
    await met(somebody)
    assert len(group.messages) == 1
    assert await updates_left(nobody) == 0
    async with nobody.sessions.begin() as session:
        assert await session.scalar(text("SELECT count(*) FROM conversations WHERE channel = 'telegram'")) == 1


# ---- too much, and the end ----


async def test_whoever_sends_too_much_is_told_once_and_heard_again(
    standin: StandIn, nobody: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    monkeypatch.setattr(nobody.limits, "enabled", True)
    for number in range(33):
        somebody.sends(f"numero {number}")
    await somebody.next_messages(31, 30)
    await standin.quiet()
    somebody.sends("mio marito mi picchia")
    assert "112" in (await somebody.next_message(15)).text
    rows = await rows_of(nobody, somebody)
    assert sum(row.author == "system" for row in rows) == 1
    nobody.limits.reset()


@both
async def test_everything_is_erased_and_the_next_word_begins_afresh(standin: StandIn, nobody: Services) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    await answer(somebody, "il mio segreto")
    asked = await answer(somebody, "/forget")
    somebody.presses("forget-now", message=asked)
    receipt = await somebody.next_message(15)

    async def all_gone() -> bool:
        return await rows_left(nobody) == 0

    await until(all_gone)
    assert await conversation_of(nobody, somebody) is None
    assert "-" in receipt.text
    somebody.sends(QUESTION)
    welcome, answered = await somebody.next_messages(2, 15)
    assert say("it", "welcome") in welcome.text
    assert "Sportello ELP" in answered.text
