from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from closedloop.lake import Lake
from ingestion.sources.crm import CrmReport, ingest_crm
from ingestion.sources.mapping import Mapping, load_mapping

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "support"))


@pytest.fixture(scope="session")
def salesforce() -> Mapping:
    return load_mapping(ROOT / "mappings" / "salesforce.yml")


@pytest.fixture(scope="session")
def maven() -> Mapping:
    return load_mapping(ROOT / "mappings" / "maven_crm.yml")


@pytest.fixture
def rows(lake: Lake) -> Callable[[str], list[tuple]]:
    """Runs a query over the lake's views as they are now, times in UTC."""

    def run(query: str) -> list[tuple]:
        with duckdb.connect() as con:
            lake.create_views(con, lake.cut())
            return con.execute(query).fetchall()

    return run


class Exports:
    """Writes exports and ingests them into one lake."""

    def __init__(self, lake: Lake, folder: Path, mapping: Mapping, now: dt.datetime) -> None:
        self.lake, self.folder, self.mapping, self.now = lake, folder, mapping, now

    def write(self, name: str, files: dict[str, str | bytes], *, mode: str = "full", at: str | None = None) -> Path:
        """One export folder. A file's lines are separated by line ends; `name` is its date unless `at` says more."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        for file, text in files.items():
            (folder / file).write_bytes(text if isinstance(text, bytes) else text.encode())
        manifest = {"exported_at": at or f"{name[:10]}T02:00:00Z", "mode": mode}
        (folder / "export.json").write_text(json.dumps(manifest))
        return folder

    def ingest(self, folder: Path | None = None, **options: float) -> CrmReport:
        return ingest_crm(self.lake, folder or self.folder, self.mapping, now=self.now, **options)

    def take(self, name: str, files: dict[str, str | bytes], *, mode: str = "full", at: str | None = None) -> CrmReport:
        """Writes an export and ingests it alone."""
        return self.ingest(self.write(name, files, mode=mode, at=at))


@pytest.fixture
def exports(lake: Lake, tmp_path: Path, salesforce: Mapping, now: dt.datetime) -> Exports:
    return Exports(lake, tmp_path / "exports", salesforce, now)
