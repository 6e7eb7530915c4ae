"""appointments: who was asked to choose another time, several spans on a day that differs, changes bookings notice"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Until now only the audit log said so.
_ASKED = """
    UPDATE appointments SET asked_at = asked.at
    FROM (SELECT subject, max(at) AS at FROM audit_events WHERE action = 'appointment.asked' GROUP BY subject) AS asked
    WHERE asked.subject = 'appointment:' || appointments.id
"""
_OVERLAP = """
    ALTER TABLE desk_days ADD CONSTRAINT ex_desk_days_overlap EXCLUDE USING gist (
        int4range(desk_id, desk_id, '[]') WITH &&,
        tsrange(day + coalesce(opens, time '00:00'), day + coalesce(closes, time '24:00')) WITH &&
    )
"""


def upgrade() -> None:
    op.add_column("appointments", sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(_ASKED)
    op.add_column("desks", sa.Column("plan_version", sa.Integer(), server_default="0", nullable=False))
    op.drop_constraint("pk_desk_days", "desk_days", type_="primary")
    op.add_column("desk_days", sa.Column("id", sa.Integer(), sa.Identity(), nullable=False))
    op.create_primary_key("pk_desk_days", "desk_days", ["id"])
    op.execute(_OVERLAP)


def downgrade() -> None:
    raise RuntimeError("people may be expected: restore a backup instead")
