"""appointments: kinds, resources, blocked time, and no two visits at once"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('appointment_kinds',
    sa.Column('id', sa.Integer(), sa.Identity(always=False), nullable=False),
    sa.Column('desk_id', sa.Integer(), nullable=False),
    sa.Column('names', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('minutes', sa.Integer(), nullable=False),
    sa.Column('buffer_before', sa.Integer(), server_default='0', nullable=False),
    sa.Column('buffer_after', sa.Integer(), server_default='0', nullable=False),
    sa.Column('lead_minutes', sa.Integer(), server_default='120', nullable=False),
    sa.Column('window_days', sa.Integer(), server_default='60', nullable=False),
    sa.Column('languages', sa.ARRAY(sa.String()), server_default='{}', nullable=False),
    sa.Column('capacity', sa.Integer(), server_default='1', nullable=False),
    sa.Column('active', sa.Boolean(), server_default='true', nullable=False),
    sa.Column('demo', sa.Boolean(), server_default='false', nullable=False),
    sa.CheckConstraint("jsonb_typeof(names) = 'object' AND names <> '{}'", name=op.f('ck_appointment_kinds_names')),
    sa.CheckConstraint('buffer_before BETWEEN 0 AND 240 AND buffer_after BETWEEN 0 AND 240', name=op.f('ck_appointment_kinds_buffers')),
    sa.CheckConstraint('capacity BETWEEN 1 AND 1000', name=op.f('ck_appointment_kinds_capacity')),
    sa.CheckConstraint('lead_minutes >= 0 AND window_days BETWEEN 1 AND 366', name=op.f('ck_appointment_kinds_window')),
    sa.CheckConstraint('minutes BETWEEN 5 AND 480', name=op.f('ck_appointment_kinds_minutes')),
    sa.ForeignKeyConstraint(['desk_id'], ['desks.id'], name=op.f('fk_appointment_kinds_desk_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_appointment_kinds'))
    )
    op.create_index(op.f('ix_appointment_kinds_desk_id'), 'appointment_kinds', ['desk_id'], unique=False)
    op.create_table('resources',
    sa.Column('id', sa.Integer(), sa.Identity(always=False), nullable=False),
    sa.Column('desk_id', sa.Integer(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('languages', sa.ARRAY(sa.String()), server_default='{}', nullable=False),
    sa.Column('availability', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('active', sa.Boolean(), server_default='true', nullable=False),
    sa.Column('demo', sa.Boolean(), server_default='false', nullable=False),
    sa.CheckConstraint("availability IS NULL OR jsonb_typeof(availability) = 'array'", name=op.f('ck_resources_availability')),
    sa.CheckConstraint("kind IN ('staff', 'room', 'interpreter')", name=op.f('ck_resources_kind')),
    sa.ForeignKeyConstraint(['desk_id'], ['desks.id'], name=op.f('fk_resources_desk_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_resources'))
    )
    op.create_index(op.f('ix_resources_desk_id'), 'resources', ['desk_id'], unique=False)
    op.create_table('appointments',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('desk_id', sa.Integer(), nullable=True),
    sa.Column('kind_id', sa.Integer(), nullable=True),
    sa.Column('resource_id', sa.Integer(), nullable=True),
    sa.Column('interpreter_id', sa.Integer(), nullable=True),
    sa.Column('conversation_id', sa.Uuid(), nullable=True),
    sa.Column('starts', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ends', sa.DateTime(timezone=True), nullable=False),
    sa.Column('blocked', postgresql.TSTZRANGE(), nullable=False),
    sa.Column('seat', sa.Integer(), nullable=True),
    sa.Column('status', sa.String(), nullable=False),
    sa.Column('hold_expires', sa.DateTime(timezone=True), nullable=True),
    sa.Column('code', sa.String(), nullable=True),
    sa.Column('token_hash', sa.LargeBinary(), nullable=True),
    sa.Column('name', sa.LargeBinary(), nullable=True),
    sa.Column('language', sa.String(), nullable=False),
    sa.Column('demo', sa.Boolean(), server_default='false', nullable=False),
    sa.Column('sequence', sa.Integer(), server_default='0', nullable=False),
    sa.Column('uid', sa.String(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('changed_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    postgresql.ExcludeConstraint((sa.text("int4range(interpreter_id, interpreter_id, '[]')"), '&&'), (sa.column('blocked'), '&&'), where=sa.text("interpreter_id IS NOT NULL AND status IN ('held', 'pending', 'confirmed', 'arrived')"), using='gist', name='ex_appointments_interpreter'),
    postgresql.ExcludeConstraint((sa.text("int4range(resource_id, resource_id, '[]')"), '&&'), (sa.text("int4range(coalesce(seat, 0), seat, '[]')"), '&&'), (sa.column('blocked'), '&&'), where=sa.text("status IN ('held', 'pending', 'confirmed', 'arrived')"), using='gist', name='ex_appointments_resource'),
    sa.CheckConstraint("NOT (status IN ('held', 'pending', 'confirmed', 'arrived')) OR (desk_id IS NOT NULL AND kind_id IS NOT NULL AND resource_id IS NOT NULL AND code IS NOT NULL AND token_hash IS NOT NULL)", name=op.f('ck_appointments_whole_while_live')),
    sa.CheckConstraint("status <> 'held' OR hold_expires IS NOT NULL", name=op.f('ck_appointments_held_until')),
    sa.CheckConstraint("status IN ('held', 'pending', 'confirmed', 'arrived', 'no_show', 'done', 'cancelled')", name=op.f('ck_appointments_status')),
    sa.CheckConstraint('length(name) >= 73 AND get_byte(name, 0) = 128', name=op.f('ck_appointments_name_sealed')),
    sa.CheckConstraint('starts < ends AND blocked @> tstzrange(starts, ends)', name=op.f('ck_appointments_blocked')),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversations.id'], name=op.f('fk_appointments_conversation_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['desk_id'], ['desks.id'], name=op.f('fk_appointments_desk_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['interpreter_id'], ['resources.id'], name=op.f('fk_appointments_interpreter_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['kind_id'], ['appointment_kinds.id'], name=op.f('fk_appointments_kind_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['resource_id'], ['resources.id'], name=op.f('fk_appointments_resource_id'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_appointments')),
    sa.UniqueConstraint('uid', name=op.f('uq_appointments_uid'))
    )
    op.create_index('ix_appointments_conversation_id', 'appointments', ['conversation_id'], unique=False, postgresql_where='conversation_id IS NOT NULL')
    op.create_index('ix_appointments_desk_id_starts', 'appointments', ['desk_id', 'starts'], unique=False)
    op.create_index('ix_appointments_taken', 'appointments', ['desk_id', 'starts'], unique=False, postgresql_where=sa.text("status IN ('held', 'pending', 'confirmed', 'arrived')"), postgresql_include=['resource_id', 'interpreter_id', 'kind_id', 'seat', 'blocked', 'status', 'hold_expires', 'id'])
    op.create_index('ix_appointments_hold_expires', 'appointments', ['hold_expires'], unique=False, postgresql_where="status = 'held'")
    op.create_index(op.f('ix_appointments_interpreter_id'), 'appointments', ['interpreter_id'], unique=False)
    op.create_index(op.f('ix_appointments_kind_id'), 'appointments', ['kind_id'], unique=False)
    op.create_index(op.f('ix_appointments_resource_id'), 'appointments', ['resource_id'], unique=False)
    op.create_index('uq_appointments_code', 'appointments', ['code'], unique=True, postgresql_where=sa.text("status IN ('held', 'pending', 'confirmed', 'arrived')"))
    op.create_table('resource_blocks',
    sa.Column('id', sa.Integer(), sa.Identity(always=False), nullable=False),
    sa.Column('resource_id', sa.Integer(), nullable=False),
    sa.Column('starts', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ends', sa.DateTime(timezone=True), nullable=False),
    sa.Column('note', sa.String(), server_default='', nullable=False),
    sa.CheckConstraint('starts < ends', name=op.f('ck_resource_blocks_order')),
    sa.ForeignKeyConstraint(['resource_id'], ['resources.id'], name=op.f('fk_resource_blocks_resource_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_resource_blocks'))
    )
    op.create_index('ix_resource_blocks_resource_id_starts', 'resource_blocks', ['resource_id', 'starts'], unique=False)


def downgrade() -> None:
    raise RuntimeError("people may be expected: restore a backup instead")
