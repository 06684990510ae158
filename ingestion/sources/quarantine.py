"""Rows that wait: what is wrong with each, in words, and once only however often the same file comes."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from closedloop.lake import Lake

TABLE = "quarantine.rows"

SENTENCES: dict[str, tuple[str, str]] = {
    # reason: (problem, remedy); {field} is filled in. No value of a row stands in them: they may be personal.
    "required_empty": ("{field} is empty", "fill it in the source, or give the field a default in the mapping"),
    "time_in_future": (
        "{field} lies more than a day ahead",
        "mend the time in the source, or name its format in the mapping",
    ),
    "bad_date": ("{field} is no date in a known format", "add its format to `dates` in the mapping"),
    "unknown_value": ("{field} has a value that the mapping does not list", "add the value to `values` in the mapping"),
    "duplicate_id": ("another row of the file has the same {field} and is newer", "remove one of them in the source"),
    "unknown_reference": (
        "{field} names a record that does not exist",
        "export that record too, or mend the reference",
    ),
    "malformed_row": ("the line has not as many cells as the header", "mend quotes and separators, or export again"),
    "truncated_row": ("the file ends in the middle of this line", "the export was cut off: export again"),
    "unclosed_quote": (
        "a quote opened on this line is never closed; what follows is unread",
        "mend it, or export again",
    ),
    # Whole files
    "export_too_old": (
        "older than what was already ingested; nothing of it was loaded",
        "export again from the source",
    ),
    "too_many_deletions": (
        "it would delete more records than is allowed at once; nothing of it was loaded",
        "if they are really gone, ingest it once with a higher share of deletions allowed; else export again, whole",
    ),
    "missing_column": (
        "the column {field} is missing; nothing of the file was loaded",
        "name the column in the mapping",
    ),
    "unreadable_file": ("the file cannot be used; nothing was loaded", "export it again as a CSV file"),
    # Responses
    "external_id_missing": ("{field} is empty", "every response needs an id of its own"),
    "duplicate_external_id": ("an earlier row of the file has the same {field}", "give each response its own id"),
    "survey_missing": ("{field} is empty", "name the survey of each response"),
    "reserved_survey": ("{field} is 'all', which stands for all surveys in the reports", "give it another name"),
    "unknown_survey_type": ("{field} is neither transactional nor relationship", "write one of the two"),
    "score_not_a_number": ("{field} is not a number", "write a whole number, or leave it empty if unanswered"),
    "score_not_whole": ("{field} is not a whole number", "scores are whole numbers"),
    "score_out_of_range": ("{field} lies outside its scale", "0 to 10, unless the column scale names another"),
    "unknown_scale": ("{field} is no scale", "write it as 0-10 or 1-5"),
    "submitted_at_missing": ("{field} is empty", "an answer needs the time at which it was given"),
    "bad_submitted_at": ("{field} is no ISO time", "write it as 2026-03-02T09:00:00Z"),
    "submitted_at_in_future": ("{field} lies more than a day ahead", "an answer has the time at which it was given"),
    # Suppression lists
    "address_missing": ("{field} is empty", "fill the address in, or remove the line"),
    "not_an_address": ("{field} is no mail address", "write one bare address, such as name@company.example"),
}


@dataclass(frozen=True)
class Waiting:
    """One thing in quarantine: a row of a file, or with line None the file as a whole. `raw` is JSON, and personal."""

    object: str
    file: str
    line: int | None
    field: str
    reason: str
    raw: str
    problem: str = ""
    remedy: str = ""

    @classmethod
    def of_line(cls, object: str, file: str, line: int, reason: str, cells: Sequence[str]) -> Waiting:
        """A line that is no row."""
        return cls(object, file, line, "", reason, json.dumps({"cells": list(cells)}, ensure_ascii=False))


class Quarantine:
    """Collects what waits during one ingest in a table of DuckDB and brings what is new to the lake."""

    def __init__(self, con: duckdb.DuckDBPyConnection, source: str) -> None:
        self.con, self.source = con, source
        con.execute(
            "create or replace table waiting (object varchar, file varchar, line bigint, field varchar, "
            "reason varchar, raw varchar, problem varchar, remedy varchar)"
        )

    def add(self, items: list[Waiting]) -> None:
        if items:
            self.con.executemany(
                "insert into waiting values (?, ?, ?, ?, ?, ?, nullif(?, ''), nullif(?, ''))",
                [(w.object, w.file, w.line, w.field, w.reason, w.raw, w.problem, w.remedy) for w in items],
            )

    def add_query(self, sql: str, parameters: list[object] | None = None) -> None:
        """Rows of a query with the columns object, file, line, field, reason, raw."""
        self.con.execute(f"insert into waiting by name {sql}", parameters or [])

    def store(self, lake: Lake, *, now: dt.datetime) -> int:
        """Appends what is not in the lake yet; returns how many. The lake's rows are never changed."""
        if not self.con.execute("select 1 from waiting limit 1").fetchall():
            return 0
        self.con.execute("create or replace table sentences (reason varchar, problem varchar, remedy varchar)")
        self.con.executemany("insert into sentences values (?, ?, ?)", [(k, *v) for k, v in SENTENCES.items()])
        cut = lake.cut_of(TABLE)
        # Where a row stands, and in which folder, does not make it another row; a second equal one in a file does.
        new = self.con.execute(
            f"""
            with counted as (
                select *, regexp_replace(file, '^.*/', '') as name, row_number() over (
                    partition by object, file, field, reason, raw order by line) as nth
                from waiting
            ),
            rows as (
                select distinct on (row_key)
                    '{self.source}' as source, object, file, line, field, reason,
                    coalesce(counted.problem, replace(sentences.problem, '{{field}}', coalesce(field, ''))) as problem,
                    coalesce(counted.remedy, sentences.remedy) as remedy, raw,
                    md5(concat_ws('|', '{self.source}', object, name, field, reason, nth, raw)) as row_key
                from counted join sentences using (reason)
                order by row_key, file, line
            )
            select * from rows where row_key not in (select row_key from ({lake.select(TABLE, cut)}))
            order by object, file, line
            """
        ).to_arrow_table()
        if not new.num_rows:
            return 0
        keys = "".join(sorted(new.column("row_key").to_pylist()))
        batch = f"quarantine-{hashlib.sha256(keys.encode()).hexdigest()[:32]}"
        return lake.append(TABLE, new, batch_id=batch, ingested_at=now, source=self.source)
