"""The first step of a build: what it stands on becomes fixed, and shows in the graph as the lake's other tables."""

import json
from collections.abc import Iterator
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetSpec,
    Config,
    MaterializeResult,
    MetadataValue,
    ResourceParam,
    multi_asset,
)
from pydantic import Field

from closedloop.errors import Refused
from closedloop.settings import Settings
from orchestration.common import catalogue as names
from orchestration.common.failures import RETRIES, failures_told_apart
from orchestration.common.platform import Platform
from orchestration.dagster_home import POOL


class BuildTimes(Config):
    """Two clocks and a receipt; all empty for an ordinary build."""

    as_of: str = Field(default="", description="What had happened by then (UTC date or time). Empty: now.")
    known_at: str = Field(default="", description="What we had learned by then (UTC date or time). Empty: now.")
    like: str = Field(default="", description="Id of a publication to make again: its times and its cut of the lake.")


_EXPORTED = {
    "ledger.evaluations": "One row per sealed evaluation: when proposals became decisions, and on what publication.",
    "ledger.decisions": "Every sealed decision, ask or skip, with the rule that decided. It never changes.",
    "ledger.events": "All that happened: sent, delivered, opened, clicked, answered, unsubscribed, followed up.",
    "ledger.publications": "One row per publication: what each published number stands on.",
}


def _specs() -> list[AssetSpec]:
    common: dict[str, Any] = {"group_name": names.LAKE, "owners": [names.DATA_ENGINEERS], "kinds": {"iceberg"}}
    ledger = [
        AssetSpec(names.lake_key(table), deps=[names.LEDGER], description=text, **common)
        for table, text in _EXPORTED.items()
    ]
    definitions = AssetSpec(
        names.lake_key(names.DEFINITIONS),
        deps=[names.SURVEY_FILES],
        description="Every version of every survey programme, with the time from which we knew it.",
        **common,
    )
    before = [*names.CRM_TABLES, names.ARRIVALS, names.RESPONSES, names.QUARANTINE]
    context = AssetSpec(
        names.CONTEXT,
        deps=[*(names.lake_key(table) for table in before), *(spec.key for spec in ledger), definitions.key],
        group_name=names.WORKSHOP,
        owners=[names.DATA_ENGINEERS],
        kinds={"duckdb"},
        description="What this build stands on, in one row: `as_of` (what had happened), `known_at` (what we had "
        "learned), the cut of the lake (one snapshot per table) and the hash of the programmes. Every model reads it, "
        "none reads a clock, so that any number can be made again.",
    )
    return [*ledger, definitions, context]


@multi_asset(name="start_build", specs=_specs(), pool=POOL, retry_policy=RETRIES)
def start_build(
    context: AssetExecutionContext, config: BuildTimes, platform: ResourceParam[Platform]
) -> Iterator[MaterializeResult]:
    """Take programmes and the ledger's news into the lake, fix the cut, and open a fresh workshop for dbt."""
    from orchestration import work

    settings, now = platform.settings, platform.now()
    with failures_told_apart():
        if config.like:
            build = work.repeat_build(settings, config.like, now=now)
        else:
            build = work.start_build(
                settings,
                as_of=platform.time(config.as_of, field="as_of") if config.as_of else now,
                known_at=platform.time(config.known_at, field="known_at") if config.known_at else now,
                now=now,
            )
    for table in (*names.LEDGER_TABLES, names.DEFINITIONS):
        yield MaterializeResult(
            asset_key=names.lake_key(table),
            metadata={"build_id": build.build_id, "snapshot_id": str(build.cut.get(table, "no rows yet"))},
        )
    yield MaterializeResult(
        asset_key=names.CONTEXT,
        metadata={
            "build_id": build.build_id,
            "as_of": MetadataValue.timestamp(build.as_of),
            "known_at": MetadataValue.timestamp(build.known_at),
            "tables_in_cut": len(build.cut),
            "definitions_hash": build.definitions_hash[:12],
            "code_version": build.code_version,
            "cut": MetadataValue.json(json.loads(json.dumps({k: str(v) for k, v in build.cut.items()}))),
        },
    )


def current_build(settings: Settings) -> dict[str, Any]:
    """The ledger's row of the build that owns the workshop. Raises Refused when there is none."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.builds import get_build
    from orchestration.build import owner_of

    build_id = owner_of(settings.build_dir / "marts.duckdb")
    if build_id is None:
        raise Refused("the workshop is empty; start with the step `start_build`")
    with Ledger.open(settings) as ledger:
        return get_build(ledger, build_id)
