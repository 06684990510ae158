"""Rounds of the past, written in bulk: for the demo and for taking over another system's history.

The same inserts and the same seal as the live operations; only the times are given instead of now. Write rounds in
the order in which they happened: the ledger's order is that of writing.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import insert

from closedloop.errors import BadInput
from closedloop.ledger.actions import CRM, MAIL
from closedloop.ledger.answers import Answer, answer_row
from closedloop.ledger.engine import Ledger, serialise
from closedloop.ledger.followups import OUTCOMES, add_followups
from closedloop.ledger.planning import Sealed, add_evaluation, stage, tip
from closedloop.ledger.rows import Row, add_events, chunks, event, prepare_events, to_json
from closedloop.ledger.schema import actions, answers
from closedloop.programme.rules import DETRACTOR_MAX
from closedloop.programme.steps import ACKNOWLEDGED, CLOSED, OPEN

CHUNK = 5000


def write_round(
    ledger: Ledger,
    *,
    evaluation: Mapping[str, Any],
    decisions: Iterable[Row],
    messages: Iterable[Row],
    events: Iterable[Row] = (),
    chunk: int = CHUNK,
) -> Sealed:
    """One past evaluation with all that came of it: decisions, messages in their final state, events in order.

    `evaluation` needs `as_of`, `sealed_at` and `definitions_hash`; `evaluation_id` is made up, `known_at` is `as_of`,
    `publication_id` is 'history' and the predecessor is the newest evaluation, where they are missing. Rows are dicts
    of the schema's columns; JSON columns may be given as values. Raises BadInput for a row that cannot be.
    """
    evaluation_id = evaluation.get("evaluation_id") or uuid.uuid4().hex
    counts = {"ask": 0, "skip": 0}

    def counted() -> Iterable[Row]:
        for row in decisions:
            counts[row["decision"]] += 1
            yield row

    stage(ledger, evaluation_id, counted(), messages, chunk=chunk)
    with ledger.write() as conn:
        serialise(conn, "seal")
        sealed = add_evaluation(
            conn,
            {
                "publication_id": "history",
                "known_at": evaluation["as_of"],
                "predecessor_id": tip(conn),
                **evaluation,
                "evaluation_id": evaluation_id,
                "asks": counts["ask"],
                "skips": counts["skip"],
            },
        )
    write_events(ledger, events, chunk=chunk)
    return sealed


def write_events(ledger: Ledger, events: Iterable[Row], *, chunk: int = CHUNK) -> int:
    """Append events of the past in the order given; `recorded_at` is `occurred_at` where missing. Returns how many."""
    written = 0
    for rows in chunks(events, chunk):
        prepared = prepare_events(rows, live=False)
        with ledger.write() as conn:
            prepared.insert(conn)
        written += len(rows)
    return written


def write_answers(ledger: Ledger, rows: Iterable[Row], *, chunk: int = CHUNK) -> int:
    """Past answers, each with its `answered` event: invitation_id, survey_id, contact_id, account_id, score,
    submitted_at, and optionally comment, answers, channel ('email'), judged ('human'), visible_ms, followed_up.

    Set `followed_up` for those whose follow-up is written too: any other human detractor alerts at the next run. All other
    answers are of the past: no workflow sees them.
    Returns how many. Raises BadInput for a score outside 0..10.
    """
    written = 0
    for some in chunks(rows, chunk):
        prepared, happened = [], []
        for row in some:
            answer = _answer(row)
            prepared.append({"invitation_id": row["invitation_id"], **answer_row(answer)})
            happened.append(
                event(
                    "answered",
                    {"message_id": row["invitation_id"], **row},
                    at=answer.submitted_at,
                    now=answer.submitted_at,
                    message_kind="invitation",
                    **answer.facts(),
                    visible_ms=row.get("visible_ms"),
                    counted=True,
                    completed=bool(answer.comment or answer.answers),
                )
            )
        told = prepare_events(happened, live=False)
        with ledger.write() as conn:
            conn.execute(insert(answers).inline(), prepared)
            told.insert(conn)
        written += len(some)
    return written


def write_followups(ledger: Ledger, rows: Iterable[Row], *, chunk: int = CHUNK) -> int:
    """Past follow-ups with their events: the columns of the table, and optionally `by` (who contacted and closed).

    The status follows from what is given: an outcome closes, a first contact is in progress. Their alerts and tasks
    count as done. Returns how many. Raises BadInput for an outcome that does not exist.
    """
    written = 0
    for some in chunks(rows, chunk):
        prepared = [_followup(row) for row in some]
        with ledger.write() as conn:
            add_followups(conn, prepared)
            conn.execute(insert(actions).inline(), [action for row in prepared for action in _actions(row)])
            add_events(conn, [happened for row in prepared for happened in _course(row)], live=False)
        written += len(some)
    return written


def _answer(row: Row) -> Answer:
    score = row["score"]
    if isinstance(score, bool) or not isinstance(score, int) or not 0 <= score <= 10:
        raise BadInput("a score is a whole number from 0 to 10", field="score")
    at = row["submitted_at"]
    return Answer(
        score=score,
        comment=row.get("comment"),
        answers=dict(row.get("answers") or {}),
        channel=row.get("channel") or "email",
        judged=row.get("judged") or "human",
        submitted_at=at,
        scored_at=at,
        changed_at=at,
        version=1,
        worked_version=1 if row.get("followed_up") or score > DETRACTOR_MAX else 0,
    )


def _followup(row: Row) -> dict[str, Any]:
    if row.get("outcome") is not None and row["outcome"] not in OUTCOMES:
        raise BadInput(f"no such outcome: '{row['outcome']}'", field="outcome")
    status = CLOSED if row.get("outcome") else ACKNOWLEDGED if row.get("first_contact_at") else OPEN
    return {**row, "status": status}


def _actions(row: Row) -> list[dict[str, Any]]:
    common = {
        "invitation_id": row["invitation_id"],
        **{name: row.get(name) for name in ("survey_id", "contact_id", "account_id")},
        "state": "done",
        "payload": to_json({}),
        "planned_at": row["opened_at"],
        "done_at": row["opened_at"],
    }
    return [{**common, "action": f"detractor.{kind}", "way": way} for kind, way in (("alert", MAIL), ("task", CRM))]


def _course(row: Row) -> list[dict[str, Any]]:
    by = row.get("by") or row.get("assignee_id")
    course = []
    if row.get("first_contact_at"):
        at = row["first_contact_at"]
        course.append(event("first_contact", row, at=at, now=at, by=by))
    if row.get("outcome"):
        at = row["closed_at"]
        course.append(event("outcome", row, at=at, now=at, status="closed", outcome=row["outcome"], by=by))
    return course
