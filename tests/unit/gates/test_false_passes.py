"""What Great Expectations alone would let pass, and what it would say aloud: neither happens here."""

from __future__ import annotations

import datetime as dt
import json
import logging
from dataclasses import asdict, replace
from pathlib import Path

import duckdb
import pytest
import yaml

from orchestration.gates import docs
from orchestration.gates.checks import Suite, columns, never_null, one_of, rule, suite, unique, within
from orchestration.gates.outcome import CheckOutcome
from orchestration.gates.published import MART_COLUMNS
from orchestration.gates.runner import run_suites

SECRET = "ada.lovelace@analytical.example"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gates") / "people.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("create schema s")
        con.execute(f"""
            create table s.people as
            select range as id, '{SECRET}' as email, cast(null as varchar) as nothing, range % 12 as score,
                   '2026-01-0' || (range % 5 + 1) as day, 'all' as word
            from range(100)
        """)
        con.execute("create table s.empty as select * from s.people where false")
        con.execute("create view s.broken as select cast(email as integer) as id from s.people")
    return path


@pytest.fixture
def outcomes(workshop: Path):
    def run(*suites: Suite) -> dict[str, CheckOutcome]:
        findings = run_suites("gate", suites, {"w": workshop})
        return {outcome.name.removeprefix("gate."): outcome for finding in findings for outcome in finding.outcomes}

    return run


def test_a_suite_without_checks_fails(outcomes) -> None:
    found = outcomes(Suite("w.s.people", ()))
    assert [(o.passed, o.required) for o in found.values()] == [(False, True)]


def test_a_table_that_does_not_exist_fails(outcomes) -> None:
    assert not outcomes(suite("w.s.nowhere", never_null("id")))["nowhere.exists"].passed


def test_a_table_without_rows_fails_every_check_of_rows(outcomes) -> None:
    found = outcomes(
        suite(
            "w.s.empty",
            columns(["id"]),
            never_null("id"),
            unique("id"),
            unique("id", "day"),
            within("score", 0, 11),
            one_of("word", ["all"]),
            rule("no_fault", "No fault.", "select 1 from this where score > 11"),
        )
    )
    assert found.pop("empty.columns").passed
    assert len(found) == 7
    assert not any(outcome.passed for outcome in found.values())


def test_no_rows_are_fine_only_where_a_reason_is_given(outcomes) -> None:
    checks = (never_null("id"), rule("no_fault", "No fault.", "select 1 from this where score > 11"))
    found = outcomes(suite("w.s.empty", *checks, empty_is_fine="nothing has happened yet"))
    assert {name: (o.passed, o.details) for name, o in found.items()} == {
        "empty.id_present": (True, {"rows": 0, "evaluated": 0}),
        "empty.no_fault": (True, {"rows": 0, "evaluated": 0}),
    }


def test_the_reason_does_not_excuse_a_column_that_is_null_throughout(outcomes) -> None:
    found = outcomes(
        suite(
            "w.s.people",
            never_null("nothing"),
            unique("nothing"),
            one_of("nothing", ["x"]),
            within("nothing", 0, 1),
            empty_is_fine="may be empty",
        )
    )
    assert len(found) == 4
    assert not any(outcome.passed for outcome in found.values())


def test_an_exception_inside_a_result_fails(outcomes) -> None:
    found = outcomes(
        suite(
            "w.s.people",
            never_null("no_such_column"),
            one_of("no_such_column", ["x"]),
            rule("bad_sql", "Bad SQL.", "select 1 from this where cast(email as integer) = 1"),
            empty_is_fine="may be empty",
        ),
        suite("w.s.broken", never_null("id")),
    )
    assert found["broken.has_rows"].passed  # rows can be counted; the values cannot be read
    assert [o.details for name, o in found.items() if name != "broken.has_rows"] == [{"exceptions": 1}] * 4
    assert not any(o.passed for name, o in found.items() if name != "broken.has_rows")


def test_true_passes_pass_and_faults_are_counted(outcomes) -> None:
    found = outcomes(
        suite(
            "w.s.people",
            columns(["id", "email"]),
            never_null("id"),
            unique("id"),
            unique("id", "day"),
            within("score", 0, 10),
            one_of("word", ["all"]),
            rule("few_elevens", "Few elevens.", "select 1 from this where score = 11"),
            rule("warning", "Only warns.", "select 1 from this where id = 5", required=False),
        )
    )
    failed = {name: (o.required, o.details["violations"]) for name, o in found.items() if not o.passed}
    assert failed == {
        "people.score_in_range": (True, 8),
        "people.few_elevens": (True, 8),
        "people.warning": (False, 1),
    }
    assert found["people.has_rows"].passed


def test_no_value_of_a_person_is_said_anywhere(
    workshop: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    suites = [
        suite(
            "w.s.people",
            one_of("email", ["someone"]),
            unique("email"),
            rule("fetches_rows", "Finds the person.", "select email from this where email like 'ada%'"),
            rule("quotes_value", "Its error quotes the person.", "select 1 from this where cast(email as integer) = 1"),
        ),
        suite("w.s.broken", never_null("id")),
    ]
    findings = run_suites("arrived", suites, {"w": workshop})
    docs.write_page(tmp_path, "arrived", build_id="b1", as_of=dt.datetime(2026, 3, 2, tzinfo=dt.UTC), findings=findings)
    outcomes = [asdict(outcome) for finding in findings for outcome in finding.outcomes]
    assert sum(not outcome["passed"] for outcome in outcomes) == 5
    pages = "".join(path.read_text() for path in tmp_path.glob("*.html"))
    out, err = capfd.readouterr()
    for said in (json.dumps(outcomes), pages, out, err, caplog.text, repr([f.result for f in findings])):
        assert "lovelace" not in said
    assert "Its error quotes the person." in pages
    assert "src=" not in pages and "<link" not in pages and "<script" not in pages, "the pages open without a network"


def test_outcomes_hold_counts_only(outcomes) -> None:
    for outcome in outcomes(suite("w.s.people", unique("email"), within("score", 0, 10))).values():
        assert all(type(value) is int for value in outcome.details.values())
    assert replace(outcome, passed=True).details == outcome.details


def test_the_gate_demands_what_the_marts_promise() -> None:
    """Each column that the gate looks for stands in the mart's dbt contract, and every mart of the contract is looked at."""
    root = Path(__file__).resolve().parents[3] / "dbt_project" / "models" / "marts"
    models = [model for path in root.rglob("*.yml") for model in yaml.safe_load(path.read_text()).get("models", [])]
    promised = {model["name"]: {column["name"] for column in model["columns"]} for model in models}
    assert set(MART_COLUMNS) == set(promised)
    assert {mart: set(names.split()) - promised[mart] for mart, names in MART_COLUMNS.items()} == dict.fromkeys(
        MART_COLUMNS, set()
    )
