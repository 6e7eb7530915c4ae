"""A person asks for a person, waits, is answered and says whether it helped; an operator acts at a real desk."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from markupsafe import escape
from sqlalchemy import event, select, text

from backend import handover, replies
from backend.access import Staff
from backend.models import Attachment, Handover, Message, OpeningPeriod
from backend.replies import say_typing
from backend.services import Services
from backend.staff_sessions import find_staff
from bot.phrases import SPOKEN, say
from bot.turn import Intent
from tests.backend.test_api import Talk, is_problem, open_talk
from tests.backend.test_attachments import PDF, VIDEO, picture
from tests.fakes import FakeParser
from tests.staff import make_desk, make_organisation, make_staff

pytestmark = pytest.mark.usefixtures("parser")
FORM = {"origin": "http://elp.test", "sec-fetch-site": "same-origin"}
LIVE = FORM | {"hx-request": "true"}
DESK = "Sportello «Prova» 12"
WORDS = "ho una domanda per lo sportello"


@dataclass
class Operator:
    """Somebody at a desk, acting through the functions that the console calls."""

    services: Services
    staff: Staff
    desk: int

    async def act(self, step: Callable[..., Awaitable[Any]], talk: Talk | UUID, *more: Any) -> Any:
        conversation = talk if isinstance(talk, UUID) else UUID(talk.id)
        async with self.services.sessions.begin() as session:
            return await step(session, self.staff, conversation, *more)

    async def claim(self, talk: Talk | UUID) -> None:
        await self.act(handover.claim, talk)

    async def reply(self, talk: Talk | UUID, said: str, **more: Any) -> int:
        written = replies.Written(uuid4().hex, said, more.pop("language", "it"), **more)
        return int(await self.act(replies.reply, talk, written, self.services.shelf))

    async def close(self, talk: Talk | UUID) -> None:
        await self.act(handover.resolve, talk)

    async def types(self, talk: Talk) -> None:
        async with self.services.sessions.begin() as session:
            await say_typing(session, UUID(talk.id), "operator")


@pytest.fixture
async def operator(services: Services) -> AsyncIterator[Operator]:
    """The only one there is, at a desk that is open around the clock."""
    others = await disable(services)
    organisation = await make_organisation(services)
    desk = await make_desk(services, organisation, DESK)
    login = await make_staff(services, "operator", organisation=organisation, desk=desk, name="Rosa Bianchi")
    staff = await find_staff(services.sessions, login.cookies["elp_staff"])
    assert staff is not None
    async with services.sessions.begin() as session:
        session.add_all(
            OpeningPeriod(desk_id=desk, weekday=day, opens=time(0), closes=time(23, 59)) for day in range(7)
        )
    yield Operator(services, staff, desk)
    await disable(services)
    async with services.sessions.begin() as session:
        await session.execute(text("UPDATE accounts SET disabled_at = NULL WHERE id = ANY(:ids)"), {"ids": others})


async def disable(services: Services) -> list[UUID]:
    """Everybody: nobody answers at any desk."""
    async with services.sessions.begin() as session:
        query = text("UPDATE accounts SET disabled_at = now() WHERE disabled_at IS NULL RETURNING id")
        return list((await session.execute(query)).scalars())


async def read(talk: Talk, after: int = 0) -> dict[str, Any]:
    response = await talk.http.get(f"{talk.path}/messages", params={"after": after}, headers=talk.headers)
    assert response.status_code == 200
    return dict(response.json())


async def delivered(services: Services, talk: Talk | UUID) -> dict[str, bool]:
    """What a person at a desk, or the service for one, said, and whether it arrived."""
    conversation = talk if isinstance(talk, UUID) else UUID(talk.id)
    async with services.sessions.begin() as session:
        query = select(Message).where(Message.conversation_id == conversation).order_by(Message.id)
        rows = (await session.execute(query)).scalars().all()
    return {row.text: row.delivered_at is not None for row in rows if row.author in ("operator", "system")}


async def wait(talk: Talk) -> dict[str, Any]:
    """Asks for a person by the button."""
    response = await talk.post(choice="human")
    assert response.json()["state"] == "WAITING"
    return dict(response.json())


# ---- the API ----


async def test_the_whole_way_from_the_button_to_thanks(
    client: httpx.AsyncClient, services: Services, operator: Operator
) -> None:
    talk = await open_talk(client)
    assert talk.opened["handover"] is None
    before = (await talk.post(text="sportello elp")).json()
    assert (before["state"], before["handover"]) == ("BOT", None)

    asked = await wait(talk)
    held = asked["handover"]
    assert (held["state"], held["desk"], held["not_before"]) == ("WAITING", DESK, None)
    promised = datetime.fromisoformat(held["promised_for"])
    assert promised.utcoffset() is not None
    assert services.now() < promised < services.now() + timedelta(days=1)
    assert DESK in held["text"]
    assert DESK in asked["messages"][-1]["text"]
    assert (await read(talk))["handover"] == held

    added = (await talk.post(text=WORDS)).json()
    assert (added["messages"], added["state"]) == ([], "WAITING")

    await operator.claim(talk)
    now = await read(talk)
    assert (now["state"], now["handover"]["state"]) == ("ACTIVE", "ACTIVE")
    assert "Rosa" not in json.dumps(now)

    await operator.reply(talk, "Buongiorno, eccomi")
    assert (await delivered(services, talk))["Buongiorno, eccomi"] is False
    told = (await read(talk))["messages"][-1]
    assert (told["author"], told["text"], told["desk"]) == ("operator", "Buongiorno, eccomi", DESK)
    assert (told["machine"], told["original"]) == (False, None)
    assert all((await delivered(services, talk)).values())

    await operator.close(talk)
    after = await read(talk, told["id"])
    assert (after["state"], after["handover"]) == ("CLOSED", None)
    (closing,) = after["messages"]
    assert [choice["id"] for choice in closing["choices"]] == ["helped:yes", "helped:no"]

    thanks = (await talk.post(choice="helped:yes")).json()
    assert (thanks["state"], thanks["handover"]) == ("BOT", None)
    assert thanks["messages"][-1]["text"] == say("it", "helped.yes")
    assert await helped(services, talk) == [True]


async def helped(services: Services, talk: Talk) -> list[bool | None]:
    async with services.sessions.begin() as session:
        query = select(Handover.helped).where(Handover.conversation_id == UUID(talk.id)).order_by(Handover.id)
        return list((await session.execute(query)).scalars())


@pytest.mark.usefixtures("operator")
async def test_words_ask_for_a_person_as_the_button_does(client: httpx.AsyncClient, parser: FakeParser) -> None:
    parser.learn("voglio parlare con una persona vera", Intent.HUMAN)
    talk = await open_talk(client)
    response = await talk.post(text="voglio parlare con una persona vera")
    assert response.json()["state"] == "WAITING"
    assert response.json()["handover"]["promised_for"] is not None


async def test_a_no_asks_for_a_person_again(client: httpx.AsyncClient, services: Services, operator: Operator) -> None:
    talk = await open_talk(client)
    await wait(talk)
    await operator.claim(talk)
    await operator.close(talk)
    answer = await talk.press("helped:no")
    assert answer["text"] == say("it", "helped.no")
    assert "human" in [choice["id"] for choice in answer["choices"]]
    assert await helped(services, talk) == [False]
    assert (await wait(talk))["handover"]["desk"] == DESK


async def test_hours_that_nobody_knows_promise_nothing(
    client: httpx.AsyncClient, services: Services, operator: Operator
) -> None:
    async with services.sessions.begin() as session:
        await session.execute(text("DELETE FROM opening_periods WHERE desk_id = :desk"), {"desk": operator.desk})
    held = (await wait(await open_talk(client)))["handover"]
    assert (held["promised_for"], held["not_before"]) == (None, None)
    assert say("it", "promise.unknown") in held["text"]


@pytest.mark.parametrize("state", ["WAITING", "ACTIVE"])
async def test_back_to_the_bot(client: httpx.AsyncClient, operator: Operator, state: str) -> None:
    talk = await open_talk(client)
    await wait(talk)
    if state == "ACTIVE":
        await operator.claim(talk)
    response = (await talk.post(choice="bot")).json()
    assert (response["state"], response["handover"]) == ("BOT", None)
    assert response["messages"][-1]["author"] == "bot"
    assert (await talk.say("sportello elp"))["entries"]


async def test_without_anybody_at_any_desk_the_answer_is_honest(
    client: httpx.AsyncClient, services: Services, operator: Operator
) -> None:
    await disable(services)
    talk = await open_talk(client)
    response = (await talk.post(choice="human")).json()
    assert (response["state"], response["handover"]) == ("BOT", None)
    assert response["messages"][-1]["text"] == say("it", "human.nobody")


async def test_an_emergency_while_waiting_shows_the_numbers_and_is_urgent(
    client: httpx.AsyncClient, services: Services, operator: Operator
) -> None:
    talk = await open_talk(client)
    await wait(talk)
    response = (await talk.post(text="mio marito mi picchia")).json()
    assert response["state"] == "WAITING"
    (told,) = response["messages"]
    assert told["author"] == "system"
    assert "112" in [line["number"] for line in told["emergency"]]
    assert say("it", "handover.marked_urgent") in told["text"]
    async with services.sessions.begin() as session:
        query = select(Handover.urgent).where(Handover.conversation_id == UUID(talk.id))
        assert (await session.execute(query)).scalar_one() is True


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("choice", ["topic:salute", "entry:sportello-elp", "useful:sportello-elp:yes", "helped:yes"])
async def test_an_old_button_while_waiting_gets_a_kind_sentence(client: httpx.AsyncClient, choice: str) -> None:
    talk = await open_talk(client)
    await wait(talk)
    response = (await talk.post(choice=choice)).json()
    assert response["state"] == "WAITING"
    assert response["messages"][-1]["text"] == say("it", "handover.held")
    assert [one["id"] for one in response["messages"][-1]["choices"]] == ["waiting", "bot"]


@pytest.mark.usefixtures("operator")
async def test_another_language_while_waiting_is_the_language_of_the_status(client: httpx.AsyncClient) -> None:
    talk = await open_talk(client)
    italian = (await wait(talk))["handover"]["text"]
    response = (await talk.post(choice="language:fr")).json()
    assert response["state"] == "WAITING"
    assert response["handover"]["text"] != italian
    assert response["handover"] == (await read(talk))["handover"]


async def test_a_translated_reply_keeps_what_was_written(client: httpx.AsyncClient, operator: Operator) -> None:
    talk = await open_talk(client, "fr")
    await wait(talk)
    await operator.claim(talk)
    await operator.reply(talk, "Bonjour", language="fr", words="Buongiorno", machine=True)
    told = (await read(talk))["messages"][-1]
    assert (told["text"], told["original"], told["machine"]) == ("Bonjour", "Buongiorno", True)


async def test_what_the_desk_sent_is_marked_delivered_once(
    client: httpx.AsyncClient, services: Services, operator: Operator
) -> None:
    talk = await open_talk(client)
    await wait(talk)
    await operator.claim(talk)
    await operator.reply(talk, "Uno")
    await read(talk)
    first = await moments(services, talk)
    await asyncio.sleep(0.01)
    await read(talk)
    assert await moments(services, talk) == first


async def moments(services: Services, talk: Talk) -> list[datetime | None]:
    async with services.sessions.begin() as session:
        query = select(Message.delivered_at).where(
            Message.conversation_id == UUID(talk.id), Message.author.in_(("operator", "system"))
        )
        return list((await session.execute(query.order_by(Message.id))).scalars())


async def test_a_turn_of_the_bot_asks_the_database_for_nothing_more(
    client: httpx.AsyncClient, services: Services, operator: Operator
) -> None:
    talk = await open_talk(client)
    await talk.say("sportello elp")
    statements: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        statements.append(statement)

    event.listen(services.engine.sync_engine, "before_cursor_execute", note)
    try:
        await talk.say("isee")
        await read(talk)
    finally:
        event.remove(services.engine.sync_engine, "before_cursor_execute", note)
    joined = " ".join(statements)
    assert "delivered_at = now()" not in joined
    assert "handovers h" not in joined


async def test_typing_is_told_only_to_a_desk_that_looks(
    client: httpx.AsyncClient, services: Services, operator: Operator
) -> None:
    talk, other = await open_talk(client), await open_talk(client)
    with services.hub.subscribe(f"typing:{talk.id}:person") as news:
        assert (await client.post(f"{talk.path}/typing", headers=talk.headers)).status_code == 204
        assert not await news.wait(0.3)
        await wait(talk)
        assert (await client.post(f"{talk.path}/typing", headers=talk.headers)).status_code == 204
        assert await news.wait(5)
    assert is_problem(await client.post(f"{talk.path}/typing"), 401, "unauthorized")
    assert is_problem(await client.post(f"{talk.path}/typing", headers=other.headers), 404, "not_found")


async def test_typing_has_a_limit(client: httpx.AsyncClient, services: Services, limited: None) -> None:
    talk = await open_talk(client)
    statuses = [(await client.post(f"{talk.path}/typing", headers=talk.headers)).status_code for _ in range(61)]
    assert statuses == [204] * 60 + [429]


# ---- the page, as a browser without JavaScript uses it ----


async def send(client: httpx.AsyncClient, **form: str) -> httpx.Response:
    return await client.post("/messages", data=form, headers=FORM, follow_redirects=True)


def own(client: httpx.AsyncClient) -> UUID:
    return UUID(client.cookies["elp_chat"].split(".")[0])


def bar(page: str) -> str:
    """The words of the status bar."""
    found = re.search(r'<div id="status".*?</div>', page, re.DOTALL)
    assert found is not None
    return " ".join(re.sub(r"<[^>]+>", "", found[0]).split())


async def test_the_page_says_how_it_stands_from_the_question_to_the_end(
    client: httpx.AsyncClient, services: Services, operator: Operator
) -> None:
    assert bar((await client.get("/")).text) == ""
    assert bar((await send(client, text="ciao")).text) == ""
    page = (await send(client, choice="human")).text
    assert DESK in bar(page)
    assert f"<bdi>{DESK}</bdi>" in page
    assert f'<p class="sent">{say("it", "page.sent")}' not in page

    page = (await send(client, text=WORDS)).text
    assert page.count(f'<p class="sent">{say("it", "page.sent")}') == 1

    await operator.claim(own(client))
    assert 'data-state="ACTIVE"' in (await client.get("/")).text
    await operator.reply(own(client), "Ecco la risposta")
    assert (await delivered(services, own(client)))["Ecco la risposta"] is False
    page = (await client.get("/")).text
    assert "Ecco la risposta" in page
    assert say("it", "author.operator") in page
    assert f'<p class="who"><bdi>{DESK}</bdi></p>' in page
    assert "Bianchi" not in page
    assert f'<p class="sent">{say("it", "page.sent")}' not in page
    assert all((await delivered(services, own(client))).values())

    await operator.close(own(client))
    page = (await client.get("/")).text
    assert bar(page) == ""
    assert 'value="helped:yes"' in page
    assert say("it", "helped.yes") in (await send(client, choice="helped:yes")).text


async def test_a_translated_reply_says_so_and_shows_the_original(client: httpx.AsyncClient, operator: Operator) -> None:
    await client.post("/language", data={"language": "ar"}, headers=FORM)
    await send(client, choice="human")
    await operator.claim(own(client))
    await operator.reply(own(client), "مرحبا", language="ar", words="<b>Buongiorno</b>", machine=True)
    page = (await client.get("/")).text
    assert f"<summary>{say('ar', 'card.machine')}</summary>" in page
    assert '<p lang="it" dir="auto">&lt;b&gt;Buongiorno&lt;/b&gt;</p>' in page


async def test_whoever_waits_finds_the_answer_after_closing_the_browser(
    client: httpx.AsyncClient, operator: Operator
) -> None:
    opened = await client.post("/messages", data={"text": "ciao"}, headers=FORM)
    assert "Max-Age" not in opened.headers["set-cookie"]
    asked = await client.post("/messages", data={"choice": "human"}, headers=FORM)
    assert "Max-Age=2592000" in asked.headers["set-cookie"]
    left = await client.post("/messages", data={"choice": "bot"}, headers=FORM)
    assert "elp_chat=" in left.headers["set-cookie"]
    assert "Max-Age" not in left.headers["set-cookie"]


@pytest.mark.usefixtures("operator")
async def test_whoever_wants_to_be_forgotten_is_not_kept_by_the_browser_either(client: httpx.AsyncClient) -> None:
    await send(client, text="ciao")
    await client.post("/mine/forget-on-close", data={"forget": "yes"}, headers=FORM)
    asked = await client.post("/messages", data={"choice": "human"}, headers=FORM)
    assert "set-cookie" not in asked.headers


async def test_the_language_of_the_page_changes_while_waiting(client: httpx.AsyncClient, operator: Operator) -> None:
    await send(client, choice="human")
    response = await client.post("/language", data={"language": "ar"}, headers=FORM, follow_redirects=True)
    assert '<html lang="ar" dir="rtl">' in response.text
    assert bar(response.text).startswith(say("ar", "status.waiting", desk=DESK, since="…").split("…")[0])


@pytest.mark.usefixtures("operator")
async def test_the_page_tells_that_its_person_is_writing(client: httpx.AsyncClient, services: Services) -> None:
    assert (await client.post("/typing", headers=FORM)).status_code == 404
    await send(client, choice="human")
    with services.hub.subscribe(f"typing:{own(client)}:person") as news:
        assert (await client.post("/typing", headers=FORM)).status_code == 204
        assert await news.wait(5)
        news.take()
        elsewhere = await client.post("/typing", headers={"sec-fetch-site": "cross-site"})
        assert elsewhere.status_code == 403
        assert not await news.wait(0.3)


# ---- files on the page ----


async def attach(
    client: httpx.AsyncClient, data: bytes, *, words: str = "", key: str | None = None, **headers: str
) -> httpx.Response:
    return await client.post(
        "/attachments",
        files={"file": ("letter.jpg", data, "image/jpeg")},
        data={"client_message_id": key or uuid4().hex, "text": words},
        headers=FORM | headers,
        follow_redirects=True,
    )


async def files(services: Services, conversation: UUID) -> list[UUID]:
    async with services.sessions.begin() as session:
        query = select(Attachment.id).join(Message, Message.id == Attachment.message_id)
        return list((await session.execute(query.where(Message.conversation_id == conversation))).scalars())


async def test_a_photo_opens_a_conversation_and_is_shown_to_its_sender_only(
    client: httpx.AsyncClient, services: Services
) -> None:
    page = await attach(client, picture(size=(1200, 900)))
    assert page.status_code == 200
    assert say("it", "attachment.received") in page.text
    (file,) = await files(services, own(client))
    assert f'src="/attachments/{file}?preview=1"' in page.text
    small = await client.get(f"/attachments/{file}", params={"preview": "1"})
    whole = await client.get(f"/attachments/{file}")
    assert small.headers["content-type"] == whole.headers["content-type"] == "image/jpeg"
    assert len(small.content) < len(whole.content)
    for response in (small, whole):
        assert response.headers["content-security-policy"] == "sandbox; default-src 'none'; frame-ancestors 'none'"
        assert response.headers["cache-control"] == "no-store"
    client.cookies.clear()
    assert (await client.get(f"/attachments/{file}")).status_code == 404
    await send(client, text="ciao")
    assert (await client.get(f"/attachments/{file}")).status_code == 404


async def test_a_pdf_is_a_link(client: httpx.AsyncClient, services: Services) -> None:
    page = await attach(client, PDF)
    (file,) = await files(services, own(client))
    assert f'<a href="/attachments/{file}" download>{say("it", "page.file.pdf")}</a>' in page.text
    assert (await client.get(f"/attachments/{file}")).content == PDF
    assert (await client.get(f"/attachments/{file}", params={"preview": "1"})).content == PDF


async def test_words_typed_beside_the_file_go_with_it(client: httpx.AsyncClient) -> None:
    page = (await attach(client, PDF, words="sportello elp")).text
    assert page.index(say("it", "page.file.pdf")) < page.index("sportello elp")
    assert "Movicentro" in page


async def test_the_same_form_sent_twice_is_one_file_and_one_message(
    client: httpx.AsyncClient, services: Services
) -> None:
    await attach(client, PDF, words="sportello elp", key="once")
    page = (await attach(client, PDF, words="sportello elp", key="once")).text
    assert len(await files(services, own(client))) == 1
    assert len(re.findall(r'class="message person', page)) == 2


async def test_a_file_for_the_desk_is_sent_and_not_answered(
    client: httpx.AsyncClient, services: Services, operator: Operator
) -> None:
    await send(client, choice="human")
    page = (await attach(client, picture())).text
    assert say("it", "attachment.received") not in page
    assert page.count(f'<p class="sent">{say("it", "page.sent")}') == 1
    assert DESK in bar(page)


async def test_htmx_gets_the_file_as_a_message(client: httpx.AsyncClient) -> None:
    response = await attach(client, picture(), **{"hx-request": "true"})
    assert "<html" not in response.text
    assert 'class="picture"' in response.text
    assert 'sse-connect="/events?after=' in response.text


BAD = {
    "file_too_large": b"\xff\xd8\xff" + bytes(10 * 1024 * 1024),
    "unknown_file_type": VIDEO,
    "broken_file": picture()[:200],
    "empty_file": b"",
}
DISGUISED = (b"MZ\x90\x00" + bytes(300), b"<html><script>alert(1)</script></html>", b"PK\x03\x04" + bytes(300))
ARABIC = "عندي رسالة لا أفهمها"


@pytest.mark.parametrize("htmx", [False, True], ids=["form", "htmx"])
@pytest.mark.parametrize("code", BAD)
async def test_a_file_that_cannot_be_taken_is_refused_kindly_and_the_words_stay(
    client: httpx.AsyncClient, services: Services, code: str, htmx: bool
) -> None:
    await client.post("/language", data={"language": "ar"}, headers=FORM)
    await send(client, text="مرحبا")
    client.cookies.delete("elp_language")
    response = await attach(client, BAD[code], words=ARABIC, **({"hx-request": "true"} if htmx else {}))
    assert response.status_code in (413, 422)
    assert str(escape(say("ar", f"error.{code}", limit=10))) in response.text
    if htmx:
        assert response.headers["hx-retarget"] == "#problem"
    else:
        assert '<html lang="ar" dir="rtl">' in response.text
        assert re.search(rf"<textarea[^>]*>{ARABIC}</textarea>", response.text)
        assert len(re.findall(r'class="message person', response.text)) == 1
    assert await files(services, own(client)) == []


@pytest.mark.parametrize("data", DISGUISED)
async def test_what_only_calls_itself_a_photo_is_none(client: httpx.AsyncClient, data: bytes) -> None:
    response = await attach(client, data)
    assert response.status_code == 422
    assert say("it", "error.unknown_file_type") in response.text
    assert "elp_chat" not in client.cookies


async def test_words_that_are_too_long_are_refused_before_the_file_is_stored(
    client: httpx.AsyncClient, services: Services
) -> None:
    await send(client, text="ciao")
    response = await attach(client, PDF, words="a" * 5000)
    assert response.status_code == 422
    assert "a" * 5000 in response.text
    assert await files(services, own(client)) == []


@pytest.mark.parametrize(
    "body, kind",
    [(b"", "multipart/form-data; boundary=x"), (b"--x\r\n", "multipart/form-data; boundary=x"), (b"file=x", "text/x")],
)
async def test_a_broken_form_is_a_page_and_never_a_crash(client: httpx.AsyncClient, body: bytes, kind: str) -> None:
    response = await client.post("/attachments", content=body, headers=FORM | {"content-type": kind})
    assert response.status_code == 422
    assert str(escape(say("it", "error.invalid_request"))) in response.text


async def test_files_from_the_page_are_limited_and_the_words_stay(client: httpx.AsyncClient, limited: None) -> None:
    await send(client, text="ciao")
    statuses = [(await attach(client, PDF)).status_code for _ in range(10)]
    refused = await attach(client, PDF, words=WORDS)
    assert statuses == [200] * 10
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert f">{WORDS}</textarea>" in refused.text


async def test_a_form_on_another_site_sends_no_file(client: httpx.AsyncClient) -> None:
    response = await attach(client, PDF, **{"sec-fetch-site": "cross-site"})
    assert response.status_code == 403
    assert "set-cookie" not in response.headers


async def test_nobody_sees_a_file_of_a_conversation_that_was_erased(
    client: httpx.AsyncClient, services: Services
) -> None:
    await attach(client, picture())
    (file,) = await files(services, own(client))
    await client.post("/messages", data={"choice": "forget-now"}, headers=FORM)
    assert (await client.get(f"/attachments/{file}")).status_code == 404


@pytest.mark.parametrize("language", SPOKEN)
async def test_the_chat_page_is_whole_in_every_language(
    client: httpx.AsyncClient, operator: Operator, language: str
) -> None:
    await client.post("/language", data={"language": language}, headers=FORM)
    await attach(client, picture())
    await send(client, choice="human")
    await send(client, text=WORDS)
    await operator.claim(own(client))
    await operator.reply(own(client), "Testo", words="Altro", machine=True)
    page = (await client.get("/")).text
    assert DESK in bar(page)
    assert not re.search(r"\b(page|author|status|handover|choice|card)\.[a-z_]+\b", re.sub(r'"[^"]*"', "", page))
