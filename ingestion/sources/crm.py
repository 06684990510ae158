"""CRM exports into the lake: changed rows and deletions only, faulty rows into quarantine, nothing dropped silently."""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from closedloop.clock import as_utc
from closedloop.errors import BadInput
from closedloop.lake import Lake
from closedloop.lake.catalogue import CRM_OBJECTS
from ingestion.sources.arrivals import Arrival, Arrivals
from ingestion.sources.csvfile import CsvFile, Shape, load_csv, look_at
from ingestion.sources.exports import Export, find_exports
from ingestion.sources.history import ObjectHistory, empty_rows
from ingestion.sources.mapping import Mapping
from ingestion.sources.quarantine import Quarantine, Waiting
from ingestion.sources.report import CrmReport, ObjectReport
from ingestion.sources.transform import Mapped, fields_of, literal, map_object, missing_columns, quoted

Progress = Callable[[str], None]


def ingest_crm(
    lake: Lake,
    folder: Path,
    mapping: Mapping,
    *,
    now: dt.datetime,
    progress: Progress | None = None,
    max_deletion_share: float = 0.2,
) -> CrmReport:
    """Ingests the export in `folder`, or all exports in its subfolders in the order in which they were taken.

    Of each object the rows of all exports reach the lake in one commit. `now` is when we learn them. A full export
    that deletes more than `max_deletion_share` (0..1) of an object waits in quarantine. Faults of files and rows are
    in the report; the rest is loaded. Raises BadInput when there is no export at all, Busy when another process
    ingests at the same time (run it again: what is in already counts as unchanged).
    """
    exports = find_exports(Path(folder), mapping)
    with tempfile.TemporaryDirectory() as spill, duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(f"set temp_directory = {literal(spill)}")
        run = _Ingest(con, lake, mapping, as_utc(now), progress or (lambda _: None), max_deletion_share)
        for export in exports:
            run.take(export)
        return run.finish()


@dataclass
class _File:
    """A file of an export: its shape is known at once, its rows when somebody needs them."""

    path: Path
    shape: Shape | BadInput
    loaded: CsvFile | BadInput | None = None


