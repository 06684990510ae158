"""Reading one CSV file into DuckDB as text, whatever state it is in, with the true line number of each row.

Well-formed UTF-8 goes through DuckDB's own reader (a million rows in a second). What that reader refuses, or what has
line breaks inside quotes, goes through Python's, which knows the line of each row and keeps what it can.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from closedloop.errors import BadInput

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
CHUNK_ROWS = 50_000
LONGEST_FIELD = 16 * 1024 * 1024


@dataclass(frozen=True)
class BadLine:
    """A line that is no row: `reason` is malformed_row, truncated_row or unclosed_quote; `cells` what stands there."""

    line: int
    reason: str
    cells: tuple[str, ...]


@dataclass
class CsvFile:
    """A loaded file: the DuckDB table `table` has `_line` and one text column per header, `c0`, `c1`, ..."""

    path: Path
    table: str
    headers: list[str]
    rows: int
    content_hash: str
    bad_lines: list[BadLine] = field(default_factory=list)
    warnings: list[BadInput] = field(default_factory=list)
    complete: bool = True
    """False where the end of the file is missing or some row could not be read: absence then proves nothing."""

    def column(self, header: str) -> str | None:
        """The table's column under this header; blanks around it and upper or lower case do not matter."""
        wanted = header.strip().casefold()
        for position, name in enumerate(self.headers):
            if name.casefold() == wanted:
                return f"c{position}"
        return None


@dataclass(frozen=True)
class Shape:
    """What one pass over the bytes tells."""

    encoding: str
    line_ends: int
    ends_with_line: bool
    content_hash: str


def load_csv(
    con: duckdb.DuckDBPyConnection, path: Path, table: str, *, needed: Iterable[str] = (), shape: Shape | None = None
) -> CsvFile:
    """Loads `path` into the new table `table`. The delimiter is the one under which the `needed` headers appear.

    Raises BadInput when nothing of the file can be used: it cannot be read, is empty, is no text, has no usable header.
    """
    shape = shape or look_at(path)
    headers, delimiter = _header(path, shape, list(needed))
    loaded = CsvFile(path, table, headers, 0, shape.content_hash)
    if delimiter != ",":
        loaded.warnings.append(BadInput(f"read as separated by {DELIMITERS[delimiter]}", file=path, line=1))
    if shape.encoding.startswith(("cp1252", "latin")):
        loaded.warnings.append(
            BadInput("not UTF-8, read as Windows-1252 (Latin-1)", file=path, remedy="export as UTF-8 to be sure")
        )
    if not shape.ends_with_line:
        loaded.complete = False
        loaded.warnings.append(
            BadInput(
                "the last line has no line end: the file may be cut off, so nothing is taken as deleted",
                file=path,
                line=shape.line_ends + 1,
                remedy="export again, or end the last line if the file is whole",
            )
        )
    if shape.encoding == "utf-8" and _load_fast(con, loaded, delimiter, shape):
        return loaded
    _load_careful(con, loaded, delimiter, shape)
    return loaded


def look_at(path: Path) -> Shape:
    """Encoding, count of line ends and SHA-256 of a file in one pass. Raises BadInput when it is no text or empty."""
    digest, line_ends, last, utf8 = hashlib.sha256(), 0, b"", True
    check = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            start = file.read(4)
            file.seek(0)
            while block := file.read(8 * 1024 * 1024):
                digest.update(block)
                line_ends += block.count(b"\n")
                last = block[-1:]
                if utf8:
                    try:
                        check.decode(block)
                    except UnicodeDecodeError:
                        utf8 = False
            if utf8:
                try:
                    check.decode(b"", final=True)
                except UnicodeDecodeError:
                    utf8 = False
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", file=path, remedy="check path and permissions") from None
    if not last:
        raise BadInput("the file is empty", file=path, remedy="export it again, with a header line")
    if start.startswith(b"PK"):
        raise BadInput("this is a workbook or an archive, not a CSV file", file=path, remedy="save it as 'CSV UTF-8'")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Shape("utf-16", line_ends, True, digest.hexdigest())
    return Shape("utf-8" if utf8 else "cp1252", line_ends, last in b"\r\n", digest.hexdigest())


def _open(path: Path, shape: Shape) -> io.TextIOWrapper:
    encoding = {"utf-8": "utf-8-sig"}.get(shape.encoding, shape.encoding)
    # Five bytes mean nothing in Windows-1252: they become U+FFFD instead of stopping the import.
    return path.open(encoding=encoding, newline="", errors="replace")


