"""Upkeep of the lake: few files instead of many, no snapshots that nobody needs, no files that none names."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from closedloop.lake.files import live_entries, local_path
from closedloop.lake.lake import Lake

if TYPE_CHECKING:
    from pyiceberg.table import Table

SMALL_FILE = 64 * 1024 * 1024
"""Bytes. Larger files are left alone by compaction."""


def compact(lake: Lake, name: str, *, min_files: int) -> int:
    """Replaces the small files of a table by few large ones in one commit; the rows stay the same.

    Does nothing below `min_files` small files. Memory is bounded by some 500 MB of rows at a time.
    """
    from pyiceberg.expressions import AlwaysTrue
    from pyiceberg.io.pyarrow import ArrowScan, _dataframe_to_data_files
    from pyiceberg.table import FileScanTask

    def attempt() -> int:
        table = lake._load(name)
        snapshot = table.current_snapshot() if table is not None else None
        if table is None or snapshot is None:
            return 0
        entries = sorted(live_entries(table, snapshot.snapshot_id), key=lambda entry: entry.sequence_number or 0)
        small = [entry.data_file for entry in entries if entry.data_file.file_size_in_bytes < SMALL_FILE]
        if len(small) < max(min_files, 2):
            return 0
        scan = ArrowScan(table.metadata, table.io, table.schema(), AlwaysTrue())
        batches = scan.to_record_batches([FileScanTask(file) for file in small])
        rows = _reader(table, batches)
        with table.transaction() as transaction, transaction.update_snapshot().overwrite() as rewrite:
            for file in small:
                rewrite.delete_data_file(file)
            for file in _dataframe_to_data_files(transaction.table_metadata, rows, table.io, rewrite.commit_uuid):
                rewrite.append_data_file(file)
        return len(small)

    return lake.retried(name, attempt)


def _reader(table: Table, batches: Iterable[pa.RecordBatch]) -> pa.RecordBatchReader:
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
    return pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in batches))


def expire(lake: Lake, keep: set[int]) -> int:
    """Drops the snapshots that are neither current nor in `keep`. Their files stay until `remove_unreferenced`."""

    def attempt(name: str) -> int:
        table = lake._load(name)
        if table is None:
            return 0
        current = table.current_snapshot()
        needed = keep | ({current.snapshot_id} if current else set())
        old = [snapshot.snapshot_id for snapshot in table.metadata.snapshots if snapshot.snapshot_id not in needed]
        if old:
            table.maintenance.expire_snapshots().by_ids(old).commit()
        return len(old)

    return sum(lake.retried(name, lambda name=name: attempt(name)) for name in lake.tables())


def remove_unreferenced(lake: Lake, *, before: dt.datetime) -> int:
    """Deletes files in the tables' folders that no snapshot refers to and that were last written before `before`.

    `before` is wall time and must lie further back than any commit under way takes (an hour is ample).
    """
    removed = 0
    for name in lake.tables():
        table = lake._load(name)
        if table is None:
            continue
        folder = Path(local_path(table.location()))
        # The listing comes first: what is written after it is not looked at.
        listed = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_mtime < before.timestamp()]
        table.refresh()
        used = _referenced(table)
        for path in listed:
            if str(path) not in used:
                path.unlink(missing_ok=True)
                removed += 1
    return removed


def _referenced(table: Table) -> set[str]:
    """Every file that the table's metadata leads to."""
    locations = {table.metadata_location, *(entry.metadata_file for entry in table.metadata.metadata_log)}
    for snapshot in table.metadata.snapshots:
        locations.add(snapshot.manifest_list)
        locations.update(manifest.manifest_path for manifest in snapshot.manifests(table.io))
        locations.update(entry.data_file.file_path for entry in live_entries(table, snapshot.snapshot_id))
    return {local_path(location) for location in locations}
