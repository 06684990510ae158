"""Closing the loop, as recorded: follow-ups opened once, first contact, outcome, and the actions planned for them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, insert, or_, select, update

from closedloop.errors import BadInput
from closedloop.ledger.answers import ANSWERED_KINDS
from closedloop.ledger.engine import Ledger
from closedloop.ledger.messages import visible
from closedloop.ledger.rows import Row, add_events, add_messages, event, to_json
from closedloop.ledger.schema import actions, answers, followups, messages
from closedloop.programme.rules import DETRACTOR_MAX

OUTCOMES = ("resolved", "partially_resolved", "unresolvable", "no_response")

_INVITATION_COLUMNS = ("invitation_id", "survey_id", "wave_id", "contact_id", "account_id")
_ANSWER_COLUMNS = ("score", "comment", "answers", "channel", "judged", "submitted_at", "scored_at", "version")


def due_followups(ledger: Ledger, *, confirmed: Iterable[str] = (), limit: int = 500) -> list[dict[str, Any]]:
    """Detractors that need a follow-up and have none, oldest first: the human ones, and those `confirmed` since.

    Rows hold the ids, `wave_id`, `payload` (parsed) of the invitation, and score, comment, scored_at of the answer.
    """
    judged = or_(answers.c.judged == "human", answers.c.invitation_id.in_(list(confirmed)))
    found = (
        select(
            *(messages.c[name] for name in _INVITATION_COLUMNS),
            messages.c.payload,
            *(answers.c[name] for name in _ANSWER_COLUMNS),
        )
        .join(messages, messages.c.invitation_id == answers.c.invitation_id)
        .where(messages.c.kind.in_(ANSWERED_KINDS), ~answers.c.followed_up, answers.c.score <= DETRACTOR_MAX, judged)
        .where(visible())
        .order_by(answers.c.scored_at)
        .limit(limit)
    )
    with ledger.read() as conn:
        return [{**row, "payload": json.loads(row["payload"])} for row in conn.execute(found).mappings()]


def open_followup(
    ledger: Ledger, followup: Row, *, alert: Row | None, task: Mapping[str, Any], now: dt.datetime
) -> bool:
    """Start a follow-up: its row, the task, and the alert as a message, all in one transaction and at most once.

    `followup` holds the columns of the table up to `sla_hours`, `alert` those of a message, `task` its payload.
    Returns False when the answer is followed up already, or is no longer a detractor's: then nothing is written.
    """
    invitation_id = followup["invitation_id"]
    with ledger.write() as conn:
        answer = conn.execute(
            select(answers.c.score, answers.c.followed_up)
            .where(answers.c.invitation_id == invitation_id)
            .with_for_update()
        ).first()
        if answer is None or answer.followed_up or answer.score > DETRACTOR_MAX:
            return False
        conn.execute(update(answers).where(answers.c.invitation_id == invitation_id).values(followed_up=True))
        add_followups(conn, [{**followup, "status": "open"}], now=now)
        plan_action(conn, followup, "task", task, now=now)
        if alert is not None:
            plan_action(conn, followup, "alert", {}, now=now)
            add_messages(conn, [alert])
    return True


def add_followups(conn: Connection, rows: Iterable[Row], *, now: dt.datetime | None = None) -> None:
    """Insert follow-ups with their `followup_opened` events; `now` None records each at its own time (the past)."""
    prepared = [{name: row.get(name) for name in followups.c.keys()} for row in rows]  # noqa: SIM118
    if not prepared:
        return
    conn.execute(insert(followups).inline(), prepared)
    add_events(
        conn,
        [
            event(
                "followup_opened",
                row,
                at=row["opened_at"],
                now=now or row["opened_at"],
                score=row["score"],
                assignee_id=row["assignee_id"],
                assignment_rule=row["assignment_rule"],
                acknowledge_due_at=row["acknowledge_due_at"].isoformat(),
                due_at=row["due_at"].isoformat(),
                sla_hours=row["sla_hours"],
            )
            for row in prepared
        ],
    )


def plan_action(conn: Connection, about: Row, action: str, payload: Mapping[str, Any], *, now: dt.datetime) -> None:
    """Plan an action of an invitation; its key lets each be planned once."""
    row = {
        "invitation_id": about["invitation_id"],
        "action": action,
        "state": "planned",
        "payload": to_json(payload),
        "planned_at": now,
    }
    conn.execute(insert(actions), row)
    add_events(conn, [event("action", about, at=now, now=now, action=action, state="planned")])


def unwarned(ledger: Ledger, *, before: dt.datetime, after: dt.datetime, limit: int = 500) -> list[dict[str, Any]]:
    """Follow-ups without a first contact that are due in (after, before] and were not warned of, most urgent first."""
    warned = select(actions.c.action).where(
        actions.c.invitation_id == followups.c.invitation_id, actions.c.action == "sla_warning"
    )
    found = (
        select(followups, messages.c.wave_id, messages.c.payload, answers.c.comment)
        .join(messages, messages.c.invitation_id == followups.c.invitation_id)
        .outerjoin(answers, answers.c.invitation_id == followups.c.invitation_id)
        .where(
            messages.c.kind.in_(ANSWERED_KINDS), followups.c.first_contact_at.is_(None), followups.c.status != "closed"
        )
        .where(followups.c.due_at > after, followups.c.due_at <= before, ~warned.exists())
        .order_by(followups.c.due_at)
        .limit(limit)
    )
    with ledger.read() as conn:
        return [{**row, "payload": json.loads(row["payload"])} for row in conn.execute(found).mappings()]


def plan_warning(ledger: Ledger, followup: Row, *, alert: Row, now: dt.datetime) -> bool:
    """Plan the warning mail of a follow-up whose time runs out, once. False when it is planned or not needed."""
    with ledger.write() as conn:
        row = _row(conn, followup["invitation_id"])
        known = select(actions).where(
            actions.c.invitation_id == followup["invitation_id"], actions.c.action == "sla_warning"
        )
        if row["first_contact_at"] or row["status"] == "closed" or conn.execute(known).first():
            return False
        plan_action(conn, row, "sla_warning", {}, now=now)
        add_messages(conn, [alert])
    return True


def first_contact(
    ledger: Ledger, invitation_id: str, *, at: dt.datetime, by: str, note: str = "", now: dt.datetime
) -> None:
    """Record that the customer was spoken with: it stops both clocks.

    Raises BadInput when there is no such follow-up, it has a first contact or is closed, or `at` cannot be.
    """
    with ledger.write() as conn:
        row = _row(conn, invitation_id)
        if row["status"] == "closed":
            raise BadInput("this follow-up is closed", field="invitation_id")
        if row["first_contact_at"] is not None:
            raise BadInput("the first contact of this follow-up is recorded already", field="invitation_id")
        _not_before(row["opened_at"], at, now)
        _change(conn, invitation_id, first_contact_at=at, status="in_progress")
        said = {"note": note} if note else {}
        add_events(conn, [event("first_contact", row, at=at, now=now, by=by, **said)])


def log_outcome(
    ledger: Ledger, invitation_id: str, outcome: str, *, at: dt.datetime, by: str, now: dt.datetime
) -> None:
    """Close a follow-up: 'resolved', 'partially_resolved', 'unresolvable' or 'no_response' (from the customer).

    Raises BadInput for another outcome, without a first contact (only 'no_response' can do without), when it is
    closed already, or when `at` cannot be.
    """
    if outcome not in OUTCOMES:
        raise BadInput(f"no such outcome: '{outcome}'", field="outcome", remedy=f"use one of {', '.join(OUTCOMES)}")
    with ledger.write() as conn:
        row = _row(conn, invitation_id)
        if row["status"] == "closed":
            raise BadInput("this follow-up is closed already", field="invitation_id")
        if row["first_contact_at"] is None and outcome != "no_response":
            raise BadInput(
                f"'{outcome}' needs a first contact",
                field="outcome",
                remedy="record the first contact first, or use no_response when the customer could not be reached",
            )
        _not_before(row["first_contact_at"] or row["opened_at"], at, now)
        _change(conn, invitation_id, status="closed", outcome=outcome, closed_at=at)
        add_events(conn, [event("outcome", row, at=at, now=now, status="closed", outcome=outcome, by=by)])


def list_followups(ledger: Ledger, *, include_closed: bool = False) -> list[dict[str, Any]]:
    """Follow-ups, the most urgent first: rows of the table with `names` (contact, account) and `comment`, for people."""
    found = (
        select(followups, messages.c.payload, answers.c.comment)
        .outerjoin(messages, messages.c.message_id == followups.c.invitation_id)
        .outerjoin(answers, answers.c.invitation_id == followups.c.invitation_id)
        .order_by(followups.c.due_at, followups.c.invitation_id)
    )
    if not include_closed:
        found = found.where(followups.c.status != "closed")
    with ledger.read() as conn:
        rows = [dict(row) for row in conn.execute(found).mappings()]
    for row in rows:
        payload = json.loads(row.pop("payload") or "{}")
        row["names"] = {name: payload.get(f"{name}_name") for name in ("contact", "account")}
    return rows


def actions_of(ledger: Ledger, invitation_id: str) -> dict[str, dict[str, Any]]:
    """The actions of an invitation by name, `payload` parsed."""
    with ledger.read() as conn:
        rows = conn.execute(select(actions).where(actions.c.invitation_id == invitation_id)).mappings()
        return {row["action"]: {**row, "payload": json.loads(row["payload"])} for row in rows}


def _row(conn: Connection, invitation_id: str) -> Mapping[str, Any]:
    found = select(followups).where(followups.c.invitation_id == invitation_id).with_for_update()
    row = conn.execute(found).mappings().first()
    if row is None:
        raise BadInput(
            "there is no follow-up of this invitation", field="invitation_id", remedy="see `closedloop follow-up list`"
        )
    return row


def _not_before(start: dt.datetime, at: dt.datetime, now: dt.datetime) -> None:
    if at < start:
        raise BadInput(
            "the time is before what it follows", field="at", remedy="give a time in UTC, or with its offset"
        )
    if at > now:
        raise BadInput("the time is in the future", field="at", remedy="give a time in UTC, or with its offset")


def _change(conn: Connection, invitation_id: str, **values: Any) -> None:
    conn.execute(update(followups).where(followups.c.invitation_id == invitation_id).values(**values))
