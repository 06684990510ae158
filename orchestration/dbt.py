"""dbt in this process: one build of the workshop, and its results as recorded checks."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from closedloop.errors import ClosedLoopError
from closedloop.ledger import Ledger
from closedloop.ledger import builds as ledger_builds
from closedloop.settings import REPO, Settings
from orchestration.build import claim_workshop

_RESULTS = {"LogModelResult", "LogSeedResult", "LogSnapshotResult", "LogTestResult"}
PASSED = {"success", "pass", "warn", "no-op"}


class DbtFailed(ClosedLoopError):
    """dbt stopped before it could say what each model and test gave."""


def target_dir(settings: Settings) -> Path:
    """Where dbt leaves manifest and results of the builds of this home."""
    return settings.home / "dbt"


def dbt_environment(settings: Settings) -> dict[str, str]:
    """What profiles.yml and dbt_project.yml ask of the environment."""
    return {"CLOSEDLOOP_HOME": str(settings.home.resolve()), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}


@dataclass
class DbtBuild:
    """What one `dbt build` gave: the events of its nodes in the order they ended, and its artifacts."""

    events: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    manifest: dict[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        """Unique ids of the nodes that failed, skipped ones left out."""
        return [row["unique_id"] for row in self.results if row["status"] in {"error", "fail", "runtime error"}]


def run_dbt(settings: Settings, build_id: str, *, now: dt.datetime) -> list[str]:
    """Build and test every model of the workshop and record the results; returns the ids of what failed.

    Raises Busy or Refused when the workshop is not this build's, DbtFailed when dbt could not run.
    """
    claim_workshop(settings, build_id)
    found = build(settings, target_dir(settings), quiet=True)
    passed = record_dbt_results(settings, build_id, found.results, found.manifest, now=now)
    return [] if passed else found.failed or ["a model or test did not run"]


def build(
    settings: Settings,
    target: Path,
    *,
    selection: Sequence[str] = (),
    profile: str = "build",
    quiet: bool = False,
) -> DbtBuild:
    """Build and test the workshop at `settings.home`, without unit tests (they judge the code, not the data).

    `profile` is a target of profiles.yml: `build`, or `replay` for the files of a plan.

    dbt runs in this process, through its programmatic interface: starting it as a program costs seconds.
    Raises DbtFailed when dbt ended before it could say what each node gave; failed nodes are in the result.
    """
    from dbt.cli.main import dbtRunner
    from dbt_common.events.functions import msg_to_dict

    found = DbtBuild()

    def note(message: Any) -> None:
        if message.info.name in _RESULTS:
            found.events.append(msg_to_dict(message))

    results_file = target / "run_results.json"
    results_file.unlink(missing_ok=True)
    result = dbtRunner(callbacks=[note]).invoke(
        [
            *(["--quiet"] if quiet else ["--no-use-colors"]),
            *["build", "--exclude-resource-type", "unit_test", *selection, *_arguments(settings, target, profile)],
            *["--log-path", str(settings.home / "logs" / "dbt"), "--log-level-file", "info"],
        ]
    )
    _close_connections()
    if isinstance(result.exception, KeyboardInterrupt):
        raise result.exception
    if not results_file.exists():
        raise DbtFailed(f"dbt did not run: {result.exception or 'see logs/dbt in the home'}")
    found.results = json.loads(results_file.read_text())["results"]
    found.manifest = json.loads((target / "manifest.json").read_text())
    return found


def parse(settings: Settings, target: Path) -> None:
    """Write manifest.json. Raises DbtFailed with dbt's own words: they name file and line."""
    from dbt.cli.main import dbtRunner

    result = dbtRunner().invoke(
        ["--quiet", "parse", *_arguments(settings, target), "--log-path", str(settings.home / "logs" / "dbt")]
    )
    _close_connections()
    if not result.success:
        raise DbtFailed(f"the dbt project cannot be read: {result.exception}")


def _arguments(settings: Settings, target: Path, profile: str = "build") -> list[str]:
    """Where dbt finds the project and leaves its artifacts. The environment of this process is set, too."""
    os.environ.update(dbt_environment(settings))
    return ["--project-dir", str(REPO), "--profiles-dir", str(REPO), "--target-path", str(target), "--target", profile]


def _close_connections() -> None:
    """Let go of the DuckDB files: dbt keeps them open as long as its process lives, and no reader could come in."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.adapters.factory import reset_adapters

    environment = DuckDBConnectionManager._ENV
    if environment is not None:
        environment.close()
        DuckDBConnectionManager._ENV = None
    reset_adapters()


def record_dbt_results(
    settings: Settings,
    build_id: str,
    results: Iterable[Mapping[str, Any]],
    manifest: Mapping[str, Any],
    *,
    now: dt.datetime,
) -> bool:
    """Record what each model and data test of `manifest` gave in this build; True when all required ones passed.

    A node of the manifest that has no result is a failed check: a partial build is never published.
    """
    status = {result["unique_id"]: str(result["status"]).lower() for result in results}
    failures = {result["unique_id"]: result.get("failures") for result in results}
    checks = []
    for unique_id, node in manifest["nodes"].items():
        if node["resource_type"] not in {"model", "test", "seed", "snapshot"}:
            continue
        if node.get("config", {}).get("enabled") is False:
            continue
        given = status.get(unique_id, "did not run")
        if node.get("config", {}).get("materialized") == "ephemeral" and unique_id not in status:
            continue
        checks.append(
            {
                "name": unique_id,
                "gate": "dbt",
                "required": str(node.get("config", {}).get("severity", "error")).lower() == "error",
                "passed": given in PASSED,
                "details": {"status": given, "failures": failures.get(unique_id)},
            }
        )
    with Ledger.open(settings) as ledger:
        ledger_builds.record_checks(ledger, build_id, checks, now=now)
    return all(check["passed"] for check in checks if check["required"])
