"""A conversation, its messages, and what people could not find."""

from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Index, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from backend.encryption import VERSION_BYTE, EncryptedBytes, EncryptedJSON, EncryptedText
from backend.models.base import Base

STATES = ("BOT", "WAITING", "ACTIVE", "CLOSED", "UNREACHABLE")
AUTHORS = ("person", "bot", "operator", "system")
ATTACHMENT_KINDS = ("image", "pdf", "voice")


def one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def sealed(column: str) -> CheckConstraint:
    """What is not encrypted does not get in, whatever the code does. 73 bytes is the shortest Fernet token."""
    return CheckConstraint(
        f"length({column}) >= 73 AND get_byte({column}, 0) = {VERSION_BYTE}", name=f"{column}_sealed"
    )


class Conversation(Base):
    __tablename__ = "conversations"
    __table_args__ = (
        CheckConstraint(one_of("state", STATES), name="state"),
        UniqueConstraint("channel", "external_id", name="uq_conversations_channel_external_id"),
        # Somebody holds it exactly as long as it is ACTIVE, and it waits nowhere but at a desk. Which state may follow
        # which is in a trigger (migration 0004).
        CheckConstraint("(state = 'ACTIVE') = (holder_id IS NOT NULL)", name="holder"),
        CheckConstraint("state NOT IN ('WAITING', 'ACTIVE') OR desk_id IS NOT NULL", name="waits_at_desk"),
        sealed("dialogue"),
        Index("ix_conversations_holder_id", "holder_id", postgresql_where="holder_id IS NOT NULL"),
        Index("ix_conversations_forget_at", "forget_at", postgresql_where="forget_at IS NOT NULL"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    channel: Mapped[str]
    external_id: Mapped[str | None]
    """The channel's own id of the chat; None where the token is all there is (web, API)."""
    token_hash: Mapped[bytes]
    """SHA-256 of a random 256-bit token, which is kept nowhere."""
    language: Mapped[str]
    place: Mapped[str | None]
    state: Mapped[str] = mapped_column(default="BOT", server_default="BOT")
    dialogue: Mapped[dict[str, Any]] = mapped_column(EncryptedJSON, nullable=True)
    desk_id: Mapped[int | None] = mapped_column(ForeignKey("desks.id", ondelete="SET NULL"), index=True)
    """The desk whose operators may read it; None as long as nobody was asked for."""
    holder_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id"))
    """The operator who answers; nobody else may, and an account that still holds one cannot be deleted."""
    forget_on_close: Mapped[bool] = mapped_column(default=False, server_default="false")
    forget_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When it erases itself; moved on while the page is open."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    active_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Message(Base):
    """Incoming and outgoing alike; a reply is a row before it is sent, and this table is the outbox."""

    __tablename__ = "messages"
    __table_args__ = (
        CheckConstraint(one_of("author", AUTHORS), name="author"),
        # The same message sent twice is one message; a message has one reply.
        UniqueConstraint("conversation_id", "external_id", name="uq_messages_conversation_id_external_id"),
        UniqueConstraint("reply_to", name="uq_messages_reply_to"),
        Index("ix_messages_conversation_id_id", "conversation_id", "id"),
        Index("ix_messages_unanswered", "id", postgresql_where="author = 'person' AND answered_at IS NULL"),
        sealed("text"),
        sealed("original"),
        sealed("italian"),
        Index("ix_messages_written_by", "written_by", postgresql_where="written_by IS NOT NULL"),
        sealed("payload"),
        CheckConstraint("(failed_at IS NULL) = (failure IS NULL)", name="failure"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    author: Mapped[str]
    external_id: Mapped[str | None]
    reply_to: Mapped[int | None] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    language: Mapped[str]
    text: Mapped[str] = mapped_column(EncryptedText)
    original: Mapped[str | None] = mapped_column(EncryptedText)
    """Of an operator's translated message: what was written."""
    italian: Mapped[str | None] = mapped_column(EncryptedText)
    """Of a person's message: a machine translation for the desk."""
    payload: Mapped[dict[str, Any]] = mapped_column(EncryptedJSON, nullable=True)
    """Of a person's message: the pressed `choice`. Of a bot's: choices, entry, variant, emergency, intent."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    answered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    delivered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    failed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    failure: Mapped[str | None]
    """Why it could not be delivered; `console.failure.<it>` says it in words."""
    written_by: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id", ondelete="SET NULL"))
    """Of an operator's message: who wrote it. The person sees the name of the service."""


class Gap(Base):
    """A question nobody could answer: which message, and nothing of the person."""

    __tablename__ = "gaps"

    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True)
    language: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Feedback(Base):
    """Was an answer useful: one opinion for each conversation and entry, the last one counts."""

    __tablename__ = "feedback"

    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True)
    entry_id: Mapped[str] = mapped_column(ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True)
    useful: Mapped[bool]
    language: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Attachment(Base):
    """A file a person sent with a message, as it was made safe: images without metadata."""

    __tablename__ = "attachments"
    __table_args__ = (CheckConstraint(one_of("kind", ATTACHMENT_KINDS), name="kind"), sealed("data"))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    media_type: Mapped[str]
    size: Mapped[int]
    """Bytes, before encryption."""
    data: Mapped[bytes] = mapped_column(EncryptedBytes)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class DailyCount(Base):
    """What is left for the statistics when conversations are erased: numbers, and nobody."""

    __tablename__ = "daily_counts"

    day: Mapped[date] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    language: Mapped[str] = mapped_column(primary_key=True)
    what: Mapped[str] = mapped_column(primary_key=True)
    """`conversation`, or the author of a message."""
    count: Mapped[int]


class Receipt(Base):
    """That something was erased, and when; nothing that leads back to whom."""

    __tablename__ = "erasure_receipts"

    id: Mapped[str] = mapped_column(primary_key=True)
    erased_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
