"""The schema by which editors check a programme is today's, and the examples say what the documents describe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from closedloop.programme import Survey, load_surveys
from closedloop.programme.files import json_schema, schema_text

SURVEYS = Path(__file__).resolve().parents[3] / "surveys"
EXAMPLES = sorted(folder for folder in (SURVEYS / "examples").iterdir() if folder.is_dir())
PROGRAMMES = sorted(SURVEYS.rglob("*.yml"))


def name_of(path: Path) -> str:
    return str(path.relative_to(SURVEYS))


def example(name: str) -> dict[str, Survey]:
    return {survey.id: survey for survey in load_surveys(SURVEYS / "examples" / name)}


def test_the_schema_in_the_folder_is_todays() -> None:
    assert (SURVEYS / "schema.json").read_text() == schema_text(), "run: closedloop survey schema > surveys/schema.json"


def test_the_command_prints_the_schema() -> None:
    from orchestration.cli import cli

    assert CliRunner().invoke(cli, ["survey", "schema"]).output == schema_text()


def test_every_field_has_a_description() -> None:
    schema = json_schema()
    parts = {"Survey": schema, **schema["$defs"]}
    assert [name for name, part in parts.items() if not part.get("description")] == []
    assert [
        f"{part}.{name}"
        for part, found in parts.items()
        for name, field in found["properties"].items()
        if not field.get("description")
    ] == []


@pytest.mark.parametrize("path", PROGRAMMES, ids=name_of)
def test_every_programme_fits_the_schema_that_it_names(path: Path) -> None:
    text = path.read_text()
    named = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == SURVEYS / "schema.json"
    # JSON has no dates: editors see them as text.
    jsonschema.Draft202012Validator(json_schema()).validate(json.loads(json.dumps(yaml.safe_load(text), default=str)))


@pytest.mark.parametrize(
    "change",
    [
        {"colour": "red"},
        {"status": "live"},
        {"triggers": [{"event": "deal_one"}]},
        {"triggers": [{"event": "customer_age"}]},
        {"triggers": [{"event": "deal_won", "after_days": 3}]},
        {"redirect": {"promoter": "http://example.com"}},
        {"business_hours": {"opens": "9"}},
        {"questions": [{"id": "why", "text": "Why?", "scores": True}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_schema_refuses_what_editors_can_see(change: dict[str, Any]) -> None:
    good = yaml.safe_load((SURVEYS / "support.yml").read_text())
    assert not jsonschema.Draft202012Validator(json_schema()).is_valid({**good, **change})


def test_scores_may_be_written_as_a_number() -> None:
    good = yaml.safe_load((SURVEYS / "support.yml").read_text())
    changed = {**good, "questions": [{"id": "story", "text": "May we tell your story?", "scores": 10}]}
    jsonschema.validate(changed, json_schema())
    assert Survey.model_validate(changed).questions[0].for_scores == range(10, 11)


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_every_example_is_a_folder_of_programmes(folder: Path) -> None:
    surveys = load_surveys(folder)
    assert {survey.id for survey in surveys} == {path.stem for path in folder.glob("*.yml")}
    assert all(survey.status == "active" for survey in surveys)


def test_salesos() -> None:
    surveys = example("salesos")
    delays = {trigger.event: trigger.delay_days for survey in surveys.values() for trigger in survey.triggers}
    assert delays == {
        "deal_won": 3,
        "onboarding_completed": 2,
        "order_delivered": 2,
        "contract_renewed": 7,
        "ticket_resolved": 1,
        "field_changed": 1,
        "schedule_quarterly": 0,
    }
    assert {(survey.cooldown.days, survey.skip_after_response_days) for survey in surveys.values()} == {(90, 90)}
    assert all(survey.business_hours and survey.reminders.after_days for survey in surveys.values())
    assert {question.text for survey in surveys.values() for question in survey.questions} == {
        "Which aspect of our service had the biggest impact?"
    }
    assert [survey.id for survey in surveys.values() if survey.type == "relationship"] == ["relationship"]


def test_cloudpeak_asks_at_marks_that_are_60_days_apart() -> None:
    marks = example("cloudpeak")["marks"]
    assert [(trigger.event, trigger.key) for trigger in marks.triggers] == [
        ("customer_age", "30d"),
        ("customer_age", "90d"),
        ("before_renewal", "0d"),
    ]
    assert max(marks.cooldown.days, marks.skip_after_response_days) < 60


def test_evergreen_and_bluewave() -> None:
    assert [trigger.event for trigger in example("evergreen")["post-purchase"].triggers] == ["purchase"]
    assert [trigger.event for trigger in example("bluewave")["engagement"].triggers] == ["project_finished"]


def test_getfeedback_has_five_groups_of_which_two_stay_outside_the_headline() -> None:
    surveys = example("getfeedback")
    assert {name: survey.in_headline for name, survey in surveys.items()} == {
        "advocates": True,
        "losses": False,
        "new-customers": True,
        "prospects": False,
        "renewals": True,
    }
    assert {survey.cooldown.days for survey in surveys.values()} == {180}
    (new,) = surveys["new-customers"].triggers
    assert (new.key, surveys["new-customers"].max_age_of(new)) == ("30d", 30)
    assert surveys["renewals"].triggers[0].key == "60d"
    assert {condition["field"] for clause in surveys["advocates"].audience.clauses for condition in clause} == {
        "customer_days",
        "won_deals",
        "orders",
    }
