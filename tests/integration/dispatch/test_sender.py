"""The sender against a real SMTP conversation: what is sent, what fails and how, and what that makes of the books."""

from __future__ import annotations

import datetime as dt
import os
import signal
import socket
import sqlite3
import threading
import time

import pytest
from ledger_world import NOW, candidate, plan, survey
from mail_server import MailServer
from sqlalchemy import select

from closedloop.clock import Clock
from closedloop.errors import Busy
from closedloop.ledger import Ledger, lists
from closedloop.ledger.books import books, reminder_books
from closedloop.ledger.reminders import plan_reminders
from closedloop.ledger.schema import events, messages
from closedloop.settings import Settings
from dispatch import sender
from dispatch.lock import sender_lock
from dispatch.sender import DOMAIN_BUSY, GROUP, SendReport, send_due
from dispatch.smtp import MailServerUnavailable

SURVEYS = (survey(),)
LATER = dt.timedelta(hours=2)


def _send(ledger: Ledger, settings: Settings, clock: Clock, **over) -> SendReport:
    return send_due(ledger, settings, SURVEYS, clock=clock, timeout=0.5, **over)


def _row(ledger: Ledger, message_id: str):
    with ledger.read() as conn:
        return conn.execute(select(messages).where(messages.c.message_id == message_id)).one()


def test_all_that_is_due_is_sent_once(ledger: Ledger, settings, server, clock):
    ids = plan(ledger, [candidate(f"p{number}") for number in range(2 * GROUP + 6)])
    seen = []
    report = _send(ledger, settings, clock, progress=lambda report: seen.append(report.sent))
    assert report.sent == len(ids)
    assert seen == [GROUP, 2 * GROUP, len(ids)]
    assert server.accepted == dict.fromkeys(ids, 1)
    assert server.connections == 1
    assert _send(ledger, settings, clock).handled == 0
    [wave] = books(ledger)
    assert (wave.sent, wave.balanced) == (len(ids), True)
    with ledger.read() as conn:
        sent = conn.execute(select(events).where(events.c.kind == "sent")).all()
    assert len(sent) == len(ids)
    assert NOW <= sent[0].occurred_at <= NOW + dt.timedelta(minutes=2)


def test_the_mail_is_a_real_survey_mail_to_one_envelope(ledger: Ledger, settings, server: MailServer, clock):
    [ann] = plan(ledger, [candidate("ann")])
    _send(ledger, settings, clock)
    assert server.envelopes == [(settings.sender_address, ("ann@customer.example",))]
    mail = server.messages[ann].decode()
    assert mail.count("?score=") >= 11
    assert "List-Unsubscribe-Post" in mail


def test_a_limit_leaves_the_rest_pending(ledger: Ledger, settings, server, clock):
    plan(ledger, [candidate(f"p{number}") for number in range(5)])
    assert _send(ledger, settings, clock, limit=2).sent == 2
    assert books(ledger)[0].pending == 3


def test_several_connections_share_the_work(ledger: Ledger, settings, server, clock):
    ids = plan(ledger, [candidate(f"p{number}") for number in range(40)])
    server.fail("p7@customer.example", "rcpt-550")
    report = _send(ledger, settings, clock, connections=3)
    assert (report.sent, report.rejected) == (39, 1)
    assert server.connections == 3
    assert sum(server.accepted.values()) == len(ids) - 1


@pytest.mark.parametrize(
    ("fault", "state", "reason"),
    [
        ("mail-451", "pending", "451 at sender"),
        ("rcpt-450", "pending", "450 at recipient"),
        ("rcpt-550", "rejected", "550 at recipient"),
        ("data-451", "pending", "451 at data"),
        ("data-554", "rejected", "554 at data"),
        ("content-452", "pending", "452 at content"),
        ("content-554", "rejected", "554 at content"),
        ("closing", "pending", "421 at sender"),
        ("cut-at-mail", "pending", "connection lost before the data"),
        ("cut-before-data", "pending", "connection lost before the data"),
        ("cut-unaccepted", "uncertain", "no answer after the data"),
        ("cut-accepted", "uncertain", "no answer after the data"),
        ("slow", "uncertain", "no answer after the data (timed out)"),
        ("garbage", "uncertain", "unreadable answer after the data"),
    ],
)
def test_what_each_failure_means(ledger: Ledger, settings, server: MailServer, clock, fault, state, reason):
    ids = plan(ledger, [candidate("ann"), candidate("bob"), candidate("cyd")])
    server.fail("bob@customer.example", fault)
    report = _send(ledger, settings, clock)
    assert report.sent == 2
    assert getattr(report, {"pending": "deferred"}.get(state, state)) == 1
    [odd] = [row for row in map(lambda key: _row(ledger, key), ids) if row.state != "sent"]
    assert (odd.state, odd.attempts) == (state, 1)
    assert odd.state_reason.startswith(reason)
    assert books(ledger)[0].balanced
    assert max(server.accepted.values()) == 1

    assert _send(ledger, settings, clock).handled == 0  # not before its time, and the uncertain one never
    retried = _send(ledger, settings, Clock(clock.offset + LATER))
    assert retried.sent == (1 if state == "pending" else 0)
    assert max(server.accepted.values()) == 1
    assert books(ledger)[0].balanced


