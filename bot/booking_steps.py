"""What every step of booking has at hand: the turn, the visits, and how it answers."""

from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

from bot import keywords
from bot.bookings import Draft, Kept, Visits
from bot.buttons import button
from bot.phrases import say
from bot.turn import Choice, Intent, Reply, Turn
from bot.visit_card import visit_card
from knowledge_base.entry import Entry
from knowledge_base.search import Band

_MOST_WAITS = 3
"""Answers to other questions in between, before the service stops asking whether to go on."""
_LONGEST_NAME_WORDS = 4
_NOT_A_NAME = (
    *(Intent.HUMAN, Intent.HELP, Intent.CANCEL_BOOKING, Intent.FORGET, Intent.CHANGE_LANGUAGE),
    *(Intent.NOT_UNDERSTOOD, Intent.WHAT_DO_YOU_KNOW),
)
_SURE, _VERY_SURE = 0.55, 0.9


class Entries(Protocol):
    def find_entry(self, entry_id: str) -> Entry | None: ...

    def desks(self) -> tuple[Entry, ...]: ...


@dataclass(frozen=True, slots=True)
class Step:
    """One answer in the making."""

    turn: Turn
    visits: Visits
    entries: Entries

    @property
    def language(self) -> str:
        return self.turn.incoming.language

    def say(self, key: str, **values: object) -> str:
        return say(self.language, key, **values)

    def button(self, name: str, rest: str = "", *, key: str | None = None) -> Choice:
        return button(self.language, name, rest, key=key)

    def reply(self, text: str, *choices: Choice, intent: str = "book", **state: object) -> Reply:
        """`state`: what changes in it beside the question that waited for yes or no."""
        changed = self.turn.state.change(**{"pending": None, "misses": 0, **state})
        return Reply(self.language, text, intent, state=changed, choices=choices)

    def at(self, step: str, **more: str) -> dict[str, str]:
        """The booking as it stands now, for `DialogueState.booking`; nobody has waited for it since."""
        kept = {key: value for key, value in self.turn.state.booking.items() if key in ("entry", "zone", "wish")}
        return kept | {"at": step} | more

    def over(self) -> Reply:
        """A button of something that is not there any more."""
        choices = (self.button("book"), self.button("visits"), self.button("topics"))
        return self.reply(self.say("over"), *choices, intent="none", booking={})

    def card(self, kept: Kept, text: str, *choices: Choice, **more: object) -> Reply:
        """The visit, with words before it."""
        about = self.title(kept.entry)
        return replace(self.reply(text, *choices, **more), visit=visit_card(self.language, kept.facts, about=about))  # type: ignore[arg-type]

    def title(self, entry_id: str | None) -> str | None:
        entry = self.entries.find_entry(entry_id) if entry_id else None
        found = entry.text_for(self.language) if entry and entry.shown else None
        return found[1].title if found else None

    def of_visit(self, visit: UUID, *names: str) -> tuple[Choice, ...]:
        return tuple(self.button("visit", f"{name}:{visit}", key=f"visit_{name}") for name in names)

    def other_days(self, draft: Draft) -> Choice:
        return self.button("days", draft.code)


def with_resume(reply: Reply) -> Reply:
    """An answer to something else while an appointment is being made: the flow waits, for a while."""
    booking = reply.state.booking
    if not booking:
        return reply
    waited = int(booking.get("waited", "0")) + 1
    if waited > _MOST_WAITS:
        return replace(reply, state=reply.state.change(booking={}))
    state = reply.state.change(booking={**booking, "waited": str(waited)})
    return replace(reply, state=state, choices=(button(reply.language, "resume"), *reply.choices))


def is_asked_for_a_name(turn: Turn) -> bool:
    return turn.state.booking.get("at", "").startswith("name:")


def is_asked_for_a_time(turn: Turn) -> bool:
    name = turn.state.booking.get("at", "").partition(":")[0]
    return name in ("about", "pick", "days", "day", "time")


def looks_like_a_name(turn: Turn) -> bool:
    """Rather yes than no: what is taken for a name is shown before it counts, and whoever has a name has no other."""
    text, guess, found = turn.incoming.text, turn.understanding.guess, turn.understanding.found
    words = text.split()
    if not words or len(words) > _LONGEST_NAME_WORDS or "\n" in text or any(sign in text for sign in "?؟？0123456789"):
        return False
    if len(words) == 1:
        sure = guess is not None and guess.intent in _NOT_A_NAME and guess.confidence >= _VERY_SURE
        return not sure and not _is_short_act(turn)
    asked = guess is not None and guess.intent is not Intent.GREET and guess.confidence >= _SURE
    return not asked and not (found is not None and found.band is Band.SURE)


def _is_short_act(turn: Turn) -> bool:
    """To the classifier Nino is a no and Faith is a yes: while a name is asked for, yes and no are only their words."""
    short = keywords.guess(turn.incoming.text, turn.incoming.language)
    return short is not None and short.confidence >= keywords.WHOLE


def nods(turn: Turn) -> bool:
    """Whether yes and no may be taken for an answer."""
    return not is_asked_for_a_name(turn) or _is_short_act(turn) or keywords.is_wordless(turn.incoming.text)


def needs_a_wish(turn: Turn) -> bool:
    """Whether it matters which day the words name."""
    guess = turn.understanding.guess
    books = guess is not None and guess.intent is Intent.BOOK and guess.confidence >= _SURE
    return bool(turn.incoming.text) and (books or is_asked_for_a_time(turn))


def means_a_time(turn: Turn) -> bool:
    """Whether the words name a day and not something else that has a day in it."""
    wish, guess = turn.understanding.wish, turn.understanding.guess
    if wish is None:
        return False
    if wish.others <= 1:
        return True
    booking = guess is not None and guess.intent in (Intent.BOOK, Intent.RESCHEDULE) and guess.confidence >= _SURE
    other_act = guess is not None and guess.intent is not Intent.ASK and guess.confidence >= _SURE
    return booking or (not other_act and wish.others <= 3)
