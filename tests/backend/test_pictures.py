"""Photographs of places: shown with author and licence, and only where there is a file."""

from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from backend.services import Services
from backend.web import views
from knowledge_base.entry import Picture
from tests.staff import FORM

pytestmark = pytest.mark.usefixtures("parser")
PNG = b"\x89PNG\r\n\x1a\n"
PICTURE = Picture(file="movicentro.png", author="Anna <Verdi>", licence="CC BY 4.0")


@pytest.fixture
def pictures(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The desk has a photograph of its door."""
    find = services.shelf.find_entry
    desk = find("sportello-elp")
    assert desk is not None
    seen = desk.model_copy(update={"facts": desk.facts.model_copy(update={"picture": PICTURE})})
    monkeypatch.setattr(services.shelf, "find_entry", lambda entry_id: seen if entry_id == desk.id else find(entry_id))
    monkeypatch.setattr(views, "PICTURES", tmp_path)
    (tmp_path / PICTURE.file).write_bytes(PNG)
    return tmp_path


async def ask(client: httpx.AsyncClient) -> str:
    sent = await client.post("/messages", data={"choice": "entry:sportello-elp"}, headers=FORM, follow_redirects=True)
    return sent.text


async def test_the_card_shows_it_with_author_and_licence(client: httpx.AsyncClient, pictures: Path) -> None:
    page = await ask(client)
    assert '<img src="/pictures/sportello-elp" alt="Foto: Sportello ELP' in page
    assert "Foto di Anna &lt;Verdi&gt;, licenza CC BY 4.0" in page
    shown = await client.get("/pictures/sportello-elp")
    assert shown.content == PNG
    assert shown.headers["content-type"] == "image/png"


async def test_without_its_file_there_is_no_broken_frame(client: httpx.AsyncClient, pictures: Path) -> None:
    (pictures / PICTURE.file).unlink()
    assert "<figure" not in await ask(client)
    assert (await client.get("/pictures/sportello-elp")).status_code == 404


@pytest.mark.parametrize("entry", ["isee", "nothing", "%2e%2e%2fentries.json", "santo-bambino-chiusa"])
async def test_nothing_else_can_be_fetched_there(client: httpx.AsyncClient, pictures: Path, entry: str) -> None:
    assert (await client.get(f"/pictures/{entry}")).status_code == 404


@pytest.mark.parametrize("file", ["../entries.json", "a/b.png", "A.png", "x.svg", "x.png\n", ".png", ""])
def test_a_file_has_a_plain_name(file: str) -> None:
    with pytest.raises(ValidationError):
        Picture(file=file, author="A", licence="B")
