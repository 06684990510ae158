"""Bounces as mail servers write them, read from a mailbox: each counts once, hard ones suppress, others don't."""

from __future__ import annotations

import datetime as dt
import mailbox

import pytest
from ledger_world import NOW, candidate, plan
from sqlalchemy import select

from closedloop.errors import BadInput
from closedloop.identity import person_key
from closedloop.ledger.schema import events, suppressions
from ingestion.sources.bounces import MailboxUnavailable, ingest_bounces, read_report

ID = "0123456789abcdef0123456789abcdef"
RETURNED = f"Message-ID: <{ID}@closedloop.example>\nFrom: feedback@closedloop.example\nTo: ada@customer.example\nSubject: hello\n"


def _dsn(
    action: str, status: str, words: str = "", returned: str = RETURNED, diagnostic: str = "smtp; 550 no"
) -> bytes:
    return f"""Return-Path: <>
From: MAILER-DAEMON@mx.customer.example (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: feedback@closedloop.example
Date: Mon, 02 Mar 2026 08:00:00 +0000
Message-ID: <dsn-{action}-{status}@mx.customer.example>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"

--b1
Content-Type: text/plain; charset=us-ascii

{words or "This is the mail system at host mx.customer.example."}

--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.customer.example
Arrival-Date: Mon, 02 Mar 2026 07:59:00 +0000

Final-Recipient: rfc822; ada@customer.example
Action: {action}
Status: {status}
Diagnostic-Code: {diagnostic}

--b1
Content-Type: text/rfc822-headers

{returned}
--b1--
""".encode()


EXCHANGE = _dsn(
    "failed",
    "5.1.10",
    words="Delivery has failed to these recipients or groups:",
    diagnostic="smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
).replace(b"MAILER-DAEMON@mx.customer.example (Mail Delivery System)", b"postmaster@customer.example")

WHOLE_MAIL_BACK = _dsn("failed", "5.1.1").replace(b"text/rfc822-headers", b"message/rfc822")

EXIM = f"""Return-Path: <>
From: Mail Delivery System <Mailer-Daemon@mx.customer.example>
To: feedback@closedloop.example
X-Failed-Recipients: ada@customer.example
Auto-Submitted: auto-replied
Subject: Mail delivery failed: returning message to sender
Message-Id: <E1x@mx.customer.example>
Date: Mon, 02 Mar 2026 08:00:00 +0000
Content-Type: text/plain

This message was created automatically by mail delivery software.
A message that you sent could not be delivered to one or more of its recipients. This is a permanent error.

  ada@customer.example
    host mx.customer.example [192.0.2.1]
    SMTP error from remote mail server after RCPT TO:<ada@customer.example>:
    550 5.1.1 <ada@customer.example>: Recipient address rejected: User unknown

------ This is a copy of the message, including all the headers. ------

{RETURNED}
""".encode()

QMAIL = f"""Return-Path: <>
From: MAILER-DAEMON@mx.customer.example
To: feedback@closedloop.example
Subject: failure notice
Date: 2 Mar 2026 08:00:00 -0000

Hi. This is the qmail-send program at mx.customer.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<ada@customer.example>:
Sorry, no mailbox here by that name: no such user. (#5.1.1)

--- Below this line is a copy of the message.

{RETURNED}
""".encode()

COMPLAINT = f"""From: staff@isp.example
To: feedback@closedloop.example
Subject: FW: hello
Message-ID: <arf@isp.example>
Date: Mon, 02 Mar 2026 08:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b2"

--b2
Content-Type: text/plain

This is an email abuse report.

--b2
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: SomeGenerator/1.0
Version: 1

--b2
Content-Type: message/rfc822

{RETURNED}
The mail.
--b2--
""".encode()

ON_HOLIDAY = f"""From: Ada <ada@customer.example>
To: feedback@closedloop.example
Subject: Automatic reply: hello
Auto-Submitted: auto-replied
X-Autoreply: yes
Message-ID: <holiday@customer.example>
Date: Mon, 02 Mar 2026 08:00:00 +0000

I am back on Monday. You wrote:
> {RETURNED.splitlines()[0]}
""".encode()

LETTER = f"""From: Ada <ada@customer.example>
To: feedback@closedloop.example
Subject: Re: hello
Message-ID: <letter@customer.example>
Date: Mon, 02 Mar 2026 08:00:00 +0000

My colleague does not exist any more as a user. And this mail looked odd:
> {RETURNED.splitlines()[0]}
""".encode()


