"""A stored message as the API and the pages show it; entries are shown as they are true now."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from backend.conversations import StoredMessage
from bot.actions import Actions
from bot.card import Card, build_card
from knowledge_base.entry import Picture
from knowledge_base.files import CONTENT
from knowledge_base.files import PICTURES as FOLDER

PICTURES = CONTENT / FOLDER


class ChoiceView(BaseModel):
    id: str
    label: str


class EmergencyView(BaseModel):
    number: str
    label: str


class RowView(BaseModel):
    key: str
    label: str
    values: list[str]
    links: list[str] = Field(default=[], description="Beside the values, in the same order; empty when there are none.")
    known: bool = Field(description="False: nobody has read this fact anywhere; the value says whom to ask.")
    numbered: bool
    italian: bool = Field(description="True: Italian names or numbers, left to right in every language.")
    first: bool = Field(default=True, description="One of the few facts that matter most; the others may be folded.")


class PictureView(BaseModel):
    """Author and licence stand beside it wherever it is shown."""

    url: str
    author: str
    licence: str


class CardView(BaseModel):
    id: str
    title: str
    language: str
    lead: str
    need: str | None = Field(description="What to show somebody at a counter, in Italian.")
    rows: list[RowView]
    notes: list[str]
    sources: list[str]
    checked: str
    text_state: str
    open_now: bool | None
    picture: PictureView | None = None


class VisitView(BaseModel):
    """An appointment as it stood when the message was written."""

    id: UUID
    title: str
    rows: list[RowView]
    notes: list[str]
    calendar: bool = Field(description="There is a calendar file for it.")
    cancelled: bool = False


class AttachmentView(BaseModel):
    id: UUID
    kind: Literal["image", "pdf", "voice"]
    media_type: str
    size: int = Field(description="Bytes.")
    url: str


class MessageView(BaseModel):
    id: int
    author: str
    created_at: datetime
    language: str
    text: str
    original: str | None = Field(default=None, description="On an operator's message: as it was written, in Italian.")
    machine: bool = Field(default=False, description="On an operator's message: a machine has translated it.")
    desk: str | None = Field(default=None, description="On an operator's message: name of the desk that answers.")
    choices: list[ChoiceView] = []
    entries: list[CardView] = []
    emergency: list[EmergencyView] = []
    intent: str | None = None
    choice: str | None = Field(default=None, description="On a person's message: the pressed button.")
    variant: str | None = Field(default=None, description="How much of the entry is shown.")
    attachments: list[AttachmentView] = []
    appointment: VisitView | None = None


def card_view(card: Card) -> CardView:
    return CardView(
        id=card.id,
        title=card.title,
        language=card.language,
        lead=card.lead,
        need=card.need,
        rows=[
            RowView(
                key=row.key,
                label=row.label,
                values=list(row.values),
                links=list(row.links),
                known=row.known,
                numbered=row.numbered,
                italian=row.italian,
                first=row.first,
            )
            for row in card.rows
        ],
        notes=list(card.notes),
        sources=list(card.sources),
        checked=card.checked,
        text_state=card.text_state.value,
        open_now=card.open_now,
        picture=_picture_view(card),
    )


def find_picture(picture: Picture | None) -> Path | None:
    """Also None where the file is missing: a broken frame helps nobody find a door."""
    path = PICTURES / picture.file if picture else None
    return path if path and path.is_file() else None


def _picture_view(card: Card) -> PictureView | None:
    picture = card.picture
    if picture is None or find_picture(picture) is None:
        return None
    return PictureView(url=f"/pictures/{card.id}", author=picture.author, licence=picture.licence)


def _attachment_view(*, conversation: str, id: str, **described: Any) -> AttachmentView:
    url = f"/api/v1/conversations/{conversation}/attachments/{id}"
    return AttachmentView(id=UUID(id), url=url, **described)


def message_view(row: StoredMessage, actions: Actions, *, now: datetime | None = None) -> MessageView:
    payload: dict[str, Any] = row.payload
    by_operator = row.author == "operator"
    view = MessageView(
        id=row.id,
        author=row.author,
        created_at=row.created_at,
        language=row.language,
        text=row.text,
        original=row.original if by_operator else None,
        machine=by_operator and payload.get("machine") is True,
        desk=payload.get("desk") if by_operator else None,
        choices=[ChoiceView(**choice) for choice in payload.get("choices", ())],
        emergency=[EmergencyView(**line) for line in payload.get("emergency", ())],
        intent=payload.get("intent"),
        choice=payload.get("choice"),
        variant=payload.get("variant"),
        attachments=[_attachment_view(**described) for described in payload.get("attachments", ())],
        appointment=VisitView.model_validate(payload["visit"]) if "visit" in payload else None,
    )
    entry = actions.find_entry(payload["entry"]) if "entry" in payload else None
    if entry is not None and entry.shown:
        card = build_card(
            entry,
            payload.get("card_language", row.language),
            now=now or datetime.now(UTC),
            variant=payload.get("variant", "full"),
        )
        view.entries = [card_view(card)] if card else []
    return view


def message_views(rows: Iterable[StoredMessage], actions: Actions) -> list[MessageView]:
    now = datetime.now(UTC)
    return [message_view(row, actions, now=now) for row in rows]
