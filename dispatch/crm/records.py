"""Actions of the ledger as records of the CRM. What a contact or an account is now is read from the ledger when it is written,
so an answer that comes late never puts a newer one back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from closedloop.clock import parse_time
from closedloop.ledger.actions import RECORD, kind_of
from closedloop.ledger.standing import Standing
from dispatch.crm.mapping import OutRecord, WriteBack
from dispatch.crm.sink import Record

NOTHING_TO_WRITE = "the mapping leaves it out"


def records_of(action: Mapping[str, Any], mapping: WriteBack, standing: Standing) -> list[Record]:
    """What one action (a row of the ledger, `payload` parsed) writes; empty when the mapping leaves all of it out."""
    return [record for kind, values in _kinds(action, standing) for record in _mapped(mapping, kind, values)]


def _kinds(action: Mapping[str, Any], standing: Standing) -> Iterator[tuple[str, dict[str, Any]]]:
    payload, kind = dict(action["payload"]), kind_of(action["action"])
    about = payload | {"id": f"{action['invitation_id']}:{action['action']}"}
    if kind == RECORD:
        yield "answer", about | {"id": action["invitation_id"], "answers": json.dumps(payload.get("answers") or {})}
        yield from _contact_and_account(action, standing)
        yield "cause", payload | {"record_id": payload.get("trigger_record_id")}
    elif kind == "health":
        yield "account", standing.account(action["account_id"])
    elif kind in ("advocate", "opt_out"):
        yield "contact", standing.contact(action["contact_id"])
    elif kind == "task":
        yield "task", about | {"due_on": _day(payload.get("due_at"))}
    elif kind == "case" and payload.get("reopen_case_id"):
        yield "reopened_case", payload | {"record_id": payload["reopen_case_id"]}
    elif kind == "case":
        yield "case", about
    elif kind == "timeline":
        yield "timeline", about | {"answered_on": _day(payload.get("answered_at"))}
    elif kind == "notify":
        yield "notification", about


def _contact_and_account(action: Mapping[str, Any], standing: Standing) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "contact", standing.contact(action["contact_id"])
    if action["account_id"]:
        yield "account", standing.account(action["account_id"])


_KEY = {
    "contact": "contact_id",
    "account": "account_id",
    "cause": "record_id",
    "reopened_case": "record_id",
}
"""The value that names a record of each kind; `id`, our own, for all others."""


def _mapped(mapping: WriteBack, kind: str, values: Mapping[str, Any]) -> Iterator[Record]:
    part = getattr(mapping, kind)
    if kind == "cause":
        part = part.get(values.get("trigger_event"))
    key_value = values.get(_KEY.get(kind, "id"))
    if part is None or not key_value:
        return
    yield _record(kind, part, str(key_value), values)


def _record(kind: str, part: OutRecord, key_value: str, values: Mapping[str, Any]) -> Record:
    return Record(
        kind, part.object, part.key, key_value, {name: field.of(values) for name, field in part.fields.items()}
    )


def _day(time: str | None) -> str:
    return parse_time(time).date().isoformat() if time else ""
