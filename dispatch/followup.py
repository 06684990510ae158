"""What an answer sets in motion: who takes care of it, until when, and every action of its workflows, each exactly once."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Connection

from closedloop.ledger import Ledger, followups
from closedloop.ledger.followups import Work
from closedloop.ledger.teams import take_turn
from closedloop.programme import Survey, stored_survey
from closedloop.programme.definitions import FollowUp
from closedloop.programme.hours import after_open_hours
from closedloop.programme.rules import DETRACTOR_MAX
from closedloop.settings import Settings
from dispatch.assigning import Assignee, assign, staff_now
from dispatch.knowledge import Knowledge, NothingKnown
from dispatch.workflows import Answered, actions_of


@dataclass
class FollowUpReport:
    """What one run did: answers that the workflows saw, follow-ups opened, and actions planned, by name."""

    answers: int = 0
    opened: int = 0
    planned: dict[str, int] = field(default_factory=dict)


def run_follow_up(
    ledger: Ledger,
    settings: Settings,
    surveys: Iterable[Survey],
    *,
    now: dt.datetime,
    confirmed: Iterable[str] = (),
    knowledge: Knowledge | None = None,
) -> FollowUpReport:
    """Let the workflows see each answer that a person gave, and each newer version of it: a follow-up for a detractor, and
    the actions that the survey's workflows name.

    Rules are those of the survey as it was when the invitation was planned (`surveys` only where a message has none).
    `confirmed` names further invitations whose provisional answer the warehouse has confirmed since. Run it as often
    as you like, by several at once: each action is planned once. Imported answers are not in the ledger and never
    alert.
    """
    known = {survey.id: survey for survey in surveys}
    knowledge = knowledge or NothingKnown()
    names = list(confirmed)
    report, planned, after = FollowUpReport(), Counter[str](), None
    while rows := followups.unworked(ledger, confirmed=names, after=after):
        for row in rows:
            plan = partial(_plan, settings, known, knowledge, row, now)
            if worked := followups.work_on(ledger, row, plan, now=now):
                report.answers += 1
                report.opened += worked.opened
                planned.update(worked.planned)
        after = (rows[-1]["scored_at"], rows[-1]["invitation_id"])
    report.planned = dict(sorted(planned.items()))
    return report


def survey_of(row: Mapping[str, Any], surveys: Mapping[str, Survey]) -> Survey:
    """The survey as it was when this invitation was planned; where the message does not tell, as it is."""
    definition = row["payload"].get("definition")
    if definition and "id" in definition:
        return stored_survey(definition)
    return surveys[row["survey_id"]]


def _plan(
    settings: Settings,
    surveys: Mapping[str, Survey],
    knowledge: Knowledge,
    row: Mapping[str, Any],
    now: dt.datetime,
    conn: Connection,
    is_open: bool,
) -> Work:
    """What follows one answer. `is_open`: a follow-up was opened for an earlier version of it."""
    survey = survey_of(row, surveys)
    rules, score, given = survey.follow_up, row["score"], row["scored_at"]
    followup, assignee = None, None
    acknowledge_due_at, due_at = clocks(rules, given)
    if score <= DETRACTOR_MAX:
        if is_open:
            assignee = same_assignee(followups.held(conn, row["invitation_id"]), settings)
        else:
            turn = partial(take_turn, conn, row["survey_id"], now=now)
            staff = staff_now(conn, row["payload"], knowledge.left, now)
            assignee = assign(rules, score, row["payload"], settings, staff=staff, take_turn=turn)
            followup = {
                **{name: row[name] for name in ("invitation_id", "survey_id", "contact_id", "account_id")},
                "score": score,
                "assignee_id": assignee.person_id,
                "assignee_name": assignee.name,
                "assignee_email": assignee.email,
                "assignment_rule": assignee.rule,
                "passed_over": assignee.passed_over,
                "opened_at": given,
                "acknowledge_due_at": acknowledge_due_at,
                "due_at": due_at,
                "sla_hours": rules.sla_hours,
            }
    known = knowledge.of(row["contact_id"], row["account_id"])
    answered = Answered(row, survey, known, assignee, acknowledge_due_at, due_at if assignee else None)
    return Work(followup, tuple(actions_of(answered, settings, now=now)))


def clocks(rules: FollowUp, given: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """When an answer is to be acknowledged, and when the SLA is broken, in UTC."""
    hours = rules.working_hours
    try:
        return (
            after_open_hours(hours, given, rules.acknowledge_hours),
            after_open_hours(hours, given, rules.sla_hours),
        )
    except ValueError:  # holidays without an end: a promise in calendar hours is better than none
        return after_open_hours(None, given, rules.acknowledge_hours), after_open_hours(None, given, rules.sla_hours)


def same_assignee(followup: Mapping[str, Any], settings: Settings) -> Assignee:
    """Who follows up now, as the ledger has it."""
    email = followup["assignee_email"] or settings.operator_address
    return Assignee(followup["assignee_id"], followup["assignee_name"] or "", email, followup["assignment_rule"])
