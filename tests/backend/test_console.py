"""The operators' console: who may read which conversation, and how much of it."""

from dataclasses import dataclass
from html import unescape
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select

from backend.models import AuditEvent, Message
from backend.services import Services
from bot.phrases import SPOKEN, say
from tests.backend.test_api import Talk, open_talk
from tests.backend.test_attachments import PDF, picture, send
from tests.handovers import put_at_desk
from tests.staff import FORM, StaffLogin, make_desk, make_organisation, make_staff

pytestmark = pytest.mark.usefixtures("parser")
SECRET = "RSSMRA85T10A562S"


@dataclass
class Place:
    organisation: int
    desk: int


@pytest.fixture
async def place(services: Services) -> Place:
    organisation = await make_organisation(services)
    return Place(organisation, await make_desk(services, organisation, "Sportello di prova"))


@pytest.fixture
async def operator(services: Services, place: Place) -> StaffLogin:
    return await make_staff(services, "operator", organisation=place.organisation, desk=place.desk)


async def hand_over(services: Services, talk: Talk, desk: int, state: str = "WAITING") -> None:
    await put_at_desk(services, talk.id, desk, state)


async def waiting(
    client: httpx.AsyncClient, services: Services, place: Place, *words: str, language: str = "it"
) -> Talk:
    """Somebody who wrote these words and waits for the desk."""
    talk = await open_talk(client, language)
    for one in words:
        await talk.say(one)
    await hand_over(services, talk, place.desk)
    return talk


async def look(client: httpx.AsyncClient, login: StaffLogin, path: str = "/console", **headers: str) -> httpx.Response:
    client.cookies.update(login.cookies)
    response = await client.get(path, headers=headers)
    client.cookies.clear()
    return response


async def show(client: httpx.AsyncClient, login: StaffLogin, path: str, **headers: str) -> httpx.Response:
    client.cookies.update(login.cookies)
    response = await client.post(path, headers=headers or FORM)
    client.cookies.clear()
    return response


async def own_message(talk: Talk) -> int:
    return next(message["id"] for message in await talk.messages() if message["author"] == "person")


def page_of(talk: Talk) -> str:
    return f"/console/conversations/{talk.id}"


async def events(services: Services, login: StaffLogin) -> list[AuditEvent]:
    async with services.sessions.begin() as session:
        query = select(AuditEvent).where(AuditEvent.account_id == login.account_id).order_by(AuditEvent.id)
        return list((await session.execute(query)).scalars())


async def test_the_list_shows_who_waits_at_ones_desk_with_the_newest_last(
    client: httpx.AsyncClient, services: Services, place: Place, operator: StaffLogin
) -> None:
    first = await waiting(client, services, place, "ho bisogno di aiuto")
    second = await waiting(client, services, place, "bonjour, je cherche un logement", language="fr")
    await hand_over(services, second, place.desk, "ACTIVE")
    page = (await look(client, operator)).text
    assert page.index(page_of(first)) < page.index(page_of(second))
    assert "ho bisogno di aiuto" in page
    assert "Sportello di prova" in page
    assert "Waiting" in page
    assert "In progress" in page
    assert "Français" in page


@pytest.mark.parametrize("state", ["BOT", "CLOSED", "UNREACHABLE"])
async def test_the_list_shows_neither_other_states_nor_other_desks(
    client: httpx.AsyncClient, services: Services, place: Place, operator: StaffLogin, state: str
) -> None:
    talk = await waiting(client, services, place, "parola")
    await hand_over(services, talk, place.desk, state)
    elsewhere = await waiting(client, services, place, "altrove")
    await hand_over(services, elsewhere, await make_desk(services, place.organisation))
    page = (await look(client, operator)).text
    assert page_of(talk) not in page
    assert page_of(elsewhere) not in page
    assert say("en", "console.empty") in page


async def test_last_words_are_masked_and_short_and_a_pressed_button_has_its_words(
    client: httpx.AsyncClient, services: Services, place: Place, operator: StaffLogin
) -> None:
    await waiting(client, services, place, f"il mio codice {SECRET} " + "lungo " * 100)
    pressed = await open_talk(client)
    await pressed.press("topic:lavoro")
    await hand_over(services, pressed, place.desk)
    page = (await look(client, operator)).text
    assert SECRET not in page
    assert "[tax code …2S]" in page
    assert "lungo " * 50 not in page
    assert say("it", "topic.lavoro") in page


