"""What an unhappy answer sets in motion: who takes it, until when, the alert mail and the task, each exactly once."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from closedloop.errors import BadInput
from closedloop.ledger import Ledger, followups
from closedloop.programme import Survey
from closedloop.programme.definitions import FollowUp
from closedloop.settings import Settings

WARN_HOURS = 8
"""A warning goes out when the first contact is due within so many hours."""
LATE_HOURS = 24
"""It still goes out when the platform slept, up to so many hours after the due time; later it would help nobody."""


@dataclass(frozen=True)
class FollowUpReport:
    """What one run opened."""

    opened: int = 0


@dataclass(frozen=True)
class Assignee:
    """Who follows up, and by which rule."""

    person_id: str | None
    name: str
    email: str
    rule: str


def run_follow_up(
    ledger: Ledger,
    settings: Settings,
    surveys: Iterable[Survey],
    *,
    now: dt.datetime,
    confirmed: Iterable[str] = (),
) -> FollowUpReport:
    """Open the follow-up of each human detractor that has none: its row with due times, a task, and an alert mail
    that the sender takes from the ledger.

    Rules are those of the survey as it was when the invitation was planned (`surveys` only where a message has none).
    `confirmed` names further invitations whose provisional answer the warehouse has confirmed since. Run it as often
    as you like, by several at once: each action is planned once. Imported answers are not in the ledger and never
    alert.
    """
    known = {survey.id: survey for survey in surveys}
    names = list(confirmed)
    opened = 0
    while due := followups.due_followups(ledger, confirmed=names):
        done = sum(_open(ledger, settings, known, row, now) for row in due)
        opened += done
        if not done:  # another process took them all, and will go on
            break
    return FollowUpReport(opened=opened)


def warn_sla(
    ledger: Ledger,
    settings: Settings,
    *,
    now: dt.datetime,
    within_hours: int = WARN_HOURS,
    late_hours: int = LATE_HOURS,
) -> int:
    """Plan one warning mail per follow-up whose first contact is due within `within_hours` and has not happened.

    Returns how many were planned. They go to the assignee with the manager in copy.
    """
    before, after = now + dt.timedelta(hours=within_hours), now - dt.timedelta(hours=late_hours)
    planned = 0
    while rows := followups.unwarned(ledger, before=before, after=after):
        done = sum(followups.plan_warning(ledger, row, alert=_warning(row, settings, now), now=now) for row in rows)
        planned += done
        if not done:
            break
    return planned


def assign(rules: FollowUp, score: int, payload: Mapping[str, Any], settings: Settings) -> Assignee:
    """The manager up to the survey's score, else the role that the survey names; whoever is missing, or has no address
    that mail can be sent to, is stood in for by owner, manager, operator, in that order, and the rule says so
    ('fallback_...')."""
    wanted = "manager" if score <= rules.manager_up_to_score else rules.assignment
    order = dict.fromkeys((wanted, "account_owner", "manager"))
    for role in order:
        prefix = _PREFIX[role]
        if _is_usable(email := payload.get(f"{prefix}_email")):
            rule = role if role == wanted else f"fallback_{role}"
            return Assignee(payload.get(f"{prefix}_id"), payload.get(f"{prefix}_name") or "", email, rule)
    return Assignee(None, "", settings.operator_address, "fallback_operator")


_PREFIX = {"account_owner": "owner", "customer_success_manager": "csm", "manager": "manager"}


def task_title(payload: Mapping[str, Any]) -> str:
    """The title of the task, in the words of the document that asks for it."""
    return f"Follow up on detractor NPS response from {_contact(payload)} at {_account(payload)}"


def _open(
    ledger: Ledger, settings: Settings, surveys: Mapping[str, Survey], row: Mapping[str, Any], now: dt.datetime
) -> bool:
    payload, score = row["payload"], row["score"]
    rules = _rules(payload, surveys.get(row["survey_id"]))
    assignee = assign(rules, score, payload, settings)
    given = row["scored_at"]
    followup = {
        **{name: row[name] for name in ("invitation_id", "survey_id", "contact_id", "account_id")},
        "score": score,
        "assignee_id": assignee.person_id,
        "assignment_rule": assignee.rule,
        "opened_at": given,
        "acknowledge_due_at": given + dt.timedelta(hours=rules.acknowledge_hours),
        "due_at": given + dt.timedelta(hours=rules.sla_hours),
        "sla_hours": rules.sla_hours,
    }
    copies = _manager_copy(payload, assignee.email) if score <= rules.copy_manager_up_to_score else []
    facts = _facts(row, followup, assignee, copies)
    task = {
        "subject": task_title(payload),
        "priority": "high",
        "assignee_id": assignee.person_id,
        "assignee_email": assignee.email,
        "due_at": followup["due_at"].isoformat(),
        "score": score,
    }
    return followups.open_followup(ledger, followup, alert=_alert(row, "alert", 0, facts, now), task=task, now=now)


def _rules(payload: Mapping[str, Any], survey: Survey | None) -> FollowUp:
    if given := (payload.get("definition") or {}).get("follow_up"):
        return FollowUp.model_validate(given, extra="ignore")  # it was stored; later versions may have dropped a field
    return survey.follow_up if survey is not None else FollowUp()


def _facts(
    row: Mapping[str, Any], followup: Mapping[str, Any], assignee: Assignee, copies: list[str]
) -> dict[str, Any]:
    """The payload of an alert: all that its rendering shows."""
    payload = row["payload"]
    definition = payload.get("definition") or {}
    return {
        "email": assignee.email,
        "cc": copies,
        "assignee_name": assignee.name,
        "assignment_rule": assignee.rule,
        "score": row["score"],
        "comment": row.get("comment"),
        "contact_name": _contact(payload),
        "contact_email": payload.get("email"),
        "account_name": _account(payload),
        "survey_name": definition.get("name") or row["survey_id"],
        "company": payload.get("company") or "",
        "answered_at": followup["opened_at"].isoformat(),
        "acknowledge_due_at": followup["acknowledge_due_at"].isoformat(),
        "due_at": followup["due_at"].isoformat(),
    }


def _warning(row: Mapping[str, Any], settings: Settings, now: dt.datetime) -> dict[str, Any]:
    payload = row["payload"]
    assignee = _same_assignee(row, payload, settings)
    facts = _facts(row, row, assignee, _manager_copy(payload, assignee.email))
    return _alert(row, "sla_warning", 1, {**facts, "notice": "sla_warning"}, now)


def _same_assignee(row: Mapping[str, Any], payload: Mapping[str, Any], settings: Settings) -> Assignee:
    """The assignee as recorded when the follow-up was opened."""
    rule = row["assignment_rule"]
    prefix = _PREFIX.get(rule.removeprefix("fallback_"))
    if prefix and (email := payload.get(f"{prefix}_email")):
        return Assignee(row["assignee_id"], payload.get(f"{prefix}_name") or "", email, rule)
    return Assignee(row["assignee_id"], "", settings.operator_address, rule)


def _alert(
    row: Mapping[str, Any], action: str, sequence: int, facts: dict[str, Any], now: dt.datetime
) -> dict[str, Any]:
    key = f"{row['invitation_id']}|{action}"
    return {
        "message_id": hashlib.md5(key.encode()).hexdigest(),
        **{name: row[name] for name in ("invitation_id", "survey_id", "wave_id", "contact_id", "account_id")},
        "kind": "alert",
        "sequence": sequence,
        "payload": facts,
        "planned_at": now,
    }


def _manager_copy(payload: Mapping[str, Any], to: str) -> list[str]:
    manager = payload.get("manager_email")
    return [manager] if _is_usable(manager) and manager.lower() != to.lower() else []


def _is_usable(email: str | None) -> bool:
    """Whether mail can be sent there: an address that is misspelt in the CRM must not cost the whole alert."""
    from dispatch.rendering.headers import address

    try:
        return bool(email and address(email, "To"))
    except BadInput:
        return False


def _contact(payload: Mapping[str, Any]) -> str:
    parts = (payload.get("first_name"), payload.get("last_name"))
    name = payload.get("contact_name") or " ".join(part for part in parts if part)
    return str(name).strip() or "a contact"


def _account(payload: Mapping[str, Any]) -> str:
    return payload.get("account_name") or "an unknown account"
