"""From the bot to a person and back: what is said on the way, and what buttons mean while a person has the word."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_skeleton

from bot import booking_steps, privacy_flow, shared_flow
from bot.bookings import BUTTONS
from bot.buttons import button, topic_buttons
from bot.phrases import SPOKEN, digits, locale, say
from bot.privacy import long_date
from bot.topics import DANGER
from bot.turn import Choice, DialogueState, EmergencyLine, HandOver, Held, Reply, Turn
from knowledge_base.entry import Entry


def wish(state: DialogueState, entry: Entry | None) -> HandOver:
    """What the desk is told of why somebody wants a person."""
    reason = "emergency" if state.danger else "failed" if state.misses else "asked"
    if entry is None:
        return HandOver(reason)  # type: ignore[arg-type]  # one of the three
    return HandOver(reason, entry.category, entry.id, entry.facts.booking_desk)  # type: ignore[arg-type]


def moment(language: str, at: datetime, zone: str) -> str:
    """«mar 24 nov, 10:00», on the clock of the desk; the day is always there, for it may be read tomorrow."""
    local, spoken = at.astimezone(ZoneInfo(zone)), locale(language)
    day = format_skeleton("MMMEd", local, locale=spoken)
    written = str(spoken.datetime_formats["medium"]).format(format_skeleton("Hm", local, locale=spoken), day)
    return digits(language, written)


def _sentence(language: str, key: str, held: Held) -> str:
    """`<key>.by` with a promise, `<key>.closed` for a desk that stays closed, `<key>.unknown` without known hours."""
    if held.promised_for is not None:
        return say(language, f"{key}.by", desk=held.desk, when=moment(language, held.promised_for, held.zone))
    if held.not_before is not None:
        return say(language, f"{key}.closed", desk=held.desk, day=long_date(language, held.not_before))
    return say(language, f"{key}.unknown", desk=held.desk)


def status(language: str, held: Held) -> str:
    """One line that is always true: with whom, since when, and what was promised."""
    since = moment(language, held.since, held.zone)
    if held.state == "ACTIVE":
        return say(language, "status.active", desk=held.desk, since=since)
    return f"{say(language, 'status.waiting', desk=held.desk, since=since)} {_sentence(language, 'promise', held)}"


def handed_over(language: str, held: Held, *, urgent: bool) -> str:
    """The acknowledgement."""
    parts = [
        say(language, "handover.done", desk=held.desk) + " " + _sentence(language, "promise", held),
        say(language, "handover.urgent" if urgent else "handover.meanwhile"),
    ]
    return "\n\n".join(parts)


def taken(language: str, desk: str) -> str:
    return say(language, "handover.taken", desk=desk)


def reopened(language: str, desk: str) -> str:
    return say(language, "handover.reopened", desk=desk)


def back_in_queue(language: str, held: Held) -> str:
    """Whoever was answering had to go."""
    return f"{say(language, 'handover.back_in_queue', desk=held.desk)} {_sentence(language, 'promise', held)}"


def moved(language: str, held: Held) -> str:
    return f"{say(language, 'handover.moved', desk=held.desk)} {_sentence(language, 'promise', held)}"


def apology(language: str, held: Held) -> str:
    """A promise was broken, here is a new one."""
    return f"{say(language, 'handover.late', desk=held.desk)} {_sentence(language, 'promise', held)}"


def dated(language: str, held: Held) -> str:
    """An operator has named a day and hour."""
    return f"{say(language, 'handover.dated', desk=held.desk)} {_sentence(language, 'promise', held)}"


def closed(language: str, desk: str) -> Reply:
    """The last word, with the question whether it helped."""
    choices = (
        button(language, "helped", "yes", key="helped_yes"),
        button(language, "helped", "no", key="helped_no"),
    )
    return Reply(language, say(language, "handover.closed", desk=desk), "human", choices=choices)


def waiting_buttons(language: str) -> tuple[Choice, ...]:
    return (button(language, "waiting"), button(language, "bot"))


# ---- while a person has the word ----


def respond_held(turn: Turn, lines: tuple[EmergencyLine, ...]) -> Reply | None:
    """What the service says by itself while somebody waits for a person or talks with one: the numbers in an emergency,
    and answers to its own buttons. Everything else is for the person, and gets None. `lines` are of the emergency."""
    language, choice = turn.incoming.language, turn.incoming.choice
    if choice == f"topic:{DANGER}":
        return _emergency(turn, lines)
    if choice is None:
        return _emergency(turn, lines) or _name_of_visit(turn)
    if choice.partition(":")[0] in BUTTONS:
        return Reply(language, "", "book", state=turn.state, books=choice)
    if choice == "bot":
        return back(turn)
    if choice in ("waiting", "human", "start", "help"):
        return Reply(language, "", "human", state=turn.state, choices=waiting_buttons(language), tells="waiting")
    if choice == "attachment" or choice.partition(":")[0] in ("other", "file"):
        return None
    if choice in shared_flow.UNHEARD:
        return shared_flow.answer_held(choice, turn)
    if choice == "languages":
        return replace(shared_flow.languages(language), state=turn.state)
    if choice in privacy_flow.CHOICES:
        return privacy_flow.answer(choice, turn)
    if choice == "no:forget-now":
        return privacy_flow.declined(turn)
    name, _, code = choice.partition(":")
    if name == "language" and code in SPOKEN:
        text = say(code, "language.changed")
        return Reply(code, text, f"change_language:{code}", state=turn.state, choices=waiting_buttons(code))
    return Reply(language, say(language, "handover.held"), "human", state=turn.state, choices=waiting_buttons(language))


def _emergency(turn: Turn, lines: tuple[EmergencyLine, ...]) -> Reply | None:
    found, language = turn.understanding.emergency, turn.incoming.language
    if found is None:
        return None
    text = f"{say(language, f'emergency.{found.kind}')}\n\n{say(language, 'handover.marked_urgent')}"
    state = turn.state.change(danger=True)
    return Reply(language, text, "emergency", state=state, emergency=lines, hands_over=HandOver("emergency"))


def _name_of_visit(turn: Turn) -> Reply | None:
    """The name that a step of booking has just asked for is not for the desk to answer."""
    if not (booking_steps.is_asked_for_a_name(turn) and booking_steps.looks_like_a_name(turn)):
        return None
    return Reply(turn.incoming.language, "", "book", state=turn.state, books="typed")


def back(turn: Turn) -> Reply:
    """To the assistant again."""
    language = turn.incoming.language
    choices = (*topic_buttons(language), button(language, "human"))
    state = turn.state.change(pending=None, misses=0)
    return Reply(language, say(language, "handover.left"), "human", state=state, choices=choices, leaves=True)


def helped(turn: Turn, answer: str) -> Reply:
    """Thanks for `yes`; for `no` a person again, and the topics."""
    language = turn.incoming.language
    names = ("topics",) if answer == "yes" else ("human", "topics")
    choices = tuple(button(language, name) for name in names)
    reply = Reply(language, say(language, f"helped.{answer}"), "thanks", state=turn.state, choices=choices)
    return replace(reply, helped=answer == "yes")
