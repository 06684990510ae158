"""Suppression lists of other tools: a CSV file of addresses that must never get mail."""

from __future__ import annotations

import datetime as dt
import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from closedloop.clock import as_utc
from closedloop.errors import BadInput, ClosedLoopError
from closedloop.identity import normalise_address, person_key
from closedloop.lake import Lake
from ingestion.sources.csvfile import CsvFile, open_csv, records
from ingestion.sources.quarantine import Quarantine, Waiting

COLUMNS = ("email", "e-mail", "address", "recipient")
"""Headers under which addresses are looked for, in this order; upper or lower case does not matter."""
OBJECT = "suppression"
_ADDRESS = re.compile(r"""[^@\s,;<>()"]+@[^@\s,;<>()"]+""")


@dataclass
class SuppressionReport:
    """What became of a list: rows_read = loaded + known + quarantined."""

    rows_read: int = 0
    loaded: int = 0
    """Addresses that were not suppressed before."""
    keys: set[str] = field(default_factory=set, repr=False)
    """Person keys of all addresses in the file: to become suppressions."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Rows in quarantine by reason."""
    new_in_quarantine: int = 0
    """Of these, the ones that were not there before."""
    warnings: list[BadInput] = field(default_factory=list)

    @property
    def quarantined(self) -> int:
        return sum(self.reasons.values())

    @property
    def known(self) -> int:
        """Rows whose address was suppressed already, or stands in the file before."""
        return self.rows_read - self.loaded - self.quarantined

    def check(self) -> None:
        """Raises ClosedLoopError when a row got lost, which is a defect of ours."""
        if self.known < 0 or self.loaded > len(self.keys):
            raise ClosedLoopError(f"{self.rows_read} rows read, but the parts do not add up; please report this")

    def as_dict(self) -> dict[str, object]:
        """For `--json` and logs: counts and messages, nothing personal."""
        return {
            "rows_read": self.rows_read,
            "loaded": self.loaded,
            "known": self.known,
            "quarantined": self.quarantined,
            "reasons": dict(self.reasons),
            "new_in_quarantine": self.new_in_quarantine,
            "warnings": [str(warning) for warning in self.warnings],
        }


def read_suppressions(lake: Lake, file: Path, *, column: str | None = None, now: dt.datetime) -> SuppressionReport:
    """Reads the addresses of a file; rows that hold none wait in quarantine. The caller makes suppressions of the keys.

    The column is the one called `column`, else one of COLUMNS. A file of one column may do without a header if every
    row is an address. Raises BadInput, which never shows a cell, when the file as a whole cannot be used.
    """
    opened = _open(Path(file), column)
    place = _column(opened, column)
    report = SuppressionReport()
    bad: list[Waiting] = []
    for line, cells, broken in _rows(opened, place):
        report.rows_read += 1
        fault = broken or _fault(cells[place or 0])
        if not fault:
            report.keys.add(person_key(cells[place or 0]))
            continue
        if place is None:
            raise BadInput(
                "the file has no header, and this line is no address; nothing was loaded",
                file=opened.path,
                line=line,
                remedy="mend the line, or begin with a header line such as: email",
            )
        report.reasons[fault] = report.reasons.get(fault, 0) + 1
        bad.append(_waiting(opened, place, line, cells, broken, fault))
    report.new_in_quarantine = _store(lake, bad, now=as_utc(now))
    report.warnings = list(opened.warnings)
    return report


def _open(path: Path, column: str | None) -> CsvFile:
    try:
        return open_csv(path, needed={column} if column else set(COLUMNS))
    except BadInput as error:
        if "@" not in (error.field or ""):
            raise
        raise BadInput(error.problem, file=path, line=error.line, remedy="begin with a header line") from None


def _column(file: CsvFile, wanted: str | None) -> int | None:
    """Which column holds the addresses; None where the file is one column of addresses without a header."""
    headers = [name.strip().casefold() for name in file.headers]
    for name in (wanted,) if wanted else COLUMNS:
        if name.strip().casefold() in headers:
            return headers.index(name.strip().casefold())
    if wanted is None and len(headers) == 1 and not _fault(file.headers[0]):
        return None
    # What stands in the first line is shown only if it cannot be an address.
    near = difflib.get_close_matches(wanted or "", [name for name in file.headers if "@" not in name], 1, 0.6)
    raise BadInput(
        f"there is no column '{wanted}'" if wanted else f"no column is called {', '.join(COLUMNS)}",
        file=file.path,
        line=1,
        field="column",
        remedy=f"perhaps '{near[0]}'" if near else "name the column that holds the addresses",
    )


def _rows(file: CsvFile, place: int | None) -> Iterator[tuple[int, list[str], str]]:
    if place is None:
        yield 1, [file.headers[0]], ""
    yield from records(file)


def _fault(cell: str) -> str:
    """Why a cell is no address, or nothing. Invisible characters would make another address of it."""
    address = normalise_address(cell)
    if not address:
        return "address_missing"
    is_one = _ADDRESS.fullmatch(address) and address.isprintable() and "\ufffd" not in address
    return "" if is_one else "not_an_address"


def _waiting(file: CsvFile, place: int, line: int, cells: list[str], broken: str, fault: str) -> Waiting:
    if broken:
        return Waiting.of_line(OBJECT, file.path.name, line, broken, cells)
    raw = json.dumps(dict(zip(file.headers, cells, strict=True)), ensure_ascii=False)
    return Waiting(OBJECT, file.path.name, line, file.headers[place], fault, raw)


def _store(lake: Lake, bad: list[Waiting], *, now: dt.datetime) -> int:
    if not bad:
        return 0
    with duckdb.connect() as con:
        quarantine = Quarantine(con, "suppressions")
        names = ("object", "file", "line", "field", "reason", "raw")
        con.register("bad", pa.table({name: [getattr(waiting, name) for waiting in bad] for name in names}))
        quarantine.add_query(f"select {', '.join(names)} from bad")
        return quarantine.store(lake, now=now)
