"""The ledger's first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "actions",
        sa.Column("invitation_id", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("planned_at", sa.DateTime(), nullable=False),
        sa.Column("done_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("invitation_id", "action"),
    )
    op.create_table(
        "answers",
        sa.Column("invitation_id", sa.String(length=64), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("answers", sa.Text(), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("judged", sa.String(length=12), nullable=False),
        sa.Column("submitted_at", sa.DateTime(), nullable=False),
        sa.Column("scored_at", sa.DateTime(), nullable=False),
        sa.Column("changed_at", sa.DateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("followed_up", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("invitation_id"),
    )
    op.create_index(
        "ix_answers_to_follow_up",
        "answers",
        ["score"],
        unique=False,
        sqlite_where=sa.text("NOT followed_up"),
        postgresql_where=sa.text("NOT followed_up"),
    )
    op.create_table(
        "builds",
        sa.Column("build_id", sa.String(length=64), nullable=False),
        sa.Column("predecessor_id", sa.String(length=64), nullable=False),
        sa.Column("as_of", sa.DateTime(), nullable=False),
        sa.Column("known_at", sa.DateTime(), nullable=False),
        sa.Column("cut", sa.Text(), nullable=False),
        sa.Column("definitions_hash", sa.String(length=64), nullable=False),
        sa.Column("code_version", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.PrimaryKeyConstraint("build_id"),
    )
    op.create_table(
        "decisions",
        sa.Column("candidate_id", sa.String(length=32), nullable=False),
        sa.Column("evaluation_id", sa.String(length=64), nullable=False),
        sa.Column("contact_id", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=255), nullable=True),
        sa.Column("person_key", sa.String(length=64), nullable=True),
        sa.Column("survey_id", sa.String(length=64), nullable=False),
        sa.Column("wave_id", sa.String(length=100), nullable=False),
        sa.Column("trigger_event", sa.String(length=64), nullable=False),
        sa.Column("trigger_record_id", sa.String(length=255), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=False),
        sa.Column("decision", sa.String(length=8), nullable=False),
        sa.Column("deciding_rule", sa.String(length=32), nullable=False),
        sa.Column("all_failed_rules", sa.Text(), nullable=False),
        sa.Column("decided_as_of", sa.DateTime(), nullable=False),
        sa.Column("export_batch", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("candidate_id"),
    )
    op.create_index(op.f("ix_decisions_evaluation_id"), "decisions", ["evaluation_id"], unique=False)
    op.create_index(op.f("ix_decisions_export_batch"), "decisions", ["export_batch"], unique=False)
    op.create_table(
        "evaluations",
        sa.Column("evaluation_id", sa.String(length=64), nullable=False),
        sa.Column("predecessor_id", sa.String(length=64), nullable=False),
        sa.Column("publication_id", sa.String(length=64), nullable=False),
        sa.Column("as_of", sa.DateTime(), nullable=False),
        sa.Column("known_at", sa.DateTime(), nullable=False),
        sa.Column("definitions_hash", sa.String(length=64), nullable=False),
        sa.Column("asks", sa.Integer(), nullable=False),
        sa.Column("skips", sa.Integer(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(), nullable=False),
        sa.Column("export_batch", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("evaluation_id"),
        sa.UniqueConstraint("predecessor_id"),
    )
    op.create_index(op.f("ix_evaluations_export_batch"), "evaluations", ["export_batch"], unique=False)
    op.create_table(
        "events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("message_id", sa.String(length=64), nullable=True),
        sa.Column("invitation_id", sa.String(length=64), nullable=True),
        sa.Column("survey_id", sa.String(length=64), nullable=True),
        sa.Column("contact_id", sa.String(length=255), nullable=True),
        sa.Column("account_id", sa.String(length=255), nullable=True),
        sa.Column("occurred_at", sa.DateTime(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("export_batch", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_events_export_batch"), "events", ["export_batch"], unique=False)
    op.create_index(op.f("ix_events_invitation_id"), "events", ["invitation_id"], unique=False)
    op.create_index("ix_events_kind_recorded", "events", ["kind", "recorded_at"], unique=False)
    op.create_table(
        "exclusions",
        sa.Column("subject", sa.String(length=8), nullable=False),
        sa.Column("subject_id", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("author", sa.String(length=100), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("until", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("subject", "subject_id"),
    )
    op.create_table(
        "exports",
        sa.Column("batch", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("table_name", sa.String(length=32), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=True),
        sa.Column("stamped_at", sa.DateTime(), nullable=False),
        sa.Column("written_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("batch"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "followups",
        sa.Column("invitation_id", sa.String(length=64), nullable=False),
        sa.Column("survey_id", sa.String(length=64), nullable=False),
        sa.Column("contact_id", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=255), nullable=True),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("assignee_id", sa.String(length=255), nullable=True),
        sa.Column("assignment_rule", sa.String(length=32), nullable=False),
        sa.Column("opened_at", sa.DateTime(), nullable=False),
        sa.Column("acknowledge_due_at", sa.DateTime(), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=False),
        sa.Column("sla_hours", sa.Integer(), nullable=False),
        sa.Column("first_contact_at", sa.DateTime(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.String(length=24), nullable=True),
        sa.Column("closed_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("invitation_id"),
    )
    op.create_index(
        "ix_followups_waiting",
        "followups",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("first_contact_at IS NULL"),
        postgresql_where=sa.text("first_contact_at IS NULL"),
    )
    op.create_table(
        "messages",
        sa.Column("message_id", sa.String(length=64), nullable=False),
        sa.Column("evaluation_id", sa.String(length=64), nullable=True),
        sa.Column("invitation_id", sa.String(length=64), nullable=True),
        sa.Column("survey_id", sa.String(length=64), nullable=False),
        sa.Column("wave_id", sa.String(length=100), nullable=False),
        sa.Column("contact_id", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=255), nullable=True),
        sa.Column("person_key", sa.String(length=64), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("planned_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=True),
        sa.Column("link_expires_at", sa.DateTime(), nullable=True),
        sa.Column("cooldown_days", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("state_reason", sa.String(length=200), nullable=True),
        sa.Column("state_at", sa.DateTime(), nullable=True),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.DateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("message_id"),
        sa.UniqueConstraint("survey_id", "wave_id", "contact_id", "kind", "sequence", name="uq_messages_once"),
    )
    op.create_index(op.f("ix_messages_evaluation_id"), "messages", ["evaluation_id"], unique=False)
    op.create_index(op.f("ix_messages_invitation_id"), "messages", ["invitation_id"], unique=False)
    op.create_index(op.f("ix_messages_person_key"), "messages", ["person_key"], unique=False)
    op.create_index(
        "ix_messages_state", "messages", ["state", "kind", "survey_id", "wave_id", "message_id"], unique=False
    )
    op.create_table(
        "publications",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("publication_id", sa.String(length=64), nullable=False),
        sa.Column("build_id", sa.String(length=64), nullable=False),
        sa.Column("as_of", sa.DateTime(), nullable=False),
        sa.Column("known_at", sa.DateTime(), nullable=False),
        sa.Column("definitions_hash", sa.String(length=64), nullable=False),
        sa.Column("code_version", sa.String(length=64), nullable=False),
        sa.Column("checks_passed", sa.Integer(), nullable=False),
        sa.Column("published_at", sa.DateTime(), nullable=False),
        sa.Column("export_batch", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("build_id"),
        sa.UniqueConstraint("publication_id"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_publications_export_batch"), "publications", ["export_batch"], unique=False)
    op.create_table(
        "stagings",
        sa.Column("evaluation_id", sa.String(length=64), nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("evaluation_id"),
    )
    op.create_table(
        "suppressions",
        sa.Column("person_key", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("person_key"),
    )
    op.create_table(
        "wave_approvals",
        sa.Column("wave_id", sa.String(length=100), nullable=False),
        sa.Column("approved_by", sa.String(length=100), nullable=False),
        sa.Column("approved_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("wave_id"),
    )
    op.create_table(
        "build_checks",
        sa.Column("build_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("gate", sa.String(length=16), nullable=False),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["build_id"],
            ["builds.build_id"],
        ),
        sa.PrimaryKeyConstraint("build_id", "name"),
    )
