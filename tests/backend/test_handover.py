"""From the bot to a person and back: the states, the races, the promises, on real PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import IntegrityError

from backend import handover, presence, queue_watch, replies
from backend.access import Staff
from backend.administration import delete_account, disable_account
from backend.chat import Sent, receive
from backend.conversations import open_conversation
from backend.errors import AppError, InvalidRequest, NotFound
from backend.models import Conversation, Desk, Handover, Message, OpeningPeriod, Presence
from backend.organisations import DeskInUse, delete_desk
from backend.queue_list import Filter, list_queue
from backend.replies import Written
from backend.services import Services
from backend.staff_sessions import find_staff
from bot.phrases import say
from bot.turn import HandOver, Intent, Reply
from tests.fakes import FakeParser
from tests.staff import make_desk, make_organisation, make_staff

PATIENCE = queue_watch.Patience()


@dataclass
class Office:
    """A desk of its own with operators, the only one that has any."""

    services: Services
    organisation: int
    desk: int

    async def operator(self, role: str = "operator", *, desk: int | None = None) -> Staff:
        login = await make_staff(self.services, role, organisation=self.organisation, desk=desk or self.desk)
        staff = await find_staff(self.services.sessions, login.cookies["elp_staff"])
        assert staff is not None
        return staff

    async def do(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        async with self.services.sessions.begin() as session:
            return await work(session)

    async def person(self, language: str = "it") -> "Person":
        opened = await open_conversation(self.services.sessions, channel="web", language=language)
        return Person(self.services, opened.id, opened.token)


@dataclass
class Person:
    services: Services
    id: UUID
    token: str
    sent: int = 0

    async def say(self, words: str) -> Any:
        self.sent += 1
        return await receive(self.services.chat, self.id, self.token, Sent(f"s{self.sent}", text=words))

    async def press(self, choice: str) -> Any:
        self.sent += 1
        return await receive(self.services.chat, self.id, self.token, Sent(f"s{self.sent}", choice=choice))

    async def waits(self) -> "Person":
        assert (await self.press("human")).state == "WAITING"
        return self

    async def row(self) -> Conversation:
        async with self.services.sessions() as session:
            return await session.get_one(Conversation, self.id)

    async def handover(self) -> Handover:
        async with self.services.sessions() as session:
            query = select(Handover).where(Handover.conversation_id == self.id).order_by(Handover.id.desc()).limit(1)
            return (await session.execute(query)).scalar_one()

    async def messages(self) -> list[Message]:
        async with self.services.sessions() as session:
            query = select(Message).where(Message.conversation_id == self.id).order_by(Message.id)
            return list((await session.execute(query)).scalars())


@pytest.fixture
async def office(services: Services, parser: FakeParser) -> Office:
    """Desks of other tests are left without operators, and nobody waits there: the choice of the desk is ours."""
    await send_everybody_home(services)
    organisation = await make_organisation(services)
    return Office(services, organisation, await make_desk(services, organisation, "Sportello"))


async def send_everybody_home(services: Services) -> None:
    async with services.sessions.begin() as session:
        await session.execute(text("DELETE FROM memberships WHERE role IN ('operator', 'desk_manager')"))
        await session.execute(
            text("UPDATE conversations SET state = 'BOT', holder_id = NULL WHERE state IN ('WAITING', 'ACTIVE')")
        )
        await session.execute(
            text("UPDATE handovers SET closed_at = now(), outcome = 'back_to_bot' WHERE closed_at IS NULL")
        )


async def open_always(office: Office, desk: int | None = None) -> None:
    async with office.services.sessions.begin() as session:
        for weekday in range(7):
            session.add(OpeningPeriod(desk_id=desk or office.desk, weekday=weekday, opens=time(0), closes=time(23, 59)))
        await session.execute(update(Desk).where(Desk.id == (desk or office.desk)).values(holidays=""))


# ---- the person ----


@pytest.mark.parametrize("how", ["button", "words"])
async def test_whoever_asks_for_a_person_waits_at_a_desk_with_a_promise_that_is_stored(
    office: Office, parser: FakeParser, how: str
) -> None:
    await office.operator()
    await open_always(office)
    person = await office.person()
    parser.learn("voglio parlare con una persona", Intent.HUMAN)
    answered = await (person.press("human") if how == "button" else person.say("voglio parlare con una persona"))
    assert answered.state == "WAITING"
    row, stored = await person.row(), await person.handover()
    assert (row.state, row.desk_id, stored.reason, stored.urgent) == ("WAITING", office.desk, "asked", False)
    assert stored.promised_for is not None
    assert datetime.now(UTC) < stored.promised_for < datetime.now(UTC) + timedelta(hours=1)
    words = answered.messages[-1].text
    assert "Sportello" in words
    assert say("it", "handover.meanwhile") in words
    assert [choice["id"] for choice in answered.messages[-1].payload["choices"]] == ["waiting", "bot"]


async def test_without_known_hours_nothing_is_promised_and_that_is_said(office: Office) -> None:
    await office.operator()
    person = await office.person("en")
    answered = await person.press("human")
    assert say("en", "promise.unknown", desk="Sportello") in answered.messages[-1].text
    assert (await person.handover()).promised_for is None


async def test_where_nobody_can_answer_nobody_waits(office: Office) -> None:
    person = await office.person("en")
    answered = await person.press("human")
    assert answered.state == "BOT"
    assert answered.messages[-1].text == say("en", "human.nobody")
    assert (await person.row()).state == "BOT"


async def test_after_two_answers_that_did_not_help_a_person_is_offered_and_yes_is_enough(
    office: Office, parser: FakeParser
) -> None:
    await office.operator()
    person = await office.person("en")
    first, second = await person.say("qwertz uiop"), await person.say("asdf ghjkl")
    assert first.messages[-1].text == say("en", "unknown")
    assert second.messages[-1].text == say("en", "unknown.again")
    parser.learn("yes please", Intent.YES)
    assert (await person.say("yes please")).state == "WAITING"
    assert (await person.handover()).reason == "failed"


async def test_after_an_emergency_the_wish_for_a_person_is_urgent_and_comes_first(office: Office) -> None:
    await open_always(office)
    operator = await office.operator()
    others = [await (await office.person()).waits() for _ in range(3)]
    person = await office.person()
    alarm = await person.say("aiuto mio marito mi picchia")
    assert alarm.messages[-1].payload["intent"] == "emergency"
    await person.waits()
    stored = await person.handover()
    assert (stored.reason, stored.urgent) == ("emergency", True)
    last = await others[-1].handover()
    assert stored.promised_for is not None
    assert last.promised_for is not None
    assert stored.promised_for < last.promised_for
    queue, _ = await office.do(
        lambda s: list_queue(s, operator, Filter(), language="it", actions=office.services.shelf)
    )
    assert queue[0].id == person.id


async def test_what_is_written_while_waiting_is_for_the_person_and_the_bot_is_silent(office: Office) -> None:
    await office.operator()
    person = await (await office.person()).waits()
    answered = await person.say("dove si trova la questura?")
    assert [message.author for message in answered.messages] == ["person"]
    assert (await person.handover()).wrote_at is not None


async def test_an_emergency_while_waiting_shows_the_numbers_and_makes_it_urgent(office: Office) -> None:
    await office.operator()
    person = await (await office.person()).waits()
    answered = await person.say("aiuto mio marito mi picchia")
    notice = answered.messages[-1]
    assert notice.author == "system"
    assert "112" in {line["number"] for line in notice.payload["emergency"]}
    assert (await person.handover()).urgent


async def test_a_button_of_before_gets_a_kind_word_and_the_way_back(office: Office) -> None:
    await office.operator()
    person = await (await office.person("fr")).waits()
    answered = await person.press("topic:lavoro")
    assert answered.messages[-1].text == say("fr", "handover.held")
    assert answered.messages[-1].author == "system"
    back = await person.press("bot")
    assert back.state == "BOT"
    assert (await person.row()).state == "BOT"
    assert (await person.handover()).outcome == "back_to_bot"
    assert (await person.say("sportello elp")).messages[-1].author == "bot"


async def test_how_it_stands_is_always_true(office: Office) -> None:
    operator = await office.operator()
    person = await (await office.person("en")).waits()
    waiting = (await person.press("waiting")).messages[-1].text
    assert waiting.startswith("Waiting for a person at Sportello")
    await office.do(lambda session: handover.claim(session, operator, person.id))
    assert (await person.press("waiting")).messages[-1].text.startswith("A person at Sportello is with you")


async def test_a_closed_conversation_goes_back_to_the_bot_with_the_next_word(office: Office) -> None:
    operator = await office.operator()
    person = await (await office.person("en")).waits()
    await office.do(lambda session: handover.claim(session, operator, person.id))
    await office.do(lambda session: handover.resolve(session, operator, person.id))
    assert (await person.row()).state == "CLOSED"
    last = (await person.messages())[-1]
    assert [choice["id"] for choice in last.payload["choices"]] == ["helped:yes", "helped:no"]
    answered = await person.press("helped:yes")
    assert answered.state == "BOT"
    assert (await person.handover()).helped is True
    assert answered.messages[-1].text == say("en", "helped.yes")


# ---- operators ----


async def test_a_thousand_claims_by_twenty_operators_leave_each_conversation_with_exactly_one(office: Office) -> None:
    operators = [await office.operator() for _ in range(20)]
    people = [await (await office.person()).waits() for _ in range(50)]

    async def try_to_take(operator: Staff, person: Person) -> UUID | None:
        try:
            await office.do(lambda session: handover.claim(session, operator, person.id))
        except handover.Taken:
            return None
        return operator.account_id

    async def one(operator: Staff) -> list[UUID | None]:
        return [await try_to_take(operator, person) for person in people]

    results = await asyncio.gather(*(one(operator) for operator in operators))
    for person, takers in zip(people, zip(*results, strict=True), strict=True):
        winners = [taker for taker in takers if taker is not None]
        row = await person.row()
        assert (row.state, [row.holder_id]) == ("ACTIVE", winners)
        notices = [m for m in await person.messages() if m.text == say("it", "handover.taken", desk="Sportello")]
        assert len(notices) == 1


async def test_the_loser_is_told_who_has_it_and_cannot_answer(office: Office) -> None:
    first, second = await office.operator(), await office.operator()
    person = await (await office.person()).waits()
    await office.do(lambda session: handover.claim(session, first, person.id))
    with pytest.raises(handover.Taken) as refused:
        await office.do(lambda session: handover.claim(session, second, person.id))
    assert refused.value.values == {"name": first.name}
    written = Written("k1", "ciao", "it")
    with pytest.raises(handover.Taken):
        await office.do(lambda s: replies.reply(s, second, person.id, written, office.services.shelf))
    await office.do(lambda s: replies.reply(s, first, person.id, written, office.services.shelf))
    again = await office.do(lambda s: replies.reply(s, first, person.id, written, office.services.shelf))
    operator_messages = [message for message in await person.messages() if message.author == "operator"]
    assert [message.id for message in operator_messages] == [again]
    stored = await person.handover()
    assert stored.first_reply_at is not None
    assert stored.wrote_at is None


async def test_who_takes_over_while_the_bot_thinks_has_the_word(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bot re-reads the state after thinking, and drops what it wanted to say."""
    operator = await office.operator()
    person = await office.person()
    understander = office.services.chat.understander
    understand = understander.understand

    async def slowly(*args: Any, **named: Any) -> Any:
        result = await understand(*args, **named)
        async with office.services.engine.begin() as connection:
            wish = Reply("it", "", "human", hands_over=HandOver("asked"))
            await handover.hand_over(connection, person.id, wish, datetime.now(UTC))
        await office.do(lambda session: handover.claim(session, operator, person.id))
        return result

    monkeypatch.setattr(understander, "understand", slowly)
    answered = await person.say("dove si trova la questura?")
    assert answered.state == "ACTIVE"
    assert "bot" not in {message.author for message in (await person.messages())[1:]}


