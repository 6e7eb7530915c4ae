"""A page to print and hang up at a desk: what the chat is, and for each chosen language a code that opens it there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import time
from typing import Annotated
from urllib.parse import urlencode, urlsplit

import segno
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncSession

from backend.desk_week import Period, read_week
from backend.errors import NotFound
from backend.models import Desk
from backend.services import Services
from backend.web.admin_page import RowId
from backend.web.api import ServicesHere
from backend.web.pages import page, reader_language
from bot.card import period_line, place_of
from bot.phrases import SOURCE, SPOKEN, say
from knowledge_base import entry

router = APIRouter(include_in_schema=False)
Languages = Annotated[list[str], Query(default_factory=list, max_length=100)]
MOST_LANGUAGES = 6
"""More on one sheet, and no code can be read from two steps away."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What stands on the poster in one language."""

    language: str
    link: str
    shown_link: str
    """As somebody would type it."""
    picture: str
    """The link as a QR code, a `data:` address."""
    hours: tuple[str, ...]


@router.get("/poster/{desk_id}")
async def show_poster(request: Request, desk_id: RowId, services: ServicesHere, languages: Languages) -> HTMLResponse:
    """`languages`: codes, between commas or one at a time; what is no language is passed over. Raises NotFound."""
    async with services.sessions.begin() as session:
        desk, periods = await _read_desk(session, desk_id)
        place = _place(services, desk)
    chosen = _chosen(languages) or list(dict.fromkeys((SOURCE, reader_language(request))))
    return page(
        request,
        "poster.html",
        language=reader_language(request),
        desk=desk.name,
        place=place,
        demo=desk.demo_hours and bool(periods),
        invitations=[_invitation(services, language, periods) for language in chosen],
        chosen=chosen,
        most=MOST_LANGUAGES,
        say_in=say,
        reachable=services.settings.public_url is not None,
    )


async def _read_desk(session: AsyncSession, desk_id: int) -> tuple[Desk, list[entry.Period]]:
    desk = await session.get(Desk, desk_id)
    if desk is None:
        raise NotFound
    return desk, _together(await read_week(session, desk_id))


def _together(week: Sequence[Sequence[Period]]) -> list[entry.Period]:
    """Days with the same hours are told in one line."""
    days: dict[tuple[time, time], list[str]] = {}
    for weekday, periods in zip(entry.WEEKDAYS, week, strict=True):
        for period in periods:
            days.setdefault((period.opens, period.closes), []).append(weekday)
    first = sorted(days.items(), key=lambda one: (entry.WEEKDAYS.index(one[1][0]), one[0]))
    return [entry.Period(days=tuple(named), opens=opens, closes=closes) for (opens, closes), named in first]


def _place(services: Services, desk: Desk) -> str | None:
    found = services.shelf.find_entry(desk.entry_id) if desk.entry_id else None
    return place_of(found.facts) if found else None


def _chosen(languages: Iterable[str]) -> list[str]:
    codes = [code.strip() for one in languages for code in one.split(",")]
    return [code for code in dict.fromkeys(codes) if code in SPOKEN][:MOST_LANGUAGES]


def _invitation(services: Services, language: str, periods: Iterable[entry.Period]) -> Invitation:
    link = f"{services.settings.address}/?{urlencode({'language': language})}"
    # A quarter of it may be torn, wet or scribbled over.
    code = segno.make(link, error="q", micro=False)
    return Invitation(
        language=language,
        link=link,
        shown_link=link.removeprefix(f"{urlsplit(link).scheme}://"),
        picture=code.svg_data_uri(scale=4, border=4, dark="#000", light="#fff"),
        hours=tuple(period_line(period, language) for period in periods),
    )
