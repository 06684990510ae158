"""Loading a series of like CSV files into one table of text, with the true line number of each row.

Well-formed UTF-8 goes through DuckDB's own reader, many files in one statement. What that reader refuses, or what has
line breaks inside quotes, goes through Python's, which knows the line of each row and keeps what it can.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import duckdb
import pyarrow as pa

from ingestion.sources.csvfile import BadLine, CsvFile, records

CHUNK_ROWS = 50_000


@dataclass(frozen=True)
class Series:
    """Loaded files by number: table `table` has `_export` (that number), `_line`, and c0, c1, ... for the headers."""

    table: str
    files: dict[int, CsvFile]
    headers: tuple[str, ...]
    """Those of all files, in the order of their first appearance."""

    def column(self, header: str) -> str | None:
        """The table's column under this header; blanks around it and upper or lower case do not matter."""
        wanted = header.strip().casefold()
        for position, name in enumerate(self.headers):
            if name.casefold() == wanted:
                return f"c{position}"
        return None


def load_series(con: duckdb.DuckDBPyConnection, files: dict[int, CsvFile], table: str) -> Series:
    """Loads all files; notes in each how many rows it has and which lines are none."""
    names: dict[str, str] = {}
    for file in files.values():
        for name in file.headers:
            names.setdefault(name.casefold(), name)
    series = Series(table, files, tuple(names.values()))
    columns = ", ".join(f"c{position} varchar" for position in range(len(names)))
    con.execute(f"create or replace table {table} (_export integer, _line bigint, {columns})")
    groups: dict[tuple[object, ...], list[int]] = {}
    for number, file in files.items():
        groups.setdefault((file.headers, file.delimiter, file.shape.encoding), []).append(number)
    for (_, _, encoding), numbers in groups.items():
        if encoding == "utf-8" and _load_fast(con, series, numbers):
            continue
        for number in numbers:
            if encoding != "utf-8" or len(numbers) == 1 or not _load_fast(con, series, [number]):
                _load_careful(con, series, number)
    return series


def _load_fast(con: duckdb.DuckDBPyConnection, series: Series, numbers: list[int]) -> bool:
    """DuckDB's reader; False when it refuses a file or when lines and rows do not correspond one to one."""
    files = [series.files[number] for number in numbers]
    paths = [str(file.path) for file in files]
    if any(sign in path for path in paths for sign in "*?["):
        return False  # DuckDB would take the name for a pattern
    first = files[0]
    given = ", ".join(f"'c{position}': 'VARCHAR'" for position in range(len(first.headers)))
    chosen = ", ".join(f"c{at} as {series.column(name)}" for at, name in enumerate(first.headers))
    single = len(numbers) == 1
    read = (
        f"read_csv(?, delim = '{first.delimiter}', quote = '\"', escape = '\"', header = true, auto_detect = false, "
        f"strict_mode = true, filename = {str(not single).lower()}, columns = {{{given}}})"
    )
    numbered = f"select row_number() over () as _nth, * from {read}"
    if single:
        query = f"select {numbers[0]} as _export, _nth + 1 as _line, {chosen} from ({numbered})"
    else:
        # Files are read in the order given: a row's line follows from how many rows stand before its file.
        before, starts = 0, []
        for number, file in zip(numbers, files, strict=True):
            starts.append((str(file.path), number, before))
            before += file.shape.lines - 1
        con.register("_starts", pa.table(list(zip(*starts, strict=True)), names=["filename", "number", "start"]))
        query = (
            f"select number as _export, _nth - start + 1 as _line, {chosen} "
            f"from ({numbered}) join _starts using (filename)"
        )
    try:
        con.execute(f"insert into {series.table} by name {query}", [paths if not single else paths[0]])
    except duckdb.Error:
        return False
    finally:
        if not single:
            con.unregister("_starts")
    counted = dict(
        con.execute(
            f"select _export, count(*) from {series.table} where _export in ({', '.join(map(str, numbers))}) group by 1"
        ).fetchall()
    )
    if any(counted.get(number, 0) != series.files[number].shape.lines - 1 for number in numbers):
        con.execute(f"delete from {series.table} where _export in ({', '.join(map(str, numbers))})")
        return False
    for number, file in zip(numbers, files, strict=True):
        file.rows = counted.get(number, 0)
    return True


def _load_careful(con: duckdb.DuckDBPyConnection, series: Series, number: int) -> None:
    """Python's reader: rows that do not fit the header become bad lines, the others are loaded."""
    file = series.files[number]
    columns = [str(series.column(name)) for name in file.headers]
    good = _good_rows(file)
    while chunk := list(islice(good, CHUNK_ROWS)):
        lines, cells = zip(*chunk, strict=True)
        texts = [pa.array(values, pa.string()) for values in zip(*cells, strict=True)]
        con.register("_chunk", pa.table([pa.array(lines), *texts], names=["_line", *columns]))
        con.execute(f"insert into {series.table} by name select {number} as _export, * from _chunk")
        con.unregister("_chunk")
        file.rows += len(chunk)


def _good_rows(file: CsvFile) -> Iterator[tuple[int, list[str]]]:
    for line, cells, broken in records(file):
        if broken:
            file.bad_lines.append(BadLine(line, broken, tuple(cells)))
        else:
            yield line, cells
