"""The invitation: one question, eleven buttons, one click."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from html import escape
from typing import Any, NamedTuple

from closedloop.links import open_link, preferences_link, survey_link, unsubscribe_link
from closedloop.phrases import phrases
from closedloop.programme.languages import translated
from closedloop.settings import Settings
from closedloop.texts import fill, values_of
from dispatch.rendering.block import score_labels
from dispatch.rendering.customer import Look, footer, to_customer
from dispatch.rendering.layout import TEMPLATES, Layout, from_mjml, paint, payload_of
from dispatch.rendering.parts import EmailParts


class AskingLook(NamedTuple):
    """All that the layout of an invitation depends on; mails that share it share the layout."""

    look: Look
    low_label: str
    high_label: str


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

    look = AskingLook(
        Look.of(definition, company, str(payload.get("trigger_event")), settings),
        write("question", "low_label"),
        write("question", "high_label"),
    )
    title = write("email", "subject").strip()
    from_rep = definition["email"]["sender"] == "rep" and values["owner_name"]
    filling = {
        "title": title,
        "greeting": say("mail.greeting" if values["first_name"] else "mail.greeting_without_name", **values),
        "question": write("question", "text"),
        "signature": f"{values['owner_name']}, {company}" if from_rep else say("mail.team", company=company),
        "survey": survey_link(settings, invitation_id),
        "unsubscribe": unsubscribe_link(settings, invitation_id),
        "preferences": preferences_link(settings, invitation_id),
        "pixel": open_link(settings, invitation_id),
    }
    return to_customer(
        message,
        title=title,
        unsubscribe=filling["unsubscribe"],
        text=_text_layout(look).fill(filling),
        html=_html_layout(look).fill({name: escape(value) for name, value in filling.items()}),
        from_rep=bool(from_rep),
        values=values,
        say=say,
        settings=settings,
    )


@lru_cache(maxsize=512)
def _html_layout(look: AskingLook) -> Layout:
    layout = _compiled(*look.look.shape)
    return layout.with_values({name: escape(text) for name, text in _texts(look).items()})


@lru_cache(maxsize=512)
def _text_layout(look: AskingLook) -> Layout:
    template = TEMPLATES.get_template("invitation.txt")
    return Layout(template.render(has_privacy=bool(look.look.privacy_url))).with_values(_texts(look))


@lru_cache(maxsize=512)
def _compiled(primary: str, background: str, direction: str, has_logo: bool, has_privacy: bool) -> Layout:
    """What is shape and colour, the same in all languages of a programme."""
    view = {"direction": direction, "has_logo": has_logo, "has_privacy": has_privacy}
    return from_mjml("invitation.mjml", view | paint(primary, background))


def _texts(asking: AskingLook) -> dict[str, str]:
    """All that a mail says and that is the same for everybody who shares the look."""
    say = phrases(asking.look.language)
    return {
        **footer(asking.look),
        "low_label": asking.low_label,
        "high_label": asking.high_label,
        "one_click": say("mail.one_click"),
        "preview": say("mail.one_click"),
        "a_few_words": say("mail.a_few_words"),
        "choose": say("mail.choose", low=asking.low_label, high=asking.high_label),
        "some_seconds": say("mail.some_seconds"),
        "thanks": say("mail.thanks"),
        **score_labels(say, asking.low_label, asking.high_label),
    }
