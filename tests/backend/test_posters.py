"""Posters: a page to print for every desk, with a code for each language."""

import re
from datetime import time

import httpx
import pytest
from fastapi import FastAPI
from markupsafe import escape

from backend.models import Desk, OpeningPeriod
from backend.services import Services
from backend.web.posters import MOST_LANGUAGES
from bot.phrases import SPOKEN, say
from tests.accounts import changed_settings
from tests.staff import make_desk, make_organisation

PUBLIC = "https://elp.example.org"


@pytest.fixture
async def desk(services: Services) -> int:
    """Open on Tuesday and Thursday, where an entry says."""
    entry = next(one for one in services.shelf.library.entries.values() if one.id == "sportello-elp")
    made = await make_desk(services, await make_organisation(services), "Sportello <Prova> & Figli")
    week = [(1, 9, 12), (1, 14, 17), (3, 9, 12), (3, 14, 17), (4, 10, 11)]
    async with services.sessions.begin() as session:
        session.add_all(
            OpeningPeriod(desk_id=made, weekday=day, opens=time(opens, 30), closes=time(closes))
            for day, opens, closes in week
        )
    assert entry.facts.address
    return made


@pytest.fixture
def reachable(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    changed_settings(app, monkeypatch, public_url=PUBLIC)


def codes(page: str) -> list[str]:
    return re.findall(r'class="code" src="([^"]+)"', page)


@pytest.mark.usefixtures("reachable")
async def test_a_poster_has_the_name_the_hours_and_a_code_and_a_link_for_each_language(
    client: httpx.AsyncClient, desk: int
) -> None:
    page = (await client.get(f"/poster/{desk}?languages=it,ar")).text
    assert "Sportello &lt;Prova&gt; &amp; Figli" in page
    assert "martedì e giovedì, 09:30–12:00" in page
    assert "martedì e giovedì, 14:30–17:00" in page
    assert "venerdì, 10:30–11:00" in page
    assert escape(say("ar", "poster.invitation")) in page
    assert '<section lang="ar" dir="rtl">' in page
    for language in ("it", "ar"):
        assert f'href="{PUBLIC}/?language={language}"' in page
        assert f">elp.example.org/?language={language}<" in page
    assert len(set(codes(page))) == 2
    assert say("it", "poster.unreachable") not in page


@pytest.mark.usefixtures("reachable")
async def test_the_languages_are_chosen_in_the_form_too_and_what_is_none_is_passed_over(
    client: httpx.AsyncClient, desk: int
) -> None:
    page = (await client.get(f"/poster/{desk}?languages=zh&languages=xx,,zh%00&languages=zh&languages=fr")).text
    assert re.findall(r'<section lang="(\w+)"', page) == ["zh", "fr"]
    everything = (await client.get(f"/poster/{desk}?languages={','.join(SPOKEN)}")).text
    assert len(codes(everything)) == MOST_LANGUAGES


async def test_without_a_wish_it_is_italian_and_what_the_reader_speaks(client: httpx.AsyncClient, desk: int) -> None:
    page = (await client.get(f"/poster/{desk}", headers={"accept-language": "uk"})).text
    assert re.findall(r'<section lang="(\w+)"', page) == ["it", "uk"]


async def test_whoever_prints_is_told_that_nobody_outside_can_reach_the_address(
    client: httpx.AsyncClient, desk: int
) -> None:
    page = (await client.get(f"/poster/{desk}?language=it")).text
    assert say("it", "poster.unreachable") in page


async def test_example_hours_are_called_examples(client: httpx.AsyncClient, services: Services, desk: int) -> None:
    async with services.sessions.begin() as session:
        found = await session.get(Desk, desk)
        assert found is not None
        found.demo_hours = True
    page = (await client.get(f"/poster/{desk}?languages=it,en")).text
    assert say("it", "console.hours.examples") in page
    assert say("en", "console.hours.examples") in page


async def test_the_place_is_that_of_the_entry(client: httpx.AsyncClient, services: Services) -> None:
    from sqlalchemy import select

    async with services.sessions.begin() as session:
        taken = (await session.execute(select(Desk.entry_id).where(Desk.entry_id.is_not(None)))).scalars().all()
    free = next(one for one in services.shelf.library.entries.values() if one.facts.address and one.id not in taken)
    made = await make_desk(services, await make_organisation(services), entry_id=free.id)
    page = (await client.get(f"/poster/{made}")).text
    assert free.facts.address is not None
    assert free.facts.address.split(",")[0].split("'")[0] in page


@pytest.mark.parametrize(
    "desk_id, status", [("2147483647", 404), ("0", 422), ("99999999999999999999", 422), ("x", 422)]
)
async def test_there_is_no_poster_for_a_desk_that_does_not_exist(
    client: httpx.AsyncClient, desk_id: str, status: int
) -> None:
    assert (await client.get(f"/poster/{desk_id}")).status_code == status


async def test_a_desk_without_hours_or_place_has_a_poster_all_the_same(
    client: httpx.AsyncClient, services: Services
) -> None:
    made = await make_desk(services, await make_organisation(services), "Sportello nuovo")
    page = await client.get(f"/poster/{made}?languages=it")
    assert page.status_code == 200
    assert 'class="hours"' not in page.text
