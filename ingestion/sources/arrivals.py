"""Which files came before: a file that is known changes nothing, however often it comes."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import asdict, dataclass

import duckdb
import pyarrow as pa

from closedloop.lake import Lake
from ingestion.sources.report import ObjectReport

TABLE = "arrivals.files"


@dataclass(frozen=True)
class Arrival:
    """One object of one export (or one file of responses), by its content. `exported_at` is naive UTC."""

    object: str
    file: str
    mode: str
    exported_at: dt.datetime
    content_hash: str
    mapping_hash: str = ""


@dataclass(frozen=True)
class Known:
    """An arrival that was taken in before, with what it counted then."""

    object: str
    rows_read: int
    quarantined: dict[str, int]

    def as_report(self) -> ObjectReport:
        unchanged = self.rows_read - sum(self.quarantined.values())
        return ObjectReport(self.object, self.rows_read, unchanged=unchanged, quarantined=dict(self.quarantined))


class Arrivals:
    """The known arrivals of one source, and those of this run."""

    def __init__(self, con: duckdb.DuckDBPyConnection, lake: Lake, source: str) -> None:
        self.source = source
        self.new: list[tuple[Arrival, ObjectReport]] = []
        known = con.execute(
            "select object, content_hash, mapping_hash, exported_at, rows_read, reasons "
            f"from ({lake.select(TABLE, lake.cut_of(TABLE))}) where source = ?",
            [source],
        ).fetchall()
        self.known = {(row[0], row[1], row[2], row[3]): (row[4], row[5]) for row in known}
        self.contents = {(row[0], row[1]) for row in known}
        self.last: dict[str, dt.datetime] = {}
        for name, _, _, at, *_ in known:
            self.last[name] = max(at, self.last.get(name, at))

    def find(self, arrival: Arrival) -> Known | None:
        """The same content of the same export, read by the same mapping."""
        key = (arrival.object, arrival.content_hash, arrival.mapping_hash, arrival.exported_at)
        if key not in self.known:
            return None
        rows, reasons = self.known[key]
        return Known(arrival.object, rows, json.loads(reasons))

    def seen(self, arrival: Arrival) -> bool:
        """Whether this content came before at all."""
        return (arrival.object, arrival.content_hash) in self.contents

    def newest(self, name: str) -> dt.datetime | None:
        """The time of the last export of an object."""
        return self.last.get(name)

    def add(self, arrival: Arrival, report: ObjectReport) -> None:
        self.new.append((arrival, report))
        self.last[arrival.object] = max(arrival.exported_at, self.last.get(arrival.object, arrival.exported_at))

    def store(self, lake: Lake, *, now: dt.datetime) -> None:
        if not self.new:
            return
        rows = [
            asdict(arrival)
            | {
                "source": self.source,
                "rows_read": report.rows_read,
                "loaded": report.loaded,
                "unchanged": report.unchanged,
                "deleted": report.deleted,
                "quarantined": report.in_quarantine,
                "reasons": json.dumps(report.quarantined, sort_keys=True),
            }
            for arrival, report in self.new
        ]
        keys = "|".join(f"{a.object}{a.exported_at}{a.content_hash}{a.mapping_hash}" for a, _ in self.new)
        batch = f"arrivals-{hashlib.sha256(keys.encode()).hexdigest()[:32]}"
        lake.append(TABLE, pa.Table.from_pylist(rows), batch_id=batch, ingested_at=now, source=self.source)
