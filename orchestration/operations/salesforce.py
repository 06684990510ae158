"""Salesforce read on a schedule, where it is set up."""

from dagster import (
    AssetMaterialization,
    Config,
    DefaultScheduleStatus,
    OpExecutionContext,
    ResourceParam,
    RunRequest,
    ScheduleEvaluationContext,
    SkipReason,
    job,
    op,
    schedule,
)
from pydantic import Field

from orchestration.common import catalogue as names
from orchestration.common.failures import RETRIES, failures_told_apart
from orchestration.common.platform import Platform

INGEST_SALESFORCE = "ingest_salesforce_job"


class FromSalesforce(Config):
    """How much to read."""

    full: bool = Field(default=False, description="Everything, not only what changed since the last time.")
    objects: list[str] = Field(
        default=[], description="Only these objects of the mapping, such as account. Empty: all."
    )


@op(retry_policy=RETRIES)
def read_salesforce(context: OpExecutionContext, config: FromSalesforce, platform: ResourceParam[Platform]) -> None:
    """Read what changed in Salesforce into the lake; it goes on where the lake ends."""
    from orchestration import work

    with failures_told_apart():
        report = work.ingest_salesforce(
            platform.settings,
            clock=platform.clock,
            full=config.full,
            only=config.objects,
            progress=context.log.info,
        )
    for warning in report.warnings:
        context.log.warning(warning)
    if report.stopped:
        context.log.warning(f"stopped: {report.stopped}; the next run goes on from there")
    for name, count in report.fetched.items():
        if count:
            key = names.lake_key(f"crm.{name}")
            context.log_event(AssetMaterialization(key, metadata={"fetched": count}))


@job(name=INGEST_SALESFORCE, description="Read what changed in Salesforce into the lake.")
def ingest_salesforce() -> None:
    read_salesforce()


@schedule(
    job_name=INGEST_SALESFORCE,
    cron_schedule="*/15 * * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Every 15 minutes what changed in Salesforce, where CLOSEDLOOP_SALESFORCE_URL is set.",
)
def salesforce_changes(
    context: ScheduleEvaluationContext, platform: ResourceParam[Platform]
) -> RunRequest | SkipReason:
    if not platform.settings.salesforce_url:
        return SkipReason("no Salesforce is set")
    return RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M}")
