"""Closing the loop, as recorded: answers that workflows have still to see, follow-ups opened once, and each step of them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, or_, select, update

from closedloop.errors import BadInput
from closedloop.identity import normalise_address
from closedloop.ledger.actions import MAIL, Action, message_for, plan_actions
from closedloop.ledger.answers import ANSWERED_KINDS
from closedloop.ledger.engine import Ledger
from closedloop.ledger.messages import visible
from closedloop.ledger.rows import Row, add_events, event, payload_from
from closedloop.ledger.schema import actions, answers, events, followups, messages
from closedloop.programme.steps import ACKNOWLEDGED, CLOSED, INVESTIGATING, OPEN, OUTCOMES, check_move

__all__ = ["CLOSED", "OUTCOMES"]

_INVITATION_COLUMNS = ("invitation_id", "kind", "survey_id", "wave_id", "contact_id", "account_id", "person_key")
_ANSWER_COLUMNS = (
    *("score", "comment", "answers", "channel", "judged", "submitted_at", "scored_at", "version", "worked_version"),
)


@dataclass(frozen=True)
class Work:
    """What follows one version of an answer: the follow-up's row where it needs one, and actions."""

    followup: Row | None
    actions: tuple[Action, ...]


@dataclass(frozen=True)
class Worked:
    """What was new: whether a follow-up was opened, and the actions that were planned."""

    opened: bool
    planned: tuple[str, ...]


def unworked(
    ledger: Ledger, *, confirmed: Iterable[str] = (), limit: int = 500, after: tuple[dt.datetime, str] | None = None
) -> list[dict[str, Any]]:
    """Answers whose newest version no workflow has seen, oldest first: the human ones, and those `confirmed` since.

    Rows hold the invitation's ids, `wave_id`, `payload` (parsed), and the answer: score, comment, answers, channel, judged,
    submitted_at, scored_at, version, worked_version. Go on with `after`, the last row's scored_at and invitation_id.
    """
    judged = or_(answers.c.judged == "human", answers.c.invitation_id.in_(list(confirmed)))
    found = (
        select(
            *(messages.c[name] for name in _INVITATION_COLUMNS),
            messages.c.payload,
            *(answers.c[name] for name in _ANSWER_COLUMNS),
        )
        .join(messages, messages.c.invitation_id == answers.c.invitation_id)
        .where(messages.c.kind.in_(ANSWERED_KINDS), answers.c.worked_version < answers.c.version, judged)
        .where(visible())
        .order_by(answers.c.scored_at, answers.c.invitation_id)
        .limit(limit)
    )
    if after is not None:
        at, key = after
        found = found.where(
            or_(answers.c.scored_at > at, (answers.c.scored_at == at) & (answers.c.invitation_id > key))
        )
    with ledger.read() as conn:
        rows = [dict(row) for row in conn.execute(found).mappings()]
    return [{**row, "payload": payload_from(row["payload"]), "answers": json.loads(row["answers"])} for row in rows]


def unconfirmed(ledger: Ledger, *, limit: int = 2_000) -> list[str]:
    """Invitations whose newest answer is provisional and not worked on, the newest first."""
    found = (
        select(answers.c.invitation_id)
        .where(answers.c.worked_version < answers.c.version, answers.c.judged == "provisional")
        .order_by(answers.c.scored_at.desc())
        .limit(limit)
    )
    with ledger.read() as conn:
        return list(conn.scalars(found))


def work_on(
    ledger: Ledger, answer: Row, plan: Callable[[Connection, bool], Work], *, now: dt.datetime
) -> Worked | None:
    """Let the workflows see one version of an answer (a row of `unworked`), in one transaction and at most once.

    `plan` gives what follows; it is told whether a follow-up is open or was, and may take a turn of a team. What was planned
    for an earlier version is not planned again. None when another process was faster, or the answer has changed since.
    """
    invitation_id = answer["invitation_id"]
    with ledger.write() as conn:
        stands = conn.execute(
            select(answers.c.version, answers.c.worked_version)
            .where(answers.c.invitation_id == invitation_id)
            .with_for_update()
        ).first()
        if stands is None or stands.version != answer["version"] or stands.worked_version >= stands.version:
            return None
        known = conn.execute(select(followups.c.status).where(followups.c.invitation_id == invitation_id)).first()
        work = plan(conn, known is not None)
        conn.execute(
            update(answers).where(answers.c.invitation_id == invitation_id).values(worked_version=answer["version"])
        )
        opens = work.followup is not None and known is None
        if opens:
            assert work.followup is not None
            add_followups(conn, [{**work.followup, "status": OPEN}], now=now)
        planned = plan_actions(conn, answer, work.actions, now=now, version=answer["version"])
    return Worked(opens, tuple(planned))


