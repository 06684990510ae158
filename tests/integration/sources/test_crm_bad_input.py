"""Bad input: each fault is named with file, line, field and remedy, and the rest is kept."""

from __future__ import annotations

import pytest

from closedloop.errors import BadInput
from closedloop.identity import person_key
from ingestion.sources.crm import ingest_crm

CONTACTS = "Id,AccountId,Email\nc1,a,x@y.example\n"
GOOD = "Id,Name,CreatedDate\na,A,2025-01-01\nb,B,2025-01-02\n"
LINES = "select line, field, reason from lake.quarantine_rows order by line"


def take(exports, account: str | bytes, day: int = 1, **others: str):
    files = {"Account.csv": account, "Contact.csv": CONTACTS} | {f"{k}.csv": v for k, v in others.items()}
    return exports.take(f"2026-01-{day:02}", files)


def the_error(report) -> BadInput:
    (error,) = report.errors
    return error


def test_no_folder_and_no_export(lake, tmp_path, salesforce, now) -> None:
    for folder, problem in [(tmp_path / "nowhere", "no such folder"), (tmp_path, "no export here")]:
        with pytest.raises(BadInput, match=problem) as caught:
            ingest_crm(lake, folder, salesforce, now=now)
        assert caught.value.remedy and caught.value.file == folder


@pytest.mark.parametrize(
    ("manifest", "field"),
    [
        ("{", None),
        ("[]", None),
        ('{"mode": "full"}', "exported_at"),
        ('{"exported_at": "2026-01-01", "mode": "all"}', "mode"),
        ('{"exported_at": "2099-01-01T00:00:00Z"}', "exported_at"),
    ],
)
def test_a_wrong_manifest(exports, manifest: str, field: str | None) -> None:
    folder = exports.write("2026-01-01", {"Account.csv": GOOD})
    (folder / "export.json").write_text(manifest)
    with pytest.raises(BadInput) as caught:
        exports.ingest()
    assert caught.value.field == field and caught.value.file.name == "export.json" and "export" in caught.value.remedy


def test_a_missing_file_and_one_that_nobody_asked_for(exports) -> None:
    report = exports.take("2026-01-01", {"Contact.csv": CONTACTS, "Notes.csv": "x\n"})
    assert the_error(report).file.name == "Account.csv" and "missing" in the_error(report).problem
    assert report.loaded == 1
    assert [(w.file.name, w.field) for w in report.warnings] == [
        ("Notes.csv", None),
        ("Contact.csv", "AccountId"),  # refers to nothing, and is kept
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "empty"), (b"PK\x03\x04rest", "workbook"), (b"\n\n", "no column names"), (b"Id,Name,name\n", "same name")],
)
def test_a_file_that_is_none(exports, rows, content: bytes, problem: str) -> None:
    report = take(exports, content)
    assert problem in the_error(report).problem and the_error(report).file.name == "Account.csv"
    assert report.objects["contact"].loaded == 1
    assert rows("select object, line, reason from lake.quarantine_rows") == [("account", None, "unreadable_file")]
    assert take(exports, GOOD, 2).objects["account"].loaded == 2


def test_a_header_without_rows(exports) -> None:
    report = take(exports, "Id,Name\n")
    assert (report.errors, report.objects["account"].rows_read) == ([], 0)


def test_a_truncated_last_line(exports, rows) -> None:
    take(exports, GOOD)
    report = take(exports, "Id,Name,CreatedDate\nc,C,2025-01-01\nd,", 2)
    assert report.objects["account"].quarantined == {"truncated_row": 1}
    assert (the_error(report).line, report.objects["account"].loaded, report.deleted) == (3, 1, 0)
    assert rows(LINES) == [(3, "", "truncated_row")]


