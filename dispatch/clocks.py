"""Before the SLA of a follow-up breaks, the one who follows up is warned; when it does, the manager is told. Once each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from closedloop.ledger import Ledger, followups
from closedloop.ledger.actions import MAIL, Action, message_for
from closedloop.programme import Survey
from closedloop.settings import Settings
from dispatch.assigning import Assignee, is_usable
from dispatch.followup import same_assignee, survey_of
from dispatch.knowledge import Knowledge, NothingKnown
from dispatch.workflows import Answered, alert_facts, manager_copy

SLA_WARNING, ESCALATION = "sla_warning", "escalation"
LONGEST_WARNING = 500
"""Hours: the longest `warn_hours` of a programme."""
LATE_HOURS = 24
"""They still go out when the platform slept, up to so many hours after the due time; later they would help nobody."""


@dataclass(frozen=True)
class Called:
    """A follow-up whose time runs out, or has."""

    row: Mapping[str, Any]
    action: str


def running_out(ledger: Ledger, surveys: Iterable[Survey], *, now: dt.datetime) -> list[Called]:
    """The follow-ups that a warning or an escalation is due for and not planned. It only reads."""
    known = {survey.id: survey for survey in surveys}
    late = now - dt.timedelta(hours=LATE_HOURS)
    soon = followups.without_action(
        ledger, SLA_WARNING, due_before=now + dt.timedelta(hours=LONGEST_WARNING), due_after=now
    )
    # One that was never warned of because the platform slept is escalated at once.
    broken = followups.without_action(ledger, ESCALATION, due_before=now, due_after=late)
    found = []
    for row in soon:
        rules = survey_of(row, known).follow_up
        if rules.warn_hours and row["due_at"] <= now + dt.timedelta(hours=rules.warn_hours):
            found.append(Called(row, SLA_WARNING))
    for row in broken:
        if survey_of(row, known).follow_up.escalate:
            found.append(Called(row, ESCALATION))
    return found


def watch_clocks(
    ledger: Ledger,
    settings: Settings,
    surveys: Iterable[Survey],
    *,
    now: dt.datetime,
    knowledge: Knowledge | None = None,
) -> dict[str, int]:
    """Plan the warnings and escalations that are due; returns how many of each.

    A warning goes to the one who follows up with the manager in copy, an escalation to the manager with the other in copy.
    """
    knowledge = knowledge or NothingKnown()
    known = {survey.id: survey for survey in surveys}
    planned = {SLA_WARNING: 0, ESCALATION: 0}
    for called in running_out(ledger, known.values(), now=now):
        row = called.row
        facts = _facts(row, survey_of(row, known), called.action, settings, knowledge)
        action = Action(called.action, MAIL, message=message_for(row, called.action, "alert", facts, now=now))
        planned[called.action] += followups.plan_for(ledger, row, action, now=now)
    return planned


def _facts(
    row: Mapping[str, Any], survey: Survey, notice: str, settings: Settings, knowledge: Knowledge
) -> dict[str, Any]:
    payload, assignee = row["payload"], same_assignee(row, settings)
    who, copies = assignee, manager_copy(payload, assignee.email)
    manager = payload.get("manager_email")
    if notice == ESCALATION and is_usable(manager) and manager.lower() != assignee.email.lower():
        who = Assignee(payload.get("manager_id"), payload.get("manager_name") or "", manager, "manager")
        copies = [assignee.email]
    answer = {**row, "scored_at": row["opened_at"]}
    known = knowledge.of(row["contact_id"], row["account_id"])
    answered = Answered(answer, survey, known, assignee, row["acknowledge_due_at"], row["due_at"])
    return {**alert_facts(answered, who, copies), "assignee_name": assignee.name, "notice": notice}
