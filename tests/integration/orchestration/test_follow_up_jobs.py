"""The follow-up's jobs, as somebody starts them from the launchpad."""

from __future__ import annotations

import datetime as dt

import pytest
from dagster import DagsterInstance
from ledger_world import candidate, plan

from closedloop.clock import Clock
from closedloop.ledger import Ledger, answers
from closedloop.ledger.actions import CRM, FAILED, Action, Result, actions_of, begin, finish, plan_actions
from closedloop.ledger.followups import read_followup
from closedloop.ledger.teams import list_absences
from closedloop.settings import Settings
from dispatch.followup import run_follow_up
from orchestration.common.platform import Platform, platform_resource
from orchestration.operations import follow_up_work, webhooks

NOW = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)


class At(Clock):
    def now(self) -> dt.datetime:
        return NOW


@pytest.fixture
def settings(tmp_path) -> Settings:
    settings = Settings(home=tmp_path / "home", _env_file=None)
    settings.ensure_home()
    return settings


@pytest.fixture
def invitation(settings: Settings) -> str:
    with Ledger.open(settings) as ledger:
        [invitation] = plan(ledger, [candidate("ann", now=NOW)], now=NOW)
        with ledger.write() as conn:
            answers.record_answer(conn, invitation, 3, channel="email", judged="human", at=NOW, now=NOW)
        run_follow_up(ledger, settings, (), now=NOW)
    return invitation


@pytest.fixture
def run(settings: Settings):
    """Runs the job of an op with its config."""
    resources = {"platform": platform_resource(Platform(settings, At()))}

    def start(job, op: str, **config):
        with DagsterInstance.ephemeral() as instance:
            return job.execute_in_process(
                {"ops": {op: {"config": config}}}, instance=instance, resources=resources, raise_on_error=False
            )

    return start


def _stands(settings: Settings, invitation: str) -> dict:
    with Ledger.open(settings) as ledger, ledger.read() as conn:
        return read_followup(conn, invitation)


def test_from_the_contact_to_the_outcome_and_back(run, settings, invitation):
    about = {"invitation_id": invitation, "by": "Olga"}
    assert not run(follow_up_work.follow_up_step_job, "record_step", **about, do="resolving").success
    assert run(follow_up_work.first_contact_job, "record_first_contact", **about).success
    assert run(follow_up_work.follow_up_step_job, "record_step", **about, do="resolving").success
    assert run(follow_up_work.follow_up_step_job, "record_step", **about, do="note", note="Called twice").success
    assert _stands(settings, invitation)["status"] == "resolving"
    assert run(follow_up_work.outcome_job, "record_outcome", **about, outcome="resolved").success
    assert not run(follow_up_work.follow_up_step_job, "record_step", **about, do="reopen").success, "without a reason"
    assert run(follow_up_work.follow_up_step_job, "record_step", **about, do="reopen", note="Broke again").success
    assert _stands(settings, invitation)["status"] == "investigating"


def test_handing_over(run, settings, invitation):
    config = {"invitation_id": invitation, "to": "ben@closedloop.example", "name": "Ben", "by": "Olga"}
    assert run(follow_up_work.hand_over_job, "hand_over", **config).success
    assert _stands(settings, invitation)["assignee_email"] == "ben@closedloop.example"


def test_absences(run, settings):
    def away() -> list[str]:
        with Ledger.open(settings) as ledger:
            return [row["email"] for row in list_absences(ledger, now=NOW)]

    job, op, who = follow_up_work.absences_job, "change_absences", {"email": "ben@closedloop.example"}
    assert not run(job, op, **who, by="Olga").success, "no end"
    assert run(job, op, **who, by="Olga", until="2026-03-09").success and away() == ["ben@closedloop.example"]
    assert run(job, op, **who, action="end").success and away() == []


def test_retrying_what_failed(run, settings, invitation):
    with Ledger.open(settings) as ledger:
        about = {"invitation_id": invitation, "contact_id": "ann", "account_id": "acme", "survey_id": "pulse"}
        with ledger.write() as conn:
            plan_actions(conn, about, [Action("extra.case", CRM)], now=NOW)
        begin(ledger, [CRM], now=NOW)
        finish(ledger, [Result((invitation, "extra.case"), FAILED, "NOT_FOUND")], now=NOW)
    assert run(follow_up_work.retry_actions_job, "retry_actions", action="extra.case").success
    with Ledger.open(settings) as ledger:
        assert actions_of(ledger, invitation)["extra.case"]["state"] == "planned"


def test_a_replay_to_an_endpoint_that_is_none(run):
    done = run(webhooks.replay_webhooks_job, "send_again", endpoint="nobody", first="1")
    assert not done.success
    assert "no endpoint 'nobody' is set" in str([event.event_specific_data for event in done.all_events])
