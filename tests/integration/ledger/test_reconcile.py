"""Uncertain messages are resolved by evidence, and by nothing else."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from ledger_world import NOW, candidate, plan, survey
from paper_sender import Sender
from sqlalchemy import select

from closedloop.errors import BadInput
from closedloop.ledger import Ledger, answers
from closedloop.ledger.books import books
from closedloop.ledger.reconcile import Reconciled, reconcile
from closedloop.ledger.rows import add_events, event
from closedloop.ledger.schema import messages
from dispatch.serverlog import read_log

LATER = NOW + dt.timedelta(hours=1)


@pytest.fixture
def ids(ledger: Ledger, settings) -> list[str]:
    """Two uncertain invitations."""
    ids = plan(ledger, [candidate("ann"), candidate("bob")])
    assert Sender(ledger, settings, survey()).send(state="uncertain") == 2
    return ids


def _states(ledger: Ledger) -> dict[str, str]:
    with ledger.read() as conn:
        return dict(conn.execute(select(messages.c.message_id, messages.c.state)).tuples().all())


def test_without_evidence_they_stay_uncertain_and_are_counted(ledger: Ledger, ids):
    assert reconcile(ledger, now=LATER) == Reconciled(uncertain=2)
    assert books(ledger)[0].uncertain == 2


@pytest.mark.parametrize("kind", ["opened", "clicked", "viewed"])
def test_a_hit_proves_that_the_mail_came(ledger: Ledger, ids, kind):
    with ledger.write() as conn:
        answers.record_hit(conn, ids[0], kind, at=LATER, now=LATER, score=9 if kind == "clicked" else None)
    assert reconcile(ledger, now=LATER) == Reconciled(sent_by_events=1, uncertain=1)
    assert _states(ledger) == {ids[0]: "sent", ids[1]: "uncertain"}
    assert books(ledger)[0].balanced


def test_with_a_reminder_about_a_hit_proves_neither_of_the_two(ledger: Ledger, settings, ids):
    from closedloop.ledger.rows import add_messages

    with ledger.write() as conn:
        add_messages(
            conn, [{**candidate("ann"), "message_id": "again", "kind": "reminder", "sequence": 1, "state": "uncertain"}]
        )
        answers.record_hit(conn, ids[0], "viewed", at=LATER, now=LATER)
    assert reconcile(ledger, now=LATER) == Reconciled(uncertain=3)
    with ledger.write() as conn:
        about = {"message_id": "again", "invitation_id": ids[0], "survey_id": "post-close", "contact_id": "ann"}
        add_events(conn, [event("delivered", about, at=LATER, now=LATER, message_kind="reminder", provider="ses")])
    assert reconcile(ledger, now=LATER) == Reconciled(sent_by_events=1, uncertain=2)
    assert _states(ledger)["again"] == "sent"


def _log(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "mail.log"
    file.write_text("\n".join(lines) + "\n")
    return file


def _json(at: dt.datetime, message_id: str = "") -> str:
    return f'{{"at": "{at.isoformat()}", "message_id": "{message_id}"}}'


def test_a_complete_log_proves_what_came_and_what_never_did(ledger: Ledger, settings, ids, tmp_path):
    around = [_json(NOW - dt.timedelta(hours=1)), _json(NOW, f"<{ids[0]}@x.example>"), _json(LATER)]
    log = read_log(_log(tmp_path, *around), complete=True, now=LATER)
    assert reconcile(ledger, log=log, now=LATER) == Reconciled(sent_by_log=1, not_accepted=1)
    assert _states(ledger) == {ids[0]: "sent", ids[1]: "pending"}
    assert books(ledger)[0].balanced
    assert Sender(ledger, settings, survey()).send(LATER) == 1, "it goes out again, once"
    assert reconcile(ledger, log=log, now=LATER) == Reconciled()


def test_a_log_that_may_have_gaps_proves_only_what_came(ledger: Ledger, ids, tmp_path):
    lines = [_json(NOW - dt.timedelta(hours=1)), _json(NOW, ids[0]), _json(LATER)]
    log = read_log(_log(tmp_path, *lines), complete=False, now=LATER)
    assert reconcile(ledger, log=log, now=LATER) == Reconciled(sent_by_log=1, uncertain=1)


def test_a_log_that_begins_too_late_proves_nothing_about_what_it_lacks(ledger: Ledger, ids, tmp_path):
    log = read_log(_log(tmp_path, _json(NOW, ids[0]), _json(LATER)), complete=True, now=LATER)
    assert reconcile(ledger, log=log, now=LATER) == Reconciled(sent_by_log=1, uncertain=1)


@pytest.mark.parametrize("form", ["2026-03-02T09:00:01.123456+00:00", "Mar  2 09:00:01"])
def test_the_log_of_postfix_is_read(form: str, ids, tmp_path):
    before, after = form.replace("09:00", "08:00"), form.replace("09:00", "09:30")
    lines = [
        f"{before} mx postfix/smtpd[10]: connect from localhost[127.0.0.1]",
        f"{form} mx postfix/cleanup[11]: 4Zx9Q1: message-id=<{ids[0]}@closedloop.example>",
        f"{form} mx postfix/smtp[12]: 4Zx9Q1: to=<someone@customer.example>, relay=none, delay=0.1, status=sent (250 ok)",
        f"{after} mx postfix/qmgr[13]: 4Zx9Q1: removed",
    ]
    log = read_log(_log(tmp_path, *lines), complete=True, now=LATER)
    assert log.accepted(ids) == {ids[0]}
    assert log.covers(NOW - dt.timedelta(minutes=5), NOW + dt.timedelta(minutes=5))
    assert not log.covers(NOW - dt.timedelta(hours=3), NOW)


@pytest.mark.parametrize("text", ["nothing of the kind", '{"message_id": "x"}', '{"at": "yesterday"}', "{"])
def test_a_file_that_is_no_log_is_refused_with_its_name(text: str, tmp_path):
    with pytest.raises(BadInput, match="mail.log"):
        read_log(_log(tmp_path, text), complete=True, now=LATER)
