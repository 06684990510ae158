"""The drop folder of CRM exports: what lies there, and a name for it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from orchestration.common.waiting import name_of


def export_files(folder: Path) -> list[Path]:
    """The files of all exports below a folder."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".csv", ".json"} and path.is_file())


def name_of_files(files: Iterable[Path]) -> str:
    """The same for the same files; their times and sizes stand for what is in them, which may be gigabytes."""
    return name_of((path, path.stat().st_size, path.stat().st_mtime_ns) for path in files)


def places(folder: Path) -> list[Path]:
    """The folders below (or this one) that are exports, or hold exports side by side; those with older files first.

    The ingest looks one level deep. People put an export itself into the drop folder, or a folder of exports.
    """
    files = export_files(folder)
    homes = {path.parent for path in files}
    oldest: dict[Path, float] = {}
    for path in files:
        home = path.parent
        place = home if home == folder or home.parent in homes else home.parent
        oldest[place] = min(oldest.get(place, math.inf), path.stat().st_mtime)
    return sorted(oldest, key=lambda place: (oldest[place], place))
