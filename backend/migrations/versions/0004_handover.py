"""handing over to people: the queue, opening hours, saved replies, notes, who is on duty"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('console_keys',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('key_hash', sa.LargeBinary(), nullable=False),
    sa.Column('account_id', sa.Uuid(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_console_keys_account_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_console_keys')),
    sa.UniqueConstraint('key_hash', name=op.f('uq_console_keys_key_hash'))
    )
    op.create_index(op.f('ix_console_keys_account_id'), 'console_keys', ['account_id'], unique=False)
    op.create_table('presence',
    sa.Column('account_id', sa.Uuid(), nullable=False),
    sa.Column('on_duty', sa.Boolean(), server_default='false', nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('speaks', sa.ARRAY(sa.String()), server_default='{}', nullable=False),
    sa.Column('by_mail', sa.Boolean(), server_default='false', nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_presence_account_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('account_id', name=op.f('pk_presence'))
    )
    op.create_table('desk_days',
    sa.Column('desk_id', sa.Integer(), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('opens', sa.Time(), nullable=True),
    sa.Column('closes', sa.Time(), nullable=True),
    sa.Column('note', sa.String(), server_default='', nullable=False),
    sa.CheckConstraint('(opens IS NULL) = (closes IS NULL) AND opens < closes', name=op.f('ck_desk_days_order')),
    sa.ForeignKeyConstraint(['desk_id'], ['desks.id'], name=op.f('fk_desk_days_desk_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('desk_id', 'day', name=op.f('pk_desk_days'))
    )
    op.create_table('opening_periods',
    sa.Column('id', sa.Integer(), sa.Identity(always=False), nullable=False),
    sa.Column('desk_id', sa.Integer(), nullable=False),
    sa.Column('weekday', sa.Integer(), nullable=False),
    sa.Column('opens', sa.Time(), nullable=False),
    sa.Column('closes', sa.Time(), nullable=False),
    postgresql.ExcludeConstraint((sa.text("int4range(desk_id, desk_id, '[]')"), '&&'), (sa.text("int4range(weekday, weekday, '[]')"), '&&'), (sa.text('int4range((extract(epoch from opens)/60)::int, (extract(epoch from closes)/60)::int)'), '&&'), using='gist', name='ex_opening_periods_overlap'),
    sa.CheckConstraint('opens < closes', name=op.f('ck_opening_periods_order')),
    sa.CheckConstraint('weekday BETWEEN 0 AND 6', name=op.f('ck_opening_periods_weekday')),
    sa.ForeignKeyConstraint(['desk_id'], ['desks.id'], name=op.f('fk_opening_periods_desk_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_opening_periods'))
    )
    op.create_index(op.f('ix_opening_periods_desk_id'), 'opening_periods', ['desk_id'], unique=False)
    op.create_table('saved_replies',
    sa.Column('id', sa.Integer(), sa.Identity(always=False), nullable=False),
    sa.Column('desk_id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('texts', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['desk_id'], ['desks.id'], name=op.f('fk_saved_replies_desk_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_saved_replies')),
    sa.UniqueConstraint('desk_id', 'name', name='uq_saved_replies_desk_id_name')
    )
    op.create_table('handovers',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('conversation_id', sa.Uuid(), nullable=False),
    sa.Column('desk_id', sa.Integer(), nullable=True),
    sa.Column('reason', sa.String(), nullable=False),
    sa.Column('urgent', sa.Boolean(), server_default='false', nullable=False),
    sa.Column('language', sa.String(), nullable=False),
    sa.Column('topic', sa.String(), nullable=True),
    sa.Column('entry_id', sa.String(), nullable=True),
    sa.Column('asked_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('promised_for', sa.DateTime(timezone=True), nullable=True),
    sa.Column('first_promise', sa.DateTime(timezone=True), nullable=True),
    sa.Column('broken', sa.Integer(), server_default='0', nullable=False),
    sa.Column('escalated_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('offered_to', sa.Uuid(), nullable=True),
    sa.Column('claimed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('first_reply_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('wrote_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('outcome', sa.String(), nullable=True),
    sa.Column('helped', sa.Boolean(), nullable=True),
    sa.CheckConstraint("outcome IN ('resolved', 'back_to_bot', 'unreachable')", name=op.f('ck_handovers_outcome')),
    sa.CheckConstraint("reason IN ('asked', 'failed', 'emergency', 'reopened')", name=op.f('ck_handovers_reason')),
    sa.CheckConstraint('(closed_at IS NULL) = (outcome IS NULL)', name=op.f('ck_handovers_outcome_when_closed')),
    sa.CheckConstraint('closed_at IS NOT NULL OR desk_id IS NOT NULL', name=op.f('ck_handovers_desk_while_open')),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversations.id'], name=op.f('fk_handovers_conversation_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['desk_id'], ['desks.id'], name=op.f('fk_handovers_desk_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['offered_to'], ['accounts.id'], name=op.f('fk_handovers_offered_to'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_handovers'))
    )
    op.create_index('ix_handovers_conversation_id', 'handovers', ['conversation_id'], unique=False)
    op.create_index('ix_handovers_desk_id_asked_at', 'handovers', ['desk_id', 'asked_at'], unique=False)
    op.create_index('ix_handovers_queue', 'handovers', ['desk_id', 'urgent', 'promised_for'], unique=False, postgresql_where='closed_at IS NULL')
    op.create_index('uq_handovers_open', 'handovers', ['conversation_id'], unique=True, postgresql_where='closed_at IS NULL')
    op.create_table('notes',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('conversation_id', sa.Uuid(), nullable=False),
    sa.Column('account_id', sa.Uuid(), nullable=True),
    sa.Column('text', sa.LargeBinary(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint('length(text) >= 73 AND get_byte(text, 0) = 128', name=op.f('ck_notes_text_sealed')),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_notes_account_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversations.id'], name=op.f('fk_notes_conversation_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_notes'))
    )
    op.create_index(op.f('ix_notes_conversation_id'), 'notes', ['conversation_id'], unique=False)
    op.add_column('conversations', sa.Column('holder_id', sa.Uuid(), nullable=True))
    op.create_index('ix_conversations_holder_id', 'conversations', ['holder_id'], unique=False, postgresql_where='holder_id IS NOT NULL')
    op.create_foreign_key(op.f('fk_conversations_holder_id'), 'conversations', 'accounts', ['holder_id'], ['id'])
    op.add_column('desks', sa.Column('zone', sa.String(), server_default='Europe/Rome', nullable=False))
    op.add_column('desks', sa.Column('holidays', sa.String(), server_default='IT', nullable=False))
    op.add_column('desks', sa.Column('minutes_each', sa.Integer(), server_default='15', nullable=False))
    op.add_column('desks', sa.Column('demo_hours', sa.Boolean(), server_default='false', nullable=False))
    op.add_column('messages', sa.Column('italian', sa.LargeBinary(), nullable=True))
    op.add_column('messages', sa.Column('failed_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('messages', sa.Column('failure', sa.String(), nullable=True))
    op.add_column('messages', sa.Column('written_by', sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f('fk_messages_written_by'), 'messages', 'accounts', ['written_by'], ['id'], ondelete='SET NULL')
    op.create_index('ix_messages_written_by', 'messages', ['written_by'], unique=False, postgresql_where='written_by IS NOT NULL')
    op.create_check_constraint(op.f('ck_desks_minutes_each'), 'desks', 'minutes_each BETWEEN 1 AND 240')
    op.create_check_constraint(op.f('ck_messages_italian_sealed'), 'messages', 'length(italian) >= 73 AND get_byte(italian, 0) = 128')
    op.create_check_constraint(op.f('ck_messages_failure'), 'messages', '(failed_at IS NULL) = (failure IS NULL)')
    op.create_check_constraint(op.f('ck_conversations_holder'), 'conversations', "(state = 'ACTIVE') = (holder_id IS NOT NULL)")
    op.create_check_constraint(op.f('ck_conversations_waits_at_desk'), 'conversations', "state NOT IN ('WAITING', 'ACTIVE') OR desk_id IS NOT NULL")
    op.execute(_CHECK_STATE)
    op.execute(_STATE_TRIGGER)
    op.execute(_SAY_QUEUE_CHANGED)
    op.execute(_QUEUE_TRIGGER)
    op.execute(_DESK_OPERATORS)


# Design section 5; that a closed conversation can be taken up again by an operator is decision 16.
_CHECK_STATE = """
CREATE FUNCTION check_conversation_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = NEW.state AND OLD.holder_id IS NOT DISTINCT FROM NEW.holder_id THEN
        RETURN NEW;
    END IF;
    IF OLD.state || '>' || NEW.state NOT IN (
        'BOT>WAITING', 'WAITING>ACTIVE', 'ACTIVE>WAITING', 'WAITING>BOT', 'ACTIVE>BOT', 'ACTIVE>CLOSED', 'CLOSED>BOT',
        'CLOSED>ACTIVE', 'BOT>UNREACHABLE', 'WAITING>UNREACHABLE', 'ACTIVE>UNREACHABLE', 'CLOSED>UNREACHABLE',
        'UNREACHABLE>BOT'
    ) THEN
        RAISE EXCEPTION 'conversation cannot go from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$