class _Ingest:
    """One run over a series of exports."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        lake: Lake,
        mapping: Mapping,
        now: dt.datetime,
        progress: Progress,
        max_deletion_share: float,
    ) -> None:
        self.con, self.lake, self.mapping, self.now, self.progress = con, lake, mapping, now, progress
        self.max_deletion_share = max_deletion_share
        self.report = CrmReport(mapping.name)
        self.quarantine = Quarantine(con, "crm")
        self.arrivals = Arrivals(con, lake, "crm")
        self.histories: dict[str, ObjectHistory] = {}
        self.mapped: dict[str, Mapped] = {}
        self.orphans: dict[tuple[str, str, str], int] = {}

    # One export ----------------------------------------------------------------------
    def take(self, export: Export) -> None:
        self.report.exports += 1
        self.mapped = {}
        self._report_absent(export)
        files = {name: _File(path, _shape(path)) for name, path in export.files.items()}
        claimed: set[str] = set()
        present = [name for name, item in self.mapping.objects.items() if any(p.file in files for p in item.parts)]
        pending = {}
        for name in present:
            arrival = self._arrival(name, export, files)
            known = self.arrivals.find(arrival)
            if known is not None:
                self._count(known.as_report())
            else:
                pending[name] = arrival
        for name in self.mapping.order(by="lookup"):
            if name in pending and not self._map(name, export, files, claimed):
                del pending[name]
        for name in self.mapping.order(by="reference"):
            if name in pending:
                self._change(name, export, pending[name])
        for number in range(len(files)):
            self.con.execute(f"drop table if exists r{number}")
        for name in self.mapped:
            self.con.execute(f"drop table if exists m_{name}")
        self.progress(f"{export.folder.name}: {len(present)} objects read")

    def _report_absent(self, export: Export) -> None:
        for path in export.ignored:
            self.report.warnings.append(BadInput("the mapping names no such file; it was not read", file=path))
        for name, item in self.mapping.objects.items():
            if export.full and item.required and item.file not in export.files:
                self.report.errors.append(
                    BadInput(
                        f"the file of the object '{name}' is missing; the other objects were ingested",
                        file=export.folder / item.file,
                        remedy="export it too, or take `required` off the object in the mapping",
                    )
                )

    def _arrival(self, name: str, export: Export, files: dict[str, _File]) -> Arrival:
        """What identifies this object in this export: the bytes of all files that its rows depend on."""
        digest = hashlib.sha256()
        for file in sorted(_files_behind(name, self.mapping)):
            shape = files[file].shape if file in files else None
            digest.update(f"{file}={shape.content_hash if isinstance(shape, Shape) else '-'};".encode())
        return Arrival(
            object=name,
            file=export.label(export.files.get(self.mapping.objects[name].file, export.folder)),
            mode="full" if export.full else "delta",
            exported_at=export.exported_at.replace(tzinfo=None),
            content_hash=digest.hexdigest(),
            mapping_hash=self.mapping.mapping_hash,
        )

    # Reading -------------------------------------------------------------------------
    def _map(self, name: str, export: Export, files: dict[str, _File], claimed: set[str]) -> bool:
        """Makes the table of the object's rows; False when its files cannot be used, which is then reported."""
        item = self.mapping.objects[name]
        loaded: list[CsvFile] = []
        for part in item.parts:
            if part.file not in files:
                self.report.errors.append(
                    BadInput(f"missing, so '{name}' was not ingested", file=export.folder / part.file)
                )
                return False
            file = self._load(part.file, files)
            if isinstance(file, BadInput):
                if part.file not in claimed:
                    claimed.add(part.file)
                    self._unusable(name, export, files[part.file].path, file)
                return False
            loaded.append(file)
        if not self._columns_present(name, export, loaded):
            return False
        for number, file in enumerate(loaded):
            if item.parts[number].file not in claimed:
                claimed.add(item.parts[number].file)
                self.report.warnings.extend(file.warnings)
                self._bad_lines(name, export, file)
        self.mapped[name] = map_object(self.con, name, self.mapping, loaded, lambda other: self._known(other, export))
        return True

    def _load(self, name: str, files: dict[str, _File]) -> CsvFile | BadInput:
        file = files[name]
        if isinstance(file.shape, BadInput):
            return file.shape
        if file.loaded is None:
            table = f"r{list(files).index(name)}"
            try:
                needed = self.mapping.columns_of(name)
                file.loaded = load_csv(self.con, file.path, table, needed=needed, shape=file.shape)
            except BadInput as error:
                file.loaded = error
        return file.loaded

    def _columns_present(self, name: str, export: Export, loaded: list[CsvFile]) -> bool:
        """Whether all columns are there that the object needs, or had before: a renamed one must not empty it."""
        parts = list(zip(self.mapping.objects[name].parts, loaded, strict=True))
        given = {field for part, file in parts for field in fields_of(name, part, file)}
        # Canonical columns that no file has; a missing time of change is made up for (see ObjectHistory.change).
        absent = [column for column in CRM_OBJECTS[name] if column not in given and column != "SystemModstamp"]
        missing = [(file, *found) for part, file in parts for found in missing_columns(name, part, file)]
        had = set(self._history(name).filled(absent + [field for _, field, _, needed in missing if not needed]))
        missing += [(loaded[0], column, column, False) for column in absent]
        for file, field, column, needed in missing:
            unread = [
                header for header in file.headers if header.casefold() not in self.mapping.columns_of(file.path.name)
            ]
            near = difflib.get_close_matches(column, unread, 1, 0.75)
            hint = f"'{near[0]}' is like it: " if near else ""
            if needed or field in had:
                error = BadInput(
                    f"the column '{column}' is missing, so '{name}' was not ingested from this file",
                    file=file.path,
                    line=1,
                    field=field,
                    remedy=f"{hint}rename it in the file or in the mapping"
                    + ("" if needed else f"; if it is gone for good, map {field} to {{value: ''}}"),
                )
                self.report.errors.append(error)
                self._wait_whole(
                    name, export, file.path, "missing_column", file.rows, field=column, remedy=error.remedy
                )
                self._count_whole(name, "missing_column", file.rows)
                return False
            if near or field not in absent:
                self.report.warnings.append(
                    BadInput(
                        f"there is no column '{column}'",
                        file=file.path,
                        line=1,
                        field=field,
                        remedy=f"{hint}if it is meant, map {field} to it" if near else "take it off the mapping",
                    )
                )
        return True

    def _known(self, name: str, export: Export) -> str:
        """The query of an object's rows that lookups read: of this export, and with a delta what the lake has else."""
        parts = [empty_rows(name)]
        mapped = self.mapped.get(name)
        if mapped is not None:
            parts.append(f"select {', '.join(map(quoted, mapped.columns))} from {mapped.table} where _fault is null")
        if mapped is None or not export.full:
            but = f" where Id not in (select Id from {mapped.table} where Id is not null)" if mapped else ""
            parts.append(f"select * from ({self._history(name).newest_rows()}){but}")
        return " union all by name ".join(parts)

    # Changing ------------------------------------------------------------------------
    def _change(self, name: str, export: Export, arrival: Arrival) -> None:
        mapped, history = self.mapped[name], self._history(name)
        path = mapped.files[0].path
        rows = self.con.execute(f"select count(*) from {mapped.table}").fetchall()[0][0]
        last = max(filter(None, (history.newest, self.arrivals.newest(name))), default=None)
        at = arrival.exported_at
        if last is not None and at.replace(microsecond=0) < last.replace(microsecond=0):
            if self.arrivals.seen(arrival):
                self._count(ObjectReport(name, rows_read=rows, unchanged=rows))
                return
            self._wait(name, export, path, "export_too_old", rows)
            return
        # Two exports of one moment: the later arrival counts as the later export.
        if history.newest is not None and at <= history.newest:
            at = history.newest + dt.timedelta(microseconds=1)
        complete = export.full and all(file.complete for file in mapped.files)
        if complete:
            gone, alive = history.would_delete(mapped)
            if gone > alive * self.max_deletion_share:
                share = f"{self.max_deletion_share:.0%}"
                self._wait(
                    name,
                    export,
                    path,
                    "too_many_deletions",
                    rows,
                    problem=f"it would delete {gone} of {alive} records, more than {share}; nothing of it was loaded",
                )
                return
        self._check_references(name, mapped)
        faults = self._quarantine_faults(mapped, export)
        change = history.change(
            mapped,
            exported_at=at,
            sources=[export.label(file.path) for file in mapped.files],
            deletions=complete,
        )
        history.keys.append(f"{arrival.exported_at}|{arrival.content_hash}|{arrival.mapping_hash}")
        report = ObjectReport(name, rows_read=rows, loaded=change.loaded, deleted=change.deleted, quarantined=faults)
        report.unchanged = rows - change.loaded - report.in_quarantine
        report.check()
        self._count(report)
        self.arrivals.add(arrival, report)

    def _check_references(self, name: str, mapped: Mapped) -> None:
        """Marks rows that refer to nothing, or counts them, as the mapping says."""
        for number, part in enumerate(self.mapping.objects[name].parts):
            for field, spec in part.fields.items():
                if spec.references is None or field not in mapped.columns:
                    continue
                other = self.mapped.get(spec.references)
                known = self._history(spec.references).alive
                if other is not None:
                    known += f" union all select Id from {other.table} where _fault is null"
                orphan = (
                    f"_fault is null and _part = {number} and {quoted(field)} is not null "
                    f"and not exists (select 1 from ({known}) as k where k.Id = {quoted(field)})"
                )
                if spec.orphans == "quarantine":
                    self.con.execute(f"update {mapped.table} set _fault = 'unknown_reference|{field}' where {orphan}")
                    continue
                rows = self.con.execute(f"select count(*) from {mapped.table} where {orphan}").fetchall()[0][0]
                if rows:
                    key = (name, field, spec.references)
                    self.orphans[key] = self.orphans.get(key, 0) + rows

    def _quarantine_faults(self, mapped: Mapped, export: Export) -> dict[str, int]:
        """Notes the faulty rows with their raw content; returns how many there are for each reason."""
        counts = self.con.execute(
            f"select split_part(_fault, '|', 1), count(*) from {mapped.table} where _fault is not null group by 1"
        ).fetchall()
        if counts:
            for number, file in enumerate(mapped.files):
                raw = ", ".join(f"{literal(header)}: raw.c{at}" for at, header in enumerate(file.headers))
                self.quarantine.add_query(
                    f"select {literal(mapped.name)} as object, {literal(export.label(file.path))} as file, "
                    f"_line as line, split_part(_fault, '|', 2) as field, split_part(_fault, '|', 1) as reason, "
                    f"cast(to_json({{{raw}}}) as varchar) as raw "
                    f"from {mapped.table} as m join {file.table} as raw using (_line) "
                    f"where _fault is not null and _part = {number}"
                )
        return dict(counts)

    def _bad_lines(self, name: str, export: Export, file: CsvFile) -> None:
        """Lines that are no rows count for the first object that reads the file."""
        report = ObjectReport(name, rows_read=len(file.bad_lines))
        for bad in file.bad_lines:
            report.wait(bad.reason, 1)
        self.quarantine.add(
            [
                Waiting(name, export.label(file.path), bad.line, "", bad.reason, json.dumps({"cells": bad.cells}))
                for bad in file.bad_lines
            ]
        )
        if file.bad_lines:
            first = file.bad_lines[0]
            self.report.errors.append(
                BadInput(
                    f"{len(file.bad_lines)} lines are no rows ({first.reason}); they wait in quarantine, and nothing "
                    "is taken as deleted",
                    file=file.path,
                    line=first.line,
                    remedy="mend quotes and separators, or export again",
                )
            )
        self._count(report)

    def _unusable(self, name: str, export: Export, path: Path, error: BadInput) -> None:
        self.report.errors.append(error)
        self._wait_whole(
            name, export, path, "unreadable_file", 0, field=error.field or "", problem=error.problem,
            remedy=error.remedy or "",
        )  # fmt: skip
        self._count(ObjectReport(name))

    def _wait(self, name: str, export: Export, path: Path, reason: str, rows: int, problem: str = "") -> None:
        """The whole object of this export waits."""
        self._wait_whole(name, export, path, reason, rows, problem=problem)
        self._count_whole(name, reason, rows)
        told = problem or "older than what was already ingested; nothing of it was loaded"
        remedy = "if these records are gone, allow a higher share of deletions once" if problem else "export again"
        self.report.errors.append(BadInput(f"{name}: {told}", file=path, remedy=remedy))

    def _wait_whole(
        self,
        name: str,
        export: Export,
        path: Path,
        reason: str,
        rows: int,
        *,
        field: str = "",
        problem: str = "",
        remedy: str | None = "",
    ) -> None:
        raw = json.dumps({"rows": rows, "exported_at": export.exported_at.isoformat(), "full": export.full})
        self.quarantine.add([Waiting(name, export.label(path), None, field, reason, raw, problem, remedy or "")])

    # Adding up -----------------------------------------------------------------------
    def _count_whole(self, name: str, reason: str, rows: int) -> None:
        report = ObjectReport(name, rows_read=rows)
        report.wait(reason, rows)
        self._count(report)

    def _count(self, report: ObjectReport) -> None:
        self.report.objects.setdefault(report.object, ObjectReport(report.object)).add(report)

    def _history(self, name: str) -> ObjectHistory:
        if name not in self.histories:
            self.histories[name] = ObjectHistory(self.con, self.lake, name)
        return self.histories[name]

    def finish(self) -> CrmReport:
        """Brings everything to the lake: the objects, what waits, and last the note of what arrived."""
        for name, history in self.histories.items():
            if history.pending:
                self.progress(f"{name}: {history.append(now=self.now)} rows into the lake")
        self.report.new_in_quarantine = self.quarantine.store(self.lake, now=self.now)
        self.arrivals.store(self.lake, now=self.now)
        for (name, field, target), rows in self.orphans.items():
            self.report.warnings.append(
                BadInput(f"{rows} rows of {name} refer to records of {target} that do not exist; kept", field=field)
            )
        for report in self.report.objects.values():
            report.check()
        self.report.opted_out_keys = opted_out_keys(self.con, self.lake)
        return self.report


def opted_out_keys(con: duckdb.DuckDBPyConnection, lake: Lake) -> set[str]:
    """Person keys (closedloop.identity) of contacts and leads whose newest version says: no mail. Deleted ones count."""
    keys: set[str] = set()
    for table in ("crm.contact", "crm.lead"):
        cut = lake.cut_of(table)
        if cut:
            newest = "arg_max({'email': Email, 'out': HasOptedOutOfEmail}, (_exported_at, _ingested_at))"
            keys.update(
                key
                for (key,) in con.execute(
                    f"select sha256(lower(trim(n.email))) from (select {newest} as n from ({lake.select(table, cut)}) "
                    "group by Id) where n.email is not null and lower(n.out) in ('true', '1')"
                ).fetchall()
            )
    return keys


def _files_behind(name: str, mapping: Mapping) -> set[str]:
    """The files that the rows of an object are made of, lookups included."""
    item = mapping.objects[name]
    files = {part.file for part in item.parts}
    for _, field in item.all_fields:
        if field.lookup:
            files |= _files_behind(field.lookup.object, mapping)
    return files


def _shape(path: Path) -> Shape | BadInput:
    try:
        return look_at(path)
    except BadInput as error:
        return error
