"""The pages, rendered on the server: one file of style, one small script, headers that let nothing else run."""

from __future__ import annotations

import datetime as dt
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from starlette.responses import HTMLResponse

from closedloop.colours import palette
from closedloop.ledger.answers import CHANGE_OF_MIND, Answer
from closedloop.programme import band_of, stored_survey
from closedloop.programme.definitions import Branding
from closedloop.texts import fill, values_of
from ingestion.collector.forms import MAX_COMMENT

HERE = Path(__file__).parent
TEMPLATES = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
# Ours, not a person's: they may stand in the page as they are.
STYLE = Markup((HERE / "assets" / "page.css").read_text(encoding="utf-8"))
SCRIPT = Markup((HERE / "assets" / "page.js").read_text(encoding="utf-8"))
ANY_QUESTION = "What is the primary reason for your score?"

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}


class Look:
    """How a survey's pages look and what they say to one person; without a survey, the house's plain look."""

    def __init__(self, payload: Mapping[str, Any] | None = None) -> None:
        self.survey = stored_survey(payload["definition"]) if payload else None
        self.values = values_of(payload) if payload else {}
        branding = self.survey.branding if self.survey else Branding()
        self.company = self.values.get("company", "")
        self.colours = palette(branding.primary_colour, branding.background_colour)
        self.logo_url, self.logo_origin = _logo(branding.logo_url)

    def text(self, text: str) -> str:
        return fill(text, self.values)


def survey_page(
    look: Look,
    *,
    action: str,
    unsubscribe: str,
    score: int | None,
    answer: Answer | None = None,
    problem: tuple[str, str] | None = None,
    comment: str = "",
    preview: bool = False,
    status: int = 200,
) -> HTMLResponse:
    """The question with its eleven scores, and the follow-up question of the chosen score's band.

    `problem` is (field, words) of a refused post. `answer` is the one that stands, if any.
    """
    survey = look.survey
    assert survey is not None, "a survey page shows a survey"
    view = {
        "question": look.text(survey.question.text),
        "low_label": look.text(survey.question.low_label),
        "high_label": look.text(survey.question.high_label),
        "scores": [(number, band_of(number).value) for number in range(11)],
        "follow_up": {band: look.text(text) for band, text in survey.follow_up_questions.model_dump().items()},
        "any_question": ANY_QUESTION,
        "chosen": score if score is not None or answer is None else answer.score,
        "from_mail": score is not None,
        "earlier": answer,
        "until": _show(answer.submitted_at + CHANGE_OF_MIND) if answer and answer.judged == "human" else "",
        "problem_field": problem[0] if problem else "",
        "problem": problem[1] if problem else "",
        "comment": comment,
        "max_comment": MAX_COMMENT,
        "action": action,
        "unsubscribe": unsubscribe,
        "preview": preview,
    }
    return _render("survey.html", look, view, status, script=SCRIPT)


def thanks_page(look: Look, *, score: int, change: str, preview: bool = False) -> HTMLResponse:
    """Thank you, in the words for the band of the score; `change` leads back to the question."""
    assert look.survey is not None, "a survey is thanked for"
    message = look.text(look.survey.thank_you.for_band(band_of(score)))
    return _render("thanks.html", look, {"message": message, "score": score, "change": change, "preview": preview}, 200)


def settled_page(look: Look, answer: Answer, status: int) -> HTMLResponse:
    """The answer stands: kindly, with what it is."""
    return notice_page(
        "Your answer stands",
        f"You answered {answer.score} of 10 on {_show(answer.submitted_at)}. Answers can be changed for 24 hours; "
        "after that they are counted. Thank you for taking the time.",
        status=status,
        look=look,
    )


def unsubscribe_page(look: Look, *, action: str) -> HTMLResponse:
    """One button; nothing happens before it is pressed."""
    return _render("unsubscribe.html", look, {"action": action}, 200)


def notice_page(title: str, words: str, *, status: int = 200, look: Look | None = None) -> HTMLResponse:
    """A page that says one thing."""
    return _render("notice.html", look or Look(), {"title": title, "words": words}, status)


def _render(template: str, look: Look, view: dict[str, Any], status: int, script: str = "") -> HTMLResponse:
    nonce = secrets.token_urlsafe(16)
    html = TEMPLATES.get_template(template).render(look=look, nonce=nonce, style=STYLE, script=script, **view)
    policy = {
        "default-src": "'none'",
        "style-src": f"'nonce-{nonce}'",
        "script-src": f"'nonce-{nonce}'" if script else "'none'",
        "connect-src": "'self'" if script else "'none'",
        "img-src": look.logo_origin or "'none'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    secured = {"Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items())}
    return HTMLResponse(html, status, headers=HEADERS | secured)


def _logo(url: str | None) -> tuple[str | None, str | None]:
    """The logo and where the page may fetch it from; nothing that is not plainly a web address."""
    if not url:
        return None, None
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", parts.netloc):
        return None, None
    return url, f"{parts.scheme}://{parts.netloc}"


def _show(value: dt.datetime) -> str:
    """Like '2 March 2026, 09:00 UTC'."""
    return f"{value.day} {value:%B %Y, %H:%M} UTC"
