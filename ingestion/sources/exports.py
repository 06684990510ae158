"""Finding the exports in a folder, in the order in which they were taken."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path

from closedloop.clock import parse_time
from closedloop.errors import BadInput
from ingestion.sources.mapping import Mapping

MANIFEST = "export.json"


@dataclass(frozen=True)
class Export:
    """One export: a folder of CSV files. `full` ones list every record, the others only what changed."""

    folder: Path
    exported_at: dt.datetime
    full: bool
    files: dict[str, Path]
    """By the name that the mapping uses."""
    ignored: tuple[Path, ...]

    def label(self, path: Path) -> str:
        """How a file is named in rows and reports: its folder and name, no path of a machine."""
        return f"{self.folder.name}/{path.name}"


def find_exports(folder: Path, mapping: Mapping) -> list[Export]:
    """The export that `folder` is, or else those in its subfolders, oldest first.

    Raises BadInput when there is none, or an `export.json` is wrong.
    """
    if not folder.is_dir():
        raise BadInput("no such folder", file=folder, remedy="give the folder that holds the exported CSV files")
    single = _export(folder, mapping)
    found = (
        [single]
        if single
        else [export for path in sorted(folder.iterdir()) if path.is_dir() and (export := _export(path, mapping))]
    )
    if not found:
        expected = ", ".join(sorted(mapping.files)[:4])
        raise BadInput(
            f"no export here: neither the folder nor one in it has a file of the mapping '{mapping.name}'",
            file=folder,
            remedy=f"put files such as {expected} there, or choose another mapping",
        )
    return sorted(found, key=lambda export: (export.exported_at, export.folder.name))


def _export(folder: Path, mapping: Mapping) -> Export | None:
    present = {path.name.casefold(): path for path in sorted(folder.iterdir()) if path.is_file()}
    files = {name: present[name.casefold()] for name in sorted(mapping.files) if name.casefold() in present}
    manifest = folder / MANIFEST
    if not files and not manifest.exists():
        return None
    used = {path.name for path in files.values()}
    ignored = tuple(path for path in present.values() if path.suffix.lower() == ".csv" and path.name not in used)
    if manifest.exists():
        exported_at, full = _read_manifest(manifest)
    else:
        newest = max(path.stat().st_mtime for path in files.values())
        exported_at, full = dt.datetime.fromtimestamp(int(newest), dt.UTC), True
    return Export(folder, exported_at, full, files, ignored)


def _read_manifest(path: Path) -> tuple[dt.datetime, bool]:
    remedy = 'write {"exported_at": "2026-11-01T02:00:00Z", "mode": "full"}; mode is full or delta'
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(
            "cannot be read as JSON", file=path, line=getattr(error, "lineno", None), remedy=remedy
        ) from None
    if not isinstance(facts, dict):
        raise BadInput("holds no JSON object", file=path, line=1, remedy=remedy)
    try:
        exported_at = parse_time(str(facts["exported_at"]))
    except (KeyError, ValueError):
        raise BadInput("is missing or no ISO time", file=path, field="exported_at", remedy=remedy) from None
    if facts.get("mode", "full") not in ("full", "delta"):
        raise BadInput("is neither full nor delta", file=path, field="mode", remedy=remedy)
    return exported_at, facts.get("mode", "full") == "full"
