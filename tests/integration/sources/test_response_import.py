"""The response import contract: what is loaded, what waits, what changes nothing."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from closedloop.errors import BadInput
from ingestion.sources.responses import ingest_responses

HEAD = "external_id,survey,survey_type,contact_id,contact_email,account_id,score,comment,channel,submitted_at"


@pytest.fixture
def take(lake, tmp_path, now):
    def run(*lines: str, head: str = HEAD, name: str = "answers.csv", at: dt.datetime = now):
        file = tmp_path / name
        file.write_text("".join(f"{line}\n" for line in (head, *lines)), encoding="utf-8")
        return ingest_responses(lake, file, now=at)

    return run


def row(key: str, score: str, *, at: str = "2026-01-02T03:04:05Z", survey_type: str = "relationship") -> str:
    return f"{key},Yearly,{survey_type},c1,a@b.example,a1,{score},fine,email,{at}"


@pytest.mark.parametrize(
    ("score", "stored"),
    [("0", "0"), ("10", "10"), ("10.0", "10"), (" 9 ", "9"), ("7.00", "7"), ("\u00a08", "8"), ("05", "5")],
)
def test_scores_that_are_scores(take, rows, score: str, stored: str) -> None:
    report = take(row("x", score))
    assert (report.loaded, report.unanswered, report.quarantined) == (1, 0, 0)
    assert rows("select score, scale from lake.responses_imported") == [(stored, "0-10")]


@pytest.mark.parametrize(
    ("score", "reason"),
    [
        ("11", "score_out_of_range"),
        ("-1", "score_out_of_range"),
        ("6.5", "score_not_whole"),
        ("1e1", "score_not_whole"),
        ("nan", "score_not_whole"),
        ("ten", "score_not_a_number"),
        ("9/10", "score_not_a_number"),
        ("N/A", "score_not_a_number"),
    ],
)
def test_scores_that_are_none(take, rows, score: str, reason: str) -> None:
    report = take(row("x", score), row("y", "9"))
    assert (report.loaded, report.reasons) == (1, {reason: 1})
    assert rows("select source, object, file, line, field, reason from lake.quarantine_rows") == [
        ("responses", "response", "answers.csv", 2, "score", reason)
    ]


def test_an_empty_score_is_unanswered(take, rows) -> None:
    report = take(row("x", ""), row("y", " ", at=""))
    assert (report.loaded, report.unanswered, report.quarantined) == (0, 2, 0)
    assert rows("select external_id, score, submitted_at is null from lake.responses_imported order by 1") == [
        ("x", "", False),
        ("y", "", True),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (row("", "9"), "external_id_missing"),
        (row("x", "9", survey_type="nps"), "unknown_survey_type"),
        (row("x", "9", at=""), "submitted_at_missing"),
        (row("x", "9", at="02.01.2026"), "bad_submitted_at"),
        (row("x", "9", at="2099-01-02"), "submitted_at_in_future"),
        ("x,all,relationship,,,,9,,,2026-01-01", "reserved_survey"),
        ("x,,relationship,,,,9,,,2026-01-01", "survey_missing"),
        ("x,S,relationship", "malformed_row"),
    ],
)
def test_rows_that_cannot_be_responses(take, line: str, reason: str) -> None:
    report = take(line, row("good", "9"))
    assert (report.rows_read, report.loaded, report.reasons) == (2, 1, {reason: 1})


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("2026-01-02T03:04:05", dt.datetime(2026, 1, 2, 3, 4, 5)),  # noqa: DTZ001 - stored without a zone, as UTC
        ("2026-01-02T03:04:05+02:00", dt.datetime(2026, 1, 2, 1, 4, 5)),  # noqa: DTZ001
        ("2026-01-02 03:04:05.5Z", dt.datetime(2026, 1, 2, 3, 4, 5, 500000)),  # noqa: DTZ001
        ("2026-01-02", dt.datetime(2026, 1, 2)),  # noqa: DTZ001
    ],
)
def test_times_are_utc(take, rows, text: str, stored: dt.datetime) -> None:
    take(row("x", "9", at=text))
    assert rows("select submitted_at from lake.responses_imported") == [(stored,)]


def test_a_repeated_id_waits_and_the_first_that_can_be_a_response_stays(take, rows) -> None:
    report = take(row("x", "99"), row("x", "9"), row("x", "8"), row("x", "8"))
    assert (report.loaded, report.reasons) == (1, {"score_out_of_range": 1, "duplicate_external_id": 2})
    assert rows("select score, source_line from lake.responses_imported") == [("9", 3)]
    assert rows("select line from lake.quarantine_rows order by 1") == [(2,), (4,), (5,)]


def test_the_same_file_again_changes_nothing(take, lake, now) -> None:
    lines = [row("x", "9"), row("y", ""), row("z", "77")]
    assert (r := take(*lines)).loaded == 1 and r.new_in_quarantine == 1
    cut = lake.cut()
    again = take(*lines, at=now + dt.timedelta(days=1))
    assert (again.rows_read, again.loaded, again.unanswered, again.unchanged, again.quarantined) == (3, 0, 0, 2, 1)
    assert (again.new_in_quarantine, lake.cut()) == (0, cut)


def test_other_content_is_a_new_version(take, rows, now) -> None:
    take(row("x", ""), row("y", "5"))
    report = take(row("y", "5"), row("x", "9"), name="later.csv", at=now + dt.timedelta(days=1))
    assert (report.loaded, report.unchanged) == (1, 1)
    assert rows("select external_id, score, source_file from lake.responses_imported order by 1, 2") == [
        ("x", "", "answers.csv"),
        ("x", "9", "later.csv"),
        ("y", "5", "answers.csv"),
    ]


def test_further_columns_are_attributes_in_any_order(take, rows, now) -> None:
    take(row("x", "9") + ',gold,"5 ""big"""', head=HEAD + ",Plan,Team size")
    (attributes,) = rows("select attributes from lake.responses_imported")[0]
    assert json.loads(attributes) == {"Plan": "gold", "Team size": '5 "big"'}
    report = take(row("x", "9") + ',"5 ""big""",gold', head=HEAD + ",Team size,Plan", name="other.csv")
    assert (report.loaded, report.unchanged) == (0, 1)


