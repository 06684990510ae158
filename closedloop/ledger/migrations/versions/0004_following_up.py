"""Workflows for every answer: which version of an answer they have seen, actions of every kind, teams and absences."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    # Answers from before are not thanked for now: only detractors that nobody was told of are still to be worked on.
    op.add_column("answers", sa.Column("worked_version", sa.Integer(), nullable=False, server_default="0"))
    op.execute("UPDATE answers SET worked_version = version WHERE followed_up OR score > 6")
    op.drop_index("ix_answers_to_follow_up", table_name="answers")
    op.drop_column("answers", "followed_up")
    op.create_index(
        "ix_answers_to_work_on",
        "answers",
        ["scored_at"],
        sqlite_where=sa.text("worked_version < version"),
        postgresql_where=sa.text("worked_version < version"),
    )

    op.add_column("followups", sa.Column("assignee_name", sa.String(200)))
    op.add_column("followups", sa.Column("assignee_email", sa.String(254)))
    op.execute("UPDATE followups SET status = 'acknowledged' WHERE status = 'in_progress'")
    op.create_index("ix_followups_assignee", "followups", ["assignee_email", "status"])

    with op.batch_alter_table("actions") as batch:  # SQLite copies the table
        batch.alter_column("action", type_=sa.String(80), existing_type=sa.String(32), existing_nullable=False)
    for column in (
        sa.Column("way", sa.String(12), nullable=False, server_default="mail"),
        sa.Column("survey_id", sa.String(64)),
        sa.Column("contact_id", sa.String(255)),
        sa.Column("account_id", sa.String(255)),
        sa.Column("message_id", sa.String(64)),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("due_at", sa.DateTime()),
        sa.Column("record_id", sa.String(100)),
        sa.Column("batch", sa.Integer()),
    ):
        op.add_column("actions", column)
    op.execute("UPDATE actions SET way = 'crm' WHERE action = 'task'")
    for name in ("survey_id", "contact_id", "account_id"):
        op.execute(
            f"UPDATE actions SET {name} = (SELECT f.{name} FROM followups f WHERE f.invitation_id = actions.invitation_id)"
        )
    for action, sequence in (("alert", 0), ("sla_warning", 1)):
        op.execute(
            "UPDATE actions SET message_id = (SELECT m.message_id FROM messages m WHERE m.kind = 'alert' AND "
            f"m.sequence = {sequence} AND m.invitation_id = actions.invitation_id) WHERE action = '{action}'"
        )
    op.execute("UPDATE actions SET action = 'detractor.' || action WHERE action IN ('alert', 'task')")
    op.create_index("ix_actions_waiting", "actions", ["state", "way", "due_at"])
    op.create_index("ix_actions_message", "actions", ["message_id"])
    op.create_index("ix_actions_contact", "actions", ["contact_id", "action"])
    op.create_index("ix_actions_account", "actions", ["account_id", "action"])

    op.create_table(
        "turns",
        sa.Column("team", sa.String(64), primary_key=True),
        sa.Column("member", sa.String(254), primary_key=True),
        sa.Column("taken", sa.Integer(), nullable=False),
    )
    op.create_table(
        "absences",
        sa.Column("email", sa.String(254), primary_key=True),
        sa.Column("since", sa.DateTime(), primary_key=True),
        sa.Column("until", sa.DateTime(), nullable=False),
        sa.Column("recorded_by", sa.String(100), nullable=False),
        sa.Column("recorded_at", sa.DateTime(), nullable=False),
    )
