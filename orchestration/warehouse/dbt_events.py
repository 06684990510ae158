"""What dbt did, as Dagster events.

dagster-dbt's own resource starts dbt three times as a program (its version, its adapter, the command): seconds that a run in
a warm process needn't pay. `orchestration.dbt` calls dbt once in this process; its results go through the same event
classes of dagster-dbt, so that assets and checks look the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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

from orchestration.dbt import DbtBuild


def selection_of(
    context: AssetExecutionContext, manifest: Mapping[str, Any], translator: DagsterDbtTranslator
) -> list[str]:
    """dbt's arguments for the models and tests that this run selected."""
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
