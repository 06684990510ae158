"""What follows an answer, action by action: planned once, attempted, then done, failed or skipped, each with its reason.

A mail is an action whose message the sender takes; what becomes of the message becomes of the action. All others wait here
for whoever does them (`way`), and are marked as attempted, on disk, before that begins.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, insert, or_, select, update

from closedloop.ledger.engine import Ledger, serialise
from closedloop.ledger.rows import Row, add_events, add_messages, event, to_json
from closedloop.ledger.schema import actions

MAIL, CRM, CHAT, SEQUENCE = "mail", "crm", "chat", "sequence"
"""The ways in which actions are done: by the sender, the CRM's sink, a chat's webhook; a sequence plans mails by and by."""
PLANNED, ATTEMPTED, DONE, FAILED, SKIPPED = "planned", "attempted", "done", "failed", "skipped"
STATES = (PLANNED, ATTEMPTED, DONE, FAILED, SKIPPED)
OPT_OUT = "opt_out"
RECORD = "record"
"""The answer itself in the CRM; a changed answer is written again, all other actions happen once."""
ATTEMPT_LEASE = dt.timedelta(minutes=10)
"""So long after an attempt began nobody else begins another one."""

Key = tuple[str, str]
"""Invitation and action."""


def kind_of(action: str) -> str:
    """What an action does, by its name: `detractor.task-2` is a task."""
    return (action.partition(".")[2] or action).partition("-")[0].partition(":")[0]


@dataclass(frozen=True)
class Action:
    """One action to plan; `message` is the mail of way `mail`, `due_at` (UTC) the time before which it is not done."""

    action: str
    way: str
    payload: Mapping[str, Any] = field(default_factory=dict, repr=False)
    message: Row | None = field(default=None, repr=False)
    due_at: dt.datetime | None = None
    skipped: str | None = None
    """Why it is not done at all; it is kept all the same, so that nobody wonders."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What its event says beside its name and state: never a word about a person."""


@dataclass(frozen=True)
class Result:
    """What became of an attempt: `done` (with the CRM's id where it gave one), `failed` for good, `skipped`, or `planned`
    again, not before `retry_at`."""

    key: Key
    state: str
    reason: str | None = None
    record_id: str | None = None
    retry_at: dt.datetime | None = None


def message_for(about: Row, action: str, kind: str, payload: Mapping[str, Any], *, now: dt.datetime) -> dict[str, Any]:
    """The message that carries out `action` of an invitation; its id follows from the two. `about` has the invitation's ids
    and its `wave_id`."""
    return {
        "message_id": hashlib.md5(f"{about['invitation_id']}|{action}".encode()).hexdigest(),
        **{name: about[name] for name in ("invitation_id", "survey_id", "wave_id", "contact_id", "account_id")},
        "kind": kind,
        "sequence": int(hashlib.md5(action.encode()).hexdigest()[:7], 16),  # one for each action, the same everywhere
        "payload": payload,
        "planned_at": now,
    }


def plan_actions(
    conn: Connection, about: Row, planned: Iterable[Action], *, now: dt.datetime, version: int = 1
) -> list[str]:
    """Plan actions of an invitation that are not planned yet; returns their names.

    `about` has the invitation's ids. The caller holds the invitation's answer or follow-up, so nobody else plans the same.
    """
    wanted = list(planned)
    known = dict(
        conn.execute(
            select(actions.c.action, actions.c.version).where(
                actions.c.invitation_id == about["invitation_id"],
                actions.c.action.in_([one.action for one in wanted]),
            )
        )
        .tuples()
        .all()
    )
    new = [one for one in wanted if one.action not in known]
    again = [one for one in wanted if one.action == RECORD and known.get(RECORD, version) < version]
    for one in again:
        values = {"version": version, "state": PLANNED, "payload": to_json(one.payload), "planned_at": now}
        conn.execute(
            update(actions)
            .where(actions.c.invitation_id == about["invitation_id"], actions.c.action == RECORD)
            .values(**values, attempts=0, due_at=one.due_at, reason=None)
        )
    if new:
        conn.execute(insert(actions), [_row(about, one, version, now) for one in new])
        add_messages(conn, [one.message for one in new if one.message is not None and not one.skipped])
    add_events(
        conn,
        [
            event("action", about, at=now, now=now, action=one.action, state=_state(one), **_why(one), **one.told)
            for one in [*new, *again]
        ],
    )
    return [one.action for one in new]


