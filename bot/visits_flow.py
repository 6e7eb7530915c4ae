"""An appointment after it was booked: shown, moved, cancelled, late, lost; and the waiting list."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from bot.booking_steps import Step
from bot.bookings import LATE_MINUTES, Kept, Refused, read_id
from bot.buttons import minutes_words
from bot.turn import Choice, Reply
from bot.visit_card import way_card, when

_ON_THE_WAY = timedelta(hours=12)
"""Before it begins: from when on somebody may say that they will be late."""
_INTENTS = {"move": "reschedule", "cancel": "cancel_booking"}


async def mine(step: Step, wanted: str | None = None) -> Reply:
    """Those to come; with `wanted` (`move`, `cancel`) to choose the one that is meant."""
    intent = _INTENTS.get(wanted or "", "my_bookings")
    found = await step.visits.own()
    if not found:
        choices = (step.button("book"), step.button("human"), step.button("topics"))
        return step.reply(step.say("visit.none"), *choices, intent=intent)
    if len(found) == 1:
        return show(step, found[0])
    lines = (Choice(f"visit:{wanted or 'show'}:{kept.id}", _line(step, kept)) for kept in found)
    return step.reply(step.say("visit.which"), *lines, step.button("topics"), intent=intent)


def _line(step: Step, kept: Kept) -> str:
    return when(step.language, kept.facts.starts, kept.facts.zone)


def show(step: Step, kept: Kept, text: str | None = None, *, intent: str = "my_bookings") -> Reply:
    """As it stands, with what can be done about it."""
    if not kept.booked:
        key = "visit.was_cancelled" if kept.facts.status == "cancelled" else "error.appointment_over"
        choices = (step.button("book", key="book_again"), step.button("visits"))
        return step.card(kept, step.say(key), *choices, intent=intent)
    soon = kept.facts.starts - step.visits.now < _ON_THE_WAY
    names = ("late", "lost", "move", "cancel") if soon else ("move", "cancel", "lost")
    return step.card(kept, text or step.say("visit.yours"), *step.of_visit(kept.id, *names), intent=intent)


def booked(step: Step, kept: Kept, key: str) -> Reply:
    """Just now; `key` of the sentence that says so."""
    moment = when(step.language, kept.facts.starts, kept.facts.zone)
    choices = (step.button("visits"), *step.of_visit(kept.id, "move", "cancel"))
    return step.card(kept, step.say(key, when=moment), *choices, booking={})


async def answer(step: Step, rest: str) -> Reply:
    """To `visit:<rest>`, but for moving, which needs other times. Raises Refused."""
    what, _, code = rest.partition(":")
    visit = read_id(code)
    if visit is None:
        return step.over()
    kept = await step.visits.find(visit)
    if what == "show":
        return show(step, kept)
    actions = {"cancel": _ask_cancel, "drop": _drop, "late": _ask_late, "comes": _comes, "cannot": _cannot}
    if what == "lost":
        return _lost(step, kept)
    if what not in actions:
        return step.over()
    if not kept.booked and what != "drop":
        raise Refused("appointment_over")
    return await actions[what](step, kept)


async def _ask_cancel(step: Step, kept: Kept) -> Reply:
    text = step.say("visit.ask_cancel", when=_line(step, kept))
    choices = (*step.of_visit(kept.id, "drop"), step.button("visit", f"show:{kept.id}", key="visit_keep"))
    return step.reply(text, *choices, intent="cancel_booking", pending=f"visit:drop:{kept.id}")


async def _drop(step: Step, kept: Kept) -> Reply:
    """Pressed again it says the same again."""
    gone = await step.visits.cancel(kept.id)
    choices = (step.button("book", key="book_again"), step.button("topics"))
    return step.card(gone, step.say("visit.cancelled"), *choices, intent="cancel_booking")


async def _ask_late(step: Step, kept: Kept) -> Reply:
    choices = (Choice(f"late:{kept.id}:{minutes}", minutes_words(step.language, minutes)) for minutes in LATE_MINUTES)
    return step.reply(step.say("visit.how_late"), *choices, *step.of_visit(kept.id, "cannot"), intent="my_bookings")


async def late(step: Step, rest: str) -> Reply:
    """`<visit>:<minutes>`. Raises Refused."""
    code, _, minutes = rest.partition(":")
    visit = read_id(code)
    if visit is None or minutes not in map(str, LATE_MINUTES):
        return step.over()
    kept = await step.visits.note(visit, late_minutes=int(minutes))
    text = step.say("visit.late_noted", minutes=minutes_words(step.language, int(minutes)), desk=kept.facts.desk)
    return step.reply(text, *step.of_visit(visit, "lost", "show"), intent="my_bookings")


def _lost(step: Step, kept: Kept) -> Reply:
    card = way_card(step.language, kept.facts)
    keys = {row.key for row in card.rows}
    said = (
        "visit.way",
        *(["visit.way_map"] if "map" in keys else []),
        *([] if "phone" in keys else ["visit.no_phone"]),
    )
    text = " ".join(step.say(key) for key in said)
    choices = (step.button("human", key="write_human"), *step.of_visit(kept.id, "late", "show"))
    return replace(step.reply(text, *choices, intent="my_bookings"), visit=card)


async def _comes(step: Step, kept: Kept) -> Reply:
    kept = await step.visits.note(kept.id, comes=True)
    return step.reply(step.say("visit.comes_noted"), *step.of_visit(kept.id, "lost", "show"), intent="my_bookings")


async def _cannot(step: Step, kept: Kept) -> Reply:
    await step.visits.note(kept.id, comes=False)
    choices = (*step.of_visit(kept.id, "move", "cancel"), step.button("visit", f"comes:{kept.id}", key="visit_comes"))
    return step.reply(step.say("visit.cannot_noted"), *choices, intent="my_bookings")


# ---- the waiting list ----


async def joined(step: Step, place: UUID) -> Reply:
    choices = (step.button("wait", f"leave:{place}", key="wait_leave"), step.button("topics"), step.button("human"))
    return step.reply(step.say("wait.joined"), *choices, booking={})


async def waiting(step: Step, what: str, place: UUID) -> Reply:
    """An offer let pass, or the list left. Raises Refused."""
    if what == "pass":
        await step.visits.let_pass(place)
        choices = (step.button("wait", f"leave:{place}", key="wait_leave"), step.button("book"))
        return step.reply(step.say("wait.passed"), *choices)
    await step.visits.leave_list(place)
    return step.reply(step.say("wait.left"), step.button("book"), step.button("topics"))
