"""Time goes by: warnings, escalations, working hours, and mails in a row that stop when they should."""

from __future__ import annotations

import datetime as dt

import pytest
from ledger_world import NOW, candidate, plan, survey
from mail_server import MailServer

from closedloop.ledger import Ledger, answers, followups
from closedloop.ledger.actions import actions_of
from closedloop.settings import Settings
from dispatch.clocks import running_out, watch_clocks
from dispatch.followup import run_follow_up
from dispatch.knowledge import Known
from dispatch.sender import send_due
from dispatch.sequences import advance_sequences

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
WIN_BACK = {
    "workflows": [
        {"id": "back", "scores": "0-6", "actions": [{"do": "sequence", "sequence": "win-back"}]},
        {"id": "nurture", "scores": "7-8", "actions": [{"do": "sequence", "sequence": "nurture"}]},
    ],
    "sequences": [
        {
            "id": "win-back",
            "starts": "when_closed",
            "mails": [
                {"after_days": 3, "subject": "What we changed", "body": "Hi {{ first_name }}"},
                {"after_days": 30, "subject": "And now?", "body": "Hi again"},
            ],
        },
        {
            "id": "nurture",
            "mails": [
                {"after_days": 0, "subject": "Tips", "body": "One"},
                {"after_days": 7, "subject": "More", "body": "Two"},
            ],
        },
    ],
}


class Cases:
    """A publication that knows how many cases are open."""

    left: frozenset[str] = frozenset()

    def __init__(self, open_cases: int = 0) -> None:
        self.open_cases = open_cases

    def of(self, contact_id: str, account_id: str | None) -> Known:
        return Known({}, {"open_cases": self.open_cases})


def _answered(ledger: Ledger, settings: Settings, score: int, programme, at=NOW, name="ann") -> str:
    [invitation] = plan(ledger, [candidate(name, programme=programme)])
    with ledger.write() as conn:
        answers.record_answer(conn, invitation, score, channel="email", judged="human", at=at, now=at)
    run_follow_up(ledger, settings, (), now=at)
    return invitation


def test_the_manager_is_told_once_when_the_promise_is_broken(ledger, settings, server: MailServer, clock):
    programme = survey()
    invitation = _answered(ledger, settings, 5, programme)
    watch = lambda hours: watch_clocks(ledger, settings, [programme], now=NOW + hours * HOUR)  # noqa: E731
    assert watch(41) == {"sla_warning": 1, "escalation": 0}
    assert watch(48) == {"sla_warning": 0, "escalation": 1}
    assert watch(49) == {"sla_warning": 0, "escalation": 0}
    assert running_out(ledger, [programme], now=NOW + 50 * HOUR) == []
    send_due(ledger, settings, [programme], clock=clock)
    alerts = [recipients for _, recipients in server.envelopes if "customer" not in recipients[0]]
    assert ("max@closedloop.example", "olga@closedloop.example") in alerts
    assert actions_of(ledger, invitation)["escalation"]["state"] == "done"


@pytest.mark.parametrize(
    ("rules", "at", "expected"),
    [
        ({"warn_hours": 0}, 47, {"sla_warning": 0, "escalation": 0}),
        ({"warn_hours": 20}, 29, {"sla_warning": 1, "escalation": 0}),
        ({"escalate": False}, 48.5, {"sla_warning": 0, "escalation": 0}),
        ({}, 48 + 25, {"sla_warning": 0, "escalation": 0}),  # far too late: it would help nobody
    ],
)
def test_as_the_programme_says(ledger, settings, rules, at, expected):
    programme = survey(follow_up=rules)
    _answered(ledger, settings, 5, programme)
    assert watch_clocks(ledger, settings, [programme], now=NOW + at * HOUR) == expected


def test_clocks_in_working_hours(ledger, settings):
    hours = {"opens": "09:00", "closes": "17:00", "time_zone": "UTC", "holidays": ["2026-03-03"]}
    programme = survey(follow_up={"acknowledge_hours": 8, "sla_hours": 12, "working_hours": hours})
    friday = dt.datetime(2026, 2, 27, 16, 0, tzinfo=dt.UTC)
    _answered(ledger, settings, 5, programme, at=friday)
    [row] = followups.list_followups(ledger)
    assert row["acknowledge_due_at"] == dt.datetime(2026, 3, 2, 16, 0, tzinfo=dt.UTC)
    assert row["due_at"] == dt.datetime(2026, 3, 4, 12, 0, tzinfo=dt.UTC), "Tuesday is a holiday"


def _advance(ledger, at, knowledge=None) -> int:
    return advance_sequences(ledger, (), now=at, knowledge=knowledge)


def test_winning_back_waits_until_all_is_closed(ledger, settings):
    invitation = _answered(ledger, settings, 3, survey(**WIN_BACK))
    assert _advance(ledger, NOW + 10 * DAY) == 0
    closed = NOW + 11 * DAY
    with ledger.write() as conn:
        followups.first_contact(conn, invitation, at=closed, by="Olga", now=closed)
        followups.log_outcome(conn, invitation, "resolved", at=closed, by="Olga", now=closed)
    assert _advance(ledger, closed + 5 * DAY, Cases(1)) == 0
    assert _advance(ledger, closed + 6 * DAY, Cases(0)) == 1
    assert _advance(ledger, closed + 6 * DAY, Cases(0)) == 0
    assert _advance(ledger, closed + 30 * DAY, Cases(0)) == 1
    found = actions_of(ledger, invitation)
    assert found["back.sequence"]["state"] == "done"
    assert [found[f"back.sequence:{number}"]["way"] for number in (1, 2)] == ["mail", "mail"]


@pytest.mark.parametrize("reason", ["answered again", "suppressed", "a case was opened"])
def test_a_sequence_stops(ledger, settings, reason):
    programme = survey(**WIN_BACK)
    invitation = _answered(ledger, settings, 8, programme)
    assert _advance(ledger, NOW, Cases(0)) == 1
    cases = Cases(0)
    if reason == "answered again":
        other = survey(id="support", **WIN_BACK)
        _answered(ledger, settings, 9, other, at=NOW + DAY)
    elif reason == "suppressed":
        with ledger.write() as conn:
            answers.unsubscribe(conn, invitation, at=NOW + DAY, now=NOW + DAY)
    else:
        cases = Cases(1)
    assert _advance(ledger, NOW + 7 * DAY, cases) == 0
    found = actions_of(ledger, invitation)["nurture.sequence"]
    assert (found["state"], found["reason"]) == ("skipped", reason)


def test_what_was_slept_through_comes_a_day_apart(ledger, settings):
    _answered(ledger, settings, 8, survey(**WIN_BACK))
    late = NOW + 40 * DAY
    assert _advance(ledger, late) == 1
    assert _advance(ledger, late + HOUR) == 0
    assert _advance(ledger, late + DAY) == 1
    assert _advance(ledger, late + 9 * DAY) == 0
