"""The files of some exports: which can be used for which object, and what is wrong with the others."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from pathlib import Path

import duckdb

from closedloop.errors import BadInput
from closedloop.lake.catalogue import CRM_OBJECTS
from ingestion.sources.csvfile import CsvFile, Shape, look_at, open_csv
from ingestion.sources.exports import Export
from ingestion.sources.history import ObjectHistory
from ingestion.sources.mapping import Mapping
from ingestion.sources.quarantine import SENTENCES, Quarantine, Waiting
from ingestion.sources.report import CrmReport, ObjectReport
from ingestion.sources.series import Series, drop_series, load_series
from ingestion.sources.transform import fields_of, missing_columns


class Reader:
    """Reads each file once, for all objects that need it, and reports each fault once."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        mapping: Mapping,
        exports: dict[int, Export],
        report: CrmReport,
        quarantine: Quarantine,
        history: Callable[[str], ObjectHistory],
    ) -> None:
        self.con, self.mapping, self.exports, self.report, self.quarantine = con, mapping, exports, report, quarantine
        self.history = history
        self.shapes: dict[tuple[int, str], Shape | BadInput] = {
            (number, name): _shape(path) for number, export in exports.items() for name, path in export.files.items()
        }
        self.files: dict[tuple[int, str], CsvFile] = {}
        self.usable_exports: dict[str, list[int]] = {}
        self._loaded: dict[str, Series] = {}
        self._report_absent()

    def _report_absent(self) -> None:
        for export in self.exports.values():
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

    def wanted(self, objects: dict[str, set[int]]) -> None:
        """Opens the files that these objects need from these exports. One that cannot be read is reported once."""
        for name, numbers in objects.items():
            for file in dict.fromkeys(part.file for part in self.mapping.objects[name].parts):
                for number in sorted(numbers):
                    key = (number, file)
                    shape = self.shapes.get(key)
                    if shape is None or key in self.files:
                        continue
                    try:
                        if isinstance(shape, BadInput):
                            raise shape
                        path = self.exports[number].files[file]
                        self.files[key] = open_csv(path, shape, needed=self.mapping.columns_of(file))
                    except BadInput as error:
                        del self.shapes[key]
                        self._unusable(name, number, error)

    def series(self, file: str) -> Series:
        """All opened files of this name, loaded; the lines that are no rows go to quarantine."""
        if file not in self._loaded:
            found = {number: opened for (number, name), opened in self.files.items() if name == file}
            self._loaded[file] = load_series(self.con, found, f"r{len(self._loaded)}")
            # They count for the first object that reads the file.
            owner = next(n for n, item in self.mapping.objects.items() if any(p.file == file for p in item.parts))
            for number, opened in found.items():
                self.report.warnings.extend(opened.warnings)
                self._bad_lines(owner, number, opened)
        return self._loaded[file]

    def usable(self, name: str, numbers: list[int]) -> list[int]:
        """Those of the exports whose files have all that the object needs; what is wrong with the others is reported."""
        item = self.mapping.objects[name]
        found = []
        for number in numbers:
            absent = [part.file for part in item.parts if (number, part.file) not in self.files]
            for file in dict.fromkeys(absent):
                if (number, file) not in self.shapes and file in self.exports[number].files:
                    continue  # cannot be read, which is reported
                path = self.exports[number].folder / file
                self.report.errors.append(BadInput(f"missing, so '{name}' was not ingested", file=path))
            if not absent and self._columns_present(name, number):
                found.append(number)
        self.usable_exports[name] = found
        return found

    def _columns_present(self, name: str, number: int) -> bool:
        """Whether all columns are there that the object needs, or had before: a renamed one must not empty it."""
        parts = [(part, self.files[number, part.file]) for part in self.mapping.objects[name].parts]
        given = {field for part, file in parts for field in fields_of(name, part, file.has)}
        # Canonical columns that no file has; a missing time of change is made up for (see ObjectHistory).
        absent = [column for column in CRM_OBJECTS[name] if column not in given and column != "SystemModstamp"]
        missing = [(file, *found) for part, file in parts for found in missing_columns(part, file)]
        optional = [field for _, field, _, needed in missing if not needed]
        had = set(self.history(name).filled(absent + optional)) | self._filled_before(name, number, absent + optional)
        missing += [(parts[0][1], column, column, False) for column in absent]
        read = self.mapping.columns_of(parts[0][0].file)
        for file, field, column, needed in missing:
            unread = [header for header in file.headers if header.casefold() not in read]
            near = difflib.get_close_matches(column, unread, 1, 0.75)
            hint = f"'{near[0]}' is like it: " if near else ""
            if needed or field in had:
                gone = "" if needed else f"; if it is gone for good, map {field} to {{value: ''}}"
                remedy = f"{hint}rename it in the file or in the mapping{gone}"
                rows = self.series_rows(number, parts[0][0].file)
                problem = f"the column '{column}' is missing, so '{name}' was not ingested from this file"
                self.wait(name, number, "missing_column", rows, field=field, problem=problem, remedy=remedy, file=file)
                return False
            if near or (field not in absent and field != column):
                remedy = f"{hint}if it is meant, map {field} to it" if near else "take it off the mapping"
                self.report.warnings.append(
                    BadInput(f"there is no column '{column}'", file=file.path, line=1, field=field, remedy=remedy)
                )
        return True

    def _filled_before(self, name: str, number: int, fields: list[str]) -> set[str]:
        """Which canonical columns an earlier export of this run brings with values under their own names."""
        found: set[str] = set()
        for part in self.mapping.objects[name].parts:
            earlier = [other for other in self.exports if other < number and (other, part.file) in self.files]
            for field in fields:
                spec = part.fields.get(field)
                names = spec.column if spec else (field,)
                with_it = [other for other in earlier if any(self.files[other, part.file].has(n) for n in names)]
                if not with_it:
                    continue
                series = self.series(part.file)
                columns = [column for n in names if (column := series.column(n))]
                filled = " or ".join(f"trim({column}) <> ''" for column in columns)
                before = ", ".join(map(str, with_it))
                query = f"select 1 from {series.table} where _export in ({before}) and ({filled}) limit 1"
                if self.con.execute(query).fetchall():
                    found.add(field)
        return found

    def series_rows(self, number: int, file: str) -> int:
        return self.series(file).files[number].rows

    # Reporting -----------------------------------------------------------------------
    def number_of(self, export: Export) -> int:
        return next(number for number, other in self.exports.items() if other is export)

    def wait(
        self,
        name: str,
        number: int,
        reason: str,
        rows: int,
        *,
        field: str = "",
        problem: str = "",
        remedy: str = "",
        file: CsvFile | None = None,
    ) -> None:
        """The whole object of an export waits: one row in quarantine, one error, all its rows counted."""
        export = self.exports[number]
        path = file.path if file else export.files[self.mapping.objects[name].file]
        raw = json.dumps({"rows": rows, "exported_at": export.exported_at.isoformat(), "full": export.full})
        waiting = Waiting(name, export.label(path), None, field, reason, raw, problem, remedy)
        self.quarantine.add([waiting])
        report = ObjectReport(name, rows_read=rows)
        report.wait(reason, rows)
        self.report.count(report)
        told, help_ = SENTENCES[reason]
        self.report.errors.append(
            BadInput(
                f"{name}: {problem or told}",
                file=path,
                line=1 if field else None,
                field=field or None,
                remedy=remedy or help_,
            )
        )

    def _unusable(self, name: str, number: int, error: BadInput) -> None:
        path = Path(str(error.file))
        label = self.exports[number].label(path)
        raw = json.dumps({"exported_at": self.exports[number].exported_at.isoformat()})
        self.quarantine.add(
            [Waiting(name, label, None, error.field or "", "unreadable_file", raw, error.problem, error.remedy or "")]
        )
        self.report.errors.append(error)
        self.report.count(ObjectReport(name))

    def _bad_lines(self, name: str, number: int, file: CsvFile) -> None:
        if not file.bad_lines:
            return
        label = self.exports[number].label(file.path)
        report = ObjectReport(name, rows_read=len(file.bad_lines))
        for bad in file.bad_lines:
            report.wait(bad.reason, 1)
        self.report.count(report)
        self.quarantine.add([Waiting.of_line(name, label, bad.line, bad.reason, bad.cells) for bad in file.bad_lines])
        first = file.bad_lines[0]
        self.report.errors.append(
            BadInput(
                f"{len(file.bad_lines)} lines are no rows ({first.reason}): they wait in quarantine, the others were read, "
                "and nothing is taken as deleted",
                file=file.path,
                line=first.line,
                remedy=SENTENCES[first.reason][1],
            )
        )

    def close(self) -> None:
        for series in self._loaded.values():
            drop_series(self.con, series)


def _shape(path: Path) -> Shape | BadInput:
    try:
        return look_at(path)
    except BadInput as error:
        return error
