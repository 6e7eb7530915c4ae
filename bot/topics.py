"""The few big words a person can begin with. Most are a category of the knowledge base; two are made of several."""

from bot.actions import Actions
from bot.emergency_kinds import NUMBERS
from bot.turn import Emergency
from knowledge_base.entry import Entry, Kind

DANGER = "pericolo"
FOOD_AND_SLEEP = "cibo"
FIRST = (DANGER, "abitare", "lavoro", "documenti", "salute", "formazione", "famiglia", FOOD_AND_SLEEP)
"""On the first screen, in the order a person sees them."""
TOPICS = (*FIRST, "diritti", "accesso_ai_servizi", "societa_inclusiva")
FORMER = ("emergenza",)
"""Stand on buttons of older messages."""
ANY_DANGER = Emergency("button", tuple(dict.fromkeys(line for lines in NUMBERS.values() for line in lines)))
"""Somebody says with a button that there is danger, and not which: all numbers."""


def entries_of(topic: str, actions: Actions) -> tuple[Entry, ...]:
    """Empty for what is no topic."""
    emergency = actions.entries_about("emergenza")
    if topic == DANGER:
        others = (*actions.entries_about("diritti"), *actions.entries_about("famiglia"))
        return (*filter(_is_line, emergency), *(entry for entry in others if entry.facts.danger))
    if topic == FOOD_AND_SLEEP:
        return tuple(entry for entry in emergency if not _is_line(entry))
    return actions.entries_about(topic) if topic in (*TOPICS, *FORMER) else ()


def _is_line(entry: Entry) -> bool:
    return entry.kind is Kind.EMERGENCY_LINE
