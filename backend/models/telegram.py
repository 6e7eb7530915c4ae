"""What the Telegram channel keeps beside conversations: updates that nobody has handled yet, and where a chat leads."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from backend.encryption import EncryptedBytes, EncryptedJSON, EncryptedText
from backend.models.base import Base
from backend.models.conversation import sealed


class TelegramUpdate(Base):
    """As it came, until it is handled; then its number alone, against a second delivery."""

    __tablename__ = "telegram_updates"
    __table_args__ = (
        sealed("body"),
        Index("ix_telegram_updates_waiting", "update_id", postgresql_where="body IS NOT NULL"),
        Index("ix_telegram_updates_received_at", "received_at"),
    )

    update_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    body: Mapped[dict[str, Any]] = mapped_column(EncryptedJSON, nullable=True)
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    """How often handling it failed for no reason that passes."""
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class TelegramChat(Base):
    """Where the messages of a conversation go, and how far they have gone. They go one after the other: the state of
    sending belongs to the chat, and is of the first message that has not gone."""

    __tablename__ = "telegram_chats"
    __table_args__ = (sealed("chat"),)

    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True)
    chat: Mapped[str] = mapped_column(EncryptedText)
    """Telegram's number of the chat."""
    done_upto: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """Id of the last message that was sent or given up."""
    calls_made: Mapped[int] = mapped_column(default=0, server_default="0")
    """Of the message that is being sent, which may take several."""
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    not_before: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class TelegramState(Base):
    """One row: what the channel remembers of itself."""

    __tablename__ = "telegram_state"
    __table_args__ = (CheckConstraint("id = 1", name="one"), sealed("chat_key"))

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    chat_key: Mapped[bytes] = mapped_column(EncryptedBytes)
    """32 random bytes: whoever reads the database alone cannot tell which chat a conversation belongs to."""
    username: Mapped[str | None]
    """Of the bot, without @."""
    profile: Mapped[str | None]
    """Hash of the commands and descriptions as they were last registered, and for which bot."""
