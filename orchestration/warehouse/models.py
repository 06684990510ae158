"""The dbt models as assets, their data tests as checks."""

from collections.abc import Iterator, Mapping
from typing import Any

import duckdb
from dagster import AssetExecutionContext, AssetsDefinition, Failure, MetadataValue, Output, ResourceParam
from dagster_dbt import dbt_assets

from closedloop.ledger import Ledger
from closedloop.ledger.builds import get_publication
from closedloop.settings import Settings
from orchestration import dbt
from orchestration.common.failures import RETRIES, failures_told_apart
from orchestration.common.platform import Platform
from orchestration.dagster_home import POOL
from orchestration.warehouse.project import Translator


def models(manifest: Mapping[str, Any]) -> AssetsDefinition:
    """All models and seeds of the project as one step: one call of dbt builds and tests what was selected."""
    translator = Translator()

    @dbt_assets(manifest=manifest, dagster_dbt_translator=translator, name="dbt_build", pool=POOL, retry_policy=RETRIES)
    def dbt_build(context: AssetExecutionContext, platform: ResourceParam[Platform]) -> Iterator[Any]:
        from orchestration.build import claim_workshop, fail_build
        from orchestration.warehouse import dbt_events
        from orchestration.warehouse.workshop import current_build

        settings = platform.settings
        with failures_told_apart():
            build = current_build(settings)
            claim_workshop(settings, build["build_id"])
            found = dbt.build(
                settings,
                dbt.target_dir(settings),
                selection=dbt_events.selection_of(context, manifest, translator),
                quiet=platform.quiet,
            )
            passed = not found.failed
            if is_published(settings, build["build_id"]):
                # What was published stays as it was checked; this changes the workshop only.
                context.log.info("this build is published already; publish a change by a new build")
            else:
                # Of a part of the models, the others count as not run: such a build is never published.
                passed = dbt.record_dbt_results(
                    settings, build["build_id"], found.results, found.manifest, now=platform.now()
                )
            counts = row_counts(settings)
        for event in dbt_events.dagster_events(found, context=context, manifest=manifest, translator=translator):
            if isinstance(event, Output):
                name = event.metadata["unique_id"].value.rsplit(".", 1)[-1]
                extra = {"dagster/row_count": MetadataValue.int(counts[name])} if name in counts else {}
                yield event.with_metadata({**event.metadata, **extra, "build_id": build["build_id"]})
            else:
                yield event
        if found.failed or (not passed and not context.is_subset):
            with failures_told_apart():
                fail_build(settings, build["build_id"], now=platform.now())
            raise Failure(
                description=f"dbt: {len(found.failed)} model(s) or test(s) failed; nothing is published",
                metadata={"failed": MetadataValue.md("\n".join(f"- `{name}`" for name in found.failed) or "-")},
                allow_retries=False,
            )

    return dbt_build


def is_published(settings: Settings, build_id: str) -> bool:
    """Whether readers see, or saw, this build."""
    with Ledger.open(settings) as ledger:
        return get_publication(ledger, build_id) is not None


def row_counts(settings: Settings) -> dict[str, int]:
    """Rows of each table that dbt built, by name; views are not counted."""
    counts: dict[str, int] = {}
    for file in (settings.warehouse_file, settings.build_dir / "marts.duckdb"):
        if file.exists():
            with duckdb.connect(str(file), read_only=True) as con:
                counts |= dict(con.execute("select table_name, estimated_size from duckdb_tables()").fetchall())
    return counts
