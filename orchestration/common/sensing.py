"""From a piece of work to a run: started once, tried again after a failure, never twice at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from dagster import (
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    RunRequest,
    RunsFilter,
    SkipReason,
)

from orchestration.common.waiting import Waiting

WORK_TAG = "closedloop/work"
"""Names the work of a run; the same work, found again by another daemon or after a lost cursor, has the same name."""

ATTEMPTS = 5
PAUSE = dt.timedelta(minutes=1)
"""After the first failed run; doubled with each further one."""

UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
FAILED = [DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]


def request_run(
    instance: DagsterInstance,
    job_name: str,
    waiting: Waiting | None,
    *,
    nothing: str,
    real_now: dt.datetime,
    run_config: Mapping[str, Any] | None = None,
) -> RunRequest | SkipReason:
    """A run for this work, or the reason why none is started now.

    The key of a run is the work's name and how often it failed: not a cursor, so that two daemons, or one that forgot,
    ask for the same run. `real_now` is the clock of Dagster's own records.
    """
    if waiting is None:
        return SkipReason(nothing)
    if instance.get_runs_count(RunsFilter(job_name=job_name, statuses=UNFINISHED)):
        return SkipReason(f"{waiting.count:,} wait; a run of {job_name} is at work or queued")
    failed = instance.get_run_records(
        RunsFilter(job_name=job_name, tags={WORK_TAG: waiting.name}, statuses=FAILED), limit=ATTEMPTS
    )
    if failed and needs_a_person(instance, failed[0].dagster_run):
        return SkipReason(
            f"{waiting.count:,} wait, but their run failed for good: mend the cause, then start it by hand"
        )
    if len(failed) >= ATTEMPTS:
        return SkipReason(
            f"{waiting.count:,} wait, but their run failed {ATTEMPTS} times: look at it, then start it by hand"
        )
    if failed:
        ended = max(record.update_timestamp.replace(tzinfo=dt.UTC) for record in failed)
        again = ended + PAUSE * 2 ** (len(failed) - 1)
        if real_now < again:
            return SkipReason(f"{waiting.count:,} wait; their run failed, the next attempt is at {again:%H:%M:%S} UTC")
    return RunRequest(
        run_key=f"{waiting.name}-{len(failed)}", run_config=dict(run_config or {}), tags={WORK_TAG: waiting.name}
    )


def needs_a_person(instance: DagsterInstance, run: DagsterRun) -> bool:
    """Whether a run was canceled, or failed for a reason that does not pass by itself: a step gave up for good, or a
    check failed. A worker that died, or a server that could not be reached, is not such a reason."""
    if run.status == DagsterRunStatus.CANCELED:
        return True
    failures = instance.all_logs(run.run_id, of_type=DagsterEventType.STEP_FAILURE)
    return any(is_final(record.dagster_event) for record in failures if record.dagster_event)


def is_final(event: DagsterEvent) -> bool:
    """Whether a step's failure was raised as final (`failures.final`), or a blocking check did not pass."""
    data = event.step_failure_data
    return bool(data.user_failure_data) or check_failed(event)


def check_failed(event: DagsterEvent) -> bool:
    """Whether a step failed because of its blocking checks; its message names them, and no value."""
    error = event.step_failure_data.error
    return error is not None and error.cls_name == "DagsterAssetCheckFailedError"


def was_done(instance: DagsterInstance, job_name: str, name: str) -> bool:
    """Whether a run did exactly this work already, whoever started it."""
    done = RunsFilter(job_name=job_name, tags={WORK_TAG: name}, statuses=[DagsterRunStatus.SUCCESS])
    return bool(instance.get_runs_count(done))