def test_a_last_line_without_an_end_deletes_nothing(exports) -> None:
    take(exports, GOOD)
    report = take(exports, "Id,Name,CreatedDate\na,A,2025-01-01", 2)
    assert (report.objects["account"].unchanged, report.deleted, report.errors) == (1, 0, [])
    assert any("no line end" in warning.problem and warning.line == 2 for warning in report.warnings)


def test_a_quote_that_is_never_closed(exports, rows) -> None:
    report = take(exports, 'Id,Name,CreatedDate\na,A,\nb,"B,\nc,C,\n')
    assert report.objects["account"].loaded == 1
    assert rows(LINES) == [(3, "", "unclosed_quote")]


def test_lines_with_other_numbers_of_cells(exports, rows) -> None:
    report = take(exports, 'Id,Name,CreatedDate\n"a","A\n1",\nb,B\nc,C,,\nd,D,\n')
    assert report.objects["account"].loaded == 2
    assert rows(LINES) == [(4, "", "malformed_row"), (5, "", "malformed_row")]
    assert rows("select raw from lake.quarantine_rows order by line")[0] == ('{"cells": ["b", "B"]}',)


def test_lines_are_counted_through_quoted_line_breaks(exports, rows) -> None:
    take(exports, 'Id,Name,CreatedDate\na,"A\n\nB",2025-01-01\nb,B,soon\n')
    assert rows(LINES) == [(5, "CreatedDate", "bad_date")]


@pytest.mark.parametrize(("delimiter", "name"), [(";", "semicolon"), ("\t", "tab"), ("|", "bar")])
def test_another_delimiter_is_told(exports, delimiter: str, name: str) -> None:
    report = take(exports, GOOD.replace(",", delimiter))
    assert report.objects["account"].loaded == 2
    assert any(name in warning.problem for warning in report.warnings)


def test_a_delimiter_that_is_none_of_them(exports) -> None:
    report = take(exports, GOOD.replace(",", "~"))
    assert (the_error(report).field, the_error(report).line) == ("Id", 1)
    assert report.objects["account"].quarantined == {"missing_column": 2}


@pytest.mark.parametrize(
    ("encoding", "warned"), [("utf-8", False), ("utf-8-sig", False), ("latin-1", True), ("utf-16", False)]
)
def test_encodings(exports, rows, encoding: str, warned: bool) -> None:
    report = take(exports, "Id,Name\na,Müller\n".encode(encoding))
    assert rows("select Id, Name from lake.crm_account") == [("a", "Müller")]
    assert any("Latin-1" in warning.problem for warning in report.warnings) is warned


def test_a_missing_id_column_names_the_nearest(exports) -> None:
    report = take(exports, "Idd,Name\na,A\n")
    error = the_error(report)
    assert (error.file.name, error.line, error.field) == ("Account.csv", 1, "Id") and "'Idd'" in error.remedy
    assert report.objects["account"].quarantined == {"missing_column": 1} and report.objects["contact"].loaded == 1


def test_a_renamed_column_does_not_empty_it(exports, rows) -> None:
    head = "Id,Name,Tier__c\n"
    take(exports, head + "a,A,SMB\n")
    report = take(exports, "Id,Name,Tier_c\na,A,SMB\n", 2)
    error = the_error(report)
    assert error.field == "Tier__c" and "'Tier_c'" in error.remedy and "value: ''" in error.remedy
    assert rows("select Tier__c from lake.crm_account") == [("SMB",)]


def test_a_column_renamed_within_a_series_does_not_empty_it_either(exports, rows) -> None:
    exports.write("2026-01-01", {"Account.csv": "Id,Tier__c\na,SMB\n", "Contact.csv": CONTACTS})
    exports.write("2026-01-02", {"Account.csv": "Id,Tier_c\na,SMB\n", "Contact.csv": CONTACTS})
    report = exports.ingest()
    assert the_error(report).field == "Tier__c"
    assert rows("select Tier__c from lake.crm_account") == [("SMB",)]


