"""Files both ways: to the person at the desk while one is there, from them, and a kind word while the bot has it."""

import io
import json
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from PIL import Image
from sqlalchemy import select

from backend.attachments import LARGEST_FILE
from backend.models import Attachment, Message
from backend.services import Services
from backend.telegram_stand_in import StandIn
from bot.phrases import say
from tests.backend.test_attachments import MP3, OGG, PDF, picture
from tests.backend.test_handover_person import DESK, FORM, Operator
from tests.staff import sign_in
from tests.telegram.test_delivery import at_desk, heard
from tests.telegram.tools import answer, both, id_of, met, rows_of, until

VOICE = OGG


async def files_of(services: Services, conversation: UUID) -> list[Attachment]:
    async with services.sessions.begin() as session:
        query = select(Attachment).join(Message, Message.id == Attachment.message_id)
        own = query.where(Message.conversation_id == conversation).order_by(Message.id, Attachment.created_at)
        return list((await session.execute(own)).scalars())


async def kept(services: Services, conversation: UUID, count: int) -> list[Attachment]:
    async def there() -> bool:
        return len(await files_of(services, conversation)) == count

    await until(there)
    return await files_of(services, conversation)


# ---- from people ----


@both
async def test_files_reach_the_person_at_the_desk(
    telegram: object, standin: StandIn, operator: Operator, nobody: Services
) -> None:
    somebody, conversation = await at_desk(standin, operator, nobody)
    somebody.sends_photo(picture())
    somebody.sends_document(PDF, caption="è la lettera del Comune")
    somebody.sends_voice(VOICE)
    found = await kept(nobody, conversation, 3)
    assert [one.kind for one in found] == ["image", "pdf", "voice"]
    assert found[1].data == PDF
    said = [row.text for row in await rows_of(nobody, somebody) if row.author == "person" and row.text]
    assert "è la lettera del Comune" in said
    await somebody.no_message()


async def test_a_picture_loses_what_it_says_of_the_person(
    telegram: object, standin: StandIn, operator: Operator, nobody: Services
) -> None:
    somebody, conversation = await at_desk(standin, operator, nobody)
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    somebody.sends_document(picture(exif=exif), name="photo.jpg", mime="image/jpeg")
    (found,) = await kept(nobody, conversation, 1)
    assert b"where I live" not in found.data


@both
async def test_an_album_is_one_message(
    telegram: object, standin: StandIn, operator: Operator, nobody: Services
) -> None:
    somebody, conversation = await at_desk(standin, operator, nobody)
    parts = [("photo", picture()), ("photo", picture(size=(80, 20))), ("document", PDF)]
    somebody.sends_album(*parts, caption="tutte le pagine")
    found = await kept(nobody, conversation, 3)
    assert len({one.message_id for one in found}) == 1
    said = [row.text for row in await rows_of(nobody, somebody) if row.author == "person"]
    assert said.count("tutte le pagine") == 1


async def test_an_album_for_the_bot_is_explained_once(telegram: object, standin: StandIn) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    somebody.sends_album(("photo", picture()), ("photo", picture()))
    assert (await somebody.next_message(15)).buttons
    await somebody.no_message(1)


@pytest.mark.parametrize("kind", ["photo", "document", "voice", "video"])
async def test_while_the_bot_has_the_word_a_file_gets_a_kind_explanation_and_is_not_fetched(
    telegram: object, standin: StandIn, nobody: Services, kind: str
) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    getattr(somebody, f"sends_{kind}")()
    shown = await somebody.next_message(15)
    assert say("it", "choice.human") in str(shown.buttons)
    assert standin.calls_of("getFile") == []
    assert await files_of(nobody, await id_of(nobody, somebody)) == []


async def test_the_words_beside_a_file_are_answered(telegram: object, standin: StandIn) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    somebody.sends_photo(picture(), caption="sportello elp")
    assert "Sportello ELP" in (await somebody.next_message(15)).text


@pytest.mark.parametrize("announced", [LARGEST_FILE + 1, 300 * 1024**2, None])
async def test_a_voice_message_of_an_hour_is_refused_kindly(
    telegram: object, standin: StandIn, operator: Operator, nobody: Services, announced: int | None
) -> None:
    somebody, conversation = await at_desk(standin, operator, nobody)
    content = VOICE if announced else VOICE + bytes(LARGEST_FILE)
    somebody.sends_voice(content, seconds=3600, size=announced)
    await heard(somebody, say("it", "error.file_too_large", limit=10))
    assert await files_of(nobody, conversation) == []
    assert (await answer(somebody, "/person")).text


@pytest.mark.parametrize("sent", [b"", b"MZ not a picture", b"%PDF-1.7 cut off", b"\xff\xd8\xff broken"])
async def test_what_is_no_file_of_a_known_kind_is_refused_kindly(
    telegram: object, standin: StandIn, operator: Operator, nobody: Services, sent: bytes
) -> None:
    somebody, conversation = await at_desk(standin, operator, nobody)
    somebody.sends_document(sent, name="lettera.pdf")
    assert (await somebody.next_message(15)).text
    assert await files_of(nobody, conversation) == []


async def test_a_file_that_cannot_be_fetched_at_once_is_fetched_again(
    telegram: object, standin: StandIn, operator: Operator, nobody: Services
) -> None:
    somebody, conversation = await at_desk(standin, operator, nobody)
    standin.fault(method="getFile", status=502)
    somebody.sends_document(PDF)
    (found,) = await kept(nobody, conversation, 1)
    assert found.data == PDF


# ---- from the desk ----


@pytest.fixture
async def desk(client: httpx.AsyncClient, operator: Operator, nobody: Services) -> httpx.AsyncClient:
    client.cookies.update(await sign_in(nobody, operator.staff.account_id))
    return client


