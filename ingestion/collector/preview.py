"""A programme's pages before anyone is asked: the file as it stands, and a made-up person."""

from __future__ import annotations

from urllib.parse import urlencode

from closedloop.programme import Survey, load_surveys
from closedloop.settings import Settings
from closedloop.texts import SAMPLE
from ingestion.collector.pages import Look, Preview

_SAMPLE_PREFIX = "sample-"


def sample_of(invitation_id: str) -> str | None:
    """The survey whose sample mail (`survey test-send`, `survey preview`) has this invitation id; None for real ones."""
    return invitation_id.removeprefix(_SAMPLE_PREFIX) if invitation_id.startswith(_SAMPLE_PREFIX) else None


def find(settings: Settings, survey_id: str) -> Survey | None:
    """The programme of this id, or None. Raises BadInput for a broken file."""
    return next((survey for survey in load_surveys(settings.surveys) if survey.id == survey_id), None)


def look(survey: Survey, language: str | None) -> Look:
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
