"""Rows on their way into the ledger: the one place that writes decisions, messages and events, live and of the past."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, insert

from closedloop.errors import BadInput
from closedloop.ledger.schema import BOOKKEEPING, MESSAGE_STATES, decisions, events, messages
from closedloop.webhooks import KINDS as TOLD

Row = Mapping[str, Any]
T = TypeVar("T")

MESSAGE_KINDS = frozenset({"invitation", "reminder", "alert", "reply", "form"})
EVENT_KINDS = frozenset(
    (
        *("sent", "rejected", "suppressed", "uncertain", "delivered", "bounced"),
        *("opened", "clicked", "viewed", "answered", "unsubscribed", "voided"),
        *("shown", "dismissed", "complained", "preferred", "resubscribed", "reconciled"),
        "form_submitted",
        *("suppressed_address", "excluded", "exclusion_removed"),
        *("followup_opened", "first_contact", "outcome", "action"),
        *("followup_step", "followup_reopened", "followup_assigned", "followup_note"),
    )
)


def chunks(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """`rows` in lists of at most `size`; holds one list at a time."""
    stream = iter(rows)
    while chunk := list(islice(stream, size)):
        yield chunk


def to_json(value: Any) -> str:
    """Text for a JSON column; text is taken as JSON already."""
    return value if isinstance(value, str) else _encode(value)


def payload_from(text: str) -> dict[str, Any]:
    """The payload of a message, a new dict each time; the definition in it, which many messages share and which is most of the
    text, is read once and must not be changed.
    """
    # Within a string of JSON the quotes would be escaped, so this is the key.
    before, mark, after = text.partition('"definition":')
    if not mark or not before.endswith((", ", ",")):
        return json.loads(text)
    try:
        return {**json.loads(before.rstrip(", ") + "}"), **_from_definition_on(after)}
    except json.JSONDecodeError:  # the key of something within
        return json.loads(text)


@lru_cache(maxsize=256)
def _from_definition_on(text: str) -> Mapping[str, Any]:
    return json.loads('{"definition":' + text)


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True)
class Prepared:
    """Checked rows of one table: preparing them needs no transaction, so the ledger is held for the insert alone."""

    table: Table
    rows: list[dict[str, Any]]

    def insert(self, conn: Connection) -> None:
        """Write them, in this order."""
        if self.rows:
            conn.execute(insert(self.table).inline(), self.rows)


def prepare_decisions(evaluation_id: str, rows: Iterable[Row]) -> Prepared:
    """Decisions of one evaluation; `all_failed_rules` and `facts` may be values. Raises BadInput for one that is neither
    ask nor skip."""
    prepared = []
    for row in rows:
        if row["decision"] not in ("ask", "skip"):
            raise BadInput(f"a sealed decision is 'ask' or 'skip', not '{row['decision']}'", field="decision")
        prepared.append(
            {
                **_columns(decisions, row),
                "evaluation_id": evaluation_id,
                "all_failed_rules": to_json(row["all_failed_rules"]),
                "facts": None if row.get("facts") is None else to_json(row["facts"]),
            }
        )
    return Prepared(decisions, prepared)


def prepare_messages(rows: Iterable[Row], *, evaluation_id: str | None = None) -> Prepared:
    """Messages; `payload` may be a dict, `channel` is email where it is missing. Raises BadInput for an unknown kind or
    state."""
    prepared = []
    for row in rows:
        state = row.get("state") or "pending"
        if row["kind"] not in MESSAGE_KINDS:
            raise BadInput(f"no such kind of message: '{row['kind']}'", field="kind")
        if state not in MESSAGE_STATES:
            raise BadInput(f"no such state of a message: '{state}'", field="state")
        invitation = row["message_id"] if row["kind"] == "invitation" else None
        prepared.append(
            {
                **_columns(messages, row),
                "evaluation_id": evaluation_id,
                "invitation_id": row.get("invitation_id") or invitation,
                "payload": to_json(row["payload"]),
                "sequence": row.get("sequence") or 0,
                "channel": row.get("channel") or "email",
                "cooldown_days": row.get("cooldown_days") or 0,
                "attempts": row.get("attempts") or 0,
                "state": state,
            }
        )
    return Prepared(messages, prepared)


def prepare_events(rows: Iterable[Row], *, live: bool = True) -> Prepared:
    """Events in the order given; `recorded_at` is `occurred_at` where it is missing, `payload` may be a dict.

    What is not `live` is of the past: no webhook tells of it. Raises BadInput for an unknown kind: a misspelt event would be invisible to every model.
    """
    prepared = []
    for row in rows:
        if row["kind"] not in EVENT_KINDS:
            raise BadInput(f"no such kind of event: '{row['kind']}'", field="kind")
        prepared.append(
            {
                **_columns(events, row),
                "recorded_at": row.get("recorded_at") or row["occurred_at"],
                "payload": to_json(row.get("payload") or {}),
                "for_webhooks": True if live and row["kind"] in TOLD else None,
            }
        )
    return Prepared(events, prepared)


def add_messages(conn: Connection, rows: Iterable[Row]) -> None:
    """Insert messages that belong to no evaluation: alerts."""
    prepare_messages(rows).insert(conn)


def add_events(conn: Connection, rows: Iterable[Row], *, live: bool = True) -> None:
    """Append events in the order given; see `prepare_events`."""
    prepare_events(rows, live=live).insert(conn)


def event(kind: str, about: Row, *, at: dt.datetime, now: dt.datetime, **payload: Any) -> dict[str, Any]:
    """The row of an event that happened at `at` about a message, invitation or follow-up row."""
    return {
        "kind": kind,
        **{name: about.get(name) for name in ("message_id", "invitation_id", "survey_id", "contact_id", "account_id")},
        "occurred_at": at,
        "recorded_at": now,
        "payload": payload,
    }


def _columns(table: Table, row: Row) -> dict[str, Any]:
    """All columns of `table` from `row`, null where absent: every row of a chunk has the same keys. Others are left."""
    return {name: row.get(name) for name in _names(table)}


@cache
def _names(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.c if column.name not in BOOKKEEPING | {"seq"})