async def test_moved_to_another_desk_it_is_out_of_sight_here_and_in_the_queue_there(office: Office) -> None:
    here = await office.operator()
    other_desk = await make_desk(office.services, office.organisation, "Altro sportello")
    person = await (await office.person("en")).waits()
    now = datetime.now(UTC)
    await office.do(lambda session: handover.claim(session, here, person.id))
    with pytest.raises(handover.NoOperators):
        await office.do(lambda session: handover.move_to_desk(session, here, person.id, other_desk, now))
    there = await office.operator(desk=other_desk)
    await office.do(lambda session: handover.move_to_desk(session, here, person.id, other_desk, now))
    with pytest.raises(NotFound):
        await office.do(lambda session: handover.claim(session, here, person.id))
    await office.do(lambda session: handover.claim(session, there, person.id))
    assert any("Altro sportello" in message.text for message in await person.messages())


async def test_passed_on_to_a_colleague_it_is_offered_to_them(office: Office) -> None:
    first, second = await office.operator(), await office.operator()
    stranger = await make_staff(office.services, "editor", organisation=office.organisation)
    person = await (await office.person()).waits()
    now = datetime.now(UTC)
    await office.do(lambda session: handover.claim(session, first, person.id))
    with pytest.raises(handover.NoOperators):
        await office.do(lambda s: handover.pass_on(s, first, person.id, stranger.account_id, now))
    await office.do(lambda session: handover.pass_on(session, first, person.id, second.account_id, now))
    assert (await person.handover()).offered_to == second.account_id
    assert (await person.row()).state == "WAITING"


