"""CRM exports into the lake: changed rows and deletions only, faulty rows into quarantine, nothing dropped silently."""

from __future__ import annotations

import datetime as dt
import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import duckdb

from closedloop.clock import as_utc
from closedloop.errors import BadInput
from closedloop.lake import Lake
from ingestion.sources.arrivals import Arrival, Arrivals
from ingestion.sources.csvfile import Shape
from ingestion.sources.exports import MANIFEST, Export, find_exports
from ingestion.sources.history import Change, ObjectHistory, Step, empty_rows
from ingestion.sources.mapping import Mapping
from ingestion.sources.quarantine import Quarantine
from ingestion.sources.reading import Reader
from ingestion.sources.report import CrmReport, ObjectReport
from ingestion.sources.sqltext import CLOCKS_DIFFER, literal, prepare, quoted
from ingestion.sources.transform import Mapped, map_object

__all__ = ["CrmReport", "ingest_crm", "opted_out_keys"]

Progress = Callable[[str], None]
_MAY_OPT_OUT = ("contact", "lead")


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
    for export in exports:
        _check_moment(export, as_utc(now))
    with tempfile.TemporaryDirectory() as spill, duckdb.connect() as con:
        prepare(con, Path(spill))
        ingest = _Ingest(con, lake, mapping, as_utc(now), progress or (lambda _: None), max_deletion_share)
        # A lookup reads other objects as they were at the export: then one export is taken after the other.
        numbered = list(enumerate(exports))
        for batch in [[one] for one in numbered] if mapping.has_lookups else [numbered]:
            ingest.take(dict(batch))
        return ingest.finish()


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
        self.faulty_opt_outs: set[str] = set()

    def take(self, exports: dict[int, Export]) -> None:
        """Takes in some exports, numbered in their order."""
        self.report.exports += len(exports)
        self.mapped = {}
        reader = Reader(self.con, self.mapping, exports, self.report, self.quarantine, self.history)
        arrivals = self._pending(exports, reader)
        reader.wanted({name: set(found) for name, found in arrivals.items()})
        for name in self.mapping.order(by="lookup"):
            if name in arrivals:
                self._map(name, exports, reader, arrivals)
        for name in self.mapping.order(by="reference"):
            if name in self.mapped:
                self._change(name, exports, reader, arrivals[name])
        for name, mapped in self.mapped.items():
            if name in _MAY_OPT_OUT:
                self._hear_opt_outs(mapped)
            self.con.execute(f"drop table {mapped.table}")
        reader.close()

    def _pending(self, exports: dict[int, Export], reader: Reader) -> dict[str, dict[int, Arrival]]:
        """What each export brings for each object, without that which is known from before."""
        pending: dict[str, dict[int, Arrival]] = {}
        for name, item in self.mapping.objects.items():
            for number, export in exports.items():
                if not any(part.file in export.files for part in item.parts):
                    continue
                arrival = Arrival(
                    object=name,
                    file=export.label(export.files.get(item.file, export.folder)),
                    mode="full" if export.full else "delta",
                    exported_at=export.exported_at.replace(tzinfo=None),
                    content_hash=self._content_hash(name, number, reader),
                    mapping_hash=self.mapping.mapping_hash,
                )
                known = self.arrivals.find(arrival)
                if known is None:
                    pending.setdefault(name, {})[number] = arrival
                else:
                    self.report.count(known.as_report())
        return pending

    def _content_hash(self, name: str, number: int, reader: Reader) -> str:
        """Over the bytes of all files that the object's rows depend on."""
        digest = hashlib.sha256()
        for file in sorted(_files_behind(name, self.mapping)):
            shape = reader.shapes.get((number, file))
            digest.update(f"{file}={shape.content_hash if isinstance(shape, Shape) else '-'};".encode())
        return digest.hexdigest()

    def _map(
        self, name: str, exports: dict[int, Export], reader: Reader, arrivals: dict[str, dict[int, Arrival]]
    ) -> None:
        usable = reader.usable(name, sorted(arrivals[name]))
        if usable:
            series = [reader.series(part.file) for part in self.mapping.objects[name].parts]
            delta = not all(exports[number].full for number in usable)
            self.mapped[name] = map_object(
                self.con, name, self.mapping, series, usable, lambda other: self._known(other, delta=delta)
            )

    def _known(self, name: str, *, delta: bool) -> str:
        """The query of an object's rows that lookups read: of this export, and with a delta what the lake has else."""
        parts = [empty_rows(name)]
        mapped = self.mapped.get(name)
        if mapped is not None:
            parts.append(f"select {', '.join(map(quoted, mapped.columns))} from {mapped.table} where _fault is null")
        if mapped is None or delta:
            but = f" where Id not in (select Id from {mapped.table} where Id is not null)" if mapped else ""
            parts.append(f"select * from ({self.history(name).newest_rows()}){but}")
        return " union all by name ".join(parts)

    # Changing ------------------------------------------------------------------------
    def _change(self, name: str, exports: dict[int, Export], reader: Reader, arrivals: dict[int, Arrival]) -> None:
        mapped, history = self.mapped[name], self.history(name)
        rows = dict(self.con.execute(f"select _export, count(*) from {mapped.table} group by 1").fetchall())
        steps = []
        for number in reader.usable_exports[name]:
            at = self._due(name, exports[number], arrivals[number], rows.get(number, 0), reader)
            if at is None:
                self.con.execute(f"delete from {mapped.table} where _export = {number}")
                continue
            # Two exports of one moment: the later arrival counts as the later export.
            before = steps[-1].exported_at if steps else history.newest
            if before is not None and at <= before:
                at = before + dt.timedelta(microseconds=1)
            files = [series.files[number] for series in mapped.parts]
            sources = tuple(exports[number].label(file.path) for file in files)
            steps.append(Step(number, at, sources, exports[number].full and all(file.complete for file in files)))
        if not steps:
            return
        self._check_times(mapped)
        self._check_references(name, mapped)
        changes, waiting = history.change(mapped, steps, max_deletion_share=self.max_deletion_share)
        for number, (gone, alive) in waiting.items():
            problem = f"it would delete {gone} of {alive} records, more than {self.max_deletion_share:.0%} of them"
            reader.wait(name, number, "too_many_deletions", rows.get(number, 0), problem=problem)
        faults = self._quarantine_faults(mapped, exports)
        self.progress(f"{name}: {sum(rows.values()):,} rows of {len(rows)} exports compared")
        for number, change in changes.items():
            self._add_up(name, change, faults.get(number, {}), arrivals[number])

    def _due(self, name: str, export: Export, arrival: Arrival, rows: int, reader: Reader) -> dt.datetime | None:
        """When the export was taken; None where it is older than the last one, which is then reported."""
        times = [time for time in (self.history(name).newest, self.arrivals.newest(name)) if time]
        if not times or arrival.exported_at.replace(microsecond=0) >= max(times).replace(microsecond=0):
            return arrival.exported_at
        if self.arrivals.seen(arrival):
            self.report.count(ObjectReport(name, rows_read=rows, unchanged=rows))
        else:
            reader.wait(name, reader.number_of(export), "export_too_old", rows)
        return None

    def _add_up(self, name: str, change: Change, faults: dict[str, int], arrival: Arrival) -> None:
        report = ObjectReport(
            name,
            rows_read=change.rows,
            loaded=change.loaded,
            unchanged=change.valid - change.loaded,
            deleted=change.deleted,
            quarantined=faults,
        )
        report.check()
        self.report.count(report)
        self.arrivals.add(arrival, report)
        self.history(name).keys.append(f"{arrival.exported_at}|{arrival.content_hash}|{arrival.mapping_hash}")

    def _check_times(self, mapped: Mapped) -> None:
        """Marks rows that changed, or were made, after now: no build may believe them, and one would stop it."""
        latest = literal(f"{self.now + CLOCKS_DIFFER:%Y-%m-%dT%H:%M:%S}")
        for field in ("SystemModstamp", "CreatedDate"):
            if field in mapped.columns:
                self.con.execute(
                    f"update {mapped.table} set _fault = 'time_in_future|{field}' "
                    f"where _fault is null and {quoted(field)} > {latest}"
                )

    def _check_references(self, name: str, mapped: Mapped) -> None:
        """Marks rows that refer to nothing, or counts them, as the mapping says.

        A record exists when it is in one of the exports taken together here, or alive in the lake.
        """
        for number, part in enumerate(self.mapping.objects[name].parts):
            for field, spec in part.fields.items():
                if spec.references is None or field not in mapped.columns:
                    continue
                other = self.mapped.get(spec.references)
                known = self.history(spec.references).alive
                if other is not None:
                    known += f" union all select Id from {other.table} where _fault is null"
                orphan = (
                    f"_fault is null and _part = {number} and {quoted(field)} is not null "
                    f"and {quoted(field)} not in ({known})"
                )
                if spec.orphans == "quarantine":
                    self.con.execute(f"update {mapped.table} set _fault = 'unknown_reference|{field}' where {orphan}")
                    continue
                rows = self.con.execute(f"select count(*) from {mapped.table} where {orphan}").fetchall()[0][0]
                if rows:
                    key = (name, field, spec.references)
                    self.orphans[key] = self.orphans.get(key, 0) + rows

    def _quarantine_faults(self, mapped: Mapped, exports: dict[int, Export]) -> dict[int, dict[str, int]]:
        """Notes the faulty rows with their raw content; returns how many there are by export and reason."""
        counts: dict[int, dict[str, int]] = {}
        for number, reason, rows in self.con.execute(
            f"select _export, split_part(_fault, '|', 1), count(*) from {mapped.table} where _fault is not null "
            "group by 1, 2 order by 1, 2"
        ).fetchall():
            counts.setdefault(number, {})[reason] = rows
        if counts:
            for part, series in enumerate(mapped.parts):
                labels = ", ".join(
                    f"({number}, {literal(exports[number].label(series.files[number].path))})" for number in counts
                )
                raw = ", ".join(f"{literal(header)}: raw.c{at}" for at, header in enumerate(series.headers))
                self.quarantine.add_query(
                    f"select {literal(mapped.name)} as object, label.file, _line as line, "
                    f"split_part(_fault, '|', 2) as field, split_part(_fault, '|', 1) as reason, "
                    f"cast(to_json({{{raw}}}) as varchar) as raw "
                    f"from {mapped.table} as m join {series.table} as raw using (_export, _line) "
                    f"join (values {labels}) as label (number, file) on label.number = m._export "
                    f"where _fault is not null and _part = {part}"
                )
        return counts

    def _hear_opt_outs(self, mapped: Mapped) -> None:
        """A row that waits for another fault still says that this person wants no mail; that does not wait."""
        if not {"Email", "HasOptedOutOfEmail"} <= set(mapped.columns):
            return
        keys = self.con.execute(
            f"select distinct sha256(lower(trim(Email))) from {mapped.table} where _fault is not null "
            "and _fault not like 'duplicate_id|%' and Email is not null and lower(HasOptedOutOfEmail) in ('true', '1')"
        ).fetchall()
        self.faulty_opt_outs.update(key for (key,) in keys)

    # Adding up -----------------------------------------------------------------------
    def history(self, name: str) -> ObjectHistory:
        if name not in self.histories:
            self.histories[name] = ObjectHistory(self.con, self.lake, name)
        return self.histories[name]

    def finish(self) -> CrmReport:
        """Brings everything to the lake: the objects, what waits, and last the note of what arrived."""
        for name, history in self.histories.items():
            if history.pending:
                self.progress(f"{name}: {history.append(now=self.now):,} rows into the lake")
        self.report.new_in_quarantine = self.quarantine.store(self.lake, now=self.now)
        self.arrivals.store(self.lake, now=self.now)
        for (name, field, target), rows in self.orphans.items():
            self.report.warnings.append(
                BadInput(
                    f"{rows} rows of {name} refer to records of {target} that do not exist; kept",
                    file=Path(self.mapping.objects[name].file),
                    field=field,
                    remedy=f"export them too; or set `orphans: quarantine` for {field} in the mapping: such rows then wait",
                )
            )
        for report in self.report.objects.values():
            report.check()
        self.report.opted_out_keys = opted_out_keys(self.con, self.lake) | self.faulty_opt_outs
        return self.report