def _row(about: Row, one: Action, version: int, now: dt.datetime) -> dict[str, Any]:
    return {
        "invitation_id": about["invitation_id"],
        "action": one.action,
        "way": one.way,
        **{name: about.get(name) for name in ("survey_id", "contact_id", "account_id")},
        "message_id": one.message["message_id"] if one.message and not one.skipped else None,
        "version": version,
        "state": _state(one),
        "reason": one.skipped,
        "payload": to_json(dict(one.payload)),
        "planned_at": now,
        "attempts": 0,
        "due_at": one.due_at,
        "done_at": now if one.skipped else None,
    }


def _state(one: Action) -> str:
    return SKIPPED if one.skipped else PLANNED


def _why(one: Action) -> dict[str, str]:
    return {"reason": one.skipped} if one.skipped else {}


def plan_opt_out(conn: Connection, about: Row, *, now: dt.datetime) -> None:
    """Let the CRM know that a person opted out, or in again: what is written is how it stands then. `about` has an
    invitation's ids."""
    mine = (actions.c.invitation_id == about["invitation_id"]) & actions.c.action.like(f"{OPT_OUT}:%")
    number = conn.execute(select(func.count()).select_from(actions).where(mine)).scalar_one() + 1
    plan_actions(conn, about, [Action(f"{OPT_OUT}:{number}", CRM)], now=now)


def due_actions(
    ledger: Ledger, ways: Sequence[str], *, now: dt.datetime, limit: int = 500, after: Key = ("", "")
) -> list[dict[str, Any]]:
    """Actions that wait to be done in one of these ways, by key, `payload` parsed: what `begin` would give. It only reads."""
    found = select(actions).where(_waits(ways, now), _beyond(after)).order_by(*_KEY).limit(limit)
    with ledger.read() as conn:
        return [_parsed(row) for row in conn.execute(found).mappings()]


def begin(
    ledger: Ledger, ways: Sequence[str], *, now: dt.datetime, limit: int = 200
) -> tuple[int, list[dict[str, Any]]]:
    """Mark up to `limit` waiting actions as attempted, on disk, and give them with the number of their batch, `payload` parsed.

    A batch that was attempted and never ended (its process died) is given again as a whole, under its number, once its lease
    has run out: whoever does it must be able to do it twice without harm, by an id of the action's own.
    """
    with ledger.write() as conn:
        serialise(conn, "actions")
        dead = select(func.min(actions.c.batch)).where(_waits(ways, now), actions.c.state == ATTEMPTED)
        batch = conn.execute(dead).scalar()
        which = _waits(ways, now) & (actions.c.state == PLANNED)
        if batch is not None:
            which = _waits(ways, now) & (actions.c.state == ATTEMPTED) & (actions.c.batch == batch)
        found = select(actions).where(which).order_by(*_KEY)
        rows = conn.execute((found if batch is not None else found.limit(limit)).with_for_update()).mappings().all()
        if not rows:
            return 0, []
        if batch is None:
            batch = (conn.execute(select(func.max(actions.c.batch))).scalar() or 0) + 1
        marks = {"state": ATTEMPTED, "due_at": now + ATTEMPT_LEASE, "batch": batch}
        mine = update(actions).where(actions.c.invitation_id == bindparam("of"), actions.c.action == bindparam("named"))
        conn.execute(
            mine.values(**marks, attempts=actions.c.attempts + 1),
            [{"of": row["invitation_id"], "named": row["action"]} for row in rows],
        )
    return batch, [{**_parsed(row), "attempts": row["attempts"] + 1} for row in rows]


