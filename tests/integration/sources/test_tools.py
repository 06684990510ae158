"""Answers as other tools export them, by the same import as our own files."""

from __future__ import annotations

import csv
import datetime as dt
import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.errors import BadInput
from ingestion.sources.responses import ingest_responses
from ingestion.sources.tools import TOOLS, Asked, convert
from ingestion.sources.tools.rows import moment_of

NOW = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)


@pytest.fixture
def payloads(realdata: Path) -> Path:
    return realdata / "survey_tool_payloads"


@pytest.fixture
def take(lake, tmp_path):
    """Reads a tool's file into the lake; gives the report and the rows of the converted file."""

    def read(tool: str, file: Path, **said):
        into = tmp_path / file.name
        convert(tool, file, into, Asked(**said))
        with into.open(newline="") as handle:
            rows = list(csv.DictReader(handle))
        return ingest_responses(lake, into, now=NOW), rows

    return read


def _file(tmp_path: Path, content: object, name: str = "answers.json") -> Path:
    (tmp_path / "in").mkdir(exist_ok=True)
    file = tmp_path / "in" / name
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_delighted_as_a_pipeline_delivers_it(take, payloads):
    report, rows = take("delighted", payloads / "delighted_airbyte_expected_records.jsonl")
    raw = [
        json.loads(line) for line in (payloads / "delighted_airbyte_expected_records.jsonl").read_text().splitlines()
    ]
    expected = {one["data"]["id"]: one["data"]["score"] for one in raw if one["stream"] == "survey_responses"}
    assert (report.loaded, report.quarantined) == (len(expected), 0)
    assert {row["external_id"]: int(row["score"]) for row in rows} == expected
    assert {row["scale"] for row in rows} == {"0-10"}
    assert rows[0]["submitted_at"].startswith("2022-01-04T")


@pytest.mark.parametrize(
    ("kind", "scale"), [("nps", "0-10"), ("csat", "1-5"), ("smileys", "1-5"), ("thumbs", "0-1"), ("5_star", "1-5")]
)
def test_delighted_stars_and_smileys_keep_their_scale(take, tmp_path, kind, scale):
    record = {"id": 1, "person": {"id": 7, "email": "a@customer.example"}, "survey_type": kind, "score": 1}
    report, [row] = take("delighted", _file(tmp_path, [{**record, "created_at": 1_700_000_000, "updated_at": 1}]))
    assert (row["scale"], row["contact_id"], row["contact_email"]) == (scale, "7", "a@customer.example")
    assert report.loaded == 1


def test_delighted_a_kind_that_nobody_knows_waits(take, tmp_path):
    record = {"id": 1, "person": "7", "survey_type": "colour", "score": 1, "created_at": 1_700_000_000}
    report, _ = take("delighted", _file(tmp_path, [record]))
    assert report.reasons == {"unknown_scale": 1}


def test_wootric_updates_and_declines(take, payloads):
    report, rows = take("wootric", payloads / "wootric_gist_webhooks.json")
    assert (report.loaded, report.unanswered, report.quarantined) == (2, 1, 0)
    by_id = {row["external_id"]: row for row in rows}
    assert by_id["15181514"]["comment"] == "updated event?"
    assert by_id["15181514"]["submitted_at"] == "2018-03-28T22:24:51+00:00"
    assert by_id["decline-XXXXXX"]["score"] == ""


def test_the_newest_record_of_an_answer_counts_in_whatever_order_they_come(take, tmp_path):
    def event(at: str, score: str):
        return {"response": {"id": "1", "score": score, "created_at": "2025-01-01 10:00:00 +0000", "updated_at": at}}

    events = [event("2025-01-01 12:00:00 +0000", "3"), event("2025-01-01 11:00:00 +0000", "9")]
    report, [row] = take("wootric", _file(tmp_path, events))
    assert (row["score"], report.loaded) == ("3", 1)


def _typeform(kind: str, number: int, properties: dict | None = None) -> dict:
    field = {"id": "f1", "type": kind, "ref": "score"}
    definition = {"id": "form", "fields": [{"id": "f1", "type": kind, "properties": properties or {}}]}
    answers = [
        {"type": "number", "number": number, "field": field},
        {"type": "text", "text": "Why not", "field": {"id": "f2", "type": "long_text", "ref": "why"}},
        {
            "type": "choice",
            "choice": {"label": "Blue"},
            "field": {"id": "f3", "type": "multiple_choice", "ref": "plan"},
        },
    ]
    response = {"form_id": "form", "token": "t1", "submitted_at": "2025-02-03T04:05:06Z", "definition": definition}
    return {
        "event_type": "form_response",
        "form_response": {**response, "answers": answers, "hidden": {"contact_id": "c9"}},
    }