def opted_out_keys(con: duckdb.DuckDBPyConnection, lake: Lake) -> set[str]:
    """Person keys (closedloop.identity) of contacts and leads whose newest version says: no mail. Deleted ones count."""
    keys: set[str] = set()
    for table in (f"crm.{name}" for name in _MAY_OPT_OUT):
        newest = "arg_max({'email': Email, 'out': HasOptedOutOfEmail}, (_exported_at, _ingested_at))"
        rows = f"select {newest} as n from ({lake.select(table, lake.cut_of(table))}) group by Id"
        keys.update(
            key
            for (key,) in con.execute(
                f"select sha256(lower(trim(n.email))) from ({rows}) "
                "where n.email is not null and lower(n.out) in ('true', '1')"
            ).fetchall()
        )
    return keys


def _check_moment(export: Export, now: dt.datetime) -> None:
    manifest = export.folder / MANIFEST
    if export.exported_at > now + CLOCKS_DIFFER and manifest.exists():
        raise BadInput(
            "lies more than a day ahead",
            file=manifest,
            field="exported_at",
            remedy="write when the export was taken; every later export would count as older than this one",
        )


def _files_behind(name: str, mapping: Mapping) -> set[str]:
    """The files that the rows of an object are made of, lookups included."""
    item = mapping.objects[name]
    files = {part.file for part in item.parts}
    for _, field in item.all_fields:
        if field.lookup:
            files |= _files_behind(field.lookup.object, mapping)
    return files
