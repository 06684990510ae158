"""A plain mail to the operator: a run failed, or nothing moves any more."""

from __future__ import annotations

import datetime as dt
import uuid
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from closedloop.clock import Clock
from closedloop.errors import Refused
from closedloop.settings import Settings
from dispatch.signing import signer
from dispatch.smtp import MailServerUnavailable, SmtpSession


def send_notice(settings: Settings, subject: str, text: str, *, now: dt.datetime | None = None) -> None:
    """Mail `text` to the operator's address, at once and outside the ledger: it is about us, not about a customer.

    `now` is for the mail's date. Put no personal data in it. Raises MailServerUnavailable when it was not accepted,
    Refused while live sending is off and the address is not on the allow-list.
    """
    if not settings.may_receive(settings.operator_address):
        raise Refused(
            "live sending is off, and the allow-list does not have the operator's address\n"
            "  what to do: add CLOSEDLOOP_OPERATOR_ADDRESS to CLOSEDLOOP_ALLOWED_RECIPIENTS (a JSON list)"
        )
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = " ".join(subject.split())[:200]
    mail["From"] = settings.sender_address
    mail["To"] = settings.operator_address
    mail["Date"] = format_datetime(now or Clock().now())
    mail["Message-ID"] = f"<{uuid.uuid4().hex}@{settings.sender_address.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text)
    session = SmtpSession(settings.smtp_url)
    try:
        outcome = session.deliver(
            settings.sender_address, [settings.operator_address], signer(settings)(mail.as_bytes(policy=SMTP))
        )
    finally:
        session.close()
    if outcome.state != "sent":
        raise MailServerUnavailable(f"the mail server did not take the operator's mail ({outcome.reason})")
