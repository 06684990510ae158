"""The product as a user has it: its command line in processes of its own, one home, and what must hold for every call."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb

from closedloop.lake import Lake
from closedloop.settings import Settings

PERSONAL = "Zaphod"
"""Stands in every name, address and text that tests treat as personal; no message may repeat it."""


class CommandLine:
    """Runs commands in a home of its own. `environment` holds further settings for all of them."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CLOSEDLOOP_")},
            "CLOSEDLOOP_HOME": str(home),
            **environment,
        }

    def command(self, *words: object) -> list[str]:
        return [sys.executable, "-m", "orchestration.cli", *map(str, words)]

    def run(self, *words: object, code: int = 0, timeout: float = 120, **environment: str) -> Any:
        """The finished process. Its exit code must be `code`; no traceback and nothing personal may be shown."""
        done = subprocess.run(
            self.command(*words),
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, done.stderr
        assert PERSONAL.lower() not in done.stderr.lower()
        return done

    def refused(self, *words: object, code: int = 2, **environment: str) -> str:
        """What a command says that must end with an error, and with nothing else."""
        done = self.run(*words, code=code, **environment)
        assert done.stdout == "" and done.stderr.count("error:") == 1, (done.stdout, done.stderr)
        return done.stderr

    def lake(self, query: str) -> list[tuple]:
        """Rows of a query over the lake's views."""
        with Lake.open(Settings(home=self.home, _env_file=None)) as lake, duckdb.connect() as con:
            lake.create_views(con, lake.cut())
            return con.execute(query).fetchall()

    def marts(self, query: str) -> list[tuple]:
        """Rows of a query over the published marts."""
        file = (self.home / "published" / "marts.duckdb").resolve()
        with duckdb.connect(str(file), read_only=True) as con:
            return con.execute(query).fetchall()
