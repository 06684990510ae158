"""What somebody recorded of a follow-up in the CRM: a closed task is the first contact, and its outcome closes the follow-up."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING, Any

from closedloop.errors import BadInput
from closedloop.lake import Lake
from closedloop.ledger import Ledger, followups
from closedloop.ledger.actions import actions_of, kind_of
from closedloop.programme.steps import NO_RESPONSE
from closedloop.settings import Settings

if TYPE_CHECKING:
    from dispatch.crm.mapping import TaskOutcome
    from ingestion.sources.tasks import ClosedTask

NOTE = "Task closed in the CRM"


def record_from_crm(settings: Settings, lake: Lake, ledger: Ledger, *, now: dt.datetime) -> list[BadInput]:
    """Record what the lake's newest tasks say of follow-ups that are not closed, each as of when its task was closed; returns
    warnings. What was recorded here already stays as it is."""
    from dispatch.crm import load_write_back
    from ingestion.sources.tasks import closed_tasks

    try:
        mapping = load_write_back(settings.write_back)
    except BadInput:  # the write-back says what is wrong with its mapping; reading goes on
        return []
    if mapping.task is None or mapping.task.key == "Id":
        return []
    waiting = {
        f"{row['invitation_id']}:{name}": row
        for row in followups.list_followups(ledger)
        for name in actions_of(ledger, row["invitation_id"])
        if kind_of(name) == "task"
    }
    outcome, unknown = mapping.task_outcome, Counter[str]()
    found = closed_tasks(lake, waiting, key_field=mapping.task.key, outcome_field=outcome.field if outcome else None)
    for task in sorted(found, key=lambda one: one.closed_at):
        _record(ledger, waiting[task.key], task, _meant(outcome, task, unknown), now)
    return [
        BadInput(
            f"{count} closed tasks with an outcome that the mapping does not know; they count as the first contact alone",
            file=settings.write_back,
            field=f"task_outcome.values ({field})",
            remedy="add what stands there to the values",
        )
        for field, count in unknown.items()
    ]


def _meant(outcome: TaskOutcome | None, task: ClosedTask, unknown: Counter[str]) -> str | None:
    if outcome is None or not task.outcome:
        return None
    meant = outcome.values.get(task.outcome)
    if meant is None:
        unknown[outcome.field] += 1
    return meant


def _record(ledger: Ledger, row: dict[str, Any], task: ClosedTask, outcome: str | None, now: dt.datetime) -> None:
    """In one transaction what one task says: perhaps both the contact and the end."""
    key, by = row["invitation_id"], task.owner_id or "the CRM"
    with ledger.write() as conn:
        stands = followups.held(conn, key)
        if stands["status"] == followups.CLOSED or followups.reopened_after(conn, key, task.closed_at):
            return
        at = min(max(task.closed_at, stands["opened_at"]), now)
        if stands["first_contact_at"] is None and outcome != NO_RESPONSE:
            followups.first_contact(conn, key, at=at, by=by, note=NOTE, now=now)
        if outcome is not None:
            started = followups.held(conn, key)["first_contact_at"]
            at = max(at, started) if started else at
            followups.log_outcome(conn, key, outcome, at=at, by=by, note=NOTE, now=now)
