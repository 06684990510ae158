"""What follows a checked build: the publication, the decisions, and the reports of a past day."""

import datetime as dt
import time
from collections.abc import Iterable

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    Config,
    DailyPartitionsDefinition,
    Failure,
    MaterializeResult,
    MetadataValue,
    ResourceParam,
    asset,
)
from pydantic import Field

from closedloop.clock import as_utc
from closedloop.errors import BadInput
from orchestration.common import catalogue as names
from orchestration.common.failures import RETRIES, failures_told_apart
from orchestration.common.platform import Platform
from orchestration.dagster_home import POOL

DAYS = DailyPartitionsDefinition(start_date="2024-01-01", timezone="UTC")


def publication(marts: Iterable[AssetKey]) -> AssetsDefinition:
    """The asset `publication`, after all marts."""

    @asset(
        key=names.PUBLICATION,
        deps=list(marts),
        group_name=names.SHOP_WINDOW,
        owners=[names.DATA_ENGINEERS],
        kinds={"duckdb"},
        pool=POOL,
        retry_policy=RETRIES,
        description="The marts become what readers see, in one atomic step with an audit row. It refuses unless every "
        "required check of exactly this build is recorded as passed; until then readers keep the last good one. BI "
        "tools and the dashboard open `published/marts.duckdb`.",
    )
    def publish_marts(context: AssetExecutionContext, platform: ResourceParam[Platform]) -> MaterializeResult:
        from orchestration.publish import publish
        from orchestration.warehouse.workshop import current_build

        settings = platform.settings
        began = time.monotonic()
        with failures_told_apart():
            build = current_build(settings)
            publication_id = publish(settings, build["build_id"], now=platform.now())
        file = settings.published_dir / f"marts-{publication_id}.duckdb"
        return MaterializeResult(
            metadata={
                "publication_id": publication_id,
                "as_of": MetadataValue.timestamp(build["as_of"]),
                "known_at": MetadataValue.timestamp(build["known_at"]),
                "file": MetadataValue.path(str(file)),
                "megabytes": round(file.stat().st_size / 1e6, 1),
                "seconds": round(time.monotonic() - began, 2),
            }
        )

    return publish_marts


class Seal(Config):
    """Which proposals become decisions."""

    publication_id: str = Field(default="", description="Id of the publication. Empty: the newest one.")


@asset(
    key=names.SEALED,
    deps=[names.PUBLICATION],
    group_name=names.SHOP_WINDOW,
    owners=[names.CUSTOMER_TEAM],
    kinds={"sqlite"},
    retry_policy=RETRIES,
    description="The proposals of the newest publication (`marts/survey_queue`) become facts of the ledger: asks, whose "
    "messages now wait to be sent, and skips, each with the rule that decided. Sealed once, never changed.",
)
def sealed_decisions(
    context: AssetExecutionContext, config: Seal, platform: ResourceParam[Platform]
) -> MaterializeResult:
    from orchestration import work

    began = time.monotonic()
    with failures_told_apart():
        sealed = work.seal(platform.settings, config.publication_id or None, now=platform.now())
    return MaterializeResult(
        metadata={"asks": sealed.asks, "skips": sealed.skips, "seconds": round(time.monotonic() - began, 2)}
    )


class PastDay(Config):
    """What is taken as known of a past day."""

    known: str = Field(
        default="now",
        description="'now': with all that we have learned since. 'then': only with what we knew at the end of that day.",
    )


@asset(
    key=AssetKey(["history", "reports_of_day"]),
    deps=[names.lake_key(table) for table in ("crm.account", "crm.contact", "ledger.events", names.RESPONSES)],
    group_name=names.SHOP_WINDOW,
    owners=[names.ANALYSTS],
    kinds={"duckdb", "parquet"},
    partitions_def=DAYS,
    retry_policy=RETRIES,
    description="All reports (`rpt_*`) as they stood at the end of a past day, built again from today's lake in a "
    "workshop of its own: nothing is published, sealed or sent. Kept as Parquet in `published/history/days/`.",
)
def reports_of_day(
    context: AssetExecutionContext, config: PastDay, platform: ResourceParam[Platform]
) -> MaterializeResult:
    from orchestration.warehouse.past_day import build_day

    end = as_utc(dt.datetime.fromisoformat(context.partition_key)) + dt.timedelta(days=1)
    with failures_told_apart():
        if config.known not in {"now", "then"}:
            raise BadInput(f"'{config.known}' is neither 'now' nor 'then'", field="known", remedy="use one of the two")
        now = platform.now()
        found = build_day(
            platform.settings,
            context.partition_key,
            as_of=min(end, now),
            known_at=min(end, now) if config.known == "then" else now,
            quiet=platform.quiet,
        )
    if found.failed:
        raise Failure(
            description=f"{len(found.failed)} model(s) or check(s) failed for this day; its reports are not kept",
            metadata={"failed": MetadataValue.md("\n".join(f"- `{name}`" for name in found.failed))},
            allow_retries=False,
        )
    return MaterializeResult(
        metadata={
            "folder": MetadataValue.path(str(found.folder)),
            "reports": found.reports,
            "dagster/row_count": found.rows,
            "seconds": round(found.seconds, 1),
        }
    )
