"""What waits to be done, read from the ledger: sensors start runs for it and remember nothing themselves."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Select, and_, func, or_, select

from closedloop.ledger import Ledger
from closedloop.ledger.actions import CHAT, CRM, SEQUENCE, due_actions
from closedloop.ledger.delivery import BY_SENDER
from closedloop.ledger.followups import COURSE, unworked
from closedloop.ledger.messages import visible
from closedloop.ledger.reminders import due_reminders
from closedloop.ledger.schema import events, messages, publications, wave_approvals
from closedloop.ledger.switches import SENDING, is_on
from closedloop.ledger.webhooks import due_deliveries
from closedloop.programme import Survey
from dispatch.clocks import running_out

LISTED = 5_000
"""So many ids go into the name of a piece of work; beyond them the count tells two apart."""


@dataclass(frozen=True)
class Waiting:
    """A piece of work: how much, and a name that is the same as long as the work is the same."""

    count: int
    name: str
    oldest: dt.datetime | None = None


def name_of(parts: Iterable[object]) -> str:
    """A short hash over what a piece of work consists of."""
    return hashlib.sha256("\n".join(str(part) for part in parts).encode()).hexdigest()[:20]


def messages_to_send(ledger: Ledger, *, now: dt.datetime, approval_size: int) -> Waiting | None:
    """Messages that the sender would take now: due, sealed, not in a wave that waits for approval; and hand-overs whose
    sender died. None when there are none, or sending is switched off."""
    due = and_(
        messages.c.state == "pending",
        messages.c.channel.in_(BY_SENDER),
        or_(messages.c.next_attempt_at.is_(None), messages.c.next_attempt_at <= now),
    )
    left_behind = and_(messages.c.state.in_(("claimed", "handed")), messages.c.lease_until < now)
    # Approval is about asking: an alert on an answer to the wave's first part goes out at once.
    may_go = or_(messages.c.kind == "alert", messages.c.wave_id.not_in(_waves_for_approval(approval_size)))
    wanted = (or_(due, left_behind), visible(), may_go)
    with ledger.read() as conn:
        count = conn.execute(select(func.count()).where(*wanted)).scalar_one()
        if not count or not is_on(conn, SENDING):
            return None
        parts = conn.execute(
            select(
                messages.c.message_id,
                messages.c.state,
                messages.c.attempts,
                messages.c.lease_until,
                messages.c.next_attempt_at,  # in the morning, what came outside business hours is other work than at night
            )
            .where(*wanted)
            .order_by(messages.c.message_id)
            .limit(LISTED)
        ).all()
    return Waiting(count, name_of([count, *parts]))


def _waves_for_approval(size: int) -> Select[tuple[str]]:
    approved = select(wave_approvals.c.wave_id)
    return (
        select(messages.c.wave_id)
        .where(messages.c.kind == "invitation", messages.c.wave_id.not_in(approved))
        .group_by(messages.c.wave_id)
        .having(func.count() > size)
    )


def reminders_to_plan(ledger: Ledger, surveys: Iterable[Survey], *, now: dt.datetime) -> Waiting | None:
    """Reminders whose day has come and that the sender's next run plans. None when there are none."""
    ids = due_reminders(ledger, surveys, now=now)
    return Waiting(len(ids), name_of(ids)) if ids else None


def answers_to_follow_up(
    ledger: Ledger, *, now: dt.datetime, grace: dt.timedelta, confirmed: Iterable[str] = ()
) -> Waiting | None:
    """Answers that no workflow has seen yet: those of people, and those `confirmed` since.

    A score that came within `grace` waits for its words, so that the alert can show them.
    """
    parts = sorted(
        (row["invitation_id"], row["version"])
        for row in unworked(ledger, confirmed=confirmed)
        if row["comment"] or now - row["scored_at"] >= grace
    )
    return Waiting(len(parts), name_of(parts)) if parts else None


def clocks_that_ran_out(ledger: Ledger, surveys: Iterable[Survey], *, now: dt.datetime) -> Waiting | None:
    """Follow-ups that a warning or an escalation is due for and that have had none."""
    parts = sorted((one.row["invitation_id"], one.action) for one in running_out(ledger, surveys, now=now))
    return Waiting(len(parts), name_of(parts)) if parts else None


def sequences_to_move_on(ledger: Ledger, *, now: dt.datetime) -> Waiting | None:
    """Sequences of mails that are due to be looked at."""
    parts = [
        (row["invitation_id"], row["action"], f"{row['due_at']}") for row in due_actions(ledger, [SEQUENCE], now=now)
    ]
    return Waiting(len(parts), name_of(parts)) if parts else None


def actions_for_the_crm(ledger: Ledger, *, now: dt.datetime) -> Waiting | None:
    """Actions that wait to be written to the CRM."""
    rows = due_actions(ledger, [CRM], now=now)
    parts = [(row["invitation_id"], row["action"], row["version"], row["attempts"]) for row in rows]
    return Waiting(len(parts), name_of(parts)) if parts else None


def events_to_tell(ledger: Ledger, endpoints: Iterable[str], *, now: dt.datetime) -> Waiting | None:
    """Events and retries that are due for these endpoints of webhooks, and lines that wait for a chat."""
    chats = due_actions(ledger, [CHAT], now=now)
    parts = [
        *due_deliveries(ledger, endpoints, now=now, limit=LISTED),
        *((row["invitation_id"], row["action"], row["attempts"], f"{row['due_at']}") for row in chats),
    ]
    return Waiting(len(parts), name_of(parts)) if parts else None


def news_for_the_marts(ledger: Ledger) -> Waiting | None:
    """Answers that came in since the newest publication was built; `oldest` is when the first of them was recorded.

    None before the first publication: what is built first is decided by a person, the schedule, or the first export.
    """
    with ledger.read() as conn:
        known_at = conn.execute(
            select(publications.c.known_at).order_by(publications.c.seq.desc()).limit(1)
        ).scalar_one_or_none()
        if known_at is None:
            return None
        count, last, oldest = conn.execute(
            select(func.count(), func.max(events.c.seq), func.min(events.c.recorded_at)).where(
                events.c.kind.in_(("answered", "voided", *COURSE)), events.c.recorded_at > known_at
            )
        ).one()
    return Waiting(count, name_of([last]), oldest) if count else None


@dataclass(frozen=True)
class Silence:
    """Since when nothing of a kind has happened; `last_seq` names the event after which it fell silent."""

    kind: str
    since: dt.datetime
    last_seq: int


def silences(ledger: Ledger, *, now: dt.datetime, longer_than: dt.timedelta) -> list[Silence]:
    """For 'sent' and 'answered': the silence that has lasted too long. What never happened is no silence."""
    found = []
    with ledger.read() as conn:
        for kind in ("sent", "answered"):
            row = conn.execute(
                select(events.c.seq, events.c.recorded_at)
                .where(events.c.kind == kind)
                .order_by(events.c.seq.desc())
                .limit(1)
            ).first()
            if row is not None and now - row.recorded_at > longer_than:
                found.append(Silence(kind, row.recorded_at, row.seq))
    return found
