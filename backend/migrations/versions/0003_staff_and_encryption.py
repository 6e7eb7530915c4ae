"""staff accounts, roles and audit log; what people write is encrypted"""

import json

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from backend.encryption import cipher

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_BATCH = 500


def upgrade() -> None:
    op.create_table('accounts',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('email', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('language', sa.String(), nullable=False),
    sa.Column('password_hash', sa.String(), nullable=True),
    sa.Column('totp_secret', sa.LargeBinary(), nullable=True),
    sa.Column('totp_step', sa.BigInteger(), nullable=True),
    sa.Column('oidc_subject', sa.String(), nullable=True),
    sa.Column('disabled_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("email = lower(email) AND position('@' in email) > 1", name=op.f('ck_accounts_email')),
    sa.CheckConstraint('length(totp_secret) >= 73 AND get_byte(totp_secret, 0) = 128', name=op.f('ck_accounts_totp_secret_sealed')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_accounts')),
    sa.UniqueConstraint('email', name=op.f('uq_accounts_email')),
    sa.UniqueConstraint('oidc_subject', name=op.f('uq_accounts_oidc_subject'))
    )
    op.create_table('audit_events',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('account_id', sa.Uuid(), nullable=True),
    sa.Column('organisation_id', sa.Integer(), nullable=True),
    sa.Column('action', sa.String(), nullable=False),
    sa.Column('subject', sa.String(), nullable=False),
    sa.Column('details', postgresql.JSONB(astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_events'))
    )
    op.create_index('ix_audit_events_organisation_id_id', 'audit_events', ['organisation_id', 'id'], unique=False)
    op.create_table('daily_counts',
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('channel', sa.String(), nullable=False),
    sa.Column('language', sa.String(), nullable=False),
    sa.Column('what', sa.String(), nullable=False),
    sa.Column('count', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('day', 'channel', 'language', 'what', name=op.f('pk_daily_counts'))
    )
    op.create_table('key_checks',
    sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('sealed', sa.LargeBinary(), nullable=False),
    sa.CheckConstraint('id = 1', name=op.f('ck_key_checks_one')),
    sa.CheckConstraint('length(sealed) >= 73 AND get_byte(sealed, 0) = 128', name=op.f('ck_key_checks_sealed_sealed')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_key_checks'))
    )
    op.create_table('organisations',
    sa.Column('id', sa.Integer(), sa.Identity(always=False), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_organisations')),
    sa.UniqueConstraint('name', name=op.f('uq_organisations_name'))
    )
    op.create_table('account_links',
    sa.Column('token_hash', sa.LargeBinary(), nullable=False),
    sa.Column('account_id', sa.Uuid(), nullable=True),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_account_links_account_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('token_hash', name=op.f('pk_account_links'))
    )
    op.create_index(op.f('ix_account_links_account_id'), 'account_links', ['account_id'], unique=False)
    op.create_table('ceremonies',
    sa.Column('token_hash', sa.LargeBinary(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('account_id', sa.Uuid(), nullable=True),
    sa.Column('data', sa.LargeBinary(), nullable=True),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('length(data) >= 73 AND get_byte(data, 0) = 128', name=op.f('ck_ceremonies_data_sealed')),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_ceremonies_account_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('token_hash', name=op.f('pk_ceremonies'))
    )
    op.create_index(op.f('ix_ceremonies_account_id'), 'ceremonies', ['account_id'], unique=False)
    op.create_table('desks',
    sa.Column('id', sa.Integer(), sa.Identity(always=False), nullable=False),
    sa.Column('organisation_id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('entry_id', sa.String(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['entry_id'], ['entries.id'], name=op.f('fk_desks_entry_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['organisation_id'], ['organisations.id'], name=op.f('fk_desks_organisation_id'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_desks')),
    sa.UniqueConstraint('entry_id', name=op.f('uq_desks_entry_id')),
    sa.UniqueConstraint('id', 'organisation_id', name='uq_desks_id_organisation_id'),
    sa.UniqueConstraint('organisation_id', 'name', name='uq_desks_organisation_id_name')
    )
    op.create_table('passkeys',
    sa.Column('id', sa.LargeBinary(), nullable=False),
    sa.Column('account_id', sa.Uuid(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('public_key', sa.LargeBinary(), nullable=False),
    sa.Column('sign_count', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_passkeys_account_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_passkeys'))
    )
    op.create_index(op.f('ix_passkeys_account_id'), 'passkeys', ['account_id'], unique=False)
    op.create_table('recovery_codes',
    sa.Column('account_id', sa.Uuid(), nullable=False),
    sa.Column('code_hash', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_recovery_codes_account_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('account_id', 'code_hash', name=op.f('pk_recovery_codes'))
    )
    op.create_table('staff_sessions',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('token_hash', sa.LargeBinary(), nullable=False),
    sa.Column('account_id', sa.Uuid(), nullable=False),
    sa.Column('complete', sa.Boolean(), nullable=False),
    sa.Column('browser', sa.String(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_staff_sessions_account_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_staff_sessions')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_staff_sessions_token_hash'))
    )
    op.create_index(op.f('ix_staff_sessions_account_id'), 'staff_sessions', ['account_id'], unique=False)
    op.create_table('memberships',
    sa.Column('id', sa.Integer(), sa.Identity(always=False), nullable=False),
    sa.Column('account_id', sa.Uuid(), nullable=False),
    sa.Column('role', sa.String(), nullable=False),
    sa.Column('organisation_id', sa.Integer(), nullable=True),
    sa.Column('desk_id', sa.Integer(), nullable=True),
    sa.CheckConstraint("desk_id IS NULL OR role IN ('operator', 'desk_manager')", name=op.f('ck_memberships_desk_role')),
    sa.CheckConstraint("organisation_id IS NOT NULL OR role IN ('administrator', 'auditor')", name=op.f('ck_memberships_everywhere_role')),
    sa.CheckConstraint("role IN ('operator', 'editor', 'desk_manager', 'administrator', 'auditor')", name=op.f('ck_memberships_role')),
    sa.CheckConstraint('desk_id IS NULL OR organisation_id IS NOT NULL', name=op.f('ck_memberships_desk_has_organisation')),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_memberships_account_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['desk_id', 'organisation_id'], ['desks.id', 'desks.organisation_id'], name='fk_memberships_desk_id_organisation_id', ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['organisation_id'], ['organisations.id'], name=op.f('fk_memberships_organisation_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_memberships')),
    sa.UniqueConstraint('account_id', 'role', 'organisation_id', 'desk_id', name='uq_memberships_account_id_role_organisation_id_desk_id', postgresql_nulls_not_distinct=True)
    )
    op.create_index(op.f('ix_memberships_account_id'), 'memberships', ['account_id'], unique=False)
    op.create_index(op.f('ix_memberships_desk_id'), 'memberships', ['desk_id'], unique=False)
    op.create_index(op.f('ix_memberships_organisation_id'), 'memberships', ['organisation_id'], unique=False)
    op.create_table('attachments',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('message_id', sa.BigInteger(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('media_type', sa.String(), nullable=False),
    sa.Column('size', sa.Integer(), nullable=False),
    sa.Column('data', sa.LargeBinary(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("kind IN ('image', 'pdf', 'voice')", name=op.f('ck_attachments_kind')),
    sa.CheckConstraint('length(data) >= 73 AND get_byte(data, 0) = 128', name=op.f('ck_attachments_data_sealed')),
    sa.ForeignKeyConstraint(['message_id'], ['messages.id'], name=op.f('fk_attachments_message_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_attachments'))
    )
    op.create_index(op.f('ix_attachments_message_id'), 'attachments', ['message_id'], unique=False)
    op.add_column('conversations', sa.Column('desk_id', sa.Integer(), nullable=True))
    op.add_column('conversations', sa.Column('forget_on_close', sa.Boolean(), server_default='false', nullable=False))
    op.add_column('conversations', sa.Column('forget_at', sa.DateTime(timezone=True), nullable=True))
    op.create_index(op.f('ix_conversations_desk_id'), 'conversations', ['desk_id'], unique=False)
    op.create_index('ix_conversations_forget_at', 'conversations', ['forget_at'], unique=False, postgresql_where='forget_at IS NOT NULL')
    op.create_foreign_key(op.f('fk_conversations_desk_id'), 'conversations', 'desks', ['desk_id'], ['id'], ondelete='SET NULL')
    op.execute(_AUDIT_TRIGGER)
    _seal("conversations", "dialogue", "jsonb", nullable=True)
    _seal("messages", "text", "text", nullable=False)
    _seal("messages", "original", "text", nullable=True)
    _seal("messages", "payload", "jsonb", nullable=True)


def _seal(table: str, column: str, kind: str, *, nullable: bool) -> None:
    """Encrypts a column of plain text that is in use: nothing anybody wrote is lost."""
    connection = op.get_bind()
    op.alter_column(table, column, new_column_name=f"{column}_plain")
    op.add_column(table, sa.Column(column, sa.LargeBinary(), nullable=True))
    empty = f" AND {column}_plain <> '{{}}'" if kind == "jsonb" else ""
    query = f"SELECT id, {column}_plain FROM {table} WHERE {column} IS NULL AND {column}_plain IS NOT NULL{empty} LIMIT {_BATCH}"
    while rows := connection.execute(sa.text(query)).all():
        values = [
            {"id": row[0], "sealed": cipher().seal((json.dumps(row[1], ensure_ascii=False) if kind == "jsonb" else row[1]).encode())}
            for row in rows
        ]
        connection.execute(sa.text(f"UPDATE {table} SET {column} = :sealed WHERE id = :id"), values)
    op.drop_column(table, f"{column}_plain")
    if not nullable:
        op.alter_column(table, column, nullable=False)
    op.create_check_constraint(
        op.f(f"ck_{table}_{column}_sealed"), table, f"length({column}) >= 73 AND get_byte({column}, 0) = 128"
    )


_AUDIT_TRIGGER = """
CREATE FUNCTION refuse_to_rewrite_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.at < now() - interval '29 days' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log is only added to';
END $$;
CREATE TRIGGER audit_events_are_kept BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION refuse_to_rewrite_audit();
CREATE TRIGGER audit_events_are_not_truncated BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_rewrite_audit();
"""


def downgrade() -> None:
    raise RuntimeError("what was encrypted is not decrypted: restore a backup instead")