def _header(path: Path, shape: Shape, needed: list[str]) -> tuple[list[str], str]:
    """Header names and the delimiter under which most of the needed ones appear."""
    wanted = {name.strip().casefold() for name in needed}
    best: tuple[int, int, list[str], str] | None = None
    for delimiter in DELIMITERS:
        try:
            with _open(path, shape) as file:
                names = [name.strip() for name in next(csv.reader(file, delimiter=delimiter), [])]
        except csv.Error:
            continue
        found = len(wanted & {name.casefold() for name in names})
        # The comma is tried first and another one must do better.
        if best is None or (found, len(names)) > best[:2]:
            best = (found, len(names), names, delimiter)
        if wanted and found == len(wanted):
            break
    if best is None or not any(best[2]):
        raise BadInput("the first line holds no column names", file=path, line=1, remedy="begin with a header line")
    headers, delimiter = best[2], best[3]
    seen: set[str] = set()
    for position, name in enumerate(headers):
        headers[position] = name = name or f"column_{position + 1}"
        if name.casefold() in seen:
            raise BadInput(
                "two columns have the same name", file=path, line=1, field=name, remedy="rename or remove one of them"
            )
        seen.add(name.casefold())
    return headers, delimiter


def _load_fast(con: duckdb.DuckDBPyConnection, loaded: CsvFile, delimiter: str, shape: Shape) -> bool:
    """DuckDB's reader; False when it refuses the file or when lines and rows do not correspond one to one."""
    columns = ", ".join(f"'c{position}': 'VARCHAR'" for position in range(len(loaded.headers)))
    try:
        con.execute(
            f"create or replace table {loaded.table} as select row_number() over () + 1 as _line, * from read_csv(?, "
            f"delim = '{delimiter}', quote = '\"', escape = '\"', header = true, auto_detect = false, "
            f"strict_mode = true, columns = {{{columns}}})",
            [str(loaded.path)],
        )
    except duckdb.Error:
        return False
    loaded.rows = con.execute(f"select count(*) from {loaded.table}").fetchall()[0][0]
    return loaded.rows == shape.line_ends - shape.ends_with_line


def _load_careful(con: duckdb.DuckDBPyConnection, loaded: CsvFile, delimiter: str, shape: Shape) -> None:
    """Python's reader: rows that do not fit the header become bad lines, the others are loaded."""
    width = len(loaded.headers)
    schema = pa.schema([("_line", pa.int64()), *((f"c{position}", pa.string()) for position in range(width))])
    typed = ", ".join(f"{name} {'BIGINT' if name == '_line' else 'VARCHAR'}" for name in schema.names)
    con.execute(f"create or replace table {loaded.table} ({typed})")
    loaded.rows = 0

    def insert(lines: list[int], rows: list[list[str]]) -> None:
        columns = [pa.array(lines), *(pa.array(values, pa.string()) for values in zip(*rows, strict=True))]
        con.register("_chunk", pa.table(columns, schema=schema))
        con.execute(f"insert into {loaded.table} select * from _chunk")
        con.unregister("_chunk")
        loaded.rows += len(lines)

    lines: list[int] = []
    rows: list[list[str]] = []
    with _open(loaded.path, shape) as file:
        for line, cells, broken in _records(file, delimiter):
            if line == 1 or not (cells or broken):
                continue
            if broken or len(cells) != width:
                loaded.bad_lines.append(BadLine(line, broken or "malformed_row", tuple(cells)))
                continue
            lines.append(line)
            rows.append(cells)
            if len(lines) == CHUNK_ROWS:
                insert(lines, rows)
                lines, rows = [], []
    if lines:
        insert(lines, rows)
    if loaded.bad_lines:
        loaded.complete = False
        last = loaded.bad_lines[-1]
        if not shape.ends_with_line and last.reason == "malformed_row" and last.line == shape.line_ends + 1:
            loaded.bad_lines[-1] = BadLine(last.line, "truncated_row", last.cells)


def _records(file: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str], str]]:
    """(line at which the record starts, its cells, '' or why it is none)."""
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    read: Callable[[], list[str]] = reader.__next__
    while True:
        line = reader.line_num + 1
        try:
            yield line, read(), ""
        except StopIteration:
            return
        except csv.Error as error:
            yield line, [], "unclosed_quote" if "unexpected end" in str(error) else "malformed_row"