def add_followups(conn: Connection, rows: Iterable[Row], *, now: dt.datetime | None = None) -> None:
    """Insert follow-ups with their `followup_opened` events; `now` None records each at its own time (the past).

    `passed_over` in a row says in its event who did not get it, by role, and why.
    """
    given = list(rows)
    prepared = [{name: row.get(name) for name in followups.c.keys()} for row in given]  # noqa: SIM118
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
                **({"passed_over": dict(said["passed_over"])} if said.get("passed_over") else {}),
            )
            for said, row in zip(given, prepared, strict=True)
        ],
        live=now is not None,
    )


def without_action(
    ledger: Ledger, action: str, *, due_before: dt.datetime, due_after: dt.datetime, limit: int = 500
) -> list[dict[str, Any]]:
    """Follow-ups without a first contact that are due in (due_after, due_before] and for which `action` is not planned, the
    most urgent first; rows of the table with the invitation's `wave_id`, `payload` (parsed) and the answer's `comment`."""
    planned = select(actions.c.action).where(
        actions.c.invitation_id == followups.c.invitation_id, actions.c.action == action
    )
    found = (
        select(followups, messages.c.wave_id, messages.c.payload, answers.c.comment)
        .join(messages, messages.c.invitation_id == followups.c.invitation_id)
        .outerjoin(answers, answers.c.invitation_id == followups.c.invitation_id)
        .where(
            messages.c.kind.in_(ANSWERED_KINDS), followups.c.first_contact_at.is_(None), followups.c.status != CLOSED
        )
        .where(followups.c.due_at > due_after, followups.c.due_at <= due_before, ~planned.exists())
        .order_by(followups.c.due_at)
        .limit(limit)
    )
    with ledger.read() as conn:
        return [{**row, "payload": payload_from(row["payload"])} for row in conn.execute(found).mappings()]


def plan_for(ledger: Ledger, followup: Row, action: Action, *, now: dt.datetime) -> bool:
    """Plan one action of a follow-up that still waits for its first contact. False when it is planned or not needed."""
    with ledger.write() as conn:
        row = held(conn, followup["invitation_id"])
        if row["first_contact_at"] or row["status"] == CLOSED:
            return False
        return bool(plan_actions(conn, row, [action], now=now))


def first_contact(
    conn: Connection, invitation_id: str, *, at: dt.datetime, by: str, note: str = "", now: dt.datetime
) -> None:
    """Record that the customer was spoken with: it stops both clocks.

    Raises BadInput when there is no such follow-up, it has a first contact or is closed, or `at` cannot be.
    """
    row, who = held(conn, invitation_id), _who(by)
    if row["status"] == CLOSED:
        raise BadInput("this follow-up is closed", field="invitation_id")
    if row["first_contact_at"] is not None:
        raise BadInput("the first contact of this follow-up is recorded already", field="invitation_id")
    _not_before(row["opened_at"], at, now)
    _change(conn, invitation_id, first_contact_at=at, status=ACKNOWLEDGED)
    add_events(conn, [event("first_contact", row, at=at, now=now, by=who, **_with(note))])


def take_step(
    conn: Connection, invitation_id: str, step: str, *, at: dt.datetime, by: str, note: str = "", now: dt.datetime
) -> None:
    """Move a follow-up to a step between the first contact and the end.

    Raises BadInput for a move that the state machine does not have (`closedloop.programme.steps`), or a time that cannot be.
    """
    row, who = held(conn, invitation_id), _who(by)
    if step == CLOSED:
        raise BadInput("a follow-up is closed by its outcome", field="step")
    if step == ACKNOWLEDGED and row["status"] == OPEN:
        first_contact(conn, invitation_id, at=at, by=by, note=note, now=now)
        return
    if row["status"] == CLOSED:
        raise BadInput("this follow-up is closed", field="step", remedy="reopen it first")
    check_move(row["status"], step)
    _not_before(row["first_contact_at"] or row["opened_at"], at, now)
    _change(conn, invitation_id, status=step)
    add_events(conn, [event("followup_step", row, at=at, now=now, step=step, by=who, **_with(note))])


