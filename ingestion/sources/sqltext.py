"""Pieces of SQL that all sources share: names, texts, trimming, times."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import duckdb

MEMORY = "4GB"
"""What DuckDB may take while it compares exports; beyond it, tables go to disk."""
CLOCKS_DIFFER = dt.timedelta(days=1)
"""So much later than now a time may be, for clocks and zones; the gates of a build allow as much."""
ISO = "iso"
BLANKS = "' \t\r\n\u00a0'"


def prepare(con: duckdb.DuckDBPyConnection, spill: Path) -> None:
    """Sets a workbench up: all times are UTC, and what does not fit into memory goes to the folder `spill`."""
    con.execute("set TimeZone = 'UTC'")
    con.execute(f"set temp_directory = {literal(str(spill))}")
    con.execute(f"set memory_limit = '{MEMORY}'")


def clean(column: str) -> str:
    """The text without blanks around it; null when nothing is left."""
    # Most texts have none: looking at both ends first is many times as fast as trimming each.
    blank_end = " or ".join(f"suffix({column}, '{blank}')" for blank in BLANKS[1:-1])
    plain = f"ascii({column}) between 33 and 126 and not ({blank_end})"
    return f"case when {plain} then {column} else nullif(trim({column}, {BLANKS}), '') end"


def moment(value: str, formats: Sequence[str] = (ISO,)) -> str:
    """A UTC timestamp of text in one of the formats; a time without an offset means UTC."""
    # The hyphen after the year keeps out words such as 'infinity' that a cast would take.
    tried = [
        f"case when ({value})[5] = '-' then cast(try_cast({value} as timestamptz) as timestamp) end"
        if form == ISO
        else f"try_strptime({value}, {literal(form)})"
        for form in formats
    ]
    return tried[0] if len(tried) == 1 else f"coalesce({', '.join(tried)})"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
