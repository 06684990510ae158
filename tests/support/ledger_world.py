"""Planned invitations for tests, made by the ledger's own operations."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

from closedloop.identity import candidate_id, person_key
from closedloop.ledger import Ledger, builds, planning
from closedloop.programme import Survey

NOW = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
_serial = itertools.count(1)


def survey(**over: Any) -> Survey:
    facts: dict[str, Any] = {
        "id": "post-close",
        "name": "Post-Close",
        "type": "transactional",
        "status": "active",
        "company": "Northwind Cloud",
        "triggers": [{"event": "deal_won", "delay_days": 3}],
        "follow_up": {"manager_up_to_score": 3},
    }
    return Survey.model_validate({**facts, **over})


def candidate(name: str, *, programme: Survey | None = None, now: dt.datetime = NOW, **over: Any) -> dict[str, Any]:
    """A decision and a message in one dict; `over` replaces columns, `payload` adds to the payload."""
    programme = programme or survey()
    email = over.pop("email", f"{name}@customer.example")
    key = candidate_id(programme.id, name, "deal_won", f"deal-{name}")
    payload = {
        "email": email,
        "first_name": "Ada",
        "last_name": name.title(),
        "contact_name": f"Ada {name.title()}",
        "account_name": "Acme",
        "company": programme.company,
        "survey_type": programme.type,
        "trigger_event": "deal_won",
        "trigger_record_id": f"deal-{name}",
        "owner_id": "U1",
        "owner_name": "Olga Owner",
        "owner_email": "olga@closedloop.example",
        "manager_id": "U2",
        "manager_name": "Max Manager",
        "manager_email": "max@closedloop.example",
        "csm_id": "U3",
        "csm_name": "Cleo Success",
        "csm_email": "cleo@closedloop.example",
        "definition": programme.model_dump(mode="json"),
        **over.pop("payload", {}),
    }
    return {
        "candidate_id": key,
        "message_id": key,
        "invitation_id": key,
        "contact_id": name,
        "account_id": "acme",
        "person_key": person_key(email),
        "survey_id": programme.id,
        "wave_id": f"{programme.id}:{now:%Y-%m-%d}",
        "trigger_event": "deal_won",
        "trigger_record_id": f"deal-{name}",
        "due_at": now,
        "decision": "ask",
        "deciding_rule": "passed",
        "all_failed_rules": [],
        "decided_as_of": now,
        "kind": "invitation",
        "sequence": 0,
        "payload": payload,
        "planned_at": now,
        "expires_at": now + dt.timedelta(days=14),
        "link_expires_at": now + dt.timedelta(days=60),
        "cooldown_days": programme.cooldown.days,
        **over,
    }


def publish(ledger: Ledger, *, now: dt.datetime = NOW) -> str:
    """A recorded publication of a build that passed its checks."""
    build_id = f"build-{next(_serial)}"
    facts = {"as_of": now, "known_at": now, "definitions_hash": "d", "code_version": "c"}
    predecessor = planning.last_evaluation(ledger)
    builds.start_build(ledger, build_id=build_id, predecessor_id=predecessor, cut={"crm.account": 1}, now=now, **facts)
    check = {"name": "rows", "gate": "arrived", "required": True, "passed": True, "details": {"rows": 3}}
    builds.record_checks(ledger, build_id, [check], now=now)
    builds.record_publication(
        ledger, publication_id=build_id, build_id=build_id, checks_passed=1, published_at=now, **facts
    )
    return build_id


def seal_arguments(publication_id: str, predecessor_id: str, rows: list[dict[str, Any]], now: dt.datetime = NOW):
    return {
        "evaluation_id": publication_id,
        "predecessor_id": predecessor_id,
        "publication_id": publication_id,
        "as_of": now,
        "known_at": now,
        "definitions_hash": "d",
        "asks": sum(row["decision"] == "ask" for row in rows),
        "skips": sum(row["decision"] == "skip" for row in rows),
        "now": now,
    }


def plan(ledger: Ledger, rows: list[dict[str, Any]], *, now: dt.datetime = NOW) -> list[str]:
    """Publish, stage and seal; returns the ids of the invitations."""
    publication_id = publish(ledger, now=now)
    predecessor = planning.last_evaluation(ledger)
    asks = [row for row in rows if row["decision"] == "ask"]
    planning.stage(ledger, publication_id, rows, asks)
    planning.seal(ledger, **seal_arguments(publication_id, predecessor, rows, now))
    return [row["message_id"] for row in asks]
