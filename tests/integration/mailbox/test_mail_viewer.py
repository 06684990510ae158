"""The viewer: a list, one mail, and nothing in a mail that could run or call home."""

from __future__ import annotations

import smtplib

import pytest
from starlette.testclient import TestClient

from closedloop.programme import load_surveys
from dispatch.mailbox import MailSink
from dispatch.mailbox.viewer import PAGE_SIZE, create_app
from dispatch.rendering import render_invitation
from orchestration.reports import sample_message


@pytest.fixture
def viewer(settings):
    return TestClient(create_app(settings))


@pytest.fixture
def send(settings):
    with MailSink(settings.mailbox_dir, port=0) as sink, smtplib.SMTP("127.0.0.1", sink.port) as client:
        yield lambda to, data: client.sendmail("a@x.example", [to], data)


def key_of(page: str) -> str:
    return page.partition('href="/mail/')[2].partition('"')[0]


def test_an_empty_mailbox_says_what_to_do(viewer) -> None:
    page = viewer.get("/")
    assert page.status_code == 200
    assert "No mail yet" in page.text
    assert viewer.get("/mail/none").status_code == 404
    assert viewer.get("/mail/..%2F..%2Fsecret.key").status_code == 404
    assert viewer.get("/mail/none/html").status_code == 404


def test_an_invitation_is_listed_and_shown(viewer, send, settings) -> None:
    survey = load_surveys(settings.surveys)[0]
    parts = render_invitation(sample_message(survey, "ada@customer.example"), settings=settings)
    send("ada@customer.example", parts.as_bytes())
    index = viewer.get("/").text
    assert "ada@customer.example" in index
    assert "invitation" in index
    key = key_of(index)
    page = viewer.get(f"/mail/{key}")
    assert f'src="/mail/{key}/html"' in page.text
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page.text
    body = viewer.get(f"/mail/{key}/html")
    assert body.text.count("?score=") == 11
    assert '<base target="_blank">' in body.text
    policy = body.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert f"img-src data: {settings.collector_url};" in policy
    assert "script-src" not in policy
    assert "Hello Sam," in viewer.get(f"/mail/{key}?view=text").text
    assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in viewer.get(f"/mail/{key}?view=source").text


def test_what_a_mail_says_is_shown_and_not_run(viewer, send) -> None:
    send("b@x.example", b"Subject: <script>alert(1)</script>\r\nFrom: <i>@x.example\r\n\r\n<script>alert(2)</script>")
    index = viewer.get("/").text
    assert "<script>" not in index
    for view in ("html", "text", "source", "nonsense"):
        assert "<script>" not in viewer.get(f"/mail/{key_of(index)}?view={view}").text


def test_filter_and_pages(viewer, send) -> None:
    for number in range(PAGE_SIZE + 3):
        send(f"p{number}@x.example", b"Subject: s\r\n\r\nx")
    assert "Page 1 of 2" in viewer.get("/").text
    assert viewer.get("/?page=2").text.count("<li>") == 3
    assert viewer.get("/?page=99999999999").status_code == 200
    assert viewer.get("/?to=P7@").text.count("<li>") == 1
    assert "No mail went to" in viewer.get("/?to=nobody").text
    assert "<script>" not in viewer.get("/?to=<script>").text
