"""The desk's own figures, as a page."""

from typing import Annotated

from babel.numbers import format_percent
from babel.units import format_unit
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from backend.figures import FEWEST, PERIODS, read_figures
from backend.web.api import ServicesHere
from backend.web.staff import StaffHere, own_form, staff_language, staff_page
from bot.phrases import digits, language_name, locale

router = APIRouter(prefix="/console/figures", include_in_schema=False, dependencies=[Depends(own_form)])
_HOUR_S, _DAY_S = 3600, 86400


def took(language: str, seconds: float) -> str:
    """«12 min», «3.5 hr», «2 days»: as exact as somebody wants to know it."""
    if seconds < 2 * _HOUR_S:
        number, unit = max(1.0, round(seconds / 60)), "duration-minute"
    elif seconds < 2 * _DAY_S:
        number, unit = round(seconds / _HOUR_S, 1), "duration-hour"
    else:
        number, unit = round(seconds / _DAY_S, 1), "duration-day"
    return digits(language, format_unit(number, unit, "short", locale=locale(language)))


@router.get("")
async def show_figures(
    request: Request, staff: StaffHere, services: ServicesHere, days: Annotated[str, Query(max_length=10)] = ""
) -> HTMLResponse:
    """A period that is none of ours is the middle one."""
    number = int(days) if days.isascii() and days.isdecimal() else PERIODS[1]
    chosen = number if number in PERIODS else PERIODS[1]
    async with services.sessions.begin() as session:
        figures = await read_figures(session, staff, days=chosen, now=services.now())
    language = staff_language(request, staff)
    spoken = {group.key: language_name(group.key, language) for group in figures.languages}
    return staff_page(
        request,
        "console/figures.html",
        staff=staff,
        figures=figures,
        periods=PERIODS,
        fewest=FEWEST,
        spoken=spoken,
        took=lambda seconds: took(language, seconds),
        share=lambda part: digits(language, format_percent(part, locale=locale(language))),
    )
