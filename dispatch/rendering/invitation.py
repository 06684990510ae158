"""The invitation: one question, eleven buttons, one click."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from html import escape
from typing import Any, NamedTuple

from closedloop.colours import palette
from closedloop.links import open_link, preferences_link, survey_link, unsubscribe_link
from closedloop.phrases import phrases
from closedloop.programme.languages import direction, translated
from closedloop.settings import Settings
from closedloop.texts import fill, values_of
from dispatch.rendering.headers import MAX_NAME, address, identity_headers, mailbox, text_header
from dispatch.rendering.layout import TEMPLATES, Layout, logo_address, payload_of, slot, without_slots
from dispatch.rendering.parts import EmailParts


class Look(NamedTuple):
    """All that a layout depends on; mails that share it share the layout."""

    language: str
    company: str
    low_label: str
    high_label: str
    logo_url: str | None
    primary: str
    background: str
    occasion: str
    """The trigger event: why somebody gets the mail, which the footer says."""
    postal_address: str
    privacy_url: str


def render_invitation(message: Mapping[str, Any], *, settings: Settings) -> EmailParts:
    """The mail of one message of kind `invitation` (or `reminder`).

    Needs `message_id`, `invitation_id`, `survey_id`, `kind` and `payload` (dict or JSON text). Raises BadInput when a text of
    the survey cannot be filled, an address cannot be mailed to, or a value would forge a header.
    """
    payload = payload_of(message)
    definition = translated(payload["definition"], payload.get("language"))
    say = phrases(definition["language"])
    values = values_of(payload)
    invitation_id, company = str(message["invitation_id"]), values["company"]

    def write(section: str, name: str) -> str:
        return fill(definition[section][name], values, field=f"{section}.{name}")

    look = Look(
        language=definition["language"],
        company=company,
        low_label=write("question", "low_label"),
        high_label=write("question", "high_label"),
        logo_url=logo_address(definition["branding"]["logo_url"]),
        primary=definition["branding"]["primary_colour"],
        background=definition["branding"]["background_colour"],
        occasion=str(payload.get("trigger_event")),
        postal_address=settings.postal_address,
        privacy_url=settings.privacy_url,
    )
    title = write("email", "subject").strip()
    from_rep = definition["email"]["sender"] == "rep" and values["owner_name"]
    unsubscribe = unsubscribe_link(settings, invitation_id)
    filling = {
        "title": title,
        "greeting": say("mail.greeting" if values["first_name"] else "mail.greeting_without_name", **values),
        "question": write("question", "text"),
        "signature": f"{values['owner_name']}, {company}" if from_rep else say("mail.team", company=company),
        "survey": survey_link(settings, invitation_id),
        "unsubscribe": unsubscribe,
        "preferences": preferences_link(settings, invitation_id),
        "pixel": open_link(settings, invitation_id),
    }
    shared = address(settings.sender_address, "From")
    domain = shared.rpartition("@")[2]
    to = address(str(payload["email"]), "To")
    sender_name = say("mail.via", name=values["owner_name"], company=company) if from_rep else settings.sender_name
    rep_address = str(payload.get("owner_email") or "") if from_rep else ""
    rep = mailbox(values["owner_name"], rep_address, "Reply-To") if rep_address else None
    # The rep's own address only where the company's mail server may send for it: elsewhere receivers would see a forgery.
    is_own = rep is not None and rep_address.rpartition("@")[2].lower() in settings.rep_address_domains
    return EmailParts(
        subject=text_header(title, "Subject"),
        text=_text_layout(look).fill(filling),
        html=_html_layout(look).fill({name: escape(value) for name, value in filling.items()}),
        from_=rep if rep and is_own else mailbox(sender_name, shared, "From"),
        to=mailbox(values["contact_name"] or f"{values['first_name']} {values['last_name']}".strip(), to, "To"),
        recipients=(to,),
        envelope_from=shared,
        message_id=f"<{message['message_id']}@{domain}>",
        reply_to=None if is_own else rep,
        headers=({"Sender": shared} if is_own else {})
        | {
            "List-Unsubscribe": f"<{unsubscribe}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "List-Id": f"{text_header(company, 'List-Id', MAX_NAME)} <{message['survey_id']}.surveys.{domain}>"
            if company.replace(" ", "").isalnum() and company.isascii()
            else f"<{message['survey_id']}.surveys.{domain}>",
            "Feedback-ID": f"{message['survey_id']}:{message['kind']}:closedloop",
            "X-Closedloop-Kind": str(message["kind"]),
            **identity_headers(settings.mail_provider, str(message["message_id"])),
        },
    )


@lru_cache(maxsize=512)
def _html_layout(look: Look) -> Layout:
    return _layout("invitation.html", look)


@lru_cache(maxsize=512)
def _text_layout(look: Look) -> Layout:
    return _layout("invitation.txt", look)


def _layout(template: str, look: Look) -> Layout:
    slots = {
        name: slot(name)
        for name in ("title", "greeting", "question", "signature", "survey", "unsubscribe", "preferences", "pixel")
    }
    look = Look(*(without_slots(value) if value else value for value in look))
    say, reason = phrases(look.language), f"reasons.{look.occasion}"
    view = {
        "look": look,
        "say": say,
        "reason": say(reason if reason in say else "reasons.default", company=look.company),
        "direction": direction(look.language),
        "colours": palette(look.primary, look.background),
        "scores": range(11),
    }
    return Layout(TEMPLATES.get_template(template).render(view | slots))
