"""A CRM that is asked for what changed: an export like any other, written from the newest row of each object in the lake on.

Where to go on is read from the lake, so that nothing is skipped whatever dies, and nothing has to be remembered. A reader asks
with an overlap, since a transaction that took long commits rows with an older time of modification; what the lake has
already counts as unchanged there.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import duckdb

from closedloop.errors import BadInput, CrmAway
from closedloop.lake import Lake
from closedloop.lake.catalogue import CRM_KEYS, CRM_OBJECTS, CRM_TIMES
from ingestion.sources.exports import MANIFEST
from ingestion.sources.mapping import Mapping as FieldMapping

Progress = Callable[[str], None]

OVERLAP = dt.timedelta(minutes=10)


@dataclass
class Fetched:
    """What was read. `warnings` tell of objects and fields that are not there; `stopped` why the run ended early: what was
    read until then is whole, and the next run goes on from there."""

    records: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    stopped: str | None = None


class ObjectNotThere(Exception):
    """The CRM does not have this object, or does not show it to this user."""


class Reader(Protocol):
    """One CRM as a source."""

    name: str
    """As people know it."""

    def read(self, wanted: Wanted, file: Path) -> int:
        """Write the records of one object that changed, deleted ones among them, to a CSV file; how many. No file when there
        are none. Raises ObjectNotThere; CrmAway when the CRM cannot be used now."""
        ...


@dataclass(frozen=True)
class Wanted:
    """What to read of one object: `api_name` is the CRM's name for it, `since` (UTC) where the lake ends, without the overlap;
    None reads everything. `warn` tells the user."""

    api_name: str
    columns: frozenset[str]
    """The CRM's fields that the mapping reads, in lower case."""
    filled: Mapping[str, tuple[str, ...]]
    """Our columns, each with the CRM's fields that it is filled from."""
    since: dt.datetime | None
    until: dt.datetime
    """When this reading began (UTC). Where a CRM gives no snapshot, what changes later waits for the next reading: else the newest
    time of what was read would hide what changed behind its back."""
    warn: Callable[[str], None]
    tell: Progress

    @property
    def changed_after(self) -> dt.datetime | None:
        """`since` with the overlap."""
        return self.since - OVERLAP if self.since else None

    def compare(self, known: Mapping[str, str]) -> None:
        """Warn of what the models would compute from and the CRM does not have, and of times that are none any more; `known`
        are its fields, each with its type."""
        by_name = {name.casefold(): name for name in known}
        missing, retyped = [], []
        for ours, theirs in self.filled.items():
            found = [by_name[name.casefold()] for name in theirs if name.casefold() in by_name]
            if not found:
                missing.append(ours if ours in theirs else f"{ours} ({', '.join(theirs)})")
            elif ours in CRM_TIMES and not any(known[name] in ("date", "datetime") for name in found):
                retyped.append(ours)
        if missing:
            self.warn(f"{self.api_name}: without {', '.join(sorted(missing))}; what is computed from them stays empty")
        if retyped:
            self.warn(
                f"{self.api_name}: {', '.join(sorted(retyped))}: no date any more; rows where it cannot be read as one wait "
                "in quarantine"
            )


def fetch(
    reader: Reader,
    lake: Lake,
    mapping: FieldMapping,
    folder: Path,
    *,
    now: dt.datetime,
    full: bool = False,
    only: Sequence[str] = (),
    progress: Progress | None = None,
) -> Fetched:
    """Write what changed of the mapping's objects (or of `only` these) to `folder`, as an export that `ingest_crm` reads.

    `full` reads everything that there is, deleted records too, and still deletes nothing by absence. Raises BadInput for an
    object that the mapping demands and the CRM does not show.
    """
    tell, found = progress or (lambda _: None), Fetched()
    since = {} if full else newest_changes(lake)
    folder.mkdir(parents=True, exist_ok=True)
    for file_name, names in _by_file(mapping, only).items():
        file = folder / file_name
        try:
            wanted = _wanted(file_name, names, mapping, since, now, found, tell)
            found.records |= dict.fromkeys(names, reader.read(wanted, file))
        except ObjectNotThere:
            api_name = Path(file_name).stem
            if any(mapping.objects[name].required for name in names):
                raise BadInput(
                    f"{reader.name} shows no object {api_name}",
                    field=names[0],
                    remedy=f"give the user that this runs as read access to it (docs/{reader.name.lower()}.md)",
                ) from None
            found.warnings.append(f"{api_name}: not there, or not to be seen by this user; left out")
        except CrmAway as away:
            file.unlink(missing_ok=True)
            found.stopped = away.reason
            break
    (folder / MANIFEST).write_text(json.dumps({"exported_at": now.isoformat(), "mode": "delta"}))
    return found


def newest_changes(lake: Lake) -> dict[str, dt.datetime]:
    """The newest SystemModstamp that the lake has of each object, UTC."""
    found = {}
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        cut = lake.cut()
        for name in CRM_OBJECTS:
            table = f"crm.{name}"
            if table in cut:
                query = f"select max(try_cast(SystemModstamp as timestamptz)) from ({lake.select(table, cut)})"
                newest = con.execute(query).fetchall()[0][0]
                if newest is not None:
                    found[name] = newest.astimezone(dt.UTC)
    return found


def _by_file(mapping: FieldMapping, only: Collection[str]) -> dict[str, list[str]]:
    """The objects that come from each file: one object of the CRM may give two of ours."""
    files: dict[str, list[str]] = {}
    for name, item in mapping.objects.items():
        if not only or name in only:
            files.setdefault(item.file, []).append(name)
    return files


def _wanted(
    file: str,
    names: Sequence[str],
    mapping: FieldMapping,
    since: Mapping[str, dt.datetime],
    now: dt.datetime,
    found: Fetched,
    tell: Progress,
) -> Wanted:
    filled: dict[str, tuple[str, ...]] = {}
    for name in names:
        fields = mapping.objects[name].fields
        for ours in CRM_OBJECTS[name]:
            theirs = fields[ours].columns if ours in fields else (ours,)
            if theirs and ours not in CRM_KEYS:
                filled[ours] = theirs
    ends = [since.get(name) for name in names]
    return Wanted(
        Path(file).stem,
        frozenset(mapping.columns_of(file)),
        filled,
        None if None in ends else min(end for end in ends if end),
        now,
        found.warnings.append,
        tell,
    )
