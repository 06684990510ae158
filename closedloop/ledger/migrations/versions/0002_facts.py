"""What decided is kept with a decision; indexes for reminders and for how many of an account were asked."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("decisions", sa.Column("facts", sa.Text(), nullable=True))
    op.create_index("ix_messages_account_id", "messages", ["account_id"])
    op.create_index("ix_messages_when", "messages", ["state", "kind", "survey_id", "state_at"])
