"""A code location with nothing in it but a sensor that starts an empty run: the floor of `benchmarks.follow_up`.

The sensor looks as often as the one for new answers, and its run does nothing but note the time.
"""

import os
import time
from pathlib import Path

from dagster import (
    DefaultSensorStatus,
    Definitions,
    RunRequest,
    SensorEvaluationContext,
    SkipReason,
    in_process_executor,
    job,
    op,
    sensor,
)

FOLDER = Path(os.environ.get("CLOSEDLOOP_HOME", ".")) / "floor"


@op
def nothing() -> None:
    """Only the time is noted."""
    for asked in FOLDER.glob("*.asked"):
        asked.rename(asked.with_suffix(".done"))
        asked.with_suffix(".done").write_text(str(time.time()))


@job(executor_def=in_process_executor)
def empty_job() -> None:
    nothing()


@sensor(job=empty_job, minimum_interval_seconds=10, default_status=DefaultSensorStatus.RUNNING)
def something_asked(context: SensorEvaluationContext) -> RunRequest | SkipReason:
    asked = sorted(path.name for path in FOLDER.glob("*.asked"))
    return RunRequest(run_key=asked[-1]) if asked else SkipReason("nothing is asked")


defs = Definitions(jobs=[empty_job], sensors=[something_asked])