async def test_a_whole_organisation_is_read_by_whoever_holds_the_role_there(
    client: httpx.AsyncClient, services: Services, place: Place
) -> None:
    manager = await make_staff(services, "desk_manager", organisation=place.organisation)
    stranger = await make_staff(services, "operator", organisation=await make_organisation(services))
    talk = await waiting(client, services, place, "ciao")
    assert (await look(client, manager, page_of(talk))).status_code == 200
    assert (await look(client, stranger, page_of(talk))).status_code == 404


async def test_what_identifies_somebody_is_hidden_until_it_is_asked_for_and_that_is_recorded(
    client: httpx.AsyncClient, services: Services, place: Place, operator: StaffLogin
) -> None:
    talk = await waiting(client, services, place, f"cf {SECRET}", "e chiamami al 3331234567")
    message = await own_message(talk)
    page = (await look(client, operator, page_of(talk))).text
    assert SECRET not in page
    assert "3331234567" not in page
    assert page.count(say("en", "console.show")) == 2
    assert await events(services, operator) == []

    shown = await show(client, operator, f"{page_of(talk)}/messages/{message}/show")
    assert shown.status_code == 200
    assert shown.headers["cache-control"] == "no-store"
    assert SECRET in shown.text
    assert "3331234567" not in shown.text
    (event,) = await events(services, operator)
    assert (event.action, event.subject) == ("message.shown", f"message:{message}")
    assert event.organisation_id == place.organisation
    assert SECRET not in str(event.details)
    assert SECRET not in (await look(client, operator, page_of(talk))).text


async def test_what_the_bot_said_keeps_the_numbers_of_offices(
    client: httpx.AsyncClient, services: Services, place: Place, operator: StaffLogin
) -> None:
    talk = await waiting(client, services, place, "ciao")
    async with services.sessions.begin() as session:
        session.add(
            Message(conversation_id=talk.id, author="bot", language="it", text="Ufficio: 0125 123456", payload={})
        )
    page = (await look(client, operator, page_of(talk))).text
    assert "0125 123456" in page
    assert say("en", "console.show") not in page


@pytest.mark.parametrize("part", ["", "/messages/{message}/show", "/attachments/{attachment}"])
async def test_another_desks_conversation_is_not_found(
    client: httpx.AsyncClient, services: Services, place: Place, part: str
) -> None:
    other = await make_desk(services, place.organisation)
    stranger = await make_staff(services, "operator", organisation=place.organisation, desk=other)
    talk = await waiting(client, services, place, f"cf {SECRET}")
    attachment = (await send(talk, PDF)).json()["attachments"][0]["id"]
    path = page_of(talk) + part.format(message=await own_message(talk), attachment=attachment)
    response = await (show if "show" in part else look)(client, stranger, path)
    assert response.status_code == 404
    assert SECRET not in response.text
    assert await events(services, stranger) == []


@pytest.mark.parametrize("role", ["editor", "administrator", "auditor", None])
async def test_who_answers_nobody_reads_nothing(
    client: httpx.AsyncClient, services: Services, place: Place, role: str | None
) -> None:
    somebody = await make_staff(services, role, organisation=place.organisation if role else None)
    talk = await waiting(client, services, place, f"cf {SECRET}")
    message = await own_message(talk)
    for path in ("/console", page_of(talk)):
        assert (await look(client, somebody, path)).status_code == 403
    assert (await show(client, somebody, f"{page_of(talk)}/messages/{message}/show")).status_code == 403


async def test_a_role_over_the_whole_service_reads_no_conversation(
    client: httpx.AsyncClient, services: Services, place: Place
) -> None:
    administrator = await make_staff(services, "administrator")
    talk = await waiting(client, services, place, "ciao")
    assert (await look(client, administrator, page_of(talk))).status_code == 403


async def test_whoever_is_signed_out_is_led_to_the_sign_in(
    client: httpx.AsyncClient, services: Services, place: Place
) -> None:
    talk = await waiting(client, services, place, "ciao")
    for path in ("/console", page_of(talk)):
        response = await client.get(path)
        assert response.status_code == 303
        assert response.headers["location"].startswith("/sign-in")
    response = await client.post(f"{page_of(talk)}/messages/{await own_message(talk)}/show", headers=FORM)
    assert response.status_code == 401


async def test_a_form_of_another_site_shows_nothing(
    client: httpx.AsyncClient, services: Services, place: Place, operator: StaffLogin
) -> None:
    talk = await waiting(client, services, place, f"cf {SECRET}")
    path = f"{page_of(talk)}/messages/{await own_message(talk)}/show"
    response = await show(client, operator, path, **{"sec-fetch-site": "cross-site", "origin": "https://evil.test"})
    assert response.status_code == 403
    assert await events(services, operator) == []


