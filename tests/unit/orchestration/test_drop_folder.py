"""Where exports lie in the drop folder, and when it counts as changed."""

from __future__ import annotations

import os
from pathlib import Path

from orchestration.warehouse.drop_folder import export_files, name_of_files, places


def put(path: Path, age: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("Id\n1\n")
    os.utime(path, (1_700_000_000 - age, 1_700_000_000 - age))


def test_exports_side_by_side_or_one_by_one(tmp_path: Path) -> None:
    put(tmp_path / "demo" / "2026-01" / "Account.csv", age=50)
    put(tmp_path / "demo" / "2026-02" / "Account.csv", age=40)
    assert places(tmp_path) == [tmp_path / "demo"]
    put(tmp_path / "2026-03-01" / "Account.csv", age=10)
    assert places(tmp_path) == [tmp_path / "demo", tmp_path]
    put(tmp_path / "Account.csv")
    # The folder itself is an export now, so the ingest would not look below it.
    assert set(places(tmp_path)) == {tmp_path / "demo", tmp_path, tmp_path / "2026-03-01"}


def test_the_name_changes_with_the_files_and_only_then(tmp_path: Path) -> None:
    put(tmp_path / "a" / "Account.csv")
    before = name_of_files(export_files(tmp_path))
    assert name_of_files(export_files(tmp_path)) == before
    (tmp_path / "a" / "notes.txt").write_text("not an export")
    assert name_of_files(export_files(tmp_path)) == before
    put(tmp_path / "a" / "Account.csv", age=5)
    assert name_of_files(export_files(tmp_path)) != before
    assert export_files(tmp_path / "missing") == []