"""
_STATE_TRIGGER = """
CREATE TRIGGER conversation_state BEFORE UPDATE OF state, holder_id ON conversations
FOR EACH ROW EXECUTE FUNCTION check_conversation_state()
"""
# Whoever watches a desk's queue hears of every change, whoever made it.
_SAY_QUEUE_CHANGED = """
CREATE FUNCTION say_queue_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD IS NOT DISTINCT FROM NEW THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' AND OLD.desk_id IS NOT NULL THEN
        PERFORM pg_notify('elp_queue', OLD.desk_id::text);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.desk_id IS NOT NULL THEN
        PERFORM pg_notify('elp_queue', NEW.desk_id::text);
    END IF;
    RETURN NULL;
END
$$
"""
_QUEUE_TRIGGER = """
CREATE TRIGGER queue_changed AFTER INSERT OR UPDATE OR DELETE ON handovers
FOR EACH ROW EXECUTE FUNCTION say_queue_changed()
"""
# Who answers at which desk; on duty is whose browser said so a moment ago.
_DESK_OPERATORS = """
CREATE VIEW desk_operators AS
SELECT d.id AS desk_id, a.id AS account_id, a.name, a.email, a.language,
    coalesce(p.on_duty AND p.seen_at > now() - interval '2 minutes', false) AS on_duty,
    coalesce(p.speaks, '{}') AS speaks, coalesce(p.by_mail, false) AS by_mail
FROM desks d
JOIN accounts a ON a.disabled_at IS NULL AND EXISTS (
    SELECT 1 FROM memberships m
    WHERE m.account_id = a.id AND m.role IN ('operator', 'desk_manager')
      AND m.organisation_id = d.organisation_id AND (m.desk_id IS NULL OR m.desk_id = d.id)
)
LEFT JOIN presence p ON p.account_id = a.id
"""


def downgrade() -> None:
    raise RuntimeError("conversations may be waiting for people: restore a backup instead")
