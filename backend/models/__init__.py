"""Tables. The constraints here, not the code's good intentions, keep the invariants."""

from backend.models.base import Base
from backend.models.conversation import Attachment, Conversation, DailyCount, Feedback, Gap, Message, Receipt
from backend.models.knowledge import EntryRow, OutsideQuestion, Revision, TextRow
from backend.models.staff import (
    Account,
    AccountLink,
    AuditEvent,
    Ceremony,
    Desk,
    KeyCheck,
    Membership,
    Organisation,
    Passkey,
    RecoveryCode,
    StaffSession,
)

__all__ = [
    "Account",
    "AccountLink",
    "Attachment",
    "AuditEvent",
    "Base",
    "Ceremony",
    "Conversation",
    "DailyCount",
    "Desk",
    "EntryRow",
    "Feedback",
    "Gap",
    "KeyCheck",
    "Membership",
    "Message",
    "Organisation",
    "OutsideQuestion",
    "Passkey",
    "Receipt",
    "RecoveryCode",
    "Revision",
    "StaffSession",
    "TextRow",
]
