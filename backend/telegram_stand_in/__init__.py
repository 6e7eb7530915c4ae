"""Plays Telegram's Bot API on loopback. Knows nothing of the rest of the backend."""

from backend.telegram_stand_in.people import Group, User
from backend.telegram_stand_in.stand_in import TOKEN, StandIn
from backend.telegram_stand_in.world import Button, Called, Shown, StoredFile, Uploaded

__all__ = ["TOKEN", "Button", "Called", "Group", "Shown", "StandIn", "StoredFile", "Uploaded", "User"]
