"""What a person is told about their own data, takes along, and leaves behind on a shared phone."""

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, update

from backend import booking
from backend.config import Settings
from backend.conversations import open_conversation
from backend.models import Conversation, Message
from backend.people import erase_forgotten
from backend.services import Services
from backend.tokens import secret_hash
from backend.waiting_list import WaitingFor, join
from bot.turn import Intent, Keeping
from tests.appointments import NOW, make_place, rome
from tests.backend.test_api import open_talk
from tests.fakes import FakeParser
from tests.handovers import put_at_desk

pytestmark = pytest.mark.usefixtures("parser")
FORM = {"origin": "http://elp.test", "sec-fetch-site": "same-origin"}


async def send(client: httpx.AsyncClient, path: str = "/messages", follow: bool = True, **form: str) -> httpx.Response:
    return await client.post(path, data=form, headers=FORM, follow_redirects=follow)


def own(client: httpx.AsyncClient) -> UUID:
    return UUID(client.cookies["elp_chat"].split(".", 1)[0])


async def find(services: Services, conversation_id: UUID) -> Conversation | None:
    async with services.sessions() as session:
        return await session.get(Conversation, conversation_id)


async def change(services: Services, conversation_id: UUID, **values: object) -> None:
    async with services.sessions.begin() as session:
        await session.execute(update(Conversation).where(Conversation.id == conversation_id).values(**values))


def minutes_left(conversation: Conversation | None) -> float:
    assert conversation is not None
    assert conversation.forget_at is not None
    return (conversation.forget_at - datetime.now(UTC)).total_seconds() / 60


# ---- told before ----


def test_the_notice_speaks_of_the_time_that_holds_without_settings() -> None:
    assert Keeping().days == Settings.model_fields["keep_conversations_days"].default


@pytest.mark.parametrize(
    "language, words", [("it", "cifrate"), ("en", "encrypted"), ("fr", "chiffrés"), ("ar", "مشفّرة")]
)
async def test_the_first_page_says_what_is_kept_before_anything_is(
    client: httpx.AsyncClient, services: Services, language: str, words: str
) -> None:
    response = await client.get("/", headers={"accept-language": language})
    assert words in response.text
    assert str(services.settings.keep_conversations_days) in response.text
    assert 'href="/privacy"' in response.text
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("language", ["it", "en", "fr", "ar"])
async def test_the_notice_can_be_read_in_every_language(
    client: httpx.AsyncClient, services: Services, language: str
) -> None:
    response = await client.get("/privacy", headers={"accept-language": language})
    assert response.status_code == 200
    assert f'<html lang="{language}"' in response.text
    assert str(services.settings.keep_receipts_days) in response.text
    assert "112" in response.text
    assert "set-cookie" not in response.headers
    assert "/mine/erase" not in response.text  # there is nothing to erase


