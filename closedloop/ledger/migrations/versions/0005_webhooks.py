"""Outgoing webhooks: which events they have still to look at, their endpoints, and a book of deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # Null for all that happened before: it is told to nobody unless somebody asks for it again.
    op.add_column("events", sa.Column("for_webhooks", sa.Boolean()))
    op.create_index(
        "ix_events_for_webhooks",
        "events",
        ["seq"],
        sqlite_where=sa.text("for_webhooks IS NOT NULL"),
        postgresql_where=sa.text("for_webhooks IS NOT NULL"),
    )
    op.create_table(
        "webhook_endpoints",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("first_seen_at", sa.DateTime(), nullable=False),
        sa.Column("failures_in_row", sa.Integer(), nullable=False),
        sa.Column("rests_until", sa.DateTime()),
        sa.Column("switched_off_at", sa.DateTime()),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("endpoint", sa.String(64), primary_key=True),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime()),
        sa.Column("last_status", sa.Integer()),
        sa.Column("last_error", sa.String(200)),
        sa.Column("queued_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime()),
    )
    op.create_index(
        "ix_webhook_deliveries_open",
        "webhook_deliveries",
        ["endpoint", "seq"],
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
