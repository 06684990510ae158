"""Records that change over time, and the exports that a CRM would have written of them on the way.

A column is a function of (record, time); a version only says when to look again. So nothing is filled forward, and
the past is the same whoever asks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from demo.columns import NEVER, flags, record_ids, times

CHUNK = 100_000
"""Rows that are text at the same time; what bounds the memory of a large company."""

Columns = Mapping[str, pa.Array]


@dataclass(frozen=True)
class Versions:
    """One row per record and moment at which it was created, changed or deleted, in that order. Epoch seconds."""

    record: np.ndarray
    at: np.ndarray
    deleted: np.ndarray

    def upto(self, until: int, *, since: int | None = None) -> np.ndarray:
        """Rows of an export at `until`: with `since` those changed after it, deletions too; else all that live."""
        last_known = np.ones(len(self.at), bool)
        last_known[:-1] = (self.record[1:] != self.record[:-1]) | (self.at[1:] > until)
        chosen = last_known & (self.at <= until)
        return np.flatnonzero(chosen & ~self.deleted if since is None else chosen & (self.at > since))


def versions_of(created: np.ndarray, *changes: np.ndarray, deleted: np.ndarray | None = None, until: int) -> Versions:
    """Versions of `len(created)` records. Each of `changes` holds one moment per record (or a matrix of them).

    Moments outside a record's life, and those after `until`, do not happen.
    """
    count = len(created)
    deleted = np.full(count, NEVER) if deleted is None else deleted
    numbers = np.arange(count)
    records, moments, gone = [numbers], [created], [np.zeros(count, bool)]
    for change in changes:
        matrix = change.reshape(count, -1)
        moment = matrix.ravel()
        record = np.repeat(numbers, matrix.shape[1])
        alive = (moment > created[record]) & (moment < deleted[record]) & (moment <= until)
        records.append(record[alive])
        moments.append(moment[alive])
        gone.append(np.zeros(int(alive.sum()), bool))
    dies = (deleted <= until) & (deleted > created)
    records.append(numbers[dies])
    moments.append(deleted[dies])
    gone.append(np.ones(int(dies.sum()), bool))

    record, at, removed = np.concatenate(records), np.concatenate(moments), np.concatenate(gone)
    order = np.lexsort((removed, at, record))
    record, at, removed = record[order], at[order], removed[order]
    fresh = np.ones(len(at), bool)
    fresh[:-1] = (record[1:] != record[:-1]) | (at[1:] != at[:-1])
    fresh &= at <= until
    return Versions(record[fresh], at[fresh], removed[fresh])


@dataclass(frozen=True)
class CrmObject:
    """One object of the CRM: who existed when, and what its fields say at a moment."""

    name: str
    created: np.ndarray
    versions: Versions
    fields: Callable[[np.ndarray, np.ndarray], Columns]
    """(records, moments) to the text of all fields but Id, CreatedDate, SystemModstamp and IsDeleted."""


@dataclass(frozen=True)
class Export:
    """One export: `since` is the one before it for a delta, None for a full one. Epoch seconds, UTC."""

    at: int
    since: int | None

    @property
    def folder(self) -> str:
        return f"{datetime.fromtimestamp(self.at, UTC):%Y-%m-%d}-{'full' if self.since is None else 'delta'}"


def write_export(folder: Path, export: Export, objects: list[CrmObject]) -> dict[str, int]:
    """Write one folder of CSV files with its export.json; rows per object. A delta has no file for what rests."""
    home = folder / export.folder
    home.mkdir(parents=True, exist_ok=True)
    rows = {}
    for item in objects:
        chosen = item.versions.upto(export.at, since=export.since)
        rows[item.name] = len(chosen)
        if len(chosen) or export.since is None:
            _write_file(home / f"{item.name}.csv", item, chosen)
    facts = {
        "exported_at": f"{datetime.fromtimestamp(export.at, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "mode": "full" if export.since is None else "delta",
    }
    (home / "export.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return rows


def _write_file(path: Path, item: CrmObject, chosen: np.ndarray) -> None:
    writer = None
    for start in range(0, max(len(chosen), 1), CHUNK):
        table = _table(item, chosen[start : start + CHUNK])
        writer = writer or csv.CSVWriter(str(path), table.schema)
        writer.write_table(table)
    writer.close()


def _table(item: CrmObject, chosen: np.ndarray) -> pa.Table:
    record, at = item.versions.record[chosen], item.versions.at[chosen]
    return pa.table(
        {
            "Id": record_ids(item.name, record),
            **item.fields(record, at),
            "CreatedDate": times(item.created[record]),
            "SystemModstamp": times(at),
            "IsDeleted": flags(item.versions.deleted[chosen]),
        }
    )
