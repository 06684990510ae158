"""What mail providers and mail servers report about our mails, each report once, in one vocabulary.

The report itself is kept as it came. What is understood, and is about a message of ours, becomes an event. A hard bounce or a
complaint suppresses the address, for good; a soft bounce does not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, select

from closedloop.ledger.answers import unsubscribe
from closedloop.ledger.engine import serialise
from closedloop.ledger.lists import suppress
from closedloop.ledger.messages import ABOUT, visible
from closedloop.ledger.rows import add_events, event, to_json
from closedloop.ledger.schema import messages, provider_events

KINDS = frozenset({"delivered", "deferred", "bounced", "complained", "opened", "clicked", "unsubscribed", "unknown"})
_EVENTS = frozenset({"delivered", "bounced", "complained", "opened", "clicked"})


@dataclass(frozen=True, slots=True)
class Report:
    """One thing that a provider says about one message.

    `external_id` is the provider's own id of it, by which it counts once. `message_id` is ours, None where the report does not
    name one. `hard` says of a bounce that the address will never take mail; `machine` of an open or click that no person did it.
    """

    provider: str
    external_id: str
    kind: str
    occurred_at: dt.datetime
    message_id: str | None = None
    hard: bool = False
    machine: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


def record_report(conn: Connection, report: Report, *, now: dt.datetime) -> bool:
    """Keep a report, and write what it means; False when it was here before. A time in the future is taken as now."""
    serialise(conn, "reports")
    same = (provider_events.c.provider == report.provider) & (provider_events.c.external_id == report.external_id[:255])
    if conn.execute(select(provider_events.c.kind).where(same)).first():
        return False
    at = min(report.occurred_at, now)
    found = _message(conn, report.message_id)
    conn.execute(
        insert(provider_events),
        {
            "provider": report.provider,
            "external_id": report.external_id[:255],
            "kind": report.kind if report.kind in KINDS else "unknown",
            "message_id": found["message_id"] if found else None,
            "payload": to_json(dict(report.raw)),
            "occurred_at": at,
            "received_at": now,
        },
    )
    if found is None:
        return True
    if report.kind in _EVENTS:
        details: dict[str, Any] = {"provider": report.provider}
        if report.kind == "bounced":
            details["hard"] = report.hard
        if report.machine:
            details["machine"] = True
        if report.kind == "clicked":
            details["score"] = None  # which link it was only the collector knows
        add_events(conn, [event(report.kind, found, at=at, now=now, message_kind=found["kind"], **details)])
    if found["kind"] == "alert":  # a colleague's mailbox: no customer's address
        return True
    if report.kind == "unsubscribed" and found["invitation_id"]:
        unsubscribe(conn, found["invitation_id"], at=at, now=now)
    elif report.kind == "complained" or (report.kind == "bounced" and report.hard):
        keys = [found["person_key"]] if found["person_key"] else []
        suppress(conn, keys, report.kind, now=now)
    return True


def _message(conn: Connection, message_id: str | None) -> Mapping[str, Any] | None:
    if not message_id:
        return None
    found = select(*ABOUT, messages.c.person_key).where(messages.c.message_id == message_id[:64], visible())
    return conn.execute(found).mappings().first()
