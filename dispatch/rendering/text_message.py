"""The survey as a text message: the question, the link to the page, and the way out."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from closedloop.errors import BadInput
from closedloop.links import survey_link, unsubscribe_link
from closedloop.phrases import phrases
from closedloop.programme.languages import translated
from closedloop.settings import Settings
from closedloop.texts import fill, values_of
from dispatch.rendering.layout import payload_of

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_BETWEEN = re.compile(r"[\s().\-/\u00a0]")


@dataclass(frozen=True, slots=True)
class TextParts:
    """A rendered text message."""

    text: str
    recipients: tuple[str, ...]
    envelope_from: str

    def as_bytes(self, *, date: dt.datetime | None = None) -> bytes:
        """The text in UTF-8."""
        return self.text.encode()


def render_text_message(message: Mapping[str, Any], *, settings: Settings) -> TextParts:
    """The text of one message of channel `sms`. Raises BadInput when there is no number that a message can be sent to, or a
    text of the survey cannot be filled.
    """
    payload = payload_of(message)
    definition = translated(payload["definition"], payload.get("language"))
    say, values = phrases(definition["language"]), values_of(payload)
    invitation_id = str(message["invitation_id"])
    question, low, high = (
        fill(definition["question"][name], values, field=f"question.{name}")
        for name in ("text", "low_label", "high_label")
    )
    lines = (
        f"{question} (0: {low}, 10: {high})",
        say("sms.answer", link=survey_link(settings, invitation_id)),
        say("sms.stop", link=unsubscribe_link(settings, invitation_id)),
    )
    return TextParts("\n".join(lines), (number_of(payload),), settings.sms_sender)


def number_of(payload: Mapping[str, Any]) -> str:
    """The mobile number in international form (E.164). Raises BadInput, which never shows it."""
    number = _BETWEEN.sub("", str(payload.get("mobile_phone") or ""))
    if not _NUMBER.fullmatch(number):
        raise BadInput(
            "not a mobile number in international form", field="mobile_phone", remedy="mend it in the CRM: +49 170 ..."
        )
    return number
