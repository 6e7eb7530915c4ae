"""The people who work with the assistant: accounts, where they belong, how they sign in, what they did."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    UniqueConstraint,
    and_,
    exists,
    func,
    or_,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.encryption import EncryptedBytes, EncryptedJSON, EncryptedText
from backend.models.base import Base
from backend.models.conversation import one_of, sealed

ROLES = ("operator", "editor", "desk_manager", "administrator", "auditor")
DESK_ROLES = ("operator", "desk_manager")
"""May be held at one desk; without a desk they are held at all desks of the organisation."""
EVERYWHERE_ROLES = ("administrator", "auditor")
"""May be held without an organisation: over the whole service."""


class Organisation(Base):
    __tablename__ = "organisations"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Desk(Base):
    """A place with people who answer: what conversations are handed to and appointments are made at."""

    __tablename__ = "desks"
    __table_args__ = (
        UniqueConstraint("organisation_id", "name", name="uq_desks_organisation_id_name"),
        UniqueConstraint("id", "organisation_id", name="uq_desks_id_organisation_id"),
        CheckConstraint("minutes_each BETWEEN 1 AND 240", name="minutes_each"),
        CheckConstraint("most_visits BETWEEN 1 AND 50 AND most_each_week BETWEEN 1 AND 50", name="most"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id", ondelete="RESTRICT"))
    name: Mapped[str]
    entry_id: Mapped[str | None] = mapped_column(ForeignKey("entries.id", ondelete="SET NULL"), unique=True)
    """The entry that describes this place to people."""
    zone: Mapped[str] = mapped_column(server_default="Europe/Rome")
    """IANA time zone in which its opening hours are meant."""
    holidays: Mapped[str] = mapped_column(server_default="IT")
    """Country whose public holidays it keeps; empty: none."""
    minutes_each: Mapped[int] = mapped_column(server_default="15")
    """How long one conversation takes, about; what promises are computed with."""
    most_visits: Mapped[int] = mapped_column(server_default="2")
    """Visits to come that one person may have here."""
    most_each_week: Mapped[int | None]
    """Visits of one person in a calendar week; None: no limit."""
    feed_hash: Mapped[bytes | None] = mapped_column(unique=True)
    """SHA-256 of the secret in the address of its calendar feed; None: there is no feed."""
    demo_hours: Mapped[bool] = mapped_column(default=False, server_default="false")
    """The opening hours are examples, and every page that shows them says so."""
    plan_version: Mapped[int] = mapped_column(default=0, server_default="0")
    """Grows when its hours, kinds or resources change, so that a booking that read the old ones notices."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Account(Base):
    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint("email = lower(email) AND position('@' in email) > 1", name="email"),
        sealed("totp_secret"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    language: Mapped[str]
    password_hash: Mapped[str | None]
    """Argon2id, with its parameters; None until a link was used or when another way of signing in is used."""
    totp_secret: Mapped[str | None] = mapped_column(EncryptedText)
    totp_step: Mapped[int | None] = mapped_column(BigInteger)
    """The last time step that was accepted: a code works once (RFC 6238 section 5.2)."""
    oidc_subject: Mapped[str | None] = mapped_column(unique=True)
    """Issuer and subject at the organisation's own identity provider."""
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Membership(Base):
    """One role at one desk, at all desks of an organisation, or over the whole service."""

    __tablename__ = "memberships"
    __table_args__ = (
        CheckConstraint(one_of("role", ROLES), name="role"),
        CheckConstraint(f"desk_id IS NULL OR {one_of('role', DESK_ROLES)}", name="desk_role"),
        CheckConstraint(f"organisation_id IS NOT NULL OR {one_of('role', EVERYWHERE_ROLES)}", name="everywhere_role"),
        CheckConstraint("desk_id IS NULL OR organisation_id IS NOT NULL", name="desk_has_organisation"),
        ForeignKeyConstraint(
            ["desk_id", "organisation_id"],
            ["desks.id", "desks.organisation_id"],
            name="fk_memberships_desk_id_organisation_id",
            ondelete="CASCADE",
        ),
        UniqueConstraint(
            "account_id",
            "role",
            "organisation_id",
            "desk_id",
            name="uq_memberships_account_id_role_organisation_id_desk_id",
            postgresql_nulls_not_distinct=True,
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    role: Mapped[str]
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisations.id", ondelete="CASCADE"), index=True)
    desk_id: Mapped[int | None] = mapped_column(index=True)


class AccountLink(Base):
    """A link that works once: whoever has it sets a password. Used links are deleted."""

    __tablename__ = "account_links"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    """SHA-256 of a random 256-bit token, which is kept nowhere."""
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    """None: the link makes the first administrator, as long as there is none."""
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class RecoveryCode(Base):
    """Lets somebody in once who lost the second factor. Used codes are deleted."""

    __tablename__ = "recovery_codes"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(primary_key=True)


class Passkey(Base):
    """A WebAuthn credential."""

    __tablename__ = "passkeys"

    id: Mapped[bytes] = mapped_column(primary_key=True)
    """The credential's own id."""
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    public_key: Mapped[bytes]
    sign_count: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Ceremony(Base):
    """What the server must remember between two steps of a passkey or single sign-on; deleted when it is used."""

    __tablename__ = "ceremonies"
    __table_args__ = (sealed("data"),)

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    kind: Mapped[str]
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    data: Mapped[dict[str, Any]] = mapped_column(EncryptedJSON, nullable=True)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


HAS_PASSKEY = exists().where(Passkey.account_id == Account.id)
HAS_SECOND_FACTOR = or_(Account.totp_secret.is_not(None), HAS_PASSKEY)
"""Asked for after the password. Recovery codes are no factor of their own: they stand in for one."""
CAN_SIGN_IN = or_(Account.password_hash.is_not(None), Account.oidc_subject.is_not(None), HAS_PASSKEY)
"""In some way; not so an account whose link was not used yet."""
ADMINISTERS_EVERYTHING = and_(Membership.role == "administrator", Membership.organisation_id.is_(None))
"""Conditions on the row of the account or membership that a query is about."""


class StaffSession(Base):
    """A browser somebody signed in with. No address is kept, only what kind of browser it is."""

    __tablename__ = "staff_sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    complete: Mapped[bool]
    """False: the password was right and the second factor is still missing."""
    browser: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class AuditEvent(Base):
    """Who did what to what. Rows are added and, when they are old, deleted; a trigger refuses everything else.

    No foreign keys: the log outlives what it speaks of. It holds ids, never texts.
    """

    __tablename__ = "audit_events"
    __table_args__ = (Index("ix_audit_events_organisation_id_id", "organisation_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    account_id: Mapped[UUID | None]
    """Who; None for the program itself."""
    organisation_id: Mapped[int | None]
    action: Mapped[str]
    """Such as `account.added`; `audit.<action>` in the catalogues says it in words."""
    subject: Mapped[str]
    """Kind and id, such as `account:0b8f…`."""
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")


class KeyCheck(Base):
    """A value under the keys, so that a start with other keys is refused before anything is written."""

    __tablename__ = "key_checks"
    __table_args__ = (CheckConstraint("id = 1", name="one"), sealed("sealed"))

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sealed: Mapped[bytes] = mapped_column(EncryptedBytes)