@pytest.mark.parametrize(
    ("scale", "score", "stored", "reason"),
    [
        ("0-10", "10", "0-10", None),
        ("", "10", "0-10", None),
        ("1-5", "5", "1-5", None),
        ("1 to 7", "7", "1-7", None),
        ("1-5", "6", None, "score_out_of_range"),
        ("stars", "5", None, "unknown_scale"),
        ("5-1", "3", None, "unknown_scale"),
    ],
)
def test_scales(take, rows, scale: str, score: str, stored: str | None, reason: str | None) -> None:
    report = take(row("x", score) + f",{scale}", head=HEAD + ",scale")
    assert report.reasons == ({} if reason is None else {reason: 1})
    assert rows("select score, scale from lake.responses_imported") == ([] if stored is None else [(score, stored)])


def test_without_the_optional_columns(take, rows) -> None:
    report = take("x,S,transactional,9,2026-01-01", head="external_id,survey,survey_type,score,submitted_at")
    assert report.loaded == 1
    assert rows("select contact_id, comment, attributes from lake.responses_imported") == [(None, None, "{}")]


@pytest.mark.parametrize("column", ["external_id", "survey", "survey_type", "score", "submitted_at"])
def test_a_missing_column_is_named_with_the_nearest(take, column: str) -> None:
    with pytest.raises(BadInput) as caught:
        take(
            row("x", "9"), head=HEAD.replace(f"{column},", f"{column}s,", 1) if column != "submitted_at" else HEAD + "s"
        )
    assert (caught.value.field, caught.value.line, caught.value.file.name) == (column, 1, "answers.csv")
    assert f"'{column}s'" in caught.value.remedy


def test_a_file_that_cannot_be_used(lake, tmp_path, now) -> None:
    empty = tmp_path / "empty.csv"
    empty.touch()
    for file, problem in [(empty, "empty"), (tmp_path / "none.csv", "cannot be read")]:
        with pytest.raises(BadInput, match=problem):
            ingest_responses(lake, file, now=now)


def test_semicolons_and_latin_1_are_read_with_a_warning(lake, tmp_path, rows, now) -> None:
    file = tmp_path / "answers.csv"
    file.write_bytes(f"{HEAD}\n{row('x', '9')}\n".replace(",", ";").replace("fine", "schön").encode("latin-1"))
    report = ingest_responses(lake, file, now=now)
    assert (report.loaded, len(report.warnings)) == (1, 2)
    assert rows("select comment from lake.responses_imported") == [("schön",)]


@pytest.mark.slow
def test_line_numbers_hold_in_a_large_file(take, rows) -> None:
    report = take(*(row(f"k{n}", "99" if n % 50_000 == 7 else "9") for n in range(300_000)))
    assert (report.loaded, report.quarantined) == (299_994, 6)
    assert rows("select line from lake.quarantine_rows order by 1") == [(n + 9,) for n in range(0, 300_000, 50_000)]