@pytest.mark.parametrize(
    ("kind", "properties", "scale"),
    [
        ("nps", None, "0-10"),
        ("opinion_scale", None, "0-10"),
        ("opinion_scale", {"steps": 11}, "0-10"),
        ("opinion_scale", {"steps": 10, "start_at_one": True}, "1-10"),
        ("opinion_scale", {"steps": 5, "start_at_one": True}, "1-5"),
        ("rating", {"steps": 5}, "1-5"),
        ("rating", None, "1-5"),
        ("rating", {"steps": 10}, "1-10"),
    ],
)
def test_typeform_scales_are_the_forms(take, tmp_path, kind, properties, scale):
    report, [row] = take("typeform", _file(tmp_path, _typeform(kind, 4, properties)))
    assert (row["scale"], row["score"], row["comment"], row["contact_id"], row["plan"]) == (
        scale,
        "4",
        "Why not",
        "c9",
        "Blue",
    )
    assert report.loaded == 1


def test_typeform_without_a_score_is_an_unanswered_invitation(take, payloads):
    report, [row] = take("typeform", payloads / "typeform_form_response_2017.json")
    assert (report.loaded, report.unanswered, row["score"]) == (0, 1, "")
    assert row["submitted_at"] == "2017-02-21T05:18:14+00:00"


def test_formbricks_needs_to_know_which_question_is_the_score(take, payloads):
    with pytest.raises(BadInput, match="--question"):
        take("formbricks", payloads / "formbricks_docs_responseFinished.json")
    report, [row] = take("formbricks", payloads / "formbricks_docs_responseFinished.json", question="q1")
    assert (row["score"], report.reasons) == ("clicked", {"score_not_a_number": 1})


@pytest.mark.parametrize(
    ("kind", "range_", "scale"), [("nps", None, "0-10"), ("rating", 5, "1-5"), ("rating", 7, "1-7")]
)
def test_formbricks_scales_are_the_surveys(take, tmp_path, kind, range_, scale):
    details = {"data": {"questions": [{"id": "q", "type": kind, "range": range_}]}}
    events = [
        {
            "event": name,
            "data": {"id": "r", "surveyId": "s", "finished": done, "createdAt": "2025-01-01T00:00:00Z", **rest},
        }
        for name, done, rest in (
            ("responseFinished", True, {"updatedAt": "2025-01-01T00:02:00Z", "data": {"q": 5, "why": "x"}}),
            ("responseCreated", False, {"updatedAt": "2025-01-01T00:01:00Z", "data": {"q": 2}}),
        )
    ]
    _, [row] = take("formbricks", _file(tmp_path, events), question="q", comment="why", details=details)
    assert (row["score"], row["scale"], row["comment"]) == ("5", scale, "x")


def test_surveymonkey_weights_are_no_scores(take, payloads):
    with pytest.raises(BadInput, match="simple=true"):
        take("surveymonkey", payloads / "surveymonkey_airbyte_survey_responses.jsonl")


def test_surveymonkey_scores_come_from_the_choices(take, payloads):
    choices = [{"id": f"4285525{number:03}", "text": str(number)} for number in range(11)]
    choices[9]["id"], choices[3]["id"] = "4285525058", "4285525052"
    details = {"pages": [{"questions": [{"id": "652286714", "answers": {"choices": choices}}]}]}
    report, rows = take(
        "surveymonkey",
        payloads / "surveymonkey_airbyte_survey_responses.jsonl",
        details=details,
        comment="652286719",
    )
    assert [(row["score"], row["scale"], row["comment"]) for row in rows] == [
        ("9", "0-10", ""),
        ("3", "0-10", "waste of time"),
    ]
    assert report.loaded == 2


def test_surveymonkey_stars_keep_their_scale(take, tmp_path):
    choices = [{"id": str(number), "text": f"{number} stars"} for number in range(1, 6)]
    details = {"pages": [{"questions": [{"id": "q", "answers": {"choices": choices}}]}]}
    raw = {"id": "r", "survey_id": "s", "date_modified": "2025-01-01T00:00:00+00:00"}
    raw["pages"] = [{"questions": [{"id": "q", "answers": [{"choice_id": "4"}]}]}]
    _, [row] = take("surveymonkey", _file(tmp_path, [raw]), question="q", details=details)
    assert (row["score"], row["scale"]) == ("4", "1-5")


@pytest.mark.parametrize("name", ["qualtrics_export_3header_rows.csv", "qualtrics_export_legacy.csv"])
def test_qualtrics_header_rows_old_and_new(take, payloads, name):
    report, rows = take("qualtrics", payloads / name, question="Q1", comment="Q2", time_zone=ZoneInfo("Europe/Berlin"))
    assert (report.loaded, report.quarantined) == (1, 0)
    assert (rows[0]["external_id"], rows[0]["score"], rows[0]["comment"]) == ("R_2YPOQ602ER1jkf1", "2", "Hello World!")
    assert rows[0]["submitted_at"] == "2017-07-18T06:28:48+00:00"
    assert not {"IPAddress", "LocationLatitude", "RecipientEmail"} & rows[0].keys()


