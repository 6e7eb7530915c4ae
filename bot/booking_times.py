"""Days with room, the times of a day, and a day that somebody names in words."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from itertools import groupby

from bot.booking_steps import Step
from bot.bookings import PARTS, Draft, Times, day_id, days_id, part_of, read_day, time_id
from bot.buttons import day_part
from bot.phrases import language_name
from bot.turn import Choice, Reply
from bot.visit_card import hour, long_day, short_day, short_moment
from bot.wishes import Wish

_MOST_DAYS = 8
"""Buttons with days in one message."""
_MANY = 8
"""Times of one day, above which its morning and its afternoon have a button each."""


async def days(step: Step, draft: Draft, more: str, *, before: str = "") -> Reply:
    """Days with room; `more`: from this day on, in this part of the day. `before`: a sentence that comes first."""
    first, part = day_and_part(more)
    named = step.turn.state.booking.get("wish")
    if named and not more and not before:  # named before it could be looked for
        step = replace(step, turn=replace(step.turn, state=step.turn.state.change(booking=_without_wish(step))))
        return await wished(step, draft, Wish(*day_and_part(named)))
    times = await step.visits.times(draft, first)
    starts = [one for one in times.starts if part in (None, part_of(one))]
    booking = step.at(days_id(draft, first, part), zone=times.zone)
    if not starts and first is not None:  # none from this day on: all there are
        return await days(step, draft, f":{part}" if part else "", before=before)
    if not starts:
        text = paragraphs(before, step.say("book.full", desk=times.desk), _demo(step, times))
        return step.reply(text, *_no_time(step, draft, first, part), booking=booking)
    choices, following = _day_buttons(step, draft, starts, part)
    more_days = (step.button("days", days_id(draft, following, part).partition(":")[2]),) if following else ()
    asked = before or step.say("book.days", what=times.title, desk=times.desk)
    text = paragraphs(asked, _held_in(step, draft), step.say("book.or_write"), _demo(step, times))
    return step.reply(text, *choices, *more_days, *_no_time(step, draft), booking=booking)


def _without_wish(step: Step) -> dict[str, str]:
    return {key: value for key, value in step.turn.state.booking.items() if key != "wish"}


def _day_buttons(
    step: Step, draft: Draft, starts: Iterable[datetime], part: str | None
) -> tuple[tuple[Choice, ...], date | None]:
    """As many as a message holds, and the first day that has none in it."""
    choices: list[Choice] = []
    for day, times in groupby(starts, key=datetime.date):
        parts = Counter(map(part_of, times))
        split = [one for one in PARTS if parts[one]] if parts.total() > _MANY and len(parts) > 1 else [part]
        if len(choices) + len(split) > _MOST_DAYS:
            return tuple(choices), day
        choices += [Choice(day_id(draft, day, one), _day_label(step, day, one)) for one in split]
    return tuple(choices), None


def _day_label(step: Step, day: date, part: str | None) -> str:
    return day_part(step.language, short_day(step.language, day), part)


async def day_times(step: Step, draft: Draft, more: str, *, before: str = "", none: str = "") -> Reply:
    """Times of a day, or of its morning or afternoon. `none`: said instead of `before` when there are none, with other
    days."""
    day, part = day_and_part(more)
    if day is None:
        return step.over()
    times = await step.visits.times(draft, day, day)
    starts = [one for one in times.starts if part in (None, part_of(one))]
    if not starts:
        none = none or step.say("book.day_full", day=_day_label_long(step, day, part))
        return await days(step, draft, f"{max(day, step.visits.now.date()):%Y%m%d}", before=none)
    asked = before or step.say("book.time", day=_day_label_long(step, day, part))
    choices = [time_button(step, draft, one) for one in starts]
    text, booking = paragraphs(asked, _demo(step, times)), step.at(day_id(draft, day, part), zone=times.zone)
    return step.reply(text, *choices, step.other_days(draft), *_no_time(step, draft, day, part), booking=booking)


def _day_label_long(step: Step, day: date, part: str | None) -> str:
    return day_part(step.language, long_day(step.language, day), part)


async def wished(step: Step, draft: Draft, wish: Wish) -> Reply:
    """What was understood of somebody's words, and the times of it: pressing one says that it was right."""
    if wish.day is None:
        understood = step.say("book.understood", what=step.say(f"book.{wish.part}"))
        return await days(step, draft, f":{wish.part}", before=understood)
    understood = step.say("book.understood", what=_day_label_long(step, wish.day, wish.part))
    return await day_times(step, draft, f"{wish.day:%Y%m%d}:{wish.part or ''}", before=understood)


def day_and_part(more: str) -> tuple[date | None, str | None]:
    day, _, part = more.partition(":")
    return read_day(day), part if part in PARTS else None


def time_button(step: Step, draft: Draft, start: datetime, *, with_day: bool = False) -> Choice:
    label = short_moment(step.language, start) if with_day else hour(step.language, start)
    return Choice(time_id(draft, start), label)


def _no_time(step: Step, draft: Draft, day: date | None = None, part: str | None = None) -> tuple[Choice, ...]:
    """Whoever moves a visit has one, and waits for none."""
    if draft.moves:
        return (step.button("visit", f"show:{draft.moves}", key="visit_keep"),)
    when_free = f":{day:%Y%m%d}:{part or ''}" if day else ""
    return (step.button("wait", f"join:{draft.code}{when_free}", key="wait_join_day" if day else "wait_join"),)


def _held_in(step: Step, draft: Draft) -> str:
    if draft.moves or draft.interpreter or draft.language == step.language:
        return ""
    return step.say("book.held_in", language=language_name(draft.language, step.language))


def _demo(step: Step, times: Times) -> str:
    return step.say("visit.demo") if times.demo else ""


def paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