async def send(desk: httpx.AsyncClient, conversation: UUID, data: bytes, key: str = "one") -> httpx.Response:
    return await desk.post(
        f"/console/conversations/{conversation}/files",
        files={"file": ("x.bin", data, "application/octet-stream")},
        data={"client_message_id": key},
        headers=FORM,
    )


@pytest.mark.parametrize("sent, kind", [(picture(), "photo"), (picture("PNG"), "photo"), (PDF, "document")])
async def test_a_file_of_the_desk_arrives_once(
    telegram: object,
    standin: StandIn,
    operator: Operator,
    nobody: Services,
    desk: httpx.AsyncClient,
    sent: bytes,
    kind: str,
) -> None:
    somebody, conversation = await at_desk(standin, operator, nobody)
    for _ in range(2):
        assert (await send(desk, conversation, sent)).status_code == 303
    while (shown := await somebody.next_message(15)).file is None:
        pass
    assert shown.kind == kind
    assert shown.file is not None
    if kind == "document":
        assert shown.file.content == PDF
    await somebody.no_message()
    assert len(await files_of(nobody, conversation)) == 1
    assert standin.violations == []
    page = await desk.get(f"/console/conversations/{conversation}")
    assert say("en", f"console.file.{'image' if kind == 'photo' else 'pdf'}") in page.text


async def test_a_picture_too_narrow_for_telegram_arrives_as_a_file(
    telegram: object, standin: StandIn, operator: Operator, nobody: Services, desk: httpx.AsyncClient
) -> None:
    somebody, conversation = await at_desk(standin, operator, nobody)
    assert (await send(desk, conversation, picture(size=(1200, 20)))).status_code == 303
    while (shown := await somebody.next_message(15)).file is None:
        pass
    assert shown.kind == "document"
    await somebody.no_message()


async def test_a_file_of_the_desk_is_made_safe_and_sealed(
    telegram: object, standin: StandIn, operator: Operator, nobody: Services, desk: httpx.AsyncClient
) -> None:
    _, conversation = await at_desk(standin, operator, nobody)
    exif = Image.Exif()
    exif[0x010E] = "at the desk of Rosa"
    assert (await send(desk, conversation, picture(exif=exif))).status_code == 303
    (found,) = await files_of(nobody, conversation)
    assert b"at the desk of Rosa" not in found.data
    assert Image.open(io.BytesIO(found.data)).format == "JPEG"


@pytest.mark.parametrize(
    "sent, status",
    [(b"", 422), (MP3, 422), (b"MZ", 422), (PDF + bytes(LARGEST_FILE), 413), (bytes(12 * 1024**2), 413)],
)
async def test_what_the_desk_cannot_send_is_said_on_the_page(
    telegram: object,
    standin: StandIn,
    operator: Operator,
    nobody: Services,
    desk: httpx.AsyncClient,
    sent: bytes,
    status: int,
) -> None:
    _, conversation = await at_desk(standin, operator, nobody)
    response = await send(desk, conversation, sent)
    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/html")
    assert await files_of(nobody, conversation) == []


async def test_only_whoever_answers_can_send_a_file(
    telegram: object, standin: StandIn, operator: Operator, nobody: Services, desk: httpx.AsyncClient
) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    assert DESK in (await answer(somebody, "/person")).text
    conversation = await id_of(nobody, somebody)
    assert (await send(desk, conversation, PDF)).status_code == 409  # nobody has taken it
    assert await files_of(nobody, conversation) == []


async def test_on_the_page_the_person_sees_it_too(
    app: FastAPI, client: httpx.AsyncClient, operator: Operator, nobody: Services
) -> None:
    opened = (await client.post("/api/v1/conversations", json={"language": "it"})).json()
    path, headers = f"/api/v1/conversations/{opened['id']}", {"authorization": f"Bearer {opened['token']}"}
    await client.post(f"{path}/messages", json={"client_message_id": "a", "choice": "human"}, headers=headers)
    await operator.claim(UUID(opened["id"]))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://elp.test") as desk:
        desk.cookies.update(await sign_in(nobody, operator.staff.account_id))
        assert (await send(desk, UUID(opened["id"]), PDF)).status_code == 303
    (message,) = [
        one
        for one in (await client.get(f"{path}/messages", headers=headers)).json()["messages"]
        if one["author"] == "operator"
    ]
    assert message["desk"] == DESK
    (file,) = message["attachments"]
    assert (await client.get(file["url"], headers=headers)).content == PDF
    client.cookies.set("elp_chat", f"{opened['id']}.{opened['token']}")
    page = (await client.get("/")).text
    assert f"/attachments/{file['id']}" in page
    exported = (await client.get(f"{path}/export", headers=headers)).json()
    assert [one["kind"] for one in exported["attachments"]] == ["pdf"]
    assert (await client.delete(path, headers=headers)).status_code == 204
    assert await files_of(nobody, UUID(opened["id"])) == []


# ---- what is known of a person, taken along ----


async def test_what_is_known_comes_as_a_file(telegram: object, standin: StandIn, nobody: Services) -> None:
    somebody = standin.user(language_code="it")
    await met(somebody)
    await answer(somebody, "il mio segreto")
    shown = await answer(somebody, "/mydata")
    somebody.presses("export-file" if "export-file" in str(shown.buttons) else "export", message=shown)
    while (shown := await somebody.next_message(15)).file is None:
        if "export-file" in str(shown.buttons):
            somebody.presses("export-file", message=shown)
    known = json.loads(shown.file.content)
    assert known["conversation"]["telegram_chat"] == str(somebody.id)
    assert "il mio segreto" in [message["text"] for message in known["messages"]]
    assert standin.violations == []
