"""Tables and functions of the job queue (Procrastinate)."""

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Without parameters psycopg sends the script as it is, percent signs and dollar quotes included.
    op.get_bind().connection.cursor().execute(SchemaManager.get_schema())


def downgrade() -> None:
    raise RuntimeError("the job queue is not taken away: restore a backup instead")
