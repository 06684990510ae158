"""The alert to the person who should call an unhappy customer, and the warning when the time runs out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from closedloop.clock import parse_time
from closedloop.links import follow_up_link, worklist_link
from closedloop.programme import Band, band_of
from closedloop.settings import Settings
from closedloop.texts import dialled
from dispatch.rendering.headers import address, identity_headers, one_line, text_header
from dispatch.rendering.headers import mailbox as named
from dispatch.rendering.layout import TEMPLATES, payload_of
from dispatch.rendering.parts import EmailParts


@dataclass(frozen=True)
class Wording:
    """What one kind of alert says: its subject, the line above the title and the title, with {whom}, {name} and {score}."""

    subject: str
    line: str
    title: str


_NEW = Wording(
    "{whom} gave {score} of 10: please call", "A customer is waiting for a person", "{name} gave us {score} of 10"
)
_NOTICES = {
    "sla_warning": Wording(
        "Time is running out: {whom} gave {score} of 10", "Time is running out", "{name} has not been contacted yet"
    ),
    "escalation": Wording(
        "Not contacted in time: {whom} gave {score} of 10",
        "The promise is broken",
        "{name} was not contacted in time",
    ),
    "handed_over": Wording(
        "Handed over to you: {whom} gave {score} of 10", "Handed over to you", "{name} gave us {score} of 10"
    ),
}
_NEWS = Wording("{whom} gave {score} of 10", "A customer answered", "{name} gave us {score} of 10")
"""Where nobody has to do anything: marketing, say, is told of a promoter."""

_COLOURS = {Band.DETRACTOR: "#a8201a", Band.PASSIVE: "#8a5a00", Band.PROMOTER: "#1e6b3a"}
"""Each carries white text."""
_MAX_NAME = 80


def render_alert(message: Mapping[str, Any], *, settings: Settings) -> EmailParts:
    """The mail of one message of kind `alert`: who answered what, what is known of them, until when to call, and links to
    record it.

    Payload: `email`, `score`, and where known `cc`, `comment`, `contact_name`, `contact_email`, `contact_phone`, `account_name`,
    `survey_name`, `answered_at`, `due_at`, `acknowledge_due_at` (ISO times, UTC), `account`, `earlier`, `assignee_name`;
    `has_followup` False says that nobody has to do anything, `notice` (`sla_warning`, `escalation`, `handed_over`) makes it
    another mail. Raises BadInput when an address cannot be mailed to; a name of the CRM never stops an alert, it is put on one line.
    """
    payload = payload_of(message)
    score, invitation_id = int(payload["score"]), str(message["invitation_id"])
    contact = one_line(str(payload.get("contact_name") or "")) or "a customer"
    account = one_line(str(payload.get("account_name") or ""))
    contact_email = one_line(str(payload.get("contact_email") or ""))
    contact_phone = one_line(str(payload.get("contact_phone") or ""))
    whom = f"{contact}, {account}" if account else contact
    to_do = bool(payload.get("has_followup", True))
    words = _NOTICES.get(str(payload.get("notice")), _NEW) if to_do else _NEWS
    names = {"whom": whom, "name": contact[:1].upper() + contact[1:], "score": score}
    due, band = _time(payload.get("due_at")), band_of(score)
    to = address(str(payload["email"]), "To")
    view = {
        "to_do": to_do,
        "line": words.line,
        "title": words.title.format(**names),
        "score": score,
        "band": band.value,
        "colour": _COLOURS[band],
        "is_urgent": to_do,
        "comment": str(payload.get("comment") or "").strip(),
        "contact_email": contact_email,
        "contact_phone": contact_phone,
        "dial": dialled(contact_phone),
        "write_to": quote(contact_email, safe="@"),  # an address may hold a ?, which would add headers to the mail
        "facts": _facts(payload, contact, account, due if to_do else None),
        "earlier": _earlier(payload),
        "due": _show(due) if to_do else "",
        "is_broken": payload.get("notice") == "escalation",
        "assignee": one_line(str(payload.get("assignee_name") or "")),
        "link": follow_up_link(settings, invitation_id),
        "worklist": worklist_link(settings, str(payload["email"])),  # as the ledger has it, not as mail writes it
        "copied": bool(payload.get("cc")),
    }
    cut = (_shortened(part) for part in (contact, account) if part)
    subject = words.subject.format(**{**names, "whom": ", ".join(cut)})
    shared = address(settings.sender_address, "From")
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
            **({"Importance": "high"} if to_do else {}),
            "X-Closedloop-Kind": "alert",
            **identity_headers(settings.mail_provider, str(message["message_id"])),
        },
    )


def _shortened(name: str) -> str:
    """For a subject, which must not lose the score behind a long name."""
    return name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1].rstrip()}\u2026"


def _facts(payload: Mapping[str, Any], contact: str, account: str, due: dt.datetime | None) -> dict[str, str]:
    known, answered = payload.get("account") or {}, _time(payload.get("answered_at"))
    value, cases = known.get("contract_value"), known.get("open_cases")
    facts = {
        "Customer": contact,
        "Account": ", ".join(part for part in (account, one_line(str(known.get("tier") or ""))) if part),
        "Contract value": "" if value is None else f"{float(value):,.0f}",
        "Renewal": _renewal(_time(known.get("renewal_date")), answered),
        "Open cases": "" if cases is None else str(cases),
        "Survey": one_line(str(payload.get("survey_name") or "")),
        "Answered": _show(answered),
        "Acknowledge by": _show(_time(payload.get("acknowledge_due_at"))) if due else "",
        "First contact by": _show(due),
    }
    return {name: said for name, said in facts.items() if said}


def _renewal(day: dt.datetime | None, answered: dt.datetime | None) -> str:
    """Like '3 March 2027, 96 days after the answer'."""
    if day is None:
        return ""
    shown = f"{day.day} {day:%B %Y}"
    if answered is None:
        return shown
    days = (day.date() - answered.date()).days
    if days == 0:
        return f"{shown}, the day of the answer"
    return f"{shown}, {abs(days):,} day{'' if abs(days) == 1 else 's'} {'after' if days > 0 else 'before'} the answer"


def _earlier(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "score": one["score"],
            "colour": _COLOURS[band_of(int(one["score"]))],
            "on": str(one["on"]),
            "whose": "" if one.get("same_contact") else "a colleague",
        }
        for one in payload.get("earlier") or ()
    ]


def _time(value: Any) -> dt.datetime | None:
    return parse_time(value) if isinstance(value, str) and value else value or None


def _show(value: dt.datetime | None) -> str:
    """Like 'Tue 3 March 2026, 09:00 UTC'."""
    return f"{value:%a} {value.day} {value:%B %Y, %H:%M} UTC" if value else ""
