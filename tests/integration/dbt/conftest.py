"""dbt as a program of its own, on a warehouse of a test."""

from __future__ import annotations

import datetime as dt
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pytest

ROOT = Path(__file__).resolve().parents[3]


def _module(name: str) -> ModuleType:
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"dbt_{name}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def company() -> ModuleType:
    """The module that says who works where and what happened."""
    return _module("company")


@dataclass
class Workshop:
    """A home with a dev target, and dbt to build it."""

    home: Path
    warehouse: ModuleType

    def fill(
        self,
        rows: Mapping[str, Iterable[dict[str, object]]],
        *,
        as_of: dt.datetime,
        known_at: dt.datetime | None = None,
    ) -> None:
        """A new warehouse with these rows; times are naive UTC."""
        for file in self.home.glob("dev*.duckdb*"):
            file.unlink()
        self.warehouse.make_warehouse(self.home / "dev.duckdb", as_of=as_of, known_at=known_at, rows=rows)

    def dbt(self, *arguments: str) -> str:
        """Run dbt and return what it printed; a failed run fails the test."""
        done = subprocess.run(
            [
                *[sys.executable, "-c", "from dbt.cli.main import cli; cli()", *arguments, "--target", "dev"],
                *["--project-dir", str(ROOT), "--profiles-dir", str(ROOT)],
                *["--target-path", str(self.home / "target"), "--log-path", str(self.home / "logs")],
            ],
            env={**os.environ, "CLOSEDLOOP_HOME": str(self.home)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.home / "dev-marts.duckdb"), read_only=True) as con:
            return con.execute(sql).fetchall()

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all marts, in an order of their own."""
        names = self.query("select table_name from information_schema.tables where table_schema = 'marts'")
        return {name: sorted(self.query(f"select * from marts.{name}"), key=repr) for (name,) in names}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"), _module("warehouse"))


@pytest.fixture(scope="module")
def built(workshop: Workshop, company: ModuleType) -> Workshop:
    """The company's marts, all data tests and unit tests passed."""
    workshop.fill(company.rows(), as_of=company.AS_OF)
    workshop.dbt("build")
    return workshop
