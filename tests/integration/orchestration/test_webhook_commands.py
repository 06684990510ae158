"""`closedloop webhooks`: what operators see of endpoints, and how they send again."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from ledger_world import candidate, plan
from webhook_receiver import Receiver

from closedloop.errors import BadInput, Refused
from closedloop.ledger import answers
from closedloop.webhooks import Webhook
from orchestration.cli import cli
from orchestration.cli.front import Context

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def run(settings, receiver):
    endpoint = Webhook.model_validate({"name": "crm", "url": receiver.url, "secret": KEY})
    context = Context(settings.model_copy(update={"webhooks": [endpoint]}))

    def command(*words: str) -> str:
        done = CliRunner().invoke(cli, ["webhooks", *words], obj=context)
        if done.exception:
            raise done.exception
        assert "a-secret" not in done.output and "MfKQ9" not in done.output
        return done.output

    return command


def _answer(ledger, settings, name: str) -> None:
    now = settings.clock().now()
    [invitation] = plan(ledger, [candidate(name, now=now)], now=now)
    with ledger.write() as conn:
        answers.record_answer(conn, invitation, 9, channel="email", judged="human", at=now, now=now)


def test_deliver_list_and_replay(run, receiver, ledger, settings) -> None:
    _answer(ledger, settings, "ann")
    assert "new" in run("list")
    assert "delivered  0" in run("deliver"), "it begins now"
    _answer(ledger, settings, "bob")
    assert "delivered  1" in run("deliver")
    receiver.always = 500
    assert run("replay", "crm", "--from", "1") == "2 wait to be sent again\n"
    assert "waiting    2" in run("deliver")
    [row] = json.loads(run("list", "--json"))["endpoints"]
    assert (row["waiting"], row["delivered"], row["last_error"], row["host"]) == (2, 0, "it answers 500", "127.0.0.1")
    assert run("replay", "crm", "--from", "2020-01-01", "--to", "2020-12-31").startswith("0 ")


def test_a_ping(run, receiver) -> None:
    assert "took it: 200" in run("test", "crm")
    receiver.always = 401
    with pytest.raises(Refused, match="401"):
        run("test", "crm")
    assert {one["type"] for one in receiver.events} == {"ping"}


def test_who_is_gone_is_said_and_comes_back(run, receiver, ledger, settings) -> None:
    run("deliver")
    _answer(ledger, settings, "ann")
    receiver.faults = [410]
    assert "closedloop webhooks resume crm" in run("deliver")
    assert "switched off" in run("list")
    assert "is on" in run("resume", "crm")
    assert "delivered  1" in run("deliver")


def test_an_endpoint_that_is_none_is_named(run) -> None:
    for words in (("test", "other"), ("replay", "other", "--from", "1"), ("resume", "other")):
        with pytest.raises(BadInput, match="there is: crm"):
            run(*words)
    with pytest.raises(BadInput, match="webhooks list"):
        run("resume", "crm")
