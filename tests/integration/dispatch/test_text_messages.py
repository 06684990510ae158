"""Surveys by text message: the sender's promise holds over an SMS provider that fails in every way it can."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from ledger_world import NOW, candidate, plan, survey
from mail_server import MailServer
from sms_provider import SmsProvider
from sqlalchemy import select

from closedloop.clock import Clock
from closedloop.errors import BadInput
from closedloop.ledger import Ledger
from closedloop.ledger.books import books, total
from closedloop.ledger.reminders import plan_reminders
from closedloop.ledger.schema import messages
from closedloop.links import read
from closedloop.settings import Settings
from dispatch.rendering import render_text_message
from dispatch.sender import send_due
from dispatch.smtp import MailServerUnavailable

BY_TEXT = survey(id="by-text", channels=["sms"], cooldown={"days": 0}, reminders={"after_days": [3]})
NUMBER = "+49 (170) 123-4567"


@pytest.fixture
def provider():
    provider = SmsProvider()
    yield provider
    provider.close()


@pytest.fixture
def mail_server():
    server = MailServer()
    yield server
    server.close()


@pytest.fixture
def settings(tmp_path: Path, provider: SmsProvider, mail_server: MailServer) -> Settings:
    settings = Settings(
        home=tmp_path / "home",
        smtp_url=mail_server.url,
        sms_url=provider.url,
        sms_sender="+15550100",
        allowed_recipients=["+49*", "*@customer.example"],
        _env_file=None,
    )
    settings.ensure_home()
    return settings


@pytest.fixture
def ledger(settings):
    with Ledger.open(settings) as ledger:
        yield ledger


def invite(ledger, *names: str, number: str = NUMBER) -> None:
    plan(
        ledger,
        [candidate(name, programme=BY_TEXT, channel="sms", payload={"mobile_phone": number}) for name in names],
    )


def send(ledger, settings, now=NOW, programmes=(BY_TEXT,)):
    return send_due(ledger, settings, programmes, clock=Clock.starting_at(now), timeout=5)


def states(ledger) -> dict[str, tuple[str, str | None]]:
    with ledger.read() as conn:
        rows = conn.execute(select(messages.c.contact_id, messages.c.state, messages.c.state_reason)).all()
    return {contact: (state, reason) for contact, state, reason in rows}


def test_a_text_with_question_link_and_way_out(ledger, settings, provider) -> None:
    invite(ledger, "ada")
    assert send(ledger, settings).sent == 1
    [(to, sender, text)] = provider.messages
    assert (to, sender) == ("+491701234567", "+15550100")
    question, answer, stop = text.split("\n")
    assert question.startswith("How likely are you to recommend Northwind Cloud")
    token = answer.removeprefix(f"Answer: {settings.collector_url}/s/")
    assert read(settings.link_secret, token, "survey") == candidate("ada", programme=BY_TEXT)["invitation_id"]
    assert stop.startswith(f"No more: {settings.collector_url}/u/")
    assert total(books(ledger)).sent == 1


@pytest.mark.parametrize(
    ("fault", "state", "reason", "taken"),
    [
        ("taken", "sent", None, 1),
        ("refused", "rejected", "400 (code 21211) from the SMS provider", 0),
        ("busy", "pending", "429 from the SMS provider", 0),
        ("down", "pending", "503 from the SMS provider", 0),
        ("broken", "uncertain", "500 from the SMS provider", 0),
        ("cut", "uncertain", "no answer after the request (RemoteDisconnected)", 0),
        ("lost", "uncertain", "no answer after the request (RemoteDisconnected)", 1),
    ],
)
def test_each_end_of_a_request(ledger, settings, provider, fault, state, reason, taken) -> None:
    provider.faults = [fault]
    invite(ledger, "ada")
    send(ledger, settings)
    assert states(ledger)["ada"] == (state, reason)
    assert len(provider.messages) == taken
    before = provider.requests
    send(ledger, settings)
    assert provider.requests == before, "what is not proven refused is not tried again, what is, not at once"


def test_what_was_not_accepted_goes_out_later(ledger, settings, provider) -> None:
    provider.faults = ["busy"]
    invite(ledger, "ada")
    send(ledger, settings)
    assert send(ledger, settings, NOW + dt.timedelta(minutes=5)).sent == 1
    assert len(provider.messages) == 1


def test_without_a_provider_or_with_one_that_is_down_mails_go_on(ledger, settings, provider, mail_server) -> None:
    invite(ledger, "ada")
    plan(ledger, [candidate("bob", programme=survey(id="zz-mailed"))])
    programmes = (BY_TEXT, survey(id="zz-mailed"))
    without = settings.model_copy(update={"sms_url": ""})
    report = send(ledger, without, programmes=programmes)
    assert (report.sent, report.held) == (1, {"the way out is not set up, or down": 1})
    plan(ledger, [candidate("cleo", programme=survey(id="zz-mailed"))])
    provider.faults = ["locked"]
    with pytest.raises(MailServerUnavailable, match="the SMS provider .* cannot be used .it answers 401."):
        send(ledger, settings, programmes=programmes)
    assert states(ledger)["cleo"] == ("sent", None)
    assert states(ledger)["ada"][0] == "pending"
    assert len(mail_server.messages) == 2
    assert send(ledger, settings, programmes=programmes).sent == 1


def test_live_sending_looks_at_the_number(ledger, settings, provider) -> None:
    invite(ledger, "ada", number="+1 555 0199")
    report = send(ledger, settings)
    assert (report.sent, report.held) == (0, {"live sending is off": 1})
    assert provider.requests == 0


@pytest.mark.parametrize("number", ["", "0170 1234567", "+0170", "+49170abc", "+49170\r\n1234567890123456"])
def test_what_is_no_number_is_rejected_with_the_reason(settings, number) -> None:
    message = candidate("ada", programme=BY_TEXT, payload={"mobile_phone": number})
    with pytest.raises(BadInput, match="international form") as refused:
        render_text_message(message, settings=settings)
    assert "170" not in str(refused.value).replace("+49 170 ...", "")


def test_reminders_take_the_same_way(ledger, settings, provider) -> None:
    invite(ledger, "ada")
    send(ledger, settings)
    later = NOW + dt.timedelta(days=3, hours=1)
    assert plan_reminders(ledger, [BY_TEXT], now=later) == 1
    assert send(ledger, settings, later).sent == 1
    assert [to for to, _, _ in provider.messages] == ["+491701234567"] * 2
