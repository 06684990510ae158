"""CRMs that are read on a schedule, each where it is set up."""

from dagster import (
    AssetMaterialization,
    Config,
    DefaultScheduleStatus,
    JobDefinition,
    OpExecutionContext,
    ResourceParam,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    job,
    op,
    schedule,
)
from pydantic import Field

from closedloop.settings import Crm
from orchestration.common import catalogue as names
from orchestration.common.failures import RETRIES, failures_told_apart
from orchestration.common.platform import Platform

CRMS: dict[Crm, tuple[str, str]] = {
    "salesforce": ("Salesforce", "salesforce_url"),
    "hubspot": ("HubSpot", "hubspot_token"),
}
"""Their names, and the setting without which there is none."""


class WhatToRead(Config):
    """How much to read."""

    full: bool = Field(default=False, description="Everything, not only what changed since the last time.")
    objects: list[str] = Field(
        default=[], description="Only these objects of the mapping, such as account. Empty: all."
    )


def _job(crm: Crm, title: str) -> JobDefinition:
    @op(name=f"read_{crm}", description=f"Read what changed in {title} into the lake.", retry_policy=RETRIES)
    def read(context: OpExecutionContext, config: WhatToRead, platform: ResourceParam[Platform]) -> None:
        from orchestration import work

        with failures_told_apart():
            report = work.ingest_changes(
                platform.settings,
                crm,
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

    @job(
        name=f"ingest_{crm}_job",
        description=f"Read what changed in {title} into the lake; it goes on where the lake ends.",
    )
    def ingest() -> None:
        read()

    return ingest


def _schedule(crm: Crm, title: str, setting: str) -> ScheduleDefinition:
    @schedule(
        name=f"{crm}_changes",
        job_name=f"ingest_{crm}_job",
        cron_schedule="*/15 * * * *",
        execution_timezone="UTC",
        default_status=DefaultScheduleStatus.RUNNING,
        description=f"Every 15 minutes what changed in {title}, where CLOSEDLOOP_{setting.upper()} is set.",
    )
    def changes(context: ScheduleEvaluationContext, platform: ResourceParam[Platform]) -> RunRequest | SkipReason:
        if not getattr(platform.settings, setting):
            return SkipReason(f"no {title} is set")
        return RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M}")

    return changes


JOBS = [_job(crm, title) for crm, (title, _) in CRMS.items()]
SCHEDULES = [_schedule(crm, title, setting) for crm, (title, setting) in CRMS.items()]
