"""The desk's calendar in the console: a day, a week, a month; a day on paper; a visit by its code."""

from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from backend import desk_calendar
from backend.access import desks_within
from backend.errors import AppError
from backend.visits import find_by_code
from backend.web.admin_page import Field, RowId
from backend.web.api import ServicesHere
from backend.web.calendar_frame import Frame, day_asked, monday, open_frame
from backend.web.staff import StaffHere, own_form, staff_page
from backend.web.tries import check_tries

router = APIRouter(prefix="/console/calendar", include_in_schema=False, dependencies=[Depends(own_form)])

DayAsked = Annotated[str, Query(alias="day", max_length=10)]
Word = Annotated[str, Query(max_length=10)]


class UnknownVisitCode(AppError):
    """None of those who are still expected at these desks has it."""

    status = 422
    code = "visit_code_unknown"


@router.get("")
async def choose_desk(
    request: Request, staff: StaffHere, services: ServicesHere, desk: Word = "", view: Word = "", day: DayAsked = ""
) -> Response:
    """Leads to the desk that was chosen, or to the first."""
    async with services.sessions.begin() as session:
        desks = await desks_within(session, staff)
    if not desks:
        return staff_page(request, "console/calendar_none.html", staff=staff)
    chosen = next((number for number, _ in desks if str(number) == desk), desks[0][0])
    wanted = "&".join(f"{name}={value}" for name, value in (("view", view), ("day", day)) if _is_plain(value))
    return RedirectResponse(f"/console/calendar/{chosen}{'?' + wanted if wanted else ''}", status_code=303)


def _is_plain(value: str) -> bool:
    return value.isascii() and value.replace("-", "").isalnum()


@router.get("/{desk_id}")
async def show_calendar(
    request: Request, desk_id: RowId, staff: StaffHere, view: Word = "", day: DayAsked = ""
) -> HTMLResponse:
    """A view that is none of ours is the day."""
    frame = await open_frame(request, staff, desk_id)
    wanted = day_asked(day, frame.head.today)
    show = {"week": _week, "month": _month}.get(view, show_day)
    return await show(frame, wanted)


async def show_day(frame: Frame, day: date, *, problem: AppError | None = None, code: str = "") -> HTMLResponse:
    async with frame.services.sessions.begin() as session:
        days = await desk_calendar.read_days(session, frame.staff, frame.head, day, 1, language=frame.language)
    one = timedelta(days=1)
    return frame.page(
        "console/calendar.html",
        problem=problem,
        view="day",
        day=day,
        shown=days[0],
        earlier=day - one,
        later=day + one,
        code=code,
    )


async def _week(frame: Frame, day: date) -> HTMLResponse:
    first = monday(day)
    async with frame.services.sessions.begin() as session:
        days = await desk_calendar.read_days(session, frame.staff, frame.head, first, 7, language=frame.language)
    week = timedelta(days=7)
    values: dict[str, Any] = {"view": "week", "day": day, "earlier": day - week, "later": day + week}
    return frame.page("console/calendar_week.html", days=days, **values)


async def _month(frame: Frame, day: date) -> HTMLResponse:
    """In whole weeks."""
    month = day.replace(day=1)
    after = (month + timedelta(days=31)).replace(day=1)
    first, last = monday(month), monday(after - timedelta(days=1)) + timedelta(days=6)
    number = (last - first).days + 1
    async with frame.services.sessions.begin() as session:
        counts = await desk_calendar.count_visits(session, frame.staff, frame.head, first, number)
    weeks = [[first + timedelta(days=at + weekday) for weekday in range(7)] for at in range(0, number, 7)]
    before = (month - timedelta(days=1)).replace(day=1)
    values: dict[str, Any] = {"view": "month", "day": day, "earlier": before, "later": after}
    return frame.page("console/calendar_month.html", month=month, weeks=weeks, counts=counts, **values)


@router.get("/{desk_id}/print")
async def print_day(
    request: Request, desk_id: RowId, staff: StaffHere, services: ServicesHere, day: DayAsked = "", names: Word = ""
) -> HTMLResponse:
    """First names only when somebody ticks the box: paper is left lying about."""
    frame = await open_frame(request, staff, desk_id)
    wanted = day_asked(day, frame.head.today)
    async with services.sessions.begin() as session:
        days = await desk_calendar.read_days(session, staff, frame.head, wanted, 1, language=frame.language)
    return frame.page("console/calendar_print.html", day=wanted, shown=days[0], names=names == "yes")


@router.post("/{desk_id}/search")
async def search(
    request: Request, desk_id: RowId, staff: StaffHere, services: ServicesHere, code: Field = ""
) -> Response:
    """At all desks where this person answers; the code is in no address. Whoever tries many of them has to wait."""
    frame = await open_frame(request, staff, desk_id)
    try:
        await check_tries(services, "visit_code", account=str(staff.account_id))
        visit_id = await _find(frame, code)
    except AppError as error:
        return await show_day(frame, frame.head.today, problem=error, code=code[:20])
    return RedirectResponse(visit_id, status_code=303)


async def _find(frame: Frame, code: str) -> str:
    """Where the visit is shown. Raises UnknownVisitCode."""
    async with frame.services.sessions.begin() as session:
        for desk in [frame.head.id, *(number for number, _ in frame.desks if number != frame.head.id)]:
            found = await find_by_code(session, frame.staff, desk, code)
            if found is not None:
                return f"/console/calendar/{desk}/visits/{found.id}"
    raise UnknownVisitCode
