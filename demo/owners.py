"""Account owners who call their unhappy customers back; optional, for a demo that closes its loop too."""

from __future__ import annotations

import datetime as dt
from random import Random

from closedloop.ledger import Ledger
from closedloop.ledger.followups import first_contact, list_followups


def owners_react(ledger: Ledger, *, seed: int, now: dt.datetime, share: float = 0.5) -> int:
    """Record a first contact at `now` (UTC) for this share of the follow-ups that wait for one; returns how many.

    Who reacts depends on (seed, follow-up) alone, so a second run finds the same owners silent.
    """
    waiting = [row for row in list_followups(ledger) if row["first_contact_at"] is None and row["opened_at"] <= now]
    reacting = [row for row in waiting if Random(f"{seed}|{row['invitation_id']}|owner").random() < share]
    for row in reacting:
        by = row["assignee_name"] or row["assignee_id"] or "demo"
        with ledger.write() as conn:
            first_contact(conn, row["invitation_id"], at=now, by=by, note="called back", now=now)
    return len(reacting)
