"""The sender's half of the ledger: claim, hand over, result, recovery. Each step is committed before the next begins.

pending -> claimed -> handed -> sent | rejected | uncertain, or back to pending when proven not accepted.
A message is 'handed' on disk before the mail server sees its data: a sender that dies in between leaves 'handed', and
that becomes 'uncertain', never a second mail, unless the sender's own notes prove that the server never saw it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, or_, select, tuple_, update

from closedloop.errors import BadInput
from closedloop.ledger.books import WaveBooks, alert_books, books, reminder_books, total
from closedloop.ledger.checks import ANSWERED, OUTSIDE_HOURS, Checks, hold_wave
from closedloop.ledger.engine import Ledger, serialise
from closedloop.ledger.limits import ACCOUNT, DAILY, DOMAIN, HOURLY, WARM_UP, Limits
from closedloop.ledger.messages import ABOUT, settle, suppress_messages, visible
from closedloop.ledger.rows import Row, chunks, payload_from
from closedloop.ledger.schema import answers, messages, suppressions, wave_approvals
from closedloop.ledger.switches import SENDING, SWITCHED_OFF, is_on
from closedloop.programme import Rule, Survey
from closedloop.settings import Settings

__all__ = [
    "Claim",
    "Flights",
    "Result",
    "Wave",
    "WaveBooks",
    "alert_books",
    "approve_wave",
    "books",
    "claim",
    "count_pending",
    "hand_over",
    "pending_waves",
    "record_results",
    "recover",
    "release",
    "reminder_books",
    "total",
]

LEASE = dt.timedelta(minutes=10)
BATCH = 500
BY_SENDER = ("email", "sms")
"""Channels on which the sender reaches people; on the others the collector shows what is asked."""
STOPPED = "the sender stopped between hand-over and answer"


@dataclass(frozen=True, order=True)
class Wave:
    """Messages that are sent together; alerts come first."""

    kind: str
    survey_id: str
    wave_id: str


@dataclass
class Claim:
    """What one claim gave: rows to send (`payload` parsed), and how many were kept back or closed, by reason."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)
    suppressed: dict[str, int] = field(default_factory=dict)
    last: str | None = None
    """Where the next claim of this wave goes on; None when the wave is through."""

    def hold(self, reason: str, count: int = 1) -> None:
        """Note messages that stay pending for now."""
        if count:
            self.held[reason] = self.held.get(reason, 0) + count


@dataclass(frozen=True)
class Result:
    """What the mail server made of a message: 'sent', 'rejected', 'uncertain', or 'pending' (proven not accepted)."""

    message_id: str
    state: str
    reason: str | None = None
    retry_at: dt.datetime | None = None


@dataclass(frozen=True)
class Flights:
    """What a sender noted of its hand-overs: whose data the server began to see, and what ended how."""

    owner: str
    begun: set[str]
    ended: Mapping[str, Result]


def pending_waves(ledger: Ledger) -> Iterator[Wave]:
    """The waves that hold pending messages, alerts first; one short read each."""
    after: Wave | None = None
    key = (messages.c.kind, messages.c.survey_id, messages.c.wave_id)
    while True:
        ours = (messages.c.state == "pending") & messages.c.channel.in_(BY_SENDER)
        found = select(*key).where(ours).order_by(*key).limit(1)
        if after is not None:
            found = found.where(tuple_(*key) > (after.kind, after.survey_id, after.wave_id))
        with ledger.read() as conn:
            row = conn.execute(found).first()
        if row is None:
            return
        after = Wave(*row)
        yield after


def count_pending(ledger: Ledger) -> int:
    """Messages that wait for the sender, due or not."""
    with ledger.read() as conn:
        ours = (messages.c.state == "pending") & messages.c.channel.in_(BY_SENDER) & visible()
        return conn.execute(select(func.count()).where(ours)).scalar_one()


