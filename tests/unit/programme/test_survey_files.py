"""A survey file that is wrong says where and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from closedloop.errors import BadInput
from closedloop.programme import load_surveys, stored_survey

GOOD = """\
id: post-close
name: Post-Close
type: transactional
status: active
company: Northwind Cloud
triggers:
  - event: deal_won
    delay_days: 3
"""


def write(folder: Path, text: str, name: str = "post-close.yml") -> Path:
    (folder / name).write_text(text)
    return folder


def test_a_good_file_gets_the_defaults(tmp_path: Path) -> None:
    (survey,) = load_surveys(write(tmp_path, GOOD))
    assert (survey.cooldown.days, survey.cooldown.scope, survey.max_age_days) == (90, "global", 14)
    assert "{{ company }}" in survey.question.text


def test_files_that_mean_the_same_have_the_same_hash(tmp_path: Path) -> None:
    (first,) = load_surveys(write(tmp_path, GOOD))
    (second,) = load_surveys(write(tmp_path, "# a comment\n" + GOOD + "cooldown: {days: 90}\n"))
    (third,) = load_surveys(write(tmp_path, GOOD + "cooldown: {days: 30}\n"))
    assert first.definition_hash == second.definition_hash != third.definition_hash


@pytest.mark.parametrize(
    ("broken", "line", "field"),
    [
        (GOOD.replace("status: active", "status: live"), 4, "status"),
        (GOOD.replace("delay_days: 3", "delay_days: soon"), 8, "triggers.0.delay_days"),
        (GOOD.replace("event: deal_won", "event: deal_one"), 7, "triggers.0.event"),
        (GOOD + "colour: red\n", 9, "colour"),
        (GOOD + "branding:\n  primary_colour: red\n", 10, "branding.primary_colour"),
        (GOOD.replace("name: Post-Close\n", ""), 1, "name"),
        (GOOD.replace("id: post-close", "id: Post Close"), 1, "id"),
        (GOOD.replace("id: post-close", "id: all"), 1, "id"),
        (GOOD + "  - event: deal_won\n", 9, "triggers.1.event"),
        (GOOD + "email:\n  subject: 'Hi {{ nickname }}'\n", 10, "email.subject"),
        (GOOD + "question:\n  text: 'Hi {{ first_name'\n", 10, "question.text"),
    ],
    ids=["status", "number", "event", "unknown", "colour", "missing", "id", "all", "twice", "variable", "template"],
)
def test_a_wrong_field_is_named_with_its_line(tmp_path: Path, broken: str, line: int, field: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_surveys(write(tmp_path, broken))
    assert caught.value.field == field
    assert caught.value.file == tmp_path / "post-close.yml"
    assert caught.value.remedy
    assert caught.value.line == line


@pytest.mark.parametrize(
    "text", ["id: [unclosed\nname: x\n", "just words", "", "\tid: tabs\n"], ids=["unclosed", "scalar", "empty", "tabs"]
)
def test_what_is_no_yaml_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput, match="post-close.yml"):
        load_surveys(write(tmp_path, text))


def test_latin_1_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_bytes(GOOD.replace("Northwind", "Müller").encode("latin-1"))
    with pytest.raises(BadInput, match="UTF-8"):
        load_surveys(tmp_path)


def test_two_files_must_not_share_an_id(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    with pytest.raises(BadInput, match="two files"):
        load_surveys(write(tmp_path, GOOD, "other.yml"))


def test_an_absent_or_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no survey programme"):
        load_surveys(tmp_path)
    with pytest.raises(BadInput, match="no such folder"):
        load_surveys(tmp_path / "nowhere")


def test_a_stored_definition_may_have_fields_that_were_dropped_since(tmp_path: Path) -> None:
    (survey,) = load_surveys(write(tmp_path, GOOD))
    stored = survey.model_dump(mode="json")
    stored["cooldown"]["unit"] = "days"
    assert stored_survey({**stored, "dropped": True}) == survey
