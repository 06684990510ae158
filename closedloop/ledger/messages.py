"""How a message changes its state: what planning and delivery share."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

from sqlalchemy import ColumnElement, Connection, bindparam, or_, select, update

from closedloop.ledger.rows import Row, add_events, event
from closedloop.ledger.schema import actions, evaluations, messages

ABOUT = (
    messages.c.message_id,
    messages.c.invitation_id,
    messages.c.survey_id,
    messages.c.wave_id,
    messages.c.contact_id,
    messages.c.account_id,
    messages.c.kind,
    messages.c.sequence,
    messages.c.channel,
)
"""Who and what a message is about, without its payload."""


def visible() -> ColumnElement[bool]:
    """True for messages that exist for the world: alerts, and those whose evaluation is sealed."""
    sealed = select(evaluations.c.evaluation_id).where(evaluations.c.evaluation_id == messages.c.evaluation_id)
    return or_(messages.c.evaluation_id.is_(None), sealed.exists())


def settle(conn: Connection, rows: Iterable[tuple[Row, str, str | None]], *, at: dt.datetime, now: dt.datetime) -> int:
    """End messages in a state ('sent', 'rejected', 'suppressed', 'uncertain'), each with its event.

    `rows` are (message, state, reason); the caller has seen in this transaction that the move is legal. The end of an alert
    or a reply is also that of its action. Returns how many.
    """
    ended = list(rows)
    if not ended:
        return 0
    conn.execute(
        _SETTLE, [{"id": row["message_id"], "to": state, "why": _short(why), "at": at} for row, state, why in ended]
    )
    add_events(
        conn,
        [event(state, row, at=at, now=now, message_kind=row["kind"], **_said(row, why)) for row, state, why in ended],
    )
    for row, state, why in ended:
        if row["kind"] in ("alert", "reply") and state in _ACTION_STATE:
            _finish_action(conn, row, _ACTION_STATE[state], why, now=now)
    return len(ended)


def suppress_messages(conn: Connection, rows: Iterable[tuple[Row, str]], *, now: dt.datetime) -> int:
    """Close pending messages that must not be sent, each with its reason; returns how many."""
    return settle(conn, [(row, "suppressed", reason) for row, reason in rows], at=now, now=now)


def _finish_action(conn: Connection, message: Row, state: str, why: str | None, *, now: dt.datetime) -> None:
    """Record that the action which a message carries out was done, failed or skipped."""
    mine = actions.c.message_id == message["message_id"]
    action = conn.execute(select(actions.c.action).where(mine)).scalar()
    if action is None:
        return
    conn.execute(update(actions).where(mine).values(state=state, reason=_short(why), done_at=now))
    add_events(conn, [event("action", message, at=now, now=now, action=action, state=state)])


_ACTION_STATE: Mapping[str, str] = {
    "sent": "done",
    "rejected": "failed",
    "suppressed": "skipped",
    "uncertain": "failed",
}

_SETTLE = (
    update(messages)
    .where(messages.c.message_id == bindparam("id"))
    .values(
        state=bindparam("to"),
        state_reason=bindparam("why"),
        state_at=bindparam("at", type_=messages.c.state_at.type),
        lease_until=None,
        next_attempt_at=None,
    )
)


def _said(row: Row, why: str | None) -> dict[str, str]:
    """What an event says beyond the usual: why, and the channel where it is not mail."""
    channel = row.get("channel") or "email"
    return ({"reason": why} if why else {}) | ({} if channel == "email" else {"channel": channel})


def _short(reason: str | None) -> str | None:
    return reason[:200] if reason else None
