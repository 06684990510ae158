"""What a contact or an account is now, by the answers that the workflows have seen: the newest answer, health, advocates, opt-outs."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, select

from closedloop.ledger.actions import RECORD
from closedloop.ledger.schema import actions, messages, suppressions
from closedloop.programme.rules import Band

OPTED_OUT = ("unsubscribed", "complained", "opted_out")
"""Reasons of a suppression that are the person's own wish."""


class Standing:
    """Read within one transaction; what was read once is not read again."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._contacts: dict[str, dict[str, Any]] = {}
        self._accounts: dict[str, dict[str, Any]] = {}

    def contact(self, contact_id: str) -> dict[str, Any]:
        """The newest answer of a contact; whether it is an advocate, and opted out."""
        if contact_id not in self._contacts:
            newest = self._newest(actions.c.contact_id == contact_id)
            is_promoter = newest.get("last_category") == Band.PROMOTER
            since = self._advocate_since(contact_id) if is_promoter else None
            self._contacts[contact_id] = {
                "contact_id": contact_id,
                **newest,
                "is_advocate": since is not None,
                "advocate_since": since,
                "opted_out": self._opted_out(contact_id),
            }
        return self._contacts[contact_id]

    def account(self, account_id: str) -> dict[str, Any]:
        """The newest answer of anybody at an account, and the sum of the newest change of health by each contact."""
        if account_id not in self._accounts:
            found = (
                select(actions.c.contact_id, actions.c.payload)
                .where(actions.c.account_id == account_id, actions.c.action.like("%.health%"))
                .order_by(actions.c.planned_at, actions.c.invitation_id)
            )
            changes = {contact: json.loads(payload).get("change") for contact, payload in self._conn.execute(found)}
            self._accounts[account_id] = {
                "account_id": account_id,
                **self._newest(actions.c.account_id == account_id),
                "health_change": max(-100, min(100, sum(change for change in changes.values() if change is not None))),
            }
        return self._accounts[account_id]

    def _newest(self, whose: Any) -> dict[str, Any]:
        found = select(actions.c.payload).where(whose, actions.c.action == RECORD)
        answers = [json.loads(payload) for payload in self._conn.scalars(found)]
        if not answers:
            return {}
        newest = max(answers, key=lambda one: (one["answered_at"], one["version"]))
        return {
            "last_score": newest["score"],
            "last_category": newest["category"],
            "last_answered_at": newest["answered_at"],
        }

    def _advocate_since(self, contact_id: str) -> str | None:
        found = select(actions.c.payload).where(
            actions.c.contact_id == contact_id, actions.c.action.like("%.advocate%")
        )
        times = [json.loads(payload).get("since") for payload in self._conn.scalars(found)]
        return min((time for time in times if time), default=None)

    def _opted_out(self, contact_id: str) -> bool:
        found = (
            select(suppressions.c.reason)
            .join(messages, messages.c.person_key == suppressions.c.person_key)
            .where(messages.c.contact_id == contact_id, suppressions.c.reason.in_(OPTED_OUT))
        )
        return self._conn.execute(found.limit(1)).first() is not None
