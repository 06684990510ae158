"""The alert to the person who should call an unhappy customer, and the warning when the time runs out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from closedloop.clock import parse_time
from closedloop.programme import band_of
from closedloop.settings import Settings
from dispatch.rendering.headers import address, identity_headers, one_line, text_header
from dispatch.rendering.headers import mailbox as named
from dispatch.rendering.layout import TEMPLATES, payload_of
from dispatch.rendering.parts import EmailParts

SLA_WARNING = "sla_warning"


def render_alert(message: Mapping[str, Any], *, settings: Settings) -> EmailParts:
    """The mail of one message of kind `alert`: who answered what, until when to call, and how to record it.

    Payload: `email`, `score`, `due_at`, `acknowledge_due_at` (ISO times or datetimes, UTC), and where known `cc`, `comment`,
    `contact_name`, `contact_email`, `account_name`, `survey_name`, `company`, `answered_at`; `notice: sla_warning` makes it
    the warning. Raises BadInput when an address cannot be mailed to; a name of the CRM never stops an alert, it is put on
    one line.
    """
    payload = payload_of(message)
    score = int(payload["score"])
    warning = payload.get("notice") == SLA_WARNING
    contact = one_line(str(payload.get("contact_name") or "")) or "a customer"
    account = one_line(str(payload.get("account_name") or ""))
    contact_email = str(payload.get("contact_email") or "")
    whom = f"{contact}, {account}" if account else contact
    due = _time(payload.get("due_at"))
    facts = {
        "Customer": contact,
        "Account": account,
        "Survey": str(payload.get("survey_name") or ""),
        "Answered": _show(_time(payload.get("answered_at") or payload.get("submitted_at"))),
        "Acknowledge by": _show(_time(payload.get("acknowledge_due_at"))),
        "First contact by": _show(due),
    }
    view = {
        "warning": warning,
        "score": score,
        "band": band_of(score).value,
        "comment": str(payload.get("comment") or "").strip(),
        "contact": contact,
        "contact_email": contact_email,
        "write_to": quote(contact_email, safe="@"),  # an address may hold a ?, which would add headers to the mail
        "facts": {name: value for name, value in facts.items() if value},
        "due": _show(due),
        "invitation_id": str(message["invitation_id"]),
        "copied": bool(payload.get("cc")),
    }
    subject = (
        f"Time is running out: {whom} gave {score} of 10" if warning else f"{whom} gave {score} of 10: please call"
    )
    shared = address(settings.sender_address, "From")
    to = address(str(payload["email"]), "To")
    cc = tuple(dict.fromkeys(address(str(one), "Cc") for one in payload.get("cc") or () if one))
    return EmailParts(
        subject=text_header(subject, "Subject"),
        text=TEMPLATES.get_template("alert.txt").render(view),
        html=TEMPLATES.get_template("alert.html").render(view),
        from_=named("Customer feedback alerts", shared, "From"),
        to=to,
        cc=tuple(one for one in cc if one != to),
        recipients=tuple(dict.fromkeys((to, *cc))),
        envelope_from=shared,
        message_id=f"<{message['message_id']}@{shared.rpartition('@')[2]}>",
        headers={
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
            "Importance": "high",
            "X-Closedloop-Kind": "alert",
            **identity_headers(settings.mail_provider, str(message["message_id"])),
        },
    )


def _time(value: Any) -> dt.datetime | None:
    return parse_time(value) if isinstance(value, str) and value else value or None


def _show(value: dt.datetime | None) -> str:
    """Like 'Tue 3 March 2026, 09:00 UTC'."""
    return f"{value:%a} {value.day} {value:%B %Y, %H:%M} UTC" if value else ""
