"""From a detractor's answer to the alert in the owner's mailbox: exactly once, whatever happens in between."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import signal
import subprocess
import sys

import pytest
from ledger_world import NOW, candidate, plan, survey
from mail_server import MailServer
from sqlalchemy import select, update

from closedloop.clock import Clock
from closedloop.ledger import Ledger, answers, followups
from closedloop.ledger.actions import actions_of
from closedloop.ledger.books import alert_books, books
from closedloop.ledger.schema import actions, messages
from closedloop.settings import REPO, Settings
from dispatch.clocks import watch_clocks
from dispatch.followup import run_follow_up
from dispatch.sender import send_due

HOUR = dt.timedelta(hours=1)
SURVEYS = (survey(),)


def _answer(ledger: Ledger, invitation_id: str, score: int, at=NOW, **over) -> None:
    with ledger.write() as conn:
        answers.record_answer(
            conn, invitation_id, score, **{"channel": "email", "judged": "human", "at": at, "now": at, **over}
        )


def _follow_up(ledger: Ledger, settings: Settings, at=NOW, **over) -> int:
    return run_follow_up(ledger, settings, SURVEYS, now=at, **over).opened


def _warnings(ledger: Ledger, settings: Settings, at: dt.datetime) -> int:
    return watch_clocks(ledger, settings, SURVEYS, now=at)["sla_warning"]


def _send(ledger: Ledger, settings: Settings, clock: Clock):
    return send_due(ledger, settings, SURVEYS, clock=clock, timeout=1.0)


@pytest.fixture
def invited(ledger: Ledger, settings: Settings, clock: Clock, server: MailServer) -> str:
    """An invitation that was sent."""
    [ann] = plan(ledger, [candidate("ann")])
    assert _send(ledger, settings, clock).sent == 1
    server.envelopes.clear()
    return ann


def test_a_detractor_alerts_the_owner_with_the_manager_in_copy(ledger, settings, server, clock, invited):
    _answer(ledger, invited, 4, comment="Nobody calls back")
    assert _follow_up(ledger, settings) == 1
    assert _follow_up(ledger, settings) == 0
    [row] = followups.list_followups(ledger)
    assert (row["assignee_id"], row["assignment_rule"], row["score"]) == ("U1", "account_owner", 4)
    assert (row["opened_at"], row["acknowledge_due_at"], row["due_at"]) == (NOW, NOW + 24 * HOUR, NOW + 48 * HOUR)
    planned = actions_of(ledger, invited)
    assert planned["detractor.task"]["payload"]["subject"] == "Follow up on detractor NPS response from Ada Ann at Acme"
    assert planned["detractor.task"]["payload"]["priority"] == "high"
    assert planned["detractor.alert"]["state"] == "planned"

    assert _send(ledger, settings, clock).sent == 1
    assert _send(ledger, settings, clock).handled == 0

    assert server.envelopes == [
        (settings.sender_address, ("olga@closedloop.example", "max@closedloop.example")),
    ]
    mail = next(mail for key, mail in server.messages.items() if key != invited).decode()
    assert "Nobody calls back" in mail
    assert "Ada Ann, Acme gave 4 of 10" in mail
    assert actions_of(ledger, invited)["detractor.alert"]["state"] == "done"
    assert alert_books(ledger).sent == 1
    assert books(ledger)[0].planned == 1  # alerts are no invitations


@pytest.mark.parametrize(
    ("score", "recipients"),
    [
        (3, ("max@closedloop.example",)),  # the manager takes over up to 3, and is not his own copy
        (4, ("olga@closedloop.example", "max@closedloop.example")),
        (5, ("olga@closedloop.example",)),
        (6, ("olga@closedloop.example",)),
        (7, None),
    ],
)
def test_who_gets_the_alert_by_score(ledger, settings, server, clock, invited, score, recipients):
    _answer(ledger, invited, score)
    assert _follow_up(ledger, settings) == (recipients is not None)
    _send(ledger, settings, clock)
    assert [envelope[1] for envelope in server.envelopes] == ([recipients] if recipients else [])


def test_a_machines_answer_waits_until_it_is_confirmed(ledger, settings, invited):
    _answer(ledger, invited, 0, judged="provisional")
    assert _follow_up(ledger, settings) == 0
    assert _follow_up(ledger, settings, confirmed=[invited]) == 1
    assert _follow_up(ledger, settings, confirmed=[invited]) == 0


def test_a_change_of_mind_into_detractor_alerts_once_and_its_clock_starts_then(ledger, settings, invited):
    _answer(ledger, invited, 9)
    assert _follow_up(ledger, settings) == 0
    _answer(ledger, invited, 2, NOW + 5 * HOUR)
    _answer(ledger, invited, 2, NOW + 6 * HOUR, comment="Sorry")
    assert _follow_up(ledger, settings, NOW + 6 * HOUR) == 1
    assert followups.list_followups(ledger)[0]["opened_at"] == NOW + 5 * HOUR
    _answer(ledger, invited, 1, NOW + 7 * HOUR)
    assert _follow_up(ledger, settings, NOW + 7 * HOUR) == 0


def test_a_change_of_mind_out_of_detractor_undoes_nothing(ledger, settings, server, clock, invited):
    _answer(ledger, invited, 2)
    _follow_up(ledger, settings)
    _answer(ledger, invited, 9, NOW + HOUR)
    assert _send(ledger, settings, clock).sent == 1
    assert len(followups.list_followups(ledger)) == 1


def test_a_change_of_mind_before_anyone_looked_alerts_nobody(ledger, settings, invited):
    _answer(ledger, invited, 2)
    _answer(ledger, invited, 9, NOW + HOUR)
    assert _follow_up(ledger, settings, NOW + HOUR) == 0


def test_alerts_go_out_though_the_survey_is_paused(ledger, settings, server, clock, invited):
    _answer(ledger, invited, 5)
    _follow_up(ledger, settings)
    report = send_due(ledger, settings, [survey(status="paused")], clock=clock)
    assert report.sent == 1


def test_an_alert_that_is_refused_is_a_failed_action(ledger, settings, server: MailServer, clock, invited):
    _answer(ledger, invited, 5)
    _follow_up(ledger, settings)
    server.fail("olga@closedloop.example", "rcpt-550")
    assert _send(ledger, settings, clock).rejected == 1
    found = actions_of(ledger, invited)["detractor.alert"]
    assert (found["state"], found["reason"]) == ("failed", "550 at recipient")


def test_a_copy_that_is_refused_does_not_stop_the_alert(ledger, settings, server: MailServer, clock, invited):
    _answer(ledger, invited, 4)
    _follow_up(ledger, settings)
    server.fail("max@closedloop.example", "rcpt-550")
    assert _send(ledger, settings, clock).sent == 1
    assert [envelope[1] for envelope in server.envelopes] == [("olga@closedloop.example",)]


def test_a_rule_stored_by_an_older_version_does_not_stop_the_others(ledger, settings, server, clock):
    definition = survey().model_dump(mode="json")
    definition["follow_up"]["dropped_since"] = True
    for name, extra in (("ann", {"definition": definition}), ("bob", {})):
        _answer(ledger, plan(ledger, [candidate(name, payload=extra)])[0], 3)
    assert _follow_up(ledger, settings) == 2


def test_a_copy_that_is_refused_for_now_delays_the_alert_and_no_more(
    ledger, settings, server: MailServer, clock, invited
):
    _answer(ledger, invited, 4)
    _follow_up(ledger, settings)
    server.fail("max@closedloop.example", "rcpt-450", times=50)
    sent = [_send(ledger, settings, Clock(clock.offset + day * 24 * HOUR)).sent for day in range(4)]
    assert sent == [0, 0, 0, 1]
    assert [envelope[1] for envelope in server.envelopes] == [("olga@closedloop.example",)]


@pytest.mark.parametrize(
    "odd",
    [
        {"manager_email": "max@"},
        {"account_name": "Acme\r\nBcc: all@customer.example"},
        {"last_name": "=?utf-8?q?x=0ay?="},
    ],
    ids=["address", "line_break", "encoded"],
)
def test_what_is_odd_in_the_crm_does_not_cost_the_alert(ledger, settings, server: MailServer, clock, odd):
    [invited] = plan(ledger, [candidate("ann", payload={"contact_name": "", **odd})])
    _answer(ledger, invited, 4)
    _follow_up(ledger, settings)
    with ledger.write() as conn:  # the invitation itself is long sent
        conn.execute(update(messages).where(messages.c.kind == "invitation").values(state="sent"))
    assert _send(ledger, settings, clock).sent == 1
    [(_, recipients)] = server.envelopes
    assert recipients[0] == "olga@closedloop.example"
    [mail] = server.messages.values()
    assert b"\nBcc:" not in mail.split(b"\r\n\r\n")[0]


def test_a_warning_goes_out_once_before_the_time_is_over(ledger, settings, server, clock, invited):
    _answer(ledger, invited, 5)
    _follow_up(ledger, settings)
    _send(ledger, settings, clock)
    assert _warnings(ledger, settings, NOW + 39 * HOUR) == 0
    assert _warnings(ledger, settings, NOW + 40 * HOUR) == 1
    assert _warnings(ledger, settings, NOW + 41 * HOUR) == 0
    server.envelopes.clear()
    assert _send(ledger, settings, clock).sent == 1
    assert server.envelopes[0][1] == ("olga@closedloop.example", "max@closedloop.example")
    assert any("running out" in mail.decode() for mail in server.messages.values())
    assert actions_of(ledger, invited)["sla_warning"]["state"] == "done"


def test_no_warning_after_a_contact_or_far_too_late(ledger, settings, invited):
    _answer(ledger, invited, 5)
    _follow_up(ledger, settings)
    assert _warnings(ledger, settings, NOW + 30 * 24 * HOUR) == 0
    with ledger.write() as conn:
        followups.first_contact(conn, invited, at=NOW + HOUR, by="Olga", now=NOW + HOUR)
    assert _warnings(ledger, settings, NOW + 45 * HOUR) == 0


def _run_in_process(home, smtp_url: str, gate) -> None:
    settings = Settings(home=home, smtp_url=smtp_url, _env_file=None)
    with Ledger.open(settings) as ledger:
        gate.wait(30)
        run_follow_up(ledger, settings, SURVEYS, now=NOW)
        watch_clocks(ledger, settings, SURVEYS, now=NOW + 45 * HOUR)


@pytest.mark.slow
def test_two_follow_up_runs_at_once_double_nothing(ledger: Ledger, settings: Settings):
    ids = plan(ledger, [candidate(f"p{number}") for number in range(30)])
    for invitation_id in ids:
        _answer(ledger, invitation_id, 3)
    ledger.close()
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(3)
    running = [context.Process(target=_run_in_process, args=(settings.home, settings.smtp_url, gate)) for _ in range(3)]
    for process in running:
        process.start()
    for process in running:
        process.join(60)
    assert [process.exitcode for process in running] == [0, 0, 0]
    with ledger.read() as conn:
        alerts = conn.execute(select(messages.c.invitation_id).where(messages.c.kind == "alert")).all()
        planned = conn.execute(select(actions.c.action)).scalars().all()
    assert len(alerts) == 60  # an alert and a warning each
    kinds = ("alert", "case", "health", "task", "timeline")
    every = [*(f"detractor.{kind}" for kind in kinds), "record", "sla_warning"]
    assert sorted(planned) == [name for name in every for _ in range(30)]


KILLED = """
import os, signal, sys
from pathlib import Path
from closedloop.clock import parse_time
from closedloop.ledger import Ledger, actions, followups
from closedloop.settings import Settings
from dispatch import followup

