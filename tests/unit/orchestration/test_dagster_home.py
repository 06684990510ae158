"""Dagster's configuration, and the runs of processes that are gone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from dagster import DagsterEvent, DagsterEventType, DagsterRunStatus, job, op
from dagster._core.events import EngineEventData

from closedloop.settings import Settings
from orchestration import dagster_home


@op
def nothing() -> None: ...


@job
def idle() -> None:
    nothing()


@pytest.fixture
def instance(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    for name in dagster_home.environment(settings):
        monkeypatch.setenv(name, "")  # restored after the test: opening an instance sets them
    with dagster_home.open_instance(settings) as instance:
        yield instance


def run_of(instance, pid: int | None, status: DagsterRunStatus = DagsterRunStatus.STARTED) -> str:
    run = instance.create_run_for_job(idle)
    if pid is not None:
        instance.report_engine_event("at work", run, EngineEventData.in_process(pid))
    instance.handle_run_event(run.run_id, _status_event(run.job_name, status))
    return run.run_id


def _status_event(job_name: str, status: DagsterRunStatus) -> DagsterEvent:
    kinds = {
        DagsterRunStatus.STARTED: DagsterEventType.RUN_START,
        DagsterRunStatus.STARTING: DagsterEventType.RUN_STARTING,
    }
    return DagsterEvent(event_type_value=kinds[status].value, job_name=job_name)


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return process.pid


def test_the_file_turns_telemetry_off_and_limits_the_one_writer(settings: Settings, instance) -> None:
    written = yaml.safe_load((settings.dagster_dir / "dagster.yaml").read_text())
    assert written["telemetry"] == {"enabled": False}
    assert written["run_monitoring"]["max_runtime_seconds"] == 7200
    assert written["run_monitoring"]["start_timeout_seconds"] == 300
    assert not instance.telemetry_enabled
    (limit,) = [one for one in instance.event_log_storage.get_pool_limits() if one.name == dagster_home.POOL]
    assert limit.limit == 1


def test_with_the_shared_engine_storage_is_postgresql_and_no_password_is_written(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path, engine="shared", ledger_url="postgresql://someone:hush@db.example/closedloop", _env_file=None
    )
    text = yaml.safe_dump(dagster_home.configuration(settings))
    assert "hush" not in text
    assert yaml.safe_load(text)["storage"] == {"postgres": {"postgres_url": {"env": dagster_home.STORAGE_URL}}}
    url = dagster_home.environment(settings)[dagster_home.STORAGE_URL]
    assert url.startswith("postgresql://someone:hush@db.example/closedloop")
    assert "search_path%3Ddagster" in url  # the ledger's own table alembic_version stands in another schema


def test_only_runs_whose_process_is_gone_fail(instance) -> None:
    dead = run_of(instance, dead_pid())
    alive = run_of(instance, os.getpid())
    nameless = run_of(instance, None)
    just_starting = run_of(instance, None, DagsterRunStatus.STARTING)
    assert sorted(dagster_home.fail_dead_runs(instance)) == sorted([dead, nameless])
    assert instance.get_run_by_id(dead).status == DagsterRunStatus.FAILURE
    assert instance.get_run_by_id(alive).status == DagsterRunStatus.STARTED
    assert instance.get_run_by_id(just_starting).status == DagsterRunStatus.STARTING
    assert dagster_home.fail_dead_runs(instance) == []


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="the age of a process is known from /proc")
def test_a_process_number_given_away_again_is_not_taken_for_the_old_process() -> None:
    began = time.time()
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        assert not dagster_home._process_is_older(other.pid, began - 3600)
        assert dagster_home._process_is_older(other.pid, time.time() + 5)
    finally:
        other.kill()
        other.wait()
