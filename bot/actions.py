"""What a dialogue may do outside itself: the one seam towards everything that is not words."""

from typing import Protocol

from knowledge_base.entry import Entry


class Actions(Protocol):
    """What a dialogue may do outside itself; the backend does it for real, tests with a dictionary."""

    def find_entry(self, entry_id: str) -> Entry | None: ...

    def entries_about(self, category: str) -> tuple[Entry, ...]: ...

    def desks(self) -> tuple[Entry, ...]:
        """Entries of the places where people are received: whom to ask when the bot cannot help."""
        ...
