"""The action `chat`: a line for each, tried again while the chat is busy, and nothing in it that calls or misleads people."""

from __future__ import annotations

import datetime as dt

import pytest
from ledger_world import NOW, candidate, plan, survey
from webhook_receiver import Receiver

from closedloop.clock import Clock
from closedloop.ledger import Ledger, actions, answers
from closedloop.settings import Settings
from dispatch.chat import send_chats, text_of
from dispatch.followup import run_follow_up

MINUTE, HOUR = dt.timedelta(minutes=1), dt.timedelta(hours=1)


@pytest.fixture
def chatting(settings: Settings, receiver: Receiver) -> Settings:
    return settings.model_copy(update={"chat_webhooks": {"alerts": receiver.url}})


def _say(ledger: Ledger, settings: Settings, at: dt.datetime = NOW) -> dict[str, int]:
    return send_chats(ledger, settings, clock=Clock.starting_at(at), timeout=0.5)


def _answered(
    ledger: Ledger, settings: Settings, *names: str, channel: str = "alerts", comment: str = "words"
) -> list[str]:
    workflow = {"id": "low", "scores": "0-6", "actions": [{"do": "chat", "channel": channel}]}
    programme = survey(workflows=[workflow])
    ids = plan(ledger, [candidate(name, programme=programme) for name in names])
    for invitation in ids:
        with ledger.write() as conn:
            said = {"comment": comment, "channel": "email", "judged": "human", "at": NOW, "now": NOW}
            answers.record_answer(conn, invitation, 3, **said)
    run_follow_up(ledger, settings, (), now=NOW)
    return ids


def _action(ledger: Ledger, invitation: str) -> dict:
    return actions.actions_of(ledger, invitation)["low.chat"]


def test_who_gave_what_and_the_words(ledger, chatting, receiver):
    [ann] = _answered(ledger, chatting, "ann", comment="nobody calls\nback")
    assert _say(ledger, chatting) == {"done": 1}
    assert receiver.events == [{"text": "Ada Ann at Acme gave 3 of 10 (Post-Close): 'nobody calls back'"}]
    assert _action(ledger, ann)["state"] == "done" and _say(ledger, chatting) == {}


def test_an_unknown_chat_is_a_failure_that_can_be_mended(ledger, settings, chatting, receiver):
    [ann] = _answered(ledger, settings, "ann")
    assert _say(ledger, settings) == {"failed": 1}
    assert _action(ledger, ann)["reason"] == "CLOSEDLOOP_CHAT_WEBHOOKS has no chat 'alerts'"
    assert actions.retry_failed(ledger, now=NOW) == 1
    assert _say(ledger, chatting) == {"done": 1}


@pytest.mark.parametrize("fault", [404, 403, 410, 302])
def test_a_chat_that_refuses_is_a_failure(ledger, chatting, receiver, fault):
    receiver.faults = [fault]
    [ann] = _answered(ledger, chatting, "ann")
    assert _say(ledger, chatting) == {"failed": 1}
    reason = _action(ledger, ann)["reason"]
    assert f"it answers {fault}" in reason and "secret" not in reason


@pytest.mark.parametrize("fault", [500, 503, "cut", "slow"])
def test_a_chat_that_is_down_is_tried_again_and_not_once_for_each_line(ledger, chatting, receiver, fault):
    receiver.always = fault
    _answered(ledger, chatting, "ann", "bob", "cyd")
    assert _say(ledger, chatting) == {"planned": 3}
    assert len(receiver.requests) == 1
    receiver.always = 200
    assert _say(ledger, chatting) == {}, "not at once"
    assert _say(ledger, chatting, NOW + MINUTE) == {"done": 3}


def test_a_busy_chat_says_when(ledger, chatting, receiver):
    receiver.faults, receiver.headers = [429], {"Retry-After": "300"}
    _answered(ledger, chatting, "ann")
    assert _say(ledger, chatting) == {"planned": 1}
    assert _say(ledger, chatting, NOW + 4 * MINUTE) == {}
    assert _say(ledger, chatting, NOW + 6 * MINUTE) == {"done": 1}


def test_after_a_day_it_is_no_news_any_more(ledger, chatting, receiver):
    receiver.always = 500
    [ann] = _answered(ledger, chatting, "ann")
    at = NOW
    while _action(ledger, ann)["state"] == "planned":
        _say(ledger, chatting, at)
        at += HOUR
        assert at < NOW + 30 * HOUR
    assert _action(ledger, ann)["state"] == "failed"


def test_one_whose_process_died_comes_again(ledger, chatting, receiver):
    _answered(ledger, chatting, "ann")
    _, [begun] = actions.begin(ledger, [actions.CHAT], now=NOW)
    assert _say(ledger, chatting, NOW + 9 * MINUTE) == {}
    assert _say(ledger, chatting, NOW + 11 * MINUTE) == {"done": 1} and begun


@pytest.mark.parametrize(
    "words", ["<!channel> <@U1> @here", "[free](http://evil.test)", "<http://evil.test|your bank>"]
)
def test_words_call_nobody_and_lead_nowhere(words):
    text = text_of({"contact_name": words, "account_name": words, "survey_name": "S", "score": 1, "comment": words})
    assert not set(text) & set("<>") and "](" not in text and "://" not in text
    assert "@h" not in text and "@U" not in text


def test_a_line_has_an_end():
    payload = {"contact_name": None, "account_name": "a" * 5_000, "survey_id": "s", "score": 1, "comment": "w " * 5_000}
    assert len(text_of(payload)) < 1_000 and text_of(payload).startswith("a contact at aaa")
