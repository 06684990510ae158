"""Loading a series of like CSV files into one table of text, with the true line number of each row.

Well-formed UTF-8 goes through DuckDB's own reader, many files in one statement. What that reader refuses, or what has
line breaks inside quotes, goes through Python's, which knows the line of each row and keeps what it can.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import duckdb
import pyarrow as pa

from ingestion.sources.csvfile import BadLine, CsvFile, records
from ingestion.sources.sqltext import literal

CHUNK_ROWS = 50_000


@dataclass(frozen=True)
class Series:
    """Loaded files by number: the view `table` has `_export` (that number), `_line`, and c0, c1, ... for the headers."""

    table: str
    files: dict[int, CsvFile]
    headers: tuple[str, ...]
    """Those of all files, in the order of their first appearance."""
    parts: list[str] = field(default_factory=list)
    """The tables behind the view `table`."""

    def column(self, header: str) -> str | None:
        """The view's column under this header; blanks around it and upper or lower case do not matter."""
        wanted = header.strip().casefold()
        for position, name in enumerate(self.headers):
            if name.casefold() == wanted:
                return f"c{position}"
        return None


def load_series(con: duckdb.DuckDBPyConnection, files: dict[int, CsvFile], table: str) -> Series:
    """Loads all files; notes in each how many rows it has and which lines are none. `drop_series` removes them."""
    names: dict[str, str] = {}
    for file in files.values():
        for name in file.headers:
            names.setdefault(name.casefold(), name)
    series = Series(table, files, tuple(names.values()))
    groups: dict[tuple[object, ...], list[int]] = {}
    for number, file in files.items():
        groups.setdefault((file.headers, file.delimiter, file.shape.encoding), []).append(number)
    loaded: list[str] = []
    for (_, _, encoding), numbers in groups.items():
        if encoding == "utf-8" and (query := _load_fast(con, series, numbers, f"{table}_{len(loaded)}")):
            loaded.append(query)
            continue
        for number in numbers:
            part = f"{table}_{len(loaded)}"
            query = _load_fast(con, series, [number], part) if encoding == "utf-8" and len(numbers) > 1 else None
            loaded.append(query or _load_careful(con, series, number, part))
    con.execute(f"create or replace view {table} as " + " union all by name ".join(loaded))
    series.parts.extend(f"{table}_{position}" for position in range(len(loaded)))
    return series


def drop_series(con: duckdb.DuckDBPyConnection, series: Series) -> None:
    con.execute(f"drop view {series.table}")
    for part in series.parts:
        con.execute(f"drop table {part}")


def _load_fast(con: duckdb.DuckDBPyConnection, series: Series, numbers: list[int], table: str) -> str | None:
    """DuckDB's reader: the query of the rows; None when it refuses a file or when lines and rows don't correspond."""
    files = [series.files[number] for number in numbers]
    paths = [str(file.path) for file in files]
    if any(sign in path for path in paths for sign in "*?["):
        return None  # DuckDB would take the name for a pattern
    first, single = files[0], len(numbers) == 1
    given = ", ".join(f"'c{position}': 'VARCHAR'" for position in range(len(first.headers)))
    try:
        con.execute(
            f"create or replace table {table} as select * from read_csv(?, delim = '{first.delimiter}', quote = '\"', "
            f"escape = '\"', header = true, auto_detect = false, strict_mode = true, "
            f"filename = {str(not single).lower()}, columns = {{{given}}})",
            [paths],
        )
    except duckdb.Error:
        return None
    name = "''" if single else "filename"
    counted = dict(con.execute(f"select {name}, count(*) from {table} group by 1").fetchall())
    expected = [file.shape.lines - 1 for file in files]
    if [counted.get("" if single else path, 0) for path in paths] != expected:
        return None
    for file, rows in zip(files, expected, strict=True):
        file.rows = rows
    # Rows stand in the table as in the files, one file after the other: a row's number tells its line.
    chosen = ", ".join(f"c{at} as {series.column(header)}" for at, header in enumerate(first.headers))
    starts = [sum(expected[:position]) for position in range(len(expected))]
    if single:
        return f"select {numbers[0]} as _export, rowid + 2 as _line, {chosen} from {table}"
    rows = ", ".join(f"({literal(p)}, {n}, {s})" for p, n, s in zip(paths, numbers, starts, strict=True))
    return (
        f"select number as _export, t.rowid - start + 2 as _line, {chosen} "
        f"from {table} as t join (values {rows}) as starts (filename, number, start) using (filename)"
    )


def _load_careful(con: duckdb.DuckDBPyConnection, series: Series, number: int, table: str) -> str:
    """Python's reader: rows that do not fit the header become bad lines, the others are loaded."""
    file = series.files[number]
    columns = [str(series.column(name)) for name in file.headers]
    con.execute(
        f"create or replace table {table} (_line bigint, {', '.join(f'{column} varchar' for column in columns)})"
    )
    file.rows = 0
    good = _good_rows(file)
    while chunk := list(islice(good, CHUNK_ROWS)):
        lines, cells = zip(*chunk, strict=True)
        texts = [pa.array(values, pa.string()) for values in zip(*cells, strict=True)]
        con.register("_chunk", pa.table([pa.array(lines), *texts], names=["_line", *columns]))
        con.execute(f"insert into {table} select * from _chunk")
        con.unregister("_chunk")
        file.rows += len(chunk)
    return f"select {number} as _export, * from {table}"


def _good_rows(file: CsvFile) -> Iterator[tuple[int, list[str]]]:
    for line, cells, broken in records(file):
        if broken:
            file.bad_lines.append(BadLine(line, broken, tuple(cells)))
        else:
            yield line, cells
