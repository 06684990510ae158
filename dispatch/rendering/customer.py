"""What all mails to customers share: look, footer, sender, and the headers that let them stop it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from closedloop.phrases import Phrases, phrases
from closedloop.programme.languages import direction
from closedloop.settings import Settings
from dispatch.rendering.headers import MAX_NAME, address, identity_headers, mailbox, text_header
from dispatch.rendering.layout import logo_address, payload_of
from dispatch.rendering.parts import EmailParts


class Look(NamedTuple):
    """All that a layout depends on; mails that share it share the layout."""

    language: str
    company: str
    logo_url: str | None
    primary: str
    background: str
    occasion: str
    """The trigger event: why somebody gets the mail, which the footer says."""
    postal_address: str
    privacy_url: str

    @classmethod
    def of(cls, definition: Mapping[str, Any], company: str, occasion: str, settings: Settings) -> Look:
        """Of a survey's definition, in the language in which it is read."""
        branding = definition["branding"]
        return cls(
            language=definition["language"],
            company=company,
            logo_url=logo_address(branding["logo_url"]),
            primary=branding["primary_colour"],
            background=branding["background_colour"],
            occasion=occasion,
            postal_address=settings.postal_address,
            privacy_url=settings.privacy_url,
        )

    @property
    def shape(self) -> tuple[str, str, str, bool, bool]:
        """Colours, direction, and what there is: the same in all languages of a programme that are read the same way."""
        return self.primary, self.background, direction(self.language), bool(self.logo_url), bool(self.privacy_url)


def footer(look: Look) -> dict[str, str]:
    """The texts of head and footer."""
    say, reason = phrases(look.language), f"reasons.{look.occasion}"
    return {
        "language": look.language,
        "company": look.company,
        "logo": look.logo_url or "",
        "reason": say(reason if reason in say else "reasons.default", company=look.company),
        "unsubscribe_word": say("mail.unsubscribe"),
        "what_stops": say("mail.what_stops", company=look.company),
        "preferences_word": say("preferences.link"),
        "address": ", ".join(part for part in (look.company, look.postal_address) if part),
        "privacy": look.privacy_url,
        "privacy_word": say("mail.privacy"),
    }


def to_customer(
    message: Mapping[str, Any],
    *,
    title: str,
    unsubscribe: str,
    text: str,
    html: str,
    from_rep: bool,
    values: Mapping[str, str],
    say: Phrases,
    settings: Settings,
) -> EmailParts:
    """A mail with the sender that the survey names, and the headers of RFC 8058. Raises BadInput for an address that cannot be
    mailed to, or a value that would forge a header."""
    payload, company = payload_of(message), values["company"]
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
        text=text,
        html=html,
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
