"""What people send that is not words: where they are, a telephone number, a file nobody can look at, a sticker; and the
links that lead to the bot."""

from collections.abc import Callable
from dataclasses import replace

from bot.actions import Actions
from bot.buttons import button, entry_buttons, topic_buttons
from bot.nearby import distance, nearest
from bot.phrases import SPOKEN, say
from bot.privacy import first_words
from bot.topics import TOPICS, entries_of
from bot.turn import Choice, Keeping, Reply, Turn

FILES = ("image", "pdf", "voice", "other")
CHOICES = frozenset(("start", "location", "contact", "other", "file", "link"))
"""First words of their ids. They are no buttons: whatever comes in is a turn."""
UNHEARD = ("location", "contact")
"""What does not reach a person at the desk either; whoever sent it has to know."""


def answer(choice: str, turn: Turn, entries: Actions) -> Reply | None:
    """To one of `CHOICES`; None for a link that leads to something we have, and what that is the dialogue says."""
    name, _, rest = choice.partition(":")
    if name == "link":
        return None if linked(rest, entries) else _link_over(turn)
    if name == "location":
        return _near(turn, entries)
    if name == "file":
        return _file(turn, rest if rest in FILES else "other")
    simple: dict[str, Callable[[Turn], Reply]] = {"start": _start, "contact": _contact, "other": wordless}
    return simple[name](turn)


def answer_held(choice: str, turn: Turn) -> Reply | None:
    """While a person at the desk has the word: only what they do not get."""
    if choice not in UNHEARD:
        return None
    return Reply(turn.incoming.language, say(turn.incoming.language, f"telegram.{choice}_held"), "human", turn.state)


def linked(payload: str, entries: Actions) -> str | None:
    """What a link leads to, as the id of a button: `entry:<id>`, `desk:<id>`; whether that desk is ours is not known
    here. None for what there is not."""
    name, _, rest = payload.partition("-")
    if name == "desk" and rest.isascii() and rest.isdigit() and len(rest) < 10:
        return f"desk:{rest}"
    entry = entries.find_entry(rest) if name in ("entry", "desk") else None
    return f"entry:{entry.id}" if entry and entry.shown else None


def greeting(language: str, keeping: Keeping) -> Reply:
    """As on the chat page, with what is said there beside the conversation: other languages, and who else reads it."""
    text = f"{first_words(language, keeping)}\n\n{say(language, 'telegram.notice')}"
    others = (button(language, name) for name in ("book", "human", "privacy"))
    choices = (button(language, "languages"), *topic_buttons(language), *others)
    return Reply(language, text, "greet", choices=choices)


def languages(language: str) -> Reply:
    choices = tuple(Choice(f"language:{code}", one.name) for code, one in SPOKEN.items())
    return Reply(language, say(language, "language.which"), "change_language", choices=choices)


def with_unread(reply: Reply, kind: str | None) -> Reply:
    """The words beside a file were answered; that nobody looked at the file must be said, but not before the numbers
    of an emergency."""
    if kind is None or reply.emergency or reply.erase:
        return reply
    language = reply.language
    human = button(language, "human")
    choices = reply.choices if human in reply.choices else (*reply.choices, human)
    text = "\n\n".join(filter(None, (reply.text, say(language, "telegram.unread"))))
    return replace(reply, text=text, choices=choices)


def _reply(turn: Turn, text: str, *choices: Choice, intent: str = "help") -> Reply:
    return Reply(turn.incoming.language, text, intent, turn.state.change(pending=None), choices)


def _start(turn: Turn) -> Reply:
    return replace(greeting(turn.incoming.language, turn.keeping), state=turn.state.change(pending=None, misses=0))


def _link_over(turn: Turn) -> Reply:
    language = turn.incoming.language
    return _reply(turn, say(language, "telegram.link_over"), *topic_buttons(language), intent="none")


def _near(turn: Turn, entries: Actions) -> Reply:
    language, point = turn.incoming.language, turn.incoming.location
    others = (button(language, "topics"), button(language, "human"))
    if point is None:
        return _reply(turn, say(language, "telegram.location_lost"), *others)
    every = [*entries.desks(), *(entry for topic in TOPICS for entry in entries_of(topic, entries))]
    near = nearest(point, every)
    if not near:
        desks = entry_buttons(language, entries.desks())
        return _reply(turn, say(language, "telegram.nothing_near"), *desks, *others, intent="facet:where")
    choices = [
        replace(choice, label=f"{choice.label} · {distance(language, one.km)}")
        for one in near
        for choice in entry_buttons(language, [one.entry])
    ]
    return _reply(turn, say(language, "telegram.near"), *choices, *others, intent="facet:where")


def _contact(turn: Turn) -> Reply:
    language = turn.incoming.language
    return _reply(turn, say(language, "telegram.contact"), button(language, "human"), button(language, "topics"))


def wordless(turn: Turn) -> Reply:
    """To signs, stickers, numbers: asks for words or a topic."""
    language = turn.incoming.language
    return _reply(turn, say(language, "wordless"), *topic_buttons(language), intent="none")


def _file(turn: Turn, kind: str) -> Reply:
    language = turn.incoming.language
    human, topics = button(language, "human"), button(language, "topics")
    return _reply(turn, say(language, f"telegram.file.{kind}"), human, topics, intent="attachment")