def test_a_column_never_seen_is_only_hinted_at(exports) -> None:
    report = take(exports, "Id,Name,Tier_c\na,A,SMB\n")
    assert not report.errors
    assert [(w.field, "'Tier_c'" in w.remedy) for w in report.warnings] == [("Tier__c", True)]


def test_of_duplicate_ids_the_newest_stays(exports, rows) -> None:
    head = "Id,Name,SystemModstamp\n"
    report = take(exports, head + "a,new,2026-01-01\na,old,2025-01-01\nb,first,2026-01-01\nb,last,2026-01-01\n")
    assert report.objects["account"].quarantined == {"duplicate_id": 2}
    assert rows("select Id, Name from lake.crm_account order by 1") == [("a", "new"), ("b", "last")]
    assert rows(LINES) == [(3, "Id", "duplicate_id"), (4, "Id", "duplicate_id")]


@pytest.mark.parametrize("value", ["31.12.2025", "12/31/2025", "2025-13-01", "infinity", "0", "now"])
def test_a_date_in_another_format_waits(exports, rows, value: str) -> None:
    report = take(exports, f"Id,Name,RenewalDate__c\na,A,{value}\nb,B,2025-12-31\n")
    assert report.objects["account"].quarantined == {"bad_date": 1}
    assert rows("select field, problem, remedy from lake.quarantine_rows") == [
        ("RenewalDate__c", "RenewalDate__c is no date in a known format", "add its format to `dates` in the mapping")
    ]


@pytest.mark.parametrize("field", ["SystemModstamp", "CreatedDate"])
def test_a_record_from_the_future_waits_and_is_not_gone(exports, rows, field: str) -> None:
    """In the lake it would stop every build to come."""
    take(exports, f"Id,Name,{field}\na,A,2025-01-01\nb,B,2025-01-01\n")
    report = take(exports, f"Id,Name,{field}\na,A,2099-01-01\nb,B,2025-01-02\n", day=2)
    assert report.objects["account"].quarantined == {"time_in_future": 1}
    assert rows(LINES) == [(2, field, "time_in_future")]
    assert rows("select count(*) from lake.crm_account where _op = 'delete'") == [(0,)]


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("2026-01-05T10:11:12.000+0000", "2026-01-05T10:11:12.000Z"),
        ("2026-01-05T10:11:12Z", "2026-01-05T10:11:12.000Z"),
        ("2026-01-05 10:11", "2026-01-05T10:11:00.000Z"),
        ("2026-01-05T01:00:00+02:00", "2026-01-04T23:00:00.000Z"),
        ("2026-01-05", "2026-01-05T00:00:00.000Z"),
    ],
)
def test_moments_are_utc(exports, rows, text: str, stored: str) -> None:
    take(exports, f"Id,CreatedDate\na,{text}\n")
    assert rows("select CreatedDate from lake.crm_account") == [(stored,)]


def test_the_same_bad_row_in_the_next_export_is_not_noted_twice(exports, rows) -> None:
    for day in (1, 2):
        take(exports, "Id,Name,CreatedDate\n" + "b,B,\n" * day + "a,A,never\n", day)
    assert rows("select reason, count(*) from lake.quarantine_rows group by 1 order by 1") == [
        ("bad_date", 1),
        ("duplicate_id", 1),
    ]


def test_an_opt_out_does_not_wait_in_quarantine_with_its_row(exports) -> None:
    contacts = "Id,AccountId,Email,CreatedDate,HasOptedOutOfEmail\nc1,a,x@y.example,2025-01-01,"
    exports.take("2026-01-01", {"Account.csv": GOOD, "Contact.csv": contacts + "false\n"})
    odd = contacts.replace("2025-01-01", "the first of May") + "true\n"
    report = exports.take("2026-01-02", {"Account.csv": GOOD, "Contact.csv": odd})
    assert report.objects["contact"].quarantined == {"bad_date": 1}
    assert report.opted_out_keys == {person_key("x@y.example")}
