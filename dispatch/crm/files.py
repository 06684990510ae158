"""The sink of who has no connection to the CRM: files that a data loader imports, one folder for each batch."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from closedloop.spreadsheets import cell
from dispatch.crm.sink import Outcome, Record, SinkDown

MANIFEST = "batch.json"


class FileSink:
    """`<folder>/<batch>/<Object>.<kind>.csv`, to be upserted by the first column; a folder is there as a whole or not at all."""

    name = "files"
    batch = 1_000

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, batch: int, records: Sequence[Record]) -> list[Outcome]:
        """Write a batch, in place of what a process that died has left of it. Raises SinkDown when the disk takes nothing."""
        wanted, draft = self._folder / f"{batch:06}", self._folder / f".{batch:06}"
        try:
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            counts = {}
            for name, some in _by_file(records).items():
                _write(draft / name, some)
                counts[name] = len(some)
            (draft / MANIFEST).write_text(json.dumps({"batch": batch, "records": counts}, indent=1) + "\n")
            _sync(draft / MANIFEST)
            _sync(draft)
            shutil.rmtree(wanted, ignore_errors=True)
            os.replace(draft, wanted)
            _sync(self._folder)
        except OSError as error:
            raise SinkDown(f"the files cannot be written ({(error.strerror or 'disk').lower()})") from None
        return [Outcome("done")] * len(records)


def _by_file(records: Sequence[Record]) -> dict[str, list[Record]]:
    """A loader wants the same columns in all rows of a file."""
    files: dict[str, list[Record]] = {}
    for record in records:
        files.setdefault(f"{record.object}.{record.kind}.csv", []).append(record)
    return files


def _write(path: Path, records: Sequence[Record]) -> None:
    fields = list(records[0].fields)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow([records[0].key, *fields])
        for record in records:
            writer.writerow([cell(_text(value)) for value in (record.key_value, *record.fields.values())])
        file.flush()
        os.fsync(file.fileno())


def _text(value: object) -> str:
    """As a data loader reads it."""
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
