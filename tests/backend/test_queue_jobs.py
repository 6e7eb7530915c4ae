"""What the worker does around the queue: mails that name nobody, and translations for the desk."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import insert, select

from backend import interpreter, presence, queue_mail, queue_watch
from backend.mail import MailNotSent
from backend.models import Message
from backend.services import Services
from bot.translation import Translation
from tests.backend.test_handover import Office, office  # noqa: F401 - a fixture

Sent = list[tuple[str, str, str]]


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> Sent:
    sent: Sent = []

    async def send(_: object, *, to: str, subject: str, body: str) -> None:
        sent.append((to, subject, body))

    monkeypatch.setattr(queue_mail, "send_mail", send)
    return sent


@pytest.fixture
def mailing(services: Services) -> Services:
    settings = services.settings.model_copy(
        update={"smtp_url": SecretStr("smtp://localhost"), "mail_from": "elp@elp.test"}
    )
    return replace(services, settings=settings)


@pytest.mark.usefixtures("parser")
async def test_a_late_answer_is_mailed_to_everybody_at_the_desk_and_names_nobody(
    office: Office,  # noqa: F811
    mailing: Services,
    mails: Sent,
) -> None:
    first, second = await office.operator(), await office.operator()
    person = await (await office.person()).waits()
    await queue_mail.alert_desks(mailing, {office.desk: 1})
    assert {to for to, _, _ in mails} == {first.email, second.email}
    for _, subject, body in mails:
        assert "Sportello" in subject
        assert "/console" in body
        assert str(person.id) not in subject + body


@pytest.mark.usefixtures("parser")
async def test_of_new_people_only_those_hear_who_asked_for_it_and_are_not_there(
    office: Office,  # noqa: F811
    mailing: Services,
    mails: Sent,
) -> None:
    wants, there, _ = await office.operator(), await office.operator(), await office.operator()
    for one in (wants, there):
        await office.do(lambda s, who=one: presence.set_preferences(s, who, speaks=["ar"], by_mail=True))
    await office.do(lambda session: presence.begin_shift(session, there))
    before = datetime.now(UTC) - timedelta(seconds=1)
    await (await office.person()).waits()
    new = await queue_watch.new_since(mailing.sessions, before, datetime.now(UTC) + timedelta(seconds=1))
    assert new[office.desk] == 1
    await queue_mail.mail_about_new(mailing, {office.desk: 1})
    assert [to for to, _, _ in mails] == [wants.email]


@pytest.mark.usefixtures("parser")
async def test_a_mail_server_that_is_away_stops_nothing(
    office: Office,  # noqa: F811
    mailing: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await office.operator()
    tried = []

    async def refuse(_: object, to: str, *__: object, **___: object) -> None:
        tried.append(to)
        raise MailNotSent

    monkeypatch.setattr(queue_mail, "send_mail", refuse)
    await queue_mail.alert_desks(mailing, {office.desk: 1})
    assert tried


class Fake:
    """Translates English by shouting; knows no other language."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def pairs(self) -> frozenset[tuple[str, str]]:
        return frozenset({("en", "it")})

    async def translate(self, text: str, source: str, target: str) -> Translation | None:
        self.asked.append(text)
        return None if "fail" in text else Translation(text.upper(), ())


@pytest.mark.usefixtures("parser")
async def test_what_waits_for_the_desk_is_translated_once_and_nothing_else(office: Office) -> None:  # noqa: F811
    await office.operator()
    waiting, with_the_bot = await (await office.person("en")).waits(), await office.person("en")
    await waiting.say("my landlord wants me out")
    await waiting.say("please fail")
    await with_the_bot.say("something for the bot")
    async with office.services.sessions.begin() as session:
        values = {"conversation_id": waiting.id, "author": "person", "language": "bn", "text": "বাংলা"}
        await session.execute(insert(Message).values(**values))
    fake, tried = Fake(), set[int]()
    while await interpreter.translate_waiting(office.services.sessions, fake, tried):  # type: ignore[arg-type]
        pass
    assert sorted(fake.asked) == ["my landlord wants me out", "please fail"]
    async with office.services.sessions() as session:
        query = select(Message.italian).where(Message.conversation_id == waiting.id, Message.italian.is_not(None))
        assert (await session.execute(query)).scalars().all() == ["MY LANDLORD WANTS ME OUT"]
