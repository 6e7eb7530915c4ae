"""Tables. The constraints here, not the code's good intentions, keep the invariants."""

from backend.models.base import Base
from backend.models.conversation import Conversation, Feedback, Gap, Message, Receipt
from backend.models.knowledge import EntryRow, OutsideQuestion, Revision, TextRow

__all__ = [
    "Base",
    "Conversation",
    "EntryRow",
    "Feedback",
    "Gap",
    "Message",
    "OutsideQuestion",
    "Receipt",
    "Revision",
    "TextRow",
]
