"""A mail to a customer who answered: thanks, a request, an offer, or one of a sequence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from typing import Any

from closedloop.links import preferences_link, unsubscribe_link
from closedloop.phrases import phrases
from closedloop.programme.languages import translated
from closedloop.settings import Settings
from closedloop.texts import values_of
from dispatch.rendering.customer import Look, footer, to_customer
from dispatch.rendering.layout import TEMPLATES, Layout, from_mjml, paint, payload_of
from dispatch.rendering.parts import EmailParts

OCCASION = "reply"


def render_reply(message: Mapping[str, Any], *, settings: Settings) -> EmailParts:
    """The mail of one message of kind `reply`: its payload is that of the invitation, and `reply` with the finished words
    (subject, body, and where there is one, button and link). Raises BadInput when an address cannot be mailed to, or a value
    would forge a header.
    """
    payload = payload_of(message)
    definition, words = translated(payload["definition"], payload.get("language")), payload["reply"]
    say, values = phrases(definition["language"]), values_of(payload)
    invitation_id, company = str(message["invitation_id"]), values["company"]
    look, has_button = Look.of(definition, company, OCCASION, settings), bool(words.get("link"))
    from_rep = bool(definition["email"]["sender"] == "rep" and values["owner_name"])
    filling = {
        "title": words["subject"].strip(),
        "preview": " ".join(words["body"].split())[:120],
        "signature": f"{values['owner_name']}, {company}" if from_rep else say("mail.team", company=company),
        "link": words.get("link") or "",
        "button": words.get("button") or "",
        "unsubscribe": unsubscribe_link(settings, invitation_id),
        "preferences": preferences_link(settings, invitation_id),
    }
    html = {name: escape(value) for name, value in filling.items()} | {"body": _paragraphs(words["body"])}
    return to_customer(
        message,
        title=filling["title"],
        unsubscribe=filling["unsubscribe"],
        text=_text_layout(look, has_button).fill(filling | {"body": words["body"].strip()}),
        html=_html_layout(look, has_button).fill(html),
        from_rep=from_rep,
        values=values,
        say=say,
        settings=settings,
    )


def _paragraphs(text: str) -> str:
    """Plain words as HTML: an empty line begins a paragraph, a line end is one."""
    parts = [part.strip() for part in re.split(r"\n\s*\n", text.replace("\r\n", "\n")) if part.strip()]
    return "".join(f'<p style="margin:0 0 14px">{escape(part).replace(chr(10), "<br />")}</p>' for part in parts)


@lru_cache(maxsize=256)
def _html_layout(look: Look, has_button: bool) -> Layout:
    layout = _compiled(has_button, *look.shape)
    return layout.with_values({name: escape(text) for name, text in footer(look).items()})


@lru_cache(maxsize=256)
def _text_layout(look: Look, has_button: bool) -> Layout:
    template = TEMPLATES.get_template("reply.txt")
    return Layout(template.render(has_privacy=bool(look.privacy_url), has_button=has_button)).with_values(footer(look))


@lru_cache(maxsize=256)
def _compiled(
    has_button: bool, primary: str, background: str, direction: str, has_logo: bool, has_privacy: bool
) -> Layout:
    view = {"direction": direction, "has_logo": has_logo, "has_privacy": has_privacy, "has_button": has_button}
    return from_mjml("reply.mjml", view | paint(primary, background))