@pytest.mark.parametrize(
    ("fault", "minutes"),
    [
        ("mail-451", [5, 10, 20, 40]),
        ("rcpt-450", [5, 10, 20, 40]),
        ("content-452", [15, 30, 60, 60]),
        ("closing", [1, 2, 4, 8]),
    ],
)
def test_waiting_grows_from_try_to_try(ledger: Ledger, settings, server: MailServer, clock, fault, minutes):
    [ann] = plan(ledger, [candidate("ann")])
    server.fail("ann@customer.example", fault, times=4)
    waits = []
    for day in range(4):
        late = Clock(clock.offset + day * dt.timedelta(days=1))
        _send(ledger, settings, late)
        waits.append(round((_row(ledger, ann).next_attempt_at - late.now()).total_seconds() / 60))
    assert waits == minutes


def test_a_domain_that_takes_nothing_for_now_is_left_alone_and_others_go_on(
    ledger: Ledger, settings, server: MailServer, clock
):
    busy = [candidate(f"busy{number}", email=f"busy{number}@full.example") for number in range(80)]
    ids = plan(ledger, [*busy, candidate("ann")])
    for number in range(80):
        server.fail(f"busy{number}@full.example", "rcpt-450")
    tried = []
    server.on = lambda phase, address: tried.append(address) if phase == "rcpt" and "busy" in address else None
    report = _send(ledger, settings, clock)
    assert (report.sent, report.deferred) == (1, 80)
    assert len(tried) == 3
    waiting = [row for row in map(lambda one: _row(ledger, one), ids) if row.state_reason == DOMAIN_BUSY]
    assert len(waiting) == 77
    assert {round((row.next_attempt_at - clock.now()).total_seconds() / 60) for row in waiting} == {5}
    assert books(ledger)[0].balanced


def test_a_mail_that_cannot_be_rendered_is_rejected_and_the_others_go(ledger: Ledger, settings, server, clock):
    bad = candidate("bad", payload={"first_name": "Eve\r\nBcc: all@customer.example"})
    worse = candidate("worse", payload={"definition": {}})
    ids = plan(ledger, [bad, candidate("ann"), worse])
    report = _send(ledger, settings, clock)
    assert (report.sent, report.rejected) == (1, 2)
    assert "cannot be rendered" in _row(ledger, ids[0]).state_reason
    assert "Eve" not in _row(ledger, ids[0]).state_reason
    assert books(ledger)[0].balanced


def test_a_server_that_is_not_there_is_a_clear_error_and_all_stays_pending(ledger: Ledger, settings, clock):
    plan(ledger, [candidate("ann"), candidate("bob")])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"smtp://user:secret@127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(MailServerUnavailable, match=r"what to do(.|\n)*CLOSEDLOOP_SMTP_URL") as caught:
        _send(ledger, settings.model_copy(update={"smtp_url": nobody}), clock)
    assert "secret" not in str(caught.value)
    with ledger.read() as conn:
        assert set(conn.scalars(select(messages.c.state))) == {"pending"}
    assert _send(ledger, settings, clock).sent == 2


@pytest.mark.parametrize("code", ["530", "550"], ids=["not_logged_in", "not_our_address"])
def test_a_session_that_is_refused_blames_no_message(ledger: Ledger, settings, server: MailServer, clock, code):
    plan(ledger, [candidate("ann"), candidate("bob")])
    server.fail("ann@customer.example", f"mail-{code}")
    with pytest.raises(MailServerUnavailable, match=code):
        _send(ledger, settings, clock)
    assert books(ledger)[0].pending == 2
    assert _send(ledger, settings, clock).sent == 2


def test_a_server_that_keeps_hanging_up_ends_the_run(ledger: Ledger, settings, server: MailServer, clock):
    plan(ledger, [candidate(f"p{number}") for number in range(12)])
    server.fail("anyone", "cut-at-mail", times=50)
    with pytest.raises(MailServerUnavailable, match="5 times in a row"):
        _send(ledger, settings, clock)
    assert books(ledger)[0].pending == 12
    assert server.connections <= sender.MAX_LOST + 1


def test_a_second_sender_is_told_to_wait(ledger: Ledger, settings, clock):
    plan(ledger, [candidate("ann")])
    with sender_lock(settings), pytest.raises(Busy, match="another sender is at work"):
        _send(ledger, settings, clock)
    assert _send(ledger, settings, clock).sent == 1


def test_what_changed_since_planning_is_respected(ledger: Ledger, settings, server, clock):
    rows = [candidate("ann"), candidate("bob"), candidate("far", email="far@real-company.com")]
    plan(ledger, rows)
    lists.suppress(ledger, [rows[0]["person_key"]], "unsubscribed", now=NOW)
    report = _send(ledger, settings, clock)
    assert (report.sent, report.suppressed, report.held) == (1, {"suppressed": 1}, {"live sending is off": 1})
    assert len(server.accepted) == 1