async def test_an_operator_can_promise_only_what_can_be_kept(office: Office) -> None:
    operator = await office.operator()
    person = await (await office.person("en")).waits()
    now = datetime.now(UTC)
    for wrong in (now - timedelta(minutes=1), now + timedelta(days=90)):
        with pytest.raises(InvalidRequest):
            await office.do(partial(handover.promise_at, staff=operator, conversation_id=person.id, at=wrong, now=now))
    at = now + timedelta(days=2)
    await office.do(lambda session: handover.promise_at(session, operator, person.id, at, now))
    assert (await person.handover()).promised_for == at


# ---- by itself ----


async def test_a_broken_promise_apologises_once_and_promises_anew(office: Office) -> None:
    await office.operator()
    await open_always(office)
    person = await (await office.person("en")).waits()
    await office.do(lambda s: s.execute(update(Handover).values(promised_for=datetime.now(UTC) - timedelta(minutes=1))))
    now = datetime.now(UTC)
    await asyncio.gather(*(queue_watch.renew_broken(office.services.sessions, now) for _ in range(4)))
    stored = await person.handover()
    assert stored.broken == 1
    assert stored.promised_for is not None
    assert stored.promised_for > now
    apologies = [m for m in await person.messages() if m.text.startswith("We are sorry: Sportello")]
    assert len(apologies) == 1


