"""Who must not be asked: addresses that are suppressed, contacts and accounts that are excluded."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from closedloop.errors import BadInput
from closedloop.ledger.engine import Ledger, serialise
from closedloop.ledger.rows import add_events, chunks
from closedloop.ledger.schema import exclusions, suppressions

REASONS = frozenset({"unsubscribed", "opted_out", "bounced", "complained", "imported"})
STRONGER = frozenset({"opted_out", "bounced", "complained"})


def suppress(
    where: Ledger | Connection, person_keys: Iterable[str], reason: str, *, now: dt.datetime, author: str | None = None
) -> int:
    """Never write to these addresses again (keys as `closedloop.identity.person_key` makes them).

    Takes the ledger (then in chunks of 1,000) or an open write transaction. Keys already suppressed keep their first
    reason; only a person's own unsubscribe, which they may take back, gives way to STRONGER ones. `author` is kept where a person said so. Returns how many are new. Raises BadInput for an unknown reason.
    """
    if reason not in REASONS:
        raise BadInput(f"no such reason for a suppression: '{reason}'", field="reason")
    keys = sorted(set(person_keys))
    if isinstance(where, Connection):
        return sum(_suppress(where, some, reason, author, now) for some in chunks(keys, 1000))
    new = 0
    for some in chunks(keys, 1000):
        with where.write() as conn:
            new += _suppress(conn, some, reason, author, now)
    return new


def _suppress(conn: Connection, keys: list[str], reason: str, author: str | None, now: dt.datetime) -> int:
    serialise(conn, "suppressions")
    this = suppressions.c.person_key
    known = dict(conn.execute(select(this, suppressions.c.reason).where(this.in_(keys))).tuples().all())
    new = [key for key in keys if key not in known]
    if stronger := [key for key in known if known[key] == "unsubscribed" and reason in STRONGER]:
        conn.execute(update(suppressions).where(this.in_(stronger)).values(reason=reason, since=now))
        add_events(conn, [_list_event("suppressed_address", now, person_key=key, reason=reason) for key in stronger])
    if new:
        conn.execute(insert(suppressions), [{"person_key": key, "reason": reason, "since": now} for key in new])
        said = {"reason": reason, "author": author} if author else {"reason": reason}
        add_events(conn, [_list_event("suppressed_address", now, person_key=key, **said) for key in new])
    return len(new)


def exclude_add(
    ledger: Ledger,
    subject: str,
    subject_id: str,
    *,
    reason: str,
    author: str,
    until: dt.datetime | None = None,
    now: dt.datetime,
) -> None:
    """Put a contact or an account on the exclusion list, or change its entry; `until` None is for good.

    Raises BadInput for an unknown subject, an empty id, or an end that has passed.
    """
    if subject not in ("contact", "account"):
        raise BadInput(f"one excludes a contact or an account, not '{subject}'", field="subject")
    if not subject_id.strip():
        raise BadInput("the id is empty", field="subject_id")
    if until is not None and until <= now:
        raise BadInput("the end of the exclusion has passed", field="until", remedy="give a later date, or none")
    row = {"subject": subject, "subject_id": subject_id, "reason": reason, "author": author, "until": until}
    with ledger.write() as conn:
        serialise(conn, "exclusions")
        conn.execute(_entry(subject, subject_id))
        conn.execute(insert(exclusions), {**row, "since": now})
        shown = {**row, "until": until.isoformat() if until else None}
        add_events(conn, [_list_event("excluded", now, **shown)])


def exclude_remove(ledger: Ledger, subject: str, subject_id: str, *, now: dt.datetime) -> None:
    """Take an entry off the exclusion list. Raises BadInput when it is not on it."""
    with ledger.write() as conn:
        if not conn.execute(_entry(subject, subject_id)).rowcount:
            raise BadInput(
                f"the {subject} is not on the exclusion list",
                field="subject_id",
                remedy="`closedloop exclude list` shows who is",
            )
        add_events(conn, [_list_event("exclusion_removed", now, subject=subject, subject_id=subject_id)])


def exclude_list(ledger: Ledger, *, now: dt.datetime) -> list[dict[str, Any]]:
    """All entries of the exclusion list, oldest first; `state` is 'active', or 'ended' where the end has come."""
    with ledger.read() as conn:
        rows = conn.execute(select(exclusions).order_by(exclusions.c.since, exclusions.c.subject_id))
        return [
            {**row, "state": "ended" if row["until"] is not None and row["until"] <= now else "active"}
            for row in rows.mappings()
        ]


def _entry(subject: str, subject_id: str):
    return delete(exclusions).where(exclusions.c.subject == subject, exclusions.c.subject_id == subject_id)


def _list_event(kind: str, now: dt.datetime, **payload: Any) -> dict[str, Any]:
    ids = {}
    if "subject" in payload:
        ids[f"{payload['subject']}_id"] = payload["subject_id"]
    return {"kind": kind, "occurred_at": now, "recorded_at": now, "payload": payload, **ids}
