"""Entries as the knowledge base defines them, one row an entry, one row a text, one row a revision."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.models.base import Base


class EntryRow(Base):
    __tablename__ = "entries"
    __table_args__ = (CheckConstraint("status IN ('draft', 'published', 'archived')", name="status"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]
    position: Mapped[int]
    """Order in which the starter content lists it; topics show entries in this order."""
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """All of `knowledge_base.entry.Entry` except its texts."""
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.now()
    )


class TextRow(Base):
    __tablename__ = "entry_texts"

    entry_id: Mapped[str] = mapped_column(ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True)
    language: Mapped[str] = mapped_column(primary_key=True)
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """A `knowledge_base.entry.Text`."""


class OutsideQuestion(Base):
    """A question that no entry answers; teaches the search when to say it does not know."""

    __tablename__ = "outside_questions"

    language: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(primary_key=True)


class Revision(Base):
    """What an entry was after each save."""

    __tablename__ = "entry_revisions"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    entry_id: Mapped[str] = mapped_column(ForeignKey("entries.id", ondelete="CASCADE"), index=True)
    author: Mapped[str]
    """`seed` for the starter content; an account later."""
    reason: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    digest: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
