"""Jobs of both code locations in this process: one warm process does what would be many cold ones (demo, tests)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dagster import DagsterInstance, Definitions, ExecuteInProcessResult

from closedloop.errors import BadInput
from closedloop.settings import Settings
from orchestration.build import release_workshop
from orchestration.common.platform import Platform
from orchestration.common.runs import job_names, run_in_process
from orchestration.dagster_home import open_instance

RunJob = Callable[..., ExecuteInProcessResult]


def job_runner(settings: Settings, *, instance: DagsterInstance | None = None, quiet: bool = True) -> RunJob:
    """A function `run_job(name, config=None, tags=None, partition=None)` that runs a job to its end in this process.

    Runs are recorded in the Dagster instance of the home, where the UI finds them. Environment variables of this
    process are set as the home needs them. `run_job` raises RunFailed, with the first error, when the run fails, and
    BadInput for a job that neither location has. `config` is Dagster's run config, such as
    `{"ops": {"ingest_crm": {"config": {"folder": "..."}}}}`.
    """
    from orchestration.operations.location import definitions as operations
    from orchestration.warehouse.location import definitions as warehouse

    used = instance or open_instance(settings)
    platform = Platform.of(settings, quiet=quiet)
    locations: dict[str, Definitions] = {"warehouse": warehouse(platform), "operations": operations(platform)}
    location_of = {job: name for name, found in locations.items() for job in job_names(found)}

    def run_job(
        name: str,
        config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        partition: str | None = None,
    ) -> ExecuteInProcessResult:
        location = location_of.get(name)
        if location is None:
            raise BadInput(f"there is no job '{name}'", remedy=f"it is one of {', '.join(sorted(location_of))}")
        try:
            return run_in_process(
                locations[location],
                name,
                location=location,
                instance=used,
                config=config,
                tags=tags,
                partition_key=partition,
            )
        finally:
            # A run's own process would end here, and with it its hold on the workshop.
            release_workshop(settings)

    return run_job
