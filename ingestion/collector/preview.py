"""A programme before anyone is asked: its file as it stands, for a made-up person, at the widths that people have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from closedloop.errors import BadInput
from closedloop.ledger.answers import Invitation
from closedloop.programme import Survey, load_surveys
from closedloop.settings import Settings
from closedloop.texts import SAMPLE
from ingestion.collector import pages
from ingestion.collector.forms import read_answer, read_answers, read_score
from ingestion.collector.pages import Look, Preview
from ingestion.collector.shared import Shared, posted_fields

_SAMPLE_PREFIX = "sample-"
MailOf = Callable[[Survey, str | None], str]
"""Makes the HTML of a sample mail in a language; who starts the collector brings it, for mails are not of this room."""

SURFACES = {"mail": "Mail", "page": "Page", "widget": "In-app panel", "card": "Portal card"}
_PLACES = {"mail": "/mail", "page": "", "widget": "/widget", "card": "/widget?mode=card"}
_CHANNEL_OF = {"mail": "email", "widget": "in_app", "card": "portal"}
# Name, width in CSS pixels, and the scale at which it is shown.
WIDTHS = (("Desktop", 1280, 0.6), ("Tablet", 768, 0.6), ("Phone", 375, 0.8))
_MAIL_POLICY = (
    "default-src 'none'; img-src https: http:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)


class Previews:
    """`/preview/<survey>`: the page; `/all` at three widths, `/mail`, `/widget`. Nothing is recorded."""

    def __init__(self, shared: Shared, mail_of: MailOf | None) -> None:
        self._shared, self._mail_of = shared, mail_of
        self.routes = [
            Route("/preview/{survey}", self.page, methods=["GET", "POST"]),
            Route("/preview/{survey}/all", self.all_widths, methods=["GET"]),
            Route("/preview/{survey}/mail", self.mail, methods=["GET"]),
            Route("/preview/{survey}/widget", self.widget, methods=["GET"]),
        ]

    async def page(self, request: Request) -> Response:
        return await show(self._shared, request, request.path_params["survey"])

    async def all_widths(self, request: Request) -> Response:
        """One surface (`?show=mail`) on a desk, a tablet and a phone, side by side."""
        survey = await _survey(self._shared, request.path_params["survey"])
        if isinstance(survey, Response):
            return survey
        wanted, language = request.query_params.get("show", ""), request.query_params.get("language") or survey.language
        surfaces = [name for name in surfaces_of(survey) if name != "mail" or self._mail_of]
        shown = wanted if wanted in surfaces else surfaces[0]
        path = f"{self._shared.base}/preview/{survey.id}{_PLACES[shown]}"
        here = f"{self._shared.base}/preview/{survey.id}/all?"
        view: dict[str, Any] = {
            "survey": survey,
            "shown": shown,
            "tabs": [(SURFACES[one], here + _query(show=one, language=language), one == shown) for one in surfaces],
            "languages": [
                (tag, here + _query(show=shown, language=tag), tag == language)
                for tag in ((survey.language, *survey.languages) if survey.languages else ())
            ],
            "address": f"{path}{'&' if '?' in path else '?'}{_query(language=language)}",
            "frames": [(name, width, scale) for name, width, scale in WIDTHS],
        }
        return pages.widths_page(view)

    async def mail(self, request: Request) -> Response:
        survey = await _survey(self._shared, request.path_params["survey"])
        if isinstance(survey, Response):
            return survey
        if self._mail_of is None:
            raise HTTPException(404)
        html = await run_in_threadpool(self._mail_of, survey, request.query_params.get("language"))
        return HTMLResponse(html, headers={"Content-Security-Policy": _MAIL_POLICY, "X-Frame-Options": "SAMEORIGIN"})

    async def widget(self, request: Request) -> Response:
        """The panel or (`?mode=card`) the card; its script asks `/widget/show` for what to show."""
        survey = await _survey(self._shared, request.path_params["survey"])
        if isinstance(survey, Response):
            return survey
        mode = "card" if request.query_params.get("mode") == "card" else "panel"
        language = request.query_params.get("language") or ""
        context = f"{CONTEXT}{survey.id}"
        look = look_of(survey, language or None)
        return pages.widget_page(look, base=self._shared.base, context=context, mode=mode, language=language)


CONTEXT = "preview:"
"""A widget's context that begins so shows a programme to a made-up person."""