home, where = Path(sys.argv[1]), sys.argv[2]
module = {"add_followups": followups, "add_messages": actions, "add_events": actions, "actions_of": followup}[where]
calls = []

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

original = getattr(module, where)

def second(*arguments, **more):  # the first answer goes through, the second dies in the middle
    calls.append(where)
    return die() if len(calls) == 2 else original(*arguments, **more)

setattr(module, where, second)
settings = Settings(home=home, _env_file=None)
with Ledger.open(settings) as ledger:
    followup.run_follow_up(ledger, settings, (), now=parse_time(sys.argv[3]))
"""


@pytest.mark.parametrize("where", ["actions_of", "add_followups", "add_messages", "add_events"])
def test_killed_at_any_step_each_action_is_planned_once(settings: Settings, ledger: Ledger, where: str):
    ids = plan(ledger, [candidate(f"p{number}") for number in range(3)])
    for number, invitation_id in enumerate(ids):
        _answer(ledger, invitation_id, 3, NOW + number * HOUR)
    ledger.close()
    now = NOW + 5 * HOUR
    words = [sys.executable, "-c", KILLED, str(settings.home), where, now.isoformat()]
    assert subprocess.run(words, cwd=REPO).returncode == -signal.SIGKILL
    with Ledger.open(settings) as again:
        assert run_follow_up(again, settings, SURVEYS, now=now).answers == 2, "one was through, two are to do"
        assert run_follow_up(again, settings, SURVEYS, now=now).answers == 0
        assert len(followups.list_followups(again)) == 3
        with again.read() as conn:
            planned = conn.execute(select(actions.c.action)).scalars().all()
            alerts = conn.execute(select(messages.c.message_id).where(messages.c.kind == "alert")).all()
    assert len(planned) == 3 * 6 and len(alerts) == 3
