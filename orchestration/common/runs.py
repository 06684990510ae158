"""Start a job of a code location in this process, so that the UI later shows the run like any other."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dagster import DagsterInstance, Definitions, ExecuteInProcessResult
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import ExecuteRunWithPlanIterable, create_execution_plan, job_execution_iterator
from dagster._core.execution.context_creation_job import (
    PlanOrchestrationContextManager,
    orchestration_context_event_generator,
)
from dagster._core.execution.execute_in_process import merge_run_tags
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.event import listen

from closedloop.errors import ClosedLoopError

REPOSITORY = "__repository__"
"""What Dagster calls the one repository of a module with `Definitions`."""


class RunFailed(ClosedLoopError):
    """A run failed; the run in the Dagster UI says why, step by step."""


def run_in_process(
    definitions: Definitions,
    job_name: str,
    *,
    location: str,
    instance: DagsterInstance,
    config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    partition_key: str | None = None,
) -> ExecuteInProcessResult:
    """Run a job to its end in this process and record it under its code location in `instance`.

    It is what `JobDefinition.execute_in_process` does, and in addition the run bears the origin by which the UI links it
    to its job. Raises RunFailed with the first error.
    """
    job_def = definitions.resolve_job_def(job_name)
    # Whoever calls this shows progress of its own.
    run_config = {**(config or {}), "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    run_tags = merge_run_tags(job_def, partition_key, tags, None, instance, run_config)
    job = InMemoryJob(job_def)
    plan = create_execution_plan(
        job, run_config=run_config, instance_ref=instance.get_ref() if instance.is_persistent else None, tags=run_tags
    )
    with _as_one_process(instance):
        run = instance.create_run_for_job(
            job_def=job_def,
            run_config=run_config,
            tags=run_tags,
            execution_plan=plan,
            remote_job_origin=_origin(location, job_name),
        )
        events = list(
            ExecuteRunWithPlanIterable(
                execution_plan=plan,
                iterator=job_execution_iterator,
                execution_context_manager=PlanOrchestrationContextManager(
                    context_event_generator=orchestration_context_event_generator,
                    job=job,
                    execution_plan=plan,
                    dagster_run=run,
                    instance=instance,
                    run_config=run_config,
                    executor_defs=None,
                    output_capture=None,
                    raise_on_error=False,
                ),
            )
        )
    finished = instance.get_run_by_id(run.run_id)
    result = ExecuteInProcessResult(job_def=job_def, event_list=events, dagster_run=finished or run, output_capture={})
    if not result.success:
        raise RunFailed(f"run {run.run_id[:8]} of {job_name} failed: {first_error(result)}")
    return result


def first_error(result: ExecuteInProcessResult) -> str:
    """The message of the first step that failed, or of the run."""
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            user = event.step_failure_data.user_failure_data
            if user and user.description:
                return f"{event.step_key}: {user.description}"
            return f"{event.step_key}: {(error.cause or error).message.strip() if error else 'unknown'}"
    failed_checks = [e.check_name for e in result.get_asset_check_evaluations() if not e.passed and e.blocking]
    return f"check {', '.join(failed_checks)}" if failed_checks else "see its events in the Dagster UI"


def _origin(location: str, job_name: str) -> RemoteJobOrigin:
    """The origin that `workspace.yaml` gives the same job: `<module>.definitions` in this interpreter."""
    target = LoadableTargetOrigin(
        executable_path=sys.executable,
        module_name=f"orchestration.{location}.definitions",
        working_directory=os.getcwd(),
    )
    code_location = ManagedGrpcPythonEnvCodeLocationOrigin(target, location_name=location)
    return RemoteJobOrigin(RemoteRepositoryOrigin(code_location, REPOSITORY), job_name)


@contextmanager
def _as_one_process(instance: DagsterInstance) -> Iterator[None]:
    """Two savings while a run has this process for itself.

    Its standard output is left alone: the default manager redirects it and starts two helper processes. And the SQLite
    event log keeps its connections: by default it opens a new one for each event, and syncs the disk each time.
    """
    kept = instance._compute_log_manager
    quiet = NoOpComputeLogManager()
    quiet.register_instance(instance)
    instance._compute_log_manager = quiet
    storage = instance.event_log_storage
    engines: dict[str, Engine] = {}

    @contextmanager
    def connect(shard: str) -> Iterator[Connection]:
        if shard not in engines:
            with SqliteEventLogStorage._connect(storage, shard):
                pass  # the first use makes the tables
            engines[shard] = create_engine(storage.conn_string_for_shard(shard), connect_args={"timeout": 60})
            listen(engines[shard], "connect", _sync_less)
        with engines[shard].begin() as connection:
            yield connection

    fits = type(storage) is SqliteEventLogStorage
    if fits:
        storage._connect = connect
    try:
        yield
    finally:
        instance._compute_log_manager = kept
        if fits:
            del storage._connect
        for engine in engines.values():
            engine.dispose()


def _sync_less(connection: Any, _record: object) -> None:
    """With WAL a crash of the process loses nothing; only a power cut may lose the last events of a run's log."""
    connection.execute("PRAGMA synchronous = NORMAL")


def job_names(definitions: Definitions) -> list[str]:
    """The jobs of a code location that have names of their own."""
    return sorted(job.name for job in definitions.get_repository_def().get_all_jobs() if not job.name.startswith("__"))
