"""The book of outgoing webhooks: which endpoint is told of which event, and what became of it.

An event is written with a mark, and one transaction makes deliveries of it and takes the mark away: so each event becomes one
delivery for each endpoint, whatever dies in between, and a number that PostgreSQL makes visible late still has its mark. (All
above the last number, as one would ask first, would skip it.) An endpoint gets what becomes visible after it was first seen.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, func, insert, or_, select, update

from closedloop.errors import BadInput
from closedloop.ledger.engine import Ledger, serialise
from closedloop.ledger.schema import answers, events, followups, webhook_deliveries, webhook_endpoints
from closedloop.webhooks import KINDS, Webhook, type_of

WAITING, ATTEMPTED, DELIVERED, FAILED = "waiting", "attempted", "delivered", "failed"
STATES = (WAITING, ATTEMPTED, DELIVERED, FAILED)
ATTEMPT_LEASE = dt.timedelta(minutes=2)
"""So long after an attempt began it counts as lost, and the event is sent again."""
REST_AFTER = 5
"""After so many failures in a row an endpoint is left alone for a while, and no event's attempts are used up meanwhile."""
FIRST_REST, LONGEST_REST = dt.timedelta(minutes=1), dt.timedelta(hours=1)
CHUNK = 1_000


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one endpoint; `event` has the ledger's columns (`payload` parsed) and the `score` it is about."""

    endpoint: str
    seq: int
    type: str
    attempts: int
    """This one included."""
    event: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Ended:
    """How an attempt ended: `delivered`, `waiting` for the next one at `retry_at`, or `failed` for good. `gone`: the endpoint
    wants no more. `rest_until`: it asked to be left alone. `error` never repeats an address or an answer's words."""

    state: str
    status: int | None = None
    error: str | None = None
    retry_at: dt.datetime | None = None
    rest_until: dt.datetime | None = None
    gone: bool = False


def enqueue(ledger: Ledger, webhooks: Sequence[Webhook], *, now: dt.datetime) -> int:
    """Make deliveries of all marked events for the endpoints that are known, then note those that are new.

    Returns how many deliveries there are more.
    """
    made = 0
    while True:
        with ledger.read() as conn:
            known = set(conn.scalars(select(webhook_endpoints.c.name)))
            if all(one.name in known for one in webhooks) and conn.execute(_MARKED.limit(1)).first() is None:
                return made
        with ledger.write() as conn:
            serialise(conn, "webhooks")
            seen, more = _enqueue(conn, webhooks, now)
            made += more
            if seen == CHUNK:
                continue
            known = set(conn.scalars(select(webhook_endpoints.c.name)))
            if new := [one.name for one in webhooks if one.name not in known]:
                conn.execute(insert(webhook_endpoints), [{"name": name, "first_seen_at": now} for name in new])
            return made


def _enqueue(conn: Connection, webhooks: Sequence[Webhook], now: dt.datetime) -> tuple[int, int]:
    """How many events were looked at, and how many deliveries made of them."""
    is_on = webhook_endpoints.c.switched_off_at.is_(None)
    active = set(conn.scalars(select(webhook_endpoints.c.name).where(is_on)))
    # Skipping what is locked: the export may be writing its own mark on these rows, and neither may wait for the other.
    rows = conn.execute(_MARKED.limit(CHUNK).with_for_update(skip_locked=True)).all()
    if not rows:
        return 0, 0
    seqs = [row.seq for row in rows]
    there = select(webhook_deliveries.c.endpoint, webhook_deliveries.c.seq).where(webhook_deliveries.c.seq.in_(seqs))
    already = set(conn.execute(there).tuples())
    made = [
        _new(one.name, row.seq, now)
        for row in rows
        for one in webhooks
        if one.name in active and (one.name, row.seq) not in already and _goes_to(one, row.kind, row.payload)
    ]
    if made:
        conn.execute(insert(webhook_deliveries), made)
    conn.execute(update(events).where(events.c.seq.in_(seqs)).values(for_webhooks=None))
    return len(rows), len(made)


