"""The tables of the ledger. What is decided and what happened is append-only; what is under way is a state."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

from closedloop.clock import as_utc


class UtcTime(TypeDecorator[dt.datetime]):
    """Aware UTC in Python, naive UTC in the database: both engines compare and sort it alike."""

    impl = DateTime
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[dt.datetime | None], Any]:
        if dialect.name == "sqlite":  # its text form is written here at once: bulk loads spend most of their time on it
            return lambda value: None if value is None else _naive(value).isoformat(" ", "microseconds")
        return lambda value: None if value is None else _naive(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], dt.datetime | None]:
        if dialect.name == "sqlite":
            return lambda value: None if value is None else dt.datetime.fromisoformat(value + "+00:00")
        return lambda value: None if value is None else value.replace(tzinfo=dt.UTC)


def _naive(value: dt.datetime) -> dt.datetime:
    return (value if value.tzinfo is dt.UTC else as_utc(value)).replace(tzinfo=None)


SEQUENCE = BigInteger().with_variant(Integer, "sqlite")
metadata = MetaData()

evaluations = Table(
    "evaluations",
    metadata,
    Column("evaluation_id", String(64), primary_key=True),
    # One chain: of two builds that stand on the same predecessor, one seals and the other is void.
    Column("predecessor_id", String(64), nullable=False, unique=True),
    Column("publication_id", String(64), nullable=False),
    Column("as_of", UtcTime, nullable=False),
    Column("known_at", UtcTime, nullable=False),
    Column("definitions_hash", String(64), nullable=False),
    Column("asks", Integer, nullable=False),
    Column("skips", Integer, nullable=False),
    Column("sealed_at", UtcTime, nullable=False),
    Column("export_batch", Integer, index=True),
)

# Rows are staged in chunks before the seal and count only once their evaluation stands in `evaluations`.
decisions = Table(
    "decisions",
    metadata,
    Column("candidate_id", String(32), primary_key=True),
    Column("evaluation_id", String(64), nullable=False, index=True),
    Column("contact_id", String(255), nullable=False),
    Column("account_id", String(255)),
    Column("person_key", String(64)),
    Column("survey_id", String(64), nullable=False),
    Column("wave_id", String(100), nullable=False),
    Column("trigger_event", String(64), nullable=False),
    Column("trigger_record_id", String(255), nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("decision", String(8), nullable=False),
    Column("deciding_rule", String(32), nullable=False),
    Column("all_failed_rules", Text, nullable=False),  # JSON list
    Column("decided_as_of", UtcTime, nullable=False),
    Column("facts", Text),  # JSON: what decided, as it was then
    Column("export_batch", Integer, index=True),
)

# What is staged and not sealed: the rows of these evaluations in `decisions` and `messages` don't count.
stagings = Table(
    "stagings",
    metadata,
    Column("evaluation_id", String(64), primary_key=True),
    Column("token", String(32), nullable=False),  # of the process that stages now; empty: to be removed
)

MESSAGE_STATES = ("pending", "claimed", "handed", "sent", "rejected", "suppressed", "uncertain")

messages = Table(
    "messages",
    metadata,
    # An invitation's id is its candidate's id.
    Column("message_id", String(64), primary_key=True),
    # Set for what a seal makes visible; null for reminders and alerts, which are visible at once.
    Column("evaluation_id", String(64), index=True),
    Column("invitation_id", String(64), index=True),
    Column("survey_id", String(64), nullable=False),
    Column("wave_id", String(100), nullable=False),
    Column("contact_id", String(255), nullable=False),
    Column("account_id", String(255), index=True),
    Column("person_key", String(64), index=True),
    Column("kind", String(16), nullable=False),  # invitation, reminder, alert, reply, form (nobody was asked)
    Column("sequence", Integer, nullable=False, default=0),
    # The way on which it reaches the person first: the sender takes 'email' and 'sms', the collector shows the others.
    Column("channel", String(16), nullable=False, default="email"),
    Column("payload", Text, nullable=False),  # JSON: all that rendering and follow-up need
    Column("planned_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),  # past this a pending message is suppressed instead of sent
    Column("link_expires_at", UtcTime),
    Column("cooldown_days", Integer, nullable=False, default=0),
    Column("state", String(12), nullable=False, default="pending"),
    Column("state_reason", String(200)),
    Column("state_at", UtcTime),
    Column("lease_owner", String(64)),
    Column("lease_until", UtcTime),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_attempt_at", UtcTime),
    UniqueConstraint("survey_id", "wave_id", "contact_id", "kind", "sequence", name="uq_messages_once"),
    # The sender walks the pending ones wave by wave, alerts first.
    Index("ix_messages_state", "state", "kind", "survey_id", "wave_id", "message_id"),
    # Invitations that were sent so many days ago: reminders look for them.
    Index("ix_messages_when", "state", "kind", "survey_id", "state_at"),
    # What is open for one contact: the widget and the portal ask at each page.
    Index("ix_messages_contact", "contact_id", "kind"),
)

# Everything that happens, in the ledger's own order. Never updated but for the two marks at its end.
events = Table(
    "events",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("message_id", String(64)),
    Column("invitation_id", String(64), index=True),
    Column("survey_id", String(64)),
    Column("contact_id", String(255)),
    Column("account_id", String(255)),
    Column("occurred_at", UtcTime, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("payload", Text, nullable=False, default="{}"),
    Column("export_batch", Integer, index=True),
    # Set until the outgoing webhooks have looked at it; null for what nobody is told of.
    Column("for_webhooks", Boolean),
    Index(
        "ix_events_for_webhooks",
        "seq",
        sqlite_where=text("for_webhooks IS NOT NULL"),
        postgresql_where=text("for_webhooks IS NOT NULL"),
    ),
    # What happened lately of a kind: sensors ask every few seconds.
    Index("ix_events_kind_recorded", "kind", "recorded_at"),
    sqlite_autoincrement=True,
)

BOOKKEEPING = frozenset({"export_batch", "for_webhooks"})
"""Columns of our own books that say nothing about the world: they stay here."""

# The newest answer of each invitation, for the collector and the follow-up; history is in `events`.
answers = Table(
    "answers",
    metadata,
    Column("invitation_id", String(64), primary_key=True),
    Column("score", Integer, nullable=False),
    Column("comment", Text),
    Column("answers", Text, nullable=False, default="{}"),
    Column("channel", String(16), nullable=False),
    Column("judged", String(12), nullable=False),  # human, provisional
    Column("submitted_at", UtcTime, nullable=False),  # of the first score; later scores within 24 h replace it
    Column("scored_at", UtcTime, nullable=False),  # when the score that stands was given: the follow-up's clocks start
    Column("changed_at", UtcTime, nullable=False),
    Column("version", Integer, nullable=False, default=1),
    # The version that the workflows have seen; what came since is still to be worked on.
    Column("worked_version", Integer, nullable=False, default=0),
    Index(
        "ix_answers_to_work_on",
        "scored_at",
        sqlite_where=text("worked_version < version"),
        postgresql_where=text("worked_version < version"),
    ),
)

suppressions = Table(
    "suppressions",
    metadata,
    Column("person_key", String(64), primary_key=True),
    Column("reason", String(32), nullable=False),  # unsubscribed, opted_out, bounced, complained, imported
    Column("since", UtcTime, nullable=False),
)

# What a person wishes to get, by survey or for 'all': the newest wish stands, history is in `events`.
preferences = Table(
    "preferences",
    metadata,
    Column("person_key", String(64), primary_key=True),
    Column("survey_id", String(64), primary_key=True),  # or 'all'
    Column("wanted", Boolean, nullable=False),
    Column("at_most_every_days", Integer),  # of 'all': no invitation sooner than so many days after the last one
    Column("since", UtcTime, nullable=False),
)

exclusions = Table(
    "exclusions",
    metadata,
    Column("subject", String(8), primary_key=True),  # contact, account
    Column("subject_id", String(255), primary_key=True),
    Column("reason", String(200), nullable=False),
    Column("author", String(100), nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("until", UtcTime),
)

followups = Table(
    "followups",
    metadata,
    Column("invitation_id", String(64), primary_key=True),
    Column("survey_id", String(64), nullable=False),
    Column("contact_id", String(255), nullable=False),
    Column("account_id", String(255)),
    Column("score", Integer, nullable=False),
    Column("assignee_id", String(255)),
    Column("assignee_name", String(200)),
    Column("assignee_email", String(254)),
    Column("assignment_rule", String(32), nullable=False),
    Column("opened_at", UtcTime, nullable=False),  # when the answer was given: both clocks start here
    Column("acknowledge_due_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("sla_hours", Integer, nullable=False),
    Column("first_contact_at", UtcTime),
    Column("status", String(16), nullable=False),  # the step it is at (closedloop.programme.steps)
    Column("outcome", String(24)),  # resolved, partially_resolved, unresolvable, no_response
    Column("closed_at", UtcTime),
    Index(
        "ix_followups_waiting",
        "due_at",
        sqlite_where=text("first_contact_at IS NULL"),
        postgresql_where=text("first_contact_at IS NULL"),
    ),
    Index("ix_followups_assignee", "assignee_email", "status"),
)

# One row per invitation and action: planned once, done once.
actions = Table(
    "actions",
    metadata,
    Column("invitation_id", String(64), primary_key=True),
    Column("action", String(80), primary_key=True),  # workflow and action, such as detractor.task; record: the answer
    Column("way", String(12), nullable=False),  # how it is done: mail, crm, chat, sequence, books
    Column("survey_id", String(64)),
    Column("contact_id", String(255)),
    Column("account_id", String(255)),
    Column("message_id", String(64)),  # of way `mail`: what becomes of the message becomes of the action
    Column("version", Integer, nullable=False, default=1),  # of the answer that it tells of
    Column("state", String(12), nullable=False),  # planned, attempted, done, failed, skipped
    Column("reason", String(200)),
    Column("payload", Text, nullable=False, default="{}"),  # JSON: all that doing it needs
    Column("planned_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("due_at", UtcTime),  # not before
    Column("done_at", UtcTime),
    Column("record_id", String(100)),  # the id that the CRM gave it
    Column("batch", Integer),  # of the files it was written to
    Index("ix_actions_waiting", "state", "way", "due_at"),
    Index("ix_actions_message", "message_id"),
    Index("ix_actions_contact", "contact_id", "action"),
    Index("ix_actions_account", "account_id", "action"),
)

# How many follow-ups each member of a team was given in turn.
turns = Table(
    "turns",
    metadata,
    Column("team", String(64), primary_key=True),
    Column("member", String(254), primary_key=True),
    Column("taken", Integer, nullable=False),
)

# When people who follow up are away; the one who is asked for at such a time is passed over.
absences = Table(
    "absences",
    metadata,
    Column("email", String(254), primary_key=True),
    Column("since", UtcTime, primary_key=True),
    Column("until", UtcTime, nullable=False),
    Column("recorded_by", String(100), nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
)

builds = Table(
    "builds",
    metadata,
    Column("build_id", String(64), primary_key=True),
    Column("predecessor_id", String(64), nullable=False),  # the last sealed evaluation that this build knew
    Column("as_of", UtcTime, nullable=False),
    Column("known_at", UtcTime, nullable=False),
    Column("cut", Text, nullable=False),  # JSON: one snapshot id per lake table
    Column("definitions_hash", String(64), nullable=False),
    Column("code_version", String(64), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("state", String(12), nullable=False),  # running, built, failed
)

build_checks = Table(
    "build_checks",
    metadata,
    Column("build_id", String(64), ForeignKey("builds.build_id"), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("gate", String(16), nullable=False),  # arrived, sending, published, dbt
    Column("required", Boolean, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("details", Text, nullable=False, default="{}"),  # JSON, counts only: never a value of a person
    Column("recorded_at", UtcTime, nullable=False),
)

publications = Table(
    "publications",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=True),  # the newest is the last in this order
    Column("publication_id", String(64), nullable=False, unique=True),
    Column("build_id", String(64), nullable=False, unique=True),
    Column("as_of", UtcTime, nullable=False),
    Column("known_at", UtcTime, nullable=False),
    Column("definitions_hash", String(64), nullable=False),
    Column("code_version", String(64), nullable=False),
    Column("checks_passed", Integer, nullable=False),
    Column("published_at", UtcTime, nullable=False),
    Column("export_batch", Integer, index=True),
    sqlite_autoincrement=True,
)

# What an operator has switched off, such as all sending; a switch that is not here is on.
switches = Table(
    "switches",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("is_on", Boolean, nullable=False),
    Column("changed_by", String(100), nullable=False),
    Column("reason", String(200), nullable=False, default=""),
    Column("changed_at", UtcTime, nullable=False),
)

# How many messages were handed over in each hour to each recipient domain: the limits of the sender stand on it.
hand_overs = Table(
    "hand_overs",
    metadata,
    Column("hour", UtcTime, primary_key=True),
    Column("domain", String(255), primary_key=True),
    Column("count", Integer, nullable=False),
)

# What mail providers reported, as it came; each report once. What we understand of it stands in `events` too.
provider_events = Table(
    "provider_events",
    metadata,
    Column("provider", String(24), primary_key=True),
    Column("external_id", String(255), primary_key=True),
    Column("kind", String(24), nullable=False),  # delivered, bounced, complained, opened, clicked, ..., unknown
    Column("message_id", String(64)),  # null: of no message of ours
    Column("payload", Text, nullable=False),  # JSON, raw
    Column("occurred_at", UtcTime, nullable=False),
    Column("received_at", UtcTime, nullable=False),
)

wave_approvals = Table(
    "wave_approvals",
    metadata,
    Column("wave_id", String(100), primary_key=True),
    Column("approved_by", String(100), nullable=False),
    Column("approved_at", UtcTime, nullable=False),
)

# One row per batch of rows that goes to the lake; `written_at` is null until the lake has it.
exports = Table(
    "exports",
    metadata,
    Column("batch", Integer, primary_key=True, autoincrement=True),
    Column("table_name", String(32), nullable=False),
    Column("row_count", Integer),  # null while rows are still stamped with this number
    Column("stamped_at", UtcTime, nullable=False),
    Column("written_at", UtcTime),
    sqlite_autoincrement=True,
)

# The endpoints of outgoing webhooks that were ever in the settings.
webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("first_seen_at", UtcTime, nullable=False),  # what was committed before is not sent by itself
    Column("failures_in_row", Integer, nullable=False, default=0),
    Column("rests_until", UtcTime),  # after failures in a row, or when it asked for a rest
    Column("switched_off_at", UtcTime),  # it answered 410: it wants no more
)

# One row per endpoint and event that it is told of.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("endpoint", String(64), primary_key=True),
    Column("seq", SEQUENCE, primary_key=True, autoincrement=False),  # of the event
    Column("state", String(12), nullable=False),  # waiting, attempted, delivered, failed
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_attempt_at", UtcTime),  # not before; of an attempt: when its process counts as dead
    Column("last_status", Integer),
    Column("last_error", String(200)),
    Column("queued_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),  # delivered, or given up
    Index(
        "ix_webhook_deliveries_open",
        "endpoint",
        "seq",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)
