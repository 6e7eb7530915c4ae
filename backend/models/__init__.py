"""Tables. The constraints here, not the code's good intentions, keep the invariants."""

from backend.models.appointments import Appointment, AppointmentKind, Resource, ResourceBlock, WaitingPlace
from backend.models.base import Base
from backend.models.conversation import Attachment, Conversation, DailyCount, Feedback, Gap, Message, Receipt
from backend.models.handover import (
    ConsoleKey,
    DeskDay,
    Handover,
    Note,
    OpeningPeriod,
    Presence,
    SavedReply,
)
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
from backend.models.telegram import TelegramChat, TelegramState, TelegramUpdate

__all__ = [
    "Account",
    "AccountLink",
    "Appointment",
    "AppointmentKind",
    "Attachment",
    "AuditEvent",
    "Base",
    "Ceremony",
    "ConsoleKey",
    "Conversation",
    "DailyCount",
    "Desk",
    "DeskDay",
    "EntryRow",
    "Feedback",
    "Gap",
    "Handover",
    "KeyCheck",
    "Membership",
    "Message",
    "Note",
    "OpeningPeriod",
    "Organisation",
    "OutsideQuestion",
    "Passkey",
    "Presence",
    "Receipt",
    "RecoveryCode",
    "Resource",
    "ResourceBlock",
    "Revision",
    "SavedReply",
    "StaffSession",
    "TelegramChat",
    "TelegramState",
    "TelegramUpdate",
    "TextRow",
    "WaitingPlace",
]