def claim(
    ledger: Ledger,
    wave: Wave,
    *,
    surveys: Mapping[str, Survey],
    settings: Settings,
    owner: str,
    now: dt.datetime,
    after: str = "",
    limit: int = BATCH,
    lease: dt.timedelta = LEASE,
    channels: Sequence[str] = BY_SENDER,
) -> Claim:
    """Take up to `limit` due messages of a wave for `owner`; what may not be sent is closed or kept, in one go.

    All rules of hand-over are looked at in this transaction (`checks`). Alerts are about us and our customers'
    answers: only the allow-list applies to them. What comes outside the business hours of its recipient is due again
    when they open, what is over a limit (`limits`) when there is room. Nothing is taken while sending is switched off. Go
    on with `after=claim.last` until that is None. `channels` are those that work.
    """
    result = Claim()
    with ledger.write() as conn:
        serialise(conn, "claim")  # two senders must not each take a message of the same person
        limits = Limits.load(conn, settings, now)
        full = limits.of_all() if wave.kind != "alert" else None
        hold = SWITCHED_OFF if not is_on(conn, SENDING) else full[0] if full else None
        hold = hold or hold_wave(conn, wave.kind, wave.survey_id, wave.wave_id, surveys, settings)
        if not after:
            waiting = select(messages.c.state_reason, func.count()).where(
                _of(wave), messages.c.state_reason.in_(_WAITS), ~_is_due(now)
            )
            for reason, count in conn.execute(waiting.group_by(messages.c.state_reason)):
                result.hold(reason, count)
        due = _of(wave) & _is_due(now) & (messages.c.message_id > after)
        if set(channels) != set(BY_SENDER):
            unserved = due & messages.c.channel.not_in(channels) & _unexpired(now)
            if not after:
                result.hold(NO_WAY, conn.execute(select(func.count()).where(unserved)).scalar_one())
            due &= messages.c.channel.in_(channels)
        if hold:
            if not after or full:  # a limit may be reached in the middle of a wave
                result.hold(hold, conn.execute(select(func.count()).where(due, _unexpired(now))).scalar_one())
            due &= ~_unexpired(now)
        found = select(messages).where(due).order_by(messages.c.message_id).limit(limit)
        taken = conn.execute(found.with_for_update(skip_locked=True)).mappings()
        rows = [{**row, "payload": payload_from(row["payload"])} for row in taken]
        result.last = rows[-1]["message_id"] if len(rows) == limit else None
        limits.load_accounts(conn, rows)
        _judge(conn, rows, surveys, settings, now, limits, result)
        if result.messages:
            limits.save(conn)
            conn.execute(
                _CLAIM, [{"id": row["message_id"], "owner": owner, "until": now + lease} for row in result.messages]
            )
    return result


def _judge(
    conn: Connection,
    rows: Sequence[dict[str, Any]],
    surveys: Mapping[str, Survey],
    settings: Settings,
    now: dt.datetime,
    limits: Limits,
    result: Claim,
) -> None:
    checks = Checks.load(conn, rows, surveys, now)
    closed: list[tuple[Row, str]] = []
    noted: list[dict[str, Any]] = []
    asleep: list[dict[str, Any]] = []
    for row in rows:
        if reason := checks.refuse(row):
            closed.append((row, reason))
            result.suppressed[reason] = result.suppressed.get(reason, 0) + 1
        elif not all(settings.may_receive(address) for address in recipients(row)):
            result.hold(NOT_LIVE)
            if row["state_reason"] != NOT_LIVE:
                noted.append({"id": row["message_id"], "why": NOT_LIVE})
        elif (opens := checks.opens_at(row)) != now:
            result.hold(OUTSIDE_HOURS)
            asleep.append({"id": row["message_id"], "why": OUTSIDE_HOURS, "next": opens})
        elif over := limits.refuse(row):
            reason, until = over
            result.hold(reason)
            asleep.append({"id": row["message_id"], "why": reason, "next": until})
        else:
            checks.took(row)
            limits.take(row)
            result.messages.append(row)
    suppress_messages(conn, closed, now=now)
    if noted:
        conn.execute(_NOTE, noted)
    if asleep:
        conn.execute(_SLEEP, asleep)


NOT_LIVE = "live sending is off"
NO_WAY = "the way out is not set up, or down"
_WAITS = (OUTSIDE_HOURS, HOURLY, DAILY, WARM_UP, DOMAIN, ACCOUNT)


def recipients(row: Row) -> list[str]:
    """All addresses, or the number, that a message (`payload` parsed) goes to."""
    payload = row["payload"]
    if row["channel"] == "sms" and row["kind"] != "alert":
        return [payload.get("mobile_phone") or ""]
    return [payload.get("email") or "", *(payload.get("cc") or ())]