async def test_a_promise_about_to_break_alerts_the_desk_once(office: Office) -> None:
    await office.operator()
    await open_always(office)
    await (await office.person()).waits()
    now = datetime.now(UTC)
    early = await queue_watch.escalate(office.services.sessions, queue_watch.Patience(alert=1), now)
    assert office.desk not in early
    late = now + timedelta(hours=1)
    assert (await queue_watch.escalate(office.services.sessions, PATIENCE, late))[office.desk] == 1
    assert office.desk not in await queue_watch.escalate(office.services.sessions, PATIENCE, late)


async def test_when_the_operators_browser_dies_the_conversation_goes_back_and_the_person_is_told(
    office: Office,
) -> None:
    operator = await office.operator()
    await office.do(lambda session: presence.begin_shift(session, operator))
    person = await (await office.person("en")).waits()
    await office.do(lambda session: handover.claim(session, operator, person.id))
    await office.do(lambda s: replies.reply(s, operator, person.id, Written("x", "ciao", "it"), office.services.shelf))
    now = datetime.now(UTC)
    await queue_watch.release_abandoned(office.services.sessions, PATIENCE, now)
    assert (await person.row()).state == "ACTIVE"
    silent = now - timedelta(minutes=11)
    await office.do(
        lambda s: s.execute(update(Presence).where(Presence.account_id == operator.account_id).values(seen_at=silent))
    )
    await queue_watch.release_abandoned(office.services.sessions, PATIENCE, now)
    assert (await person.row()).state == "WAITING"
    assert "had to stop" in (await person.messages())[-1].text


