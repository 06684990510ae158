"""The alert: who, what, until when, and how to record it."""

from __future__ import annotations

import email
from email import policy

import pytest

from closedloop.links import follow_up_link, worklist_link
from dispatch.rendering import render_alert


def parsed(parts):
    return email.message_from_bytes(parts.as_bytes(), policy=policy.default)


def test_it_says_all_that_is_needed(alert, settings) -> None:
    parts = render_alert(alert, settings=settings)
    mail = parsed(parts)
    text, html = mail.get_body(("plain",)).get_content(), mail.get_body(("html",)).get_content()
    for part in (text, html):
        for fact in (
            "Ada Lovelace",
            "3 of 10",
            "Wed 4 March 2026, 09:00 UTC",
            "Tue 3 March 2026",
            "ada@customer.example",
        ):
            assert fact in part
        for place in ("#contacted", "#outcome"):
            assert follow_up_link(settings, "0123456789abcdef0123456789abcdef") + place in part
        assert worklist_link(settings, "robin.rep@closedloop.example") in part
    assert "Too <b>slow</b> & nobody called." in text
    assert "Too &lt;b&gt;slow&lt;/b&gt; &amp; nobody called." in html
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Subject"] == "Ada Lovelace, Acme & Sons gave 3 of 10: please call"
    assert parts.recipients == ("robin.rep@closedloop.example", "morgan@closedloop.example")
    assert mail["Cc"] == "morgan@closedloop.example"
    assert "List-Unsubscribe" not in mail


def test_the_list_is_of_the_address_that_the_ledger_has(alert, settings) -> None:
    alert["payload"]["email"] = "robin@b\u00fccher.example"
    parts = render_alert(alert, settings=settings)
    assert parts.to == "robin@xn--bcher-kva.example"
    assert worklist_link(settings, "robin@b\u00fccher.example") in parts.text


def test_the_warning_says_that_time_runs_out(alert, settings) -> None:
    alert["payload"]["notice"] = "sla_warning"
    mail = parsed(render_alert(alert, settings=settings))
    assert mail["Subject"].startswith("Time is running out")
    assert "has not been contacted yet" in mail.get_body(("html",)).get_content()


def test_little_known_is_enough(alert, settings) -> None:
    alert["payload"] = {"email": "robin.rep@closedloop.example", "score": 6, "due_at": None}
    mail = parsed(render_alert(alert, settings=settings))
    assert "No comment so far." in mail.get_body(("plain",)).get_content()
    assert mail["Cc"] is None


def test_who_was_asked_by_text_message_can_be_called(alert, settings) -> None:
    alert["payload"] |= {"contact_email": None, "contact_phone": "+49 170 1234567"}
    parts = render_alert(alert, settings=settings)
    assert 'href="tel:+491701234567"' in parts.html
    assert "Call +49 170 1234567 or write" in parts.text
    alert["payload"]["contact_phone"] = 'javascript:x"><b>'
    assert "tel:" not in render_alert(alert, settings=settings).html


def test_long_names_leave_room_for_the_score(alert, settings) -> None:
    alert["payload"] |= {"contact_name": "Ada " + "B" * 117, "account_name": "C" * 255}
    mail = parsed(render_alert(alert, settings=settings))
    assert mail["Subject"].endswith("gave 3 of 10: please call")
    assert "C" * 255 in mail.get_body(("plain",)).get_content()


@pytest.mark.parametrize("field", ["contact_name", "account_name"])
def test_no_name_forges_a_header(alert, settings, field) -> None:
    alert["payload"][field] = "Ada\r\nBcc: x@evil.example =?utf-8?q?=0aBcc: y@evil.example?="
    mail = parsed(render_alert(alert, settings=settings))  # the alert goes out all the same
    assert mail["Bcc"] is None
    assert "Ada Bcc: x@evil.example" in mail["Subject"]


def test_what_is_known_of_the_customer(alert, settings) -> None:
    known = {
        "account": {"tier": "Enterprise", "contract_value": 125000.0, "renewal_date": "2026-06-30", "open_cases": 2},
        "earlier": [
            {"survey_id": "support", "score": 9, "on": "2025-11-02", "same_contact": True},
            {"survey_id": "support", "score": 4, "on": "2025-05-02", "same_contact": False},
        ],
    }
    mail = parsed(render_alert({**alert, "payload": {**alert["payload"], **known}}, settings=settings))
    for kind in ("plain", "html"):
        part = mail.get_body((kind,)).get_content()
        for fact in ("Enterprise", "125,000", "30 June 2026", "120 days after the answer", "Open cases", "2025-11-02"):
            assert fact in part
        assert "2025-05-02, a colleague" in part


@pytest.mark.parametrize(
    ("day", "words"),
    [
        ("2026-03-02", "2 March 2026, the day of the answer"),
        ("2026-03-03", "3 March 2026, 1 day after the answer"),
        ("2026-02-28", "28 February 2026, 2 days before the answer"),
    ],
)
def test_a_renewal_close_by(alert, settings, day, words) -> None:
    alert["payload"]["account"] = {"renewal_date": day}
    assert words in render_alert(alert, settings=settings).text


@pytest.mark.parametrize(
    ("payload", "subject", "words"),
    [
        ({"notice": "escalation"}, "Not contacted in time: Ada Lovelace, Acme & Sons gave 3 of 10", "was promised by"),
        ({"notice": "handed_over"}, "Handed over to you: Ada Lovelace, Acme & Sons gave 3 of 10", "due by"),
        (
            {"has_followup": False, "score": 10},
            "Ada Lovelace, Acme & Sons gave 10 of 10",
            "Nobody else has to do anything",
        ),
    ],
)
def test_each_kind_of_alert_has_its_own_words(alert, settings, payload, subject, words) -> None:
    parts = render_alert({**alert, "payload": {**alert["payload"], **payload}}, settings=settings)
    mail = parsed(parts)
    assert mail["Subject"] == subject
    for kind in ("plain", "html"):
        assert words in mail.get_body((kind,)).get_content()
    if not payload.get("has_followup", True):
        assert "get in touch" not in parts.html
        assert "please call" not in parts.text and "/w/" not in parts.html and "Importance" not in mail
