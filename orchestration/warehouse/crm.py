"""CRM exports into the lake."""

import time
from collections.abc import Iterator
from pathlib import Path

from dagster import (
    AssetExecutionContext,
    AssetMaterialization,
    AssetSpec,
    Config,
    MaterializeResult,
    ResourceParam,
    multi_asset,
)
from pydantic import Field

from ingestion.sources.report import CrmReport
from orchestration.common import catalogue as names
from orchestration.common.failures import RETRIES, failures_told_apart
from orchestration.common.platform import Platform
from orchestration.common.sensing import WORK_TAG
from orchestration.warehouse.drop_folder import export_files, name_of_files, places


class CrmExport(Config):
    """Which export, read by which mapping."""

    folder: str = Field(
        default="", description="Export folder, or a folder of them. Empty: the drop folder of the home."
    )
    mapping: str = Field(default="", description="Field mapping (YAML). Empty: the setting CLOSEDLOOP_MAPPING.")


_SPECS = [
    AssetSpec(
        names.lake_key(table),
        deps=[names.CRM_EXPORTS],
        group_name=names.LAKE,
        owners=[names.DATA_ENGINEERS],
        kinds={"iceberg"},
        skippable=True,
        description=f"Every version of every `{table.split('.')[1]}` that an export brought: text columns as they came, "
        "with when the source changed it and when we learned it. A full export adds only what changed.",
    )
    for table in names.CRM_TABLES
] + [
    AssetSpec(
        names.lake_key(names.ARRIVALS),
        deps=[names.CRM_EXPORTS],
        group_name=names.LAKE,
        owners=[names.DATA_ENGINEERS],
        kinds={"iceberg"},
        skippable=True,
        description="Which file of which export was read, known by what is in it: read again, it changes nothing.",
    )
]


@multi_asset(name="ingest_crm", specs=_SPECS, retry_policy=RETRIES)
def ingest_crm(
    context: AssetExecutionContext, config: CrmExport, platform: ResourceParam[Platform]
) -> Iterator[MaterializeResult]:
    """Read one or several export folders; what cannot be read waits in quarantine, opt-outs take effect at once."""
    from orchestration import work

    settings = platform.settings
    folder = Path(config.folder) if config.folder else settings.exports_dir
    drop = name_of_files(export_files(settings.exports_dir))
    began = time.monotonic()
    with failures_told_apart():
        # A folder that someone names is taken as it is; the drop folder may hold exports at several levels.
        reports = [
            work.ingest_crm(
                settings,
                place,
                now=platform.now(),
                mapping=Path(config.mapping) if config.mapping else None,
                progress=None if platform.quiet else context.log.info,
            )
            for place in ([folder] if config.folder else places(folder) or [folder])
        ]
    report = reports[0]
    for more in reports[1:]:
        merge(report, more)
    if folder.resolve() == settings.exports_dir.resolve():
        # Tells the sensor that just these files are in the lake, whoever started the run.
        context.instance.add_run_tags(context.run_id, {WORK_TAG: drop})
    seconds = round(time.monotonic() - began, 1)
    for fault in [*report.errors, *report.warnings]:
        context.log.warning(str(fault))
    if report.new_in_quarantine:
        context.log_event(
            AssetMaterialization(
                names.lake_key(names.QUARANTINE),
                metadata={"new_rows": report.new_in_quarantine, **report.quarantined},
            )
        )
    yield MaterializeResult(asset_key=names.lake_key(names.ARRIVALS), metadata={"exports": report.exports})
    for name, found in report.objects.items():
        if found.rows_read or found.deleted:
            yield MaterializeResult(
                asset_key=names.lake_key(f"crm.{name}"),
                metadata={
                    "loaded": found.loaded,
                    "unchanged": found.unchanged,
                    "deleted": found.deleted,
                    "quarantined": found.in_quarantine,
                    "seconds_of_the_whole_ingest": seconds,
                },
            )


def merge(report: CrmReport, more: CrmReport) -> None:
    """Add what a further folder gave."""
    report.exports += more.exports
    report.errors += more.errors
    report.warnings += more.warnings
    report.new_in_quarantine += more.new_in_quarantine
    for name, found in more.objects.items():
        if name in report.objects:
            report.objects[name].add(found)
        else:
            report.objects[name] = found
