"""A programme's pages before anyone is asked: the file as it stands, and a made-up person."""

from __future__ import annotations

from closedloop.programme import load_surveys
from closedloop.settings import Settings
from closedloop.texts import SAMPLE
from ingestion.collector.pages import Look

_SAMPLE_PREFIX = "sample-"


def sample_of(invitation_id: str) -> str | None:
    """The survey whose sample mail (`survey test-send`, `survey preview`) has this invitation id; None for real ones."""
    return invitation_id.removeprefix(_SAMPLE_PREFIX) if invitation_id.startswith(_SAMPLE_PREFIX) else None


def look(settings: Settings, survey_id: str) -> Look | None:
    """How the survey looks for the made-up person; None if no programme has this id. Raises BadInput for a broken file."""
    for survey in load_surveys(settings.surveys):
        if survey.id == survey_id:
            return Look({**SAMPLE, "company": survey.company, "definition": survey.model_dump(mode="json")})
    return None
