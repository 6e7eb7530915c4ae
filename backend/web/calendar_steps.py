"""One visit in the desk's calendar: booked for somebody, moved, cancelled, marked; and who comes without one."""

import functools
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from backend import booking, desk_visits, visit_news
from backend.access import Staff, access_appointments, access_conversation
from backend.availability import FreeTime
from backend.booking import SlotTaken, Wish
from backend.conversations import check_language
from backend.db import retried
from backend.desk_calendar import KindHere, get_line, list_kinds
from backend.desk_visits import NobodyFree, NoWorkshop, WalkIn, open_times, record
from backend.errors import AppError, Forbidden, InvalidRequest, NotFound, Unauthorized
from backend.visits import Visit
from backend.web.admin_page import Field, RowId, attempt
from backend.web.api import ServicesHere
from backend.web.appointments_api import moment
from backend.web.calendar_frame import Frame, day_asked, open_frame
from backend.web.calendar_pages import DayAsked, Word
from backend.web.staff import StaffHere, own_form
from bot.phrases import SOURCE
from bot.visit_news import What

router = APIRouter(prefix="/console/calendar/{desk_id}", include_in_schema=False, dependencies=[Depends(own_form)])

Start = Annotated[str, Query(max_length=40)]
Whose = Annotated[str, Query(max_length=40)]
_MOST_DAYS = 15
"""With room, shown at once."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Days on which somebody can come, and the times of one of them."""

    days: list[tuple[date, int]]
    later: date | None
    day: date | None
    times: list[FreeTime]


async def _choice(frame: Frame, day: str, after: str, **wanted: Any) -> Choice:
    """Raises what `open_times` raises."""
    async with frame.services.sessions.begin() as session:
        _, times = await open_times(session, frame.staff, frame.head.id, now=frame.head.now, **wanted)
    numbers = Counter(frame.head.day_of(one.start) for one in times)
    first = day_asked(after, frame.head.today)
    days = sorted(one for one in numbers if one >= first)
    shown, later = days[:_MOST_DAYS], days[_MOST_DAYS : _MOST_DAYS + 1]
    asked = day_asked(day, frame.head.today)
    chosen = asked if asked in numbers else next(iter(shown), None)
    of_day = [one for one in times if frame.head.day_of(one.start) == chosen]
    return Choice([(one, numbers[one]) for one in shown], later[0] if later else None, chosen, of_day)


async def _made(work: Awaitable[Any]) -> AppError | None:
    """Of a step with transactions of its own: what is in its way and can be said on the page."""
    try:
        await work
    except (NotFound, Forbidden, Unauthorized):
        raise
    except AppError as error:
        return error
    return None


def _day_after(problem: AppError | None, frame: Frame, day: str) -> str:
    """Where the times nearest to the one that is taken are."""
    if isinstance(problem, SlotTaken) and problem.alternatives:
        return frame.head.day_of(problem.alternatives[0].start).isoformat()
    return day


# --- one visit ---


@router.get("/visits/{appointment_id}")
async def show_visit(request: Request, desk_id: RowId, appointment_id: UUID, staff: StaffHere) -> HTMLResponse:
    return await _visit_page(await open_frame(request, staff, desk_id), appointment_id)


async def _visit_page(frame: Frame, appointment_id: UUID, *, problem: AppError | None = None) -> HTMLResponse:
    async with frame.services.sessions.begin() as session:
        line = await get_line(session, frame.staff, frame.head, appointment_id, language=frame.language)
        kinds = await list_kinds(session, frame.staff, frame.head.id, frame.language)
    offered = line.visit.kind_id in {kind.id for kind in kinds}
    day = frame.head.day_of(line.starts)
    return frame.page("console/calendar_visit.html", problem=problem, line=line, day=day, offered=offered)


@router.post("/visits/{appointment_id}/mark")
async def mark(
    request: Request,
    desk_id: RowId,
    appointment_id: UUID,
    staff: StaffHere,
    seen: Field = "",
    into: Field = "",
    back: Field = "",
) -> Response:
    """`seen`: the state that was on the page. A colleague who was quicker is not overwritten."""
    frame = await open_frame(request, staff, desk_id)

    async def change(session: AsyncSession, by: Staff) -> None:
        await desk_visits.mark(session, by, desk_id, appointment_id, seen=seen, into=into, now=frame.services.now())

    problem = await retried(lambda: attempt(request, staff, change))
    if problem is not None:
        return await _visit_page(frame, appointment_id, problem=problem)
    return await _back(frame, appointment_id, into, to_day=back == "day")


