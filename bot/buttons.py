"""Buttons: what stands on them in every language. An id says all that is needed to act on it (design section 4.1)."""

from collections.abc import Callable, Iterable

from bot.phrases import SPOKEN, say
from bot.turn import Choice
from knowledge_base.entry import Entry

TOPICS = (
    "documenti",
    "abitare",
    "lavoro",
    "salute",
    "formazione",
    "famiglia",
    "emergenza",
    "diritti",
    "accesso_ai_servizi",
    "societa_inclusiva",
)
"""Categories of the knowledge base in the order a person sees them."""


def button(language: str, name: str, rest: str = "", *, key: str | None = None) -> Choice:
    """`<name>` or `<name>:<rest>`, labelled with the sentence `choice.<key or name>`."""
    return Choice(f"{name}:{rest}" if rest else name, say(language, f"choice.{key or name}"))


def entry_buttons(language: str, entries: Iterable[Entry]) -> tuple[Choice, ...]:
    titled = ((entry, entry.text_for(language)) for entry in entries)
    return tuple(Choice(f"entry:{entry.id}", found[1].title) for entry, found in titled if found)


def topic_buttons(language: str) -> tuple[Choice, ...]:
    return tuple(Choice(f"topic:{topic}", say(language, f"topic.{topic}")) for topic in TOPICS)


def answer_buttons(language: str, entry_id: str) -> tuple[Choice, ...]:
    """What stands under every answer (design section 4)."""
    return (
        button(language, "useful", f"{entry_id}:yes", key="useful_yes"),
        button(language, "useful", f"{entry_id}:no", key="useful_no"),
        button(language, "simpler", entry_id),
        button(language, "show", entry_id),
        button(language, "book"),
        button(language, "human"),
    )


def label_of(choice: str, language: str, find_entry: Callable[[str], Entry | None]) -> str:
    """What stood on a pressed button, in that language; the page shows it as the person's message."""
    name, _, rest = choice.partition(":")
    entry = find_entry(rest) if name == "entry" else None
    found = entry.text_for(language) if entry else None
    if found:
        return found[1].title
    if name == "topic" and rest.split(":")[0] in TOPICS:
        return say(language, f"topic.{rest.split(':')[0]}")
    if name == "language" and rest in SPOKEN:
        return SPOKEN[rest].name
    if name in ("useful", "helped"):
        name = f"{name}_{rest.rpartition(':')[2]}"
    if name == "facet":
        name = f"facet_{rest.partition(':')[0]}"
    if choice == "no:forget-now":
        name = "forget_no"
    key = f"choice.{name}"
    label = say(language, key)
    return label if label != key else say(language, "choice.unknown")