@pytest.mark.parametrize(
    ("data", "kind", "hard"),
    [
        pytest.param(_dsn("failed", "5.1.1"), "bounced", True, id="postfix, unknown"),
        pytest.param(
            _dsn("failed", "5.2.2", diagnostic="smtp; 552 mailbox full"), "bounced", False, id="postfix, full"
        ),
        pytest.param(_dsn("failed", "5.7.1", diagnostic="smtp; 554 spam"), "bounced", False, id="postfix, spam"),
        pytest.param(_dsn("failed", "4.4.7"), "bounced", False, id="postfix, given up"),
        pytest.param(_dsn("delayed", "4.4.1"), "deferred", False, id="postfix, delayed"),
        pytest.param(_dsn("delivered", "2.0.0"), "delivered", False, id="delivered"),
        pytest.param(_dsn("relayed", "2.0.0"), "delivered", False, id="relayed"),
        pytest.param(EXCHANGE, "bounced", True, id="exchange"),
        pytest.param(WHOLE_MAIL_BACK, "bounced", True, id="with the whole mail"),
        pytest.param(EXIM, "bounced", True, id="exim"),
        pytest.param(QMAIL, "bounced", True, id="qmail"),
        pytest.param(COMPLAINT, "complained", False, id="complaint"),
    ],
)
def test_a_report_is_read_whoever_wrote_it(data: bytes, kind: str, hard: bool):
    report = read_report(data, now=NOW)
    assert report is not None
    assert (report.kind, report.hard, report.message_id) == (kind, hard, ID)
    assert report.occurred_at == dt.datetime(2026, 3, 2, 8, tzinfo=dt.UTC)
    assert "ada@" not in str(report.raw)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(ON_HOLIDAY, id="automatic answer"),
        pytest.param(LETTER, id="letter"),
        pytest.param(_dsn("failed", "5.1.1", returned="Message-ID: <short@x>\n"), id="not our mail"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe\x00 nothing", id="no mail at all"),
    ],
)
def test_what_is_no_report_about_a_mail_of_ours_is_left(data: bytes):
    assert read_report(data, now=NOW) is None


@pytest.fixture
def box(tmp_path, ledger):
    [message_id] = plan(ledger, [candidate("ada")])
    return mailbox.Maildir(tmp_path / "bounces"), message_id, f"maildir://{tmp_path}/bounces"


def _suppressed(ledger) -> dict[str, str]:
    with ledger.read() as conn:
        return dict(conn.execute(select(suppressions.c.person_key, suppressions.c.reason)).tuples().all())


def test_a_mailbox_is_read_once_and_a_hard_bounce_suppresses(ledger, box):
    folder, message_id, url = box
    ours = RETURNED.replace(ID, message_id)
    for data in (_dsn("failed", "5.1.1", returned=ours), _dsn("delayed", "4.4.1", returned=ours), LETTER):
        folder.add(data)
    first = ingest_bounces(ledger, url, now=NOW)
    assert (first.read, first.found, first.not_ours) == (3, {"bounced": 1, "deferred": 1}, 1)
    assert _suppressed(ledger) == {person_key("ada@customer.example"): "bounced"}
    with ledger.read() as conn:
        [event] = conn.execute(select(events).where(events.c.kind == "bounced")).mappings()
    assert event["message_id"] == message_id and '"hard":true' in event["payload"]
    assert ingest_bounces(ledger, url, now=NOW).read == 0
    folder.add(_dsn("failed", "5.1.1", returned=ours))  # the server sends it again
    again = ingest_bounces(ledger, url, now=NOW)
    assert (again.read, again.known, again.found) == (1, 1, {})
    assert len(folder) == 4, "no mail is thrown away"


def test_a_soft_bounce_and_a_complaint_differ(ledger, box):
    folder, message_id, url = box
    ours = RETURNED.replace(ID, message_id)
    folder.add(_dsn("failed", "5.2.2", diagnostic="smtp; 552 mailbox full", returned=ours))
    ingest_bounces(ledger, url, now=NOW)
    assert _suppressed(ledger) == {}
    folder.add(COMPLAINT.replace(ID.encode(), message_id.encode()))
    ingest_bounces(ledger, url, now=NOW)
    assert _suppressed(ledger) == {person_key("ada@customer.example"): "complained"}


@pytest.mark.parametrize("url", ["", "pop3://x", "/var/mail", "maildir:///not/there"])
def test_an_address_that_is_no_mailbox_is_refused(ledger, url):
    with pytest.raises(BadInput, match="CLOSEDLOOP_BOUNCE_MAILBOX"):
        ingest_bounces(ledger, url, now=NOW)


def test_a_server_that_is_not_there_is_a_clear_error_without_the_password(ledger):
    with pytest.raises(MailboxUnavailable, match="what to do") as caught:
        ingest_bounces(ledger, "imap://me:hunter2@127.0.0.1:1/INBOX", now=NOW)
    assert "hunter2" not in str(caught.value)