async def test_a_claim_without_a_first_word_goes_back(office: Office) -> None:
    operator = await office.operator()
    person = await (await office.person("en")).waits()
    await office.do(lambda session: handover.claim(session, operator, person.id))
    later = datetime.now(UTC) + timedelta(minutes=21)
    await queue_watch.release_abandoned(office.services.sessions, PATIENCE, later)
    assert (await person.row()).state == "WAITING"


async def test_an_operator_whose_role_is_gone_holds_nothing_any_more(office: Office) -> None:
    operator, _ = await office.operator(), await office.operator()
    person = await (await office.person()).waits()
    await office.do(lambda session: handover.claim(session, operator, person.id))
    await office.do(
        lambda s: s.execute(text("DELETE FROM memberships WHERE account_id = :id"), {"id": operator.account_id})
    )
    await queue_watch.release_abandoned(office.services.sessions, PATIENCE, datetime.now(UTC))
    assert (await person.row()).state == "WAITING"


async def test_a_shift_ends_only_when_everybody_has_an_answer_or_a_date(office: Office) -> None:
    operator = await office.operator()
    await office.do(lambda session: presence.begin_shift(session, operator))
    held, waiting = await (await office.person()).waits(), await (await office.person()).waits()
    await office.do(lambda session: handover.claim(session, operator, held.id))
    now = datetime.now(UTC)
    with pytest.raises(presence.PeopleStillWait) as refused:
        await office.do(lambda session: presence.end_shift(session, operator, now))
    assert refused.value.values == {"count": 2}
    await office.do(lambda s: replies.reply(s, operator, held.id, Written("y", "ecco", "it"), office.services.shelf))
    await office.do(lambda s: handover.promise_at(s, operator, waiting.id, now + timedelta(days=1), now))
    assert await office.do(lambda session: presence.end_shift(session, operator, now)) == 1
    assert (await held.row()).state == "WAITING"
    assert not (await office.do(lambda s: presence.find_presence(s, operator.account_id))).on_duty


async def test_with_a_colleague_on_duty_the_queue_is_theirs(office: Office) -> None:
    operator, colleague = await office.operator(), await office.operator()
    for one in (operator, colleague):
        await office.do(partial(presence.begin_shift, staff=one))
    await (await office.person()).waits()
    await office.do(lambda session: presence.end_shift(session, operator, datetime.now(UTC)))
    assert not (await office.do(lambda session: presence.find_presence(session, operator.account_id))).on_duty


# ---- the database keeps the rules ----


@pytest.mark.parametrize(
    "state, change",
    [
        ("BOT", {"state": "ACTIVE"}),
        ("BOT", {"state": "CLOSED"}),
        ("WAITING", {"state": "CLOSED"}),
        ("WAITING", {"desk_id": None}),
        ("WAITING", {"state": "ACTIVE", "holder_id": None}),
        ("ACTIVE", {"holder_id": None}),
    ],
)
async def test_a_state_that_cannot_be_is_refused_by_the_database(
    office: Office, state: str, change: dict[str, Any]
) -> None:
    operator = await office.operator()
    person = await office.person()
    if state != "BOT":
        await person.waits()
    if state == "ACTIVE":
        await office.do(lambda session: handover.claim(session, operator, person.id))
    with pytest.raises(IntegrityError):
        await office.do(lambda s: s.execute(update(Conversation).where(Conversation.id == person.id).values(**change)))


