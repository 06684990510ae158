"""The mailbox shows what a mail says, whatever that is: a word in a header is a word, and the mail itself stays in its sandbox."""

from __future__ import annotations

import smtplib

import pytest
from starlette.testclient import TestClient

from closedloop.programme import load_surveys
from dispatch.mailbox import MailSink
from dispatch.mailbox.viewer import create_app
from dispatch.rendering import render_alert, render_invitation
from orchestration.reports import sample_message
from tests.support.hostile import MARKUP, SCRIPTS


@pytest.fixture
def viewer(settings):
    return TestClient(create_app(settings))


@pytest.fixture
def sent(settings, viewer):
    """Sends one mail to the sink and gives its key."""
    with MailSink(settings.mailbox_dir, port=0) as sink, smtplib.SMTP("127.0.0.1", sink.port) as client:

        def send(data: bytes) -> str:
            client.sendmail("a@x.example", ["b@x.example"], data)
            return viewer.get("/").text.partition('href="/mail/')[2].partition('"')[0]

        yield send


def _is_words(page: str) -> bool:
    return not [mark for mark in MARKUP if mark in page.lower()]


def _mails(settings, words: str) -> list[bytes]:
    """What we send ourselves to and about somebody who is called so."""
    [survey] = [one for one in load_surveys(settings.surveys) if one.id == "post-close"]
    names = dict.fromkeys(("first_name", "last_name", "contact_name", "account_name", "company", "owner_name"), words)
    message = sample_message(survey, "ada@customer.example")
    facts = names | {"email": "robin@closedloop.example", "score": 2, "comment": words, "survey_name": words}
    alert = message | {"kind": "alert", "payload": facts | {"contact_email": "ada@customer.example"}}
    return [
        render_invitation(message | {"payload": message["payload"] | names}, settings=settings).as_bytes(),
        render_alert(alert, settings=settings).as_bytes(),
    ]


PRINTABLE = {name: words for name, words in SCRIPTS.items() if name != "json"}  # that one's line ends stop a mail


@pytest.mark.parametrize("words", PRINTABLE.values(), ids=PRINTABLE)
def test_mails_of_ours_hold_words_as_words(settings, viewer, sent, words) -> None:
    for data in _mails(settings, words):
        key = sent(data)
        shown = [viewer.get("/"), viewer.get(f"/mail/{key}/html"), viewer.get(f"/?to={words}")]
        shown += [viewer.get(f"/mail/{key}?view={view}") for view in ("html", "phone", "text", "source")]
        assert all(page.status_code == 200 and _is_words(page.text) for page in shown)


@pytest.mark.parametrize("words", SCRIPTS.values(), ids=SCRIPTS)
def test_mails_of_others_are_shown_around_and_closed_in(viewer, sent, words) -> None:
    quiet = " ".join(words.split())
    head = f"Subject: {quiet}\r\nFrom: {quiet} <x@x.example>\r\nX-Closedloop-Kind: {quiet}\r\nX-Other: {quiet}\r\n"
    key = sent(f"{head}Content-Type: text/html; charset=utf-8\r\n\r\n{words}".encode())
    pages = [viewer.get("/"), *(viewer.get(f"/mail/{key}?view={view}") for view in ("html", "text", "source"))]
    assert all(page.status_code == 200 and _is_words(page.text) for page in pages)
    body = viewer.get(f"/mail/{key}/html")
    policy = body.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src" not in policy
    assert "sandbox allow-popups allow-popups-to-escape-sandbox" in policy and "allow-scripts" not in policy