def test_who_unsubscribes_while_the_sender_is_at_work_gets_nothing(ledger: Ledger, settings, server, clock):
    rows = [candidate(f"p{number}") for number in range(GROUP + 8)]
    ids = plan(ledger, rows)

    def leave(_: SendReport) -> None:  # all are claimed by now, and a first group is sent
        with ledger.read() as conn:
            waiting = set(conn.scalars(select(messages.c.message_id).where(messages.c.state == "claimed")))
        keys = [row["person_key"] for row in rows if row["message_id"] in waiting]
        lists.suppress(ledger, keys[:3], "unsubscribed", now=NOW)

    report = _send(ledger, settings, clock, progress=leave)
    assert (report.sent, report.suppressed) == (len(ids) - 3, {"suppressed": 3})
    assert sum(server.accepted.values()) == len(ids) - 3
    assert books(ledger)[0].balanced


def test_ctrl_c_leaves_one_message_in_doubt_and_not_the_whole_group(ledger: Ledger, settings, server, clock):
    plan(ledger, [candidate(f"p{number}") for number in range(5)])
    bodies = []

    def interrupt(phase: str, address: str) -> None:
        bodies.extend([address] if phase == "body" else [])
        if phase == "body" and len(bodies) == 3:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)

    server.on = interrupt
    with pytest.raises(KeyboardInterrupt):
        _send(ledger, settings, clock)
    [wave] = books(ledger)
    assert (wave.sent, wave.uncertain, wave.pending) == (2, 1, 2)
    assert _send(ledger, settings, clock).sent == 2
    assert set(server.accepted.values()) == {1}


def test_a_ledger_that_is_held_for_long_puts_nothing_in_doubt(settings, server: MailServer, clock, monkeypatch):
    monkeypatch.setattr("closedloop.ledger.engine.BUSY_SECONDS", 1)

    def hold(phase: str, _: str) -> None:
        if phase == "taken":
            other = sqlite3.connect(settings.home / "ledger.sqlite", isolation_level=None, check_same_thread=False)
            other.execute("BEGIN IMMEDIATE")
            threading.Timer(1.5, other.close).start()

    server.on = hold
    with Ledger.open(settings) as ledger:
        plan(ledger, [candidate("ann")])
        assert send_due(ledger, settings, SURVEYS, clock=clock, timeout=5).sent == 1
        assert books(ledger)[0].sent == 1


def test_a_failing_disk_rejects_no_message(ledger: Ledger, settings, server, clock):
    plan(ledger, [candidate("ann"), candidate("bob")])
    settings.home.joinpath("secret.key").mkdir()  # cannot be read as a file
    with pytest.raises(OSError):
        _send(ledger, settings, clock)
    assert books(ledger)[0].pending == 2
    settings.home.joinpath("secret.key").rmdir()
    assert _send(ledger, settings, clock).sent == 2


def test_an_address_the_protocol_cannot_carry_is_rejected(ledger: Ledger, settings, server, clock):
    plan(ledger, [candidate("ann", email="jörg@customer.example"), candidate("bob")])
    report = _send(ledger, settings, clock)
    assert (report.sent, report.rejected) == (1, 1)


def test_a_reminder_is_a_mail_of_its_own_about_the_same_invitation(ledger: Ledger, settings, server: MailServer, clock):
    programme = survey(reminders={"after_days": [3]})
    [ann] = plan(ledger, [candidate("ann", programme=programme)])
    send_due(ledger, settings, [programme], clock=clock, timeout=0.5)
    later = Clock(clock.offset + dt.timedelta(days=3, hours=1))
    assert plan_reminders(ledger, [programme], now=later.now()) == 1
    report = send_due(ledger, settings, [programme], clock=later, timeout=0.5)
    assert report.sent == 1
    [reminder] = set(server.accepted) - {ann}
    first, second = server.messages[ann].decode(), server.messages[reminder].decode()
    assert f"Message-ID: <{reminder}@" in second and f"Message-ID: <{ann}@" in first
    assert "X-Closedloop-Kind: invitation" in first and "X-Closedloop-Kind: reminder" in second
    unsubscribe = [line for line in first.splitlines() if line.startswith("List-Unsubscribe:")]
    assert unsubscribe and unsubscribe == [line for line in second.splitlines() if line.startswith("List-Unsubscribe:")]
    assert (reminder_books(ledger).sent, books(ledger)[0].sent) == (1, 1)


def test_what_waits_for_business_hours_is_told(ledger: Ledger, settings, server: MailServer, clock):
    closed = survey(business_hours={"days": ["sun"], "time_zone": "UTC"})
    plan(ledger, [candidate("ann", programme=closed), candidate("bob")])
    report = _send(ledger, settings, clock)
    assert (report.sent, report.held) == (1, {"outside business hours": 1})
    sunday = Clock(clock.offset + dt.timedelta(days=6, hours=1))
    assert _send(ledger, settings, sunday).sent == 1
    assert books(ledger)[0].balanced
