"""What follows each score: the standard workflows, those of a programme, and what never happens twice."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping

import pytest
from ledger_world import NOW, candidate, plan, survey
from mail_server import MailServer
from sqlalchemy import select

from closedloop.clock import Clock
from closedloop.ledger import Ledger, answers, lists
from closedloop.ledger.actions import action_books, actions_of
from closedloop.ledger.followups import list_followups
from closedloop.ledger.schema import messages
from closedloop.settings import Settings
from dispatch.followup import run_follow_up
from dispatch.knowledge import Known
from dispatch.sender import send_due

HOUR = dt.timedelta(hours=1)
RED = ["detractor.alert", "detractor.case", "detractor.health", "detractor.task", "detractor.timeline"]
YELLOW = ["passive.health", "passive.task", "passive.timeline"]
GREEN = ["promoter.advocate", "promoter.health", "promoter.reply-thank-you", "promoter.timeline"]


class Knows:
    """What a publication would know."""

    def __init__(self, account: Mapping[str, object] | None = None, left: frozenset[str] = frozenset()) -> None:
        self.left, self.known = left, Known({}, account or {})

    def of(self, contact_id: str, account_id: str | None) -> Known:
        return self.known


def _answer(ledger: Ledger, invitation_id: str, score: int, at=NOW, **over) -> None:
    with ledger.write() as conn:
        answers.record_answer(
            conn, invitation_id, score, **{"channel": "email", "judged": "human", "at": at, "now": at, **over}
        )


def _after(
    ledger: Ledger, settings: Settings, score: int, programme=None, knowledge=None, **payload
) -> dict[str, dict]:
    """The actions that follow `score` in a new invitation of `programme`."""
    [invitation] = plan(ledger, [candidate("ann", programme=programme or survey(), payload=payload)])
    _answer(ledger, invitation, score)
    run_follow_up(ledger, settings, (), now=NOW, knowledge=knowledge)
    return actions_of(ledger, invitation)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        *((score, RED) for score in range(7)),
        *((score, YELLOW) for score in (7, 8)),
        (9, GREEN),
        (10, [*GREEN, "referral.task"]),
    ],
)
def test_the_standard_workflows_by_score(ledger, settings, score, expected):
    found = _after(ledger, settings, score)
    assert sorted(found) == sorted([*expected, "record"])
    assert {row["state"] for row in found.values()} == {"planned"}
    assert {found[name]["payload"]["category"] for name in found if found[name]["way"] == "crm"} == {
        "detractor" if score < 7 else "passive" if score < 9 else "promoter"
    }
    assert len(list_followups(ledger)) == (score <= 6)


def test_the_words_of_the_documents(ledger, settings):
    task = _after(ledger, settings, 2)["detractor.task"]["payload"]
    assert task["subject"] == "Follow up on detractor NPS response from Ada Ann at Acme"
    assert (task["priority"], task["assignee_id"]) == ("high", "U2"), "the manager takes over up to 3"
    assert task["due_at"] == (NOW + 48 * HOUR).isoformat()


def test_who_is_nameless_in_the_crm_gets_a_task_all_the_same(ledger, settings):
    nameless = dict.fromkeys(("contact_name", "first_name", "last_name", "account_name"), None)
    task = _after(ledger, settings, 2, **nameless)["detractor.task"]["payload"]
    assert task["subject"] == "Follow up on detractor NPS response from a contact at an unknown account"


@pytest.mark.parametrize(("score", "colour", "change"), [(0, "red", -10), (8, "yellow", 0), (9, "green", 5)])
def test_colour_and_health(ledger, settings, score, colour, change):
    found = _after(ledger, settings, score)
    [timeline] = [row for name, row in found.items() if name.endswith(".timeline")]
    [health] = [row for name, row in found.items() if name.endswith(".health")]
    assert (timeline["payload"]["colour"], health["payload"]["change"]) == (colour, change)


@pytest.mark.parametrize(
    ("event", "reopened"), [("ticket_resolved", "case-7"), ("support_contact", "case-7"), ("deal_won", None)]
)
def test_the_case_that_the_survey_was_about_is_reopened(ledger, settings, event, reopened):
    found = _after(ledger, settings, 4, trigger_event=event, trigger_record_id="case-7")
    assert found["detractor.case"]["payload"]["reopen_case_id"] == reopened


def test_marketing_is_told_where_it_has_an_address(ledger, settings, server: MailServer, clock):
    told = settings.model_copy(update={"marketing_address": "marketing@closedloop.example"})
    found = _after(ledger, told, 9)
    assert found["promoter.alert-marketing"]["way"] == "mail"
    send_due(ledger, told, [survey()], clock=clock)
    assert ("marketing@closedloop.example",) in [recipients for _, recipients in server.envelopes]


OWN = [
    {"id": "passive", "actions": []},
    {
        "id": "key-accounts",
        "scores": "0-8",
        "where": "account.tier = 'Enterprise' and account.contract_value >= 1000",
        "actions": [{"do": "alert", "to": "manager"}, {"do": "chat", "channel": "alerts"}],
    },
]


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        ({"tier": "Enterprise", "contract_value": 5000.0}, ["key-accounts.alert", "key-accounts.chat"]),
        ({"tier": "Enterprise", "contract_value": 500}, []),
        ({"tier": "Enterprise"}, []),
        ({}, []),
    ],
)
def test_a_programmes_own_workflows(ledger, settings, account, expected):
    found = _after(ledger, settings, 7, survey(workflows=OWN), Knows(account))
    assert sorted(found) == sorted([*expected, "record"])


def test_a_changed_score_adds_what_is_new_and_repeats_nothing(ledger, settings):
    [invitation] = plan(ledger, [candidate("ann")])
    for hour, score in enumerate((9, 3, 10, 2)):
        _answer(ledger, invitation, score, NOW + hour * HOUR)
        run_follow_up(ledger, settings, (), now=NOW + hour * HOUR)
        run_follow_up(ledger, settings, (), now=NOW + hour * HOUR)
    found = actions_of(ledger, invitation)
    assert sorted(found) == sorted([*RED, *GREEN, "referral.task", "record"])
    assert (found["record"]["version"], found["record"]["payload"]["score"]) == (4, 2), (
        "the answer itself is kept current"
    )
    assert len(list_followups(ledger)) == 1


def test_a_thank_you_reaches_the_customer_and_can_be_stopped(ledger, settings, server: MailServer, clock: Clock):
    ids = plan(ledger, [candidate(name) for name in ("ann", "bob", "cyd")])
    send_due(ledger, settings, [survey()], clock=clock)
    server.envelopes.clear()
    for invitation in ids:
        _answer(ledger, invitation, 10)
    with ledger.write() as conn:
        answers.unsubscribe(conn, ids[1], at=NOW, now=NOW)
    lists.exclude_add(ledger, "contact", "cyd", reason="asked to", author="Olga", now=NOW)
    run_follow_up(ledger, settings, (), now=NOW)
    send_due(ledger, settings, [survey()], clock=clock)
    assert [recipients for _, recipients in server.envelopes] == [("ann@customer.example",)]
    states = [actions_of(ledger, one)["promoter.reply-thank-you"] for one in ids]
    assert [(row["state"], row["reason"]) for row in states] == [
        ("done", None),
        ("skipped", "suppressed"),
        ("skipped", "excluded"),
    ]
    mail = next(mail for key, mail in server.messages.items() if key not in ids).decode()
    assert "Subject: Thank you, Ada" in mail and "List-Unsubscribe-Post" in mail and "you would" in mail


def test_late_answers_thank_nobody_but_still_alert(ledger, settings):
    ids = plan(ledger, [candidate("ann"), candidate("bob")])
    _answer(ledger, ids[0], 10, judged="provisional")
    _answer(ledger, ids[1], 3, judged="provisional")
    run_follow_up(ledger, settings, (), now=NOW + 10 * 24 * HOUR, confirmed=ids)
    assert actions_of(ledger, ids[0])["promoter.reply-thank-you"]["state"] == "skipped"
    assert actions_of(ledger, ids[1])["detractor.alert"]["state"] == "planned"


def test_a_text_that_cannot_be_filled_costs_only_its_own_action(ledger, settings):
    programme = survey()
    broken = programme.model_dump(mode="json")
    broken["workflows"] = [
        {"id": "odd", "actions": [{"do": "task", "subject": "{{ contact_name }}"}, {"do": "advocate"}]}
    ]
    found = _after(ledger, settings, 9, definition=broken)
    assert found["odd.task"]["state"] == "planned" and "odd.advocate" in found


def test_the_books_of_actions(ledger, settings):
    _after(ledger, settings, 3)
    books = {book["action"]: book for book in action_books(ledger)}
    assert books["detractor.alert"]["way"] == "mail"
    assert all(book["planned"] == 1 and book["done"] == 0 for book in books.values())


LANGUAGES = ["ar", "de", "es", "fr", "he", "ja", "nl", "pt", "pt-BR"]


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_thanks_to_somebody_without_a_name(ledger, settings, language):
    _after(ledger, settings, 9, survey(language=language), first_name=None, last_name=None, contact_name=None)
    with ledger.read() as conn:
        words = json.loads(conn.scalar(select(messages.c.payload).where(messages.c.kind == "reply")))["reply"]
    assert not re.search(r"\s[,:!،]|^[,様、]", words["body"].strip().split("\n")[0])
    assert words["subject"] == words["subject"].strip(" ,、") != ""


@pytest.mark.parametrize("language", LANGUAGES)
def test_thanks_in_the_language_that_the_survey_was_read_in(ledger, settings, language):
    _after(ledger, settings, 9, survey(language=language))
    with ledger.read() as conn:
        payload = json.loads(conn.scalar(select(messages.c.payload).where(messages.c.kind == "reply")))
    words = payload["reply"]
    assert "Ada" in words["subject"] and "Thank you" not in words["subject"]
    assert "Northwind Cloud" in words["body"] and "{{" not in words["body"]


def test_thanks_in_english_where_the_survey_is(ledger, settings):
    _after(ledger, settings, 9, language="de")
    with ledger.read() as conn:
        payload = json.loads(conn.scalar(select(messages.c.payload).where(messages.c.kind == "reply")))
    assert payload["reply"]["subject"] == "Thank you, Ada"