def finish(ledger: Ledger, results: Iterable[Result], *, now: dt.datetime) -> dict[str, int]:
    """Write down what became of attempts; returns counts by state. A result for what ended meanwhile changes nothing."""
    counts: dict[str, int] = {}
    with ledger.write() as conn:
        for result in results:
            row = conn.execute(select(actions).where(_is(result.key)).with_for_update()).mappings().first()
            if row is None or row["state"] not in (PLANNED, ATTEMPTED):
                continue
            ended = result.state != PLANNED
            conn.execute(
                update(actions)
                .where(_is(result.key))
                .values(
                    state=result.state,
                    reason=result.reason[:200] if result.reason else None,
                    record_id=result.record_id or row["record_id"],
                    due_at=None if ended else result.retry_at,
                    done_at=now if ended else None,
                )
            )
            counts[result.state] = counts.get(result.state, 0) + 1
            if ended:
                add_events(conn, [event("action", row, at=now, now=now, action=row["action"], state=result.state)])
    return counts


def retry_failed(ledger: Ledger, *, now: dt.datetime, action: str | None = None) -> int:
    """Let what failed for good be tried again, once its cause is mended; returns how many. Mails are not among it."""
    with ledger.write() as conn:
        failed = (actions.c.state == FAILED) & (actions.c.way != MAIL)
        if action:
            failed &= actions.c.action == action
        return conn.execute(update(actions).where(failed).values(state=PLANNED, due_at=None, done_at=None)).rowcount


def actions_of(ledger: Ledger, invitation_id: str) -> dict[str, dict[str, Any]]:
    """The actions of an invitation by name, in the order in which they were planned, `payload` parsed."""
    with ledger.read() as conn:
        return read_actions(conn, invitation_id)


def actions_in(ledger: Ledger, state: str, *, limit: int) -> list[dict[str, Any]]:
    """Actions in one state, the newest first, without their payload."""
    columns = [column for column in actions.c if column.name != "payload"]
    found = select(*columns).where(actions.c.state == state).order_by(actions.c.planned_at.desc(), *_KEY).limit(limit)
    with ledger.read() as conn:
        return [dict(row) for row in conn.execute(found).mappings()]


def read_actions(conn: Connection, invitation_id: str) -> dict[str, dict[str, Any]]:
    """`actions_of` within a transaction."""
    found = select(actions).where(actions.c.invitation_id == invitation_id)
    rows = conn.execute(found.order_by(actions.c.planned_at, actions.c.action)).mappings()
    return {row["action"]: _parsed(row) for row in rows}


def action_books(ledger: Ledger) -> list[dict[str, Any]]:
    """How many of each action stand in each state, by name and way; the mails of a sequence count together."""
    counted = select(actions.c.action, actions.c.way, actions.c.state, func.count()).group_by(
        actions.c.action, actions.c.way, actions.c.state
    )
    found: dict[tuple[str, str], dict[str, Any]] = {}
    with ledger.read() as conn:
        for action, way, state, count in conn.execute(counted):
            name = action.partition(":")[0]
            book = found.setdefault((name, way), {"action": name, "way": way, **dict.fromkeys(STATES, 0)})
            book[state] += count
    return [found[key] for key in sorted(found)]


_KEY = (actions.c.invitation_id, actions.c.action)


def _is(key: Key) -> ColumnElement[bool]:
    return and_(actions.c.invitation_id == key[0], actions.c.action == key[1])


def _beyond(key: Key) -> ColumnElement[bool]:
    return or_(actions.c.invitation_id > key[0], and_(actions.c.invitation_id == key[0], actions.c.action > key[1]))


def _waits(ways: Sequence[str], now: dt.datetime) -> ColumnElement[bool]:
    return and_(
        actions.c.state.in_((PLANNED, ATTEMPTED)),
        actions.c.way.in_(ways),
        or_(actions.c.due_at.is_(None), actions.c.due_at <= now),
    )


def _parsed(row: Row) -> dict[str, Any]:
    return {**row, "payload": json.loads(row["payload"])}
