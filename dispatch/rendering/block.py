"""The score block alone: the question with its eleven buttons, to be put into a mail of the company's own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from html import escape
from typing import Any

from closedloop.links import survey_link
from closedloop.phrases import Phrases, phrases
from closedloop.programme.languages import direction, translated
from closedloop.settings import Settings
from closedloop.texts import fill, values_of
from dispatch.rendering.layout import TEMPLATES, Layout, paint, payload_of


def render_score_block(message: Mapping[str, Any], *, settings: Settings) -> str:
    """HTML with the personal links of one invitation; it needs no style block. Raises BadInput for a text that cannot be
    filled.
    """
    payload = payload_of(message)
    definition = translated(payload["definition"], payload.get("language"))
    values = values_of(payload)
    question = {
        name: fill(definition["question"][name], values, field=f"question.{name}")
        for name in ("text", "low_label", "high_label")
    }
    say = phrases(definition["language"])
    texts = {
        "language": definition["language"],
        "question": question["text"],
        "low_label": question["low_label"],
        "high_label": question["high_label"],
        "survey": survey_link(settings, str(message["invitation_id"])),
        **score_labels(say, question["low_label"], question["high_label"]),
    }
    branding = definition["branding"]
    layout = _layout(branding["primary_colour"], branding["background_colour"], direction(definition["language"]))
    return layout.fill({name: escape(text) for name, text in texts.items()})


@lru_cache(maxsize=512)
def _layout(primary: str, background: str, direction: str) -> Layout:
    return Layout(TEMPLATES.get_template("block.html").render(direction=direction, **paint(primary, background)))


def score_labels(say: Phrases, low_label: str, high_label: str) -> dict[str, str]:
    """What a screen reader says of each button."""
    ends = {0: f", {low_label}", 10: f", {high_label}"}
    return {f"score_{score}": say("of_ten", score=score) + ends.get(score, "") for score in range(11)}
