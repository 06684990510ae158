"""Suppression lists of other tools: any CSV is read, what is no address waits, the same file again changes nothing."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from closedloop.errors import BadInput
from closedloop.identity import person_key
from closedloop.ledger import lists
from closedloop.ledger.schema import events, suppressions
from ingestion.sources.suppressions import read_suppressions

ANN, BOB = "ann@customer.example", "bob@customer.example"
BOTH = {person_key(ANN), person_key(BOB)}


@pytest.fixture
def take(lake, tmp_path, now):
    def run(text: str | bytes, column: str | None = None):
        file = tmp_path / "list.csv"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_suppressions(lake, file, column=column, now=now)

    return run


READABLE: dict[str, str | bytes] = {
    "one_column": f"email\n{ANN}\n{BOB}\n",
    "comma": f"Email,reason\n{ANN},bounced\n{BOB},left\n",
    "semicolon": f"name;E-MAIL;reason\nAnn;{ANN};x\nBob;{BOB};y\n",
    "tab": f"id\tRecipient\n1\t{ANN}\n2\t{BOB}\n",
    "bar": f"id|address\r\n1|{ANN}\r\n2|{BOB}\r\n",
    "quotes_blanks_capitals": f'"address"\n" ANN@Customer.Example "\n"{BOB}"\n\n',
    "a_street_address_too": f"email,address\n{ANN},Main Street 1\n{BOB},Main Street 2",
    "line_breaks_in_quotes": f'note,email\n"two\nlines",{ANN}\n-,{BOB}\n',
    "bom": "\ufeff" + f"email\n{ANN}\n{BOB}\n",
    "latin_1": f"name,email\nJosé,{ANN}\nZoë,{BOB}\n".encode("cp1252"),
    "utf_16": f"email\n{ANN}\n{BOB}\n".encode("utf-16"),
    "twice": f"email\n{ANN}\n{BOB}\n{ANN}\n",
    "no_header": f"{ANN}\n{BOB}\n",
    "no_header_bom": "\ufeff" + f"{ANN}\r\n{BOB}\r\n",
    "no_header_no_last_line_end": f"{ANN}\n{BOB}",
}


@pytest.mark.parametrize("text", READABLE.values(), ids=READABLE.keys())
def test_lists_that_can_be_read(take, text) -> None:
    report = take(text)
    assert (report.keys, report.quarantined) == (BOTH, 0)


def test_the_column_can_be_named(take) -> None:
    assert take(f"email,Adresse\nx,{ANN}\ny,{BOB}\n", column=" adresse").keys == BOTH


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("", "address_missing"),
        (" \u00a0", "address_missing"),
        ("none", "not_an_address"),
        ("ann@", "not_an_address"),
        ("@customer.example", "not_an_address"),
        ("ann@customer@example", "not_an_address"),
        ("ann @customer.example", "not_an_address"),
        ("Ann <ann@customer.example>", "not_an_address"),
        ("ann@customer.example\u200b", "not_an_address"),
        (f'"{ANN};{BOB}"', "not_an_address"),
        (f"{ANN},too,many", "malformed_row"),
    ],
    ids=[
        "empty",
        "blanks",
        "word",
        "no_domain",
        "no_name",
        "two_ats",
        "inner_blank",
        "named",
        "invisible",
        "two",
        "cells",
    ],
)
def test_rows_that_are_no_address_wait_and_the_others_are_loaded(take, rows, cell: str, reason: str) -> None:
    report = take(f"id,email\n1,{ANN}\n2,{cell}\n3,{BOB}\n")
    assert (report.rows_read, report.keys, report.reasons, report.new_in_quarantine) == (3, BOTH, {reason: 1}, 1)
    [(*where, problem, raw)] = rows("select source, object, file, line, reason, problem, raw from lake.quarantine_rows")
    assert where == ["suppressions", "suppression", "list.csv", 3, reason]
    assert "@" not in problem
    assert "2" in raw
    assert take(f"id,email\n1,{ANN}\n2,{cell}\n3,{BOB}\n").new_in_quarantine == 0


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", None),
        ("name,city\nAnn,Berlin\n", None),
        (f"{ANN}\nno address\n{BOB}\n", None),
        (f"{ANN}\n{BOB},{ANN}\n", None),
        (f"{ANN},{BOB}\n{ANN},{BOB}\n", None),
        (f"{ANN},{ANN}\n", None),
        (f"{ANN}\n{BOB}\n", "ann"),
        ("e-post\nann@customer.example\n", None),
        (f"email\n{ANN}\n", "emial"),
        (b"PK\x03\x04", None),
    ],
    ids=[
        *("empty", "no_such_column", "no_header_and_no_address", "no_header_and_more_cells", "no_header_two_columns"),
        *("no_header_twice_the_same", "no_header_but_a_column_named", "unknown_header", "misspelt_column", "workbook"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_without_showing_anyone(take, rows, text, column) -> None:
    with pytest.raises(BadInput) as caught:
        take(text, column)
    assert "list.csv" in str(caught.value) and "what to do" in str(caught.value)
    assert "customer" not in str(caught.value)
    assert rows("select * from lake.quarantine_rows") == []


def _suppressed(ledger) -> dict[str, str]:
    with ledger.read() as conn:
        return dict(conn.execute(select(suppressions.c.person_key, suppressions.c.reason)).tuples().all())


def _run(settings, *words: str):
    from orchestration.cli import cli
    from orchestration.cli.front import Context

    return CliRunner().invoke(cli, list(words), obj=Context(settings), catch_exceptions=False)


def test_the_command_suppresses_once_and_keeps_first_reasons(settings, ledger, tmp_path, now) -> None:
    lists.suppress(ledger, [person_key(BOB)], "unsubscribed", now=now)
    file = tmp_path / "list.csv"
    file.write_text(f"email\n{ANN}\n{BOB}\n{ANN}\nnobody\n")
    words = ("exclude", "import", str(file), "--author", "Olga", "--json")
    done = _run(settings, *words)
    told = json.loads(done.output)
    counts = ("rows_read", "loaded", "known", "quarantined", "new_in_quarantine")
    assert [told[name] for name in counts] == [4, 1, 2, 1, 1]
    assert told["reasons"] == {"not_an_address": 1}
    assert _suppressed(ledger) == {person_key(ANN): "imported", person_key(BOB): "unsubscribed"}
    again = json.loads(_run(settings, *words).output)
    assert [again[name] for name in counts] == [4, 0, 3, 1, 0]
    with ledger.read() as conn:
        said = conn.scalars(select(events.c.payload).where(events.c.kind == "suppressed_address")).all()
    assert [json.loads(payload).get("author") for payload in said] == [None, "Olga"]
    shown = _run(settings, *words[:-1]).output
    assert "customer" not in done.output + shown
    assert [line.split()[-1] for line in shown.splitlines()[1:4]] == ["0", "3", "1"]


def test_an_author_is_needed(settings, ledger, tmp_path) -> None:
    from closedloop.clock import Clock
    from orchestration import work

    file = tmp_path / "list.csv"
    file.write_text(f"email\n{ANN}\n")
    with pytest.raises(BadInput, match="author"):
        work.import_suppressions(settings, file, author=" ", now=Clock().now())
    assert _suppressed(ledger) == {}


def test_the_job_does_the_same(settings, ledger, tmp_path, now) -> None:
    from closedloop.clock import Clock
    from orchestration.common.platform import Platform
    from orchestration.operations.hand_work import JOBS, import_suppressions_job

    assert import_suppressions_job in JOBS
    file = tmp_path / "list.csv"
    file.write_text(f"Mail;Name\n{ANN};Ann\nnobody;Bob\n")
    config = {"file": str(file), "author": "Olga", "column": "mail"}
    done = import_suppressions_job.execute_in_process(
        run_config={"ops": {"import_suppressions": {"config": config}}},
        resources={"platform": Platform(settings, Clock.starting_at(now), quiet=True)},
    )
    assert done.success
    assert _suppressed(ledger) == {person_key(ANN): "imported"}
    assert not [event for event in done.all_events if "customer" in str(event)]


def test_the_list_says_which_exclusions_have_ended(settings, ledger) -> None:
    from datetime import timedelta

    from closedloop.clock import Clock

    real = Clock().now()
    entry = {"reason": "in litigation", "author": "Olga"}
    lists.exclude_add(ledger, "account", "a1", now=real, **entry)
    lists.exclude_add(ledger, "contact", "c1", now=real - timedelta(days=3), until=real - timedelta(days=1), **entry)
    lists.exclude_add(ledger, "contact", "c2", now=real - timedelta(days=3), until=real + timedelta(days=1), **entry)
    told = json.loads(_run(settings, "exclude", "list", "--json").output)["exclusions"]
    expected = {"a1": "active", "c1": "ended", "c2": "active"}
    assert {row["subject_id"]: row["state"] for row in told} == expected
    shown = [line.split() for line in _run(settings, "exclude", "list").output.splitlines()]
    assert shown[0][:4] == ["subject", "id", "author", "state"]
    assert {line[1]: line[3] for line in shown[1:]} == expected