def begin(ledger: Ledger, endpoint: str, *, now: dt.datetime) -> Delivery | None:
    """Mark the first due delivery of an endpoint as attempted, on disk, and give it; None when nothing is to be sent now.

    What was attempted and never ended (its process died) is given again once its lease has run out.
    """
    due = select(webhook_deliveries).where(webhook_deliveries.c.endpoint == endpoint, _is_due(now))
    with ledger.read() as conn:  # most of the time there is nothing, and no need to hold anybody up
        if not _is_awake(conn, endpoint, now) or conn.execute(due.limit(1)).first() is None:
            return None
    with ledger.write() as conn:
        serialise(conn, f"webhook {endpoint}")
        row = conn.execute(due.order_by(webhook_deliveries.c.seq).limit(1).with_for_update()).mappings().first()
        if row is None or not _is_awake(conn, endpoint, now):
            return None
        attempt = {"state": ATTEMPTED, "attempts": row["attempts"] + 1, "next_attempt_at": now + ATTEMPT_LEASE}
        conn.execute(update(webhook_deliveries).where(_is(endpoint, row["seq"])).values(**attempt))
        found = dict(conn.execute(_EVENT.where(events.c.seq == row["seq"])).mappings().one())
    found["payload"] = json.loads(found["payload"])
    type_ = type_of(found["kind"], found["payload"])
    assert type_ is not None, "what is told to nobody is not in the book"
    return Delivery(endpoint, row["seq"], type_, row["attempts"] + 1, found)


def finish(ledger: Ledger, delivery: Delivery, ended: Ended, *, now: dt.datetime) -> None:
    """Write down how an attempt ended. One that lost its lease to another attempt changes nothing but a delivery."""
    mine = _is(delivery.endpoint, delivery.seq) & webhook_deliveries.c.ended_at.is_(None)
    if ended.state != DELIVERED:
        mine &= webhook_deliveries.c.attempts == delivery.attempts
    with ledger.write() as conn:
        serialise(conn, f"webhook {delivery.endpoint}")
        conn.execute(
            update(webhook_deliveries)
            .where(mine)
            .values(
                state=ended.state,
                next_attempt_at=ended.retry_at,
                last_status=ended.status,
                last_error=ended.error[:200] if ended.error else None,
                ended_at=None if ended.state == WAITING else now,
            )
        )
        this = webhook_endpoints.c.name == delivery.endpoint
        if ended.state == DELIVERED:
            conn.execute(update(webhook_endpoints).where(this).values(failures_in_row=0, rests_until=ended.rest_until))
            return
        failures = conn.execute(select(webhook_endpoints.c.failures_in_row).where(this)).scalar_one() + 1
        rests = [at for at in (ended.rest_until, _end_of_rest(failures, now)) if at is not None]
        state: dict[str, Any] = {"failures_in_row": failures, "rests_until": max(rests, default=None)}
        if ended.gone:
            state["switched_off_at"] = now
        conn.execute(update(webhook_endpoints).where(this).values(**state))


def _end_of_rest(failures: int, now: dt.datetime) -> dt.datetime | None:
    if failures < REST_AFTER:
        return None
    return now + min(FIRST_REST * 2 ** min(failures - REST_AFTER, 10), LONGEST_REST)


def resume(ledger: Ledger, endpoint: str) -> None:
    """Send to an endpoint again that was switched off, or rests. Raises BadInput for one that was never seen."""
    with ledger.write() as conn:
        changed = (
            update(webhook_endpoints)
            .where(webhook_endpoints.c.name == endpoint)
            .values(switched_off_at=None, rests_until=None, failures_in_row=0)
        )
        if not conn.execute(changed).rowcount:
            raise _unknown(endpoint)


