"""What is uncertain becomes known by evidence, never by guessing.

A message is uncertain when the mail server's answer to its data was lost. That it came is shown by whatever could only
happen after it came: a delivery report, an open, a click, an answer, a bounce. What the mail server itself wrote down shows
both: that it took a message, or, where its log covers the whole time of the hand-over, that it never did.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, select, update

from closedloop.ledger.engine import Ledger
from closedloop.ledger.messages import ABOUT, settle
from closedloop.ledger.rows import Row, add_events, chunks, event
from closedloop.ledger.schema import actions, events, messages

CAME = ("delivered", "opened", "clicked", "viewed", "answered", "bounced", "complained", "unsubscribed")
"""Events that prove that a message came to the server, or to the person."""
MARGIN = dt.timedelta(minutes=10)
"""A hand-over may reach the server's log so long before or after the time that the ledger has for it."""
BATCH = 500


class MessageLog(Protocol):
    """What a mail server or provider says about the messages it was handed."""

    name: str

    def accepted(self, message_ids: Iterable[str]) -> set[str]:
        """Those of our message ids that it took."""
        ...

    def covers(self, begins: dt.datetime, ends: dt.datetime) -> bool:
        """Whether it knows every message of this time, so that what it does not have was never taken."""
        ...


@dataclass
class Reconciled:
    """What became of the uncertain messages: by our own events, by the log, and those nobody knows anything about."""

    sent_by_events: int = 0
    sent_by_log: int = 0
    not_accepted: int = 0
    uncertain: int = 0


def reconcile(ledger: Ledger, *, log: MessageLog | None = None, now: dt.datetime) -> Reconciled:
    """Resolve what is uncertain, as far as there is evidence; the rest stays uncertain and is counted.

    A message that the log proves was not accepted is pending again, and the hand-over looks at all rules anew (an alert
    too): an event `reconciled` says so. Run it as often as you like.
    """
    report = Reconciled()
    for ids in chunks(list(_uncertain(ledger)), BATCH):
        taken = log.accepted(ids) if log else set()
        with ledger.write() as conn:
            rows = conn.execute(
                select(*ABOUT, messages.c.state_at)
                .where(messages.c.message_id.in_(ids), messages.c.state == "uncertain")
                .with_for_update()
            ).mappings()
            for row in rows.all():
                _resolve(conn, row, taken, log, now, report)
    return report


def _uncertain(ledger: Ledger) -> Iterator[str]:
    with ledger.read() as conn:
        yield from conn.scalars(
            select(messages.c.message_id).where(messages.c.state == "uncertain").order_by(messages.c.message_id)
        ).all()


def _resolve(
    conn: Connection, row: Row, taken: set[str], log: MessageLog | None, now: dt.datetime, report: Reconciled
) -> None:
    if proof := _proof(conn, row):
        _sent(conn, row, f"it came: {proof}", now)
        report.sent_by_events += 1
    elif row["message_id"] in taken:
        assert log is not None, "only a log says so"
        _sent(conn, row, f"accepted, says {log.name}", now)
        report.sent_by_log += 1
    elif log and row["state_at"] and log.covers(row["state_at"] - MARGIN, row["state_at"] + MARGIN):
        why = f"never accepted, says {log.name}"
        conn.execute(
            update(messages)
            .where(messages.c.message_id == row["message_id"])
            .values(state="pending", state_reason=why, lease_owner=None, lease_until=None, next_attempt_at=None)
        )
        mine = actions.c.message_id == row["message_id"]
        conn.execute(update(actions).where(mine).values(state="planned", reason=None, done_at=None))
        add_events(conn, [event("reconciled", row, at=now, now=now, message_kind=row["kind"], reason=why)])
        report.not_accepted += 1
    else:
        report.uncertain += 1


def _sent(conn: Connection, row: Row, why: str, now: dt.datetime) -> None:
    """It is sent, at the time of its hand-over."""
    settle(conn, [(row, "sent", why)], at=row["state_at"] or now, now=now)


def _proof(conn: Connection, row: Row) -> str | None:
    """The kind of an event that could not be if this message had not come.

    Reports of providers name the message. A hit or an answer only tells the invitation, whose links a reminder holds too: it
    proves the invitation's own mail as long as no reminder may have come.
    """
    this = events.c.message_id == row["message_id"]
    others = select(messages.c.message_id).where(
        messages.c.invitation_id == row["invitation_id"],
        messages.c.kind == "reminder",
        messages.c.state.in_(("handed", "sent", "uncertain")),
    )
    if row["kind"] != "invitation" or conn.execute(others.limit(1)).first() is not None:
        this &= events.c.payload.contains('"provider":', autoescape=True)
    found = select(events.c.kind).where(this, events.c.kind.in_(CAME)).order_by(events.c.seq).limit(1)
    return conn.execute(found).scalar()
