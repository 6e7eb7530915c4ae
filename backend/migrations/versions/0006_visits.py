"""appointments in the chat and at the desk: reminders, waiting list, limits, walk-ins, calendar feed"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("desks", sa.Column("most_visits", sa.Integer(), server_default="2", nullable=False))
    op.add_column("desks", sa.Column("most_each_week", sa.Integer(), nullable=True))
    op.add_column("desks", sa.Column("feed_hash", sa.LargeBinary(), nullable=True))
    op.create_unique_constraint("uq_desks_feed_hash", "desks", ["feed_hash"])
    op.create_check_constraint("most", "desks", "most_visits BETWEEN 1 AND 50 AND most_each_week BETWEEN 1 AND 50")
    json = postgresql.JSONB(astext_type=sa.Text())
    op.add_column("appointment_kinds", sa.Column("who_for", json, server_default="{}", nullable=False))
    for table in ("appointment_kinds", "appointments"):
        op.add_column(table, sa.Column("entry_id", sa.String(), nullable=True))
        op.create_foreign_key(f"fk_{table}_entry_id", table, "entries", ["entry_id"], ["id"], ondelete="SET NULL")
    op.add_column("appointments", sa.Column("walk_in", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("appointments", sa.Column("late_minutes", sa.Integer(), nullable=True))
    op.add_column("appointments", sa.Column("comes", sa.Boolean(), nullable=True))
    op.add_column("appointments", sa.Column("reminded_day_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("appointments", sa.Column("reminded_hours_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint("late_minutes", "appointments", "late_minutes BETWEEN 1 AND 240")
    due = "status = 'confirmed' AND conversation_id IS NOT NULL AND reminded_hours_at IS NULL"
    op.create_index("ix_appointments_reminders", "appointments", ["starts"], postgresql_where=due)
    op.create_table(
        "waiting_places",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("kind_id", sa.Integer(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("interpreter", sa.Boolean(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=True),
        sa.Column("last_day", sa.Date(), nullable=True),
        sa.Column("part", sa.String(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("offer_id", sa.Uuid(), nullable=True),
        sa.Column("offered_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("declined", sa.ARRAY(sa.DateTime(timezone=True)), server_default="{}", nullable=False),
        sa.CheckConstraint("first_day <= last_day", name=op.f("ck_waiting_places_days")),
        sa.CheckConstraint("part IN ('morning', 'afternoon')", name=op.f("ck_waiting_places_part")),
        sa.CheckConstraint("offer_id IS NULL OR offered_until IS NOT NULL", name=op.f("ck_waiting_places_offer")),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_waiting_places_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["kind_id"], ["appointment_kinds.id"], name=op.f("fk_waiting_places_kind_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["offer_id"], ["appointments.id"], name=op.f("fk_waiting_places_offer_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waiting_places")),
        sa.UniqueConstraint("conversation_id", "kind_id", name="uq_waiting_places_conversation_id_kind_id"),
        sa.UniqueConstraint("offer_id", name=op.f("uq_waiting_places_offer_id")),
    )
    op.create_index("ix_waiting_places_kind_id_asked_at", "waiting_places", ["kind_id", "asked_at"])
    offered = "offered_until IS NOT NULL"
    op.create_index("ix_waiting_places_offered_until", "waiting_places", ["offered_until"], postgresql_where=offered)


def downgrade() -> None:
    raise RuntimeError("people may be waiting for a time: restore a backup instead")
