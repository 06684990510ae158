"""Who follows up: the survey's rule, and who stands in where that person is missing, has left or is away."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from closedloop.errors import BadInput
from closedloop.ledger import teams
from closedloop.programme.definitions import FollowUp
from closedloop.settings import Settings

PREFIX = {"account_owner": "owner", "customer_success_manager": "csm", "manager": "manager"}
"""How the payload of an invitation calls the one in a role."""
ROUND_ROBIN = "round_robin"


@dataclass(frozen=True)
class Assignee:
    """Who follows up, and by which rule; `passed_over` says why others do not ('missing', 'left', 'away')."""

    person_id: str | None
    name: str
    email: str
    rule: str
    passed_over: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Staff:
    """What is known of colleagues now: users who have left, addresses (lower case) of those who are away."""

    left: frozenset[str] = frozenset()
    away: frozenset[str] = frozenset()

    def why_not(self, person_id: str | None, email: str | None) -> str | None:
        """Why this person cannot follow up, or None."""
        if not is_usable(email):  # an address that is misspelt in the CRM must not cost the whole alert
            return "missing"
        if person_id in self.left:
            return "left"
        return "away" if (email or "").lower() in self.away else None


def staff_now(conn: Connection, payload: Mapping[str, Any], left: frozenset[str], now: dt.datetime) -> Staff:
    """Who of the people that an invitation names has left or is away."""
    emails = [payload.get(f"{prefix}_email") for prefix in PREFIX.values()]
    return Staff(left, frozenset(teams.absent(conn, [email for email in emails if email], now=now)))


def assign(
    rules: FollowUp,
    score: int,
    payload: Mapping[str, Any],
    settings: Settings,
    *,
    staff: Staff | None = None,
    take_turn: Callable[[Sequence[str]], str | None] | None = None,
) -> Assignee:
    """The manager up to the survey's score, else who the survey names: a role, or the next of its team (`take_turn` gives the
    address, or None when all are away).

    Whoever is missing, cannot be mailed to, has left or is away is stood in for by owner, manager, operator, in that order,
    and the rule says so ('fallback_...').
    """
    staff = staff or Staff()
    wanted = "manager" if score <= rules.manager_up_to_score else rules.assignment
    passed: dict[str, str] = {}
    for role in dict.fromkeys((wanted, "account_owner", "manager")):
        if role == ROUND_ROBIN:
            found = _next_of(rules, take_turn)
        else:
            found = _in_role(role, payload)
            if why := staff.why_not(found.person_id, found.email):
                passed[role] = why
                continue
        if found is None:
            passed[role] = "away"
            continue
        rule = role if role == wanted else f"fallback_{role}"
        return Assignee(found.person_id, found.name, found.email, rule, passed)
    return Assignee(None, "", settings.operator_address, "fallback_operator", passed)


def in_role(role: str, payload: Mapping[str, Any], assignee: Assignee | None, settings: Settings) -> Assignee:
    """Who an action of this role is for. `assignee` is who follows up, where somebody does; the owner, the manager and the
    operator stand in for whoever is missing."""
    if role == "assignee":
        if assignee is not None:
            return assignee
        role = "account_owner"
    for one in dict.fromkeys((role, "account_owner", "manager")):
        found = _in_role(one, payload)
        if is_usable(found.email):
            return found
    return Assignee(None, "", settings.operator_address, "fallback_operator")


def is_usable(email: str | None) -> bool:
    """Whether mail can be sent there."""
    from dispatch.rendering.headers import address

    try:
        return bool(email and address(email, "To"))
    except BadInput:
        return False


def _in_role(role: str, payload: Mapping[str, Any]) -> Assignee:
    prefix = PREFIX[role]
    email = str(payload.get(f"{prefix}_email") or "")
    return Assignee(payload.get(f"{prefix}_id"), payload.get(f"{prefix}_name") or "", email, role)


def _next_of(rules: FollowUp, take_turn: Callable[[Sequence[str]], str | None] | None) -> Assignee | None:
    chosen = take_turn([member.email for member in rules.team]) if take_turn else None
    member = next((one for one in rules.team if one.email == chosen), None)
    return Assignee(member.id, member.name, member.email, ROUND_ROBIN) if member else None
