"""A machine nobody has set up yet: one desk whose hours nobody knows, and example hours for those who try it."""

from datetime import time

from sqlalchemy import exists, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as insert_new
from sqlalchemy.ext.asyncio import AsyncSession

from backend import audit
from backend.desk_week import read_week
from backend.models import AppointmentKind, Desk, DeskDay, EntryRow, OpeningPeriod, Organisation, Resource
from bot.phrases import SOURCE, SPOKEN, say

_ONE_AT_A_TIME = 0x454C5044
"""Of the advisory lock under which the first organisation is made."""
FIRST_ORGANISATION, FIRST_DESK, FIRST_ENTRY = "Living Better", "Sportello ELP", "sportello-elp"
_HALVES = ((time(9, 30), time(12, 30)), (time(14), time(17)))
_EXAMPLE = [{"weekday": day, "opens": opens, "closes": closes} for day in (1, 3) for opens, closes in _HALVES]
"""Tuesday and Thursday, with a break: like many offices, and of nobody in particular."""


async def seed_places(session: AsyncSession) -> bool:
    """One organisation with one desk, where there is no organisation at all; its hours are not known."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ONE_AT_A_TIME})
    if (await session.execute(select(exists().where(Organisation.id.is_not(None))))).scalar_one():
        return False
    made = insert_new(Organisation).values(name=FIRST_ORGANISATION).on_conflict_do_nothing().returning(Organisation.id)
    organisation = (await session.execute(made)).scalar_one_or_none()
    if organisation is None:
        return False  # an administrator made it this moment
    entry = (await session.execute(select(EntryRow.id).where(EntryRow.id == FIRST_ENTRY))).scalar_one_or_none()
    values = {"organisation_id": organisation, "name": FIRST_DESK, "entry_id": entry}
    desk = (await session.execute(insert(Desk).values(values).returning(Desk.id))).scalar_one()
    for action, subject in (("organisation.added", f"organisation:{organisation}"), ("desk.added", f"desk:{desk}")):
        await audit.record(session, action, subject, account_id=None, organisation_id=organisation)
    return True


async def seed_demo_hours(session: AsyncSession) -> int:
    """Example hours for every desk of which nobody has said anything; returns how many."""
    said = exists().where(OpeningPeriod.desk_id == Desk.id) | exists().where(DeskDay.desk_id == Desk.id)
    query = select(Desk).where(~said).order_by(Desk.id).with_for_update(key_share=True)
    found = 0
    for desk in (await session.execute(query)).scalars().all():
        if any(await read_week(session, desk.id)):
            continue  # somebody was quicker while we waited
        await session.execute(insert(OpeningPeriod), [{"desk_id": desk.id, **period} for period in _EXAMPLE])
        desk.demo_hours = True
        await _seed_examples(session, desk.id)
        subject, organisation = f"desk:{desk.id}", desk.organisation_id
        await audit.record(session, "desk.example_hours", subject, account_id=None, organisation_id=organisation)
        found += 1
    await session.flush()
    return found


async def seed_demo_kinds(session: AsyncSession) -> None:
    """Something to book also at desks that had example hours before there were appointments."""
    query = select(Desk.id).where(Desk.demo_hours).order_by(Desk.id).with_for_update(key_share=True)
    for desk_id in (await session.execute(query)).scalars().all():
        await _seed_examples(session, desk_id)


async def _seed_examples(session: AsyncSession, desk_id: int) -> None:
    """Something to book where nothing is offered yet: two kinds, somebody who serves and somebody who interprets."""
    offers = exists().where(AppointmentKind.desk_id == desk_id) | exists().where(Resource.desk_id == desk_id)
    if (await session.execute(select(offers))).scalar_one():
        return
    for key, minutes in (("appointment.example_first", 45), ("appointment.example_papers", 30)):
        names = {code: say(code, key) for code in SPOKEN}
        kind = {"desk_id": desk_id, "names": names, "minutes": minutes, "buffer_after": 15, "demo": True}
        await session.execute(insert(AppointmentKind).values(kind))
    for what, languages in (("staff", []), ("interpreter", ["ar", "fr", "en"])):
        name = say(SOURCE, f"appointment.example_{what}")
        helper = {"desk_id": desk_id, "kind": what, "name": name, "languages": languages, "demo": True}
        await session.execute(insert(Resource).values(helper))


async def desks_with_demo_hours(session: AsyncSession) -> list[str]:
    """Their names."""
    query = select(Desk.name).where(Desk.demo_hours).order_by(func.lower(Desk.name), Desk.id)
    return list((await session.execute(query)).scalars())
