"""Files that people send: what is taken, what becomes of it, and who gets it back."""

import asyncio
import base64
import io
import json
import logging
import struct
import zlib
from typing import Any
from uuid import uuid4

import httpx
import pytest
from PIL import ExifTags, Image, PngImagePlugin
from sqlalchemy import func, select, text

from backend.attachments import LARGEST_FILE, LONGEST_SIDE
from backend.models import Attachment, Message
from backend.services import Services
from bot.phrases import SPOKEN, say
from tests.backend.test_api import Talk, is_problem, open_talk
from tests.handovers import put_at_desk

PDF = b"%PDF-1.7\n1 0 obj\n<< >>\nendobj\ntrailer\n<< >>\n%%EOF\n"
OGG = b"OggS\x00\x02" + bytes(22) + b"OpusHead" + bytes(100)
MP3 = b"\xff\xfb\x90\x64" + bytes(400)
M4A = b"\x00\x00\x00\x20ftypM4A " + bytes(20) + b"\x00\x00\x00\x21hdlr" + bytes(8) + b"soun" + bytes(40)
WEBM = b"\x1a\x45\xdf\xa3" + bytes(20) + b"webm" + bytes(40) + b"\x86\x86A_OPUS" + bytes(40)
VIDEO = M4A + b"\x00\x00\x00\x21hdlr" + bytes(8) + b"vide" + bytes(40)


def picture(kind: str = "JPEG", size: tuple[int, int] = (60, 40), **more: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "teal").save(out, kind, **more)
    return out.getvalue()


async def send(
    talk: Talk, data: bytes, name: str = "x.bin", *, key: str | None = None, **headers: str
) -> httpx.Response:
    return await talk.http.post(
        f"{talk.path}/attachments",
        files={"file": (name, data, "application/x-anything")},
        data={"client_message_id": key or uuid4().hex},
        headers=talk.headers | headers,
    )


async def sent(talk: Talk, data: bytes) -> tuple[dict[str, Any], httpx.Response]:
    """What the API says of the file, and the file as it is served."""
    response = await send(talk, data)
    assert response.status_code == 201, response.text
    (described,) = response.json()["attachments"]
    served = await talk.http.get(described["url"], headers=talk.headers)
    assert served.status_code == 200
    return described, served


@pytest.mark.parametrize(
    "kind, mode, media_type",
    [
        ("JPEG", "RGB", "image/jpeg"),
        ("JPEG", "L", "image/jpeg"),
        ("JPEG", "CMYK", "image/jpeg"),
        ("MPO", "RGB", "image/jpeg"),
        ("PNG", "RGB", "image/png"),
        ("PNG", "RGBA", "image/png"),
        ("PNG", "1", "image/png"),
        ("WEBP", "RGB", "image/jpeg"),
        ("WEBP", "RGBA", "image/png"),
        ("GIF", "P", "image/png"),
    ],
)
async def test_a_picture_is_taken_whatever_it_is_called_and_comes_back_as_one(
    client: httpx.AsyncClient, kind: str, mode: str, media_type: str
) -> None:
    out = io.BytesIO()
    Image.new(mode, (60, 40)).save(out, kind)
    described, served = await sent(await open_talk(client), out.getvalue())
    assert described["kind"] == "image"
    assert described["media_type"] == served.headers["content-type"] == media_type
    assert described["size"] == len(served.content)
    assert Image.open(io.BytesIO(served.content)).size == (60, 40)
    assert served.headers["content-disposition"].startswith("inline; filename=")


async def test_a_picture_loses_everything_that_is_not_picture(client: httpx.AsyncClient) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "SECRETMAKER"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (45.0, 27.0, 58.0)
    words = PngImagePlugin.PngInfo()
    words.add_text("Author", "SECRETAUTHOR")
    words.add_itxt("XML:com.adobe.xmp", "SECRETXMP")
    jpeg = picture(exif=exif, comment=b"SECRETCOMMENT", icc_profile=b"SECRETPROFILE" * 20, xmp=b"SECRETXMP")
    webp = picture("WEBP", exif=exif, xmp=b"SECRETXMP")
    talk = await open_talk(client)
    for data in (jpeg, picture("PNG", pnginfo=words, exif=exif), webp):
        assert b"SECRET" in data
        _, served = await sent(talk, data)
        assert b"SECRET" not in served.content
        image = Image.open(io.BytesIO(served.content))
        assert not image.getexif()
        assert not {"comment", "icc_profile", "xmp", "Author"} & set(image.info)


