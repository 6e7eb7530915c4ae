"""Appointments: what can be booked at a desk, with whom, and who comes when."""

from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    ARRAY,
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
from sqlalchemy.dialects.postgresql import JSONB, TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from backend.encryption import EncryptedText
from backend.models.base import Base
from backend.models.conversation import one_of, sealed

RESOURCE_KINDS = ("staff", "room", "interpreter")
APPOINTMENT_STATES = ("held", "pending", "confirmed", "arrived", "no_show", "done", "cancelled")
TO_COME = ("pending", "confirmed")
"""Booked, and not begun."""
OCCUPYING = ("held", *TO_COME, "arrived")
"""States in which an appointment takes its time from everybody else."""
_TAKES_TIME = one_of("status", OCCUPYING)
_TAKEN_COLUMNS = ["resource_id", "interpreter_id", "kind_id", "seat", "blocked", "status", "hold_expires", "id"]


class AppointmentKind(Base):
    """Something a desk makes appointments for."""

    __tablename__ = "appointment_kinds"
    __table_args__ = (
        CheckConstraint("minutes BETWEEN 5 AND 480", name="minutes"),
        CheckConstraint("buffer_before BETWEEN 0 AND 240 AND buffer_after BETWEEN 0 AND 240", name="buffers"),
        CheckConstraint("lead_minutes >= 0 AND window_days BETWEEN 1 AND 366", name="window"),
        CheckConstraint("capacity BETWEEN 1 AND 1000", name="capacity"),
        CheckConstraint("jsonb_typeof(names) = 'object' AND names <> '{}'", name="names"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    desk_id: Mapped[int] = mapped_column(ForeignKey("desks.id", ondelete="CASCADE"), index=True)
    names: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """Language code → name."""
    minutes: Mapped[int]
    buffer_before: Mapped[int] = mapped_column(default=0, server_default="0")
    """Minutes that whoever serves keeps free around the visit."""
    buffer_after: Mapped[int] = mapped_column(default=0, server_default="0")
    lead_minutes: Mapped[int] = mapped_column(default=120, server_default="120")
    """How long before it begins a visit can still be booked."""
    window_days: Mapped[int] = mapped_column(default=60, server_default="60")
    """How many days ahead it can be booked, counted in the desk's own days."""
    languages: Mapped[list[str]] = mapped_column(ARRAY(String), server_default="{}")
    """In which it can be held without an interpreter; empty: in any."""
    capacity: Mapped[int] = mapped_column(default=1, server_default="1")
    """How many people come at the same time to the same member of staff or room; more than one: a workshop."""
    who_for: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    """Language code → for whom it is, in a sentence; empty: for everybody."""
    entry_id: Mapped[str | None] = mapped_column(ForeignKey("entries.id", ondelete="SET NULL"))
    """The entry that says what to bring."""
    active: Mapped[bool] = mapped_column(default=True, server_default="true")
    demo: Mapped[bool] = mapped_column(default=False, server_default="false")
    """An example, and every view of its times says so."""


class Resource(Base):
    """Who or what serves one visit at a time: staff or a room, and beside them interpreters."""

    __tablename__ = "resources"
    __table_args__ = (
        CheckConstraint(one_of("kind", RESOURCE_KINDS), name="kind"),
        CheckConstraint("availability IS NULL OR jsonb_typeof(availability) = 'array'", name="availability"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    desk_id: Mapped[int] = mapped_column(ForeignKey("desks.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    name: Mapped[str]
    """Read at the desk only."""
    languages: Mapped[list[str]] = mapped_column(ARRAY(String), server_default="{}")
    """Of an interpreter: between which and the desk's own."""
    availability: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    """`[weekday, "09:00", "12:00"]`, 0 is Monday, local time; only while the desk is open. None: whenever it is."""
    active: Mapped[bool] = mapped_column(default=True, server_default="true")
    demo: Mapped[bool] = mapped_column(default=False, server_default="false")


class ResourceBlock(Base):
    """Time in which somebody serves nobody: a meeting, a holiday."""

    __tablename__ = "resource_blocks"
    __table_args__ = (
        CheckConstraint("starts < ends", name="order"),
        Index("ix_resource_blocks_resource_id_starts", "resource_id", "starts"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    resource_id: Mapped[int] = mapped_column(ForeignKey("resources.id", ondelete="CASCADE"))
    starts: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ends: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    note: Mapped[str] = mapped_column(server_default="")
    """Of the desk about its own people; nothing about those who come."""


class Appointment(Base):
    """One person's visit, from the moment its time is held. Decision 18 says what is left when a person is erased."""

    __tablename__ = "appointments"
    __table_args__ = (
        CheckConstraint(one_of("status", APPOINTMENT_STATES), name="status"),
        CheckConstraint("starts < ends AND blocked @> tstzrange(starts, ends)", name="blocked"),
        CheckConstraint("status <> 'held' OR hold_expires IS NOT NULL", name="held_until"),
        # What still takes time has all that is needed to keep it; a desk cannot go away under it.
        CheckConstraint(
            f"NOT ({_TAKES_TIME}) OR (desk_id IS NOT NULL AND kind_id IS NOT NULL AND resource_id IS NOT NULL"
            " AND code IS NOT NULL AND token_hash IS NOT NULL)",
            name="whole_while_live",
        ),
        # Design section 6: never two at once, whatever the code does. The places of a workshop are told apart by their
        # seat; a visit without a seat takes them all.
        ExcludeConstraint(
            (text("int4range(resource_id, resource_id, '[]')"), "&&"),
            (text("int4range(coalesce(seat, 0), seat, '[]')"), "&&"),
            ("blocked", "&&"),
            name="ex_appointments_resource",
            using="gist",
            where=text(_TAKES_TIME),
        ),
        ExcludeConstraint(
            (text("int4range(interpreter_id, interpreter_id, '[]')"), "&&"),
            ("blocked", "&&"),
            name="ex_appointments_interpreter",
            using="gist",
            where=text(f"interpreter_id IS NOT NULL AND {_TAKES_TIME}"),
        ),
        Index("uq_appointments_code", "code", unique=True, postgresql_where=text(_TAKES_TIME)),
        Index("ix_appointments_desk_id_starts", "desk_id", "starts"),
        # All that free times are computed from, without a look at the rows themselves.
        Index(
            "ix_appointments_taken",
            "desk_id",
            "starts",
            postgresql_where=text(_TAKES_TIME),
            postgresql_include=_TAKEN_COLUMNS,
        ),
        Index("ix_appointments_conversation_id", "conversation_id", postgresql_where="conversation_id IS NOT NULL"),
        Index("ix_appointments_hold_expires", "hold_expires", postgresql_where="status = 'held'"),
        Index(
            "ix_appointments_reminders",
            "starts",
            postgresql_where="status = 'confirmed' AND conversation_id IS NOT NULL AND reminded_hours_at IS NULL",
        ),
        CheckConstraint("late_minutes BETWEEN 1 AND 240", name="late_minutes"),
        sealed("name"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    desk_id: Mapped[int | None] = mapped_column(ForeignKey("desks.id", ondelete="SET NULL"))
    kind_id: Mapped[int | None] = mapped_column(ForeignKey("appointment_kinds.id", ondelete="SET NULL"), index=True)
    resource_id: Mapped[int | None] = mapped_column(ForeignKey("resources.id", ondelete="SET NULL"), index=True)
    interpreter_id: Mapped[int | None] = mapped_column(ForeignKey("resources.id", ondelete="SET NULL"), index=True)
    conversation_id: Mapped[UUID | None] = mapped_column(ForeignKey("conversations.id", ondelete="SET NULL"))
    starts: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ends: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    blocked: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    """The visit with the minutes before and after it."""
    seat: Mapped[int | None]
    """Of a workshop: which of its places, from 0; None: the visit is nobody else's."""
    status: Mapped[str]
    hold_expires: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Until when it is kept for somebody who has not confirmed yet; stays when it ran out."""
    code: Mapped[str | None]
    """Short, to be said at the desk; of no use to anybody else."""
    token_hash: Mapped[bytes | None]
    """SHA-256 of a random 256-bit token, which is kept nowhere."""
    name: Mapped[str | None] = mapped_column(EncryptedText)
    """A first name or nickname."""
    language: Mapped[str]
    entry_id: Mapped[str | None] = mapped_column(ForeignKey("entries.id", ondelete="SET NULL"))
    """What it is about, when that was talked about before."""
    walk_in: Mapped[bool] = mapped_column(default=False, server_default="false")
    """Came without an appointment."""
    late_minutes: Mapped[int | None]
    """How much later than agreed the person will be, as they say."""
    comes: Mapped[bool | None]
    """What they answered to a reminder."""
    asked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the desk asked them to choose another time, as long as they have not."""
    reminded_day_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When they were reminded of the next day; also set when it was too late for it."""
    reminded_hours_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    demo: Mapped[bool] = mapped_column(default=False, server_default="false")
    """Booked while the desk's hours were examples: nobody expects anybody."""
    sequence: Mapped[int] = mapped_column(default=0, server_default="0")
    """Grows with each change, as calendars want it (RFC 5545 section 3.8.7.4)."""
    uid: Mapped[str] = mapped_column(unique=True)
    """Names it in calendars (RFC 7986), for good."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    changed_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.now()
    )


class WaitingPlace(Base):
    """Somebody who found no time that suits, and is offered one that becomes free. The oldest is asked first."""

    __tablename__ = "waiting_places"
    __table_args__ = (
        UniqueConstraint("conversation_id", "kind_id", name="uq_waiting_places_conversation_id_kind_id"),
        CheckConstraint("first_day <= last_day", name="days"),
        CheckConstraint("part IN ('morning', 'afternoon')", name="part"),
        CheckConstraint("offer_id IS NULL OR offered_until IS NOT NULL", name="offer"),
        Index("ix_waiting_places_kind_id_asked_at", "kind_id", "asked_at"),
        Index("ix_waiting_places_offered_until", "offered_until", postgresql_where="offered_until IS NOT NULL"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    kind_id: Mapped[int] = mapped_column(ForeignKey("appointment_kinds.id", ondelete="CASCADE"))
    language: Mapped[str]
    interpreter: Mapped[bool]
    first_day: Mapped[date | None]
    """In the desk's own days; None: from now on."""
    last_day: Mapped[date | None]
    part: Mapped[str | None]
    """Of the day, split at 13:00 local time; None: any."""
    asked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """Moves on when an offer was let pass: the next one goes to somebody else."""
    offer_id: Mapped[UUID | None] = mapped_column(ForeignKey("appointments.id", ondelete="SET NULL"), unique=True)
    """The visit that is held for them."""
    offered_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Until when they can say yes; the time is held a little longer, so that the next one is asked before it is free
    for everybody."""
    declined: Mapped[list[datetime]] = mapped_column(ARRAY(DateTime(timezone=True)), server_default="{}")
    """Times they let pass; nobody is asked twice."""
