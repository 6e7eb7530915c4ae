"""Pages of one desk, in the console: when it is open, and what it says often."""

import functools
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Annotated, Any

from babel.dates import format_date, format_skeleton, get_day_names
from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from backend import booking_setup, desk_days, desk_hours, desk_week, saved_replies
from backend.access import Staff, access_saved_replies
from backend.calendars import coming_holidays, holiday_countries
from backend.desk_hours import DeskHours
from backend.errors import AppError, NotFound
from backend.services import Services
from backend.stranded import Change, VisitsStranded
from backend.web.admin_page import Field, RowId, attempt
from backend.web.staff import StaffHere, own_form, problem_page, staff_language, staff_page
from backend.web.stranded_pages import leaves, question_page, try_change
from bot import handover_flow
from bot.phrases import SOURCE, digits, locale, say
from bot.turn import Held

router = APIRouter(prefix="/console/desks/{desk_id}", include_in_schema=False, dependencies=[Depends(own_form)])

Days = Annotated[list[str], Form(default_factory=list, max_length=7)]
Done = Annotated[str, Query(max_length=20)]
_DONE: dict[str, Callable[[str], str]] = {
    "saved": lambda language: say(language, "admin.done.saved"),
    "deleted": lambda language: say(language, "admin.done.deleted"),
}
"""What a page that was led to may say."""
_DAY_FIELDS = ("first", "last", "opens", "closes", "opens_again", "closes_again", "note")


def now() -> datetime:
    return datetime.now(UTC)


# --- hours ---


@router.get("/hours")
async def show_hours(request: Request, desk_id: RowId, staff: StaffHere, done: Done = "") -> HTMLResponse:
    return await _hours_page(request, staff, desk_id, done=done)


@router.post("/hours/periods")
async def add_periods(
    request: Request, desk_id: RowId, staff: StaffHere, weekday: Days, opens: Field = "", closes: Field = ""
) -> Response:
    change = functools.partial(desk_week.add_periods, desk_id=desk_id, weekdays=weekday, opens=opens, closes=closes)
    typed = {"weekday": weekday, "opens": opens, "closes": closes}
    return await _hours_changed(request, staff, desk_id, change, form="periods", typed=typed)


@router.post("/hours/periods/{period_id}")
async def change_period(
    request: Request, desk_id: RowId, period_id: RowId, staff: StaffHere, opens: Field = "", closes: Field = ""
) -> Response:
    change = functools.partial(
        desk_week.change_period, desk_id=desk_id, period_id=period_id, opens=opens, closes=closes
    )
    typed = {str(period_id): {"opens": opens, "closes": closes}}
    return await _hours_changed(request, staff, desk_id, change, form="period", typed=typed)


@router.post("/hours/breaks")
async def add_break(
    request: Request, desk_id: RowId, staff: StaffHere, weekday: Days, begins: Field = "", ends: Field = ""
) -> Response:
    change = functools.partial(desk_week.add_break, desk_id=desk_id, weekdays=weekday, begins=begins, ends=ends)
    typed = {"weekday": weekday, "begins": begins, "ends": ends}
    return await _hours_changed(request, staff, desk_id, change, form="breaks", typed=typed)


@router.post("/hours/periods/{period_id}/remove")
async def remove_period(request: Request, desk_id: RowId, period_id: RowId, staff: StaffHere) -> Response:
    change = functools.partial(desk_week.remove_period, desk_id=desk_id, period_id=period_id)
    return await _hours_changed(request, staff, desk_id, change, done="deleted")


@router.post("/hours/days")
async def add_days(
    request: Request,
    desk_id: RowId,
    staff: StaffHere,
    first: Field = "",
    last: Field = "",
    opens: Field = "",
    closes: Field = "",
    opens_again: Field = "",
    closes_again: Field = "",
    note: Field = "",
) -> Response:
    typed = {"first": first, "last": last, "opens": opens, "closes": closes, "note": note}
    typed |= {"opens_again": opens_again, "closes_again": closes_again}

    async def change(session: AsyncSession, staff: Staff) -> None:
        await desk_days.add_days(session, staff, desk_id, now=now(), **typed)

    return await _hours_changed(request, staff, desk_id, change, form="days", typed=typed)


