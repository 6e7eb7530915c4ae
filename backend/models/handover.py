"""Handing over to people: who waits for which desk, what was promised, and what operators keep beside it."""

from datetime import date, datetime, time
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    String,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.encryption import EncryptedText
from backend.models.base import Base
from backend.models.conversation import one_of, sealed

REASONS = ("asked", "failed", "emergency", "reopened")
OUTCOMES = ("resolved", "back_to_bot", "unreachable")


class Handover(Base):
    """One stretch of a conversation with a desk, from the wish for a person until it is over."""

    __tablename__ = "handovers"
    __table_args__ = (
        CheckConstraint(one_of("reason", REASONS), name="reason"),
        CheckConstraint(one_of("outcome", OUTCOMES), name="outcome"),
        CheckConstraint("(closed_at IS NULL) = (outcome IS NULL)", name="outcome_when_closed"),
        # A desk where somebody waits cannot go away under them.
        CheckConstraint("closed_at IS NOT NULL OR desk_id IS NOT NULL", name="desk_while_open"),
        Index("uq_handovers_open", "conversation_id", unique=True, postgresql_where="closed_at IS NULL"),
        Index("ix_handovers_queue", "desk_id", "urgent", "promised_for", postgresql_where="closed_at IS NULL"),
        Index("ix_handovers_conversation_id", "conversation_id"),
        Index("ix_handovers_desk_id_asked_at", "desk_id", "asked_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    desk_id: Mapped[int | None] = mapped_column(ForeignKey("desks.id", ondelete="SET NULL"))
    reason: Mapped[str]
    urgent: Mapped[bool] = mapped_column(default=False, server_default="false")
    language: Mapped[str]
    topic: Mapped[str | None]
    """Category of the entry that was talked about last."""
    entry_id: Mapped[str | None]
    asked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    promised_for: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When somebody will have read it, as the person was told; None where the desk's hours are not known."""
    first_promise: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """The first moment that was promised; whether it was kept is what the desk's figures count."""
    broken: Mapped[int] = mapped_column(default=0, server_default="0")
    """Promises that passed with nobody there; each was followed by an apology."""
    escalated_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the desk was alerted that the promise is about to break."""
    offered_to: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id", ondelete="SET NULL"))
    """The colleague it was passed on to; others may still take it."""
    claimed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    first_reply_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    wrote_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the person last wrote something that nobody has answered; None: nothing is owed."""
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    outcome: Mapped[str | None]
    helped: Mapped[bool | None]


class OpeningPeriod(Base):
    """When a desk is open in an ordinary week; a break is the time between two periods of a day."""

    __tablename__ = "opening_periods"
    __table_args__ = (
        CheckConstraint("weekday BETWEEN 0 AND 6", name="weekday"),
        CheckConstraint("opens < closes", name="order"),
        ExcludeConstraint(
            (text("int4range(desk_id, desk_id, '[]')"), "&&"),
            (text("int4range(weekday, weekday, '[]')"), "&&"),
            (text("int4range((extract(epoch from opens)/60)::int, (extract(epoch from closes)/60)::int)"), "&&"),
            name="ex_opening_periods_overlap",
            using="gist",
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    desk_id: Mapped[int] = mapped_column(ForeignKey("desks.id", ondelete="CASCADE"), index=True)
    weekday: Mapped[int]
    """0 is Monday."""
    opens: Mapped[time]
    """Local time at the desk."""
    closes: Mapped[time]


class DeskDay(Base):
    """Of a day on which a desk is not open as in an ordinary week: a time when it is open, or that it is closed."""

    __tablename__ = "desk_days"
    __table_args__ = (
        CheckConstraint("(opens IS NULL) = (closes IS NULL) AND opens < closes", name="order"),
        # One that is closed takes the whole day.
        ExcludeConstraint(
            (text("int4range(desk_id, desk_id, '[]')"), "&&"),
            (text("tsrange(day + coalesce(opens, time '00:00'), day + coalesce(closes, time '24:00'))"), "&&"),
            name="ex_desk_days_overlap",
            using="gist",
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    desk_id: Mapped[int] = mapped_column(ForeignKey("desks.id", ondelete="CASCADE"))
    day: Mapped[date]
    opens: Mapped[time | None]
    """None: closed all day."""
    closes: Mapped[time | None]
    note: Mapped[str] = mapped_column(server_default="")


class Presence(Base):
    """Who is on duty. A browser that says nothing for a while is gone."""

    __tablename__ = "presence"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    on_duty: Mapped[bool] = mapped_column(default=False, server_default="false")
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    speaks: Mapped[list[str]] = mapped_column(ARRAY(String), server_default="{}")
    by_mail: Mapped[bool] = mapped_column(default=False, server_default="false")
    """Wants an e-mail when somebody new waits."""


class SavedReply(Base):
    """A sentence a desk says often, in the languages somebody has written it in; `{field}` is filled in when used."""

    __tablename__ = "saved_replies"
    __table_args__ = (UniqueConstraint("desk_id", "name", name="uq_saved_replies_desk_id_name"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    desk_id: Mapped[int] = mapped_column(ForeignKey("desks.id", ondelete="CASCADE"))
    name: Mapped[str]
    texts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """Language code → text; Italian is always there."""
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.now()
    )


class Note(Base):
    """What operators tell each other about a conversation; never sent."""

    __tablename__ = "notes"
    __table_args__ = (sealed("text"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), index=True)
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id", ondelete="SET NULL"))
    text: Mapped[str] = mapped_column(EncryptedText)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class ConsoleKey(Base):
    """Lets another help-desk program act for an account on the console's API."""

    __tablename__ = "console_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    key_hash: Mapped[bytes] = mapped_column(unique=True)
    """SHA-256 of a random 256-bit key, which is kept nowhere."""
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
