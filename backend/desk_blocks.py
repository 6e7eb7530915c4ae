"""Time in which somebody at a desk, or everybody, serves nobody: a meeting, a training, an afternoon off."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend import audit
from backend.access import Staff, access_appointments
from backend.colleagues import Replacement, find_replacements, give
from backend.desk_calendar import DeskHead, Line, list_overlapping, list_resources
from backend.errors import AppError, Conflict, InvalidRequest
from backend.models import Resource, ResourceBlock
from backend.openings import free_for_waiting, offer_new
from backend.taking import lock_plan, lock_resources
from bot.phrases import SOURCE

LONGEST = timedelta(days=92)
FARTHEST = timedelta(days=2 * 366)
LONGEST_NOTE = 200


class WrongBlock(AppError):
    """It ends before it begins, is over already, or is very long or very far away."""

    status = 422
    code = "block_times"


class UnreadableBlock(AppError):
    status = 422
    code = "block_unreadable"


class LongBlockNote(AppError):
    status = 422
    code = "block_note"


class VisitsInTheWay(Conflict):
    code = "block_visits"

    @property
    def lines(self) -> list[Line]:
        found: list[Line] = self.values["lines"]
        return found

    @property
    def free(self) -> dict[UUID, str]:
        """By visit: the name of whoever could take it over."""
        found: dict[UUID, str] = self.values["free"]
        return found


async def add_block(
    session: AsyncSession,
    staff: Staff,
    head: DeskHead,
    *,
    resource: str,
    starts: str,
    ends: str,
    note: str,
    language: str,
) -> None:
    """Of one, by its number, or of all (empty); from and until on the desk's clock (`2026-11-24T10:00`). `language`:
    in which visits that are in the way are named. Raises NotFound, InvalidRequest, UnreadableBlock, WrongBlock,
    LongBlockNote, VisitsInTheWay."""
    chosen = await _chosen(session, staff, head, resource)
    between = _between(head, starts, ends)
    said = " ".join("".join(sign if sign.isprintable() else " " for sign in note).split())
    if len(said) > LONGEST_NOTE:
        raise LongBlockNote(most=LONGEST_NOTE)
    # Bookings look for blocked time under the same locks: neither can slip in beside the other.
    await lock_resources(session, chosen)
    in_the_way = await list_overlapping(session, staff, head, chosen, between, language=language)
    if in_the_way:
        instead = await _instead(session, head, in_the_way, chosen)
        raise VisitsInTheWay(lines=in_the_way, free={visit: one.name for visit, one in instead.items()})
    values = {"starts": between[0], "ends": between[1], "note": said}
    await session.execute(insert(ResourceBlock), [{"resource_id": one, **values} for one in chosen])
    await _record(session, staff, head, "desk.time_blocked", resources=sorted(chosen))


async def give_away(
    session: AsyncSession, staff: Staff, head: DeskHead, *, resource: str, starts: str, ends: str
) -> int:
    """Visits that would be in the way of a block go to colleagues who are free then; returns how many. Raises NotFound,
    InvalidRequest, UnreadableBlock, WrongBlock, VisitTimeTaken."""
    chosen = await _chosen(session, staff, head, resource)
    between = _between(head, starts, ends)
    desk = await access_appointments(session, staff, head.id)
    await lock_plan(session, head.id)
    in_the_way = await list_overlapping(session, staff, head, chosen, between, language=SOURCE)
    instead = await _instead(session, head, in_the_way, chosen)
    for visit, colleague in instead.items():
        await give(session, staff, desk, visit, colleague, head.now)
    return len(instead)


async def _instead(
    session: AsyncSession, head: DeskHead, lines: Sequence[Line], away: Collection[int]
) -> dict[UUID, Replacement]:
    return await find_replacements(session, head.id, {line.visit.id: away for line in lines}, head.now)


async def remove_blocks(session: AsyncSession, staff: Staff, head: DeskHead, ids: Sequence[str]) -> None:
    """Also when a colleague was quicker; offered first to whoever waits. Raises NotFound, InvalidRequest."""
    if not all(_is_number(one) for one in ids):
        raise InvalidRequest
    own = select(Resource.id).where(Resource.desk_id == head.id)
    await access_appointments(session, staff, head.id)
    await lock_plan(session, head.id)
    free = await free_for_waiting(session, head.id, head.now)
    query = delete(ResourceBlock).where(ResourceBlock.id.in_(map(int, ids)), ResourceBlock.resource_id.in_(own))
    gone = list((await session.execute(query.returning(ResourceBlock.resource_id))).scalars())
    if gone:
        await _record(session, staff, head, "desk.time_unblocked", resources=sorted(gone))
        await offer_new(session, head.id, free, head.now)


async def _chosen(session: AsyncSession, staff: Staff, head: DeskHead, resource: str) -> list[int]:
    here = [number for number, _ in await list_resources(session, staff, head.id)]
    if resource and not (_is_number(resource) and int(resource) in here):
        raise InvalidRequest
    if not here:
        raise InvalidRequest
    return [int(resource)] if resource else here


def _is_number(typed: str) -> bool:
    return typed.isascii() and typed.isdecimal() and len(typed) < 10


def _between(head: DeskHead, starts: str, ends: str) -> tuple[datetime, datetime]:
    begins, until = _moment(head, starts), _moment(head, ends)
    in_order = begins < until <= begins + LONGEST
    if not in_order or until <= head.now or until > head.now + FARTHEST:
        raise WrongBlock(most=LONGEST.days)
    return begins, until


def _moment(head: DeskHead, typed: str) -> datetime:
    """An hour that the clock skips in March is the one after it; of one that comes twice in October, the first."""
    try:
        local = datetime.strptime(typed.strip()[:16], "%Y-%m-%dT%H:%M").replace(tzinfo=head.zone)
        return local.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UnreadableBlock from error


async def _record(session: AsyncSession, staff: Staff, head: DeskHead, action: str, **details: object) -> None:
    desk = await access_appointments(session, staff, head.id)
    await audit.record(
        session, action, f"desk:{head.id}", account_id=staff.account_id, organisation_id=desk.organisation_id, **details
    )
