"""What the console's API takes and gives (`console_api.py`)."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from backend.figures import Group, Numbers
from backend.operators import ReadConversation, ReadMessage
from backend.replies import LONGEST_REPLY

CLIENT_MESSAGE_ID = r"^[A-Za-z0-9_.:-]{1,64}$"
_ROOT = "/api/v1/console/conversations"
_Words = Annotated[str, Field(max_length=5 * LONGEST_REPLY)]


class _Given(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class _Taken(BaseModel):
    model_config = ConfigDict(extra="forbid")


# ---- given ----


class QueueItem(_Given):
    id: UUID
    state: Literal["WAITING", "ACTIVE"]
    language: str
    desk: str
    since: datetime
    promised_for: datetime | None = Field(description="What the person was told; null where the hours are not known.")
    broken: int = Field(description="Promises that passed with nobody there.")
    urgent: bool
    reason: str = Field(description="asked, failed, emergency, reopened")
    topic: str | None
    wrote_at: datetime | None = Field(description="When the person wrote what nobody has answered yet.")
    holder: str | None
    mine: bool
    for_me: bool = Field(description="A colleague has passed it on to this account.")
    last_words: str = Field(description="Of the person; masked, cut, in Italian where there is a translation.")
    last_language: str
    bot_said: str


class QueuePage(BaseModel):
    conversations: list[QueueItem]
    total: int
    page: int
    page_size: int


class DeskView(BaseModel):
    id: int
    name: str
    mine: bool = Field(description="This account answers there; the others can be transferred to.")


class ColleagueView(_Given):
    id: UUID
    name: str
    on_duty: bool
    speaks: list[str]


class FileView(BaseModel):
    id: UUID
    kind: str
    media_type: str
    size: int = Field(description="Bytes.")
    url: str


class ConsoleMessage(BaseModel):
    id: int = Field(description="Grows; ask for what came after it.")
    author: Literal["person", "bot", "operator", "system"]
    language: str
    text: str = Field(description="A person's and an operator's words with tax codes, phones and the like hidden.")
    hidden: bool = Field(description="Something in the text is hidden; the console's page can show it.")
    original: str | None = Field(description="Of a reply that was translated: what was written.")
    italian: str | None = Field(description="Of a person's words: machine translation. It may come later.")
    entry: str | None = Field(description="Title of the entry that was sent with it.")
    attachments: list[FileView]
    created_at: datetime
    written_by: str | None
    delivery: Literal["sent", "delivered", "failed"] | None = Field(description="Of a reply; null for all others.")
    delivered_at: datetime | None
    failure: str | None


class NoteView(_Given):
    id: int
    name: str | None
    text: str
    created_at: datetime


class StateView(_Given):
    id: UUID
    state: Literal["WAITING", "ACTIVE", "CLOSED", "UNREACHABLE"]
    language: str
    desk_id: int | None
    desk: str | None
    holder: str | None
    mine: bool
    since: datetime
    promised_for: datetime | None
    broken: int
    urgent: bool
    reason: str | None
    topic: str | None
    helped: bool | None


class ConversationView(StateView):
    channel: str
    messages: list[ConsoleMessage] = Field(description="The last 500.")
    notes: list[NoteView]
    colleagues: list[ColleagueView] = Field(description="Who answers at its desk: whom it can be transferred to.")


class MessagePage(BaseModel):
    messages: list[ConsoleMessage]
    more: bool = Field(description="Ask again, after the last one of these.")


class PreviewView(_Given):
    text: str = Field(description="What the person would read.")
    language: str = Field(description="Of `text`; send it with the reply.")
    how: Literal["same", "machine", "no_model", "failed", "suspicious"] = Field(
        description="`same`: the person reads Italian. `machine`: translated. Else the original goes as it is."
    )


class SentReply(BaseModel):
    id: int = Field(description="Of the message.")


class NotesView(BaseModel):
    notes: list[NoteView]


class PresenceView(_Given):
    on_duty: bool
    speaks: list[str]
    by_mail: bool = Field(description="Wants an e-mail when somebody new waits.")


class NumbersView(_Given):
    conversations: int
    asked: int
    answered: int
    median_s: float | None = Field(description="Seconds until the first reply.")
    ninth_s: float | None = Field(description="The 90th percentile, in seconds.")
    promised: int = Field(description="Promises of which it is known whether they were kept.")
    kept: int
    resolved: int
    back_to_bot: int
    helped: int
    not_helped: int


class GroupView(BaseModel):
    key: str = Field(description="Id of the desk, code of the language, category; empty without a topic.")
    numbers: NumbersView | None = Field(description="Null where they could point to somebody.")
    hidden: Literal["no", "few", "beside"]


class FiguresView(BaseModel):
    days: int
    waiting: int
    active: int
    all: GroupView
    desks: list[GroupView]
    languages: list[GroupView]
    topics: list[GroupView]


# ---- taken ----


class NewReply(_Taken):
    client_message_id: str = Field(
        pattern=CLIENT_MESSAGE_ID, description="Sent twice with the same text, it goes once: the same id comes back."
    )
    text: _Words = Field(default="", description="As the person will read it. May be empty with an entry.")
    language: str | None = Field(default=None, max_length=35, description="Of `text`; Italian when it is not given.")
    original: _Words | None = Field(default=None, description="What was written before it was translated.")
    machine: bool = Field(default=False, description="`text` is a machine translation; the person is told so.")
    entry: str | None = Field(default=None, max_length=100, description="Id of an entry, sent along as a card.")

    @model_validator(mode="after")
    def check_any(self) -> "NewReply":
        if not self.text.strip() and self.entry is None:
            raise ValueError("either text or entry")
        return self


class NewPreview(_Taken):
    text: _Words = Field(description="In Italian.")


class NewNote(_Taken):
    text: _Words


class Transfer(_Taken):
    desk: int | None = Field(default=None, ge=1, le=2**31 - 1)
    account: UUID | None = Field(default=None, description="A colleague at the same desk, who is offered it first.")

    @model_validator(mode="after")
    def check_one(self) -> "Transfer":
        if (self.desk is None) == (self.account is None):
            raise ValueError("either desk or account")
        return self


class NewPromise(_Taken):
    at: AwareDatetime = Field(description="When somebody will have answered; with its offset.")


class NewPresence(_Taken):
    on_duty: bool | None = Field(default=None, description="False ends the shift; what is held goes back to the queue.")
    speaks: list[Annotated[str, Field(max_length=35)]] | None = Field(default=None, max_length=50)


# ---- from one to the other ----


def message_view(message: ReadMessage, conversation_id: UUID) -> ConsoleMessage:
    delivery = None
    if message.author == "operator":
        delivery = "failed" if message.failure else "delivered" if message.delivered_at else "sent"
    given: dict[str, Any] = {name: getattr(message, name) for name in ConsoleMessage.model_fields if name in _SAME}
    return ConsoleMessage(
        **given,
        delivery=delivery,
        attachments=[
            FileView(
                id=UUID(file["id"]),
                kind=file["kind"],
                media_type=file["media_type"],
                size=file["size"],
                url=f"{_ROOT}/{conversation_id}/attachments/{file['id']}",
            )
            for file in message.attachments
        ],
    )


_SAME = set(ConsoleMessage.model_fields) - {"delivery", "attachments"}


def conversation_view(read: ReadConversation, colleagues: list[Any]) -> ConversationView:
    given: dict[str, Any] = {name: getattr(read, name) for name in (*StateView.model_fields, "channel")}
    return ConversationView(
        **given,
        messages=[message_view(message, read.id) for message in read.messages],
        notes=[NoteView.model_validate(note) for note in read.notes],
        colleagues=[ColleagueView.model_validate(row) for row in colleagues],
    )


def group_view(group: Group) -> GroupView:
    numbers: Numbers | None = group.numbers
    return GroupView(
        key=group.key, numbers=NumbersView.model_validate(numbers) if numbers else None, hidden=group.hidden
    )
