"""The record of closing the loop: opened once, legal moves only."""

from __future__ import annotations

import datetime as dt

import pytest
from ledger_world import NOW, candidate, plan
from sqlalchemy import select

from closedloop.errors import BadInput
from closedloop.ledger import Ledger, answers, followups
from closedloop.ledger.schema import events
from closedloop.settings import Settings
from dispatch.followup import run_follow_up

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def opened(ledger: Ledger, settings: Settings) -> str:
    [invitation] = plan(ledger, [candidate("ann")])
    with ledger.write() as conn:
        answers.record_answer(conn, invitation, 5, channel="email", judged="human", at=NOW, now=NOW)
    assert run_follow_up(ledger, settings, (), now=NOW).opened == 1
    return invitation


def _contact(ledger: Ledger, invitation: str, at=NOW + HOUR, now=NOW + 9 * HOUR) -> None:
    followups.first_contact(ledger, invitation, at=at, by="Olga", now=now)


def _close(ledger: Ledger, invitation: str, outcome="resolved", at=NOW + 2 * HOUR, now=NOW + 9 * HOUR) -> None:
    followups.log_outcome(ledger, invitation, outcome, at=at, by="Olga", now=now)


def test_from_open_to_closed(ledger: Ledger, opened: str):
    [row] = followups.list_followups(ledger)
    assert (row["status"], row["due_at"], row["acknowledge_due_at"]) == ("open", NOW + 48 * HOUR, NOW + 24 * HOUR)
    _contact(ledger, opened)
    assert followups.list_followups(ledger)[0]["status"] == "in_progress"
    _close(ledger, opened)
    assert followups.list_followups(ledger) == []
    [row] = followups.list_followups(ledger, include_closed=True)
    assert (row["outcome"], row["first_contact_at"], row["closed_at"]) == ("resolved", NOW + HOUR, NOW + 2 * HOUR)
    with ledger.read() as conn:
        kinds = conn.scalars(select(events.c.kind).order_by(events.c.seq)).all()
    assert kinds[-2:] == ["first_contact", "outcome"]


def test_a_customer_who_cannot_be_reached(ledger: Ledger, opened: str):
    with pytest.raises(BadInput, match="needs a first contact"):
        _close(ledger, opened, "resolved")
    _close(ledger, opened, "no_response")


def test_illegal_moves(ledger: Ledger, opened: str):
    for move in (
        lambda: _contact(ledger, "nobody"),
        lambda: _contact(ledger, opened, at=NOW - HOUR),
        lambda: _contact(ledger, opened, at=NOW + 10 * HOUR),
        lambda: _close(ledger, opened, "forgotten"),
        lambda: _close(ledger, "nobody"),
    ):
        with pytest.raises(BadInput):
            move()
    _contact(ledger, opened)
    for move in (lambda: _contact(ledger, opened), lambda: _close(ledger, opened, at=NOW)):
        with pytest.raises(BadInput):
            move()
    _close(ledger, opened)
    for move in (lambda: _contact(ledger, opened), lambda: _close(ledger, opened)):
        with pytest.raises(BadInput, match="closed"):
            move()