async def test_the_notice_names_who_answers_for_the_data(
    client: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "trial" in (await client.get("/privacy?language=en")).text
    named = replace(services.chat.keeping, controller="Prova <b>s.r.l.</b>")
    monkeypatch.setattr(services.chat, "keeping", named)
    text = (await client.get("/privacy?language=en")).text
    assert "Prova &lt;b&gt;s.r.l.&lt;/b&gt;" in text
    assert "trial" not in text


# ---- known ----


async def test_what_is_known_is_told_with_todays_numbers(client: httpx.AsyncClient, parser: FakeParser) -> None:
    parser.learn("che cosa sai di me?", Intent.WHAT_DO_YOU_KNOW)
    response = await client.post("/api/v1/conversations", json={"language": "it", "place": "Banchette"})
    opened = response.json()
    headers, path = {"authorization": f"Bearer {opened['token']}"}, f"/api/v1/conversations/{opened['id']}/messages"
    sent = [{"text": "sportello elp"}, {"choice": "useful:sportello-elp:yes"}, {"text": "che cosa sai di me?"}]
    for number, body in enumerate(sent):
        answer = await client.post(path, json={"client_message_id": str(number), **body}, headers=headers)
    (told,) = answer.json()["messages"]
    assert "Messaggi tuoi: 3" in told["text"]
    assert "Risposte che hai giudicato: 1" in told["text"]
    assert "Banchette" in told["text"]
    assert str(datetime.now(UTC).year) in told["text"]
    assert {"export", "forget", "forget-on-close", "privacy"} <= {choice["id"] for choice in told["choices"]}


async def test_the_chat_is_taken_along_as_a_file(client: httpx.AsyncClient) -> None:
    await send(client, text="sportello elp")
    response = await client.get("/mine/export")
    assert response.headers["content-disposition"] == 'attachment; filename="elp-chat.json"'
    assert response.headers["cache-control"] == "no-store"
    known = json.loads(response.text)
    assert "sportello elp" in [message["text"] for message in known["messages"]]
    assert client.cookies["elp_chat"].split(".", 1)[1] not in response.text


async def test_appointments_are_counted_and_taken_along_without_what_opens_them(
    client: httpx.AsyncClient, services: Services
) -> None:
    await send(client, text="sportello elp")
    place = await make_place(services.sessions, name="Sportello di prova")
    booked = await place.book(rome(2, 10), conversation_id=own(client), entry_id="sportello-elp")
    await booking.hold(services.sessions, place.wish(rome(2, 11), conversation_id=own(client)), NOW)
    async with services.sessions.begin() as session:
        await join(session, own(client), WaitingFor(place.kind, "it", last_day=date(2027, 3, 5), part="morning"), NOW)
    known = (await client.get("/mine/export")).text
    first, looked_at = json.loads(known)["appointments"]
    assert (first["name"], first["code"], first["status"]) == ("Amina", booked.visit.code, "confirmed")
    assert (first["desk"], first["kind"], first["entry"]) == ("Sportello di prova", "Colloquio", "sportello-elp")
    assert (first["starts"], first["interpreter"]) == ("2027-03-02T09:00:00+00:00", False)
    assert looked_at["name"] is None
    (waiting,) = json.loads(known)["waiting_list"]
    assert (waiting["last_day"], waiting["part"], waiting["kind"]) == ("2027-03-05", "morning", "Colloquio")
    assert booked.token not in known
    assert secret_hash(booked.token).hex() not in known
    told = (await client.get("/privacy")).text
    assert "soprannome che hai dato: 1" in told
    assert "lista d&#39;attesa: 1" in told


async def test_without_a_chat_there_is_nothing_to_take_along_or_erase(client: httpx.AsyncClient) -> None:
    assert (await client.get("/mine/export")).status_code == 404
    for path, form in (("/mine/erase", {}), ("/mine/forget-on-close", {"forget": "yes"}), ("/still-here", {})):
        assert (await send(client, path, **form)).status_code == 404
    assert (await send(client, "/closing")).status_code == 204


async def test_everything_is_erased_from_the_privacy_page_with_a_receipt(
    client: httpx.AsyncClient, services: Services
) -> None:
    await send(client, text="sportello elp")
    conversation = own(client)
    assert "Messaggi tuoi: 1" in (await client.get("/privacy")).text
    response = await send(client, "/mine/erase")
    assert re.search(r"\d{8}-[0-9A-F]{8}", response.text)
    assert "elp_chat" not in client.cookies
    assert await find(services, conversation) is None
    assert "<script>" not in (await client.get("/privacy", params={"erased": "<script>"})).text


@pytest.mark.parametrize("path", ["/leave", "/closing", "/mine/erase", "/mine/forget-on-close", "/still-here"])
async def test_another_site_can_neither_erase_nor_close(
    client: httpx.AsyncClient, services: Services, path: str
) -> None:
    await send(client, text="ciao")
    response = await client.post(path, data={"forget": "yes"}, headers={"sec-fetch-site": "cross-site"})
    assert response.status_code == 403
    found = await find(services, own(client))
    assert found is not None
    assert found.forget_at is None


# ---- left quickly ----


@pytest.mark.parametrize("state", ["BOT", "CLOSED"])
async def test_whoever_leaves_quickly_leaves_nothing(client: httpx.AsyncClient, services: Services, state: str) -> None:
    await send(client, text="sportello elp")
    await client.post("/language", data={"language": "ar"}, headers=FORM)
    conversation = own(client)
    await put_at_desk(services, conversation, state=state)
    response = await send(client, "/leave", follow=False)
    assert response.status_code == 303
    assert response.headers["location"] == services.settings.exit_url
    assert response.headers["clear-site-data"] == '"cache", "storage"'
    assert dict(client.cookies) == {}
    assert await find(services, conversation) is None
    again = await client.get("/", headers={"accept-language": "en"})
    assert "sportello elp" not in again.text
    assert "Hello!" in again.text


@pytest.mark.parametrize("state", ["WAITING", "ACTIVE"])
async def test_a_conversation_an_operator_has_stays_for_the_operator(
    client: httpx.AsyncClient, services: Services, state: str
) -> None:
    await send(client, text="ciao")
    conversation = own(client)
    await put_at_desk(services, conversation, state=state)
    await send(client, "/leave", follow=False)
    assert dict(client.cookies) == {}
    assert await find(services, conversation) is not None
    assert "Ciao!" in (await client.get("/")).text  # a fresh page for this browser


@pytest.mark.parametrize("cookie", [None, "x", "00000000-0000-0000-0000-000000000000.abc"])
async def test_leaving_works_for_everybody(client: httpx.AsyncClient, cookie: str | None) -> None:
    headers = FORM | ({"cookie": f"elp_chat={cookie}"} if cookie else {})
    response = await client.post("/leave", headers=headers)
    assert response.status_code == 303


async def test_a_message_whose_chat_is_erased_while_it_is_answered_is_not_stored_anew(
    client: httpx.AsyncClient, services: Services, parser: FakeParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(client, text="ciao")
    conversation, token = client.cookies["elp_chat"].split(".", 1)

    async def leave_meanwhile(text: str) -> None:
        await client.delete(f"/api/v1/conversations/{conversation}", headers={"authorization": f"Bearer {token}"})

    monkeypatch.setattr(parser, "parse", leave_meanwhile)
    response = await send(client, text="parole da non tenere", follow=False)
    assert response.status_code == 404
    async with services.sessions() as session:
        assert "parole da non tenere" not in (await session.execute(select(Message.text))).scalars().all()


async def test_with_https_the_cookies_never_travel_in_the_open(
    client: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    https = services.settings.model_copy(update={"public_url": "https://elp.example"})
    monkeypatch.setitem(services.__dict__, "settings", https)
    response = await send(client, follow=False, text="ciao")
    cookie = response.headers["set-cookie"]
    assert "Secure" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


# ---- forgotten when it is closed ----


async def test_the_chat_is_forgotten_on_closing_only_when_that_was_wished_for(
    client: httpx.AsyncClient, services: Services
) -> None:
    await send(client, text="ciao")
    assert (await send(client, "/closing")).status_code == 204
    found = await find(services, own(client))
    assert found is not None
    assert found.forget_at is None


async def test_pressed_in_the_chat_it_is_forgotten_on_closing_and_pressed_again_it_is_not(
    client: httpx.AsyncClient, services: Services
) -> None:
    talk = await open_talk(client, "en")
    on = await talk.press("forget-on-close")
    assert "erases itself" in on["text"]
    assert "forget-on-close" in [choice["id"] for choice in on["choices"]]
    assert minutes_left(await find(services, UUID(talk.id))) > 29
    off = await talk.press("forget-on-close")
    assert "no longer" in off["text"]
    found = await find(services, UUID(talk.id))
    assert found is not None
    assert (found.forget_on_close, found.forget_at) == (False, None)


async def test_closing_leaves_a_minute_and_any_other_request_takes_it_back(
    client: httpx.AsyncClient, services: Services
) -> None:
    await send(client, text="ciao")
    page = await send(client, "/mine/forget-on-close", forget="yes")
    assert 'value="no"' in page.text
    conversation = own(client)
    requests = [
        lambda: client.get("/"),
        lambda: client.get("/privacy"),
        lambda: send(client, "/still-here"),
        lambda: send(client, text="sportello elp"),
    ]
    for request in requests:
        assert (await send(client, "/closing")).status_code == 204
        assert 0 < minutes_left(await find(services, conversation)) <= 1
        assert (await request()).status_code < 300
        assert minutes_left(await find(services, conversation)) > 29
    await send(client, "/mine/forget-on-close", forget="no")
    found = await find(services, conversation)
    assert found is not None
    assert found.forget_at is None


async def test_when_the_time_has_come_it_is_erased_unless_an_operator_has_it(services: Services) -> None:
    ids = []
    past, future = datetime.now(UTC) - timedelta(seconds=1), datetime.now(UTC) + timedelta(minutes=5)
    for state, when in (("BOT", past), ("CLOSED", past), ("WAITING", past), ("ACTIVE", past), ("BOT", future)):
        opened = await open_conversation(services.sessions, channel="web", language="it")
        await put_at_desk(services, opened.id, state=state)
        await change(services, opened.id, forget_on_close=True, forget_at=when)
        ids.append(opened.id)
    assert await erase_forgotten(services.sessions) >= 2
    assert [await find(services, one) is None for one in ids] == [True, True, False, False, False]
