"""What a person is told of their appointment, loaded from where it is known."""

from collections.abc import Callable

from sqlalchemy import select

from backend.db import Writer
from backend.diary import name_of
from backend.models import AppointmentKind, Desk
from backend.visits import Visit
from bot.visit_card import VisitFacts
from knowledge_base.entry import Entry

FindEntry = Callable[[str], Entry | None]


async def load_facts(db: Writer, visit: Visit, language: str, find_entry: FindEntry) -> VisitFacts:
    """In the reader's language. What to bring is said by the entry it is about, else by that of its kind."""
    desk = (await db.execute(select(Desk.name, Desk.zone, Desk.entry_id).where(Desk.id == visit.desk_id))).one_or_none()
    wanted = select(AppointmentKind.names, AppointmentKind.entry_id).where(AppointmentKind.id == visit.kind_id)
    kind = (await db.execute(wanted)).one_or_none()
    return VisitFacts(
        str(visit.id),
        visit.status,
        visit.starts,
        visit.ends,
        desk.zone if desk else "Europe/Rome",
        desk.name if desk else "",
        name_of(kind.names, language) if kind else "",
        visit.code,
        visit.name,
        visit.language,
        visit.interpreter_id is not None,
        find_entry(desk.entry_id) if desk and desk.entry_id else None,
        _bring((visit.entry_id, kind.entry_id if kind else None), language, find_entry),
        visit.demo,
    )


def _bring(entries: tuple[str | None, ...], language: str, find_entry: FindEntry) -> tuple[str, ...]:
    for entry in (find_entry(one) for one in entries if one):
        found = entry.text_for(language) if entry else None
        if found and found[1].bring:
            return found[1].bring
    return ()
