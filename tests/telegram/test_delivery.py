"""Stored messages arrive: in order, once, again when it fails; and whoever cannot be reached is shown to the desk."""

import asyncio
import logging
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, text, update

from backend import handover
from backend.db import notify
from backend.models import Message
from backend.reminders import remind
from backend.services import Services
from backend.telegram_line import Pace
from backend.telegram_stand_in import Shown, StandIn, User
from bot.phrases import say
from tests.appointments import make_place, rome
from tests.backend.test_handover_person import DESK, Operator
from tests.staff import Browser, StaffLogin, sign_in
from tests.telegram.conftest import leading
from tests.telegram.tools import answer, both, conversation_of, data, id_of, met, rows_of, until

QUESTION = "sportello elp"


async def at_desk(standin: StandIn, operator: Operator, services: Services) -> tuple[User, UUID]:
    """Somebody who is being answered."""
    somebody = standin.user(language_code="it")
    await met(somebody)
    assert DESK in (await answer(somebody, "/person")).text
    conversation = await id_of(services, somebody)
    await operator.claim(conversation)
    await heard(somebody, say("it", "handover.taken", desk=DESK))
    return somebody, conversation


async def heard(somebody: User, words: str) -> Shown:
    """The next message with these words in it; others are passed over."""
    while True:
        shown = await somebody.next_message(15)
        if words in shown.text:
            return shown


async def becomes(services: Services, somebody: User, state: str) -> None:
    async def it_is() -> bool:
        found = await conversation_of(services, somebody)
        return found is not None and found.state == state

    await until(it_is)


async def failures(services: Services, somebody: User) -> list[str | None]:
    return [row.failure for row in await rows_of(services, somebody) if row.failure]


# ---- what a desk says ----


@both
async def test_a_reply_of_the_desk_arrives_and_shows_nothing_on_a_locked_phone(
    telegram: object, standin: StandIn, operator: Operator, nobody: Services
) -> None:
    somebody, conversation = await at_desk(standin, operator, nobody)
    sent = await operator.reply(conversation, "il permesso è pronto")
    shown = await heard(somebody, "il permesso è pronto")
    assert "permesso" not in shown.notification
    assert shown.notification.strip()

    async def delivered() -> bool:
        async with nobody.sessions.begin() as session:
            return (await session.get_one(Message, sent)).delivered_at is not None

    await until(delivered)
    assert standin.violations == []


async def test_several_replies_arrive_in_the_order_they_were_sent(
    telegram: object, standin: StandIn, operator: Operator, nobody: Services
) -> None:
    somebody, conversation = await at_desk(standin, operator, nobody)
    for number in range(6):
        await operator.reply(conversation, f"risposta {number}")
    shown = await somebody.next_messages(6, 15)
    assert [f"risposta {number}" in one.text for number, one in enumerate(shown)] == [True] * 6


async def test_what_a_person_writes_reaches_the_desk_and_its_end_reaches_the_person(
    telegram: object, standin: StandIn, operator: Operator, nobody: Services
) -> None:
    somebody, conversation = await at_desk(standin, operator, nobody)
    somebody.sends("posso portare mio figlio?")

    async def arrived() -> bool:
        return any(
            row.text == "posso portare mio figlio?" and row.answered_at for row in await rows_of(nobody, somebody)
        )

    await until(arrived)
    await operator.close(conversation)
    asked = await heard(somebody, DESK)
    somebody.presses("helped:yes", message=asked)
    await heard(somebody, say("it", "helped.yes"))


async def test_a_promise_arrives_by_itself(
    telegram: object, standin: StandIn, operator: Operator, nobody: Services
) -> None:
    somebody, conversation = await at_desk(standin, operator, nobody)
    now = nobody.now()
    await operator.act(handover.promise_at, conversation, now + timedelta(days=1), now)
    shown = await heard(somebody, DESK)
    assert "waiting" in data(shown)


async def test_a_reminder_arrives_and_its_buttons_work(telegram: object, standin: StandIn, nobody: Services) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    async with nobody.sessions.begin() as session:
        await session.execute(text("DELETE FROM appointments"))
    place = await make_place(nobody.sessions)
    booked = await place.book(rome(4, 10), conversation_id=await id_of(nobody, somebody))
    await remind(nobody.sessions, rome(3, 10))
    shown = await somebody.next_message(15)
    assert str(booked.visit.code) not in shown.notification
    somebody.presses(f"visit:comes:{booked.visit.id}", message=shown)
    await somebody.next_message(15)
    assert (await place.row(booked.visit.id)).comes is True


async def test_the_person_sees_that_somebody_at_the_desk_writes(
    telegram: object, standin: StandIn, operator: Operator, nobody: Services
) -> None:
    somebody, conversation = await at_desk(standin, operator, nobody)
    async with nobody.sessions.begin() as session:
        await session.execute(text("SELECT pg_notify('elp_typing', :who)"), {"who": f"{conversation}:operator"})
    await standin.wait_for(lambda: "typing" in somebody.actions, 15)


