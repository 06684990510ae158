"""Channels other than mail, wishes of persons, switches and limits of the sender, reports of mail providers."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("messages", sa.Column("channel", sa.String(16), nullable=False, server_default="email"))
    op.create_index("ix_messages_contact", "messages", ["contact_id", "kind"])
    op.create_table(
        "preferences",
        sa.Column("person_key", sa.String(64), primary_key=True),
        sa.Column("survey_id", sa.String(64), primary_key=True),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("at_most_every_days", sa.Integer()),
        sa.Column("since", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "switches",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("changed_by", sa.String(100), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("changed_at", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "hand_overs",
        sa.Column("hour", sa.DateTime(), primary_key=True),
        sa.Column("domain", sa.String(255), primary_key=True),
        sa.Column("count", sa.Integer(), nullable=False),
    )
    op.create_table(
        "provider_events",
        sa.Column("provider", sa.String(24), primary_key=True),
        sa.Column("external_id", sa.String(255), primary_key=True),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("message_id", sa.String(64)),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(), nullable=False),
        sa.Column("received_at", sa.DateTime(), nullable=False),
    )