@dataclass(frozen=True)
class Range:
    """Which events of the ledger to send again: by number, or by the time at which they were recorded, both ends included."""

    first: int | dt.datetime
    last: int | dt.datetime | None = None

    def where(self) -> Iterator[ColumnElement[bool]]:
        yield self._column(self.first) >= self.first
        if self.last is not None:
            yield self._column(self.last) <= self.last

    @staticmethod
    def _column(end: int | dt.datetime) -> ColumnElement[Any]:
        return events.c.seq if isinstance(end, int) else events.c.recorded_at


def replay(ledger: Ledger, webhook: Webhook, which: Range, *, now: dt.datetime, only_failed: bool = False) -> int:
    """Let an endpoint have events again, or for the first time: also those from before it was there. Returns how many.

    They keep their ids, so a receiver that remembers ids takes only what it has not had. What is under way goes on. Raises
    BadInput for an endpoint that was never seen.
    """
    count, after = 0, -1
    while True:
        some = select(events.c.seq, events.c.kind, events.c.payload).where(events.c.kind.in_(KINDS), *which.where())
        with ledger.write() as conn:
            serialise(conn, "webhooks")
            if not conn.execute(select(webhook_endpoints).where(webhook_endpoints.c.name == webhook.name)).first():
                raise _unknown(webhook.name)
            rows = conn.execute(some.where(events.c.seq > after).order_by(events.c.seq).limit(CHUNK)).all()
            count += _again(
                conn, webhook, [row.seq for row in rows if _goes_to(webhook, row.kind, row.payload)], only_failed, now
            )
        if len(rows) < CHUNK:
            return count
        after = rows[-1].seq


def _again(conn: Connection, webhook: Webhook, seqs: list[int], only_failed: bool, now: dt.datetime) -> int:
    mine = webhook_deliveries.c.endpoint == webhook.name
    found = select(webhook_deliveries.c.seq, webhook_deliveries.c.state).where(mine, webhook_deliveries.c.seq.in_(seqs))
    known = dict(conn.execute(found).tuples().all())
    wanted = (FAILED,) if only_failed else (FAILED, DELIVERED)
    ended = [seq for seq in seqs if known.get(seq) in wanted]
    new = [] if only_failed else [seq for seq in seqs if seq not in known]
    fresh = {"state": WAITING, "attempts": 0, "next_attempt_at": None, "queued_at": now, "ended_at": None}
    if ended:
        conn.execute(update(webhook_deliveries).where(mine, webhook_deliveries.c.seq.in_(ended)).values(**fresh))
    if new:
        conn.execute(insert(webhook_deliveries), [_new(webhook.name, seq, now) for seq in new])
    return len(ended) + len(new)


def forget_delivered(ledger: Ledger, *, before: dt.datetime) -> int:
    """Take what was delivered before this time out of the book; returns how many. Nothing is sent again by that."""
    old = (
        select(webhook_deliveries.c.seq)
        .where(webhook_deliveries.c.state == DELIVERED, webhook_deliveries.c.ended_at < before)
        .order_by(webhook_deliveries.c.seq)
        .limit(CHUNK)
    )
    count = 0
    while True:
        with ledger.write() as conn:
            mine = webhook_deliveries.c.seq.in_(list(conn.scalars(old)))
            over = (webhook_deliveries.c.state == DELIVERED) & (webhook_deliveries.c.ended_at < before)
            gone = conn.execute(delete(webhook_deliveries).where(mine, over)).rowcount
        if not gone:
            return count
        count += gone