async def _back(frame: Frame, appointment_id: UUID, done: str, *, to_day: bool = False) -> Response:
    if not to_day:
        return RedirectResponse(f"{frame.here}/visits/{appointment_id}?done={done}", status_code=303)
    async with frame.services.sessions.begin() as session:
        line = await get_line(session, frame.staff, frame.head, appointment_id, language=frame.language)
    day = frame.head.day_of(line.starts)
    return RedirectResponse(f"{frame.here}?day={day}&done={done}#v-{appointment_id}", status_code=303)


@router.post("/visits/{appointment_id}/cancel")
async def cancel(request: Request, desk_id: RowId, appointment_id: UUID, staff: StaffHere) -> Response:
    frame = await open_frame(request, staff, desk_id)
    step = functools.partial(booking.cancel, frame.services.sessions, appointment_id, staff, frame.services.now())
    return await _changed(frame, appointment_id, step, "cancelled", "cancelled_by_desk")


@router.get("/visits/{appointment_id}/move")
async def choose_time(
    request: Request, desk_id: RowId, appointment_id: UUID, staff: StaffHere, day: DayAsked = "", after: Word = ""
) -> HTMLResponse:
    return await _move_page(await open_frame(request, staff, desk_id), appointment_id, day, after)


async def _move_page(
    frame: Frame, appointment_id: UUID, day: str, after: str = "", *, problem: AppError | None = None
) -> HTMLResponse:
    async with frame.services.sessions.begin() as session:
        line = await get_line(session, frame.staff, frame.head, appointment_id, language=frame.language)
    visit = line.visit
    if not frame.changeable(visit) or visit.kind_id is None:
        return await _visit_page(frame, appointment_id, problem=problem or booking.AppointmentOver())
    wanted = {"kind_id": visit.kind_id, "language": visit.language, "interpreter": visit.interpreter_id is not None}
    choice = None
    try:
        choice = await _choice(frame, _day_after(problem, frame, day), after, moving=visit.id, **wanted)
    except NotFound:
        raise
    except AppError as error:
        problem = problem or error
    day_before = frame.head.day_of(visit.starts)
    return frame.page("console/calendar_move.html", problem=problem, line=line, day=day_before, choice=choice)


@router.post("/visits/{appointment_id}/move")
async def move(request: Request, desk_id: RowId, appointment_id: UUID, staff: StaffHere, start: Field = "") -> Response:
    frame = await open_frame(request, staff, desk_id)
    sessions, now = frame.services.sessions, frame.services.now()

    async def step(**then: Any) -> Visit:
        return await booking.move(sessions, appointment_id, staff, moment(start), now, **then)

    return await _changed(frame, appointment_id, step, "moved", "moved")


async def _changed(
    frame: Frame, appointment_id: UUID, step: Callable[..., Awaitable[Visit]], done: str, news: What
) -> Response:
    """Makes the change and tells the person, if there is a conversation to tell them in."""
    async with frame.services.sessions.begin() as session:  # raises NotFound at another desk
        await get_line(session, frame.staff, frame.head, appointment_id, language=frame.language)
    told = _Told(frame, done, news)
    problem = await _made(step(then=told))
    if problem is not None and done == "moved":
        return await _move_page(frame, appointment_id, "", problem=problem)
    if problem is not None:
        return await _visit_page(frame, appointment_id, problem=problem)
    return await _back(frame, appointment_id, f"{done}_{'told' if told.reached else 'untold'}")


@dataclass
class _Told:
    """In the transaction of the step: it is written down by whom, not to whom, and the person reads of it."""

    frame: Frame
    done: str
    news: What
    reached: bool = False

    async def __call__(self, session: AsyncSession, visit: Visit) -> None:
        services = self.frame.services
        desk = await access_appointments(session, self.frame.staff, self.frame.head.id)
        await record(session, self.frame.staff, desk, visit.id, f"appointment.{self.done}")
        told: dict[str, Any] = {"find_entry": services.shelf.find_entry, "now": services.now()}
        self.reached = await visit_news.tell(session, visit, self.news, **told)


# --- for somebody who is on the telephone, or at the desk ---


@router.get("/new")
async def choose_new(
    request: Request,
    desk_id: RowId,
    staff: StaffHere,
    kind: Word = "",
    speaks: Word = SOURCE,
    interpreter: Word = "",
    day: DayAsked = "",
    after: Word = "",
    start: Start = "",
    conversation: Whose = "",
) -> HTMLResponse:
    """`conversation`: of somebody who writes to the desk; the appointment is theirs, and they read of it."""
    frame = await open_frame(request, staff, desk_id)
    typed = {"kind": kind, "speaks": speaks, "interpreter": interpreter, "start": start, "name": ""}
    return await _new_page(frame, typed | {"conversation": conversation}, day, after)


