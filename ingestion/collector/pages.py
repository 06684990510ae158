"""The pages, rendered on the server: one file of style, one small script, headers that let nothing else run."""

from __future__ import annotations

import datetime as dt
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from starlette.responses import HTMLResponse

from closedloop.colours import palette
from closedloop.ledger.answers import CHANGE_OF_MIND, Answer
from closedloop.ledger.wishes import OFTEN, Wishes
from closedloop.phrases import Phrases, phrases
from closedloop.programme import Survey, band_of, stored_survey
from closedloop.programme.content import SurveyQuestion
from closedloop.programme.definitions import Branding
from closedloop.programme.languages import direction, translated
from closedloop.texts import VARIABLES, fill, values_of
from ingestion.collector.forms import MAX_COMMENT, MAX_TEXT, BadField, Fields, field_of, fields_with

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


class Look:
    """How a survey's pages look and what they say to one person; without a survey, the house's plain look.

    `language` is the person's; what they read (`self.language`) is the nearest that the survey is written in.
    """

    def __init__(self, payload: Mapping[str, Any] | None = None, *, say: Phrases | None = None) -> None:
        spoken = translated(payload["definition"], payload.get("language")) if payload else None
        self.survey = stored_survey(spoken) if spoken else None
        self.values = values_of(payload) if payload else {}
        self.say = say or phrases(self.survey.language if self.survey else None)
        self.language = self.survey.language if self.survey else self.say.language
        self.direction = direction(self.language)
        branding = self.survey.branding if self.survey else Branding()
        self.company = self.values.get("company", "")
        self.colours = palette(branding.primary_colour, branding.background_colour)
        self.logo_url, self.logo_origin = _logo(branding.logo_url)

    def text(self, text: str) -> str:
        return fill(text, self.values)

    def problem(self, error: BadField) -> str:
        """What is wrong with a post, in words for the person who sent it."""
        return self.say(error.phrase, **error.values)

    def moment(self, value: dt.datetime) -> str:
        """Like '2 March 2026, 09:00 UTC'."""
        month = self.say(f"date.months.{value.month}")
        return self.say("date.moment", day=value.day, month=month, year=value.year, time=f"{value:%H:%M}")


@dataclass(frozen=True, slots=True)
class Preview:
    """The pages of a programme's file, for a made-up person: `links` shows them in the other languages, by tag, `widths` all at
    three widths.
    """

    links: Mapping[str, str]
    widths: str


@dataclass(frozen=True, slots=True)
class WebsiteForm:
    """The page for whoever comes by: it waits for the button, and asks for an address that one need not give."""

    token: str
    email: str = ""


def survey_page(
    look: Look,
    *,
    action: str,
    unsubscribe: str,
    score: int | None,
    answer: Answer | None = None,
    problem: BadField | None = None,
    fields: Fields | None = None,
    preview: Preview | None = None,
    form: WebsiteForm | None = None,
    status: int = 200,
) -> HTMLResponse:
    """The question with its eleven scores, the follow-up question of the chosen score's band, and the further questions
    that follow this score. All stand in the page, and its style shows those of the score that is chosen.

    `problem` is what was wrong with a refused post, `fields` what it wrote. `answer` is the one that stands, if any.
    """
    survey, say = look.survey, look.say
    assert survey is not None, "a survey page shows a survey"
    chosen = score if score is not None or answer is None else answer.score
    if fields is None:
        fields = _fields_of(answer, survey.questions, chosen) if answer else {}
    view = {
        "question": look.text(survey.question.text),
        "low_label": look.text(survey.question.low_label),
        "high_label": look.text(survey.question.high_label),
        "scores": [(number, band_of(number).value) for number in range(11)],
        "follow_up": {band: look.text(text) for band, text in survey.follow_up_questions.model_dump().items()},
        "further": [_shown(question, look, fields) for question in survey.questions],
        "chosen": chosen,
        "from_mail": score is not None,
        "earlier": answer,
        "until": look.moment(answer.submitted_at + CHANGE_OF_MIND) if answer and answer.judged == "human" else "",
        "problem_field": problem.field if problem else "",
        "problem": look.problem(problem) if problem else "",
        "comment": fields.get("comment", [""])[-1],
        "max_comment": MAX_COMMENT,
        "max_text": MAX_TEXT,
        "words": json.dumps({"chose": say.section("survey")["chose"], **say.section("script")}, ensure_ascii=False),
        "action": action,
        "unsubscribe": unsubscribe,
        "preview": preview,
        "form": form,
    }
    return render("survey.html", look, view, status, script=SCRIPT)


def thanks_page(
    look: Look, *, score: int, change: str, preferences: str = "", preview: Preview | None = None
) -> HTMLResponse:
    """Thank you, in the words for the band of the score; `change` leads back to the question."""
    assert look.survey is not None, "a survey is thanked for"
    band = band_of(score)
    onward = look.survey.redirect.for_band(band)
    view = {
        "message": look.text(look.survey.thank_you.for_band(band)),
        "onward": onward,
        "host": urlsplit(onward).hostname if onward else "",
        "score": score,
        "change": change,
        "preferences": preferences,
        "preview": preview,
    }
    return render("thanks.html", look, view, 200)


