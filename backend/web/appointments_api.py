"""Desks, their free times, and appointments over HTTP (design section 8)."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend import booking, ics
from backend.availability import FreeTime
from backend.booking import SlotTaken, Wish
from backend.conversations import check_access, check_language
from backend.diary import HoursUnknown, NoInterpreter, name_of
from backend.errors import InvalidRequest, NotFound
from backend.models import AppointmentKind, Desk
from backend.services import Services
from backend.visits import Visit, find_by_token
from backend.web.api import PROBLEMS, Problem, ServicesHere, problems
from backend.web.pages import reader_language
from backend.web.problems import problem
from backend.web.staff import address_of
from backend.web.tokens import BearerToken, Caller, cookie_value
from backend.web.visits import calendar_file
from bot.phrases import say

USUAL_DAYS = 14
MOST_DAYS = 366
_INSTANT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)$"
_DAY = r"^\d{4}-\d\d-\d\d$"
_ID = 2**31 - 1
router = APIRouter(prefix="/api/v1")

Instant = Annotated[str, Field(pattern=_INSTANT, examples=["2026-12-01T09:30:00+01:00"])]
DeskId = Annotated[int, Path(ge=1, le=_ID)]


class KindView(BaseModel):
    id: int
    name: str
    minutes: int


class DeskView(BaseModel):
    id: int
    name: str
    entry: str | None
    zone: str
    demo: bool = Field(description="Its hours are examples: nobody expects anybody who books.")
    kinds: list[KindView]


class TimeView(BaseModel):
    start: datetime
    end: datetime
    places: int


class Times(BaseModel):
    times: list[TimeView]
    zone: str
    demo: bool
    code: str | None = Field(description="Why there are none: `hours_unknown`, `no_interpreter`; else null.")
    title: str | None = Field(description="The same in words.")


class Talk(BaseModel):
    """The conversation in which the person books."""

    model_config = ConfigDict(extra="forbid")

    id: UUID
    token: str = Field(min_length=1, max_length=200)


class NewAppointment(BaseModel):
    model_config = ConfigDict(extra="forbid")

    desk: int = Field(ge=1, le=_ID, strict=True)
    kind: int = Field(ge=1, le=_ID, strict=True)
    start: Instant
    end: Instant | None = Field(default=None, description="When given, it has to be the right one.")
    name: str = Field(min_length=1, max_length=200, description="A first name or a nickname.")
    language: str = Field(max_length=35, description="One of `GET /languages`.")
    interpreter: bool = Field(default=False, strict=True, description="Somebody who interprets from this language.")
    conversation: Talk | None = None


class ChangedAppointment(BaseModel):
    model_config = ConfigDict(extra="forbid")

    start: Instant


class AppointmentView(BaseModel):
    id: UUID
    code: str | None
    status: str
    desk: int | None
    kind: int | None
    start: datetime
    end: datetime
    name: str | None
    language: str
    interpreter: bool
    demo: bool = Field(description="Booked while the desk's hours were examples.")
    sequence: int


class BookedAppointment(AppointmentView):
    token: str = Field(description="Shown once. Reads, moves and cancels this appointment.")


class ConflictProblem(Problem):
    alternatives: list[TimeView] | None = Field(default=None, description="With `slot_taken`: up to three other times.")


_CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {
        "description": "Somebody else took the time, or it cannot be booked; `code` says which.",
        "content": {"application/problem+json": {"schema": ConflictProblem.model_json_schema()}},
    }
}
_OWN = problems(401, 404, 422, 503)


def moment(text: str) -> datetime:
    """Raises InvalidRequest."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidRequest from error
    if not 1970 <= found.year < 9000:
        raise InvalidRequest
    return found


def day(text: str) -> date:
    """Raises InvalidRequest."""
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise InvalidRequest from error
    if not date(1970, 1, 1) <= found <= date(9000, 1, 1):
        raise InvalidRequest
    return found