async def test_nobody_can_take_a_conversation_from_another_even_by_hand(office: Office) -> None:
    first, second = await office.operator(), await office.operator()
    person = await (await office.person()).waits()
    await office.do(lambda session: handover.claim(session, first, person.id))
    values = {"holder_id": second.account_id}
    with pytest.raises(IntegrityError):
        await office.do(lambda s: s.execute(update(Conversation).where(Conversation.id == person.id).values(**values)))


async def test_a_desk_where_somebody_waits_cannot_be_deleted(office: Office) -> None:
    await office.operator()
    await (await office.person()).waits()
    with pytest.raises(IntegrityError):
        await office.do(lambda session: session.execute(delete(Desk).where(Desk.id == office.desk)))


@pytest.mark.parametrize("end", [disable_account, delete_account])
async def test_whom_a_deleted_or_disabled_operator_was_answering_waits_again(office: Office, end: Any) -> None:
    operator, _ = await office.operator(), await office.operator()
    login = await make_staff(office.services, "administrator", organisation=office.organisation)
    administrator = await find_staff(office.services.sessions, login.cookies["elp_staff"])
    person = await (await office.person("en")).waits()
    await office.do(lambda session: handover.claim(session, operator, person.id))
    await office.do(lambda session: end(session, administrator, operator.account_id))
    row = await person.row()
    assert (row.state, row.holder_id) == ("WAITING", None)
    assert "had to stop" in (await person.messages())[-1].text


async def test_an_administrator_is_told_why_a_desk_cannot_be_deleted(office: Office) -> None:
    await office.operator()
    login = await make_staff(office.services, "administrator", organisation=office.organisation)
    administrator = await find_staff(office.services.sessions, login.cookies["elp_staff"])
    assert administrator is not None
    person = await (await office.person()).waits()
    with pytest.raises(DeskInUse):
        await office.do(lambda session: delete_desk(session, administrator, office.desk))
    await person.press("bot")
    await office.do(lambda session: delete_desk(session, administrator, office.desk))


# ---- any sequence of events from anybody ----

ALLOWED = {
    ("BOT", "WAITING"), ("WAITING", "ACTIVE"), ("ACTIVE", "WAITING"), ("WAITING", "BOT"), ("ACTIVE", "BOT"),
    ("ACTIVE", "CLOSED"), ("CLOSED", "BOT"), ("CLOSED", "ACTIVE"), ("UNREACHABLE", "BOT"),
    *((state, "UNREACHABLE") for state in ("BOT", "WAITING", "ACTIVE", "CLOSED")),
}  # fmt: skip
PERSON = ("press human", "press bot", "press waiting", "press topic:lavoro", "press helped:no", "say ciao", "say aiuto")
OPERATOR = ("claim", "release", "resolve", "reopen", "reply", "pass_on", "move", "promise", "note")
NOBODY = ("broken", "abandoned", "gone", "unreachable")
EVENTS = st.one_of(
    st.sampled_from(PERSON),
    st.tuples(st.sampled_from(OPERATOR), st.integers(0, 1)),
    st.sampled_from(NOBODY),
)


async def act(office: Office, person: Person, operators: list[Staff], desks: list[int], one: Any) -> None:
    now, sessions, do = datetime.now(UTC), office.services.sessions, office.do
    if isinstance(one, str):
        what, _, rest = one.partition(" ")
        if what == "press":
            await person.press(rest)
        elif what == "say":
            await person.say(rest)
        elif what == "broken":
            past = update(Handover).where(Handover.conversation_id == person.id, Handover.closed_at.is_(None))
            await do(lambda s: s.execute(past.values(promised_for=now - timedelta(minutes=1))))
            await queue_watch.renew_broken(sessions, now)
        elif what == "abandoned":
            await queue_watch.release_abandoned(sessions, PATIENCE, now + timedelta(hours=1))
        elif what == "gone":
            await do(lambda s: handover.release_all(s, operators[0].account_id, now))
        elif (await person.row()).state != "UNREACHABLE":
            await do(lambda s: handover.unreachable(s, person.id))
        return
    name, who = one
    staff, colleague = operators[who], operators[1 - who]
    steps: dict[str, Callable[[Any], Awaitable[Any]]] = {
        "claim": lambda s: handover.claim(s, staff, person.id),
        "release": lambda s: handover.release(s, staff, person.id, now),
        "resolve": lambda s: handover.resolve(s, staff, person.id),
        "reopen": lambda s: handover.reopen(s, staff, person.id, now),
        "reply": lambda s: replies.reply(
            s, staff, person.id, Written(f"{datetime.now(UTC).timestamp()}", "ecco", "it"), office.services.shelf
        ),
        "pass_on": lambda s: handover.pass_on(s, staff, person.id, colleague.account_id, now),
        "move": lambda s: handover.move_to_desk(s, staff, person.id, desks[who], now),
        "promise": lambda s: handover.promise_at(s, staff, person.id, now + timedelta(days=1), now),
        "note": lambda s: replies.add_note(s, staff, person.id, "appunto"),
    }
    await do(steps[name])


