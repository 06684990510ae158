"""A warehouse file for dbt's tests: the lake's views as tables with the same columns, and rows given as dicts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb

from closedloop.lake.catalogue import CATALOGUE, DUCKDB_TYPE
from orchestration.programme_fields import show_fields

CONTEXT = {
    "build_id": "VARCHAR",
    "as_of": "TIMESTAMP",
    "known_at": "TIMESTAMP",
    "cut": "VARCHAR",
    "definitions_hash": "VARCHAR",
    "code_version": "VARCHAR",
}


def make_warehouse(
    path: Path,
    *,
    as_of: dt.datetime,
    rows: Mapping[str, Iterable[dict[str, object]]],
    known_at: dt.datetime | None = None,
) -> None:
    """Write `lake.*` tables of the whole catalogue into the DuckDB file; times are naive UTC."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unknown = set(rows) - set(CATALOGUE)
    assert not unknown, f"not in the catalogue: {unknown}"
    with duckdb.connect(str(path)) as con:
        con.execute("create schema if not exists lake")
        for name, table in CATALOGUE.items():
            columns = ", ".join(f'"{column}" {DUCKDB_TYPE[kind]}' for column, kind in table.columns.items())
            con.execute(f"create or replace table lake.{table.view} ({columns})")
            for row in rows.get(name, ()):
                names = ", ".join(f'"{column}"' for column in row)
                marks = ", ".join("?" for _ in row)
                con.execute(f"insert into lake.{table.view} ({names}) values ({marks})", list(row.values()))
        con.execute(
            "create or replace table lake.replay (survey_id text, starts_on date, ends_on date, is_alone boolean)"
        )
        show_fields(con)
        columns = ", ".join(f"{column} {kind}" for column, kind in CONTEXT.items())
        con.execute(f"create or replace table lake.build_context ({columns})")
        con.execute("insert into lake.build_context values ('b1', ?, ?, '{}', 'd1', 'c1')", [as_of, known_at or as_of])
