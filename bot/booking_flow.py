"""An appointment made in the conversation: what about, which desk, language, day, hour, a name, and yes.

No database here: what is free and what is taken comes from `Visits`, in the transaction that stores the answer.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from bot import desk_flow, visits_flow
from bot.booking_steps import Entries, Step, with_resume
from bot.booking_times import day_and_part, day_times, days, paragraphs, time_button, wished
from bot.bookings import Draft, Kept, Offer, Refused, Visits, days_id, read_id, read_moment, time_id
from bot.buttons import entry_buttons, minutes_words
from bot.phrases import SOURCE, language_name
from bot.turn import Choice, Reply, Turn
from bot.visit_card import when

_ASIDE = ("visits", "visit", "late", "move_mine", "cancel_mine")
"""Steps about a visit that was booked before, while another may be in the making."""


async def answer(asked: Reply, turn: Turn, visits: Visits, entries: Entries) -> Reply:
    """What a reply that `books` becomes."""
    step, chosen = Step(turn, visits, entries), asked.books or "book"
    try:
        reply = await _take(step, chosen)
    except Refused as why:
        reply = await _refused(step, chosen, why)
    if asked.intent not in ("book", reply.intent):  # the act that was recognised, also when it cannot be done
        reply = replace(reply, intent=asked.intent)
    reply = replace(reply, emergency=asked.emergency)
    aside = chosen.partition(":")[0] in _ASIDE and reply.state.booking == turn.state.booking
    return with_resume(reply) if aside else reply


async def _take(step: Step, chosen: str) -> Reply:
    name, _, rest = chosen.partition(":")
    if name == "cancel_mine" and step.turn.state.booking:  # the one that is being made is meant
        visit = read_id(step.turn.state.booking.get("at", "").partition(":")[2])
        return await _quit(step, visit) if visit else _leave(step)
    if name in ("visits", "move_mine", "cancel_mine"):
        return await visits_flow.mine(step, {"move_mine": "move", "cancel_mine": "cancel"}.get(name))
    if name == "late":
        return await visits_flow.late(step, rest)
    if name == "visit" and not rest.startswith("move:"):
        return await visits_flow.answer(step, rest)
    if name == "typed":
        return await _typed(step)
    if name in _STEPS:
        return await _STEPS[name](step, rest)
    if name in _OF_DRAFT:
        code, _, more = rest.partition(":")
        draft = Draft.read(code)
        return await _OF_DRAFT[name](step, draft, more) if draft else step.over()
    if name in _OF_VISIT:
        visit = read_id(rest)
        return await _OF_VISIT[name](step, visit) if visit else step.over()
    return step.over()


async def _typed(step: Step) -> Reply:
    """Words: a name where one was asked for, else a day."""
    name, _, rest = step.turn.state.booking.get("at", "").partition(":")
    visit = read_id(rest)
    if name == "name" and visit:
        return await _named(step, visit, step.turn.incoming.text)
    wish, draft = step.turn.understanding.wish, Draft.read(rest.partition(":")[0])
    if wish and draft:
        return await wished(step, draft, wish)
    return await _resume(_with(step, {**step.turn.state.booking, "wish": wish.code}) if wish else step, "")


def _with(step: Step, booking: dict[str, str]) -> Step:
    return replace(step, turn=replace(step.turn, state=step.turn.state.change(booking=booking)))


async def _resume(step: Step, _: str) -> Reply:
    return await _take(step, step.turn.state.booking.get("at", "book"))


# ---- what about, and where ----


async def _start(step: Step, entry_id: str) -> Reply:
    offers = await step.visits.offers()
    entry = step.entries.find_entry(entry_id or step.turn.state.last_entry or "")
    entry = entry if entry and entry.shown else None
    fitting: Sequence[Offer] = offers
    if entry:
        desk = entry.facts.booking_desk or entry.id
        fitting = [one for one in offers if one.entry == entry.id] or [one for one in offers if one.desk_entry == desk]
    fitting = fitting or offers
    if not fitting:
        choices = (*entry_buttons(step.language, step.entries.desks()), step.button("human"), step.button("topics"))
        return step.reply(step.say("book.nowhere"), *choices, booking={})
    booking = {"at": f"book:{entry.id}" if entry else "book"} | ({"entry": entry.id} if entry else {})
    if wish := step.turn.understanding.wish:
        booking["wish"] = wish.code
    step = _with(step, booking)
    kinds = {one.name.casefold(): one for one in reversed(fitting)}
    if len(kinds) == 1 or not any(one.known for one in fitting):
        return await _desks(step, fitting)
    choices = tuple(Choice(f"about:{one.kind}", one.name) for one in reversed(kinds.values()))
    lines = [f"{one.name}: {one.who_for}" for one in reversed(kinds.values()) if one.who_for]
    return step.reply(paragraphs(_about_line(step), step.say("book.about"), *lines), *choices, booking=booking)


def _about_line(step: Step) -> str:
    title = step.title(step.turn.state.booking.get("entry"))
    return step.say("book.about_entry", title=title) if title else ""


async def _about(step: Step, kind: str) -> Reply:
    """All desks that have it, by its name."""
    offers = await step.visits.offers()
    meant = next((one for one in offers if str(one.kind) == kind), None)
    if meant is None:
        return step.over()
    return await _desks(step, [one for one in offers if one.name.casefold() == meant.name.casefold()])


async def _desks(step: Step, offers: Sequence[Offer]) -> Reply:
    if not any(one.known for one in offers):
        return _closed(step, offers[0])
    offers = [one for one in offers if one.known]
    if len(offers) == 1:
        return await _language(step, offers[0])
    choices = (Choice(f"pick:{one.kind}", one.desk_name) for one in offers)
    return step.reply(step.say("book.desk"), *choices, booking=step.at(f"about:{offers[0].kind}"))


async def _pick(step: Step, kind: str) -> Reply:
    offer = next((one for one in await step.visits.offers() if str(one.kind) == kind), None)
    if offer is None:
        return step.over()
    return await _language(step, offer) if offer.known else _closed(step, offer)


def _closed(step: Step, offer: Offer) -> Reply:
    """Nobody has said when the desk is open: why there are no times, and what is known of it."""
    text = step.say("book.closed", desk=offer.desk_name)
    reply = step.reply(text, step.button("human"), step.button("topics"), booking={})
    entry = step.entries.find_entry(offer.desk_entry) if offer.desk_entry else None
    return replace(reply, entry=entry.id) if entry and entry.shown else reply


# ---- language ----


async def _language(step: Step, offer: Offer) -> Reply:
    """Asked before the day: when somebody can come depends on whether somebody who interprets can."""
    ways = _ways(offer, step.language)
    if len(ways) == 1:
        return await days(step, ways[0], "")
    own = language_name(step.language, step.language)
    key = "book.language" if offer.languages else "book.interpreter"
    choices = (Choice(f"lang:{one.code}", _way_label(step, one, bool(offer.languages))) for one in ways)
    return step.reply(step.say(key, language=own), *choices, booking=step.at(f"pick:{offer.kind}", zone=offer.zone))


def _ways(offer: Offer, language: str) -> list[Draft]:
    """In which languages it can be held, the easiest for the person first."""
    if language in offer.languages:
        return [Draft(offer.kind, language)]
    helped = language in offer.interpreted and language != SOURCE
    interpreted = [Draft(offer.kind, language, interpreter=True)] if helped else []
    return [*interpreted, *(Draft(offer.kind, code) for code in offer.languages or (language,))]


def _way_label(step: Step, way: Draft, named: bool) -> str:
    if way.interpreter:
        return step.say("choice.with_interpreter")
    return language_name(way.language, step.language) if named else step.say("choice.no_interpreter")


# ---- held, named, confirmed ----


async def _time(step: Step, draft: Draft, more: str) -> Reply:
    start = read_moment(more)
    if start is None:
        return step.over()
    if draft.moves:
        return await _ask_move(step, draft, start)
    kept = await step.visits.hold(draft, start, step.turn.state.booking.get("entry"))
    name = kept.facts.name or await step.visits.last_name()
    return await _named(step, kept.id, name) if name else _ask_name(step, kept)


def _ask_name(step: Step, kept: Kept, before: str = "") -> Reply:
    left = ((kept.held_until or step.visits.now) - step.visits.now).total_seconds() // 60
    words = {"when": when(step.language, kept.facts.starts, kept.facts.zone)}
    words["minutes"] = minutes_words(step.language, max(1, round(left)))
    demo = step.say("visit.demo") if kept.facts.demo else ""
    text = paragraphs(before or step.say("book.held", **words), step.say("book.name"), demo)
    return step.reply(text, step.button("quit", str(kept.id)), booking=step.at(f"name:{kept.id}"))


async def _rename(step: Step, visit: UUID) -> Reply:
    kept = await _held(step, visit)
    return _ask_name(step, kept) if kept.facts.status == "held" else visits_flow.show(step, kept)


async def _named(step: Step, visit: UUID, name: str) -> Reply:
    try:
        return _summary(step, await step.visits.note(visit, name=name))
    except Refused as why:
        if why.code != "appointment_name":
            raise
        return _ask_name(step, await _held(step, visit), step.say("error.appointment_name", **why.values))


def _summary(step: Step, kept: Kept) -> Reply:
    about = (step.button("unrelated", str(kept.id)),) if step.title(kept.entry) else ()
    draft = kept.draft
    others = (step.button("days", draft.code, key="other_time"),) if draft else ()
    choices = (step.button("confirm", str(kept.id)), *others, step.button("name", str(kept.id)), *about)
    choices = (*choices, step.button("quit", str(kept.id)))
    state: dict[str, object] = {"booking": step.at(f"check:{kept.id}"), "pending": f"confirm:{kept.id}"}
    return step.card(kept, step.say("book.check"), *choices, **state)


async def _check(step: Step, visit: UUID) -> Reply:
    kept = await _held(step, visit)
    return _summary(step, kept) if kept.facts.status == "held" else visits_flow.show(step, kept)


async def _held(step: Step, visit: UUID) -> Kept:
    """Raises Refused for a hold that ran out."""
    kept = await step.visits.find(visit)
    if not kept.live:
        raise Refused("hold_expired" if kept.facts.status in ("held", "cancelled") else "appointment_over")
    return kept


async def _unrelated(step: Step, visit: UUID) -> Reply:
    await _held(step, visit)
    return _summary(step, await step.visits.note(visit, entry_id=None))


async def _confirm(step: Step, visit: UUID) -> Reply:
    kept = await _held(step, visit)
    if kept.facts.status == "held" and not kept.facts.name:
        return _ask_name(step, kept)
    return visits_flow.booked(step, await step.visits.confirm(visit), "book.done")


async def _quit(step: Step, visit: UUID) -> Reply:
    kept = await step.visits.find(visit)
    if kept.booked:
        return visits_flow.show(step, kept)
    if kept.live:
        await step.visits.cancel(visit)
    return _leave(step)


def _leave(step: Step) -> Reply:
    return step.reply(step.say("book.quit"), step.button("book"), step.button("topics"), booking={})


async def _declined(step: Step, rest: str) -> Reply:
    """«No» in words to a question with yes or no."""
    name, _, more = rest.partition(":")
    if name == "confirm" and (visit := read_id(more)):
        reply = await _check(step, visit)
        changes = tuple(choice for choice in reply.choices if not choice.id.startswith("confirm:"))
        return step.reply(step.say("book.not_confirmed"), *changes, booking=dict(reply.state.booking))
    visit = read_id(more.rpartition(":")[2] if name == "visit" else more.partition(":")[0])
    return visits_flow.show(step, await step.visits.find(visit)) if visit else step.over()


# ---- moved ----


async def _other_time(step: Step, rest: str) -> Reply:
    """`visit:move:<visit>`."""
    visit = read_id(rest.removeprefix("move:"))
    if visit is None:
        return step.over()
    if not (await step.visits.find(visit)).booked:
        raise Refused("appointment_over")
    reply = await days(step, Draft(moves=visit), "")
    return replace(reply, intent="reschedule")


async def _ask_move(step: Step, draft: Draft, start: datetime) -> Reply:
    assert draft.moves is not None
    kept = await step.visits.find(draft.moves)
    if not kept.booked:
        raise Refused("appointment_over")
    moment = {"before": kept.facts.starts, "after": start}
    text = step.say("visit.ask_move", **{key: when(step.language, at, kept.facts.zone) for key, at in moment.items()})
    demo = step.say("visit.demo") if kept.facts.demo else ""
    new = f"{draft.code}:{time_id(draft, start).rpartition(':')[2]}"
    keep = step.button("visit", f"show:{draft.moves}", key="visit_keep")
    choices = (step.button("move", new), step.other_days(draft), keep)
    return step.reply(paragraphs(text, demo), *choices, intent="reschedule", pending=f"move:{new}")


async def _move(step: Step, draft: Draft, more: str) -> Reply:
    start = read_moment(more)
    if start is None or draft.moves is None:
        return step.over()
    reply = visits_flow.booked(step, await step.visits.move(draft.moves, start), "visit.moved")
    return replace(reply, intent="reschedule")


# ---- the waiting list ----


async def _waiting(step: Step, rest: str) -> Reply:
    what, _, code = rest.partition(":")
    if what == "join":
        return await _join(step, code)
    place = read_id(code)
    if place is None or what not in ("take", "pass", "leave"):
        return step.over()
    if what != "take":
        return await visits_flow.waiting(step, what, place)
    kept = await step.visits.take(place)
    name = kept.facts.name or await step.visits.last_name()
    return await _named(step, kept.id, name) if name else _ask_name(step, kept)


async def _join(step: Step, code: str) -> Reply:
    """For a draft, or for the one that is being looked for times for."""
    at = step.turn.state.booking.get("at", "").partition(":")[2]
    draft_code, _, more = (code or at.partition(":")[0]).partition(":")
    draft = Draft.read(draft_code)
    if draft is None or draft.moves:
        return step.over()
    return await visits_flow.joined(step, await step.visits.join(draft, *day_and_part(more)))


# ---- what cannot be done ----

_FINAL = ("appointment_over", "appointment_limit", "appointment_limit_week")
"""Another time would not help."""


async def _refused(step: Step, chosen: str, why: Refused) -> Reply:
    """Why, and what can be done instead. Never raises Refused."""
    if why.code == "not_found":
        return step.over()
    text = step.say(f"error.{why.code}", **why.values)
    try:
        draft, day = await _looked_for(step, chosen)
        if draft and why.others:
            others = (time_button(step, draft, one, with_day=True) for one in why.others)
            return step.reply(text, *others, step.other_days(draft), booking=step.at(days_id(draft)))
        if draft and why.code == "hours_unknown":
            closed = [one for one in await step.visits.offers() if one.kind == draft.kind]
            return _closed(step, closed[0]) if closed else step.over()
        if draft and why.code not in _FINAL:
            return await (
                day_times(step, draft, day, before=text, none=text) if day else days(step, draft, "", before=text)
            )
    except Refused:
        pass
    choices = (step.button("visits"), step.button("book", key="book_again"), step.button("human"))
    return step.reply(text, *choices, booking={})


async def _looked_for(step: Step, chosen: str) -> tuple[Draft | None, str | None]:
    """What the refused step wanted a time for, and the day of it. Raises Refused."""
    step_id = step.turn.state.booking.get("at", "") if chosen == "typed" else chosen
    name, code, *more = f"{step_id}:".split(":")
    visit = read_id(code)
    if name in _OF_VISIT and visit:
        kept = await step.visits.find(visit)
        day = kept.facts.starts.astimezone(ZoneInfo(kept.facts.zone))
        return kept.draft, f"{day:%Y%m%d}"
    if name not in _OF_DRAFT:
        return None, None
    return Draft.read(code), more[0][:8] if name in ("time", "move") else None


_STEPS = {
    "book": _start,
    "about": _about,
    "pick": _pick,
    "desk": desk_flow.show,
    "visit": _other_time,
    "wait": _waiting,
    "resume": _resume,
    "no": _declined,
}
_OF_DRAFT = {"lang": days, "days": days, "day": day_times, "time": _time, "move": _move}
_OF_VISIT = {"name": _rename, "check": _check, "confirm": _confirm, "unrelated": _unrelated, "quit": _quit}
"""By the first word of an id: followed by what they say, by the code of a draft, by a visit."""