def log_outcome(
    conn: Connection, invitation_id: str, outcome: str, *, at: dt.datetime, by: str, note: str = "", now: dt.datetime
) -> None:
    """Close a follow-up: 'resolved', 'partially_resolved', 'unresolvable' or 'no_response' (from the customer).

    Raises BadInput for another outcome, without a first contact (only 'no_response' can do without), when it is
    closed already, or when `at` cannot be.
    """
    row, who = held(conn, invitation_id), _who(by)
    if row["status"] == CLOSED:
        raise BadInput("this follow-up is closed already", field="invitation_id")
    check_move(row["status"], CLOSED, outcome)
    _not_before(row["first_contact_at"] or row["opened_at"], at, now)
    _change(conn, invitation_id, status=CLOSED, outcome=outcome, closed_at=at)
    said = {"status": CLOSED, "outcome": outcome, "by": who, **_with(note)}
    add_events(conn, [event("outcome", row, at=at, now=now, **said)])


def reopen(conn: Connection, invitation_id: str, *, at: dt.datetime, by: str, why: str, now: dt.datetime) -> None:
    """Take a closed follow-up up again; its outcome no longer counts. Raises BadInput when it is not closed, or without a
    reason."""
    row, who = held(conn, invitation_id), _who(by)
    if row["status"] != CLOSED:
        raise BadInput("this follow-up is not closed", field="invitation_id")
    if not why.strip():
        raise BadInput("needed to reopen a follow-up", field="why", remedy="say what came up")
    _not_before(row["closed_at"], at, now)
    step = INVESTIGATING if row["first_contact_at"] else OPEN
    _change(conn, invitation_id, status=step, outcome=None, closed_at=None)
    add_events(conn, [event("followup_reopened", row, at=at, now=now, step=step, by=who, why=why.strip())])


def reopened_after(conn: Connection, invitation_id: str, moment: dt.datetime) -> bool:
    """Whether a follow-up was reopened at or after a moment (UTC): what closed it then has had its day."""
    reopened = (events.c.invitation_id == invitation_id) & (events.c.kind == "followup_reopened")
    return conn.execute(select(events.c.seq).where(reopened, events.c.occurred_at >= moment)).first() is not None


def add_note(conn: Connection, invitation_id: str, note: str, *, by: str, now: dt.datetime) -> None:
    """Keep a note in the history of a follow-up. Raises BadInput for an empty one."""
    row, who = held(conn, invitation_id), _who(by)
    if not note.strip():
        raise BadInput("the note is empty", field="note")
    add_events(conn, [event("followup_note", row, at=now, now=now, by=who, note=note.strip())])


def reassign(
    conn: Connection, invitation_id: str, *, name: str, email: str, person_id: str | None, by: str, now: dt.datetime
) -> None:
    """Hand a follow-up over to somebody else, who gets the alert; the clocks go on. Raises BadInput when it is closed, or is
    that person's already."""
    row, who = held(conn, invitation_id), _who(by)
    if row["status"] == CLOSED:
        raise BadInput("this follow-up is closed", field="invitation_id", remedy="reopen it first")
    if email.lower() == (row["assignee_email"] or "").lower():
        raise BadInput("it is with this person already", field="to")
    rule = "handed_over"
    _change(conn, invitation_id, assignee_id=person_id, assignee_name=name, assignee_email=email, assignment_rule=rule)
    # Addresses and names stay in the table: events are for good, and go to the lake.
    said = {"assignee_id": person_id, "assignment_rule": rule, "by": who}
    add_events(conn, [event("followup_assigned", row, at=now, now=now, **said)])
    if alert := newest_alert(conn, invitation_id):
        others = actions.c.action.like("hand_over:%") & (actions.c.invitation_id == invitation_id)
        number = conn.execute(select(func.count()).select_from(actions).where(others)).scalar_one() + 1
        said_now = select(answers.c.score, answers.c.comment).where(answers.c.invitation_id == invitation_id)
        stands = dict(conn.execute(said_now).mappings().first() or {})  # words may have come after the first alert
        key, payload = (
            f"hand_over:{number}",
            {**alert["payload"], **stands, "email": email, "assignee_name": name, "cc": []},
        )
        payload |= {"assignment_rule": rule, "notice": "handed_over", "handed_over_by": who}
        message = message_for(alert, key, "alert", payload, now=now)
        plan_actions(conn, row, [Action(key, MAIL, message=message)], now=now)


def newest_alert(conn: Connection, invitation_id: str) -> dict[str, Any] | None:
    """The newest alert to who follows up, `payload` parsed: what was known of the customer then."""
    found = (
        select(messages)
        .where(messages.c.invitation_id == invitation_id, messages.c.kind == "alert")
        .order_by(messages.c.planned_at.desc(), messages.c.message_id)
    )
    for row in conn.execute(found).mappings():
        payload = json.loads(row["payload"])
        if payload.get("has_followup", True):
            return {**row, "payload": payload}
    return None