async def test_the_person_sees_that_the_bot_is_slow(
    telegram: object, standin: StandIn, nobody: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    quick, shown = nobody.chat.understander, asyncio.Event()

    class Slow:
        async def understand(self, incoming: object, *, held: bool = False) -> object:
            await shown.wait()
            return await quick.understand(incoming, held=held)  # type: ignore[arg-type]

    monkeypatch.setattr(nobody.chat, "understander", Slow())
    somebody.sends(QUESTION)
    await standin.wait_for(lambda: "typing" in somebody.actions, 15)
    shown.set()
    assert "Sportello ELP" in (await somebody.next_message(15)).text


# ---- Telegram has a bad day ----


async def test_a_chat_that_got_too_much_waits_and_the_others_do_not(
    telegram: object, standin: StandIn, nobody: Services
) -> None:
    one, other = standin.user(language_code="it"), standin.user(language_code="it")
    await met(one)
    await met(other)
    standin.fault(method="sendMessage", status=429, retry_after=2, chat=one.id)
    one.sends(QUESTION)
    await standin.wait_for(lambda: any(call.status == 429 for call in standin.calls), 15)
    await answer(other, QUESTION)
    assert len(one.messages) == 1
    assert "Sportello ELP" in (await one.next_message(15)).text


async def test_a_call_that_takes_long_keeps_nobody_else_waiting(telegram: object, standin: StandIn) -> None:
    one, other = standin.user(language_code="it"), standin.user(language_code="it")
    await met(one)
    await met(other)
    standin.hang(3, method="sendMessage", chat=one.id)
    one.sends(QUESTION)
    await standin.wait_for(lambda: len(standin.calls_of("sendMessage", chat=one.id)) == 2, 15)
    await answer(other, QUESTION)
    assert len(one.messages) == 1
    assert "Sportello ELP" in (await one.next_message(15)).text


@pytest.mark.parametrize("trouble", [{"status": 502}, {"status": 500}, {}])
async def test_what_fails_is_sent_again(telegram: object, standin: StandIn, trouble: dict[str, int]) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    if trouble:
        standin.fault(method="sendMessage", chat=somebody.id, times=2, **trouble)  # type: ignore[arg-type]
    else:
        standin.drop(method="sendMessage", chat=somebody.id, times=2)
    assert "Sportello ELP" in (await answer(somebody, QUESTION)).text
    await somebody.no_message(1)


async def test_while_nobody_can_reach_telegram_messages_are_kept(
    telegram: object, standin: StandIn, operator: Operator, nobody: Services, caplog: pytest.LogCaptureFixture
) -> None:
    somebody, conversation = await at_desk(standin, operator, nobody)
    caplog.set_level(logging.INFO, "backend.telegram_line")
    await standin.stop_answering()
    for number in range(3):
        await operator.reply(conversation, f"risposta {number}")
    await asyncio.sleep(1)
    await standin.answer_again()
    shown = await somebody.next_messages(3, 15)
    assert [f"risposta {number}" in one.text for number, one in enumerate(shown)] == [True] * 3
    said = [record.message for record in caplog.records]
    assert sum("cannot be reached" in one for one in said) == 1
    assert said[-1] == "Telegram answers again"


@pytest.mark.parametrize(
    "status, description",
    [(403, None), (400, "Bad Request: chat not found"), (403, "Forbidden: user is deactivated")],
)
async def test_whoever_cannot_be_reached_is_shown_to_the_desk(
    telegram: object,
    standin: StandIn,
    operator: Operator,
    nobody: Services,
    app: object,
    client: object,
    status: int,
    description: str | None,
) -> None:
    somebody, conversation = await at_desk(standin, operator, nobody)
    standin.fault(method="sendMessage", status=status, description=description, chat=somebody.id)
    await operator.reply(conversation, "mi senti?")
    await becomes(nobody, somebody, "UNREACHABLE")
    assert await failures(nobody, somebody) == ["blocked"]
    login = StaffLogin(operator.staff.account_id, await sign_in(nobody, operator.staff.account_id), "")
    client.cookies.update(login.cookies)  # type: ignore[attr-defined]
    page = (await Browser(client, login).get(f"/console/conversations/{conversation}")).text  # type: ignore[arg-type]
    assert say("en", "console.unreachable") in page
    assert say("en", "console.failure.blocked") in page
    assert "Sportello ELP" in (await answer(somebody, QUESTION)).text
    await becomes(nobody, somebody, "BOT")


@both
async def test_whoever_blocks_the_bot_is_shown_to_the_desk_at_once(
    telegram: object, standin: StandIn, operator: Operator, nobody: Services
) -> None:
    somebody, _ = await at_desk(standin, operator, nobody)
    somebody.blocks_bot()
    await becomes(nobody, somebody, "UNREACHABLE")
    somebody.unblocks_bot()
    assert "Sportello ELP" in (await answer(somebody, QUESTION)).text
    await becomes(nobody, somebody, "BOT")


async def test_what_telegram_cannot_read_goes_without_bold_letters(
    telegram: object, standin: StandIn, nobody: Services
) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    standin.fault(method="sendMessage", status=400, description="Bad Request: can't parse entities", chat=somebody.id)
    shown = await answer(somebody, QUESTION)
    assert "Sportello ELP" in shown.text
    assert "<" not in shown.text
    assert "&" not in shown.text
    assert await failures(nobody, somebody) == []


async def test_what_telegram_refuses_in_any_form_is_shown_to_the_desk(
    telegram: object, standin: StandIn, operator: Operator, nobody: Services
) -> None:
    somebody, conversation = await at_desk(standin, operator, nobody)
    standin.fault(method="sendMessage", status=400, chat=somebody.id, times=2)
    await operator.reply(conversation, "mi senti?")
    await becomes(nobody, somebody, "UNREACHABLE")
    assert await failures(nobody, somebody) == ["refused"]


async def test_a_chat_that_got_another_number_is_followed(telegram: object, standin: StandIn, nobody: Services) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    before = await id_of(nobody, somebody)
    old, new = somebody.id, somebody.id + 5_000_000
    somebody.sends(QUESTION)
    standin.migrate(old, new)
    assert "Sportello ELP" in (await somebody.next_message(15)).text
    assert await id_of(nobody, somebody) == before
    assert (await answer(somebody, "grazie")).text
    assert await id_of(nobody, somebody) == before


async def test_after_a_day_a_message_is_given_up_and_the_next_one_goes(
    telegram: object, standin: StandIn, operator: Operator, nobody: Services
) -> None:
    somebody, conversation = await at_desk(standin, operator, nobody)
    standin.fault(method="sendMessage", status=500, chat=somebody.id, times=None)
    await operator.reply(conversation, "troppo tardi")
    failed = len([call for call in standin.calls if call.status == 500])
    async with nobody.sessions.begin() as session:
        late = update(Message).where(Message.conversation_id == conversation, Message.author == "operator")
        await session.execute(late.values(created_at=nobody.now() - timedelta(hours=25)))
    await standin.wait_for(lambda: len([call for call in standin.calls if call.status == 500]) > failed, 15)

    async def given_up() -> bool:
        return await failures(nobody, somebody) == ["expired"]

    await until(given_up)
    standin.clear_faults()
    await operator.reply(conversation, "in tempo")
    shown = await heard(somebody, "in tempo")
    assert "troppo tardi" not in "".join(somebody.texts)
    assert shown
    found = await conversation_of(nobody, somebody)
    assert found is not None
    assert found.state == "ACTIVE"


async def test_what_was_erased_while_it_waited_is_not_sent(
    telegram: object, standin: StandIn, operator: Operator, nobody: Services
) -> None:
    somebody, conversation = await at_desk(standin, operator, nobody)
    standin.fault(method="sendMessage", status=429, retry_after=2, chat=somebody.id)
    await operator.reply(conversation, "un segreto")
    await standin.wait_for(lambda: any(call.status == 429 for call in standin.calls), 15)
    async with nobody.sessions.begin() as session:
        await session.execute(text("DELETE FROM messages WHERE conversation_id = :id"), {"id": conversation})
    await somebody.no_message(3)
    assert "un segreto" not in "".join(somebody.texts)


async def test_a_message_that_cannot_be_shown_makes_room_for_the_next(
    telegram: object, standin: StandIn, nobody: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    monkeypatch.setattr("backend.telegram_delivery._PAUSES_S", (0.01,) * 8)
    said: dict[str, Any] = {"conversation_id": await id_of(nobody, somebody), "author": "bot", "language": "it"}
    async with nobody.sessions.begin() as session:
        await session.execute(insert(Message).values(**said, text="rotto", payload={"visit": {"nonsense": 1}}))
        await session.execute(insert(Message).values(**said, text="intero", payload={"intent": "greet"}))
        await notify(session, said["conversation_id"])
    assert (await somebody.next_message(15)).text == "intero"
    assert await failures(nobody, somebody) == ["refused"]


# ---- as fast as Telegram allows ----


@pytest.fixture
async def standin_with_limits(nobody: Services, standin: StandIn) -> StandIn:
    from backend.telegram_stand_in.faults import Limits

    standin._limits = Limits()
    return standin


async def test_nothing_is_sent_faster_than_telegram_allows(standin_with_limits: StandIn, nobody: Services) -> None:
    standin = standin_with_limits
    people = [standin.user(language_code="it") for _ in range(25)]
    async with leading(nobody, pace=Pace()):
        for one in people:
            one.sends(QUESTION)
        for one in people:
            await one.next_messages(2, 60)
        talkative = people[0]
        for number in range(6):
            talkative.sends(f"numero {number}")
        await talkative.next_messages(6, 60)
    assert [call.method for call in standin.calls if call.status == 429] == []


async def test_state_of_sending_is_kept_with_the_conversation(
    telegram: object, standin: StandIn, nobody: Services
) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    await answer(somebody, QUESTION)
    last = (await rows_of(nobody, somebody))[-1].id

    async def written_down() -> bool:
        async with nobody.sessions.begin() as session:
            query = text("SELECT done_upto, calls_made FROM telegram_chats WHERE conversation_id = :id")
            row = (await session.execute(query, {"id": await id_of(nobody, somebody)})).one()
            return tuple(row) == (last, 0)

    await until(written_down)