def hand_over(
    ledger: Ledger,
    message_ids: Sequence[str],
    *,
    owner: str,
    now: dt.datetime,
    lease: dt.timedelta = LEASE,
    suppressed: dict[str, int] | None = None,
) -> list[str]:
    """Mark claimed messages 'handed', on disk, before the mail server sees them. Returns those that still are ours.

    Whoever unsubscribed since the claim gets nothing, and whoever answered gets no reminder: with a slow mail server that
    can be minutes. Such messages are closed, and counted in `suppressed` by reason. Nothing is handed over, and all given
    back, once sending is switched off.
    """
    with ledger.write() as conn:
        held = (messages.c.state == "claimed") & (messages.c.lease_owner == owner) & (messages.c.lease_until > now)
        if not is_on(conn, SENDING):
            conn.execute(update(messages).where(held).values(**_FREE, state_reason=SWITCHED_OFF))
            return []
        rows = conn.execute(
            select(*ABOUT, messages.c.person_key).where(messages.c.message_id.in_(message_ids), held).with_for_update()
        ).mappings()
        found = {row["message_id"]: row for row in rows}
        people = {row["person_key"] for row in found.values() if row["person_key"] and row["kind"] != "alert"}
        blocked = set(
            conn.scalars(select(suppressions.c.person_key).where(suppressions.c.person_key.in_(sorted(people))))
        )
        reminded = sorted({row["invitation_id"] for row in found.values() if row["kind"] == "reminder"})
        known = select(answers.c.invitation_id).where(answers.c.invitation_id.in_(reminded))
        answered = set(conn.scalars(known)) if reminded else set()
        late: dict[str, str] = {}
        for key, row in found.items():
            if row["kind"] != "alert" and row["person_key"] in blocked:
                late[key] = Rule.SUPPRESSED.value
            elif row["kind"] == "reminder" and row["invitation_id"] in answered:
                late[key] = ANSWERED
        suppress_messages(conn, [(found[key], reason) for key, reason in late.items()], now=now)
        ours = [message_id for message_id in message_ids if message_id in found and message_id not in late]
        if ours:
            conn.execute(_HAND, [{"id": message_id, "until": now + lease, "at": now} for message_id in ours])
    for reason in late.values() if suppressed is not None else ():
        suppressed[reason] = suppressed.get(reason, 0) + 1
    return ours


def record_results(ledger: Ledger, results: Iterable[Result], *, owner: str, now: dt.datetime) -> dict[str, int]:
    """Write down what became of messages that `owner` claimed or handed over; returns counts by state.

    An answer that comes after the lease was given up (the message stands 'uncertain') still counts: it is knowledge.
    """
    counts: dict[str, int] = {}
    for some in chunks(results, BATCH):
        by_id = {result.message_id: result for result in some}
        with ledger.write() as conn:
            rows = conn.execute(
                select(*ABOUT)
                .where(messages.c.message_id.in_(list(by_id)), messages.c.lease_owner == owner)
                .where(messages.c.state.in_(["claimed", "handed", "uncertain"]))
                .with_for_update()
            ).mappings()
            found = [(row, by_id[row["message_id"]]) for row in rows]
            _write(conn, found, now)
        for _, result in found:
            counts[result.state] = counts.get(result.state, 0) + 1
    return counts


def release(ledger: Ledger, *, owner: str) -> int:
    """Give back what `owner` claimed and did not hand over; returns how many are pending again."""
    with ledger.write() as conn:
        mine = (messages.c.state == "claimed") & (messages.c.lease_owner == owner)
        return conn.execute(update(messages).where(mine).values(**_FREE)).rowcount