@router.post("/hours/days/remove")
async def remove_days(
    request: Request, desk_id: RowId, staff: StaffHere, first: Field = "", last: Field = ""
) -> Response:
    change = functools.partial(desk_days.remove_days, desk_id=desk_id, first=first, last=last)
    return await _hours_changed(request, staff, desk_id, change, done="deleted")


@router.post("/hours/settings")
async def save_settings(
    request: Request, desk_id: RowId, staff: StaffHere, zone: Field = "", country: Field = "", minutes: Field = ""
) -> Response:
    typed = {"zone": zone, "country": country, "minutes": minutes}

    async def change(session: AsyncSession, staff: Staff) -> None:
        await desk_hours.save_settings(session, staff, desk_id, **typed)

    return await _hours_changed(request, staff, desk_id, change, form="settings", typed=typed)


@router.post("/hours/confirm")
async def confirm_hours(request: Request, desk_id: RowId, staff: StaffHere, back: Field = "") -> Response:
    """The end of the examples, from here or (`back`) from the page of what can be booked."""
    change = functools.partial(desk_hours.confirm_hours, desk_id=desk_id, now=now())
    to = "booking" if back == "booking" else "hours"
    return await _hours_changed(request, staff, desk_id, change, to=to, ends_demo=True)


async def _hours_changed(
    request: Request,
    staff: Staff,
    desk_id: int,
    change: Change,
    *,
    done: str = "saved",
    to: str = "hours",
    ends_demo: bool = False,
    **values: Any,
) -> Response:
    if await leaves(request):
        return await _hours_page(request, staff, desk_id, **values)
    problem = await try_change(request, staff, desk_id, change, ends_demo=ends_demo)
    if isinstance(problem, VisitsStranded):
        return await question_page(request, staff, desk_id, problem)
    if problem is not None:
        return await _hours_page(request, staff, desk_id, problem=problem, **values)
    return RedirectResponse(f"/console/desks/{desk_id}/{to}?done={done}", status_code=303)


async def _hours_page(
    request: Request,
    staff: Staff,
    desk_id: int,
    *,
    problem: AppError | None = None,
    done: str = "",
    form: str | None = None,
    typed: dict[str, Any] | None = None,
) -> HTMLResponse:
    """`form` is the one that was sent: only that one shows `typed` again."""
    services: Services = request.app.state.services
    language = staff_language(request, staff)
    async with services.sessions.begin() as session:
        hours = await desk_hours.read_hours(session, staff, desk_id, now())
        demo = (await booking_setup.read_setup(session, staff, desk_id, now())).demo
    settings = {"zone": hours.zone.key, "country": hours.country, "minutes": str(hours.minutes_each)}
    return _page(
        request,
        "console/desk_hours.html",
        staff,
        problem=problem,
        done=done,
        hours=hours,
        demo=demo,
        weekdays=weekday_names(language),
        at=functools.partial(_at, language),
        on=functools.partial(_on, language),
        preview=_preview(language, hours),
        holidays=coming_holidays(hours.country, hours.today, language) if hours.country else [],
        countries=_countries(language, hours.country),
        zones=desk_hours.zones(),
        most_minutes=desk_hours.MOST_MINUTES,
        longest_note=desk_days.LONGEST_NOTE,
        period_typed=typed if form == "period" and typed else {},
        breaks={"weekday": [], "begins": "", "ends": ""} | (typed if form == "breaks" and typed else {}),
        periods={"weekday": [], "opens": "", "closes": ""} | (typed if form == "periods" and typed else {}),
        days=dict.fromkeys(_DAY_FIELDS, "") | (typed if form == "days" and typed else {}),
        settings=settings | (typed if form == "settings" and typed else {}),
    )


def weekday_names(language: str) -> list[str]:
    names = get_day_names("wide", context="stand-alone", locale=locale(language))
    return [names[number] for number in range(7)]


def _at(language: str, moment: time) -> str:
    """As clocks at the desk show it, and as the bot tells it."""
    return digits(language, format_skeleton("Hm", moment, locale=locale(language)))


def _on(language: str, day: date) -> str:
    return digits(language, format_date(day, "full", locale=locale(language)))


