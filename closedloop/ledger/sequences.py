"""Sequences of mails on the books: where each one stands, what stops it, and its next mail, planned in one transaction."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import and_, or_, select, update

from closedloop.ledger.actions import PLANNED, Action, Key, plan_actions
from closedloop.ledger.engine import Ledger
from closedloop.ledger.rows import Row, add_events, event, payload_from, to_json
from closedloop.ledger.schema import actions, answers, exclusions, messages, suppressions


def invitation_of(ledger: Ledger, invitation_id: str) -> dict[str, Any]:
    """The invitation that a sequence follows from, `payload` parsed."""
    with ledger.read() as conn:
        row = conn.execute(select(messages).where(messages.c.message_id == invitation_id)).mappings().one()
    return {**row, "payload": payload_from(row["payload"])}


def stopped_by(ledger: Ledger, row: Row, *, since: dt.datetime, now: dt.datetime) -> str | None:
    """Why a sequence ends before its last mail: the person answered again since it began, may get nothing, or is excluded."""
    this = select(messages.c.person_key).where(messages.c.message_id == row["invitation_id"]).scalar_subquery()
    newer = (
        select(answers.c.invitation_id)
        .join(messages, messages.c.message_id == answers.c.invitation_id)
        .where(
            answers.c.scored_at > since,
            or_(messages.c.contact_id == row["contact_id"], messages.c.person_key == this),
        )
    )
    suppressed = select(suppressions.c.person_key).where(suppressions.c.person_key == this)
    excluded = select(exclusions.c.subject).where(
        or_(
            and_(exclusions.c.subject == "contact", exclusions.c.subject_id == row["contact_id"]),
            and_(exclusions.c.subject == "account", exclusions.c.subject_id == row["account_id"]),
        ),
        or_(exclusions.c.until.is_(None), exclusions.c.until > now),
    )
    with ledger.read() as conn:
        for query, why in ((newer, "answered again"), (suppressed, "suppressed"), (excluded, "excluded")):
            if conn.execute(query.limit(1)).first() is not None:
                return why
    return None


def take_step(
    ledger: Ledger,
    row: Row,
    mail: Action,
    payload: Mapping[str, Any],
    *,
    until: dt.datetime | None,
    ends: str | None,
    now: dt.datetime,
) -> bool:
    """Plan the next mail of a sequence and move it on, in one transaction. False when another process was faster."""
    mine = _mine((row["invitation_id"], row["action"]))
    with ledger.write() as conn:
        stands = conn.execute(select(actions.c.payload, actions.c.state).where(mine).with_for_update()).first()
        if stands is None or stands.state != PLANNED or json.loads(stands.payload)["sent"] != row["payload"]["sent"]:
            return False
        plan_actions(conn, row, [mail], now=now)
        values = {"state": ends or PLANNED, "done_at": now if ends else None}
        conn.execute(update(actions).where(mine).values(payload=to_json(dict(payload)), due_at=until, **values))
        if ends:
            add_events(conn, [event("action", row, at=now, now=now, action=row["action"], state=ends)])
    return True


def wait(ledger: Ledger, key: Key, payload: Mapping[str, Any], *, until: dt.datetime) -> bool:
    """Look at a sequence again at `until`; False, since no mail was planned."""
    with ledger.write() as conn:
        mine = _mine(key) & (actions.c.state == PLANNED)
        conn.execute(update(actions).where(mine).values(payload=to_json(dict(payload)), due_at=until))
    return False


def end(ledger: Ledger, key: Key, state: str, why: str, *, now: dt.datetime) -> bool:
    """End a sequence before its last mail; False, since no mail was planned."""
    with ledger.write() as conn:
        mine = _mine(key) & (actions.c.state == PLANNED)
        row = conn.execute(select(actions).where(mine)).mappings().first()
        if row is not None:
            conn.execute(update(actions).where(mine).values(state=state, reason=why, due_at=None, done_at=now))
            add_events(conn, [event("action", row, at=now, now=now, action=row["action"], state=state)])
    return False


def _mine(key: Key) -> Any:
    return and_(actions.c.invitation_id == key[0], actions.c.action == key[1])