def time_views(times: Sequence[FreeTime], zone: ZoneInfo) -> list[TimeView]:
    return [
        TimeView(start=one.start.astimezone(zone), end=one.end.astimezone(zone), places=one.places) for one in times
    ]


async def _zone(session: AsyncSession, desk_id: int | None) -> ZoneInfo:
    zone = await session.scalar(select(Desk.zone).where(Desk.id == desk_id))
    return ZoneInfo(zone or "UTC")


async def appointment_view(session: AsyncSession, visit: Visit) -> dict[str, Any]:
    zone = await _zone(session, visit.desk_id)
    return {
        "id": visit.id,
        "code": visit.code,
        "status": visit.status,
        "desk": visit.desk_id,
        "kind": visit.kind_id,
        "start": visit.starts.astimezone(zone),
        "end": visit.ends.astimezone(zone),
        "name": visit.name,
        "language": visit.language,
        "interpreter": visit.interpreter_id is not None,
        "demo": visit.demo,
        "sequence": visit.sequence,
    }


@router.get("/desks", responses=problems(422, 503))
async def list_desks(
    request: Request, services: ServicesHere, language: Annotated[str | None, Query(max_length=35)] = None
) -> list[DeskView]:
    """Those that make appointments, with what for."""
    code = check_language(language) if language else reader_language(request)
    async with services.sessions.begin() as session:
        columns = (AppointmentKind.id, AppointmentKind.desk_id, AppointmentKind.names, AppointmentKind.minutes)
        query = select(*columns, AppointmentKind.demo).where(AppointmentKind.active).order_by(AppointmentKind.id)
        kinds = (await session.execute(query)).all()
        desks = select(Desk).where(Desk.id.in_({kind.desk_id for kind in kinds})).order_by(Desk.name, Desk.id)
        return [
            DeskView(
                id=desk.id,
                name=desk.name,
                entry=desk.entry_id,
                zone=desk.zone,
                demo=desk.demo_hours or any(kind.demo for kind in kinds if kind.desk_id == desk.id),
                kinds=[
                    KindView(id=kind.id, name=name_of(kind.names, code), minutes=kind.minutes)
                    for kind in kinds
                    if kind.desk_id == desk.id
                ],
            )
            for desk in (await session.execute(desks)).scalars()
        ]


@router.get("/desks/{desk_id}/times", responses=problems(404, 422, 503))
async def read_times(
    request: Request,
    desk_id: DeskId,
    services: ServicesHere,
    kind: Annotated[int, Query(ge=1, le=_ID)],
    first: Annotated[str | None, Query(alias="from", pattern=_DAY, description="A day; today without it.")] = None,
    last: Annotated[str | None, Query(alias="to", pattern=_DAY, description="The last day.")] = None,
    language: Annotated[str | None, Query(max_length=35, description="In which the visit is held.")] = None,
    interpreter: Annotated[bool, Query(description="Only times at which somebody interprets from it.")] = False,
) -> Times:
    """When a visit can begin, in the desk's own days and with its own offset from UTC."""
    if language:
        check_language(language)
    now = services.now()
    async with services.sessions.begin() as session:
        desk = await session.get(Desk, desk_id)
        if desk is None:
            raise NotFound
        zone = ZoneInfo(desk.zone)
        begins = day(first) if first else now.astimezone(zone).date()
        ends = day(last) if last else begins + timedelta(days=USUAL_DAYS - 1)
        ends = min(ends, begins + timedelta(days=MOST_DAYS))
        start, until = (datetime.combine(one, time.min, zone) for one in (begins, ends + timedelta(days=1)))
        asked: dict[str, Any] = {"start": start, "until": until, "language": language, "interpreter": interpreter}
        try:
            found, times = await booking.free_times(session, desk_id, kind, now=now, **asked)
        except (HoursUnknown, NoInterpreter) as why:
            title = say(reader_language(request), why.message_id)
            return Times(times=[], zone=desk.zone, demo=desk.demo_hours, code=why.code, title=title)
        return Times(times=time_views(times, zone), zone=desk.zone, demo=found.demo, code=None, title=None)


