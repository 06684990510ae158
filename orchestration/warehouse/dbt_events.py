"""dbt in this process, and what it did as Dagster events.

dagster-dbt's own resource starts dbt three times as a program (its version, its adapter, the command): seconds that a run in
a warm process needn't pay. Here dbt is called once through its programmatic interface, and its results go through the same
event classes of dagster-dbt, so that assets and checks look the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagster import AssetExecutionContext
from dagster_dbt.asset_utils import (
    DAGSTER_DBT_EXCLUDE_METADATA_KEY,
    DAGSTER_DBT_SELECT_METADATA_KEY,
    DAGSTER_DBT_SELECTOR_METADATA_KEY,
    get_subset_selection_for_context,
)
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage
from dagster_dbt.dagster_dbt_translator import DagsterDbtTranslator

from closedloop.settings import REPO, Settings
from orchestration.dbt import DbtFailed, dbt_environment

_RESULTS = {"LogModelResult", "LogSeedResult", "LogSnapshotResult", "LogTestResult"}


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


def target_arguments(settings: Settings, target: Path) -> list[str]:
    """Where dbt finds the project and leaves its artifacts. The environment of this process is set, too."""
    os.environ.update(dbt_environment(settings))
    return ["--project-dir", str(REPO), "--profiles-dir", str(REPO), "--target-path", str(target), "--target", "build"]


def build(settings: Settings, target: Path, *, selection: Sequence[str] = (), quiet: bool = False) -> DbtBuild:
    """Build and test the workshop at `settings.home`, without unit tests (they judge the code, not the data).

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
            *["build", "--exclude-resource-type", "unit_test", *selection, *target_arguments(settings, target)],
            *["--log-path", str(settings.home / "logs" / "dbt"), "--log-level-file", "info"],
        ]
    )
    close_connections()
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
        ["--quiet", "parse", *target_arguments(settings, target), "--log-path", str(settings.home / "logs" / "dbt")]
    )
    close_connections()
    if not result.success:
        raise DbtFailed(f"the dbt project cannot be read: {result.exception}")


def close_connections() -> None:
    """Let go of the DuckDB files: dbt keeps them open as long as its process lives, and no reader could come in."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.adapters.factory import reset_adapters

    environment = DuckDBConnectionManager._ENV
    if environment is not None:
        environment.close()
        DuckDBConnectionManager._ENV = None
    reset_adapters()


def selection_of(
    context: AssetExecutionContext, manifest: Mapping[str, Any], translator: DagsterDbtTranslator
) -> list[str]:
    """dbt's arguments for the models and tests that this run selected; none when it is all of them."""
    tags = context.op.tags
    arguments, indirect = get_subset_selection_for_context(
        context=context,
        manifest=manifest,
        select=tags.get(DAGSTER_DBT_SELECT_METADATA_KEY),
        exclude=tags.get(DAGSTER_DBT_EXCLUDE_METADATA_KEY),
        selector=tags.get(DAGSTER_DBT_SELECTOR_METADATA_KEY),
        dagster_dbt_translator=translator,
        current_dbt_indirect_selection_env=None,
    )
    return [*arguments, *(["--indirect-selection", indirect] if indirect else [])]


def dagster_events(
    found: DbtBuild,
    *,
    context: AssetExecutionContext,
    manifest: Mapping[str, Any],
    translator: DagsterDbtTranslator,
) -> Iterator[Any]:
    """One event for each model built (Output), and for each test (AssetCheckResult)."""
    for event in found.events:
        yield from DbtCoreCliEventMessage(raw_event=event, event_history_metadata={}).to_default_asset_events(
            manifest=manifest, dagster_dbt_translator=translator, context=context
        )