def list_followups(
    ledger: Ledger, *, include_closed: bool = False, assignee_email: str | None = None
) -> list[dict[str, Any]]:
    """Follow-ups, the most urgent first: rows of the table with `names` (contact, account), `comment` and `score_now` (a customer
    may have changed their mind since it was opened), for people."""
    with ledger.read() as conn:
        return read_followups(conn, include_closed=include_closed, assignee_email=assignee_email)


def read_followups(
    conn: Connection, *, include_closed: bool = False, assignee_email: str | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    """`list_followups` within a transaction."""
    found = (
        select(
            followups,
            messages.c.payload,
            answers.c.comment,
            func.coalesce(answers.c.score, followups.c.score).label("score_now"),
        )
        .outerjoin(messages, messages.c.message_id == followups.c.invitation_id)
        .outerjoin(answers, answers.c.invitation_id == followups.c.invitation_id)
        .order_by(followups.c.due_at, followups.c.invitation_id)
    )
    if not include_closed:
        found = found.where(followups.c.status != CLOSED)
    if assignee_email is not None:
        person = normalise_address(assignee_email)  # the CRM may write one address in two ways
        spellings = [one for one in assignees(conn) if normalise_address(one) == person]
        found = found.where(followups.c.assignee_email.in_(spellings))
    rows = [dict(row) for row in conn.execute(found.limit(limit)).mappings()]
    for row in rows:
        payload = payload_from(row.pop("payload") or "{}")
        row["names"] = {name: payload.get(f"{name}_name") for name in ("contact", "account")}
    return rows


def assignees(conn: Connection) -> list[str]:
    """The addresses of all who follow up, or did."""
    found = select(followups.c.assignee_email).where(followups.c.assignee_email.is_not(None)).distinct()
    return sorted(conn.scalars(found))


def read_followup(conn: Connection, invitation_id: str) -> dict[str, Any] | None:
    """A follow-up with the invitation's `payload` and the `answer` that stands (both parsed), or None."""
    found = (
        select(followups, messages.c.payload, *(answers.c[name].label(f"answer_{name}") for name in _ANSWER_COLUMNS))
        .join(messages, messages.c.message_id == followups.c.invitation_id)
        .outerjoin(answers, answers.c.invitation_id == followups.c.invitation_id)
        .where(followups.c.invitation_id == invitation_id)
    )
    row = conn.execute(found).mappings().first()
    if row is None:
        return None
    return {
        **{name: row[name] for name in followups.c.keys()},  # noqa: SIM118
        "payload": payload_from(row["payload"]),
        "answer": {
            **{name: row[f"answer_{name}"] for name in _ANSWER_COLUMNS},
            "answers": json.loads(row["answer_answers"] or "{}"),
        },
    }


COURSE = (
    *("followup_opened", "first_contact", "followup_step", "outcome", "followup_reopened"),
    *("followup_assigned", "followup_note", "answered", "voided"),
)
"""The kinds of events that make the history of a follow-up."""

MOVED = frozenset(COURSE) - {"followup_note", "answered", "voided"}
"""Those after which it stands elsewhere, or with somebody else."""


def course_of(conn: Connection, invitation_id: str) -> list[dict[str, Any]]:
    """What happened in a follow-up, in order: seq, kind, occurred_at, recorded_at, payload (parsed)."""
    found = (
        select(*(events.c[name] for name in ("seq", "kind", "occurred_at", "recorded_at", "payload")))
        .where(events.c.invitation_id == invitation_id, events.c.kind.in_(COURSE))
        .order_by(events.c.seq)
    )
    return [{**row, "payload": json.loads(row["payload"])} for row in conn.execute(found).mappings()]


def held(conn: Connection, invitation_id: str) -> Mapping[str, Any]:
    """The follow-up's row, held for this transaction. Raises BadInput where there is none."""
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


def _who(by: str) -> str:
    """The name of who did it. Asked for before anything is written: the collector commits what a refused move has written."""
    if not by.strip():
        raise BadInput("needed, so that it is known who did it", field="by", remedy="give a name")
    return by.strip()[:100]


def _with(note: str) -> dict[str, str]:
    return {"note": note.strip()} if note.strip() else {}


def _change(conn: Connection, invitation_id: str, **values: Any) -> None:
    conn.execute(update(followups).where(followups.c.invitation_id == invitation_id).values(**values))