def surfaces_of(survey: Survey) -> list[str]:
    """What people may see of a survey: its page, and what its channels show."""
    return [name for name in SURFACES if name == "page" or _CHANNEL_OF[name] in survey.channels]


def sample_of(invitation_id: str) -> str | None:
    """The survey whose sample mail (`survey test-send`, `survey preview`) has this invitation id; None for real ones."""
    return invitation_id.removeprefix(_SAMPLE_PREFIX) if invitation_id.startswith(_SAMPLE_PREFIX) else None


def find(settings: Settings, survey_id: str) -> Survey | None:
    """The programme of this id, or None. Raises BadInput for a broken file."""
    return next((survey for survey in load_surveys(settings.surveys) if survey.id == survey_id), None)


def look_of(survey: Survey, language: str | None) -> Look:
    """How the survey looks for the made-up person who speaks `language`, or the survey's own."""
    return Look(_payload_of(survey, language))


async def sample_invitation(shared: Shared, invitation_id: str) -> Invitation | None:
    """What a link of a sample mail belongs to; None for those of real ones. Raises 404 for a survey that is no more."""
    survey_id = sample_of(invitation_id)
    if survey_id is None:
        return None
    survey = await _survey(shared, survey_id)
    if isinstance(survey, Response):  # its file needs mending
        raise HTTPException(404)
    return Invitation(
        invitation_id=invitation_id,
        survey_id=survey.id,
        **dict.fromkeys(("wave_id", "contact_id", "channel", "state"), "sample"),
        **dict.fromkeys(("account_id", "person_key", "link_expires_at", "answer"), None),
        planned_at=shared.clock.now(),
        payload=_payload_of(survey, None),
    )


def _payload_of(survey: Survey, language: str | None) -> dict[str, Any]:
    return {**SAMPLE, "company": survey.company, "language": language, "definition": survey.model_dump(mode="json")}


async def show(shared: Shared, request: Request, survey_id: str) -> Response:
    """The pages of a programme as they stand in its file, for a made-up person; nothing is recorded."""
    survey = await _survey(shared, survey_id)
    if isinstance(survey, Response):
        return survey
    language = request.query_params.get("language")
    look, page = look_of(survey, language), f"{shared.base}/preview/{survey_id}"
    here = _link(page, language) if language else page
    if request.method == "POST":
        fields = await posted_fields(request)
        posted = read_answer(fields)
        read_answers(survey.questions, posted.score, posted.fields)
        return pages.thanks_page(look, score=posted.score, change=here, preview=_links(survey, page))
    score = read_score(request.query_params.get("score"))
    return pages.survey_page(look, action=here, unsubscribe="", score=score, preview=_links(survey, page, score))


async def _survey(shared: Shared, survey_id: str) -> Survey | Response:
    """The programme, or a page that says what its file needs. Raises 404."""
    try:
        survey = await run_in_threadpool(find, shared.settings, survey_id)
    except BadInput as error:
        where = ", ".join(part for part in (f"line {error.line}" if error.line else "", error.field or "") if part)
        problem = f"{error.problem} ({where})" if where else error.problem
        return pages.notice_page("A survey's file needs mending", problem, status=422)
    if survey is None:
        raise HTTPException(404)
    return survey


def _links(survey: Survey, page: str, score: int | None = None) -> Preview:
    """Where to see the page in each of the survey's languages, and at three widths."""
    tags = (survey.language, *survey.languages) if survey.languages else ()
    return Preview({tag: _link(page, tag, score) for tag in tags}, f"{page}/all")


def _link(page: str, language: str, score: int | None = None) -> str:
    return f"{page}?{_query(language=language, score=score)}"


def _query(**values: object) -> str:
    return urlencode({name: value for name, value in values.items() if value is not None})
