"""The values that pass through one turn of a conversation (design section 3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal, Self

from bot.visit_card import VisitCard
from bot.wishes import Wish
from knowledge_base.search import SearchResult


class Intent(StrEnum):
    """What a person can want; the names are those of the NLU model (`nlu/domain.yml`)."""

    ASK = "ask"
    BOOK = "book"
    RESCHEDULE = "reschedule"
    CANCEL_BOOKING = "cancel_booking"
    MY_BOOKINGS = "my_bookings"
    HUMAN = "human"
    CHANGE_LANGUAGE = "change_language"
    FORGET = "forget"
    WHAT_DO_YOU_KNOW = "what_do_you_know"
    HELP = "help"
    GREET = "greet"
    THANKS = "thanks"
    GOODBYE = "goodbye"
    YES = "yes"
    NO = "no"
    NOT_UNDERSTOOD = "not_understood"
    FACET_WHERE = "facet_where"
    FACET_WHEN = "facet_when"
    FACET_PHONE = "facet_phone"
    FACET_DOCUMENTS = "facet_documents"
    FACET_COST = "facet_cost"
    FACET_WHO = "facet_who"
    FACET_HOW = "facet_how"

    @property
    def facet(self) -> str | None:
        """`where` for FACET_WHERE, None for an intent that is no facet."""
        return self.value.removeprefix("facet_") if self.value.startswith("facet_") else None


FACETS = ("where", "when", "phone", "documents", "cost", "who", "how")


@dataclass(frozen=True, slots=True)
class Guess:
    """One classification by the NLU model; confidence between 0 and 1."""

    intent: Intent
    confidence: float
    language: str | None = None
    """For CHANGE_LANGUAGE: the code of the language that was named."""
    others: tuple["Guess", ...] = ()
    """What else it could be, likeliest first."""


@dataclass(frozen=True, slots=True)
class Emergency:
    kind: str
    lines: tuple[str, ...]
    """Ids of the entries whose numbers come first, most urgent first."""
    chance: float = 1.0
    """Less when no reviewed phrase says so and a model does."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """What a person sent, the same for every channel. Either `text` or `choice` is set."""

    language: str
    text: str = ""
    choice: str | None = None
    place: str | None = None
    message_id: int | None = None
    location: tuple[float, float] | None = None
    """Latitude and longitude that came with it. Never stored."""
    unread: str | None = None
    """Kind of a file that came with the words and that nobody has looked at."""


@dataclass(frozen=True, slots=True)
class Understanding:
    """What the slow part of a turn found out; every part may be missing and the turn still goes on."""

    written_in: str | None = None
    """Language the text seems to be written in, only when sure enough to suggest a change."""
    emergency: Emergency | None = None
    perhaps_emergency: Emergency | None = None
    """Only where `emergency` is None."""
    guess: Guess | None = None
    found: SearchResult | None = None
    wish: Wish | None = None
    """A day or part of the day that the words name; only looked for while an appointment is being made."""


@dataclass(frozen=True, slots=True)
class DialogueState:
    """What the dialogue remembers between two turns; kept with the conversation as JSON. It holds no text."""

    last_entry: str | None = None
    last_variant: str = "full"
    offered: tuple[str, ...] = ()
    """Entries among which the person was asked to choose, in their order."""
    others: tuple[str, ...] = ()
    """Entries that came near the last answer, for «not that»."""
    pending: str | None = None
    """A question we asked and wait an answer to: `forget`, `human`, or `language:<code>`."""
    question_id: int | None = None
    """Message that asked what we last answered or could not answer."""
    misses: int = 0
    danger: bool = False
    """An emergency was written of, and the person has not said since that they are safe."""
    suggested: tuple[str, ...] = ()
    """Languages already suggested, so that nobody is asked twice."""
    booking: Mapping[str, str] = field(default_factory=dict)
    """Of an appointment that is being made: `at`, the step it stands at as the id of a button; `entry`, what it is
    about; `wish`, a day named in words (`Wish.code`); `zone`, the desk's; `waited`, answers given in between."""

    def to_json(self) -> dict[str, Any]:
        empty = type(self)()
        names = self.__dataclass_fields__
        return {name: getattr(self, name) for name in names if getattr(self, name) != getattr(empty, name)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Unknown keys of an older or newer version are passed over: a conversation outlives an update."""
        known = {key: value for key, value in raw.items() if key in cls.__dataclass_fields__}
        for key in ("offered", "others", "suggested"):
            known[key] = tuple(known.get(key, ()))
        return cls(**known)

    def change(self, **changes: Any) -> Self:
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Keeping:
    """How this service keeps what people write, as it tells them."""

    days: int = 90
    """Without use, after which a conversation is erased."""
    controller: str | None = None
    """Who answers for the data; None as long as nobody was named."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept of a person at this moment."""

    messages: int
    """Those the person wrote or pressed."""
    since: date | None
    """Day of the first one; None without any."""
    language: str
    place: str | None
    opinions: int
    attachments: int
    until: date
    """Day on which it is erased when nothing more is written."""
    forgets: bool
    """Erased soon after the page is closed."""
    visits: int = 0
    """Appointments, past and cancelled ones too."""
    waiting: int = 0
    """Places in waiting lists."""


@dataclass(frozen=True, slots=True)
class Turn:
    incoming: Incoming
    understanding: Understanding
    state: DialogueState
    keeping: Keeping = Keeping()


@dataclass(frozen=True, slots=True)
class HandOver:
    """The wish for a person, as the desk will see it."""

    reason: Literal["asked", "failed", "emergency"]
    topic: str | None = None
    entry: str | None = None
    """What was talked about last."""
    desk: str | None = None
    """Entry of the desk that receives people for it, when there is one."""

    @property
    def urgent(self) -> bool:
        return self.reason == "emergency"


@dataclass(frozen=True, slots=True)
class Held:
    """How a conversation stands that was handed over, as the person is told."""

    state: Literal["WAITING", "ACTIVE"]
    desk: str
    since: datetime
    zone: str
    """IANA name; moments are told on the clock of the desk."""
    promised_for: datetime | None = None
    not_before: date | None = None
    """The desk is closed until then at least."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A button. The id says all that is needed to act on it, so that an old button still works."""

    id: str
    label: str


@dataclass(frozen=True, slots=True)
class EmergencyLine:
    number: str
    label: str


@dataclass(frozen=True, slots=True)
class Reply:
    """One bot message and what changes with it."""

    language: str
    text: str
    intent: str
    state: DialogueState = field(default_factory=DialogueState)
    choices: tuple[Choice, ...] = ()
    entry: str | None = None
    variant: str = "full"
    """How much of the entry is shown: `full`, `simple`, `show`, or `facet:<name>`."""
    emergency: tuple[EmergencyLine, ...] = ()
    unanswered: int | None = None
    """Message id of a question to keep for the editors."""
    useful: tuple[str, bool] | None = None
    """Entry id, and whether the person found the answer useful."""
    erase: bool = False
    tells: Literal["known", "forget", "forget_on_close", "waiting"] | None = None
    """The text comes from the database, in the transaction that stores the reply: what is known of the person, whether
    erasing it cancels an appointment, that the chat is from now on forgotten when it is closed (or is not any more), or
    how it stands with the desk."""
    hands_over: HandOver | None = None
    """A person is wished for. Where a desk has operators the text becomes what was promised; else it stays as it is."""
    leaves: bool = False
    """The person does not want to wait for a person any more."""
    helped: bool | None = None
    """Whether the person at the desk could help, as the one who was helped says."""
    books: str | None = None
    """A step of booking, as the id of a button, or `typed` for words: `booking_flow.answer` makes the rest of the reply
    in the transaction that stores it."""
    visit: VisitCard | None = None
