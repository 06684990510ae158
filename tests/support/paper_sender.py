"""A sender without a mail server: it claims, hands over and records as the real one does."""

from __future__ import annotations

import datetime as dt
from typing import Any

from ledger_world import NOW
from sqlalchemy import select

from closedloop.ledger import Ledger, delivery
from closedloop.ledger.delivery import Result
from closedloop.ledger.schema import messages
from closedloop.programme import Survey
from closedloop.settings import Settings


class Sender:
    """Claims all that is due, under these programmes, and says what became of it."""

    def __init__(self, ledger: Ledger, settings: Settings, *programmes: Survey) -> None:
        self.ledger, self.settings = ledger, settings
        self.surveys = {programme.id: programme for programme in programmes}

    def claim(self, now: dt.datetime = NOW, limit: int = 500) -> tuple[list[str], dict[str, int], dict[str, int]]:
        """(contacts taken, held, suppressed)"""
        taken: list[str] = []
        held: dict[str, int] = {}
        closed: dict[str, int] = {}
        for wave in delivery.pending_waves(self.ledger):
            after: str | None = ""
            while after is not None:
                common: dict[str, Any] = {"surveys": self.surveys, "settings": self.settings, "owner": "me"}
                claim = delivery.claim(self.ledger, wave, now=now, after=after, limit=limit, **common)
                taken += [row["contact_id"] for row in claim.messages]
                for into, found in ((held, claim.held), (closed, claim.suppressed)):
                    for reason, count in found.items():
                        into[reason] = into.get(reason, 0) + count
                after = claim.last
        return sorted(taken), held, closed

    def send(self, now: dt.datetime = NOW, state: str = "sent") -> int:
        """Claim and end all that is due in `state`; returns how many."""
        self.claim(now)
        mine = select(messages.c.message_id).where(messages.c.state == "claimed")
        with self.ledger.read() as conn:
            ids = list(conn.scalars(mine))
        if state != "claimed":
            delivery.hand_over(self.ledger, ids, owner="me", now=now)
        if state not in ("claimed", "handed"):
            delivery.record_results(self.ledger, [Result(key, state) for key in ids], owner="me", now=now)
        return len(ids)
