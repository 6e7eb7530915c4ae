"""Telegram: updates before they are handled, where chats lead, what the channel remembers"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def sealed(table: str, column: str) -> sa.CheckConstraint:
    rule = f"length({column}) >= 73 AND get_byte({column}, 0) = 128"
    return sa.CheckConstraint(rule, name=op.f(f"ck_{table}_{column}_sealed"))


def upgrade() -> None:
    op.create_table(
        "telegram_updates",
        sa.Column("update_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sealed("telegram_updates", "body"),
        sa.PrimaryKeyConstraint("update_id", name=op.f("pk_telegram_updates")),
    )
    waiting = "body IS NOT NULL"
    op.create_index("ix_telegram_updates_waiting", "telegram_updates", ["update_id"], postgresql_where=waiting)
    op.create_index("ix_telegram_updates_received_at", "telegram_updates", ["received_at"])
    op.create_table(
        "telegram_chats",
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("chat", sa.LargeBinary(), nullable=False),
        sa.Column("done_upto", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("calls_made", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sealed("telegram_chats", "chat"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_telegram_chats_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation_id", name=op.f("pk_telegram_chats")),
    )
    op.create_table(
        "telegram_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("chat_key", sa.LargeBinary(), nullable=False),
        sa.Column("username", sa.String(), nullable=True),
        sa.Column("profile", sa.String(), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_telegram_state_one")),
        sealed("telegram_state", "chat_key"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_telegram_state")),
    )


def downgrade() -> None:
    raise RuntimeError("messages may be waiting to be sent: restore a backup instead")
