"""Hours, days and counts on the console's pages are written in the figures of who reads them (decision 20)."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from backend.conversations import open_conversation
from backend.models import Appointment, DeskDay
from backend.services import Services
from bot.phrases import digits, say
from tests.appointments import NOW, Place, make_place, rome
from tests.handovers import put_at_desk
from tests.staff import Browser, Browsers

TEN = rome(2, 10)
AS_WRITTEN = ("console.hours.holidays", "console.figures.ninth")
"""«12 months» and «9 of 10», as their translators wrote them."""


@pytest.fixture
async def place(services: Services, monkeypatch: pytest.MonkeyPatch) -> Place:
    """With a visit, a workshop, a day that is different, and something to count."""
    monkeypatch.setattr(Services, "now", lambda _: NOW)
    made = await make_place(services.sessions, staff=2)
    visit = (await made.book(TEN)).visit
    async with services.sessions.begin() as session:
        late = update(Appointment).where(Appointment.id == visit.id)
        await session.execute(late.values(late_minutes=20, name="Amina"))
    workshop = await made.add_kind(minutes=60, capacity=12)
    await made.book(rome(2, 11), kind=workshop)
    await made.add(DeskDay(desk_id=made.desk, day=rome(4, 0).date(), opens=None, closes=None, note=""))
    for _ in range(4):
        who = await open_conversation(services.sessions, channel="api", language="it")
        asked = NOW - timedelta(hours=1)
        times: dict[str, Any] = {"asked_at": asked, "first_promise": asked + timedelta(minutes=30)}
        await put_at_desk(services, who.id, made.desk, "CLOSED", **times, first_reply_at=asked + timedelta(minutes=7))
    return made


async def seen(browser: Browser, path: str, language: str) -> str:
    """What stands on the page, without what is typed or said as a code: fields, the clock's zone, codes."""
    response = await browser.get(f"{path}{'&' if '?' in path else '?'}language={language}")
    assert response.status_code == 200, path
    page = response.text[response.text.index("<main") :]
    for left_out in (r"<script.*?</script>", r"<select.*?</select>", r"<a class=\"calendar-code\".*?</a>"):
        page = re.sub(left_out, " ", page, flags=re.DOTALL)
    page = re.sub(r'<p class="calendar-big".*?</p>|<td class="font-monospace".*?</td>', " ", page)
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


@pytest.mark.parametrize("language", ["fa", "bn"])
async def test_no_page_of_a_desk_writes_the_figures_of_another_script(
    place: Place, open_browser: Browsers, language: str
) -> None:
    manager = await open_browser("desk_manager", organisation=place.organisation, desk=place.desk)
    calendar, desk = f"/console/calendar/{place.desk}", f"/console/desks/{place.desk}"
    month = f"{calendar}?view=month&day=2027-03-02"
    pages = [f"{calendar}?day=2027-03-02", f"{calendar}?view=week&day=2027-03-02", month]
    pages += [f"{calendar}/new?kind={place.kind}&day=2027-03-02", f"{calendar}/print?day=2027-03-02"]
    pages += [f"{calendar}/walk-in", f"{calendar}/blocks", f"{desk}/hours", f"{desk}/booking", "/console/figures"]
    for path in pages:
        page = await seen(manager, path, language)
        for sentence in AS_WRITTEN:
            page = page.replace(say(language, sentence), "")
        page = re.sub(r"Staff \d", "", page)  # as their desk calls them
        found = [line.strip() for line in page.splitlines() if re.search("[0-9]", line)]
        assert not found, f"{path}: {found}"
    assert digits(language, "2027") in await seen(manager, month, language)
    assert digits(language, ":00") in await seen(manager, pages[0], language)
