"""Sealed invitations, and the collector over the ledger that holds them."""

from __future__ import annotations

import datetime as dt
import hashlib
from functools import partial

import pytest
from starlette.testclient import TestClient

from closedloop.clock import Clock
from closedloop.identity import person_key
from closedloop.ledger import Ledger
from closedloop.ledger.history import write_round
from closedloop.programme import load_surveys
from closedloop.settings import Settings
from ingestion.collector.app import create_app
from orchestration.reports import sample_message


class StandingClock(Clock):
    """A clock that a test moves by hand."""

    def __init__(self, now: dt.datetime) -> None:
        self.time = now

    def now(self) -> dt.datetime:
        return self.time


@pytest.fixture
def clock(now: dt.datetime) -> StandingClock:
    return StandingClock(now)


@pytest.fixture
def invite(ledger, invite_into):
    """Seals one invitation and gives its id; keywords change the payload."""
    return partial(invite_into, ledger)


@pytest.fixture
def invite_into(settings: Settings, now: dt.datetime):
    """The same in any ledger."""
    survey = {one.id: one for one in load_surveys(settings.surveys)}["post-close"]

    def make(ledger: Ledger, name: str = "ada", *, valid_days: int = 60, **payload: object) -> str:
        invitation_id = hashlib.md5(name.encode()).hexdigest()
        message = sample_message(survey, f"{name}@customer.example")
        message |= {
            "message_id": invitation_id,
            "invitation_id": invitation_id,
            "contact_id": name,
            "account_id": "acme",
            "person_key": person_key(f"{name}@customer.example"),
            "wave_id": f"post-close:{name}",
            "payload": message["payload"] | payload,
            "planned_at": now,
            "link_expires_at": now + dt.timedelta(days=valid_days),
        }
        decision = message | {
            "candidate_id": invitation_id,
            "trigger_event": "deal_won",
            "trigger_record_id": name,
            "due_at": now,
            "decision": "ask",
            "deciding_rule": "passed",
            "all_failed_rules": [],
            "decided_as_of": now,
        }
        evaluation = {"as_of": now, "sealed_at": now, "definitions_hash": survey.definition_hash}
        write_round(ledger, evaluation=evaluation, decisions=[decision], messages=[message])
        return invitation_id

    return make


@pytest.fixture
def client(settings: Settings, ledger, clock: StandingClock):
    with TestClient(create_app(settings, clock=clock), base_url=settings.collector_url) as client:
        yield client
