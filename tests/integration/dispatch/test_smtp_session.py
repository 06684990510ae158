"""The conversation itself: dots, large mails cut in the middle, operator notices."""

from __future__ import annotations

import pytest
from ledger_world import NOW
from mail_server import MailServer

from closedloop.errors import Refused
from closedloop.settings import Settings
from dispatch.notice import send_notice
from dispatch.smtp import MailServerUnavailable, SmtpSession


def test_lines_that_begin_with_a_dot_arrive_as_they_were(server: MailServer):
    session = SmtpSession(server.url)
    data = b"Message-ID: <dots@x>\r\n\r\n.\r\n..two\r\nend."
    assert session.deliver("from@x.example", ["to@x.example"], data).state == "sent"
    session.close()
    assert server.messages["dots"] == data + b"\r\n"


def test_cut_before_the_closing_dot_is_proof_that_nothing_was_accepted(server: MailServer):
    server.fail("to@x.example", "cut-in-data")
    session = SmtpSession(server.url, timeout=5)
    outcome = session.deliver("from@x.example", ["to@x.example"], b"x" * 900 + b"\r\n" * 20_000_000)
    assert outcome.state == "pending"
    assert outcome.is_connection_lost
    assert session.deliver("from@x.example", ["to@x.example"], b"again\r\n").state == "sent"
    session.close()


def test_reasons_hold_no_address(server: MailServer):
    server.fail("to@x.example", "rcpt-550")
    session = SmtpSession(server.url)
    outcome = session.deliver("from@x.example", ["to@x.example"], b"x\r\n")
    session.close()
    assert outcome.reason == "550 at recipient"


def test_a_notice_reaches_the_operator(settings: Settings, server: MailServer):
    send_notice(settings, "Run failed:\r\nBcc: all@x.example", "The build did not pass its checks.", now=NOW)
    [(_, recipients)] = server.envelopes
    assert recipients == (settings.operator_address,)
    [mail] = server.messages.values()
    assert b"Subject: Run failed: Bcc: all@x.example\r\n" in mail
    assert b"did not pass" in mail


def test_a_notice_that_was_not_taken_is_an_error(settings: Settings, server: MailServer):
    server.fail(settings.operator_address, "rcpt-550")
    with pytest.raises(MailServerUnavailable, match="550"):
        send_notice(settings, "Run failed", "text")


def test_the_operator_too_gets_no_mail_off_the_allow_list_until_live(settings: Settings, server: MailServer):
    real = settings.model_copy(update={"operator_address": "ops@real-company.com"})
    with pytest.raises(Refused, match="CLOSEDLOOP_ALLOWED_RECIPIENTS"):
        send_notice(real, "Run failed", "text")
    assert server.connections == 0
    send_notice(real.model_copy(update={"live_sending": True}), "Run failed", "text")
    assert [recipients for _, recipients in server.envelopes] == [("ops@real-company.com",)]
