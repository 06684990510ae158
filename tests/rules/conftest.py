"""What the rules look at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The dbt project's manifest with compiled SQL; compiling needs no data."""
    home = tmp_path_factory.mktemp("compile")
    done = subprocess.run(
        [
            *[sys.executable, "-c", "from dbt.cli.main import cli; cli()", "--quiet", "compile", "--target", "dev"],
            *["--project-dir", str(ROOT), "--profiles-dir", str(ROOT)],
            *["--target-path", str(home / "target"), "--log-path", str(home / "logs")],
        ],
        env={**os.environ, "CLOSEDLOOP_HOME": str(home)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((home / "target" / "manifest.json").read_text())