async def check_rules(person: Person, before: str, bot_spoke_before: int) -> tuple[str, int]:
    row, messages = await person.row(), await person.messages()
    assert before == row.state or (before, row.state) in ALLOWED, (before, row.state)
    assert (row.state == "ACTIVE") == (row.holder_id is not None)
    async with person.services.sessions() as session:
        query = select(Handover).where(Handover.conversation_id == person.id, Handover.closed_at.is_(None))
        still_open = list((await session.execute(query)).scalars())
    assert len(still_open) == (1 if row.state in ("WAITING", "ACTIVE") else 0)
    if still_open:
        assert still_open[0].desk_id == row.desk_id
    spoken = sum(message.author == "bot" for message in messages)
    if before in ("WAITING", "ACTIVE") and row.state == before:
        assert spoken == bot_spoke_before, "the bot spoke while a person had the word"
    assert all(m.answered_at is not None for m in messages if m.author == "person")
    return row.state, spoken


@given(events=st.lists(EVENTS, min_size=5, max_size=25))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_sequence_of_events_from_anybody_keeps_the_rules(office: Office, events: list[Any]) -> None:
    await send_everybody_home(office.services)  # also those of the example before
    desks = [office.desk, await make_desk(office.services, office.organisation)]
    login = [await make_staff(office.services, "operator", organisation=office.organisation) for _ in range(2)]
    operators = [await find_staff(office.services.sessions, one.cookies["elp_staff"]) for one in login]
    person = await office.person()
    state, spoken = "BOT", 1
    for one in events:
        before_messages = len(await person.messages())
        try:
            await act(office, person, [who for who in operators if who], desks, one)
        except AppError:
            assert len(await person.messages()) == before_messages  # a refusal changes nothing
        # Several steps may lie in one event (a closed conversation that wakes up and asks for a person at once).
        now = (await person.row()).state
        if (state, now) in {("CLOSED", "WAITING"), ("UNREACHABLE", "WAITING")}:
            state = "BOT"
        state, spoken = await check_rules(person, state, spoken)


async def test_many_events_at_the_same_moment_keep_the_rules(office: Office) -> None:
    """The same steps, all at once."""
    operators = [await office.operator() for _ in range(3)]
    other = await make_desk(office.services, office.organisation)
    await office.operator(desk=other)
    for _ in range(5):
        person = await (await office.person()).waits()
        steps: list[Any] = [("claim", 0), ("claim", 1), ("release", 0), ("resolve", 1), "press bot", "say ciao", "gone"]
        steps += [("move", 0), "press human", ("promise", 1), ("reply", 0), "unreachable", "broken"]
        results = await asyncio.gather(
            *(act(office, person, operators[:2], [other, office.desk], one) for one in steps), return_exceptions=True
        )
        assert all(result is None or isinstance(result, AppError | IntegrityError) for result in results), results
        row = await person.row()
        assert (row.state == "ACTIVE") == (row.holder_id is not None)
        async with office.services.sessions() as session:
            query = select(func.count()).where(Handover.conversation_id == person.id, Handover.closed_at.is_(None))
            assert await session.scalar(query) == (1 if row.state in ("WAITING", "ACTIVE") else 0)
