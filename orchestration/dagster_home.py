"""Dagster's own home: its configuration file, its instance, and the runs that an earlier process tree left behind."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from closedloop.settings import Settings

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun

POOL = "duckdb_write"
"""Every step that writes the warehouse file is in this pool, and it has one place."""

STORAGE_URL = "CLOSEDLOOP_DAGSTER_STORAGE_URL"
START_TIMEOUT = dt.timedelta(minutes=5)
MAX_RUNTIME = dt.timedelta(hours=2)

_HEADER = """\
# Made by `orchestration/dagster_home.py` at every start: change it there, not here.
"""


def configuration(settings: Settings) -> dict[str, object]:
    """What dagster.yaml says for these settings; no secret stands in it."""
    return {
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        "storage": (
            {"postgres": {"postgres_url": {"env": STORAGE_URL}}}
            if settings.engine == "shared"
            else {"sqlite": {"base_dir": str(settings.dagster_dir.resolve() / "storage")}}
        ),
        "run_monitoring": {
            "enabled": True,
            "start_timeout_seconds": int(START_TIMEOUT.total_seconds()),
            "cancel_timeout_seconds": 60,
            "max_runtime_seconds": int(MAX_RUNTIME.total_seconds()),
            "poll_interval_seconds": 30,
            "free_slots_after_run_end_seconds": 60,
        },
        # A run whose worker was killed is started once more; a step that failed is judged by its own retry policy.
        "run_retries": {"enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False},
        "concurrency": {
            # A whole run holds its place: two builds that took turns step by step would mix their workshops.
            "pools": {"default_limit": 1, "granularity": "run"},
            "runs": {"max_concurrent_runs": 4},
        },
        # What a run prints: our own words, not each of Dagster's events, which stand in its event log anyway.
        "python_logs": {"python_log_level": "INFO"},
        "sensors": {"use_threads": True, "num_workers": 4},
        "schedules": {"use_threads": True, "num_workers": 2},
        "retention": {
            "schedule": {"purge_after_days": 90},
            "sensor": {"purge_after_days": {"skipped": 2, "failure": 30, "success": 30, "started": 2}},
        },
        "code_servers": {"local_startup_timeout": 300, "reload_timeout": 300},
    }


def environment(settings: Settings) -> dict[str, str]:
    """What each process that works with this home must find in its environment."""
    found = {
        "CLOSEDLOOP_HOME": str(settings.home.resolve()),
        "DAGSTER_HOME": str(settings.dagster_dir.resolve()),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "GX_ANALYTICS_ENABLED": "false",
        "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }
    if settings.engine == "shared":
        found[STORAGE_URL] = _storage_url(settings)
    return found


def prepare(settings: Settings) -> Path:
    """Write dagster.yaml, point this process at it, and return Dagster's home. Raises BadInput on an unwritable home."""
    settings.ensure_home()
    home = settings.dagster_dir
    home.mkdir(exist_ok=True)
    wanted = _HEADER + yaml.safe_dump(configuration(settings), sort_keys=False)
    path = home / "dagster.yaml"
    if not path.exists() or path.read_text() != wanted:
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_text(wanted)
        os.replace(draft, path)
    os.environ.update(environment(settings))
    if settings.engine == "shared":
        _make_schema(settings)
    return home


def open_instance(settings: Settings) -> DagsterInstance:
    """The Dagster instance of this home, the same one that the UI and the daemon use."""
    from dagster import DagsterInstance

    instance = DagsterInstance.from_config(str(prepare(settings).resolve()))
    instance.event_log_storage.set_concurrency_slots(POOL, 1)
    return instance


def fail_dead_runs(instance: DagsterInstance) -> list[str]:
    """Fail each run that says it is at work although its process is gone; returns their ids.

    Called at start-up: nobody else notices the runs of a process tree that was killed as a whole. Runs that wait in the
    queue are left to the daemon.
    """
    from dagster import DagsterRunStatus, RunsFilter

    at_work = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
    dead = []
    for run in instance.get_runs(RunsFilter(statuses=at_work)):
        processes = _processes(instance, run)
        # One that is just starting names no process yet; the daemon's start timeout watches it.
        if (processes or run.status != DagsterRunStatus.STARTING) and not any(
            _process_is_older(pid, seen) for pid, seen in processes
        ):
            dead.append(run)
    for run in dead:
        instance.report_run_failed(run, "The process that did this run is gone: it was killed, or the machine stopped.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in dead]


def _processes(instance: DagsterInstance, run: DagsterRun) -> list[tuple[int, float]]:
    """The processes that say in this run's events that they work on it, each with the time of the event."""
    found = []
    for record in instance.all_logs(run.run_id):
        event = record.dagster_event
        if event is not None and event.is_engine_event:
            label = event.engine_event_data.metadata.get("pid")
            if label is not None and str(label.value).isdigit():
                found.append((int(str(label.value)), record.timestamp))
    return found


def _process_is_older(pid: int, timestamp: float) -> bool:
    """Whether process `pid` lives and had begun by `timestamp` (seconds UTC): a number may have been given away again."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
        booted = next(
            float(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime")
        )
    except (OSError, StopIteration, IndexError, ValueError):
        return True  # no such facts on this system: a living process of that number counts
    return booted + ticks / os.sysconf("SC_CLK_TCK") <= timestamp + 2


def _storage_url(settings: Settings) -> str:
    """The ledger's server, but a schema of Dagster's own: both keep a table `alembic_version`."""
    from sqlalchemy import make_url

    url = make_url(settings.ledger_database_url).set(drivername="postgresql")
    return url.update_query_dict({"options": "-csearch_path=dagster"}).render_as_string(hide_password=False)


def _make_schema(settings: Settings) -> None:
    from sqlalchemy import create_engine, text

    engine = create_engine(settings.ledger_database_url)
    with engine.begin() as connection:
        connection.execute(text("create schema if not exists dagster"))
    engine.dispose()
