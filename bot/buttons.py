"""Buttons: what stands on them in every language. An id says all that is needed to act on it (design section 4.1)."""

from collections.abc import Callable, Iterable
from datetime import timedelta

from babel.dates import format_timedelta

from bot.bookings import PARTS, Draft, read_day, read_moment
from bot.phrases import SPOKEN, digits, language_name, locale, say
from bot.topics import FIRST, FORMER, TOPICS
from bot.turn import Choice
from bot.visit_card import short_day, short_moment
from knowledge_base.entry import Entry

_WAITING = {"join": "wait_join", "take": "wait_take", "pass": "wait_pass", "leave": "wait_leave"}


def button(language: str, name: str, rest: str = "", *, key: str | None = None) -> Choice:
    """`<name>` or `<name>:<rest>`, labelled with the sentence `choice.<key or name>`."""
    return Choice(f"{name}:{rest}" if rest else name, say(language, f"choice.{key or name}"))


def entry_buttons(language: str, entries: Iterable[Entry]) -> tuple[Choice, ...]:
    titled = ((entry, entry.text_for(language)) for entry in entries)
    return tuple(Choice(f"entry:{entry.id}", found[1].title) for entry, found in titled if found)


def topic_buttons(language: str) -> tuple[Choice, ...]:
    """Those to begin with, and the way to the rest."""
    return (*first_topics(language), more_topics(language))


def first_topics(language: str) -> tuple[Choice, ...]:
    return _topics(language, FIRST)


def more_topics(language: str) -> Choice:
    return button(language, "topics", key="more_topics")


def every_topic_button(language: str) -> tuple[Choice, ...]:
    return _topics(language, TOPICS)


def _topics(language: str, topics: Iterable[str]) -> tuple[Choice, ...]:
    return tuple(Choice(f"topic:{topic}", say(language, f"topic.{topic}")) for topic in topics)


def answer_buttons(language: str, entry: Entry) -> tuple[Choice, ...]:
    """What stands under every answer (design section 4). Where no desk of ours receives people for it, the button says
    that the appointment is to talk about it: nobody should take it for one at that office."""
    return (
        button(language, "useful", f"{entry.id}:yes", key="useful_yes"),
        button(language, "useful", f"{entry.id}:no", key="useful_no"),
        button(language, "simpler", entry.id),
        button(language, "show", entry.id),
        button(language, "book", entry.id, key="book" if entry.facts.booking_desk else "book_about"),
        button(language, "human"),
    )


def minutes_words(language: str, minutes: int) -> str:
    """«10 minuti», with the plural the language asks for."""
    span = timedelta(minutes=minutes)
    return digits(language, str(format_timedelta(span, granularity="minute", threshold=1e9, locale=locale(language))))


def day_part(language: str, day: str, part: str | None) -> str:
    """«mar 24 nov, mattina»."""
    return say(language, "book.day_part", day=day, part=say(language, f"book.{part}")) if part in PARTS else day


def label_of(choice: str, language: str, find_entry: Callable[[str], Entry | None]) -> str:
    """What stood on a pressed button, in that language; the page shows it as the person's message."""
    name, _, rest = choice.partition(":")
    linked = rest.removeprefix("entry-") if name == "link" else ""
    entry = find_entry(linked or rest) if name in ("entry", "link") else None
    found = entry.text_for(language) if entry else None
    if found:
        return found[1].title
    if name == "topic" and rest.split(":")[0] in (*TOPICS, *FORMER):
        return say(language, f"topic.{rest.split(':')[0]}")
    if name == "language" and rest in SPOKEN:
        return SPOKEN[rest].name
    if name in ("useful", "helped"):
        name = f"{name}_{rest.rpartition(':')[2]}"
    if name == "facet":
        name = f"facet_{rest.partition(':')[0]}"
    if choice == "no:forget-now":
        name = "forget_no"
    if choice == "export-file":
        name = "export"
    label = _booking_label(name, rest, language)
    if label:
        return label
    if name == "visit":
        name = f"visit_{rest.partition(':')[0]}"
    if name == "wait":
        name = _WAITING.get(rest.partition(":")[0], name)
    key = f"choice.{name}"
    label = say(language, key)
    return label if label != key else say(language, "choice.unknown")


def _booking_label(name: str, rest: str, language: str) -> str | None:
    """Of what an id of booking says by itself."""
    code, _, more = rest.partition(":")
    if name == "late" and more.isascii() and more.isdigit() and len(more) < 4:
        return minutes_words(language, int(more))
    draft = Draft.read(code)
    if draft is None:
        return None
    day, moment = read_day(more[:8]), read_moment(more)
    if name == "time" and moment:
        return short_moment(language, moment)
    if name == "day" and day:
        return day_part(language, short_day(language, day), more[9:])
    if name == "lang" and draft.interpreter:
        return say(language, "choice.with_interpreter")
    if name == "lang":
        own = draft.language == language
        return say(language, "choice.no_interpreter") if own else language_name(draft.language, language)
    return None
