"""Telephone numbers: left to right, in figures that can be dialled, whatever the language around them."""

import re

import httpx
import pytest

from bot.phrases import SPOKEN

pytestmark = pytest.mark.usefixtures("parser")
FORM = {"origin": "http://elp.test", "sec-fetch-site": "same-origin"}
LINK = re.compile(r'<a href="tel:([^"]*)">(.*?)</a>')
SHOWN = re.compile(r'(<span>)?<bdi dir="ltr">\+?[0-9][0-9 ]*[0-9]( \(WhatsApp\))?</bdi>')


async def numbers_on_the_page(client: httpx.AsyncClient, language: str, **form: str) -> list[str]:
    await client.get("/", params={"language": language})
    await client.post("/language", data={"language": language}, headers=FORM)
    page = await client.post("/messages", data=form, headers=FORM, follow_redirects=True)
    links = LINK.findall(page.text)
    for link, shown in links:
        assert re.fullmatch(r"\+?[0-9]+", link, re.ASCII), link
        assert SHOWN.match(shown), shown
    assert f'lang="{language}"' in page.text
    return [link for link, _ in links]


@pytest.mark.parametrize("language", SPOKEN)
async def test_the_numbers_of_an_emergency_can_be_dialled(client: httpx.AsyncClient, language: str) -> None:
    numbers = await numbers_on_the_page(client, language, text="mio marito mi picchia")
    assert numbers[:2] == ["112", "1522"]


@pytest.mark.parametrize("language", SPOKEN)
async def test_the_numbers_on_a_card_can_be_dialled(client: httpx.AsyncClient, language: str) -> None:
    numbers = await numbers_on_the_page(client, language, choice="entry:anticaporalato")
    assert numbers == ["800939000", "+393509092008"]
