"""Customers of the demo answer real mails through the real collector; what they did stands in the ledger."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
import uvicorn
from sqlalchemy import select

from closedloop.clock import Clock
from closedloop.ledger import Ledger
from closedloop.ledger.followups import list_followups
from closedloop.ledger.history import write_round
from closedloop.ledger.schema import answers, events, messages, suppressions
from closedloop.programme import load_surveys
from closedloop.settings import REPO, Settings
from demo.company import imagine_company
from demo.customers import answer_mails
from demo.history import write_history
from demo.owners import owners_react
from dispatch.followup import run_follow_up
from dispatch.rendering import render_invitation
from ingestion.collector.app import create_app

TODAY = dt.date(2026, 3, 2)


@pytest.fixture
def collecting(settings: Settings) -> Iterator[Settings]:
    """The settings of a home whose collector runs in this process, on a free port."""
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings, clock=Clock()), host="127.0.0.1", port=0, log_level="warning")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield settings.model_copy(update={"collector_url": f"http://127.0.0.1:{port}"})
    server.should_exit = True
    thread.join(timeout=10)


def _mail_invitations(settings: Settings, ledger: Ledger, count: int) -> None:
    """A round of `count` sent invitations, their mails in the Maildir."""
    now = Clock().now()
    new = settings.mailbox_dir / "new"
    new.mkdir(parents=True)
    survey = load_surveys(REPO / "surveys")[2]
    rows = []
    for number in range(count):
        ids = {
            "candidate_id": f"{number:032x}",
            "contact_id": f"contact-{number}",
            "account_id": f"account-{number % 20}",
            "person_key": f"{number:064x}",
            "survey_id": survey.id,
            "wave_id": f"{survey.id}:{now:%Y-%m-%d}",
        }
        payload = {
            "email": f"someone@company{number % 20}.example",
            "first_name": "Some",
            "last_name": "One",
            "contact_name": "Some One",
            "account_name": "Company",
            "company": survey.company,
            "survey_type": survey.type,
            "trigger_event": "ticket_resolved",
            "owner_id": "u1",
            "owner_name": "A Rep",
            "owner_email": "rep@northwind.example",
            "definition": survey.model_dump(mode="json"),
        }
        rows.append(ids | {"payload": payload})
    write_round(
        ledger,
        evaluation={"as_of": now, "sealed_at": now, "definitions_hash": "d"},
        decisions=[
            {
                **row,
                "trigger_event": "ticket_resolved",
                "trigger_record_id": row["candidate_id"],
                "due_at": now,
                "decision": "ask",
                "deciding_rule": "passed",
                "all_failed_rules": [],
                "decided_as_of": now,
            }
            for row in rows
        ],
        messages=[
            {**row, "message_id": row["candidate_id"], "kind": "invitation", "state": "sent", "planned_at": now}
            for row in rows
        ],
    )
    for row in rows:
        message = {**row, "message_id": row["candidate_id"], "invitation_id": row["candidate_id"], "kind": "invitation"}
        mail = render_invitation(message, settings=settings).as_bytes()
        (new / f"{row['candidate_id']}.M1P1.host").write_bytes(mail)


def test_what_customers_do_is_what_the_ledger_heard(collecting: Settings, ledger: Ledger) -> None:
    _mail_invitations(collecting, ledger, 150)
    report = answer_mails(collecting, seed=7, clock=Clock())

    assert report.mails == 150 and report.refused == 0
    with ledger.read() as conn:
        heard = conn.execute(select(answers)).mappings().all()
        kinds = Counter(conn.scalars(select(events.c.kind)))
        left = conn.scalars(select(suppressions.c.reason)).all()
    judged = Counter(row["judged"] for row in heard)
    assert len(heard) == report.answered
    assert judged["provisional"] == report.provisional
    assert sum(row["score"] <= 6 for row in heard) == report.detractors >= 3
    assert sum(bool(row["comment"]) for row in heard) == report.commented
    assert kinds["opened"] >= report.opened
    assert left == ["unsubscribed"] * report.unsubscribed and left

    surveys = load_surveys(REPO / "surveys")
    opened = run_follow_up(ledger, collecting, surveys, now=Clock().now()).opened
    assert 0 < opened <= report.detractors
    assert 0 < owners_react(ledger, seed=7, now=Clock().now()) < opened
    assert owners_react(ledger, seed=7, now=Clock().now()) == 0
    assert {row["status"] for row in list_followups(ledger)} == {"open", "acknowledged"}


def test_the_written_past_leaves_the_follow_up_nothing_to_do(settings: Settings, ledger: Ledger) -> None:
    surveys = load_surveys(REPO / "surveys")
    company, _ = imagine_company(contacts=200, seed=7, today=TODAY)
    write_history(ledger, company, surveys, today=TODAY, seed=7)
    now = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)
    assert run_follow_up(ledger, settings, surveys, now=now).opened == 0
    with ledger.read() as conn:
        states = set(conn.scalars(select(messages.c.state)))
    assert "pending" not in states