def webhook_books(ledger: Ledger) -> list[dict[str, Any]]:
    """Each endpoint that was ever seen, by name: its columns, how many deliveries stand in each state, and `last_error` of the
    newest event that has one and is not delivered."""
    counted = select(webhook_deliveries.c.endpoint, webhook_deliveries.c.state, func.count())
    with ledger.read() as conn:
        rows = conn.execute(select(webhook_endpoints).order_by(webhook_endpoints.c.name)).mappings()
        books = {row["name"]: {**row, **dict.fromkeys(STATES, 0), "last_error": None} for row in rows}
        for endpoint, state, count in conn.execute(
            counted.group_by(webhook_deliveries.c.endpoint, webhook_deliveries.c.state)
        ):
            books[endpoint][state] = count
        for name, book in books.items():
            failed = webhook_deliveries.c.last_error.is_not(None) & (webhook_deliveries.c.state != DELIVERED)
            found = select(webhook_deliveries.c.last_error).where(webhook_deliveries.c.endpoint == name, failed)
            book["last_error"] = conn.scalar(found.order_by(webhook_deliveries.c.seq.desc()).limit(1))
    return list(books.values())


def due_deliveries(ledger: Ledger, names: Iterable[str], *, now: dt.datetime, limit: int) -> list[tuple[Any, ...]]:
    """What `enqueue` and `begin` would find to do for these endpoints: names that are new, marked events, and deliveries, which
    differ from what they were before an attempt or a replay. It only reads."""
    wanted = list(names)
    if not wanted:
        return []
    awake = select(webhook_endpoints.c.name).where(_awake(now), webhook_endpoints.c.name.in_(wanted))
    due = (
        select(*(webhook_deliveries.c[name] for name in ("endpoint", "seq", "queued_at", "attempts")))
        .where(webhook_deliveries.c.endpoint.in_(awake), _is_due(now))
        .order_by(webhook_deliveries.c.seq, webhook_deliveries.c.endpoint)
        .limit(limit)
    )
    with ledger.read() as conn:
        known = set(conn.scalars(select(webhook_endpoints.c.name)))
        marked = conn.execute(_MARKED.limit(limit))
        return [
            *(("new", name) for name in wanted if name not in known),
            *(("event", row.seq) for row in marked),
            *(tuple(row) for row in conn.execute(due)),
        ]


_MARKED: Select[Any] = (
    select(events.c.seq, events.c.kind, events.c.payload)
    .where(events.c.for_webhooks.is_not(None))
    .order_by(events.c.seq)
)
_COLUMNS = (
    "seq",
    "kind",
    "invitation_id",
    "survey_id",
    "contact_id",
    "account_id",
    "occurred_at",
    "recorded_at",
    "payload",
)
_EVENT = (
    select(*(events.c[name] for name in _COLUMNS), func.coalesce(followups.c.score, answers.c.score).label("score"))
    .outerjoin(followups, followups.c.invitation_id == events.c.invitation_id)
    .outerjoin(answers, answers.c.invitation_id == events.c.invitation_id)
)


def _goes_to(webhook: Webhook, kind: str, payload: str) -> bool:
    type_ = type_of(kind, json.loads(payload))
    return type_ is not None and webhook.wants(type_)


def _new(endpoint: str, seq: int, now: dt.datetime) -> dict[str, Any]:
    return {"endpoint": endpoint, "seq": seq, "state": WAITING, "queued_at": now}


def _is(endpoint: str, seq: int) -> ColumnElement[bool]:
    return and_(webhook_deliveries.c.endpoint == endpoint, webhook_deliveries.c.seq == seq)


def _is_due(now: dt.datetime) -> ColumnElement[bool]:
    at = webhook_deliveries.c.next_attempt_at
    return and_(webhook_deliveries.c.ended_at.is_(None), or_(at.is_(None), at <= now))


def _awake(now: dt.datetime) -> ColumnElement[bool]:
    rests = webhook_endpoints.c.rests_until
    return and_(webhook_endpoints.c.switched_off_at.is_(None), or_(rests.is_(None), rests <= now))


def _is_awake(conn: Connection, endpoint: str, now: dt.datetime) -> bool:
    found = select(webhook_endpoints.c.name).where(webhook_endpoints.c.name == endpoint, _awake(now))
    return conn.execute(found).first() is not None


def _unknown(endpoint: str) -> BadInput:
    return BadInput(
        f"no endpoint '{endpoint}' was ever seen", field="endpoint", remedy="see `closedloop webhooks list`"
    )