def widget_page(look: Look, *, base: str, context: str, mode: str, language: str = "") -> HTMLResponse:
    """A page that holds the widget (`mode` panel) or the portal's card, as a company's own page would."""
    view = {"base": base, "context": context, "mode": mode, "language": language, "is_preview": look.survey is not None}
    return render("widget.html", look, view, 200, connects=True)


def settled_page(look: Look, answer: Answer, status: int, *, preferences: str = "") -> HTMLResponse:
    """The answer stands: kindly, with what it is."""
    words = look.say("settled.words", score=answer.score, moment=look.moment(answer.submitted_at))
    onward = (preferences, look.say("preferences.link")) if preferences else None
    return notice_page(look.say("settled.title"), words, status=status, look=look, onward=onward)


def unsubscribe_page(look: Look, *, action: str, preferences: str) -> HTMLResponse:
    """One button; nothing happens before it is pressed."""
    return render("unsubscribe.html", look, {"action": action, "preferences": preferences}, 200)


def preferences_page(
    look: Look, *, action: str, surveys: Iterable[Survey], wishes: Wishes, is_saved: bool
) -> HTMLResponse:
    """Which of `surveys`, how often, or none; it works without any script."""
    view = {
        "action": action,
        "surveys": [(survey.id, _called(survey, look.language), survey.type) for survey in surveys],
        "often": OFTEN,
        "wishes": wishes,
        "is_saved": is_saved,
    }
    return render("preferences.html", look, view, 200)


def _called(survey: Survey, language: str) -> str:
    """What a survey is called for those who get it."""
    title = translated(survey.model_dump(mode="json"), language)["preferences"]["title"]
    return fill(title, {**dict.fromkeys(VARIABLES, ""), "company": survey.company}) if title else survey.name


def notice_page(
    title: str, words: str, *, status: int = 200, look: Look | None = None, onward: tuple[str, str] | None = None
) -> HTMLResponse:
    """A page that says one thing; `onward` is a link to what one may want next, with its words."""
    return render("notice.html", look or Look(), {"title": title, "words": words, "onward": onward}, status)


def refusal_page(look: Look, status: int) -> HTMLResponse:
    """Why a request is not served, and what to do."""
    say = look.say
    return notice_page(say(f"refused.{status}.title"), say(f"refused.{status}.words"), status=status, look=look)


def _fields_of(answer: Answer, questions: tuple[SurveyQuestion, ...], chosen: int | None) -> Fields:
    """What stands, as the page would post it; the comment only where it would stand under the question that it answered."""
    fields = fields_with(questions, answer.score, answer.answers)
    if answer.comment and chosen is not None and band_of(chosen) is band_of(answer.score):
        fields["comment"] = [answer.comment]
    return fields


def _shown(question: SurveyQuestion, look: Look, fields: Fields) -> dict[str, Any]:
    """A further question as the template shows it."""
    name = field_of(question)
    values = fields.get(name, [])
    return {
        "name": name,
        "text": look.text(question.text),
        "scores": question.scores.replace("-", "\N{EN DASH}"),
        "follows": " ".join(f"after-{score}" for score in question.for_scores),
        "several": question.several,
        "choices": [(choice.id, look.text(choice.label), choice.id in values) for choice in question.choices],
        "value": values[-1] if values else "",
    }


def render(
    template: str,
    look: Look,
    view: dict[str, Any],
    status: int,
    script: str = "",
    *,
    connects: bool = False,
    extra_style: str = "",
) -> HTMLResponse:
    """A page with its policy: nothing but our own style and, where there is one, our own script."""
    connects = connects or bool(script)
    is_framed = bool(view.get("preview") or view.get("is_preview"))
    nonce = secrets.token_urlsafe(16)
    html = TEMPLATES.get_template(template).render(
        look=look, say=look.say, nonce=nonce, style=STYLE + extra_style, script=script, **view
    )
    policy = {
        "default-src": "'none'",
        "style-src": f"'nonce-{nonce}'",
        "script-src": f"'nonce-{nonce}'" if connects else "'none'",
        "connect-src": "'self'" if connects else "'none'",
        "img-src": look.logo_origin or "'none'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'self'" if is_framed else "'none'",
    }
    return HTMLResponse(html, status, headers=_secured(policy) | (_FRAMED if is_framed else {}))


def widths_page(view: dict[str, Any]) -> HTMLResponse:
    """A preview in frames of several widths."""
    nonce = secrets.token_urlsafe(16)
    html = TEMPLATES.get_template("widths.html").render(nonce=nonce, **view)
    return HTMLResponse(html, headers=_secured({**_NOTHING, "style-src": f"'nonce-{nonce}'", "frame-src": "'self'"}))


def _secured(policy: Mapping[str, str]) -> dict[str, str]:
    return {"Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items())}


_FRAMED = {"X-Frame-Options": "SAMEORIGIN"}
_NOTHING = {"default-src": "'none'", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'"}


def _logo(url: str | None) -> tuple[str | None, str | None]:
    """The logo and where the page may fetch it from; nothing that is not plainly a web address."""
    if not url:
        return None, None
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", parts.netloc):
        return None, None
    return url, f"{parts.scheme}://{parts.netloc}"
