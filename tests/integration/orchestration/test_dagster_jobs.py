"""The production jobs on a small company, in one warm process: what a run leaves behind, and what a failed gate stops."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
from dagster import AssetCheckKey, AssetKey, DagsterInstance, DagsterRunStatus, RunsFilter

from closedloop.clock import Clock
from closedloop.errors import BadInput
from closedloop.lake import Lake
from closedloop.ledger import Ledger
from closedloop.ledger.builds import checks_of, get_build, list_builds, newest_publication
from closedloop.settings import Settings
from demo.company import make_company
from orchestration.common import catalogue as names
from orchestration.common.runs import RunFailed
from orchestration.dagster_home import environment, open_instance
from orchestration.warehouse.run import job_runner

pytestmark = pytest.mark.slow

TODAY = dt.date(2026, 3, 2)
MORNING = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    offset = (MORNING - Clock().now()).total_seconds()
    settings = Settings(home=tmp_path_factory.mktemp("jobs") / "home", clock_offset_seconds=offset, _env_file=None)
    settings.ensure_home()
    make_company(settings.exports_dir / "demo", contacts=120, seed=5, today=TODAY)
    return settings


@pytest.fixture(scope="module")
def instance(settings: Settings):
    patch = pytest.MonkeyPatch()
    for name in environment(settings):
        patch.setenv(name, "")  # restored after the test: opening an instance sets them
    with open_instance(settings) as instance:
        yield instance
    patch.undo()


@pytest.fixture(scope="module")
def run_job(settings: Settings, instance: DagsterInstance):
    return job_runner(settings, instance=instance)


@pytest.fixture(scope="module")
def built(run_job):
    run_job("ingest_crm_job")
    return run_job("build_and_publish_job")


def metadata_of(instance: DagsterInstance, key: AssetKey) -> dict:
    event = instance.get_latest_materialization_event(key)
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def test_a_run_shows_in_the_ui_under_its_job(built, instance: DagsterInstance) -> None:
    run = instance.get_run_by_id(built.run_id)
    assert run.status == DagsterRunStatus.SUCCESS
    assert run.tags_for_storage()[".dagster/repository"] == "__repository__@warehouse"
    assert run.remote_job_origin.location_name == "warehouse"


def test_assets_tell_counts_and_what_they_stand_on(built, instance: DagsterInstance, settings: Settings) -> None:
    with Ledger.open(settings) as ledger:
        publication = newest_publication(ledger)
        build = get_build(ledger, publication["build_id"])
    assert metadata_of(instance, names.CONTEXT)["build_id"] == build["build_id"]
    assert metadata_of(instance, names.PUBLICATION)["publication_id"] == publication["publication_id"]
    loaded = metadata_of(instance, names.lake_key("crm.contact"))
    assert loaded["loaded"] > 100
    contacts = metadata_of(instance, AssetKey(["marts", "dim_contacts"]))
    assert contacts["dagster/row_count"] >= 100
    assert settings.marts_file.resolve().name == f"marts-{publication['publication_id']}.duckdb"


def test_every_check_of_dbt_and_of_the_gates_is_shown_and_recorded(
    built, instance: DagsterInstance, settings: Settings
) -> None:
    shown = {(one.asset_key, one.check_name): one.passed for one in built.get_asset_check_evaluations()}
    assert all(passed for (_, name), passed in shown.items() if name != "arrived")
    for key, gate in [
        (names.CONTEXT, "arrived"),
        (names.lake_key("crm.account"), "arrived"),
        (AssetKey(["marts", "survey_queue"]), "sending"),
        (AssetKey(["marts", "rpt_nps"]), "published"),
    ]:
        assert shown[key, gate], (key, gate)
    assert sum(name not in {"arrived", "sending", "published"} for _, name in shown) > 20
    with Ledger.open(settings) as ledger:
        recorded = checks_of(ledger, newest_publication(ledger)["build_id"])
    assert {check["gate"] for check in recorded} == {"arrived", "dbt", "sending", "published"}


def test_no_event_holds_a_person(built, instance: DagsterInstance) -> None:
    for run in instance.get_runs():
        for record in instance.all_logs(run.run_id):
            assert "@customer" not in str(record) and ".example" not in str(record.dagster_event), record.user_message


def test_the_drop_folder_is_taken_as_ingested_once_and_again_changes_nothing(
    built, run_job, instance, settings
) -> None:
    from dagster import SkipReason, build_sensor_context

    from orchestration.common.platform import Platform
    from orchestration.warehouse.sensors import new_exports

    for path in settings.exports_dir.rglob("*.*"):
        import os

        os.utime(path, (1_700_000_000, 1_700_000_000))
    context = build_sensor_context(instance=instance, resources={"platform": Platform.of(settings)})
    assert not isinstance(new_exports(context), SkipReason)  # the files look changed
    run_job("ingest_crm_job")
    assert metadata_of(instance, names.lake_key("crm.contact"))["loaded"] == 0
    context = build_sensor_context(instance=instance, resources={"platform": Platform.of(settings)})
    assert isinstance(new_exports(context), SkipReason)


def test_the_plan_is_sealed_once_and_a_second_seal_is_final(built, run_job, instance: DagsterInstance) -> None:
    run_job("plan_surveys_job")
    sealed = metadata_of(instance, names.SEALED)
    assert sealed["asks"] + sealed["skips"] > 0
    with pytest.raises(RunFailed, match="sealed"):
        run_job("plan_surveys_job")
    (run,) = instance.get_runs(RunsFilter(job_name="plan_surveys_job", statuses=[DagsterRunStatus.FAILURE]))
    assert not [
        one for one in instance.all_logs(run.run_id) if one.dagster_event and one.dagster_event.is_step_up_for_retry
    ]


def test_a_past_day_is_rebuilt_beside_the_real_workshop(built, run_job, instance, settings: Settings) -> None:
    shown, workshop = settings.marts_file.resolve(), settings.warehouse_file.stat().st_mtime_ns
    run_job("reports_of_day_job", partition="2026-02-01")
    folder = settings.published_dir / "history" / "days" / "2026-02-01"
    assert (folder / "rpt_nps.parquet").exists()
    assert settings.marts_file.resolve() == shown
    assert settings.warehouse_file.stat().st_mtime_ns == workshop
    with Ledger.open(settings) as ledger:
        assert "2026-02-01" not in str([build["build_id"] for build in list_builds(ledger)])
    key = AssetKey(["history", "reports_of_day"])
    assert instance.get_materialized_partitions(key) == {"2026-02-01"}


def test_an_unknown_job_is_named(run_job) -> None:
    with pytest.raises(BadInput, match="no job 'make_coffee'"):
        run_job("make_coffee")


def test_a_bad_folder_fails_at_once_with_the_remedy(run_job) -> None:
    with pytest.raises(RunFailed, match="what to do"):
        run_job("ingest_crm_job", config={"ops": {"ingest_crm": {"config": {"folder": "no/such/folder"}}}})


def test_a_failed_gate_stops_dbt_and_publication(built, run_job, instance: DagsterInstance, settings: Settings) -> None:
    """Last: it poisons the lake with a contact that has no id."""
    shown = settings.marts_file.resolve()
    with Lake.open(settings) as lake:
        rows = pa.table({"Id": [None], "Email": ["nobody@late.example"], "_op": ["upsert"], "_row_hash": ["x"]})
        lake.append("crm.contact", rows, batch_id="poison", ingested_at=settings.clock().now(), source="test")
    with pytest.raises(RunFailed, match="arrived"):
        run_job("build_and_publish_job")
    run = instance.get_runs(RunsFilter(job_name="build_and_publish_job"), limit=1)[0]
    assert run.status == DagsterRunStatus.FAILURE
    steps = {
        record.dagster_event.step_key
        for record in instance.all_logs(run.run_id)
        if record.dagster_event and record.dagster_event.is_step_start
    }
    assert steps == {"start_build", "gate_arrived"}
    assert settings.marts_file.resolve() == shown
    key = AssetCheckKey(names.lake_key("crm.contact"), "arrived")
    execution = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    evaluation = execution.event.dagster_event.event_specific_data
    assert not evaluation.passed
    assert "id_present: 1 of" in evaluation.description
    with pytest.raises(RunFailed, match="failed"):
        run_job("publish_job")
    assert settings.marts_file.resolve() == shown
