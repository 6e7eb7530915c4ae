"""What the pages of a desk's calendar share: the desk and its clock, the words for days and hours, the search."""

import functools
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Literal

from babel.dates import format_date, format_skeleton, get_day_names
from fastapi import Request
from fastapi.responses import HTMLResponse

from backend.access import Staff, desks_within
from backend.desk_calendar import DeskHead, read_head
from backend.desk_visits import possible_steps
from backend.errors import AppError
from backend.models.appointments import TO_COME
from backend.services import Services
from backend.visits import Visit
from backend.web.staff import problem_page, staff_language, staff_page
from bot.phrases import digits, language_name, locale, say

_DONE = (
    "arrived",
    "blocked",
    "booked",
    "booked_told",
    "cancelled_told",
    "cancelled_untold",
    "confirmed",
    "done",
    "feed_stopped",
    "moved_told",
    "moved_untold",
    "no_show",
    "unblocked",
    "walked_in",
)
"""What a page that was led to may say."""
_FIRST, _LAST = date(2020, 1, 1), date(2100, 1, 1)


@dataclass(frozen=True, slots=True)
class Frame:
    """One request to one desk's calendar."""

    request: Request
    staff: Staff
    head: DeskHead
    desks: list[tuple[int, str]]

    @property
    def services(self) -> Services:
        services: Services = self.request.app.state.services
        return services

    @property
    def language(self) -> str:
        return staff_language(self.request, self.staff)

    @property
    def here(self) -> str:
        return f"/console/calendar/{self.head.id}"

    def page(self, template: str, *, problem: AppError | None = None, **values: Any) -> HTMLResponse:
        language, head = self.language, self.head
        shared: dict[str, Any] = {
            "head": head,
            "desks": self.desks,
            "here": self.here,
            "day": head.today,
            "view": "",
            "code": "",
            "at": functools.partial(_at, language, head),
            "span": functools.partial(_span, language),
            "on": functools.partial(_on, language),
            "weekday": functools.partial(_weekday, language),
            "spoken": lambda code: language_name(code, language),
            "title_of": functools.partial(entry_title, self.services, language),
            "steps_of": lambda visit: possible_steps(visit, head.zone, head.now),
            "changeable": self.changeable,
        }
        values = shared | values
        if problem is not None:
            return problem_page(self.request, template, problem, staff=self.staff, **values)
        done = self.request.query_params.get("done") if self.request.method == "GET" else None
        said = say(language, f"console.calendar.did.{done}") if done in _DONE else None
        return staff_page(self.request, template, staff=self.staff, done=said, **values)

    def changeable(self, visit: Visit) -> bool:
        return visit.status in TO_COME and visit.starts > self.head.now


async def open_frame(request: Request, staff: Staff, desk_id: int) -> Frame:
    """Raises NotFound."""
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        head = await read_head(session, staff, desk_id, services.now())
        return Frame(request, staff, head, await desks_within(session, staff))


def day_asked(raw: str, today: date) -> date:
    """What is no day that anybody plans for is today."""
    try:
        found = date.fromisoformat(raw)
    except ValueError:
        return today
    return found if _FIRST <= found <= _LAST else today


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def entry_title(services: Services, language: str, entry_id: str | None) -> str:
    """Empty for no entry, and for one that is not shown."""
    entry = services.shelf.find_entry(entry_id) if entry_id else None
    found = entry.text_for(language) if entry and entry.shown else None
    return found[1].title if found else ""


def _at(language: str, head: DeskHead, moment: datetime) -> str:
    """The hour on the desk's clock."""
    return _clock(language, head.local(moment).time())


def _span(language: str, hours: tuple[time, time]) -> str:
    return " – ".join(_clock(language, hour) for hour in hours)


def _clock(language: str, hour: time) -> str:
    return digits(language, format_skeleton("Hm", hour, locale=locale(language)))


def _on(language: str, day: date, skeleton: str = "") -> str:
    """In full, or what CLDR makes of a skeleton such as `MMMd`."""
    spoken = locale(language)
    written = format_skeleton(skeleton, day, locale=spoken) if skeleton else format_date(day, "full", locale=spoken)
    return digits(language, written)


def _weekday(language: str, day: date, width: Literal["wide", "abbreviated"] = "wide") -> str:
    return str(get_day_names(width, context="stand-alone", locale=locale(language))[day.weekday()])