def test_qualtrics_real_export(take, realdata):
    report, rows = take("qualtrics", realdata / "qualtrics_csv" / "inst" / "extdata" / "sample.csv", question="Q1")
    assert report.rows_read == len(rows) > 0


def _qualtrics(*rows: str, group: str = "Q7_NPS_GROUP") -> str:
    ids = ",".join(f'"{{""ImportId"":""{name}""}}"' for name in ("a", "b", "c", "d", "e", "f", "g"))
    names = f"ResponseId,Status,Finished,RecordedDate,ExternalReference,Q7,{group}"
    return "\n".join([names, "id,Status,Finished,Date,Ref,How likely?,Group", ids, *rows]) + "\n"


def test_qualtrics_takes_the_score_and_leaves_its_group(take, tmp_path):
    rows = [
        "R_1,0,1,2025-01-01 10:00:00,c1,9,1",  # its own group says detractor
        "R_2,IP Address,True,2025-01-01 10:00:00,c2,6,Promoter",
        "R_3,1,1,2025-01-01 10:00:00,c3,0,1",
        "R_4,Spam,1,2025-01-01 10:00:00,c4,0,1",
        "R_5,0,0,2025-01-01 10:00:00,c5,,",
        "R_6,0,1,2025-01-01 10:00:00,c6,11,",
    ]
    report, found = take("qualtrics", _file(tmp_path, _qualtrics(*rows), "export.csv"))
    assert {row["external_id"]: row["score"] for row in found} == {"R_1": "9", "R_2": "6", "R_5": "", "R_6": "11"}
    assert (report.loaded, report.unanswered, report.reasons) == (2, 1, {"score_out_of_range": 1})
    assert not any("GROUP" in name for row in found for name in row)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (_qualtrics(group="Other"), "--question"),
        ("a,b\nc,d\n1,2\n", "import ids"),
        ("", "header"),
    ],
)
def test_qualtrics_a_file_that_is_none_is_refused(take, tmp_path, content, said):
    with pytest.raises(BadInput, match=said):
        take("qualtrics", _file(tmp_path, content, "export.csv"))


@pytest.mark.parametrize("tool", sorted(TOOLS))
def test_the_same_file_again_changes_nothing(take, tmp_path, lake, tool):
    content = {
        "qualtrics": _qualtrics("R_1,0,1,2025-01-01 10:00:00,c1,9,1"),
        "typeform": _typeform("nps", 9),
        "delighted": [{"id": 1, "person": "7", "survey_type": "nps", "score": 9, "created_at": 1_700_000_000}],
        "wootric": [{"response": {"id": 1, "score": 9, "created_at": "2025-01-01T00:00:00Z"}}],
        "formbricks": [{"id": "r", "surveyId": "s", "createdAt": "2025-01-01T00:00:00Z", "data": {"q": 9}}],
        "surveymonkey": [
            {
                "id": "r",
                "survey_id": "s",
                "date_modified": "2025-01-01T00:00:00Z",
                "pages": [{"questions": [{"id": "q", "answers": [{"choice_id": "1", "simple_text": "9"}]}]}],
            }
        ],
    }[tool]
    file = _file(tmp_path, content, "answers.csv" if tool == "qualtrics" else "answers.json")
    question = {"formbricks": "q", "surveymonkey": "q"}.get(tool)
    first, [row] = take(tool, file, question=question)
    again, _ = take(tool, file, question=question)
    assert (first.loaded, again.loaded, again.unchanged, row["score"]) == (1, 0, 1, "9")


@pytest.mark.parametrize("content", ["{", "[1, 2", '{"id": 1}\n{"id": \n'])
def test_json_that_is_cut_off_names_the_file(take, tmp_path, content):
    with pytest.raises(BadInput, match="answers.json"):
        take("delighted", _file(tmp_path, content))


def test_a_record_that_is_none_waits_and_the_others_go_on(take, tmp_path):
    good = {"id": 1, "person": "7", "survey_type": "nps", "score": 9, "created_at": 1_700_000_000}
    report, _ = take("delighted", _file(tmp_path, [good, 7, {"survey_type": "nps"}]))
    assert (report.loaded, report.reasons) == (1, {"external_id_missing": 2})


def test_a_tool_that_nobody_knows_is_refused(tmp_path):
    with pytest.raises(BadInput, match="delighted"):
        convert("askmonkey", _file(tmp_path, []), tmp_path / "x.csv", Asked())


@settings(max_examples=60)
@given(
    value=st.one_of(
        st.none(),
        st.booleans(),
        st.floats(allow_nan=False, allow_infinity=False, width=16),
        st.text(),
        st.lists(st.text()),
    )
)
def test_no_value_of_a_time_breaks_the_reading(value):
    assert isinstance(moment_of(value, ZoneInfo("UTC")), str)
