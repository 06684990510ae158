"""dbt from a shell: one build of the workshop in this process, and its results as recorded checks."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from closedloop.errors import ClosedLoopError
from closedloop.ledger import Ledger
from closedloop.ledger import builds as ledger_builds
from closedloop.settings import REPO, Settings
from orchestration.build import claim_workshop

PASSED = {"success", "pass", "warn", "no-op"}


class DbtFailed(ClosedLoopError):
    """dbt stopped before it could say what each model and test gave."""


def target_dir(settings: Settings) -> Path:
    """Where dbt leaves manifest and results of the builds of this home."""
    return settings.home / "dbt"


def dbt_environment(settings: Settings) -> dict[str, str]:
    """What profiles.yml and dbt_project.yml ask of the environment."""
    return {"CLOSEDLOOP_HOME": str(settings.home.resolve()), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}


def run_dbt(settings: Settings, build_id: str, *, now: dt.datetime) -> bool:
    """Build and test every model of the workshop; True when everything passed. Raises Busy, Refused, DbtFailed."""
    from dbt.cli.main import dbtRunner

    claim_workshop(settings, build_id)
    os.environ.update(dbt_environment(settings))
    target = target_dir(settings)
    result = dbtRunner().invoke(
        [
            "build", "--exclude-resource-type", "unit_test", "--target", "build", "--quiet",
            "--project-dir", str(REPO), "--profiles-dir", str(REPO), "--target-path", str(target),
        ]
    )  # fmt: skip
    results_file = target / "run_results.json"
    if result.result is None or not results_file.exists():
        raise DbtFailed(f"dbt did not run: {result.exception or 'see the dbt log'}")
    return record_dbt_results(
        settings,
        build_id,
        json.loads(results_file.read_text())["results"],
        json.loads((target / "manifest.json").read_text()),
        now=now,
    )


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
