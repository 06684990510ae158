"""Reading programmes from their YAML files, and the JSON schema by which editors complete and check them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from closedloop.errors import BadInput
from closedloop.programme.definitions import Survey
from closedloop.yamlfile import line_in, load_yaml


def load_surveys(folder: Path) -> tuple[Survey, ...]:
    """All programmes of a folder, ordered by id. Raises BadInput naming file, line, field and remedy."""
    if not folder.is_dir():
        raise BadInput("no such folder of survey programmes", file=folder, remedy="set CLOSEDLOOP_SURVEYS")
    surveys: dict[str, tuple[Survey, Path]] = {}
    for path in sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")]):
        survey = load_survey(path)
        if survey.id in surveys:
            raise BadInput(
                f"two files define the survey '{survey.id}': {surveys[survey.id][1].name} and {path.name}",
                file=path,
                line=line_in(path, "id"),
                field="id",
                remedy="give one of them another id, or remove it",
            )
        surveys[survey.id] = (survey, path)
    if not surveys:
        raise BadInput("no survey programme in this folder", file=folder, remedy="add a file such as post-close.yml")
    return tuple(survey for _, (survey, _) in sorted(surveys.items()))


def load_survey(path: Path) -> Survey:
    """One programme from its YAML file. Raises BadInput naming file, line, field and remedy."""
    return load_yaml(path, Survey, what="a survey file", manual="docs/surveys.md")


def json_schema() -> dict[str, Any]:
    """The JSON schema of a programme; `surveys/schema.json` holds it for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Survey.model_json_schema()}


def schema_text() -> str:
    """The schema as the file holds it."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