def recover(ledger: Ledger, *, now: dt.datetime, alone: bool, flights: Flights | None = None) -> dict[str, int]:
    """Clean up after senders that died: claimed becomes pending, handed becomes uncertain. Returns counts by state.

    `alone`: no other sender can be at work, so every lease is dead; otherwise only those that have run out. `flights` is what
    a dead sender of this machine noted: what the server never saw is pending, and what is known to have ended has ended so.
    """
    dead = messages.c.lease_until.is_not(None) if alone else messages.c.lease_until <= now
    if flights is not None:
        dead |= messages.c.lease_owner == flights.owner  # the home's lock is ours, so that sender is no more
    with ledger.write() as conn:
        claimed = (messages.c.state == "claimed") & dead
        freed = conn.execute(update(messages).where(claimed).values(**_FREE)).rowcount
    counts = {"pending": freed, "uncertain": 0}
    while True:
        with ledger.write() as conn:
            handed = select(*ABOUT, messages.c.lease_owner).where(messages.c.state == "handed", dead)
            rows = conn.execute(handed.limit(BATCH).with_for_update()).mappings().all()
            results = [(row, _left_behind(row, flights)) for row in rows]
            _write(conn, results, now)
        for _, result in results:
            counts[result.state] = counts.get(result.state, 0) + 1
        if len(rows) < BATCH:
            return counts


def _left_behind(row: Row, flights: Flights | None) -> Result:
    """What is known of a message whose sender died."""
    key = row["message_id"]
    if flights is None or row["lease_owner"] != flights.owner:
        return Result(key, "uncertain", STOPPED)
    if key in flights.ended:
        return flights.ended[key]
    if key in flights.begun:
        return Result(key, "uncertain", STOPPED)
    return Result(key, "pending", "the sender stopped before the server saw it")


def _write(conn: Connection, results: Sequence[tuple[Row, Result]], now: dt.datetime) -> None:
    """Put messages into the state in which they ended, or back to pending."""
    back = [{"id": r.message_id, "why": r.reason, "next": r.retry_at} for _, r in results if r.state == "pending"]
    settle(conn, [(row, r.state, r.reason) for row, r in results if r.state != "pending"], at=now, now=now)
    if back:
        conn.execute(_BACK, back)


def approve_wave(ledger: Ledger, wave_id: str, *, by: str, now: dt.datetime) -> None:
    """Let a large wave be sent. Approving again changes nothing. Raises BadInput when there is no such wave."""
    with ledger.write() as conn:
        serialise(conn, "approvals")
        if conn.execute(select(wave_approvals).where(wave_approvals.c.wave_id == wave_id)).first():
            return
        known = select(messages.c.message_id).where(messages.c.wave_id == wave_id, visible()).limit(1)
        if conn.execute(known).first() is None:
            raise BadInput(f"there is no wave '{wave_id}'", field="wave_id", remedy="`closedloop books` lists them")
        row = {"wave_id": wave_id, "approved_by": by, "approved_at": now}
        conn.execute(wave_approvals.insert(), row)


def _of(wave: Wave) -> ColumnElement[bool]:
    return (
        (messages.c.state == "pending")
        & (messages.c.kind == wave.kind)
        & (messages.c.survey_id == wave.survey_id)
        & (messages.c.wave_id == wave.wave_id)
        & messages.c.channel.in_(BY_SENDER)
        & visible()
    )


def _is_due(now: dt.datetime) -> ColumnElement[bool]:
    return or_(messages.c.next_attempt_at.is_(None), messages.c.next_attempt_at <= now, ~_unexpired(now))


def _unexpired(now: dt.datetime) -> ColumnElement[bool]:
    return or_(messages.c.expires_at.is_(None), messages.c.expires_at > now)


_TIME = messages.c.lease_until.type
_FREE: dict[str, Any] = {"state": "pending", "lease_owner": None, "lease_until": None}
_ONE = update(messages).where(messages.c.message_id == bindparam("id"))
_CLAIM = _ONE.values(
    state="claimed", state_reason=None, lease_owner=bindparam("owner"), lease_until=bindparam("until", type_=_TIME)
)
_HAND = _ONE.values(
    state="handed",
    state_at=bindparam("at", type_=_TIME),
    lease_until=bindparam("until", type_=_TIME),
    attempts=messages.c.attempts + 1,
)
_BACK = _ONE.values(**_FREE, state_reason=bindparam("why"), next_attempt_at=bindparam("next", type_=_TIME))
_NOTE = _ONE.values(state_reason=bindparam("why"))
_SLEEP = _ONE.values(state_reason=bindparam("why"), next_attempt_at=bindparam("next", type_=_TIME))