async def test_a_message_of_another_conversation_and_made_up_ids_are_not_found(
    client: httpx.AsyncClient, services: Services, place: Place, operator: StaffLogin
) -> None:
    talk = await waiting(client, services, place, "ciao")
    other = await open_talk(client)
    await other.say(f"cf {SECRET}")
    attachment = (await send(other, PDF)).json()["attachments"][0]["id"]
    for message in (await own_message(other), 2**60):
        assert (await show(client, operator, f"{page_of(talk)}/messages/{message}/show")).status_code == 404
    for missing in (attachment, uuid4()):
        assert (await look(client, operator, f"{page_of(talk)}/attachments/{missing}")).status_code == 404
    assert (await look(client, operator, f"/console/conversations/{uuid4()}")).status_code == 404
    for strange in ("/console/conversations/x", f"{page_of(talk)}/attachments/x"):
        assert (await look(client, operator, strange)).status_code == 422
    assert (await show(client, operator, f"{page_of(talk)}/messages/{'9' * 30}/show")).status_code == 422
    assert await events(services, operator) == []


async def test_files_are_opened_by_the_desk_and_that_is_recorded(
    client: httpx.AsyncClient, services: Services, place: Place, operator: StaffLogin
) -> None:
    talk = await waiting(client, services, place, "ecco la lettera")
    files = [(await send(talk, data)).json()["attachments"][0] for data in (PDF, picture())]
    page = (await look(client, operator, page_of(talk))).text
    for file, words in zip(files, ("Download the PDF", "Open the picture"), strict=True):
        assert words in page
        assert f"{page_of(talk)}/attachments/{file['id']}" in page
    served = await look(client, operator, f"{page_of(talk)}/attachments/{files[0]['id']}")
    assert served.content == PDF
    assert served.headers["content-disposition"].startswith("attachment;")
    assert served.headers["content-security-policy"] == "sandbox; default-src 'none'; frame-ancestors 'none'"
    (event,) = await events(services, operator)
    assert (event.action, event.subject) == ("attachment.shown", f"attachment:{files[0]['id']}")
    assert event.organisation_id == place.organisation


async def test_what_people_write_is_text_and_never_a_part_of_the_page(
    client: httpx.AsyncClient, services: Services, place: Place, operator: StaffLogin
) -> None:
    talk = await waiting(client, services, place, f"<script>alert(1)</script> {{{{ 7*7 }}}} {SECRET}")
    message = await own_message(talk)
    for response in (
        await look(client, operator),
        await look(client, operator, page_of(talk)),
        await show(client, operator, f"{page_of(talk)}/messages/{message}/show"),
    ):
        assert "<script>alert" not in response.text
        assert "&lt;script&gt;alert" in response.text
        assert "{{ 7*7 }}" in response.text


async def test_arabic_runs_from_right_to_left_whatever_the_reader_speaks(
    client: httpx.AsyncClient, services: Services, place: Place, operator: StaffLogin
) -> None:
    talk = await waiting(client, services, place, "رقمي ٣٣٣١٢٣٤٥٦٧ شكراً", language="ar")
    page = (await look(client, operator, page_of(talk))).text
    assert '<html lang="en" dir="ltr">' in page
    assert '<div lang="ar" dir="rtl">' in page
    assert "٣٣٣١٢٣٤٥٦٧" not in page
    assert "رقمي \u2068[phone …٦٧]\u2069 شكراً" in page


@pytest.mark.parametrize("language", SPOKEN)
async def test_both_pages_are_in_the_readers_language(
    client: httpx.AsyncClient, services: Services, place: Place, language: str
) -> None:
    reader = await make_staff(services, "operator", organisation=place.organisation, desk=place.desk, language=language)
    assert say(language, "console.empty") in unescape((await look(client, reader)).text)
    talk = await waiting(client, services, place, f"cf {SECRET}", language=language)
    for path in ("/console", page_of(talk)):
        page = unescape((await look(client, reader, path)).text)
        assert f'<html lang="{language}" dir="{SPOKEN[language].direction}">' in page
        assert f"[{say(language, 'mask.fiscal_code')} …2S]" in page
        assert "console." not in page.replace("/console", "")
    for action in ("message.shown", "attachment.shown"):
        assert say(language, f"audit.{action}") != f"audit.{action}"
