"""What starts by itself in this location: ingest of new exports, builds when there is news, the plan of each morning."""

import time

from dagster import (
    DefaultScheduleStatus,
    DefaultSensorStatus,
    ResourceParam,
    RunRequest,
    ScheduleEvaluationContext,
    SensorEvaluationContext,
    SkipReason,
    schedule,
    sensor,
)

from closedloop.clock import Clock
from closedloop.errors import BadInput
from closedloop.ledger import Ledger
from closedloop.settings import Settings
from orchestration.common import catalogue as names
from orchestration.common.platform import Platform
from orchestration.common.sensing import request_run, was_done
from orchestration.common.waiting import Waiting, name_of, news_for_the_marts
from orchestration.warehouse.drop_folder import export_files, name_of_files

INGEST, BUILD, BUILD_AND_PLAN = "ingest_crm_job", "build_and_publish_job", "build_and_plan_job"
SETTLED_SECONDS = 20
"""An export whose newest file is younger than this may still be being written."""
GATHER_SECONDS = 120
"""Answers are gathered so long, from the first one on, before the marts are built again."""


@sensor(
    job_name=INGEST,
    minimum_interval_seconds=30,
    default_status=DefaultSensorStatus.RUNNING,
    description="New or changed CSV files in the drop folder `exports/` are ingested, once nobody writes them any more.",
)
def new_exports(context: SensorEvaluationContext, platform: ResourceParam[Platform]) -> RunRequest | SkipReason:
    files = export_files(platform.settings.exports_dir)
    if not files:
        return SkipReason(f"no CSV file in {platform.settings.exports_dir}")
    if time.time() - max(path.stat().st_mtime for path in files) < SETTLED_SECONDS:
        return SkipReason("an export is being written")
    name = name_of_files(files)
    if context.cursor == name or was_done(context.instance, INGEST, name):
        context.update_cursor(name)
        return SkipReason("every export is in the lake")
    return request_run(
        context.instance, INGEST, Waiting(len(files), name), nothing="no new export", real_now=Clock().now()
    )


@sensor(
    job_name=BUILD,
    minimum_interval_seconds=30,
    default_status=DefaultSensorStatus.RUNNING,
    description="New answers (gathered for two minutes), new rows in the lake, or a changed programme: build and publish.",
)
def new_data(context: SensorEvaluationContext, platform: ResourceParam[Platform]) -> RunRequest | SkipReason:
    settings = platform.settings
    try:
        found = what_is_new(settings)
    except BadInput as error:
        return SkipReason(f"a survey programme cannot be read, so nothing is built: {error}")
    if found is not None and found.oldest is not None:
        age = (platform.now() - found.oldest).total_seconds()
        if age < GATHER_SECONDS:
            return SkipReason(f"{found.count:,} new answers are gathered for another {GATHER_SECONDS - age:.0f} s")
    return request_run(
        context.instance, BUILD, found, nothing="the published marts show all that is known", real_now=Clock().now()
    )


def what_is_new(settings: Settings) -> Waiting | None:
    """What the newest publication does not show yet; `oldest` is set when it is answers alone.

    Raises BadInput when a survey programme cannot be read.
    """
    from closedloop.lake import Lake
    from closedloop.ledger.builds import get_build, newest_publication
    from closedloop.programme import load_surveys
    from orchestration.build import definitions_hash

    with Ledger.open(settings) as ledger, Lake.open(settings) as lake:
        newest = newest_publication(ledger)
        arrived = {name: snapshot for name, snapshot in lake.cut().items() if name in _ARRIVING}
        definitions = definitions_hash(load_surveys(settings.surveys))
        if newest is None:
            return Waiting(len(arrived), name_of(sorted(arrived.items()))) if arrived else None
        shown = get_build(ledger, newest["build_id"])["cut"]
        moved = {name: snapshot for name, snapshot in arrived.items() if shown.get(name) != snapshot}
        heard = news_for_the_marts(ledger)
    if moved or definitions != newest["definitions_hash"]:
        return Waiting(max(len(moved), 1), name_of([*sorted(moved.items()), definitions]))
    return heard


_ARRIVING = {*names.CRM_TABLES, names.RESPONSES, names.QUARANTINE}


@schedule(
    job_name=BUILD_AND_PLAN,
    cron_schedule="0 6 * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Each morning at 06:00 UTC: build, check, publish, and seal who is asked today.",
)
def every_morning(context: ScheduleEvaluationContext, platform: ResourceParam[Platform]) -> RunRequest | SkipReason:
    if not platform.settings.lake_dir.exists():
        return SkipReason("nothing was ingested yet")
    return RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%d}")


SENSORS = [new_exports, new_data]
SCHEDULES = [every_morning]