@router.post("/new")
async def book(
    request: Request,
    desk_id: RowId,
    staff: StaffHere,
    services: ServicesHere,
    kind: Field = "",
    speaks: Field = "",
    interpreter: Field = "",
    start: Field = "",
    name: Field = "",
    conversation: Field = "",
) -> Response:
    frame = await open_frame(request, staff, desk_id)
    typed = {"kind": kind, "speaks": speaks, "interpreter": interpreter, "start": start, "name": name}
    typed |= {"conversation": conversation}
    whose = await _whose(frame, conversation)
    told = _Told(frame, "booked", "booked")
    made: list[UUID] = []

    async def work() -> None:
        who: dict[str, Any] = {"interpreter": interpreter == "yes", "conversation_id": whose, "by_desk": True}
        wish = Wish(desk_id, _number(kind), moment(start), check_language(speaks), **who)
        made.append((await booking.book(services.sessions, wish, name, services.now(), then=told)).visit.id)

    problem = await _made(work())
    if problem is not None:
        return await _new_page(frame, typed, _day_of(frame, start), problem=problem)
    return await _back(frame, made[0], "booked_told" if told.reached else "booked")


async def _whose(frame: Frame, conversation: str) -> UUID | None:
    """None: of nobody who writes to us. Raises NotFound for what is not with a desk where this person answers."""
    if not conversation:
        return None
    try:
        found = UUID(conversation)
    except ValueError as error:
        raise NotFound from error
    async with frame.services.sessions.begin() as session:
        return (await access_conversation(session, frame.staff, found)).id


def _day_of(frame: Frame, start: str) -> str:
    try:
        return frame.head.day_of(moment(start)).isoformat()
    except InvalidRequest:
        return ""


def _number(typed: str) -> int:
    """Raises InvalidRequest."""
    if not (typed.isascii() and typed.isdecimal() and len(typed) < 10):
        raise InvalidRequest
    return int(typed)


async def _new_page(
    frame: Frame, typed: dict[str, str], day: str, after: str = "", *, problem: AppError | None = None
) -> HTMLResponse:
    whose, kinds = await _whose(frame, typed["conversation"]), await _kinds(frame)
    choice, chosen = None, next((one for one in kinds if str(one.id) == typed["kind"]), None)
    if chosen is not None:
        try:
            wanted = {"language": check_language(typed["speaks"]), "interpreter": typed["interpreter"] == "yes"}
            choice = await _choice(frame, _day_after(problem, frame, day), after, kind_id=chosen.id, **wanted)
        except NotFound:
            raise
        except AppError as error:
            problem = problem or error
    values = {"kinds": kinds, "kind": chosen, "choice": choice, "typed": typed, "whose": whose}
    return frame.page("console/calendar_new.html", problem=problem, **values)


async def _kinds(frame: Frame) -> list[KindHere]:
    async with frame.services.sessions.begin() as session:
        return await list_kinds(session, frame.staff, frame.head.id, frame.language)


# --- without an appointment ---


@router.get("/walk-in")
async def show_walk_in(request: Request, desk_id: RowId, staff: StaffHere) -> HTMLResponse:
    typed = {"kind": "", "speaks": SOURCE, "name": ""}
    return await _walk_in_page(await open_frame(request, staff, desk_id), typed)


@router.post("/walk-in")
async def walk_in(
    request: Request, desk_id: RowId, staff: StaffHere, kind: Field = "", speaks: Field = "", name: Field = ""
) -> Response:
    frame = await open_frame(request, staff, desk_id)
    made: list[UUID] = []

    async def change(session: AsyncSession, by: Staff) -> None:
        person = WalkIn(_number(kind), check_language(speaks), name)
        made.append(await desk_visits.walk_in(session, by, desk_id, person, frame.services.now()))

    problem = await retried(lambda: attempt(request, staff, change))
    if problem is not None:
        return await _walk_in_page(frame, {"kind": kind, "speaks": speaks, "name": name}, problem=problem)
    return await _back(frame, made[-1], "walked_in", to_day=True)


async def _walk_in_page(frame: Frame, typed: dict[str, str], *, problem: AppError | None = None) -> HTMLResponse:
    following = await _next_time(frame, typed) if isinstance(problem, NobodyFree | NoWorkshop) else None
    values = {"kinds": await _kinds(frame), "typed": typed, "following": following}
    return frame.page("console/calendar_walk_in.html", problem=problem, **values)


async def _next_time(frame: Frame, typed: dict[str, str]) -> datetime | None:
    """The first that can be booked."""
    try:
        choice = await _choice(
            frame, "", "", kind_id=_number(typed["kind"]), language=typed["speaks"], interpreter=False
        )
    except AppError:
        return None
    return choice.times[0].start if choice.times else None