def _countries(language: str, kept: str) -> list[tuple[str, str]]:
    """Code and name, by name; the country a desk has stays, whatever is known of it."""
    names = locale(language).territories
    codes = holiday_countries() | ({kept} if kept else set())
    return sorted(((code, str(names.get(code, code))) for code in codes), key=lambda one: one[1].casefold())


def _preview(language: str, hours: DeskHours) -> str:
    """What the bot would answer now."""
    made = hours.promise
    held = Held("WAITING", hours.name, now(), hours.zone.key, made.at, made.not_before)
    return handover_flow.handed_over(language, held, urgent=False)


# --- saved replies ---


@router.get("/replies")
async def show_replies(request: Request, desk_id: RowId, staff: StaffHere, done: Done = "") -> HTMLResponse:
    return await _replies_page(request, staff, desk_id, done=done)


@router.post("/replies")
async def add_reply(request: Request, desk_id: RowId, staff: StaffHere) -> Response:
    return await _save(request, staff, desk_id, None)


@router.get("/replies/{reply_id}")
async def show_reply(request: Request, desk_id: RowId, reply_id: RowId, staff: StaffHere) -> HTMLResponse:
    return await _replies_page(request, staff, desk_id, reply_id=reply_id)


@router.post("/replies/{reply_id}")
async def change_reply(request: Request, desk_id: RowId, reply_id: RowId, staff: StaffHere) -> Response:
    return await _save(request, staff, desk_id, reply_id)


@router.post("/replies/{reply_id}/delete")
async def delete_reply(request: Request, desk_id: RowId, reply_id: RowId, staff: StaffHere) -> Response:
    change = functools.partial(saved_replies.delete_reply, desk_id=desk_id, reply_id=reply_id)
    problem = await attempt(request, staff, change)
    if problem is not None:
        return await _replies_page(request, staff, desk_id, problem=problem)
    return RedirectResponse(f"/console/desks/{desk_id}/replies?done=deleted", status_code=303)


async def _save(request: Request, staff: Staff, desk_id: int, reply_id: int | None) -> Response:
    """A field for each language: their names are read from the form, not written into a signature."""
    async with request.form() as form:
        sent = {key: value for key, value in form.items() if isinstance(value, str)}
    name = sent.pop("name", "")
    texts = {key.removeprefix("text_"): value for key, value in sent.items() if key.startswith("text_")}
    change = functools.partial(saved_replies.save_reply, desk_id=desk_id, reply_id=reply_id, name=name, texts=texts)
    problem = await attempt(request, staff, change)
    if problem is not None:
        typed = {"name": name, "texts": texts}
        return await _replies_page(request, staff, desk_id, problem=problem, reply_id=reply_id, typed=typed)
    return RedirectResponse(f"/console/desks/{desk_id}/replies?done=saved", status_code=303)


async def _replies_page(
    request: Request,
    staff: Staff,
    desk_id: int,
    *,
    problem: AppError | None = None,
    done: str = "",
    reply_id: int | None = None,
    typed: dict[str, Any] | None = None,
) -> HTMLResponse:
    """With `reply_id`: one of them, to be worded anew."""
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        desk = await access_saved_replies(session, staff, desk_id, change=False)
        replies = await saved_replies.list_replies(session, staff, desk_id)
        name = desk.name
    chosen = next((reply for reply in replies if reply.id == reply_id), None)
    if reply_id is not None and chosen is None:
        raise NotFound
    shown = {"name": chosen.name, "texts": chosen.texts} if chosen else {"name": "", "texts": {}}
    return _page(
        request,
        "console/desk_replies.html",
        staff,
        problem=problem,
        done=done,
        desk_id=desk_id,
        desk=name,
        replies=replies,
        chosen=chosen,
        typed=typed or shown,
        adding=typed is not None and chosen is None,
        source=SOURCE,
        limits=saved_replies,
    )


def _page(
    request: Request, template: str, staff: Staff, *, problem: AppError | None, done: str, **values: Any
) -> HTMLResponse:
    if problem is not None:
        return problem_page(request, template, problem, staff=staff, **values)
    said = _DONE[done](staff_language(request, staff)) if done in _DONE else None
    return staff_page(request, template, staff=staff, done=said, **values)
