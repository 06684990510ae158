"""A programme's pages before anyone is asked: the file as it stands, and a made-up person."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from closedloop.errors import BadInput
from closedloop.programme import Survey, load_surveys
from closedloop.settings import Settings
from closedloop.texts import SAMPLE
from ingestion.collector import pages
from ingestion.collector.forms import read_answer, read_answers, read_score
from ingestion.collector.pages import Look, Preview
from ingestion.collector.shared import Shared, posted_fields

_SAMPLE_PREFIX = "sample-"


def sample_of(invitation_id: str) -> str | None:
    """The survey whose sample mail (`survey test-send`, `survey preview`) has this invitation id; None for real ones."""
    return invitation_id.removeprefix(_SAMPLE_PREFIX) if invitation_id.startswith(_SAMPLE_PREFIX) else None


def find(settings: Settings, survey_id: str) -> Survey | None:
    """The programme of this id, or None. Raises BadInput for a broken file."""
    return next((survey for survey in load_surveys(settings.surveys) if survey.id == survey_id), None)


def look_of(survey: Survey, language: str | None) -> Look:
    """How the survey looks for the made-up person who speaks `language`, or the survey's own."""
    definition = survey.model_dump(mode="json")
    return Look({**SAMPLE, "company": survey.company, "language": language, "definition": definition})


def link(page: str, language: str, score: int | None = None) -> str:
    """The preview of `page` in another language."""
    return f"{page}?{urlencode({'language': language} | ({} if score is None else {'score': score}))}"


def links(survey: Survey, page: str, score: int | None = None) -> Preview:
    """Where to see the page in each of the survey's languages."""
    tags = (survey.language, *survey.languages) if survey.languages else ()
    return Preview({tag: link(page, tag, score) for tag in tags})


async def show(shared: Shared, request: Request, survey_id: str) -> Response:
    """The pages of a programme as they stand in its file, for a made-up person; nothing is recorded."""
    try:
        survey = await run_in_threadpool(find, shared.settings, survey_id)
    except BadInput as error:
        where = ", ".join(part for part in (f"line {error.line}" if error.line else "", error.field or "") if part)
        problem = f"{error.problem} ({where})" if where else error.problem
        return pages.notice_page("A survey's file needs mending", problem, status=422)
    if survey is None:
        raise HTTPException(404)
    language = request.query_params.get("language")
    look, page = look_of(survey, language), f"{shared.base}/preview/{survey_id}"
    here = link(page, language) if language else page
    if request.method == "POST":
        fields = await posted_fields(request)
        posted = read_answer(fields)
        read_answers(survey.questions, posted.score, posted.fields)
        return pages.thanks_page(look, score=posted.score, change=here, preview=links(survey, page))
    score = read_score(request.query_params.get("score"))
    shown = links(survey, page, score)
    return pages.survey_page(look, action=here, unsubscribe="", score=score, preview=shown)
