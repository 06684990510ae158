"""What the collector shows by itself: invitations in an application or in the customers' portal.

One invitation may reach a person in several places. The first one that does counts: shown in the application, it is sent on
that channel, and no mail follows; sent by mail and not answered, it may still be shown. The rules of hand-over are looked at
in the transaction that shows it for the first time.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, or_, select, update

from closedloop.ledger.checks import Checks
from closedloop.ledger.delivery import BY_SENDER
from closedloop.ledger.engine import Ledger, serialise
from closedloop.ledger.messages import ABOUT, settle, suppress_messages, visible
from closedloop.ledger.rows import Row, add_events, event, to_json
from closedloop.ledger.schema import actions, events, messages
from closedloop.programme import Rule, Survey

PLACES = ("in_app", "portal")
CHUNK = 500


def show(
    conn: Connection, contact_id: str, place: str, surveys: Mapping[str, Survey], *, now: dt.datetime
) -> str | None:
    """The id of the invitation that this contact is shown now in `place`, None when there is none.

    Asking again gives the same one until it is answered, dismissed or over. Of several the oldest comes first.
    """
    serialise(conn, "claim")  # the sender must not take the same message
    open_ones = (
        select(messages)
        .where(
            messages.c.contact_id == contact_id,
            messages.c.kind == "invitation",
            messages.c.state.in_(("pending", "sent")),
            or_(messages.c.link_expires_at.is_(None), messages.c.link_expires_at > now),
            visible(),
        )
        .order_by(messages.c.planned_at, messages.c.message_id)
    )
    for found in conn.execute(open_ones).mappings().all():
        row = {**found, "payload": json.loads(found["payload"])}
        if place in (row["payload"].get("definition") or {}).get("channels", ()) and _may_be_shown(
            conn, row, surveys, now
        ):
            _note(conn, row, place, now)
            return row["invitation_id"]
    return None


def dismiss(conn: Connection, invitation_id: str, place: str, *, now: dt.datetime) -> bool:
    """Never show this invitation again, on any device. It is no score. False when that was so already, or there is none."""
    held = _ABOUT.where(messages.c.message_id == invitation_id).with_for_update()  # of two devices, one closes it
    row = conn.execute(held).mappings().first()
    if row is None or _happened(conn, invitation_id, "dismissed"):
        return False
    add_events(conn, [event("dismissed", row, at=now, now=now, message_kind="invitation", place=place)])
    return True


def note_completion(conn: Connection, invitation_id: str, score: int, *, now: dt.datetime) -> None:
    """An answer in the portal goes to the customer's timeline, once: a planned action of the ledger."""
    this = (actions.c.invitation_id == invitation_id) & (actions.c.action == TIMELINE)
    if conn.execute(select(actions.c.state).where(this)).first():
        return
    row = {"invitation_id": invitation_id, "action": TIMELINE, "state": "planned", "planned_at": now}
    conn.execute(
        insert(actions), {**row, "payload": to_json({"subject": "Answered a survey in the portal", "score": score})}
    )


TIMELINE = "timeline_entry"


def close_expired(ledger: Ledger, *, now: dt.datetime) -> int:
    """Close what was never shown in time, as the sender does with its own; returns how many."""
    over = (messages.c.state == "pending") & messages.c.channel.not_in(BY_SENDER) & (messages.c.expires_at <= now)
    closed = 0
    while True:
        with ledger.write() as conn:
            rows = conn.execute(select(*ABOUT).where(over, visible()).limit(CHUNK).with_for_update()).mappings().all()
            closed += suppress_messages(conn, [(row, Rule.EXPIRED.value) for row in rows], now=now)
        if len(rows) < CHUNK:
            return closed


def _may_be_shown(conn: Connection, row: dict[str, Any], surveys: Mapping[str, Survey], now: dt.datetime) -> bool:
    survey = surveys.get(row["survey_id"])
    if survey is None or survey.status != "active" or _happened(conn, row["invitation_id"], "dismissed"):
        return False
    checks = Checks.load(conn, [row], surveys, now)
    if row["state"] == "sent":  # it counted when it reached the person; only what happened since matters
        row = {**row, "kind": "reminder", "expires_at": None}
    return checks.refuse(row) is None


def _note(conn: Connection, row: Row, place: str, now: dt.datetime) -> None:
    about = {**row, "channel": place}
    if row["state"] == "pending":
        conn.execute(update(messages).where(messages.c.message_id == row["message_id"]).values(channel=place))
        settle(conn, [(about, "sent", None)], at=now, now=now)
    if not _happened(conn, row["invitation_id"], "shown"):
        add_events(conn, [event("shown", about, at=now, now=now, message_kind="invitation", place=place)])


def _happened(conn: Connection, invitation_id: str, kind: str) -> bool:
    found = select(events.c.seq).where(events.c.invitation_id == invitation_id, events.c.kind == kind).limit(1)
    return conn.execute(found).first() is not None


_ABOUT = select(*ABOUT).where(messages.c.kind == "invitation", visible())