@router.post(
    "/appointments",
    status_code=201,
    response_model=BookedAppointment,
    responses=problems(400, 401, 404, 413, 422, 429, 503) | _CONFLICT,
)
async def make_appointment(request: Request, body: NewAppointment, services: ServicesHere) -> Any:
    """Books at once. With a conversation it counts towards that person's limit and goes when that is erased."""
    check_language(body.language)
    who = {"address": address_of(request)}
    if body.conversation is not None:
        await check_access(services.sessions, body.conversation.id, body.conversation.token)
        who["conversation"] = cookie_value(Caller(body.conversation.id, body.conversation.token))
    await services.limits.check("booking", **who)
    wish = Wish(
        body.desk,
        body.kind,
        moment(body.start),
        body.language,
        interpreter=body.interpreter,
        conversation_id=body.conversation.id if body.conversation else None,
        end=moment(body.end) if body.end else None,
    )
    try:
        booked = await booking.book(services.sessions, wish, body.name, services.now())
    except SlotTaken as taken:
        return await slot_taken(request, services, body.desk, taken)
    async with services.sessions.begin() as session:
        return {**await appointment_view(session, booked.visit), "token": booked.token}


async def slot_taken(request: Request, services: Services, desk_id: int | None, taken: SlotTaken) -> Response:
    async with services.sessions.begin() as session:
        others = time_views(taken.alternatives, await _zone(session, desk_id))
    alternatives = [one.model_dump(mode="json") for one in others]
    return problem(request, taken.status, taken.code, alternatives=alternatives)


async def _read(session: AsyncSession, appointment_id: UUID, token: str) -> Visit:
    """Raises Unauthorized, NotFound."""
    visit = await find_by_token(session, appointment_id, token)
    if visit is None:
        raise NotFound
    return visit


@router.get("/appointments/{appointment_id}", response_model=AppointmentView, responses=_OWN)
async def read_appointment(appointment_id: UUID, token: BearerToken, services: ServicesHere) -> Any:
    async with services.sessions.begin() as session:
        return await appointment_view(session, await _read(session, appointment_id, token))


@router.patch("/appointments/{appointment_id}", response_model=AppointmentView, responses=PROBLEMS | _CONFLICT)
async def move_appointment(
    request: Request, appointment_id: UUID, body: ChangedAppointment, token: BearerToken, services: ServicesHere
) -> Any:
    """To another time; the code and the token stay."""
    async with services.sessions.begin() as session:
        before = await _read(session, appointment_id, token)
    await services.limits.check("booking", address=address_of(request))
    try:
        visit = await booking.move(services.sessions, appointment_id, token, moment(body.start), services.now())
    except SlotTaken as taken:
        return await slot_taken(request, services, before.desk_id, taken)
    async with services.sessions.begin() as session:
        return await appointment_view(session, visit)


@router.delete("/appointments/{appointment_id}", status_code=204, responses=_OWN | _CONFLICT)
async def cancel_appointment(appointment_id: UUID, token: BearerToken, services: ServicesHere) -> Response:
    """Its time is free for others. It can still be read, as cancelled."""
    await booking.cancel(services.sessions, appointment_id, token, services.now())
    return Response(status_code=204)


@router.get(
    "/appointments/{appointment_id}/calendar.ics",
    response_class=Response,
    responses={
        200: {
            "content": {ics.MEDIA_TYPE: {"schema": {"type": "string"}}},
            "description": "For any calendar; after a cancellation it takes the appointment out again.",
        },
        **_OWN,
    },
)
async def read_calendar(request: Request, appointment_id: UUID, token: BearerToken, services: ServicesHere) -> Response:
    async with services.sessions.begin() as session:
        visit = await _read(session, appointment_id, token)
        return await calendar_file(session, services, visit, visit.language)
