"""A company small enough to be reckoned by hand: who is asked, who isn't, and what the answers say."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path

from closedloop.programme import load_surveys

# Naive UTC, as DuckDB keeps times.
AS_OF = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC).replace(tzinfo=None)
LEARNED = dt.datetime(2025, 6, 1, tzinfo=dt.UTC).replace(tzinfo=None)
SURVEYS = Path(__file__).resolve().parents[3] / "surveys"


def key(email: str) -> str:
    return hashlib.sha256(email.encode()).hexdigest()


def crm(record: str, changed: str = "2025-01-01T00:00:00Z", op: str = "upsert", **columns: object) -> dict[str, object]:
    return {
        "Id": record,
        "CreatedDate": "2025-01-01T00:00:00Z",
        "SystemModstamp": changed,
        "IsDeleted": "false",
        "_op": op,
        "_row_hash": hashlib.md5(f"{record}{changed}{op}".encode()).hexdigest(),
        "_exported_at": LEARNED,
        "_ingested_at": LEARNED,
        **columns,
    }


def contact(record: str, account: str, **columns: object) -> dict[str, object]:
    defaults: dict[str, object] = {
        "AccountId": account,
        "FirstName": record,
        "LastName": "Example",
        "Email": f"{record}@{account}.example",
        "Role__c": "User",
        "IsPrimary__c": "false",
        "HasOptedOutOfEmail": "false",
    }
    # Created late in the quarter, so that the quarterly schedule stays out of the way of the other cases.
    return crm(record, **{**defaults, "CreatedDate": "2026-02-01T00:00:00Z", **columns})


def deal(record: str, account: str, closed: str = "2026-02-26") -> dict[str, object]:
    return crm(
        record, AccountId=account, Name=record, IsWon="true", IsClosed="true", CloseDate=closed, Product2Id__c="p1"
    )


def case(record: str, account: str, person: str, closed: str = "2026-02-28T10:00:00Z") -> dict[str, object]:
    return crm(record, AccountId=account, ContactId=person, IsClosed="true", ClosedDate=closed, Status="Closed")


class Ledger:
    """Rows as the ledger's export brings them."""

    def __init__(self) -> None:
        self.evaluations: list[dict[str, object]] = []
        self.decisions: list[dict[str, object]] = []
        self.events: list[dict[str, object]] = []

    def ask(self, invitation: str, person: str, account: str, at: dt.datetime, survey: str = "support") -> str:
        evaluation = f"e-{invitation}"
        self.evaluations.append({
            "evaluation_id": evaluation, "predecessor_id": f"before-{invitation}", "publication_id": "p", "as_of": at,
            "known_at": at, "definitions_hash": "d", "asks": 1, "skips": 0, "sealed_at": at, "_ingested_at": at,
        })  # fmt: skip
        self.decisions.append({
            "candidate_id": invitation, "evaluation_id": evaluation, "contact_id": person, "account_id": account,
            "person_key": key(f"{person}@{account}.example"), "survey_id": survey, "wave_id": f"{survey}:{at.date()}",
            "trigger_event": "ticket_resolved", "trigger_record_id": f"case-{invitation}", "due_at": at,
            "decision": "ask", "deciding_rule": "passed", "all_failed_rules": "[]", "decided_as_of": at,
            "_ingested_at": at,
        })  # fmt: skip
        return invitation

    def event(self, kind: str, at: dt.datetime, invitation: str | None = None, **payload: object) -> None:
        self.events.append({
            "seq": len(self.events) + 1, "kind": kind, "invitation_id": invitation, "occurred_at": at,
            "recorded_at": at, "payload": json.dumps(payload), "_ingested_at": at,
        })  # fmt: skip


def definitions() -> list[dict[str, object]]:
    return [
        {
            "survey_id": survey.id,
            "definition_hash": survey.definition_hash,
            "definition": survey.definition,
            "status": survey.status,
            "_batch_id": "b",
            "_ingested_at": LEARNED,
        }
        for survey in load_surveys(SURVEYS)
    ]


def imported(external: str, score: str, at: dt.datetime, **columns: object) -> dict[str, object]:
    return {
        "external_id": external, "survey": "Old tool", "survey_type": "relationship", "contact_id": "", "score": score,
        "contact_email": f"{external}@elsewhere.example", "account_id": "", "comment": "", "channel": "web",
        "submitted_at": at, "scale": "0-10", "attributes": "{}", "content_hash": score, "source_file": "old.csv",
        "source_line": 2, "_ingested_at": at, **columns,
    }  # fmt: skip


def rows() -> dict[str, list[dict[str, object]]]:
    """The lake of the company."""
    day = dt.timedelta(days=1)
    ledger = Ledger()
    ledger.ask("i1", "asked", "a2", AS_OF - 30 * day)
    ledger.event("sent", AS_OF - 30 * day, "i1", message_kind="invitation")
    ledger.event("opened", AS_OF - 29 * day, "i1")
    ledger.event("answered", AS_OF - 29 * day, "i1", score=3, comment="slow support", judged="human", channel="email", visible_ms=0, version=1, completed=True)  # fmt: skip
    ledger.event("followup_opened", AS_OF - 29 * day, "i1", score=3, assignee_id="u1", assignment_rule="account_owner", acknowledge_due_at=(AS_OF - 28 * day).isoformat() + "Z", due_at=(AS_OF - 27 * day).isoformat() + "Z", sla_hours=48)  # fmt: skip
    ledger.event("first_contact", AS_OF - 28 * day, "i1", by="u1")
    ledger.event("excluded", AS_OF - 5 * day, None, subject="account", subject_id="a3", reason="in court", author="x", until=None)  # fmt: skip
    return {
        "crm.account": [
            crm("a1", Name="One", Type="Customer", Tier__c="Enterprise", Region__c="EMEA", OwnerId="u1"),
            crm("a2", Name="Two", Type="Customer", Tier__c="SMB", Region__c="EMEA", OwnerId="u1"),
            crm("a2", "2026-02-15T00:00:00Z", Name="Two", Type="Customer", Tier__c="SMB", OwnerId="u2"),
            crm("a3", Name="Three", Type="Customer", Tier__c="SMB", OwnerId="u2"),
        ],
        "crm.contact": [
            contact("first", "a1"),
            contact("primary", "a1", IsPrimary__c="true"),
            contact("asked", "a2"),
            contact("optout", "a2", HasOptedOutOfEmail="true"),
            contact("court", "a3"),
            contact("fresh", "a2"),
        ],
        "crm.user": [crm("u1", Name="Owner One", Team__c="North"), crm("u2", Name="Owner Two", Team__c="South")],
        "crm.opportunity": [deal("o1", "a1")],
        "crm.product": [crm("p1", Name="Widget")],
        "crm.case": [
            case("c1", "a2", "asked"),
            case("c2", "a2", "optout"),
            case("c3", "a3", "court"),
            case("c4", "a2", "fresh"),
            case("c5", "a2", "fresh", "2026-02-27T10:00:00Z"),
        ],
        "responses.imported": [
            imported("x1", "10", AS_OF - 100 * day, attributes='{"campaign": "spring"}'),
            imported("x2", "7", AS_OF - 100 * day, attributes='{"campaign": ""}'),
            imported("x3", "", AS_OF - 100 * day),
        ],
        "definitions.surveys": definitions(),
        "ledger.evaluations": ledger.evaluations,
        "ledger.decisions": ledger.decisions,
        "ledger.events": ledger.events,
    }