async def test_a_picture_is_turned_the_right_way_up_before_its_orientation_is_dropped(
    client: httpx.AsyncClient,
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    _, served = await sent(await open_talk(client), picture(size=(80, 20), exif=exif))
    assert Image.open(io.BytesIO(served.content)).size == (20, 80)


async def test_a_large_picture_becomes_small_enough_and_of_a_moving_one_the_first_stays(
    client: httpx.AsyncClient,
) -> None:
    talk = await open_talk(client)
    for kind in ("JPEG", "PNG"):
        _, served = await sent(talk, picture(kind, (4000, 1000)))
        assert Image.open(io.BytesIO(served.content)).size == (LONGEST_SIDE, LONGEST_SIDE // 4)
    frames = [Image.new("RGB", (30, 30), colour) for colour in ("red", "blue")]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    _, served = await sent(talk, out.getvalue())
    image = Image.open(io.BytesIO(served.content))
    assert getattr(image, "n_frames", 1) == 1
    assert image.convert("RGB").getpixel((5, 5)) == (255, 0, 0)


async def test_a_grey_scan_of_sixteen_bits_stays_readable(client: httpx.AsyncClient) -> None:
    out = io.BytesIO()
    Image.new("I;16", (20, 20), 0x8000).save(out, "PNG")
    _, served = await sent(await open_talk(client), out.getvalue())
    assert Image.open(io.BytesIO(served.content)).getpixel((3, 3)) == 128


def png_bomb() -> bytes:
    """A few kilobytes that would be 400 million pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(2501) * 20_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        picture()[:300],
        b"\xff\xd8\xff" + bytes(200),
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a" + b"\xff" * 30,
        b"RIFF\x00\x00\x00\x00WEBP" + bytes(50),
        png_bomb(),
        b"%PDF-1.4\nnever ends",
    ],
    ids=["cut", "jpeg", "png", "gif", "webp", "bomb", "pdf"],
)
async def test_a_broken_file_and_a_bomb_are_refused_kindly(client: httpx.AsyncClient, data: bytes) -> None:
    talk = await open_talk(client)
    assert is_problem(await send(talk, data), 422, "broken_file")
    assert len(await talk.messages()) == 1


@pytest.mark.parametrize(
    "data, kind, media_type",
    [
        (PDF, "pdf", "application/pdf"),
        (OGG, "voice", "audio/ogg"),
        (MP3, "voice", "audio/mpeg"),
        (b"ID3\x04" + bytes(200), "voice", "audio/mpeg"),
        (M4A, "voice", "audio/mp4"),
        (WEBM, "voice", "audio/webm"),
    ],
)
async def test_letters_and_voices_come_back_as_they_were_and_only_as_a_download(
    client: httpx.AsyncClient, data: bytes, kind: str, media_type: str
) -> None:
    described, served = await sent(await open_talk(client), data)
    assert (described["kind"], described["media_type"]) == (kind, media_type)
    assert served.content == data
    assert served.headers["content-type"] == media_type
    assert served.headers["content-disposition"].startswith("attachment; filename=")


@pytest.mark.parametrize(
    "data",
    [
        b"<html><script>alert(1)</script>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"MZ\x90\x00" + bytes(100),
        b"PK\x03\x04" + bytes(100),
        b"BM" + bytes(100),
        b"II*\x00" + bytes(100),
        b"plain words",
        b"\xff\xf1\x50\x80" + bytes(100),
        b"OggS" + bytes(100),
        b"\x1a\x45\xdf\xa3" + bytes(20) + b"webm" + b"V_VP9 A_OPUS",
        VIDEO,
        b"RIFF\x00\x00\x00\x00WAVE",
        b" " + PDF,
    ],
)
async def test_everything_else_is_refused_whatever_it_says_it_is(client: httpx.AsyncClient, data: bytes) -> None:
    talk = await open_talk(client)
    response = await talk.http.post(
        f"{talk.path}/attachments",
        files={"file": ("letter.jpg", data, "image/jpeg")},
        data={"client_message_id": "a"},
        headers=talk.headers,
    )
    assert is_problem(response, 422, "unknown_file_type")
    assert len(await talk.messages()) == 1


async def test_an_empty_file_is_said_to_be_empty(client: httpx.AsyncClient) -> None:
    assert is_problem(await send(await open_talk(client), b""), 422, "empty_file")


async def test_a_file_that_is_too_large_is_refused_with_the_limit_before_it_is_read(client: httpx.AsyncClient) -> None:
    talk = await open_talk(client)
    read = 0

    async def body():  # type: ignore[no-untyped-def]
        nonlocal read
        yield b'--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n%PDF-'
        for _ in range(400):
            read += 1
            yield bytes(64 * 1024)

    headers = talk.headers | {"content-type": "multipart/form-data; boundary=b", "accept-language": "it"}
    said = headers | {"content-length": str(LARGEST_FILE + 200_000)}
    response = await client.post(f"{talk.path}/attachments", content=body(), headers=said)
    assert is_problem(response, 413, "file_too_large")
    assert "10 MB" in response.json()["title"]
    assert read == 0
    # Without saying how long it is, in pieces.
    response = await client.post(f"{talk.path}/attachments", content=body(), headers=headers)
    assert response.status_code == 413
    assert is_problem(await send(talk, b"%PDF-" + bytes(LARGEST_FILE)), 413, "file_too_large")
    assert len(await talk.messages()) == 1


async def test_the_largest_file_is_taken(client: httpx.AsyncClient) -> None:
    data = PDF + bytes(LARGEST_FILE - 2 * len(PDF)) + PDF
    _, served = await sent(await open_talk(client), data)
    assert served.content == data


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"data": {"client_message_id": "a"}},
        {"files": {"file": ("a", PDF)}},
        {"files": {"file": ("a", PDF)}, "data": {"client_message_id": "not an id!"}},
        {"files": {"file": ("a", PDF)}, "data": {"client_message_id": "x" * 65}},
        {"files": {"client_message_id": ("a", b"a")}, "data": {"file": "text"}},
        {"files": [("file", ("a", PDF)), ("file", ("b", PDF))], "data": {"client_message_id": "a"}},
        {"json": {"file": "x"}},
        {"content": b"--b\r\nnonsense", "headers": {"content-type": "multipart/form-data; boundary=b"}},
        {"content": b"", "headers": {"content-type": "multipart/form-data"}},
        {"content": b"--b\r\n\r\n", "headers": {"content-type": "multipart/form-data; boundary=b; charset=zzz"}},
        {
            "content": b'--b\r\ncontent-disposition: form-data; name="file"; filename="\xff"\r\n\r\n%PDF-',
            "headers": {"content-type": "multipart/form-data; boundary=b"},
        },
    ],
)
async def test_a_broken_form_is_a_problem_and_never_a_crash(client: httpx.AsyncClient, form: dict[str, Any]) -> None:
    talk = await open_talk(client)
    headers = talk.headers | form.pop("headers", {})
    response = await client.post(f"{talk.path}/attachments", headers=headers, **form)
    assert is_problem(response, 422, "invalid_request")
    assert len(await talk.messages()) == 1


@pytest.mark.parametrize("language", SPOKEN)
async def test_the_bot_says_that_it_cannot_read_it_and_offers_a_person(
    client: httpx.AsyncClient, language: str
) -> None:
    talk = await open_talk(client, language)
    response = await send(talk, picture())
    assert response.json()["author"] == "person"
    assert response.json()["text"] == say(language, "choice.attachment")
    _, question, answer = await talk.messages()
    assert question["attachments"] == response.json()["attachments"]
    assert answer["text"] == say(language, "attachment.received")
    assert [choice["id"] for choice in answer["choices"]] == ["human", "topics"]


async def test_the_same_file_sent_twice_is_stored_and_answered_once(
    client: httpx.AsyncClient, services: Services
) -> None:
    talk = await open_talk(client)
    first, again = await asyncio.gather(send(talk, PDF, key="one"), send(talk, PDF, key="one"))
    third = await send(talk, PDF, key="one")
    assert first.json() == again.json() == third.json()
    assert len(await talk.messages()) == 3
    assert await _count(services, talk) == 1


async def test_a_file_in_a_conversation_that_a_person_answers_gets_no_answer_of_the_bot(
    client: httpx.AsyncClient, services: Services
) -> None:
    talk = await open_talk(client)
    await put_at_desk(services, talk.id, state="ACTIVE")
    assert (await send(talk, PDF)).status_code == 201
    assert [message["author"] for message in await talk.messages()] == ["bot", "person"]


async def test_nobody_else_sends_or_reads_a_file(client: httpx.AsyncClient) -> None:
    talk, other = await open_talk(client), await open_talk(client)
    described, _ = await sent(talk, PDF)
    assert is_problem(await client.get(described["url"]), 401, "unauthorized")
    assert is_problem(await client.get(described["url"], headers=other.headers), 404, "not_found")
    elsewhere = described["url"].replace(talk.id, other.id)
    assert is_problem(await client.get(elsewhere, headers=other.headers), 404, "not_found")
    missing = f"{talk.path}/attachments/{uuid4()}"
    assert is_problem(await client.get(missing, headers=talk.headers), 404, "not_found")
    other.path = talk.path
    assert is_problem(await send(other, PDF), 404, "not_found")
    other.headers = {}
    assert is_problem(await send(other, PDF), 401, "unauthorized")


async def test_a_file_is_served_so_that_it_can_do_nothing(client: httpx.AsyncClient) -> None:
    talk = await open_talk(client)
    response = await send(talk, PDF, "Mario Rossi.html")
    served = await client.get(response.json()["attachments"][0]["url"], headers=talk.headers)
    assert served.headers["content-security-policy"] == "sandbox; default-src 'none'; frame-ancestors 'none'"
    assert served.headers["x-content-type-options"] == "nosniff"
    assert served.headers["cache-control"] == "no-store"
    assert "Mario" not in served.headers["content-disposition"]
    assert served.headers["content-disposition"].endswith('.pdf"')


async def test_in_the_database_a_file_is_encrypted(client: httpx.AsyncClient, services: Services) -> None:
    described, _ = await sent(await open_talk(client), PDF)
    async with services.sessions.begin() as session:
        raw = await session.execute(text("SELECT data FROM attachments WHERE id = :id"), {"id": described["id"]})
        assert b"PDF" not in bytes(raw.scalar_one())


async def _count(services: Services, talk: Talk) -> int:
    async with services.sessions.begin() as session:
        query = select(func.count()).select_from(Attachment).join(Message, Message.id == Attachment.message_id)
        return int((await session.execute(query.where(Message.conversation_id == talk.id))).scalar_one())


async def test_files_are_taken_along_and_erased_with_the_rest(client: httpx.AsyncClient, services: Services) -> None:
    talk = await open_talk(client)
    described, _ = await sent(talk, PDF)
    known = (await client.get(f"{talk.path}/export", headers=talk.headers)).json()
    (file,) = known["attachments"]
    assert (file["kind"], file["media_type"], file["size"]) == ("pdf", "application/pdf", len(PDF))
    assert base64.b64decode(file["data"]) == PDF
    await talk.press("forget-now")
    assert is_problem(await client.get(described["url"], headers=talk.headers), 404, "not_found")
    assert await _count(services, talk) == 0
    again, _ = await sent(talk, PDF)
    assert (await client.delete(talk.path, headers=talk.headers)).status_code == 204
    async with services.sessions.begin() as session:
        assert await session.get(Attachment, again["id"]) is None


async def test_too_many_files_have_to_wait(
    client: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.limits, "enabled", True)
    talk = await open_talk(client)
    statuses = [(await send(talk, PDF)).status_code for _ in range(11)]
    assert statuses == [201] * 10 + [429]


async def test_openapi_describes_both_ways(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/api/v1/openapi.json")).json()["paths"]
    one = paths["/api/v1/conversations/{conversation_id}/attachments"]["post"]
    form = one["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["required"]) == {"file", "client_message_id"}
    assert {"201", "401", "404", "413", "422", "429"} <= set(one["responses"])
    two = paths["/api/v1/conversations/{conversation_id}/attachments/{attachment_id}"]["get"]
    assert "application/pdf" in two["responses"]["200"]["content"]


@pytest.mark.usefixtures("parser")
async def test_the_log_of_a_turn_holds_no_words(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    talk = await open_talk(client)
    await talk.say("parola-segreta RSSMRA85T10A562S e 3331234567")
    await send(talk, PDF, "parola-segreta.pdf")
    await send(talk, b"parola-segreta")
    logged = caplog.text + json.dumps([str(record.__dict__) for record in caplog.records])
    for word in ("parola-segreta", "RSSMRA85T10A562S", "3331234567", talk.headers["authorization"].split()[1]):
        assert word not in logged
